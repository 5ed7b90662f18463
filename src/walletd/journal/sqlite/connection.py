"""One SQLite connection, driven from trio: aiosqlite, whose results go straight to the waiting task.

The promise: one call is one statement is one hop to the worker thread, in autocommit mode, so that a cancelled call
never leaves a transaction open.  A commit needs no hop if the disk is fast (``blocking_calls``).

    connection = await connect(path, silence_seconds=30)
    rows = await connection.rows("SELECT 1")
    changed = await connection.commit("INSERT ...", values)
    await connection.aclose()
"""

import errno
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiosqlite
import trio

from walletd.journal.failures import (
    JournalCorrupt,
    JournalFailure,
    JournalFull,
    JournalLocked,
    JournalSilent,
    JournalUnreadable,
    JournalUnsupported,
)
from walletd.journal.sqlite.asyncio_loop import open_aiosqlite
from walletd.journal.sqlite.distrust import bounded
from walletd.runtime.blocking_calls import OnLoop

Row = tuple[Any, ...]
Parameters = Sequence[int | str | bytes]
T = TypeVar("T")


class SqliteConnection:
    """A connection and its worker thread.  Statements run in the order of the calls, one at a time."""

    def __init__(self, connection: aiosqlite.Connection, sqlite: sqlite3.Connection, silence_seconds: float) -> None:
        self._closed = False
        self._connection = connection
        self._sqlite = sqlite
        self._silence_seconds = silence_seconds
        self._asked = 0
        self._answered = 0
        """The last hop whose answer was seen; the thread has finished all earlier ones, including cancelled ones."""
        self._commits = OnLoop()

    async def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a statement that reads, or of a pragma.  Raises sqlite3.Error, or JournalSilent after a time."""
        with trio.move_on_after(self._silence_seconds):
            return [tuple(row) for row in await self._hop(self._connection.execute_fetchall, statement, parameters)]
        raise JournalSilent(f"SQLite has not answered for {self._silence_seconds:g} s")

    async def change(self, statement: str, parameters: Parameters = ()) -> int:
        """Run one statement that writes, durable on return; returns the number of rows changed.  Raises sqlite3.Error.

        There is no deadline here: the caller that waits for a commit sets one.
        """
        cursor: aiosqlite.Cursor = await self._hop(self._connection.execute, statement, parameters)
        return cursor.rowcount

    async def commit(self, statement: str, parameters: Parameters = ()) -> int:
        """The same as ``change``, on the event loop's own thread if that is faster: not while the worker thread may be
        busy, nor if the disk is slow.
        """
        if self._answered == self._asked and self._commits.is_due():
            return self.commit_now(statement, parameters)
        return await self.change(statement, parameters)

    @property
    def is_quick(self) -> bool:
        """True if ``commit_now`` may be called, and is faster."""
        return self._answered == self._asked and self._commits.is_fast

    def commit_now(self, statement: str, parameters: Parameters) -> int:
        """``commit`` without a wait for the worker thread."""
        with self._commits:
            return self._change_now(statement, parameters)

    def _change_now(self, statement: str, parameters: Parameters) -> int:
        return self._sqlite.execute(statement, parameters).rowcount

    def bounded(self) -> AbstractContextManager[object]:
        """Every statement in the block ends with an error if it takes far more steps than a journal's statements do."""
        return bounded(self._sqlite)

    @property
    def in_transaction(self) -> bool:
        """True if a failed statement left a transaction open, in which case nothing is certain."""
        return self._connection.in_transaction

    async def aclose(self) -> None:
        """Close, once, and end the thread, despite cancellation.

        Raises JournalSilent if the thread does not answer: then it never will, and only the end of the process ends it.
        Closing cannot be cancelled once begun, so a cancellable request goes first.
        """
        if self._closed:
            return
        self._closed = True
        with trio.CancelScope(shield=True):
            await self.rows("SELECT 1")
            await self._hop(self._connection.close)

    async def _hop(self, function: Callable[..., Awaitable[T]], *arguments: object) -> T:
        self._asked += 1
        asked = self._asked
        result = await function(*arguments)
        self._answered = max(self._answered, asked)
        return result


async def connect(path: Path, *, silence_seconds: float) -> SqliteConnection:
    """Open ``path``, creating it if needed.  Shielded, because a cancelled connect would leak a locked file.

    psow=0 makes SQLite pad each commit to a sector, so that a power cut that destroys the sector being written cannot
    take an older commit with it (measured: 9% of such states lost one with psow=1, none of 3,000 with psow=0).
    """
    with trio.CancelScope(shield=True):
        connection, sqlite = await open_aiosqlite(_uri(path), timeout=0, check_same_thread=False)
    return SqliteConnection(connection, sqlite, silence_seconds)


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=rwc&psow=0"


def is_full(error: sqlite3.Error) -> bool:
    """True if SQLite reports that the disk is full, or that the file may not grow."""
    return _code(error) == sqlite3.SQLITE_FULL


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate SQLite's and the system's exceptions, raised while reading or starting, into the journal's failures.

    Not for appends: there the question is what is certain, and the store answers it itself.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _TRANSLATIONS.get(_code(error), JournalUnreadable)(f"{doing}: {error}") from error
    except UnicodeDecodeError as error:  # rotted text, perhaps only that of the schema in an error message
        raise JournalCorrupt(f"{doing}: {error}") from error
    except OSError as error:
        kind = JournalFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else JournalUnreadable
        raise kind(f"{doing}: {error}") from error


_TRANSLATIONS: dict[int, type[JournalFailure]] = {
    sqlite3.SQLITE_FULL: JournalFull,
    sqlite3.SQLITE_CORRUPT: JournalCorrupt,
    sqlite3.SQLITE_INTERRUPT: JournalCorrupt,  # It took more steps than anything of ours does (``distrust``).
    sqlite3.SQLITE_TOOBIG: JournalCorrupt,
    sqlite3.SQLITE_NOTADB: JournalUnsupported,
    sqlite3.SQLITE_BUSY: JournalLocked,
    sqlite3.SQLITE_LOCKED: JournalLocked,
}


def _code(error: sqlite3.Error) -> int:
    """The primary result code; errors that the sqlite3 module raises by itself have none."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
