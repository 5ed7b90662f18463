"""Consistent reads: questions to the read tables that take several statements and must all see the same state.

    consistent = await open_consistent_reads(path)
    page = await consistent.read(lambda tables: some_function(tables, ...))

One transaction in one visit to a thread; what it reads stood together after the entry ``progress_of`` names.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from walletd.wallets.read_tables import in_thread, open_for_reading, rot_reported

Found = TypeVar("Found")


class ConsistentReads:
    """One reading connection of its own, which one question at a time has."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._turn = trio.Lock()

    async def read(self, look: Callable[[sqlite3.Connection], Found]) -> Found:
        """What ``look`` finds in one consistent view of the tables.  Raises ReadTablesRotten."""
        async with self._turn:
            return await in_thread(lambda: in_one_view(self._connection, look))

    async def aclose(self) -> None:
        """Close the connection."""
        async with self._turn:
            await in_thread(self._connection.close)


async def open_consistent_reads(path: Path) -> ConsistentReads:
    """Open the read tables for questions; they must exist."""
    with rot_reported():
        return ConsistentReads(await in_thread(lambda: open_for_reading(path, check_same_thread=False)))


def in_one_view(connection: sqlite3.Connection, look: Callable[[sqlite3.Connection], Found]) -> Found:
    """Run it in one transaction, which is over afterwards whatever happens."""
    with rot_reported():
        connection.execute("BEGIN")
        try:
            return look(connection)
        finally:
            connection.execute("ROLLBACK")


def progress_of(tables: sqlite3.Connection) -> int:
    """After which entry the tables stand."""
    row = tables.execute("SELECT sequence FROM progress").fetchone()
    return int(row[0]) if row else 0
