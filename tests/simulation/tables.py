"""SQLite in the loop: what walletd uses of aiosqlite, without a thread and without asyncio.

    with sqlite_in_the_loop(pause):
        tables = await open_read_tables(directory)      # the real code, the real SQL, the real file

Threads end determinism, SQL does not: each call pauses as long as the simulation says, then runs the statement in the
calling task, then pauses again, for an answer takes its time, too.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from walletd.wallets import consistent_reads, read_tables, readings

Pause = Callable[[], Awaitable[None]]


class LoopConnection:
    """An aiosqlite connection, as far as the read tables and the readings call it."""

    def __init__(self, connection: sqlite3.Connection, pause: Pause) -> None:
        self._connection = connection
        self._pause = pause

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    async def execute(self, sql: str, values: Iterable[Any] = ()) -> None:
        await self._run(lambda: self._connection.execute(sql, tuple(values)))

    async def executemany(self, sql: str, rows: Sequence[Iterable[Any]]) -> None:
        await self._run(lambda: self._connection.executemany(sql, rows))

    async def executescript(self, script: str) -> None:
        await self._run(lambda: self._connection.executescript(script))

    async def execute_fetchall(self, sql: str, values: Iterable[Any] = ()) -> list[Any]:
        return await self._run(lambda: self._connection.execute(sql, tuple(values)).fetchall())

    async def close(self) -> None:
        """Close at once: also for a process that has ended, whose transaction is thereby rolled back."""
        self._connection.close()

    async def _run(self, act: Callable[[], Any]) -> Any:
        await self._pause()
        result = act()
        await self._pause()
        return result


class LoopSqlite:
    """What stands where the module ``aiosqlite`` was."""

    def __init__(self, pause: Pause) -> None:
        self._pause = pause

    async def in_thread(self, act: Callable[[], Any]) -> Any:
        """What stands where a visit to a thread was."""
        await self._pause()
        result = act()
        await self._pause()
        return result

    async def connect(self, path: str | Path, **options: Any) -> LoopConnection:
        connection = sqlite3.connect(path, **options)
        connection.execute("PRAGMA synchronous=OFF")  # A simulated crash is kind to files.
        await self._pause()
        return LoopConnection(connection, self._pause)


@contextmanager
def sqlite_in_the_loop(pause: Pause) -> Iterator[None]:
    """The read tables and the readings over SQLite in the loop, for as long as this lasts."""
    sqlite = LoopSqlite(pause)
    with (
        patch.object(read_tables, "in_thread", sqlite.in_thread),
        patch.object(consistent_reads, "in_thread", sqlite.in_thread),
        patch.object(readings, "aiosqlite", sqlite),
        patch.object(readings, "aio_as_trio", lambda call: call),
    ):
        yield
