"""Opening the journal in its directory: checked, and made fit to be written, before anything is served.

async with open_journal(Path("/var/lib/walletd")) as store:
head = await store.head()
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from walletd.journal.archive.archive import ARCHIVE_DIRECTORY, open_archive, remove_unfinished
from walletd.journal.failures import JournalFull, JournalReplaced
from walletd.journal.sqlite import wal
from walletd.journal.sqlite.charter import prepare
from walletd.journal.sqlite.connection import connect, translated
from walletd.journal.sqlite.directory import (
    DATABASE_NAME,
    Ballast,
    free_bytes,
    locked,
    make_directory,
    refuse_network_file_system,
    sync_directory,
)
from walletd.journal.sqlite.mark import refuse_missing
from walletd.journal.sqlite.private import close_to_others, refuse_exposed
from walletd.journal.sqlite.store import DiskLimits, SqliteJournalStore, close_connection
from walletd.runtime.ending import end_process
from walletd.runtime.threads import in_thread

log = logging.getLogger("walletd.journal")

MEBIBYTE = 1024 * 1024
RESERVE_BYTES = 4 * MEBIBYTE
"""What the daemon keeps of the ballast for operators: some five hundred revocations on a full disk."""


@asynccontextmanager
async def open_journal(
    directory: Path,
    *,
    space_floor_bytes: int = 64 * MEBIBYTE,
    ballast_bytes: int = 8 * MEBIBYTE,
    reserve_bytes: int = 0,
    checkpoint_bytes: int = 4 * MEBIBYTE,
    silence_seconds: float = 30.0,
    new_instance: Callable[[], str] = lambda: secrets.token_hex(8),
    now: Callable[[], int] = time.time_ns,
    die: Callable[[str], NoReturn] = end_process,
) -> AsyncIterator[SqliteJournalStore]:
    """Open the journal in ``directory``, or create it there, while the body runs.

    Raises JournalLocked, JournalUnsupported, JournalCorrupt, JournalUnreadable or JournalFull, before anything is
    served.  The store outlives a cancellation of the body until the body has ended; then it closes, shielded.
    """
    limits = DiskLimits(space_floor_bytes, ballast_bytes, reserve_bytes, checkpoint_bytes, silence_seconds)
    database = directory / DATABASE_NAME
    with translated(f"the journal in {directory} could not be opened"):
        make_directory(directory)
        refuse_exposed(directory)
    with locked(directory):
        close_to_others(directory)
        refuse_network_file_system(directory)
        with translated(f"{database} could not be read"):
            refuse_missing(database)
            remove_unfinished(directory / ARCHIVE_DIRECTORY)
            archive = open_archive(directory / ARCHIVE_DIRECTORY)
            if archive.files and not database.exists():
                raise JournalReplaced(f"{database} is missing, but its archive is there")
            recoverable_frames = wal.inspect(database)
        with translated(f"{database} could not be opened"):
            connection = await connect(database, silence_seconds=limits.silence_seconds)
        try:
            ballast = Ballast(directory, limits.ballast_bytes, limits.reserve_bytes)
            with translated(f"the journal in {directory} could not be prepared"), connection.bounded():
                charter = await prepare(
                    connection, recoverable_frames, new_instance=new_instance, now=now, make_room=ballast.drop_all
                )
                sync_directory(directory)
                await _fill(ballast, directory, limits)
            store = SqliteJournalStore(connection, directory, charter, limits, die, archive)
            await store.resume()
            try:
                await _give_back(store)
                yield store
            finally:
                await store.aclose()
        finally:
            await close_connection(connection, die)


async def _give_back(store: SqliteJournalStore) -> None:
    """Return the pages that a compaction left free, now that nothing waits."""
    try:
        await store.shrink(is_serving=False)
    except JournalFull as full:
        log.warning("the journal file was not shrunk: %s", full)


async def _fill(ballast: Ballast, directory: Path, limits: DiskLimits) -> None:
    """Restore the ballast at the start, if that leaves the floor; if not, the first append will report it."""
    if free_bytes(directory) >= limits.space_floor_bytes + ballast.missing_bytes:
        await in_thread(ballast.restore)
    else:
        log.warning("%s has too little free space for writes; walletd starts read-only", directory)
