"""A snapshot's check: whatever is changed in it, wherever, is found; and nothing is archived behind one unchecked."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from tests.ledger import cases
from tests.state_file import state_file
from tests.wallets.conftest import CLIENT, answered, define, open_core, opening, submit, transfer
from tests.wallets.test_compaction import daemon_at_work, live, once, replayed
from walletd.daemon.engine import Engine
from walletd.journal.memory.store import MemoryJournalStore
from walletd.tables import file as table_file
from walletd.tables.file import FILE_NAME, ReadTablesRotten
from walletd.tables.schema import (
    SCHEMA,
)
from walletd.upkeep import snapshot
from walletd.upkeep.compaction import Compaction
from walletd.upkeep.snapshot import check_snapshot
from walletd.vocabulary.commands import CreateClient, WalletLimits, Window
from walletd.vocabulary.identifiers import DAEMON, OPERATOR, CommandId
from walletd.vocabulary.states import FrozenSide

TABLES = [line.split()[2] for line in SCHEMA.splitlines() if line.startswith("CREATE TABLE")]


async def a_row_of_every_kind(core: Engine) -> None:
    """Enough commands for a row in every table."""
    soon = datetime.now(UTC) + timedelta(days=1)
    velocity = {"EUR": WalletLimits(velocity=(Window(seconds=3600, amount="500"),))}
    back = cases.refund("t5", cases.posting("bob", "alice", "EUR", 1), command_id="r")
    create = CreateClient(
        command_id=CommandId("c"),
        client=OPERATOR,
        scopes=("admin",),
        token_sha256=sha256(b"token").hexdigest(),
    )
    for command, principal in (
        (define(), CLIENT),
        (cases.open_wallet("alice", command_id="a", metadata={"tier": "gold"}), CLIENT),
        (opening("bob"), CLIENT),
        (transfer("t", ("@external", "alice", 100), ("alice", "bob", 10)), CLIENT),
        (cases.update("alice", command_id="u", limits=velocity), CLIENT),
        (cases.place("alice", "EUR", 7, command_id="h", expires_at=soon), CLIENT),
        (cases.freeze("bob", FrozenSide.CREDITS, command_id="f", why="why"), CLIENT),
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
                other = {"INTEGER": "977", "TEXT": "'another'", "BLOB": "x'00'"}[str(kind)]
                some = f"(SELECT {column} FROM {table} LIMIT 1)"
                found.append((f"{table}.{column}", f"UPDATE {table} SET {column} = {other} WHERE {column} IS {some}"))
        return found


async def test_a_sound_copy_passes_and_says_where_it_stands(tables: Path) -> None:
    assert check_snapshot(tables) > 8


async def test_where_pages_have_no_sums_whatever_value_is_changed_in_any_table_is_found(
    no_page_sums: None, tables: Path
) -> None:
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


CACHE_KIBIBYTES = 64


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[tuple[Engine, Path]]:
    """A core whose read tables are many times as large as a cache of ``CACHE_KIBIBYTES``."""
    async with open_core(tmp_path, MemoryJournalStore()) as core:
        await a_row_of_every_kind(core)
        for n in range(400):
            metadata = {key: f"{n:03d}" * 160 for key in "abcd"}
            await answered(submit(core, cases.open_wallet(f"w{n}", command_id=f"w{n}", metadata=metadata)))
        await core.projector.reach(core.writer.durable_head)
        yield core, tmp_path / FILE_NAME


def vacuumed(tables: Path, copy: Path, cache_kibibytes: int) -> None:
    """How copies were made before: pages spill before the first one says that there are sums."""
    copy.unlink(missing_ok=True)
    source = table_file.open_for_reading(tables, cache_kibibytes)
    source.execute("VACUUM INTO ?", (str(copy),))
    source.close()
    table_file.close_copy(copy)


async def test_a_copy_larger_than_every_cache_is_whole(large: tuple[Engine, Path], tmp_path: Path) -> None:
    core, tables = large
    copy = tmp_path / "copy.db"
    for cache_kibibytes in (1, CACHE_KIBIBYTES, table_file.COPY_CACHE_KIBIBYTES):
        await snapshot._copy(tables, copy, cache_kibibytes)
        assert copy.stat().st_size > 10 * CACHE_KIBIBYTES * 1024
        assert check_snapshot(copy, cache_kibibytes) == core.writer.durable_head
        assert values_of(copy) == values_of(tables)
        assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"], "no log goes with a copy"


async def test_a_copy_by_vacuum_is_noticed(large: tuple[Engine, Path], tmp_path: Path) -> None:
    _, tables = large
    vacuumed(tables, tmp_path / "copy.db", CACHE_KIBIBYTES)
    with pytest.raises(ReadTablesRotten):
        check_snapshot(tmp_path / "copy.db")


async def test_a_copy_shows_one_moment_while_the_tables_go_on(
    large: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, tables = large
    monkeypatch.setattr(snapshot, "STEP_PAGES", 16)
    monkeypatch.setattr(snapshot, "SYNC_SECONDS", 0)
    begun, written = core.projector.sequence, 0
    async with trio.open_nursery() as nursery:
        copied = trio.Event()

        async def write() -> None:
            nonlocal written
            while not copied.is_set():
                written += 1
                await answered(submit(core, transfer(f"during{written}", ("@external", "alice", 1))))
                await core.projector.reach(core.writer.durable_head)

        nursery.start_soon(write)
        await snapshot._copy(tables, tmp_path / "copy.db", CACHE_KIBIBYTES)
        copied.set()
    assert begun <= check_snapshot(tmp_path / "copy.db", CACHE_KIBIBYTES) <= begun + written
    assert written > 1, "nothing was written meanwhile, so that nothing is shown by this"


async def damaged_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Compaction:
    """A compaction whose copy is damaged on its way to the disk, and then one whose copy is not."""
    async with daemon_at_work(directory) as (_, core, compaction):
        await live(core)
        plain = snapshot._copy

        async def copy(tables: Path, copy: Path) -> None:
            await plain(tables, copy)
            content = bytearray(copy.read_bytes())
            content[len(content) // 2] ^= 1
            copy.write_bytes(content)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            with monkeypatch.context() as patch:
                patch.setattr(snapshot, "_copy", copy)
                await once(compaction)
            assert (compaction.runs, compaction.failures) == (0, 1)
            assert "state.db itself is sound" in (compaction.last_failure or "")
            assert (directory / FILE_NAME).exists()
            assert not list(directory.glob("snapshot*"))
            await replayed(core, 3)
            await once(compaction)
            nursery.cancel_scope.cancel()
        return compaction


async def test_a_damaged_copy_ends_the_compaction_and_says_nothing_of_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compaction = await damaged_once(tmp_path / "var", monkeypatch)
    assert (compaction.runs, compaction.failures, compaction.last_failure) == (1, 1, None)


async def test_a_copy_whose_original_is_taken_for_damaged_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trusting(tables: Path, copy: Path) -> tuple[int, str]:
        await snapshot._copy(tables, copy)
        return await snapshot._checked(copy)

    monkeypatch.setattr(snapshot, "_copied_and_checked", trusting)
    with pytest.raises(ExceptionGroup) as raised:
        await damaged_once(tmp_path / "var", monkeypatch)
    assert raised.value.subgroup(ReadTablesRotten), "the planted bug would not be noticed"


async def compacted(directory: Path) -> Path:
    """A journal with a snapshot and without read tables; the snapshot."""
    async with daemon_at_work(directory) as (_, core, compaction):
        await live(core)
        await compaction.compact(keep_entries=5)
    table_file.delete_tables(directory / FILE_NAME)
    (found,) = directory.glob("snapshot-*.db")
    return found


async def test_a_snapshot_whose_copy_is_damaged_is_copied_again_and_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "var"
    found = await compacted(directory)
    plain, bad = snapshot._copy_file, [1]

    def copy_file(source: Path, target: Path) -> None:
        plain(source, target)
        if bad:
            bad.pop()
            target.write_bytes(target.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(snapshot, "_copy_file", copy_file)
    restored = snapshot.restore_newest(directory)
    assert restored is not None
    assert (restored.path, check_snapshot(directory / FILE_NAME)) == (found, restored.sequence)
    table_file.delete_tables(directory / FILE_NAME)
    bad += [1, 1]
    assert snapshot.restore_newest(directory) is None
    assert found.exists()
    assert not list(directory.glob("*.unfinished"))
    async with daemon_at_work(directory) as (_, core, _):
        await replayed(core)


async def test_a_snapshot_that_leads_to_damaged_tables_is_given_up_for_the_journal(tmp_path: Path) -> None:
    """Its digest is right, because it was wrong when the digest was made."""
    directory = tmp_path / "var"
    found = await compacted(directory)
    content = bytearray(found.read_bytes())
    content[40] ^= 1
    found.unlink()
    name = f"snapshot-{found.name.split('-')[1]}-{sha256(content).hexdigest()}.db"
    (directory / name).write_bytes(content)
    async with daemon_at_work(directory) as (_, core, _):
        await replayed(core)
    assert not list(directory.glob("snapshot-*"))


async def archives_behind_rot(directory: Path) -> bool:
    """Whether a compaction archives, although a balance that it took into its snapshot is wrong."""
    async with daemon_at_work(directory) as (store, core, compaction):
        await live(core)
        await core.projector.reach(core.writer.durable_head)
        with state_file(directory / FILE_NAME) as connection:
            connection.execute("UPDATE balance_change SET posted = '1' || posted WHERE wallet = 'bob'")
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
        assert isinstance(sequence, int)
        return sequence, sha256(file.read_bytes()).hexdigest()

    monkeypatch.setattr(snapshot, "_checked", unchecked)
    assert await archives_behind_rot(tmp_path / "var"), "the planted bug would not be noticed"
