"""Consistent reads: questions to the read tables that take several statements and must all see the same state.

    consistent = await open_consistent_reads(path)
    page = await consistent.read(lambda tables: some_function(tables, ...))
    rows = await consistent.rows("SELECT ...", values)          # where one statement is enough

One transaction in one visit to a thread; what it reads stood together after the entry ``progress_of`` names.  A visit
that was begun is finished, whatever is cancelled.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw
import trio

from walletd.wallets.read_tables import in_thread
from walletd.wallets.table_file import Tables, open_for_reading, rot_reported

Found = TypeVar("Found")


class ConsistentReads:
    """One reading connection of its own, which one question at a time has."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._turn = trio.Lock()

    async def read(self, look: Callable[[Tables], Found]) -> Found:
        """What ``look`` finds in one consistent view of the tables.  Raises ReadTablesRotten."""
        async with self._turn:
            return await in_thread(lambda: in_one_view(self._connection, look))

    async def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Every row of one statement that reads.  Raises ReadTablesRotten."""
        async with self._turn:
            with rot_reported():
                return await in_thread(lambda: self._connection.execute(sql, values).fetchall())

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._turn:
            await in_thread(self._connection.close)


async def open_consistent_reads(path: Path) -> ConsistentReads:
    """Open the read tables for questions; they must exist."""
    return ConsistentReads(await in_thread(lambda: open_for_reading(path)))


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
