"""Compaction step by step: a crash at any moment loses nothing, a snapshot is never used unchecked, the policy asks."""

import errno
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import apsw
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.archive import file as archive_file
from walletd.journal.archive.file import ArchiveWriter
from walletd.journal.failures import JournalCorrupt, JournalDetached, JournalFull
from walletd.journal.offline import open_offline
from walletd.journal.segment import records
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.ledger.audit import Audit
from walletd.upkeep import compaction as steps
from walletd.upkeep import snapshot
from walletd.upkeep.compaction import Compaction, CompactionPolicy
from walletd.upkeep.snapshot import SnapshotDamaged
from walletd.vocabulary.entries import decode_entry
from walletd.wallets.submission import Answer

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
ROUNDS = 30


@asynccontextmanager
async def daemon_at_work(
    directory: Path, **policy: Any
) -> AsyncIterator[tuple[SqliteJournalStore, Engine, Compaction]]:
    """A store, a core over it, and a compaction that runs when it is told."""
    policy.setdefault("keep_entries", 5)
    async with open_journal(directory) as store, open_core(directory, store) as core:
        yield store, core, Compaction(store, core.projector, directory, CompactionPolicy(**policy), clock=lambda: NOON)


async def live(core: Engine, rounds: int = ROUNDS, name: str = "t") -> None:
    """Some payments, each in a segment of its own."""
    await answered(submit(core, define()), submit(core, opening("alice")), submit(core, opening("bob")))
    for n in range(rounds):
        await answered(submit(core, transfer(f"{name}{n}", ("@external", "alice", 10), ("alice", "bob", 3))))


def journal_of(directory: Path) -> list[bytes]:
    return [line for segment in open_offline(directory).segments() for line in records(segment)]


def audited(directory: Path) -> list[str]:
    audit = Audit()
    for record in journal_of(directory):
        audit.fold(decode_entry(record))
    return audit.close()


async def replayed(core: Engine, rounds: int = ROUNDS) -> None:
    """Every payment again: each is answered as it was, and none is applied twice."""
    for n in range(rounds):
        outcomes = submit(core, transfer(f"t{n}", ("@external", "alice", 10), ("alice", "bob", 3)))
        await answered(outcomes)
        (answer,) = outcomes
        assert isinstance(answer, Answer)
        assert answer.replayed


def crashes_at_every_step(monkeypatch: pytest.MonkeyPatch, directory: Path, copies: Path) -> list[tuple[str, Path]]:
    """Copy the directory, as a crash would leave it, before and after whatever compaction does to the files."""
    found: list[tuple[str, Path]] = []

    def copy(when: str) -> None:
        target = copies / f"{len(found):03d}"
        subprocess.run(["cp", "-r", directory, target], check=True)
        found.append((when, target))

    def around(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            copy(f"before {name}")
            result = function(*arguments, **named)
            copy(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, call)

    def around_await(owner: Any, name: str) -> None:
        function: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            copy(f"before {name}")
            result = await function(*arguments, **named)
            copy(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, call)

    around_await(steps, "take")
    for name in ("add", "sync", "read_back", "commit"):
        around(ArchiveWriter, name)
    for name in ("prepare_to_prune", "prune", "shrink"):
        around_await(SqliteJournalStore, name)
    rename = Path.rename

    def renamed(path: Path, target: Path) -> Path:
        copy("before a rename")
        result = rename(path, target)
        copy("after a rename")
        return result

    monkeypatch.setattr(Path, "rename", renamed)
    return found


async def test_a_crash_at_any_step_leaves_a_journal_that_starts_verifies_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr("walletd.journal.sqlite.store.PRUNE_BYTES", 9000)
    monkeypatch.setattr(steps, "READ_BYTES", 9000)
    monkeypatch.setattr(steps, "FILE_BYTES", 2000)
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        before = core.writer.durable_head
        with monkeypatch.context() as patch:
            crashed = crashes_at_every_step(patch, tmp_path / "var", copies)
            await compaction.compact(keep_entries=5)
        assert store.archive.last_sequence == before - 5
    whole = journal_of(tmp_path / "var")
    assert len(whole) == before
    kinds = {when for when, _ in crashed}
    assert {"before take", "after a rename", "after add", "before commit", "after prune", "after shrink"} <= kinds
    assert len(crashed) >= 24
    for number, (when, directory) in enumerate(crashed):
        assert journal_of(directory) == whole, when
        if number % 2:
            for file in directory.glob("state.db*"):
                file.unlink()
        async with daemon_at_work(directory) as (store, core, compaction):
            assert core.writer.durable_head == before, when
            await replayed(core, rounds=3)
            await answered(submit(core, transfer("later", ("alice", "bob", 1))))
            await compaction.compact(keep_entries=2)
            assert store.archive.last_sequence == before + 1 - 2, when
            assert not list(directory.rglob("*.unfinished")), when
            assert not await store.has_archived_segments(), when
        assert journal_of(directory)[:before] == whole, when
        assert audited(directory) == [], when


async def test_commands_reads_and_streams_go_on_over_what_is_archived(tmp_path: Path) -> None:
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.compact, 5)
            for n in range(20):
                await answered(submit(core, transfer(f"during{n}", ("@external", "bob", 1))))
        assert store.archive.last_sequence > ROUNDS // 2
        await replayed(core)
        sequence = 0
        while entries := await core.stored.history.entries_after(sequence):
            assert entries[0].entry.sequence == sequence + 1
            sequence = entries[-1].entry.sequence
        assert sequence == core.writer.durable_head


