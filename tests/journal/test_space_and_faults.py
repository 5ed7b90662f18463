"""A disk that runs full, a log that cannot be folded away, a thread that dies: certain, or the end of the process."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import trio

from tests.faults.tally import missing
from tests.journal.chains import Chain
from tests.journal.outcomes import Told
from tests.journal.writing import Died
from walletd.journal.failures import CheckpointFailing, JournalFull, OutcomeUnknown
from walletd.journal.merkle import Frontier
from walletd.journal.sqlite import charter
from walletd.journal.sqlite import store as sqlite_store
from walletd.journal.sqlite.directory import BALLAST_NAME, DATABASE_NAME, Ballast, free_bytes
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.journal.sqlite.wal import wal_path
from walletd.journal.store import GENESIS
from walletd.journal.writer import JournalWriter, WriterLimits

Crash = Callable[[Path], Path]
KIBIBYTE = 1024


def die(reason: str) -> NoReturn:
    raise Died(reason)


# The floor: full before it is full.


async def test_below_the_floor_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain()
    async with open_journal(tmp_path, space_floor_bytes=1000) as store:
        first = await chain.append_to(store)
        segment = chain.next()
        monkeypatch.setattr(sqlite_store, "free_bytes", lambda _: 1000)
        with pytest.raises(JournalFull, match="the floor is 1000"):
            await store.append(1, segment)
        monkeypatch.setattr(sqlite_store, "free_bytes", lambda _: 1124)
        with pytest.raises(JournalFull):  # it would be full again at once
            await store.probe()
        assert await store.read(0) == [first]

        monkeypatch.setattr(sqlite_store, "free_bytes", lambda _: 100_000_000)
        await store.probe()
        await store.append(1, segment)
        assert await store.read(0) == [first, segment]


async def test_the_ballast_is_made_of_real_blocks_and_restored(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path, 100_000)
    assert ballast.missing_bytes == 100_000
    ballast.restore()
    assert ballast.missing_bytes == 0
    assert (tmp_path / BALLAST_NAME).stat().st_blocks * 512 >= 100_000

    ballast.drop()
    ballast.drop()
    assert ballast.missing_bytes == 100_000
    (tmp_path / BALLAST_NAME).write_bytes(b"half")
    ballast.restore()
    assert (tmp_path / BALLAST_NAME).stat().st_size == 100_000


# The log: folded away between commits, or not allowed to grow.


async def test_the_log_is_folded_away_when_it_has_grown(tmp_path: Path) -> None:
    chain = Chain()
    async with open_journal(tmp_path, checkpoint_bytes=100_000) as store:
        for _ in range(3):
            while not store.checkpoint_due:
                await chain.append_to(store, padding=3000)
            await store.checkpoint()
            assert not store.checkpoint_due
        assert wal_path(tmp_path / DATABASE_NAME).stat().st_size < 200_000, "the log is used again, not extended"
        assert len(await store.read(0)) == chain.head


async def test_three_failing_checkpoints_in_a_row_stop_the_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    chain = Chain()
    async with open_journal(tmp_path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_store, "fold_log", failing)
            patch.setattr(sqlite_store, "truncate_log", failing)
            for _ in range(3):
                await chain.append_to(store)
                await store.checkpoint()
            segment = chain.next()
            with pytest.raises(CheckpointFailing, match="3 checkpoints failed in a row"):
                await store.append(3, segment)
            with pytest.raises(CheckpointFailing):
                await store.probe()
        await store.probe()
        await store.append(3, segment)


async def test_a_checkpoint_that_folds_only_a_part_has_failed(tmp_path: Path) -> None:
    class Partly:
        async def rows(self, statement: str) -> list[tuple[int, int, int]]:
            return [(0, 10, 9)]

    with pytest.raises(Exception, match=r"answers \(0, 10, 9\)"):
        await charter.fold_log(Partly())  # type: ignore[arg-type]


# A disk that is really full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    if os.geteuid() != 0:
        missing("root", "only root can mount a small file system")
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], check=False).returncode:
        missing("the right to mount", "give the container CAP_SYS_ADMIN")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(disk: Path, free_pages: int) -> Path:
    """Take all but so many pages of the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        file.write(bytes(max(0, free_bytes(disk) - free_pages * 4096)))
    return filler


def top_up(filler: Path, disk: Path) -> None:
    """Fill what has become free since."""
    with filler.open("ab", buffering=0) as file:
        file.write(bytes(free_bytes(disk)))


async def append_until_full(store: SqliteJournalStore, chain: Chain, *, at_once: bool = False) -> None:
    """Append until the store refuses; the chain then ends where the store must end."""
    while True:
        frontier = chain.frontier.copy()
        try:
            if at_once:
                await append_at_once(store, chain)
            else:
                await chain.append_to(store, padding=300)
        except JournalFull:
            chain.frontier = frontier
            return


async def append_at_once(store: SqliteJournalStore, chain: Chain) -> None:
    """As the writer does at the end of a turn."""
    head = chain.head
    try:
        store.append_now(head, chain.next(padding=300))
    except Exception as error:
        await store.explain(error)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("free_pages", range(8))
