"""Recovery: bring the read tables to where the journal stands, and prove on the way that both are whole.

    recovered = await recover(store, directory, report)

Segments that the tables do not show yet are checked (digest, order, Merkle root) and folded.  Tables that belong to
another journal, another format or a history that the journal does not confirm are deleted and built anew.
"""

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import Frontier
from walletd.journal.segment import verify
from walletd.journal.store import Head, JournalStore
from walletd.wallets.history import entries_of
from walletd.wallets.projector import progress_after
from walletd.wallets.read_tables import FORMAT, Progress, ReadTables, delete_read_tables, open_read_tables

log = logging.getLogger(__name__)

READ_BYTES = 2 * 1024 * 1024

Report = Callable[[int, int], None]
"""Called with how many entries are folded, of how many."""


class Recovered(NamedTuple):
    """The read tables at the journal's head, and the Merkle frontier there."""

    tables: ReadTables
    progress: Progress
    frontier: Frontier
    rebuilt: bool


async def recover(store: JournalStore, directory: Path, report: Report) -> Recovered:
    """Fold what is missing.  O(entries that the tables do not show); all of them where the tables were deleted.

    Raises JournalCorrupt where the journal is not what was written.
    """
    head = await store.head()
    tables, progress, rebuilt = await _open_confirmed(store, directory, head)
    frontier = Frontier.from_bytes(progress.frontier)
    first = progress.sequence
    while progress.sequence < head.sequence:
        segments = await store.read(after=progress.sequence, limit=READ_BYTES)
        batch = []
        for segment in segments:
            verify(frontier, segment)
            batch.extend(entries_of(segment))
        progress = progress_after(progress, batch[-1].entry.sequence, frontier, batch[-1].entry.time)
        await tables.project([durable.entry for durable in batch], progress)
        report(progress.sequence - first, head.sequence - first)
    if frontier.root() != head.root:
        raise JournalCorrupt(f"the Merkle root at entry {head.sequence} is not the one that was written")
    return Recovered(tables, progress, frontier, rebuilt)


async def _open_confirmed(store: JournalStore, directory: Path, head: Head) -> tuple[ReadTables, Progress, bool]:
    """The tables with their progress, where the journal confirms it; else new tables."""
    genesis = Progress(FORMAT, store.instance, store.epoch, 0, Frontier().to_bytes(), datetime.fromtimestamp(0, UTC))
    tables: ReadTables | None = None
    try:
        tables = await open_read_tables(directory)
        progress = await tables.progress()
        if progress is None:
            return tables, genesis, head.sequence > 0
        if await _is_confirmed(store, progress, head):
            return tables, progress, False
        log.warning("%s does not belong to this journal; it is built anew", tables.path.name)
    except sqlite3.DatabaseError as error:
        log.warning("the read tables cannot be read (%s); they are built anew", error)
    if tables is not None:
        await tables.aclose()
    delete_read_tables(directory)
    return await open_read_tables(directory), genesis, head.sequence > 0


async def _is_confirmed(store: JournalStore, progress: Progress, head: Head) -> bool:
    """Whether the journal has the history that the tables were made from, up to where they stand."""
    if (progress.format, progress.instance, progress.epoch) != (FORMAT, store.instance, store.epoch):
        return False
    if progress.sequence > head.sequence:
        return False
    if progress.sequence == 0:
        return True
    (last, *_) = await store.read(after=progress.sequence - 1, limit=1)
    frontier = Frontier.from_bytes(progress.frontier)
    ends_there = last.first_sequence + last.count - 1 == progress.sequence
    return ends_there and frontier.size == progress.sequence and frontier.root() == last.root