async def test_many_compactions_follow_each_other(tmp_path: Path) -> None:
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        for round_number in range(4):
            await live(core, 8, f"r{round_number}-")
            await compaction.compact(keep_entries=1 + round_number)
        assert len(store.archive.files) == 4
        assert store.archive.frontier.size == store.archive.last_sequence
        assert len(list((tmp_path / "var").glob("snapshot-*.db"))) == 1
    assert audited(tmp_path / "var") == []


async def test_the_newest_segment_and_the_marked_one_always_stay(tmp_path: Path) -> None:
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core, 3)
        await compaction.compact(keep_entries=1)
        assert store.archive.last_sequence == core.writer.durable_head - 1
        await compaction.compact(keep_entries=1)
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        assert (await store.head()).sequence == core.writer.durable_head


async def test_a_compaction_that_archives_nothing_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with daemon_at_work(tmp_path / "var") as (_, core, compaction):
        await live(core, 3)
        await compaction.compact(keep_entries=1_000_000)
        assert "compacted: no entry was old enough to be archived, " in caplog.text
        await compaction.compact(keep_entries=1)
        assert "are archived, " in caplog.text


async def test_a_snapshot_that_has_rotted_is_not_used(tmp_path: Path) -> None:
    var = tmp_path / "var"
    async with daemon_at_work(var) as (_, core, compaction):
        await live(core)
        await compaction.compact(keep_entries=5)
    (snapshot,) = var.glob("snapshot-*.db")
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 2] ^= 1
    snapshot.write_bytes(content)
    for file in var.glob("state.db*"):
        file.unlink()
    async with daemon_at_work(var) as (_, core, _):
        assert not list(var.glob("snapshot-*.db"))
        await replayed(core)


async def test_a_compaction_leaves_the_file_where_it_is_and_another_in_its_place_is_still_noticed(
    tmp_path: Path,
) -> None:
    """The journal refuses to write once its file was moved away: compaction deletes rows, it replaces no file."""
    var = tmp_path / "var"
    async with daemon_at_work(var) as (store, core, compaction):
        await live(core)
        before = {name: (var / name).stat().st_ino for name in ("journal.db", "journal.db-wal")}
        size = (var / "journal.db").stat().st_size
        await compaction.compact(keep_entries=1)
        await store.checkpoint()
        assert {name: (var / name).stat().st_ino for name in before} == before
        assert (var / "journal.db").stat().st_size < size + 50_000
        await answered(submit(core, transfer("after", ("alice", "bob", 1))))
        subprocess.run(["cp", var / "journal.db", var / "journal.copy"], check=True)
        (var / "journal.copy").rename(var / "journal.db")
        with pytest.raises(JournalDetached):
            await store.probe()


async def test_a_disk_that_gives_back_something_else_is_not_trusted_with_the_only_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ArchiveWriter.add
    monkeypatch.setattr(ArchiveWriter, "add", lambda self, block: original(self, block[:-9] + b"x" + block[-8:]))
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            await once(compaction)
            nursery.cancel_scope.cancel()
        assert "does not come back" in (compaction.last_failure or "")
        assert store.archive.last_sequence == 0
        assert not list((tmp_path / "var").rglob("*.unfinished"))
        await replayed(core, 3)


async def test_an_archive_file_gets_its_name_only_once_its_list_of_contents_was_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = archive_file._encode_contents
    damages: list[Callable[[bytes], bytes]] = [lambda encoded: encoded[:-1] + b"?"]

    def encode(contents: Any) -> Any:
        encoded = plain(contents)
        return Spoilt(encoded) if damages else encoded

    class Spoilt(bytes):
        """Something else on the disk than what its digest was made of."""

        def __add__(self, tail: Any) -> bytes:
            return damages.pop()(bytes(self)) + bytes(tail)

    monkeypatch.setattr(archive_file, "_encode_contents", encode)
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            await once(compaction)
            assert "do not have the digest" in (compaction.last_failure or "")
            assert not list((tmp_path / "var/archive").iterdir())
            await once(compaction)
            assert (compaction.runs, compaction.failures) == (1, 1)
            nursery.cancel_scope.cancel()
        assert store.archive.last_sequence
    async with daemon_at_work(tmp_path / "var") as (_, core, _):
        await replayed(core, 3)


