"""``walletd verify`` over journals that the real core wrote, whole and damaged."""

import sqlite3
from pathlib import Path

import msgspec
import pytest
import trio

from tests.cli.conftest import Walletd
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.merkle import Frontier
from walletd.journal.offline import read_offline
from walletd.journal.segment import Segment, records, seal
from walletd.journal.sqlite.opening import open_journal
from walletd.vocabulary.entries import decode_entry, encode_entry

DATABASE = Path("var/journal.db")


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """A data directory in which money came in, moved, and was refused once."""
    trio.run(lived, tmp_path / "var")
    return tmp_path / "var"


async def lived(directory: Path) -> None:
    async with open_journal(directory) as store, open_core(directory, store) as core:
        await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
        await answered(submit(core, transfer("t1", ("@external", "alice", 10000))))
        await answered(submit(core, transfer("t2", ("alice", "bob", 1250))))
        await answered(submit(core, transfer("t3", ("bob", "alice", 99999))))


def altered(statement: str, *values: object) -> None:
    with sqlite3.connect(DATABASE) as connection:
        connection.execute(statement, values)
    connection.close()


def put(segment: Segment) -> None:
    altered(
        "INSERT INTO segment (first_sequence, entry_count, epoch, format, root, digest, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(segment.first_sequence, segment.count, segment.epoch, segment.format),
        *(segment.root, segment.digest, segment.body),
    )


def resealed(change: dict[int, dict[str, object]]) -> None:
    """Write the journal again with some entries' fields changed, and with digests and roots that fit: a forgery."""
    frontier = Frontier()
    segments = list(read_offline(DATABASE))
    altered("DELETE FROM segment")
    for segment in segments:
        forged = []
        for record in records(segment):
            entry = decode_entry(record)
            forged.append(encode_entry(msgspec.structs.replace(entry, **change.get(entry.sequence, {}))))
        put(seal(frontier, segment.first_sequence, segment.epoch, forged))
    Path("var/journal.mark").unlink()


def test_a_sound_journal_is_told_with_all_that_was_checked(walletd: Walletd, var: Path) -> None:
    ended = walletd("verify", "var")
    assert ended.exit_code == 0
    assert "All is well" in ended.out
    assert ended.err == ""

    found = walletd("verify", str(DATABASE), "--json").document
    assert (found["entries"], found["applied"], found["refused"], found["wallets"]) == (7, 6, 1, 3)
    assert found["head"] == found["mark"] == 7
    assert found["sums"] == [{"asset": "EUR", "sum": "0", "in_customer_wallets": "10000", "scale": 2}]
    assert found["root"] == list(read_offline(DATABASE))[-1].root.hex()
    assert found["violations"] == []


def test_nothing_is_changed_by_looking(walletd: Walletd, var: Path) -> None:
    before = {file.name: file.read_bytes() for file in var.iterdir()}
    walletd("verify", "var")
    assert {file.name: file.read_bytes() for file in var.iterdir()} == before


def test_one_changed_byte_is_found(walletd: Walletd, var: Path) -> None:
    altered("UPDATE segment SET body = CAST(replace(CAST(body AS TEXT), '1250', '1251') AS BLOB)")
    ended = walletd("verify", "var")
    assert ended.exit_code == 65
    assert "digest" in ended.err
    assert "NOT well" in ended.out


def test_a_missing_segment_is_found(walletd: Walletd, var: Path) -> None:
    altered("DELETE FROM segment WHERE first_sequence = 6")
    ended = walletd("verify", "var", "--json")
    assert ended.exit_code == 65
    assert ended.document["violations"]


def test_an_end_that_was_cut_off_is_found_by_the_mark(walletd: Walletd, var: Path) -> None:
    altered("DELETE FROM segment WHERE first_sequence >= 6")
    ended = walletd("verify", "var")
    assert ended.exit_code == 65
    assert "it had 7 entries" in ended.err


def test_a_journal_that_is_gone_is_found_by_the_mark(walletd: Walletd, var: Path) -> None:
    DATABASE.unlink()
    assert walletd("verify", "var").exit_code == 65


def test_a_forger_who_fits_every_hash_is_found_by_deciding_again(walletd: Walletd, var: Path) -> None:
    paid = next(
        entry
        for segment in read_offline(DATABASE)
        for entry in map(decode_entry, records(segment))
        if entry.sequence == 6
    )
    assert paid.effects is not None
    rich = tuple(
        msgspec.structs.replace(row, posted="999999", available="999999") if row.wallet == "bob" else row
        for row in paid.effects.balances
    )
    resealed({6: {"effects": msgspec.structs.replace(paid.effects, balances=rich)}})
    ended = walletd("verify", "var")
    assert ended.exit_code == 65
    assert "entry 6 has other effects than its command" in ended.err
    assert "EUR sum to" in ended.err


def test_an_entry_without_an_outcome_is_found(walletd: Walletd, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = next(iter(read_offline(DATABASE)))
    entry = decode_entry(records(segment)[0])
    record = msgspec.json.encode(msgspec.structs.replace(entry, effects=None))
    altered("DELETE FROM segment")
    put(seal(Frontier(), 1, 1, [record]))
    ended = walletd("verify", "var")
    assert ended.exit_code == 65
    assert "exactly one outcome" in ended.err


async def test_a_journal_in_use_is_left_alone(walletd: Walletd, tmp_path: Path) -> None:
    async with open_journal(tmp_path / "var"):
        ended = walletd("verify", "var")
    assert ended.exit_code == 75
    assert "a running walletd holds the journal" in ended.err


@pytest.mark.parametrize("path", ["nothing", "."])
def test_where_no_journal_is_one_is_asked_for(walletd: Walletd, path: str) -> None:
    ended = walletd("verify", path)
    assert ended.exit_code == 66
    assert "Give a data directory" in ended.err


def test_a_file_that_is_no_journal_is_not_called_damaged_money(walletd: Walletd, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"not a database at all" * 100)
    ended = walletd("verify", "other.db", "--json")
    assert ended.exit_code != 0
    assert "Traceback" not in ended.err
