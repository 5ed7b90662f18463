"""Consistent reads: queries of the read tables that take several statements and must all see the same state.

    consistent = await open_consistent_reads(path)
    page = await consistent.read(lambda tables: find_wallets(tables, search, now, after, limit))
    rows = await consistent.rows("SELECT ...", values)          # if one statement is enough

One transaction in one visit to a thread, or in none (``blocking_calls``); everything it reads belongs to the state
after the entry that ``progress_of`` names.  Once handed to the thread, a call runs to completion; cancellation does not
interrupt it.

A small query runs on the event loop.  Whether it is small shows as it runs: after ``SMALL_STEPS`` of SQLite's steps it
is abandoned there, and started again in the thread.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw
import trio

from walletd.runtime.blocking_calls import OnLoop
from walletd.tables.file import READER_CACHE_KIBIBYTES, Tables, open_for_reading, rot_reported
from walletd.tables.writer import in_thread

Found = TypeVar("Found")

SMALL_STEPS = 20_000
"""The steps of SQLite's machine for one read on the event loop: some 800 rows, two to four milliseconds including their
processing.  A visit to a thread, which shares the interpreter, takes as long.
"""

_STEPS_AT_ONCE = 1_000


class _TooLong(Exception):
    """The event loop has spent on a read the time that a read may take there."""


class ConsistentReads:
    """A separate reading connection, for one query at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._turn = trio.Lock()
        self._small = OnLoop()

    async def read(self, look: Callable[[Tables], Found], *, is_small: bool = False) -> Found:
        """The result of ``look`` in one consistent view of the tables.  Raises ReadTablesRotten.

        A query that ``is_small`` is tried without the thread first, so ``look`` may be called twice.
        """
        return await self._made(lambda: in_one_view(self._connection, look), is_small)

    def read_at_once(self, look: Callable[[Tables], Found]) -> Found | None:
        """The result of ``look``, without the thread; None if that is not possible, or would take long."""
        with suppress(_TooLong):
            return self._at_once(lambda: in_one_view(self._connection, look))
        return None

    async def rows(self, sql: str, values: Sequence[Any] = (), *, is_small: bool = False) -> list[Any]:
        """Every row of one statement that reads.  Raises ReadTablesRotten."""

        def ask() -> list[Any]:
            with rot_reported():
                return self._connection.execute(sql, values).fetchall()

        return await self._made(ask, is_small)

    async def _made(self, call: Callable[[], Found], is_small: bool) -> Found:
        if is_small:
            with suppress(_TooLong):
                return self._at_once(call)
        async with self._turn:
            return await in_thread(call)

    def _at_once(self, call: Callable[[], Found]) -> Found:
        """Make the call on the event loop.  Raises _TooLong if another query has the connection, or if the call is
        expensive.
        """
        if self._turn.locked() or not self._small.is_due():
            raise _TooLong
        left = max(1, SMALL_STEPS // _STEPS_AT_ONCE)

        def spend() -> bool:
            nonlocal left
            left -= 1
            return left == 0

        self._connection.set_progress_handler(spend, min(SMALL_STEPS, _STEPS_AT_ONCE))
        try:
            with self._small:
                return call()
        except apsw.InterruptError:
            raise _TooLong from None
        finally:
            self._connection.set_progress_handler(None)

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._turn:
            await in_thread(self._connection.close)


async def open_consistent_reads(path: Path, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> ConsistentReads:
    """Open the read tables for queries; they must exist."""
    return ConsistentReads(await in_thread(lambda: open_for_reading(path, cache_kibibytes)))


def in_one_view(connection: Tables, look: Callable[[Tables], Found]) -> Found:
    """Run it in one transaction, which is over afterwards whatever happens."""
    with rot_reported():
        connection.execute("BEGIN")
        try:
            return look(connection)
        finally:
            connection.execute("ROLLBACK")


def progress_of(tables: Tables) -> int:
    """The last entry that the tables show."""
    row = tables.execute("SELECT sequence FROM progress").fetchone()
    return int(row[0]) if row else 0
