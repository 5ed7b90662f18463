"""A snapshot's check: whatever is changed in it, wherever, is found; and nothing is archived behind one unchecked."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.state_file import state_file
from tests.wallets.conftest import CLIENT, answered, define, open_core, opening, submit, transfer
from tests.wallets.test_compaction import daemon_at_work, live
from walletd.core import Core
from walletd.journal.memory_store import MemoryJournalStore
from walletd.vocabulary.commands import (
    CreateClient,
    FreezeWallet,
    Limits,
    OpenWallet,
    PlaceHold,
    Posting,
    RefundTransfer,
    UpdateWallet,
    Window,
)
from walletd.vocabulary.identifiers import DAEMON
from walletd.wallets import snapshot
from walletd.wallets.read_tables import FILE_NAME, ReadTablesRotten
from walletd.wallets.snapshot import check_snapshot
from walletd.wallets.table_rows import SCHEMA

TABLES = [line.split()[2] for line in SCHEMA.splitlines() if line.startswith("CREATE TABLE")]


async def a_row_of_every_kind(core: Core) -> None:
    """Enough commands for a row in every table."""
    soon = datetime.now(UTC) + timedelta(days=1)
    velocity = {"EUR": Limits(velocity=(Window(seconds=3600, amount="500"),))}
    back = RefundTransfer(command_id="r", transfer="t5", postings=(Posting("bob", "alice", "EUR", "1"),))
    create = CreateClient(command_id="c", client="shop", scopes=("operate",), token_sha256=sha256(b"token").hexdigest())
    for command, principal in (
        (define(), CLIENT),
        (OpenWallet(command_id="a", wallet="alice", metadata={"tier": "gold"}), CLIENT),
        (opening("bob"), CLIENT),
        (transfer("t", ("@external", "alice", 100), ("alice", "bob", 10)), CLIENT),
        (UpdateWallet(command_id="u", wallet="alice", limits=velocity), CLIENT),
        (PlaceHold(command_id="h", wallet="alice", asset="EUR", amount="7", expires_at=soon), CLIENT),
        (FreezeWallet(command_id="f", wallet="bob", frozen="debits", why="why"), CLIENT),
        (create, DAEMON),
        (back, CLIENT),
    ):
        await answered(submit(core, command, principal))


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Path]:
    """A copy of read tables that have rows of every kind."""
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await a_row_of_every_kind(core)
        await core.projector.reach(core.writer.durable_head)
        await snapshot._copy(tmp_path / FILE_NAME, tmp_path / "copy.db")
        yield tmp_path / "copy.db"


def changes_of(file: Path) -> list[tuple[str, str]]:
    """A change of each column of each table."""
    with state_file(file) as connection:
        found = []
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() != (0,), f"no row in {table}"
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                other = {"INTEGER": "977", "TEXT": "'another'", "BLOB": "x'00'"}[kind]
                some = f"(SELECT {column} FROM {table} LIMIT 1)"
                found.append((f"{table}.{column}", f"UPDATE {table} SET {column} = {other} WHERE {column} IS {some}"))
        return found


async def test_a_sound_copy_passes_and_says_where_it_stands(tables: Path) -> None:
    assert check_snapshot(tables) > 8


async def test_whatever_value_is_changed_in_any_table_is_found(tables: Path) -> None:
    whole = tables.read_bytes()
    unnoticed = []
    changes = changes_of(tables)
    assert len(changes) > 60
    for name, change in changes:
        tables.write_bytes(whole)
        with state_file(tables) as connection:
            connection.execute("PRAGMA ignore_check_constraints = 1")
            try:
                connection.execute(change)
            except apsw.ConstraintError:
                continue  # It cannot be so.
            assert connection.changes(), name
        try:
            check_snapshot(tables)
        except ReadTablesRotten:
            continue
        unnoticed.append(name)
    assert unnoticed == [f"progress.{column}" for column in ("format", "instance", "epoch", "time")], (
        "recovery compares these with the journal, all others are the check's own"
    )


async def test_whichever_bit_flips_is_found_or_changes_no_value(tables: Path) -> None:
    whole, seed = tables.read_bytes(), random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    rows, found = values_of(tables), 0
    for _ in range(300):
        place = chance.randrange(len(whole))
        tables.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        try:
            check_snapshot(tables)
        except ReadTablesRotten:
            found += 1
        else:
            assert values_of(tables) == rows, place
    assert found


def values_of(file: Path) -> dict[str, list[Any]]:
    with state_file(file) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
            for table in TABLES
            if table != "progress"
        }


def test_a_table_that_nobody_can_check_is_a_mistake_that_shows_at_once() -> None:
    with pytest.raises(AssertionError, match="unheard_of"):
        snapshot.seals_of(SCHEMA + "CREATE TABLE unheard_of (name TEXT PRIMARY KEY, record BLOB);")


async def test_a_table_or_an_index_too_few_is_found(tables: Path) -> None:
    whole = tables.read_bytes()
    for lost in ("TABLE outflow", "INDEX open_hold"):
        tables.write_bytes(whole)
        with state_file(tables) as connection:
            connection.execute(f"DROP {lost}")
        with pytest.raises(ReadTablesRotten, match="schema"):
            check_snapshot(tables)


async def archives_behind_rot(directory: Path) -> bool:
    """Whether a compaction archives, although a row that it took into its snapshot has rotted."""
    async with daemon_at_work(directory) as (store, core, compaction):
        await live(core)
        await core.projector.reach(core.writer.durable_head)
        with state_file(directory / FILE_NAME) as connection:
            connection.execute("UPDATE command SET sequence = 1 WHERE command_id = 't3'")
        try:
            await compaction.compact(keep_entries=5)
        except ReadTablesRotten:
            assert not list(directory.glob("snapshot*"))
        return bool(store.archive.last_sequence)


async def test_rot_in_the_read_tables_stops_before_anything_is_archived(tmp_path: Path) -> None:
    assert not await archives_behind_rot(tmp_path / "var")


async def test_a_snapshot_that_is_not_verified_before_archiving_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unchecked(file: Path) -> tuple[int, str]:
        with state_file(file) as connection:
            ((sequence,),) = connection.execute("SELECT sequence FROM progress").fetchall()
        return sequence, sha256(file.read_bytes()).hexdigest()

    monkeypatch.setattr(snapshot, "_checked", unchecked)
    assert await archives_behind_rot(tmp_path / "var"), "the planted bug would not be noticed"
