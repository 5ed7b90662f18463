"""Consistent reads: questions to the read tables that take several statements and must all see the same state.

    consistent = await open_consistent_reads(path)
    page = await consistent.read(lambda tables: some_function(tables, ...))
    rows = await consistent.rows("SELECT ...", values)          # where one statement is enough

One transaction in one visit to a thread, or in none (``on_loop``); what it reads stood together after the entry that
``progress_of`` names.  A visit that was begun is finished, whatever is cancelled.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw
import trio

from walletd.journal.on_loop import OnLoop
from walletd.wallets.read_tables import in_thread
from walletd.wallets.table_file import READER_CACHE_KIBIBYTES, Tables, open_for_reading, rot_reported

Found = TypeVar("Found")


class ConsistentReads:
    """One reading connection of its own, which one question at a time has."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._turn = trio.Lock()
        self._small = OnLoop()

    async def read(self, look: Callable[[Tables], Found], *, is_small: bool = False) -> Found:
        """What ``look`` finds in one consistent view of the tables.  Raises ReadTablesRotten.

        What is small, and looks at some dozens of rows, may be found without the thread.
        """
        return await self._made(lambda: in_one_view(self._connection, look), is_small)

    async def rows(self, sql: str, values: Sequence[Any] = (), *, is_small: bool = False) -> list[Any]:
        """Every row of one statement that reads.  Raises ReadTablesRotten."""

        def ask() -> list[Any]:
            return self._connection.execute(sql, values).fetchall()

        with rot_reported():
            return await self._made(ask, is_small)

    async def _made(self, call: Callable[[], Found], is_small: bool) -> Found:
        if is_small and not self._turn.locked() and self._small.is_due():
            with self._small:
                return call()
        async with self._turn:
            return await in_thread(call)

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._turn:
            await in_thread(self._connection.close)


async def open_consistent_reads(path: Path, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> ConsistentReads:
    """Open the read tables for questions; they must exist."""
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
    """After which entry the tables stand."""
    row = tables.execute("SELECT sequence FROM progress").fetchone()
    return int(row[0]) if row else 0
