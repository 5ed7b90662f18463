"""The journal in a SQLite file: one row per segment, one INSERT per group commit, one sync.

The promise is that of ``JournalStore``, on a local journaled file system whose syncs do not lie: a segment is durable
when ``append`` returns; ``JournalFull`` and ``HeadMoved`` mean that nothing was written.

    head = await store.head()
    await store.append(head.sequence, segment)          # durable
"""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import trio

from walletd.journal.archive.archive import Archive
from walletd.journal.failures import (
    CheckpointFailing,
    HeadMoved,
    JournalCorrupt,
    JournalFailure,
    JournalFull,
    JournalSilent,
    JournalUnreadable,
    OutcomeUnknown,
)
from walletd.journal.merkle import EMPTY_ROOT
from walletd.journal.segment import Segment, records, verify
from walletd.journal.sqlite import wal
from walletd.journal.sqlite.charter import Charter, fold_log, truncate_log
from walletd.journal.sqlite.connection import SqliteConnection, is_full, translated
from walletd.journal.sqlite.directory import DATABASE_NAME, Ballast, free_bytes, sync_file
from walletd.journal.sqlite.mark import Mark, read_mark, refuse_replaced, write_mark
from walletd.journal.sqlite.presence import Presence
from walletd.journal.sqlite.rows import AFTER, APPEND, FIRST, HOLDING, LAST, PRUNE, row_of, segment_from
from walletd.journal.store import GENESIS, READ_LIMIT_BYTES, Head
from walletd.runtime.threads import in_thread, once_files_may_open
from walletd.vocabulary.histories import Histories

log = logging.getLogger("walletd.journal")

SMALL_BYTES = 64 * 1024
"""After a larger segment there is so much other work that a thread may write it meanwhile."""
_CHECKPOINT_FAILURES_BORNE = 3
"""One may be a passing fault; three in a row mean a disk that needs attention."""
_RECOVERY_MARGIN = 8
"""An eighth above the floor, so that the journal does not flap at the limit."""
RESERVED_APPEND_BYTES = 64 * 1024
"""The room for an entry on a full disk, beside its body: the log's frames, and the pages into which it is folded."""
PRUNE_BYTES = 1024 * 1024
"""The bytes deleted by one step of pruning: a few milliseconds between two commits."""
PRUNE_FRAMES = 160
"""A page for each segment, and the list of free pages."""
MAX_SHRUNK_PAGES = 2048
"""Rewriting 8 MiB takes some 50 ms."""
MAX_FREED_PAGES = 16_384
"""The file system takes 0.2 to 0.4 ms for each megabyte that is returned to it."""
_PAGE_BYTES = 4096
_FRAME_BYTES = 4120
"""The size of a page in the log."""
_FRAMES_PER_APPEND = 4
"""A leaf, its parent, the first page and the padding, at most, beside the body."""


class DiskLimits(msgspec.Struct, frozen=True):
    """The numbers of a SQLite journal.

    The ballast should cover the space that a full disk needs to fold the log: the log's limit and one more segment.
    """

    space_floor_bytes: int  # below this much free space the journal takes no writes
    ballast_bytes: int
    reserve_bytes: int  # more ballast, for the entries that must be possible on a full disk
    checkpoint_bytes: int  # the log is folded into the database when it has grown by this much
    silence_seconds: float  # the time limit of a read or a checkpoint


