"""Compaction: old segments leave ``journal.db`` for archive files, while the daemon serves.

    compaction = Compaction(store, projector, directory, policy, clock=clock)
    nursery.start_soon(compaction.run)
    compaction.request(keep_entries=10_000)            # or the policy asks

In this order, so that a kill between any two steps loses nothing and the next compaction continues from there:

1. snapshot: the read tables are copied, synced, and every row of the copy is checked;
2. archive: the segments that the snapshot covers are written to an archive file, synced, read back and proved;
3. prune: they are deleted from ``journal.db``, a megabyte at a time;
4. shrink: the file returns its free pages, if that is quick; otherwise they are reused.

Commits, reads and replies continue in between: every step is small, or runs in a thread or a separate process.
"""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import CalledProcessError
from typing import NamedTuple

import apsw
import trio
import trio.lowlevel

from walletd.journal.archive.archivable import Archivable, PacksItself
from walletd.journal.archive.archive import Archive
from walletd.journal.archive.file import ArchiveWriter, Origin, one_block, pack
from walletd.journal.failures import (
    CopyDamaged,
    JournalCorrupt,
    JournalFailure,
    JournalFull,
    OutcomeUnknown,
    damage_is_the_copys,
)
from walletd.journal.history import READ_BYTES, entries_of
from walletd.journal.sqlite.directory import free_bytes, make_directory
from walletd.protocol.messages.journal import CompactionStatus
from walletd.runtime.hook import Hook
from walletd.runtime.threads import in_thread
from walletd.tables.file import FILE_NAME
from walletd.tables.projector import Projector
from walletd.upkeep.snapshot import SnapshotDamaged, take

PAUSE_SECONDS = 0.002
"""The pause between two steps, so that commits and sockets come first."""

POLICY_SECONDS = 60.0
"""The interval at which the policy is checked."""

MOST_POLICY_SECONDS = 6 * 3600.0
"""The longest interval: it doubles after each failed compaction in a row, because each costs a whole copy."""

FILE_BYTES = 256 * 1024 * 1024
"""The approximate size of one archive file."""

PRUNE_ONLY = 2**53
"""As the number of entries to keep: archive nothing, but finish the work of a killed process."""

LEAST_ENTRIES = 1_000
"""The least number of entries that the policy archives, because each compaction makes a file."""

_FAILURES = (JournalFailure, SnapshotDamaged, OSError, sqlite3.Error, apsw.Error, CalledProcessError)
"""The failures that end a compaction and not the daemon: the journal and the read tables are unchanged."""

log = logging.getLogger("walletd.wallets")


class CompactionPolicy(NamedTuple):
    """When to compact without a request.  None disables a criterion."""

    keep_entries: int
    journal_bytes: int | None = None
    """When ``journal.db`` holds this much, not counting free pages, which would cause endless compaction."""
    age: timedelta | None = None
    """When its oldest entry is this old."""
    at: str | None = None
    """Each day at this time, such as ``03:30``, in the machine's zone."""