async def test_without_room_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        monkeypatch.setattr(steps, "free_bytes", lambda directory: 1000)
        with pytest.raises(JournalFull, match="1000 are free"):
            await compaction.compact(keep_entries=5)
        assert store.archive.last_sequence == 0


async def test_an_archive_file_of_another_history_is_refused(tmp_path: Path) -> None:
    for name, amount in (("one", 5), ("two", 6)):
        async with daemon_at_work(tmp_path / name) as (_, core, compaction):
            await live(core, amount)
            await compaction.compact(keep_entries=3)
    subprocess.run(["rm", "-r", tmp_path / "one/archive"], check=True)
    subprocess.run(["cp", "-r", tmp_path / "two/archive", tmp_path / "one/archive"], check=True)
    with pytest.raises(JournalCorrupt):
        async with open_journal(tmp_path / "one"):
            raise AssertionError("it was opened")


@pytest.mark.parametrize(
    ("policy", "is_due"),
    [
        ({}, False),
        ({"journal_bytes": 1}, True),
        ({"journal_bytes": 10**9}, False),
        ({"age": timedelta(0)}, True),
        ({"age": timedelta(days=36500)}, False),
        ({"keep_entries": 10_000, "journal_bytes": 1}, False),
    ],
)
async def test_the_policy_asks_by_size_and_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: dict[str, Any], is_due: bool
) -> None:
    monkeypatch.setattr(steps, "LEAST_ENTRIES", 10)
    async with open_journal(tmp_path / "var") as store, open_core(tmp_path / "var", store) as core:
        await live(core, 20)
        compaction = Compaction(
            store,
            core.projector,
            tmp_path / "var",
            CompactionPolicy(**{"keep_entries": 5, **policy}),
            clock=lambda: datetime.now(UTC),
        )
        assert await compaction.is_due() is is_due


async def test_the_policy_asks_once_a_day_at_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LEAST_ENTRIES", 10)
    local = datetime(2026, 5, 5, 12).astimezone()
    now = [local]
    async with open_journal(tmp_path / "var") as store, open_core(tmp_path / "var", store) as core:
        await live(core, 20)
        policy = CompactionPolicy(keep_entries=5, at="13:00")
        compaction = Compaction(store, core.projector, tmp_path / "var", policy, clock=lambda: now[0])
        asked = []
        for hours in (0, 0.9, 1, 1.1, 23, 24, 25, 26, 50):
            now[0] = local + timedelta(hours=hours)
            asked.append(await compaction.is_due())
        assert asked == [False, False, True, False, False, False, True, False, True]


async def test_free_pages_do_not_make_the_policy_ask_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LEAST_ENTRIES", 1)
    monkeypatch.setattr("walletd.journal.sqlite.store.MAX_SHRUNK_PAGES", 0)
    async with daemon_at_work(tmp_path / "var", keep_entries=2, journal_bytes=50_000) as (store, core, compaction):
        await live(core, 60)
        await store.checkpoint()
        assert await compaction.is_due()
        await compaction.compact(keep_entries=2)
        size = (tmp_path / "var/journal.db").stat().st_size
        await answered(submit(core, transfer("one more", ("alice", "bob", 1))))
        assert not await compaction.is_due()
        await live(core, 30, "again")
        await store.checkpoint()
        assert (tmp_path / "var/journal.db").stat().st_size <= size


async def test_many_free_pages_are_given_back_at_the_next_start_when_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.journal.sqlite.store.MAX_FREED_PAGES", 4)
    file = tmp_path / "var/journal.db"
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core, 120)
        await store.checkpoint()
        size = file.stat().st_size
        await compaction.compact(keep_entries=1)
        await store.checkpoint()
        assert file.stat().st_size >= size
        whole = core.writer.durable_head
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        assert file.stat().st_size < size / 2
        assert core.writer.durable_head == whole
        await replayed(core, 3)


NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def _no_room(*_: Any) -> None:
    raise NO_ROOM


def _no_room_for_a_row(*_: Any) -> None:
    raise apsw.FullError("database or disk is full")


async def _no_room_for_a_commit(*_: Any) -> bool:
    raise JournalFull("database or disk is full")


