"""The beginning of a journal's database: its schema, its charter, and the settings under which it is used.

The promise: a database that comes out of ``prepare`` is a journal of a known format, durable up to its head, with every
setting read back.  A new one is made in a single transaction; one that a crash left half-made is empty, is recognised
by that, and is completed.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from walletd.journal.failures import JournalCorrupt, JournalUnreadable, JournalUnsupported
from walletd.journal.segment import FORMAT_VERSION
from walletd.journal.sqlite.connection import SqliteConnection, is_full
from walletd.journal.sqlite.distrust import FOREIGN, SCHEMA_ROWS, refuse_foreign_schema
from walletd.journal.sqlite.schema import APPLICATION_ID, SCHEMA
from walletd.journal.store import FIRST_EPOCH, LAST_EPOCH
from walletd.vocabulary.histories import FIRST_HISTORY, Histories, History

# The exclusive lock is requested before WAL, so that SQLite keeps the index of its log in memory and admits no other
# process.  Its own checkpoints are off because it swallows their errors.
_SETTINGS = (
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("fullfsync", "ON", 1),
    ("checkpoint_fullfsync", "ON", 1),
    ("wal_autocheckpoint", "0", 0),
    ("secure_delete", "OFF", 0),  # otherwise pruned content would be written once more, as zeros
    ("temp_store", "MEMORY", 2),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("mmap_size", "0", 0),
)

CHARTER = "SELECT format, instance, epoch, created_at FROM journal LIMIT 2"
HAS_HISTORIES = "SELECT 1 FROM sqlite_schema WHERE name = 'history'"
"""A journal from before there were histories has no such table; its entries belong to the first."""
HISTORIES = "SELECT first_sequence, mark FROM history ORDER BY first_sequence"
"""The histories after the first."""


class Charter(msgspec.Struct, frozen=True):
    """The identity of a journal: written once, when it is created; only a fencing takeover raises the epoch."""

    format: int
    instance: str
    epoch: int
    created_at: int
    histories: Histories = FIRST_HISTORY


async def prepare(
    connection: SqliteConnection,
    recoverable_frames: int,
    *,
    new_instance: Callable[[], str],
    now: Callable[[], int],
    make_room: Callable[[], None],
) -> Charter:
    """Settle the log that the last process left, make the journal if there is none, and return its charter.

    ``recoverable_frames`` is the result of ``wal.inspect``; ``make_room`` is called if the disk is full.  Without the
    truncating checkpoint, an entry that was written but not synced when a process was killed could be answered to a
    client now and be lost in a later power cut.
    """
    await _set(connection, "locking_mode", "EXCLUSIVE", "exclusive")
    is_new = await _is_empty(connection)
    for setting in _SETTINGS:
        await _set(connection, *setting)
    try:
        recovered = await fold_log(connection)
    except sqlite3.Error as error:
        if not is_full(error):
            raise
        make_room()
        recovered = await fold_log(connection)
    if recovered != recoverable_frames:
        raise JournalCorrupt(f"SQLite recovered {recovered} frames of its log, of {recoverable_frames} intact ones")
    await truncate_log(connection)
    if is_new:
        await _create(connection, new_instance(), now())
        await truncate_log(connection)
    return await read_charter(connection)


async def truncate_log(connection: SqliteConnection) -> None:
    """Fold the whole log into the database file, synced, and empty it.  Raises JournalUnreadable or sqlite3.Error."""
    (row,) = await connection.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    if row != (0, 0, 0):
        raise JournalUnreadable(f"the log could not be folded into the database: SQLite answers {row}")


async def fold_log(connection: SqliteConnection) -> int:
    """Fold the whole log into the database file, synced, and let the next append start it again, in the same blocks.

    Returns the number of frames in the log.  Raises JournalUnreadable or sqlite3.Error.  Later appends cost half as
    much as with an emptied log.
    """
    (row,) = await connection.rows("PRAGMA wal_checkpoint(PASSIVE)")
    busy, frames, folded = row
    if busy or folded != frames:
        raise JournalUnreadable(f"the log could not be folded into the database: SQLite answers {row}")
    return max(0, int(frames))


async def read_charter(connection: SqliteConnection) -> Charter:
    """The journal's row.  Raises JournalCorrupt or JournalUnsupported."""
    rows = await connection.rows(CHARTER)
    histories = await connection.rows(HISTORIES) if await connection.rows(HAS_HISTORIES) else []
    return charter_from(rows, histories)


def charter_of(connection: sqlite3.Connection) -> Charter:
    """``read_charter`` of a journal at rest."""
    rows = connection.execute(CHARTER).fetchall()
    has_histories = connection.execute(HAS_HISTORIES).fetchall()
    return charter_from(rows, connection.execute(HISTORIES).fetchall() if has_histories else [])


def charter_from(rows: list[tuple[Any, ...]], histories: list[tuple[Any, ...]]) -> Charter:
    """The charter from its single row, if its format is known, and the later histories.

    A forged file may have values of other types than its tables declare.
    """
    if len(rows) != 1:
        raise JournalCorrupt(f"the journal has {'no charter' if not rows else 'more than one charter'}")
    if [type(value) for value in rows[0]] != [int, str, int, int] or any(
        [type(value) for value in row] != [int, str] for row in histories
    ):
        raise JournalCorrupt("the journal's charter has values of other types than it was stored with")
    version, instance, epoch, created_at = rows[0]
    later = (History(first_sequence, mark) for first_sequence, mark in histories)
    charter = Charter(version, instance, epoch, created_at, (*FIRST_HISTORY, *later))
    if charter.format != FORMAT_VERSION:
        raise JournalUnsupported(f"the journal has format {charter.format}, this version knows format {FORMAT_VERSION}")
    if not (1 <= charter.epoch <= LAST_EPOCH and charter.created_at >= 0):
        raise JournalCorrupt("the journal's charter has values that cannot be")
    return charter


async def _is_empty(connection: SqliteConnection) -> bool:
    """True if nothing is there.  Raises JournalUnsupported if anything is there that a journal does not have."""
    tables = await connection.rows(SCHEMA_ROWS)
    ((application_id,),) = await connection.rows("PRAGMA application_id")
    if not tables and application_id == 0:
        return True
    if application_id != APPLICATION_ID:
        raise JournalUnsupported(FOREIGN)
    refuse_foreign_schema(tables)
    return False


async def _create(connection: SqliteConnection, instance: str, created_at: int) -> None:
    await connection.change("BEGIN IMMEDIATE")
    await connection.change(f"PRAGMA application_id = {APPLICATION_ID}")
    for table in SCHEMA:
        await connection.change(table)
    await connection.change(
        "INSERT INTO journal (singleton, format, instance, epoch, created_at) VALUES (1, ?, ?, ?, ?)",
        (FORMAT_VERSION, instance, FIRST_EPOCH, created_at),
    )
    await connection.change("COMMIT")


async def _set(connection: SqliteConnection, name: str, value: str, expected: str | int) -> None:
    await connection.rows(f"PRAGMA {name} = {value}")
    ((actual,),) = await connection.rows(f"PRAGMA {name}")
    if actual != expected:
        raise JournalUnsupported(f"SQLite does not accept {name} = {value} here, it keeps {actual}")