class Compaction:
    """At most one compaction at a time, its progress, and the last outcome."""

    def __init__(
        self,
        store: Archivable,
        projector: Projector,
        directory: Path,
        policy: CompactionPolicy,
        *,
        clock: Callable[[], datetime],
        space_floor_bytes: int = 0,
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        """``may_begin`` says whether a compaction may begin now; it then has begun, until ``on_end`` is called."""
        self._store = store
        self._projector = projector
        self._directory = directory
        self._policy = policy
        self._clock = clock
        self._space_floor_bytes = space_floor_bytes
        self._wanted = trio.Event()
        self._keep_entries = policy.keep_entries
        self._asked_last = clock()
        self._failed_in_a_row = 0
        self._scope = trio.CancelScope()
        self._may_begin = may_begin
        self.on_end: Hook[[]] = Hook()
        self.step = "idle"
        self.done = 0
        self.whole = 0
        self.runs = 0
        self.failures = 0
        self.last_failure: str | None = None
        self.last_finished_at: datetime | None = None

    @property
    def status(self) -> CompactionStatus:
        """The present step, and the last outcome."""
        return CompactionStatus(
            step=self.step,
            done=self.done,
            whole=self.whole,
            archived=self._store.archive.last_sequence,
            runs=self.runs,
            failures=self.failures,
            last_failure=self.last_failure,
            last_finished_at=self.last_finished_at,
        )

    def request(self, keep_entries: int | None = None) -> None:
        """Start a compaction, unless one is running; this many of the newest entries stay in ``journal.db``."""
        if self.step == "idle":
            self._keep_entries = self._policy.keep_entries if keep_entries is None else keep_entries
            self.step = "waiting"
            self._wanted.set()

    def stop(self) -> None:
        """Abandon the running compaction at once; a later one continues from there."""
        self._scope.cancel()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Compact whenever requested, or when the policy asks, until cancelled."""
        task_status.started()
        if await self._store.has_archived_segments():
            self.request(PRUNE_ONLY)
        while True:
            with trio.move_on_after(self.policy_seconds):
                await self._wanted.wait()
            if not self._wanted.is_set() and await self.is_due():
                self.request()
            if self._wanted.is_set():
                self._wanted = trio.Event()
                await self._run_once()

    @property
    def policy_seconds(self) -> float:
        """The time until the policy is checked again.  A request never waits."""
        return min(POLICY_SECONDS * 2.0 ** min(self._failed_in_a_row, 16), MOST_POLICY_SECONDS)

    async def is_due(self) -> bool:
        """True if the policy asks for a compaction now."""
        asked_last, self._asked_last = self._asked_last, self._clock()
        boundary = await self._store.boundary(self._policy.keep_entries)
        if boundary - self._store.archive.last_sequence < LEAST_ENTRIES:
            return False
        size, age, at = self._policy[1:]
        if size is not None and await self._store.used_bytes() >= size:
            return True
        if age is not None and await self._is_as_old_as(age):
            return True
        return self._has_passed(at, asked_last)

    async def _is_as_old_as(self, age: timedelta) -> bool:
        oldest = await self._store.oldest()
        return oldest is not None and self._clock() - entries_of(oldest)[0].entry.time >= age

    def _has_passed(self, at: str | None, since: datetime) -> bool:
        """True if today's time ``at`` has come since the policy was last checked."""
        if at is None:
            return False
        hour, minute = map(int, at.split(":"))
        now = self._clock().astimezone()
        return since < now.replace(hour=hour, minute=minute, second=0, microsecond=0) <= now

    async def _run_once(self) -> None:
        if not self._may_begin():
            self.step = "idle"
            return
        self._scope = trio.CancelScope()
        try:
            with self._scope:
                await _alone(self.compact(self._keep_entries))
                self.last_failure = None
                self.runs += 1
                self._failed_in_a_row = 0
            if self._scope.cancelled_caught:
                self._failed("it was stopped; the next one continues from there")
        except (OutcomeUnknown, JournalCorrupt):
            raise
        except _FAILURES as failure:
            self._failed(str(failure))
        finally:
            self.step, self.done, self.whole = "idle", 0, 0
            self.last_finished_at = self._clock()
            self.on_end()

    def _failed(self, why: str) -> None:
        self.failures += 1
        self._failed_in_a_row += 1
        self.last_failure = why
        log.warning("compaction failed: %s; the policy is checked again in %d s", why, self.policy_seconds)

    # --- the steps -------------------------------------------------------------------------------------------------

    async def compact(self, keep_entries: int) -> None:
        """All steps.  Raises ReadTablesRotten, or a failure that only ends the compaction: see ``_FAILURES``."""
        target = await self._store.boundary(keep_entries)
        begun = self._store.archive.last_sequence
        if target > begun:
            self._refuse_without_room(await self._store.used_bytes())
            await self._snapshot(target)
            while self._store.archive.last_sequence < target:
                await (self._pack(target) if isinstance(self._store, PacksItself) else self._archive(target))
        await self._prune()
        self.step = "shrinking"
        shrunk = await self._store.shrink()
        last = self._store.archive.last_sequence
        log.info(
            "compacted: %s, journal.db holds %d bytes%s",
            f"entries {begun + 1} to {last} are archived" if last > begun else "no entry was old enough to be archived",
            await self._store.used_bytes(),
            "" if shrunk else " and keeps its free pages for new entries",
        )

    def _refuse_without_room(self, journal_bytes: int) -> None:
        """Raise JournalFull unless a snapshot and the archive, at their largest, leave the journal its floor."""
        needed = _file_and_log_bytes(self._directory / FILE_NAME) + journal_bytes + self._space_floor_bytes
        room = free_bytes(self._directory)
        if room < needed:
            raise JournalFull(f"compaction may need {needed} bytes, and {room} are free")

    async def _snapshot(self, target: int) -> None:
        self.step = "snapshot"
        await self._projector.reach(target)
        snapshot = await take(self._directory)
        assert snapshot.sequence >= target

    async def _pack(self, target: int) -> None:
        """Have the store move the next of its segments, up to the target."""
        assert isinstance(self._store, PacksItself)
        begun = self._store.archive.last_sequence
        self.step, self.whole = "archiving", target - begun
        self.done = await self._store.pack_next(target) - begun
        await trio.sleep(PAUSE_SECONDS)

    async def _archive(self, target: int) -> None:
        """Write one archive file, up to the target or until it is large enough."""
        self.step, self.whole = "archiving", target - self._store.archive.last_sequence
        archive = self._store.archive
        assert isinstance(archive, Archive)
        make_directory(archive.directory)
        begun = archive.last_sequence
        writer = archive.writer(Origin(self._store.instance, self._store.created_at))
        try:
            last, root = begun, b""
            while last < target and writer.size_bytes < FILE_BYTES:
                segments = await self._store.read(after=last, limit=READ_BYTES)
                segments = one_block([segment for segment in segments if segment.last_sequence <= target])
                block = await in_thread(pack, segments)
                await in_thread(writer.add, block)
                last, root = segments[-1].last_sequence, segments[-1].root
                self.done = last - begun
                await trio.sleep(PAUSE_SECONDS)
            self.step = "proving"
            await in_thread(writer.sync)
            await self._prove(writer, begun)
            if (writer.head.sequence, writer.head.root) != (last, root):
                raise CopyDamaged("an archive file does not end where the journal does that it was made from")
            with trio.CancelScope(shield=True):
                archive.extend(await in_thread(writer.commit))
        finally:
            writer.abandon()

    async def _prove(self, writer: ArchiveWriter, begun: int) -> None:
        for index in range(writer.blocks):
            with damage_is_the_copys("the archive"):
                segments = await in_thread(writer.read_back, index)
                for head in writer.prove(segments):
                    self.done = head.sequence - begun
                    await trio.lowlevel.checkpoint()
            await trio.sleep(PAUSE_SECONDS)

    async def _prune(self) -> None:
        self.step = "pruning"
        await self._store.prepare_to_prune()
        has_more = True
        while has_more:
            has_more = await self._store.prune()
            await trio.sleep(PAUSE_SECONDS)


def _file_and_log_bytes(tables: Path) -> int:
    """The largest possible size of a copy of the read tables, including pages that are still in their log."""
    log_file = tables.with_name(tables.name + "-wal")
    return tables.stat().st_size + (log_file.stat().st_size if log_file.exists() else 0)


async def _alone(steps: Awaitable[None]) -> None:
    """Await the steps; a failure in one of its tasks is raised without the groups that nurseries put around it."""
    try:
        await steps
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup) and len(first.exceptions) == 1:
            first = first.exceptions[0]
        if isinstance(first, BaseExceptionGroup):
            raise
        raise first from None
