"""The read tables in ``state.db``: a projection of the journal, made for look-ups, that can be deleted at any time.

    tables = await open_read_tables(directory)
    folded = await fold(entries, progress)             # on the event loop
    await tables.write(folded)                         # one transaction for many entries, in a thread

Folding looks at the entries only, so that the next ones can be folded meanwhile.  A small transaction, for which
somebody may be waiting, is made by the event loop where the disk is fast (``on_loop``): a thread has the interpreter
back only after milliseconds, between any two statements.  What grows with the file, the folding of SQLite's log into
it, is always a thread's.
``synchronous=NORMAL``: after a power cut the tables may be behind the journal, and catch up at the next start.
The rows and their seals are ``table_rows``'; rows that rot has hidden are found by the pages' own checksums
(``table_file``).
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
"""So many are folded before others have the event loop; an entry takes some 15 µs."""

SLOW_SECONDS = 0.01
"""Transactions that take longer on the event loop are a thread's for a while."""

LOG_PAGES = 8_000
"""SQLite's log is folded into the file when it has so many: more often costs more, a larger one is read more slowly."""


in_thread = threads.in_thread
"""How a call that may wait for the disk is made."""


class ReadTablesStand(Exception):
    """The read tables take no writes now.  It is certain that nothing was written, and it can be tried again."""


class ReadTablesFull(ReadTablesStand):
    """There is no space for what was to be written."""


class ReadTablesBusy(ReadTablesStand):
    """Another program is writing to state.db, or holds it."""


class Progress(NamedTuple):
    """Up to where the tables follow the journal: its last sequence, the Merkle frontier there, that entry's time."""

    format: int
    instance: str
    epoch: int
    sequence: int
    frontier: bytes
    time: datetime


class Folded(NamedTuple):
    """Entries as the statements that put them into the tables, and the progress behind them."""

    statements: list[tuple[str, Sequence[Any]]]
    progress: Progress


async def fold(entries: Sequence[Entry], progress: Progress) -> Folded:
    """Fold durable entries, in order; others have the event loop in between."""
    folding = Folding()
    for place, entry in enumerate(entries, 1):
        folding.add(entry)
        if place % TURN_ENTRIES == 0:
            await trio.lowlevel.checkpoint()
    return folded(folding, progress)


def folded(folding: Folding, progress: Progress) -> Folded:
    """What was folded, and the progress behind it."""
    statements: list[tuple[str, Sequence[Any]]] = []
    for statement, rows in folding.rows().statements():
        statements += in_bulk(statement, rows)
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
        """What SQLite says after each transaction: how long its log is."""
        self._log_pages = pages
        return apsw.SQLITE_OK

    async def progress(self) -> Progress | None:
        """How far the tables are; None in a new file."""
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
        """Raise ReadTablesRotten where pages do not hold together, for a platform without page sums.

        O(file): about a second for a gigabyte.
        """
        with rot_reported():
            await in_thread(lambda: refuse_damaged(self._connection))

    async def keep_pages(self, kibibytes: int) -> None:
        """How much of the file is kept in memory from now on."""
        with rot_reported():
            await in_thread(lambda: self._connection.execute(f"PRAGMA cache_size=-{kibibytes}"))

    async def write(self, folded: Folded, *, is_small: bool = False) -> None:
        """Put them into the tables, behind what is there: all of them and the progress, or nothing.

        A transaction that was begun is finished, whatever is cancelled.  What ``is_small`` may be written on the event
        loop, at some 25 µs for each entry.  Raises ReadTablesFull, or ReadTablesBusy where another program has the file
        locked for longer than a thread waits.
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
        """As far as nobody reads from the log.  Where it cannot be done the log grows, and it is tried again."""
        with suppress(apsw.BusyError, apsw.FullError, apsw.IOError):
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._locks.keep()

    def _write_at_once(self, statements: Iterable[tuple[str, Sequence[Any]]], shown: int) -> bool:
        """On the event loop, which waits for nobody; whether no other program has the file locked."""
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
        """One transaction, which says in the first page what it follows and what it shows: see ``log_chain``."""
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
        """The file says by itself that it is whole; where it cannot, its log stays and says so."""
        try:
            if not self._is_certain:
                raise apsw.AbortError("what the last transaction did is not known")
            self._write((), self._shown)
        except apsw.Error:
            leave_log(self._connection)
        self._connection.close()
        self._locks.close()


async def open_read_tables(directory: Path, cache_kibibytes: int = WRITER_CACHE_KIBIBYTES) -> ReadTables:
    """Open ``state.db`` for writing, made anew where it is missing.  Raises ReadTablesRotten."""
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
    """Remove ``state.db`` and what belongs to it; nobody may have it open."""
    delete_tables(directory / FILE_NAME)