async def test_what_a_full_disk_refused_does_not_come_back_after_a_crash(
    small_disk: Path, crash: Crash, free_pages: int, at_once: bool
) -> None:
    chain = Chain()
    directory = small_disk / "journal"
    async with open_journal(directory, space_floor_bytes=0, ballast_bytes=128 * KIBIBYTE) as store:
        await chain.append_to(store, padding=300)
        filler = fill(small_disk, free_pages)
        await append_until_full(store, chain, at_once=at_once)
        crashed = crash(directory)
        assert (await store.head()).sequence == chain.head, "reads go on"

        filler.unlink()
        await store.probe()
        await chain.append_to(store, padding=300)
        assert (directory / BALLAST_NAME).stat().st_size == 128 * KIBIBYTE
        assert (await store.head()).root == chain.frontier.root()
    async with open_journal(crashed, ballast_bytes=0) as store:
        assert (await store.head()).sequence == chain.head - 1


async def test_without_folding_the_log_away_it_would_come_back(
    small_disk: Path, crash: Crash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: believe SQLITE_FULL.  The padding behind a commit finds no room, the commit is in the log."""

    async def believe(self: SqliteJournalStore, error: Exception) -> NoReturn:
        raise JournalFull("SQLite says so") from error

    monkeypatch.setattr(SqliteJournalStore, "explain", believe)
    came_back = 0
    for free_pages in range(8):
        chain = Chain()
        directory = small_disk / f"journal-{free_pages}"
        async with open_journal(directory, space_floor_bytes=0, ballast_bytes=0) as store:
            await chain.append_to(store, padding=300)
            filler = fill(small_disk, free_pages)
            await append_until_full(store, chain)
            crashed = crash(directory)
            filler.unlink()
        async with open_journal(crashed, ballast_bytes=0) as store:
            came_back += (await store.head()).sequence > chain.head
    assert came_back > 0


@pytest.mark.parametrize("free_pages", range(4))
async def test_on_a_full_disk_the_reserve_takes_entries_until_it_is_used_up(
    small_disk: Path, crash: Crash, free_pages: int
) -> None:
    chain = Chain()
    directory = small_disk / "journal"
    kept = 128 * KIBIBYTE
    async with open_journal(directory, space_floor_bytes=0, ballast_bytes=kept, reserve_bytes=kept) as store:
        await chain.append_to(store, padding=300)
        filler = fill(small_disk, free_pages)
        await append_until_full(store, chain)
        top_up(filler, small_disk)
        taken = 0
        while True:
            frontier, head = chain.frontier.copy(), chain.head
            try:
                await store.append_reserved(head, chain.next(padding=300))
            except JournalFull:
                chain.frontier = frontier
                break
            taken += 1
            if taken % 8 == 1:  # A kill at this moment, and a start.
                async with open_journal(crash(directory), space_floor_bytes=0, ballast_bytes=0) as again:
                    assert (await again.head()).sequence == chain.head
        assert taken >= 8
        assert (await store.head()).root == chain.frontier.root()

        filler.unlink()
        await store.probe()
        await chain.append_to(store, padding=300)
        assert (directory / BALLAST_NAME).stat().st_size == 2 * kept
    async with open_journal(directory, space_floor_bytes=0, ballast_bytes=0) as store:
        assert (await store.head()).root == chain.frontier.root()


async def test_below_the_floor_the_reserve_is_not_touched_while_there_is_space(tmp_path: Path) -> None:
    chain = Chain()
    async with open_journal(tmp_path, space_floor_bytes=2**60, ballast_bytes=0, reserve_bytes=64 * KIBIBYTE) as store:
        store._ballast.restore()
        with pytest.raises(JournalFull):
            await Chain().append_to(store)
        await store.append_reserved(0, chain.next(padding=300))
        assert (tmp_path / BALLAST_NAME).stat().st_size == 64 * KIBIBYTE
        assert (await store.head()).sequence == 1


async def test_a_full_disk_without_ballast_is_not_certain(small_disk: Path) -> None:
    chain = Chain()
    async with open_journal(small_disk / "journal", space_floor_bytes=0, ballast_bytes=0) as store:
        for _ in range(20):
            await chain.append_to(store, padding=3000)
        filler = fill(small_disk, 1)
        with pytest.raises(OutcomeUnknown, match="could not be cleaned up"):
            await append_until_full(store, chain)
        filler.unlink()


async def test_a_journal_on_a_full_disk_opens_for_reading(small_disk: Path, crash: Crash) -> None:
    chain = Chain()
    directory = small_disk / "journal"
    async with open_journal(directory, space_floor_bytes=0, ballast_bytes=128 * KIBIBYTE) as store:
        for _ in range(20):
            await chain.append_to(store, padding=3000)
        crashed = crash(directory)
    subprocess.run(["rm", "-r", directory], check=True)
    subprocess.run(["cp", "-r", crashed, directory], check=True)
    filler = fill(small_disk, 0)
    async with open_journal(directory, space_floor_bytes=0, ballast_bytes=128 * KIBIBYTE) as store:
        assert (await store.head()).sequence == 20
        filler.unlink()
        await store.probe()
        await chain.append_to(store)


async def test_the_writer_lives_through_a_full_disk_again_and_again(small_disk: Path) -> None:
    durable: list[int] = []
    rolled_back: list[int] = []
    recovered = trio.Event()
    async with open_journal(
        small_disk / "journal", space_floor_bytes=0, ballast_bytes=200 * KIBIBYTE, checkpoint_bytes=50_000
    ) as store:
        writer: JournalWriter[None] = JournalWriter(
            store,
            Frontier(),
            GENESIS,
            outcome=Told(
                lambda batch: durable.extend(pending.sequence for pending in batch),
                lambda batch, full: rolled_back.append(len(batch)),
                lambda: recovered.set(),
            ),
            die=die,
            limits=WriterLimits(probe_interval_seconds=0.01),
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(writer.run)
            for cycle in range(5):
                filler = fill(small_disk, cycle)
                while writer.degraded is None:
                    writer.append(writer.head + 1, b'{"padding":"%s"}' % (b"x" * 500), None)
                    await writer.drain()
                filler.unlink()
                with trio.fail_after(60):
                    await recovered.wait()
                recovered = trio.Event()
            nursery.cancel_scope.cancel()
        assert durable == list(range(1, writer.durable_head + 1))
        assert (await store.head()).sequence == writer.durable_head
    assert len(rolled_back) == 5


# A thread that is dead, and callers that go away.


class Undeliverable:
    """A future whose result cannot be posted: what kills the worker thread of aiosqlite."""

    def get_loop(self) -> NoReturn:
        raise RuntimeError("the loop is closed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning", "ignore::ResourceWarning")
async def test_a_dead_thread_ends_the_process_in_commits_and_in_closing(tmp_path: Path) -> None:
    """Here with a commit that wants the thread; others are made without it, until the log is to be folded away."""
    reasons: list[str] = []

    def noting(reason: str) -> NoReturn:
        reasons.append(reason)
        raise Died(reason)

    with pytest.raises(BaseException) as raised:  # noqa: PT011 - a group may be around it
        async with open_journal(tmp_path, silence_seconds=0.1, die=noting) as store:
            store._connection._commits._in_thread = 1
            sqlite = store._connection._connection
            sqlite._tx.put_nowait((Undeliverable(), lambda: None))  # type: ignore[arg-type]
            writer: JournalWriter[None] = JournalWriter(
                store,
                Frontier(),
                GENESIS,
                outcome=Told(lambda batch: reasons.append("told"), lambda batch, full: reasons.append("told")),
                die=noting,
                limits=WriterLimits(watchdog_seconds=0.1),
            )
            writer.append(1, b"{}", None)
            await writer.run()
    sqlite._connection = None  # the end of the process would have closed it

    assert isinstance(raised.value, Died) or raised.group_contains(Died)
    assert reasons == [
        "the journal has not answered for 0.1 s",
        "SQLite's thread no longer answers, so the journal cannot be closed",
    ]


async def test_readers_may_be_cancelled_at_any_time(tmp_path: Path) -> None:
    chain = Chain()
    async with open_journal(tmp_path) as store:
        for round_number in range(30):
            with trio.move_on_after(round_number * 0.0001):
                await store.read(0)
                await store.read_entry(1)
            segment = await chain.append_to(store)
        assert (await store.read(29))[-1] == segment
        assert not store._connection.in_transaction


async def test_the_journal_closes_properly_when_everything_around_it_is_cancelled(tmp_path: Path) -> None:
    chain = Chain()
    with trio.CancelScope() as scope:
        async with open_journal(tmp_path) as store:
            await chain.append_to(store)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not wal_path(tmp_path / DATABASE_NAME).exists(), "SQLite closed the journal and folded its log away"
    async with open_journal(tmp_path) as store:
        assert (await store.head()).sequence == 1


async def test_a_commit_under_way_is_finished_when_everything_is_cancelled(tmp_path: Path) -> None:
    told: list[int] = []
    with trio.CancelScope() as scope:
        async with open_journal(tmp_path) as store, trio.open_nursery() as nursery:
            writer: JournalWriter[None] = JournalWriter(
                store,
                Frontier(),
                GENESIS,
                outcome=Told(lambda batch: told.extend(pending.sequence for pending in batch)),
                die=die,
            )
            nursery.start_soon(writer.run)
            for sequence in range(1, 101):
                writer.append(sequence, b"{}", None)
            await trio.lowlevel.checkpoint()
            scope.cancel()
    async with open_journal(tmp_path) as store:
        assert (await store.head()).sequence == len(told) == 100


async def test_a_constraint_that_fails_is_never_called_certain(tmp_path: Path) -> None:
    chain = Chain()
    async with open_journal(tmp_path) as store:
        await store._connection.change("ALTER TABLE segment ADD COLUMN surprise INTEGER NOT NULL DEFAULT 0 CHECK (0)")
        with pytest.raises(OutcomeUnknown):
            await chain.append_to(store)