@pytest.mark.parametrize(
    ("owner", "name", "failing", "is_archived"),
    [
        (snapshot, "close_copy", _no_room_for_a_row, False),
        (ArchiveWriter, "add", _no_room, False),
        (ArchiveWriter, "sync", _no_room, False),
        (ArchiveWriter, "commit", _no_room, False),
        (SqliteJournalStore, "prune", _no_room_for_a_commit, True),
        (SqliteJournalStore, "shrink", _no_room_for_a_commit, True),
    ],
)
async def test_a_full_disk_ends_the_compaction_and_not_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, failing: Any, is_archived: bool
) -> None:
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, failing)
                await once(compaction)
            why = (compaction.status.last_failure or "").lower()
            assert "no space left" in why or "full" in why
            assert bool(store.archive.last_sequence) == is_archived
            assert not list((tmp_path / "var").rglob("*.unfinished"))
            await replayed(core, 3)
            await once(compaction)
            assert (compaction.status.runs, compaction.status.failures, compaction.status.last_failure) == (1, 1, None)
            assert not await store.has_archived_segments()
            nursery.cancel_scope.cancel()
    assert audited(tmp_path / "var") == []


class Asked(Compaction):
    """A compaction over no journal, whose policy always asks for it, and which fails for as long as it is told to."""

    def __init__(self, fails: int) -> None:
        never = datetime(2026, 5, 5, tzinfo=UTC)
        store = SimpleNamespace(has_archived_segments=_has_none)
        super().__init__(cast(Any, store), cast(Any, None), Path(), CompactionPolicy(1), clock=lambda: never)
        self.fails = fails
        self.asked: list[float] = []

    async def is_due(self) -> bool:
        return True

    async def compact(self, keep_entries: int) -> None:
        self.asked.append(trio.current_time())
        if len(self.asked) <= self.fails:
            raise SnapshotDamaged("a page")


async def _has_none() -> bool:
    return False


def waits(compaction: Asked) -> list[int]:
    return [round(later - earlier) for earlier, later in pairwise([0, *compaction.asked])]


async def test_a_policy_that_fails_again_and_again_waits_longer_each_time(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun = trio.current_time()
    compaction = Asked(fails=12)
    with trio.move_on_after(60 * 3600):
        await compaction.run()
    assert begun == 0
    least, most = round(steps.POLICY_SECONDS), round(steps.MOST_POLICY_SECONDS)
    assert waits(compaction)[:14] == [*[least * 2**n for n in range(9)], most, most, most, most, least]
    assert compaction.failures == 12
    assert "the policy is checked again in 480 s" in caplog.text


async def test_a_request_does_not_wait_for_the_policys_patience(autojump_clock: MockClock) -> None:
    compaction = Asked(fails=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(compaction.run)
        await trio.sleep(steps.POLICY_SECONDS * 31.5)
        assert len(compaction.asked) == 5
        compaction.request()
        await trio.testing.wait_all_tasks_blocked()
        assert len(compaction.asked) == 6
        assert compaction.policy_seconds == steps.POLICY_SECONDS
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("failing", ["_copy", "_checked"])
async def test_without_a_file_descriptor_a_compaction_ends_and_not_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    async with daemon_at_work(tmp_path / "var") as (_, core, compaction):
        await live(core)
        plain: Callable[..., Awaitable[Any]] = getattr(snapshot, failing)

        async def without(*arguments: Any) -> Any:
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.open("/dev/null", os.O_RDONLY)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            try:
                return await plain(*arguments)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            with monkeypatch.context() as patch:
                patch.setattr(snapshot, failing, without)
                await once(compaction)
            assert compaction.failures == 1
            await once(compaction)
            assert (compaction.runs, compaction.failures) == (1, 1)
            nursery.cancel_scope.cancel()


async def once(compaction: Compaction) -> None:
    """Have a compaction run, and wait for its end."""
    ended = trio.Event()
    compaction.on_end.add(ended.set)
    compaction.request(5)
    with trio.fail_after(60):
        await ended.wait()


@pytest.mark.parametrize("step", ["snapshot", "archiving", "proving", "pruning"])
async def test_a_compaction_can_be_stopped_at_any_step_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr("walletd.journal.sqlite.store.PRUNE_BYTES", 2000)
    async with daemon_at_work(tmp_path / "var") as (store, core, compaction):
        await live(core, 60)

        async def stop() -> None:
            while compaction.step != step:
                await trio.lowlevel.checkpoint()
            compaction.stop()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(compaction.run)
            nursery.start_soon(stop)
            await once(compaction)
            assert compaction.failures == 1
            assert "stopped" in (compaction.last_failure or "")
            assert not (tmp_path / "var/snapshot.unfinished").exists()
            await replayed(core, 2)
            await once(compaction)
            assert compaction.runs == 1
            assert not await store.has_archived_segments()
            nursery.cancel_scope.cancel()
    assert audited(tmp_path / "var") == []