class SqliteJournalStore:
    """The ``JournalStore`` that walletd runs on.  Made by ``open_journal``, which alone checks that it is fit."""

    def __init__(
        self,
        connection: SqliteConnection,
        directory: Path,
        charter: Charter,
        limits: DiskLimits,
        die: Callable[[str], NoReturn],
        archive: Archive,
    ) -> None:
        self.archive = archive
        """The entries that compaction removed from the database file: all up to its head."""
        self._die = die
        self._head = GENESIS
        self._connection = connection
        self._directory = directory
        self._folder = str(directory)
        """The same as a string, for the checks before each commit."""
        self._charter = charter
        self._limits = limits
        self._ballast = Ballast(directory, limits.ballast_bytes, limits.reserve_bytes)
        self._presence = Presence(directory)
        self._bytes_in_log = 0
        self._checkpoint_failures = 0

    @property
    def instance(self) -> str:
        return self._charter.instance

    @property
    def epoch(self) -> int:
        return self._charter.epoch

    @property
    def created_at(self) -> int:
        """When the journal was created: nanoseconds since 1970, UTC."""
        return self._charter.created_at

    @property
    def histories(self) -> Histories:
        return self._charter.histories

    @property
    def checkpoint_due(self) -> bool:
        return self._bytes_in_log >= self._limits.checkpoint_bytes

    async def append(self, expected_head: int, segment: Segment) -> None:
        try:
            self._refuse_without_room(segment)
            append = self._connection.commit if len(segment.body) <= SMALL_BYTES else self._connection.change
            self._appended(expected_head, segment, await append(APPEND, self._row(expected_head, segment)))
        except Exception as error:
            await self.explain(error)

    async def append_reserved(self, expected_head: int, segment: Segment) -> None:
        try:
            self._presence.refuse_detached()
            self._draw_on_reserve(len(segment.body))
            self._appended(
                expected_head, segment, await self._connection.change(APPEND, self._row(expected_head, segment))
            )
        except Exception as error:
            await self.explain(error)
        await self.checkpoint()  # The log's space is used again, so that the reserve lasts for many.

    def _draw_on_reserve(self, body_bytes: int) -> None:
        """Make room for a segment of this size, below the floor.  Raises JournalFull once the reserve is used up."""
        missing = body_bytes + RESERVED_APPEND_BYTES - free_bytes(self._folder)
        if missing > self._ballast.held_bytes:
            raise JournalFull(f"the reserve of {self._limits.reserve_bytes} bytes is used up")
        if missing > 0:
            self._ballast.spend(missing)

    def is_quick(self, body_bytes: int) -> bool:
        return body_bytes <= SMALL_BYTES and self._connection.is_quick

    def append_now(self, expected_head: int, segment: Segment) -> None:
        self._refuse_without_room(segment)
        changed = self._connection.commit_now(APPEND, self._row(expected_head, segment))
        self._appended(expected_head, segment, changed)

    def _row(self, expected_head: int, segment: Segment) -> tuple[int | str | bytes, ...]:
        assert segment.first_sequence == expected_head + 1
        return (*row_of(segment), self.epoch, expected_head)

    def _appended(self, expected_head: int, segment: Segment, changed: int) -> None:
        if changed == 0:
            raise HeadMoved(f"the journal does not end at {expected_head} in epoch {self.epoch}")
        assert changed == 1
        self._head = Head(segment.last_sequence, segment.epoch, segment.root)
        self._bytes_in_log += (len(segment.body) // _PAGE_BYTES + _FRAMES_PER_APPEND) * _FRAME_BYTES

    async def read(self, after: int, limit: int = READ_LIMIT_BYTES) -> list[Segment]:
        assert after >= 0
        if after < self.archive.last_sequence:
            with translated("the archive could not be read"):
                return await once_files_may_open(self.archive.read, after, limit)
        with translated("the journal could not be read"):
            found = await self._connection.rows(AFTER, (after + 1, limit))
        segments = [segment for segment in map(segment_from, found) if segment.last_sequence > after]
        if after < self._head.sequence and not segments:
            raise JournalCorrupt(f"the journal has lost entry {after + 1}")
        expected = min(after + 1, segments[0].first_sequence) if segments else 0
        for segment in segments:
            if segment.first_sequence != expected:
                raise JournalCorrupt(f"entry {expected} should follow, but entry {segment.first_sequence} does")
            expected = segment.last_sequence + 1
        return segments

    async def read_entry(self, sequence: int) -> bytes | None:
        if 1 <= sequence <= self.archive.last_sequence:
            with translated("the archive could not be read"):
                return await once_files_may_open(self.archive.read_entry, sequence)
        with translated("the journal could not be read"):
            found = await self._connection.rows(HOLDING, (sequence,))
        for segment in map(segment_from, found):
            if sequence <= segment.last_sequence:
                return records(segment)[sequence - segment.first_sequence]
        return None

    async def head(self) -> Head:
        with translated("the journal's head could not be read"):
            found = await self._connection.rows(LAST)
        for segment in map(segment_from, found):
            return Head(segment.last_sequence, self.epoch, segment.root)
        return Head(0, self.epoch, EMPTY_ROOT)

    async def checkpoint(self) -> None:
        try:
            with translated("the log could not be folded into the database"):
                await fold_log(self._connection)
        except OutcomeUnknown:
            raise
        except JournalFailure as failure:
            self._checkpoint_failures += 1
            log.warning("checkpoint failed, %d in a row: %s", self._checkpoint_failures, failure)
        else:
            self._checkpoint_failures = 0
            self._bytes_in_log = 0
            await self._move_mark()

    async def probe(self) -> None:
        self._presence.refuse_detached()
        floor = self._limits.space_floor_bytes
        room = free_bytes(self._directory) - self._ballast.missing_bytes
        if room < floor + floor // _RECOVERY_MARGIN:
            raise JournalFull(f"without the ballast {room} bytes are free, the floor is {floor}")
        try:
            with translated("the journal is still not writable"):
                await in_thread(self._ballast.restore)
                await self._empty_log()
        except (OutcomeUnknown, JournalFull):
            raise
        except JournalFailure as failure:
            raise CheckpointFailing(f"the probe found: {failure}") from failure

    async def resume(self) -> None:
        """Find the head, and refuse a journal that is not the one that was here before, or not all of it
        (JournalReplaced).
        """
        self._head = await self.head()
        await self._refuse_gap()
        mark = read_mark(self._directory)
        root_at_mark = None
        if mark is not None and mark.sequence:
            holding = await self._holding(mark.sequence)
            root_at_mark = None if holding is None or holding.last_sequence != mark.sequence else holding.root
        refuse_replaced(mark, self.instance, self._head.sequence, root_at_mark)
        self._presence.refuse_detached()  # From here on, these are the files.
        await self._move_mark()

    async def _refuse_gap(self) -> None:
        """Raise JournalCorrupt unless the database file continues exactly where the archive ends."""
        self.archive.refuse_foreign(self.instance)
        end = self.archive.last_sequence
        with translated("the journal could not be read"):
            found = await self._connection.rows(FIRST, (end + 1,))
        for segment in map(segment_from, found):
            if segment.first_sequence != end + 1:
                raise JournalCorrupt(
                    f"the archive ends at entry {end}, but the journal goes on with entry {segment.first_sequence}"
                )
            verify(self.archive.frontier, segment)
        if end and not found:
            raise JournalCorrupt(f"the journal ends before its archive, which has {end} entries")

    async def _holding(self, sequence: int) -> Segment | None:
        with translated("the journal could not be read"):
            found = await self._connection.rows(HOLDING, (sequence,))
        return next((segment for segment in map(segment_from, found) if segment.last_sequence >= sequence), None)

    # --- compaction ------------------------------------------------------------------------------------------------

    async def boundary(self, keep_entries: int) -> int:
        """The end of the segment up to which the journal can be archived so that at least this many entries stay,
        or 0.
        """
        holding = await self._holding(self._head.sequence - max(1, keep_entries) + 1)
        return 0 if holding is None else holding.first_sequence - 1

    async def oldest(self) -> Segment | None:
        """The first segment that is not archived."""
        with translated("the journal could not be read"):
            found = await self._connection.rows(FIRST, (self.archive.last_sequence + 1,))
        return next(map(segment_from, found), None)

    async def has_archived_segments(self) -> bool:
        """True if the database file still has archived segments, because pruning was cut short."""
        return await self._holding(self.archive.last_sequence) is not None

    async def prepare_to_prune(self) -> None:
        """Move the mark past the archived entries, because the entry that it remembers must stay in the database
        file.
        """
        await self.checkpoint()
        mark = read_mark(self._directory)
        if mark is not None and mark.sequence <= self.archive.last_sequence:
            raise JournalUnreadable(f"the journal's mark stands at entry {mark.sequence} and could not be moved")

    async def prune(self) -> bool:
        """Delete about a megabyte of archived segments from the database file; returns whether there was anything.

        Raises JournalFull if the disk is full, and OutcomeUnknown if nothing is certain about the file any more.
        """
        with trio.CancelScope(shield=True):
            try:
                changed = await self._connection.change(PRUNE, (self.archive.last_sequence, PRUNE_BYTES))
            except Exception as error:
                await self.explain(error)
            assert changed >= 0
            self._bytes_in_log += PRUNE_FRAMES * _FRAME_BYTES
            if self.checkpoint_due:
                await self.checkpoint()
        return changed > 0

    async def shrink(self, *, is_serving: bool = True) -> bool:
        """Return the file's free pages to the file system, if so little is left that it takes no time; otherwise they
        are reused.

        While the daemon serves, only if they are few enough that nothing would wait for the file system.  Raises like
        ``prune``.
        """
        pages, free = await self._pages()
        if not free or pages - free > MAX_SHRUNK_PAGES or free < pages // 2:
            return False
        if is_serving and free > MAX_FREED_PAGES:
            return False
        with trio.CancelScope(shield=True):
            try:
                await self._connection.change("VACUUM")
                await self._empty_log()
            except Exception as error:
                await self.explain(error)
        return True

    async def used_bytes(self) -> int:
        """The bytes used in the database file, without the pages that wait for reuse."""
        pages, free = await self._pages()
        return (pages - free) * _PAGE_BYTES

    async def _pages(self) -> tuple[int, int]:
        with translated("the journal could not be read"):
            ((pages,),) = await self._connection.rows("PRAGMA page_count")
            ((free,),) = await self._connection.rows("PRAGMA freelist_count")
        return pages, free

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._move_mark()
        await close_connection(self._connection, self._die)

    def _refuse_without_room(self, segment: Segment) -> None:
        self._presence.refuse_detached()
        if self._checkpoint_failures >= _CHECKPOINT_FAILURES_BORNE:
            raise CheckpointFailing(f"{self._checkpoint_failures} checkpoints failed in a row")
        room = free_bytes(self._folder)
        if room < self._limits.space_floor_bytes + len(segment.body):
            raise JournalFull(f"{room} bytes are free, the floor is {self._limits.space_floor_bytes}")

    async def explain(self, error: Exception) -> NoReturn:
        """Determine, or make certain, what a failed append means.

        A full disk rolls back for SQLite, but not always on the disk: if the padding behind the commit finds no space,
        the commit itself is in the log and a crash would bring it back (measured: in every second case).  So the log is
        folded without it, in the ballast's space, and only then is it certain.
        """
        if isinstance(error, JournalFailure):
            raise error
        if not (isinstance(error, sqlite3.Error) and is_full(error)) or self._connection.in_transaction:
            raise OutcomeUnknown(f"the segment could not be written: {error}") from error
        try:
            await self._make_certain()
        except Exception as worse:
            raise OutcomeUnknown(f"the disk is full, and the log could not be cleaned up: {worse}") from worse
        raise JournalFull(f"the segment could not be written: {error}") from error

    async def _make_certain(self) -> None:
        """Fold the log in the ballast's space; if that does not suffice, in the reserve's."""
        self._ballast.drop()
        try:
            await self._empty_log()
        except Exception:
            if not self._ballast.held_bytes:
                raise
            self._ballast.drop_all()
            await self._empty_log()

    async def _empty_log(self) -> None:
        """Fold and empty the log, and make the emptiness durable too, which SQLite does not guarantee."""
        await truncate_log(self._connection)
        await in_thread(sync_file, wal.wal_path(self._directory / DATABASE_NAME))
        self._checkpoint_failures = 0
        self._bytes_in_log = 0

    async def _move_mark(self) -> None:
        """Remember the journal's head.  Without it, a replaced file is only harder to notice."""
        mark = Mark(self.instance, self._head.sequence, self._head.root.hex())
        try:
            await in_thread(write_mark, self._directory, mark)
        except OSError as error:
            log.warning("cannot move the journal's high-water mark: %s", error)


async def close_connection(connection: SqliteConnection, die: Callable[[str], NoReturn]) -> None:
    """Close it.  If its thread no longer answers, nothing is left but to ``die``."""
    try:
        with translated("the journal could not be closed"):
            await connection.aclose()
    except JournalSilent:
        die("SQLite's thread no longer answers, so the journal cannot be closed")
