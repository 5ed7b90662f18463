"""aiosqlite on trio without an asyncio loop: results, errors and cancellations come as from any trio function."""

import sqlite3
import threading
from pathlib import Path

import pytest
import trio

from walletd.journal.sqlite.asyncio_loop import TrioLoop, open_aiosqlite


async def test_statements_are_answered_in_order_and_the_thread_ends_with_the_connection(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    connection, _ = await open_aiosqlite(f"file:{tmp_path}/a.db")
    await connection.execute("CREATE TABLE t (n INTEGER)")
    (worker,) = set(threading.enumerate()) - before
    for number in range(100):
        await connection.execute("INSERT INTO t VALUES (?)", (number,))
    assert [row[0] for row in await connection.execute_fetchall("SELECT n FROM t")] == list(range(100))
    await connection.close()
    worker.join(30)
    assert not worker.is_alive()


async def test_what_sqlite_raises_is_raised_where_it_was_asked(tmp_path: Path) -> None:
    connection, _ = await open_aiosqlite(f"file:{tmp_path}/a.db")
    try:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await connection.execute("SELECT * FROM nowhere")
        assert list(await connection.execute_fetchall("SELECT 1")) == [(1,)], "the next one is answered"
    finally:
        await connection.close()


async def test_tasks_that_wait_together_each_get_their_own_answer(tmp_path: Path) -> None:
    connection, _ = await open_aiosqlite(f"file:{tmp_path}/a.db")
    answers = {}

    async def ask(number: int) -> None:
        ((answers[number],),) = await connection.execute_fetchall("SELECT ?", (number,))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ask, number)
    await connection.close()
    assert answers == {number: number for number in range(50)}


async def test_who_is_cancelled_leaves_and_what_was_asked_is_done(tmp_path: Path) -> None:
    connection, _ = await open_aiosqlite(f"file:{tmp_path}/a.db")
    await connection.execute("CREATE TABLE t (n INTEGER)")
    with trio.CancelScope() as scope:
        scope.cancel()
        await connection.execute("INSERT INTO t VALUES (1)")
    assert scope.cancelled_caught
    assert list(await connection.execute_fetchall("SELECT n FROM t")) == [(1,)]
    await connection.close()


async def test_a_result_that_is_there_before_anybody_waits_is_not_lost() -> None:
    future = TrioLoop().create_future()  # type: ignore[abstract]
    future.set_result("early")
    assert future.done()
    assert await future == "early"


def test_a_result_that_comes_when_trio_has_ended_is_dropped() -> None:
    async def loop() -> TrioLoop:
        return TrioLoop()  # type: ignore[abstract]

    ended = trio.run(loop)
    ended.call_soon_threadsafe(pytest.fail, "nothing is left to be called")
