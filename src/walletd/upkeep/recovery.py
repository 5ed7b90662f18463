"""Recovery: bring the read tables to the journal's head, and prove on the way that both are whole.

    recovered = await recover(store, directory, report)

Segments that the tables do not show yet are checked (digest, order, Merkle root) and folded.  Tables that belong to
another journal, another format or a history that the journal does not confirm are deleted and rebuilt.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from walletd.journal.failures import JournalBehind, JournalCorrupt
from walletd.journal.history import entries_of
from walletd.journal.merkle import Frontier
from walletd.journal.segment import verify
from walletd.journal.store import Head, JournalStore
from walletd.runtime.concurrently import concurrently
from walletd.tables import writer
from walletd.tables.file import (
    DEFAULT_CACHES,
    FILE_NAME,
    HAS_PAGE_SUMS,
    Caches,
    ReadTablesRotten,
    is_of_this_make,
)
from walletd.tables.projector import progress_after
from walletd.tables.schema import (
    FORMAT,
)
from walletd.tables.writer import (
    Folded,
    Progress,
    ReadTables,
    ReadTablesBusy,
    delete_read_tables,
    fold,
    open_read_tables,
)
from walletd.upkeep.snapshot import delete_snapshots, restore_newest

log = logging.getLogger("walletd.wallets")

READ_BYTES = 2 * 1024 * 1024
MANY_ENTRIES = 100_000

BUSY_RETRY_SECONDS = 1.0

Report = Callable[[int, int], None]
"""Called with the number of folded entries, and the total."""


class Recovered(NamedTuple):
    """The read tables at the journal's head, and the Merkle frontier there."""

    tables: ReadTables
    progress: Progress
    frontier: Frontier
    rebuilt: bool


async def recover(store: JournalStore, directory: Path, report: Report, caches: Caches = DEFAULT_CACHES) -> Recovered:
    """Fold the missing entries.  O(entries that the tables do not show); all of them if the tables were deleted.

    Damaged tables are rebuilt from the newest snapshot and, if that leads to damaged ones, from the journal alone.
    Raises JournalCorrupt if the journal is not what was written.
    """
    try:
        return await _catch_up(store, directory, report, caches)
    except ReadTablesRotten as rot:
        log.warning("%s; rebuilding now", rot)
        delete_read_tables(directory)
    try:
        return await _catch_up(store, directory, report, caches)
    except ReadTablesRotten as rot:
        log.warning("%s; rebuilding now, without a snapshot", rot)
        delete_read_tables(directory)
        delete_snapshots(directory)
        return await _catch_up(store, directory, report, caches)


async def _catch_up(store: JournalStore, directory: Path, report: Report, caches: Caches) -> Recovered:
    head = await store.head()
    if not (directory / FILE_NAME).exists() and (
        snapshot := await writer.in_thread(partial(restore_newest, directory))
    ):
        log.info("the read tables start from the snapshot at entry %d", snapshot.sequence)
    if not is_of_this_make(directory / FILE_NAME):
        log.warning("%s was made by another version; rebuilding it", FILE_NAME)
        delete_read_tables(directory)
        delete_snapshots(directory)
    tables = await open_read_tables(directory, caches.writer)
    try:
        if not HAS_PAGE_SUMS:
            log.warning("this platform's SQLite has no page checksums: every start checks all of %s", FILE_NAME)
            await tables.refuse_damaged()
        progress, rebuilt = await tables.progress(), False
        refuse_journal_behind(progress, store, head)
        if progress is None or not await _is_confirmed(store, progress, head):
            if progress is not None:
                log.warning("%s does not belong to this journal; rebuilding it", tables.path.name)
                await tables.aclose()
                delete_read_tables(directory)
                delete_snapshots(directory)
                tables = await open_read_tables(directory, caches.writer)
            progress, rebuilt = _genesis(store), head.sequence > 0
        if head.sequence - progress.sequence >= MANY_ENTRIES:
            await tables.keep_pages(caches.rebuild)
        progress, frontier = await _fold(store, tables, progress, head, report)
        await tables.keep_pages(caches.writer)
        return Recovered(tables, progress, frontier, rebuilt)
    except BaseException:
        with trio.CancelScope(shield=True):
            await tables.aclose()
        raise


async def _fold(
    store: JournalStore, tables: ReadTables, progress: Progress, head: Head, report: Report
) -> tuple[Progress, Frontier]:
    """Project the entries between the progress and the head; returns the progress and the frontier at the head."""
    frontier = Frontier.from_bytes(progress.frontier)
    first = progress.sequence

    async def fold_next(after: Progress) -> Folded | None:
        if after.sequence == head.sequence:
            return None
        batch = []
        for segment in await store.read(after=after.sequence, limit=READ_BYTES):
            verify(frontier, segment)
            batch.extend(entries_of(segment))
        reached = progress_after(after, batch[-1].entry.sequence, frontier, batch[-1].entry.time)
        return await fold([durable.entry for durable in batch], reached)

    folded = await fold_next(progress)
    while folded is not None:
        progress = folded.progress
        folded = await concurrently(partial(_write, tables, folded), partial(fold_next, progress))
        report(progress.sequence - first, head.sequence - first)
    if frontier.root() != head.root:
        raise JournalCorrupt(f"the Merkle root at entry {head.sequence} is not the one that was written")
    return progress, frontier


async def _write(tables: ReadTables, folded: Folded) -> None:
    """Write them, once no other program has the file locked."""
    while True:
        try:
            return await tables.write(folded)
        except ReadTablesBusy as busy:
            log.warning("recovery is waiting: %s; end that program", busy)
            await trio.sleep(BUSY_RETRY_SECONDS)


def _genesis(store: JournalStore) -> Progress:
    return Progress(FORMAT, store.instance, store.epoch, 0, Frontier().to_bytes(), datetime.fromtimestamp(0, UTC))


def refuse_journal_behind(progress: Progress | None, store: JournalStore, head: Head) -> None:
    """Raise JournalBehind if the read tables show entries of this journal that it no longer contains.

    They are written after the commit, so a lost or shortened write-ahead log is the only way to such tables: SQLite
    takes the rest of a log for all of it.  Tables that contradict themselves prove nothing.
    """
    if progress is None or (progress.instance, progress.epoch) != (store.instance, store.epoch):
        return
    try:
        shown = Frontier.from_bytes(progress.frontier).size
    except ValueError:
        return
    if shown == progress.sequence > head.sequence:
        raise JournalBehind(f"the journal ends at entry {head.sequence}, but entry {shown} was written to it")


async def _is_confirmed(store: JournalStore, progress: Progress, head: Head) -> bool:
    """True if the journal has the history that the tables were made from, up to their last entry."""
    if (progress.format, progress.instance, progress.epoch) != (FORMAT, store.instance, store.epoch):
        return False
    if not 1 <= progress.sequence <= head.sequence:
        return False
    try:
        frontier = Frontier.from_bytes(progress.frontier)
    except ValueError:
        return False
    (last, *_) = await store.read(after=progress.sequence - 1, limit=1)
    return (
        last.last_sequence == progress.sequence == frontier.size
        and last.root == frontier.root()
        and entries_of(last)[-1].entry.time == progress.time
    )
