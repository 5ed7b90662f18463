"""``walletd restore``: what a journal that is made of another one is known by."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tests.cli.conftest import Walletd
from tests.cli.test_verify import lived
from tests.ledger.client_cases import create, hash_of, rotate
from tests.wallets.conftest import open_core
from walletd.journal.merkle import Frontier
from walletd.journal.offline import open_offline
from walletd.journal.segment import records, seal
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.rows import COLUMNS, row_of
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import ClientRecord, Effects, Entry, TokenRecord, decode_entry, encode_entry
from walletd.vocabulary.histories import FIRST_HISTORY
from walletd.vocabulary.identifiers import DAEMON, OPERATOR, Principal, Sequence


@pytest.fixture
def data(tmp_path: Path) -> Path:
    trio.run(lived, tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("second", [0, 1_800_000_000, 2**60], ids=["1970", "2027", "far away"])
def test_two_restores_of_one_backup_are_told_apart_whatever_the_clock_says(
    walletd: Walletd, data: Path, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    """Cursors hang on the epoch, ids on the mark; within one second, or with a clock that stands still, too."""
    monkeypatch.setattr("walletd.cli.restore.time", lambda: second)
    for number in range(4):
        assert walletd("restore", str(data), f"again-{number}", "--yes").exit_code == 0
    charters = [open_offline(Path(f"again-{number}")).charter for number in range(4)]
    assert len({charter.epoch for charter in charters}) == 4
    assert all(1 < charter.epoch < 2**53 for charter in charters)
    assert len({charter.histories[-1].mark for charter in charters}) == 4
    assert all(charter.histories[:-1] == FIRST_HISTORY for charter in charters)
    assert [charter.histories[-1].first_sequence for charter in charters] == [8] * 4


def test_an_epoch_never_falls_below_that_of_the_journal_that_was_restored(
    walletd: Walletd, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = [1]
    for number, second in enumerate([2_000_000_000, 1_800_000_000, 0]):
        monkeypatch.setattr("walletd.cli.restore.time", lambda second=second: second)
        source = str(data) if number == 0 else f"again-{number - 1}"
        assert walletd("restore", source, f"again-{number}", "--yes").exit_code == 0
        epochs.append(open_offline(Path(f"again-{number}")).charter.epoch)
    assert epochs == sorted(set(epochs))


def test_a_journal_from_before_there_were_histories_is_of_the_first(walletd: Walletd, data: Path) -> None:
    with closing(sqlite3.connect(data / "journal.db")) as connection:
        connection.execute("DROP TABLE history")
    assert open_offline(data).charter.histories == FIRST_HISTORY
    assert walletd("verify", str(data)).exit_code == 0
    assert walletd("restore", str(data), "again", "--yes").exit_code == 0
    assert len(open_offline(Path("again")).charter.histories) == 2


def appended(data: Path, command: AnyCommand, by: Principal, *clients: ClientRecord) -> str:
    """Append an entry that admits these clients, with a digest and a root that fit: a forgery.  Returns the root."""
    frontier, sequence, epoch, last = Frontier(), 0, 1, b""
    for segment in open_offline(data).segments():
        sequence, epoch, last = segment.last_sequence, segment.epoch, records(segment)[-1]
        seal(frontier, segment.first_sequence, segment.epoch, records(segment))
    time = decode_entry(last).time
    entry = Entry(
        sequence=Sequence(sequence + 1), time=time, principal=by, command=command, effects=Effects(clients=clients)
    )
    forged = seal(frontier, sequence + 1, epoch, [encode_entry(entry)])
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        connection.execute(f"INSERT INTO segment ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row_of(forged))
    (data / "journal.mark").unlink(missing_ok=True)
    return forged.root.hex()


def client(name: str, *tokens: str, by: Principal = DAEMON) -> ClientRecord:
    """An admin with these tokens."""
    first = decode_entry(records(next(iter(open_offline(Path("data")).segments())))[0]).time
    held = tuple(TokenRecord(sha256=hash_of(token), created_at=first) for token in tokens)
    return ClientRecord(client=Principal(name), scopes=("admin",), tokens=held, created_by=by, created_at=first)


FORGED: list[tuple[str, Callable[[], tuple[AnyCommand, ClientRecord]]]] = [
    ("another admin", lambda: (create("mallory", "admin"), client("mallory", "mallory"))),
    ("another token", lambda: (rotate("mallory", "more"), client("mallory", "mallory", "more"))),
]


@pytest.mark.parametrize("forged", [row[1] for row in FORGED], ids=[row[0] for row in FORGED])
def test_an_admin_that_was_forged_in_the_daemons_name_does_not_verify(
    walletd: Walletd, data: Path, forged: Callable[[], tuple[AnyCommand, ClientRecord]]
) -> None:
    command, record = forged()
    appended(data, command, DAEMON, record)
    ended = walletd("verify", str(data))
    assert ended.exit_code == 65
    assert "entry 8 has other effects than its command" in ended.err


def test_what_the_daemon_itself_does_for_the_operator_verifies(walletd: Walletd, tmp_path: Path) -> None:
    async def admitted() -> None:
        async with open_journal(tmp_path / "own") as store, open_core(tmp_path / "own", store) as core:
            assert await core.admit_operator(hash_of("first"))
            assert await core.admit_operator(hash_of("second"))

    trio.run(admitted)
    ended = walletd("verify", "own", "--json")
    assert ended.exit_code == 0, ended.err
    assert ended.document["applied"] >= 2


def test_verify_compares_the_root_with_the_one_that_is_known(walletd: Walletd, data: Path) -> None:
    root = walletd("verify", str(data), "--json").document["root"]
    assert walletd("verify", str(data), "--root", root).exit_code == 0
    appended(data, create("mallory", "admin"), OPERATOR, client("mallory", "mallory"))
    found = walletd("verify", str(data), "--root", root, "--json")
    assert found.exit_code == 65
    assert f"not the expected {root}" in found.document["violations"][-1]
    assert walletd("verify", str(data), "--root", "1234").exit_code == 64


def test_restore_lists_the_admins_and_makes_nothing_without_consent(
    walletd: Walletd, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended(data, create("mallory", "admin"), DAEMON, client("mallory", "mallory"))
    unasked = walletd("restore", str(data), "again")
    assert unasked.exit_code == 64
    assert "--root" in unasked.err
    assert "--yes" in unasked.err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for answer, code in (("n\n", 1), ("", 1), ("what\n", 1), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        ended = walletd("restore", str(data), "again")
        assert ended.exit_code == code, answer
        assert "  mallory, created by @walletd at " in ended.err
        assert f"tokens: {hash_of('mallory')[:8]} of " in ended.err
        assert Path("again/journal.db").exists() == (code == 0)
    assert list(Path("again").glob("*restoring*")) == []
    admins = walletd("restore", str(data), "other", "--yes", "--json").document["admins"]
    assert [admin["client"] for admin in admins] == ["mallory"]


def test_an_admin_is_listed_however_its_entry_is_written(walletd: Walletd, data: Path) -> None:
    """JSON can write a key with escapes, and the daemon would understand it."""
    appended(data, create("mallory", "admin"), DAEMON, client("mallory", "mallory"))
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM segment WHERE first_sequence = 8")
    frontier = Frontier()
    for segment in open_offline(data).segments():
        seal(frontier, segment.first_sequence, segment.epoch, records(segment))
    entry = Entry(
        sequence=Sequence(8),
        time=client("x").created_at,
        principal=DAEMON,
        command=create("mallory", "admin"),
        effects=Effects(clients=(client("mallory", "mallory"),)),
    )
    disguised = encode_entry(entry).replace(b'"clients"', b'"\\u0063lients"')
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        row = row_of(seal(frontier, 8, 1, [disguised]))
        connection.execute(f"INSERT INTO segment ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    admins = walletd("restore", str(data), "other", "--yes", "--json").document["admins"]
    assert [admin["client"] for admin in admins] == ["mallory"]


def test_with_the_known_root_nothing_is_asked_and_with_another_nothing_is_made(walletd: Walletd, data: Path) -> None:
    root = walletd("verify", str(data), "--json").document["root"]
    assert walletd("restore", str(data), "again", "--root", root).exit_code == 0
    assert walletd("restore", str(data), "earlier", "--to-sequence", "4", "--root", root).exit_code == 0
    forged = appended(data, create("mallory", "admin"), OPERATOR, client("mallory", "mallory"))
    for arguments in ([], ["--to-sequence", "4"], ["--yes"]):
        ended = walletd("restore", str(data), "other", "--root", root, *arguments)
        assert ended.exit_code == 65, arguments
        assert f"is {forged}, not the expected {root}" in ended.err
        assert not Path("other/journal.db").exists()
