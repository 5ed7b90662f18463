"""The read tables in ``state.db``: a projection of the journal, made for look-ups, that can be deleted at any time.

    tables = await open_read_tables(directory)
    folded = await fold(entries, progress)             # on the event loop
    await tables.write(folded)                         # one transaction for many entries, in a thread

Folding needs the entries only, so the next ones can be folded meanwhile.  A small transaction, for which a reader may
be waiting, is made by the event loop if the disk is fast (``blocking_calls``): a thread gets the interpreter back only
after milliseconds, between any two statements.  Work that grows with the file, the folding of SQLite's log into it, is
always done by a thread.  ``synchronous=NORMAL``: after a power cut the tables may be behind the journal, and catch up
at the next start.  ``folding`` makes the rows; the pages' checksums reveal rot (``file``).
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import trio

from walletd.runtime import threads
from walletd.runtime.blocking_calls import OnLoop
from walletd.tables.file import (
    BUSY_MILLISECONDS,
    FILE_NAME,
    WRITER_CACHE_KIBIBYTES,
    ReadTablesRotten,
    WriteLocks,
    delete_tables,
    leave_log,
    open_for_writing,
    refuse_damaged,
    rot_reported,
)
from walletd.tables.folding import (
    Folding,
)
from walletd.tables.json_rows import in_bulk
from walletd.tables.log_chain import NUMBERS
from walletd.tables.schema import (
    SCHEMA,
    from_microseconds,
    microseconds,
)
from walletd.vocabulary.entries import (
    Entry,
)

TURN_ENTRIES = 128
"""The number of entries folded before other tasks run; an entry takes some 15 µs."""

SLOW_SECONDS = 0.01
"""Transactions that take longer on the event loop are made by a thread for a while."""

LOG_PAGES = 8_000
"""The size of SQLite's log at which it is folded into the file: more often costs more, a larger one is read more
slowly.
"""


in_thread = threads.in_thread
"""The way to make a call that may wait for the disk."""


class ReadTablesStand(Exception):
    """The read tables accept no writes now.  It is certain that nothing was written; the write can be tried again."""


class ReadTablesFull(ReadTablesStand):
    """There is no space for the write."""


class ReadTablesBusy(ReadTablesStand):
    """Another program is writing to state.db, or has it locked."""


class Progress(NamedTuple):
    """The tables' progress along the journal: its last sequence, the Merkle frontier there, that entry's time."""

    format: int
    instance: str
    epoch: int
    sequence: int
    frontier: bytes
    time: datetime


class Folded(NamedTuple):
    """Entries as the statements that put them into the tables, and the progress after them."""

    statements: list[tuple[str, Sequence[Any]]]
    progress: Progress


async def fold(entries: Sequence[Entry], progress: Progress) -> Folded:
    """Fold durable entries, in order; other tasks run in between."""
    folding = Folding()
    for place, entry in enumerate(entries, 1):
        folding.add(entry)
        if place % TURN_ENTRIES == 0:
            await trio.lowlevel.checkpoint()
    return folded(folding, progress)


def folded(folding: Folding, progress: Progress) -> Folded:
    """The folded entries, and the progress after them."""
    statements: list[tuple[str, Sequence[Any]]] = []
    for statement, rows in folding.rows().statements():
        if rows:
            statements.append((statement, (in_bulk(rows),)))
    done = (*progress[:-1], microseconds(progress.time))
    statements.append(("INSERT OR REPLACE INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", done))
    return Folded(statements, progress)


class ReadTables:
    """The one writing connection to the read tables.  Owned by the projector.

    A transaction is one visit to a thread: a visit for each statement would wait for the event loop as often.
    """

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._shown = int(connection.pragma("user_version"))
        self._is_certain = True
        self._small = OnLoop(slow_seconds=SLOW_SECONDS)
        self._log_pages = 0
        self._locks = WriteLocks(path)
        connection.set_wal_hook(self._note_log)

    def _note_log(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """SQLite's report after each transaction: the length of its log."""
        self._log_pages = pages
        return apsw.SQLITE_OK

    async def progress(self) -> Progress | None:
        """The progress of the tables; None in a new file."""
        with rot_reported():
            rows: list[Any] = await in_thread(
                lambda: self._connection.execute(
                    "SELECT format, instance, epoch, sequence, frontier, time FROM progress"
                ).fetchall()
            )
        if not rows:
            return None
        form, instance, epoch, sequence, frontier, time = rows[0]
        try:
            return Progress(form, instance, epoch, sequence, frontier, from_microseconds(time))
        except OverflowError as error:
            raise ReadTablesRotten("the progress") from error

    async def refuse_damaged(self) -> None:
        """Raise ReadTablesRotten if pages are inconsistent, for a platform without page sums.

        O(file): about a second for a gigabyte.
        """
        with rot_reported():
            await in_thread(lambda: refuse_damaged(self._connection))

    async def keep_pages(self, kibibytes: int) -> None:
        """Set the size of the cache from now on."""
        with rot_reported():
            await in_thread(lambda: self._connection.execute(f"PRAGMA cache_size=-{kibibytes}"))

    async def write(self, folded: Folded, *, is_small: bool = False) -> None:
        """Add them to the tables: all of them and the progress, or nothing.

        A transaction that has begun is finished despite cancellation.  One that ``is_small`` may be written on the
        event loop, at some 25 µs for each entry.  Raises ReadTablesFull, or ReadTablesBusy if another program has the
        file locked for longer than a thread waits.
        """
        shown = folded.progress.sequence % NUMBERS
        with rot_reported(), trio.CancelScope(shield=True):
            try:
                if not (is_small and self._small.is_due() and self._write_at_once(folded.statements, shown)):
                    await in_thread(lambda: self._write(folded.statements, shown))
            except apsw.FullError as error:
                raise ReadTablesFull(f"no space for the read tables: {error}") from error
            except apsw.BusyError as error:
                raise ReadTablesBusy(f"another program has {FILE_NAME} locked: {error}") from error
            if self._log_pages >= LOG_PAGES:
                await in_thread(self._fold_log)

    def _fold_log(self) -> None:
        """Fold the log, as far as no reader uses it.  If that fails, the log grows, and it is tried again."""
        with suppress(apsw.BusyError, apsw.FullError, apsw.IOError):
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._locks.keep()

    def _write_at_once(self, statements: Iterable[tuple[str, Sequence[Any]]], shown: int) -> bool:
        """Write on the event loop, without waiting; returns False if another program has the file locked."""
        self._connection.set_busy_timeout(0)
        try:
            with self._small:
                self._write(statements, shown)
        except apsw.BusyError:
            return False
        finally:
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
        return True

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]], shown: int) -> None:
        """One transaction, which records in the first page its predecessor and its own last entry: see
        ``log_chain``.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            try:
                execute(f"PRAGMA application_id={self._shown}; PRAGMA user_version={shown}")
                for statement, values in statements:
                    execute(statement, values)
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise
        except (apsw.FullError, apsw.BusyError):
            raise
        except BaseException:
            self._is_certain = False
            raise
        finally:
            self._locks.keep()
        self._shown = shown

    async def aclose(self) -> None:
        """Close the connection; SQLite then folds the write-ahead file back."""
        await in_thread(self._close)

    def _close(self) -> None:
        """Mark the file itself as whole; if that is impossible, its log stays and says so."""
        try:
            if not self._is_certain:
                raise apsw.AbortError("what the last transaction did is not known")
            self._write((), self._shown)
        except apsw.Error:
            leave_log(self._connection)
        self._connection.close()
        self._locks.close()


async def open_read_tables(directory: Path, cache_kibibytes: int = WRITER_CACHE_KIBIBYTES) -> ReadTables:
    """Open ``state.db`` for writing, created if it is missing.  Raises ReadTablesRotten."""
    path = directory / FILE_NAME
    with rot_reported():
        return await in_thread(lambda: _open(path, cache_kibibytes))


def _open(path: Path, cache_kibibytes: int) -> ReadTables:
    connection = open_for_writing(path, cache_kibibytes)
    try:
        if not connection.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall():
            connection.execute(f"BEGIN;{SCHEMA}COMMIT;")
        return ReadTables(connection, path)
    except BaseException:
        leave_log(connection)
        connection.close()
        raise


def delete_read_tables(directory: Path) -> None:
    """Remove ``state.db`` and the files that belong to it, none of which may be open."""
    delete_tables(directory / FILE_NAME)
