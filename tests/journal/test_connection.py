"""A commit is made where that is faster, the event loop's thread or SQLite's own, and means the same in both."""

import math
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.journal.chains import Chain
from walletd.journal.sqlite.connection import SqliteConnection, connect
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SMALL_BYTES
from walletd.runtime import blocking_calls
from walletd.runtime.blocking_calls import CALLS_IN_THREAD

INSERT = "INSERT INTO t VALUES (?)"
LONG = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000) SELECT count(x) FROM n"


class Watched:
    """A connection that notes in which thread each row was written."""

    def __init__(self, connection: SqliteConnection) -> None:
        self.connection = connection
        self.threads: list[threading.Thread] = []
        connection._sqlite.create_function("noted", 1, self._note)

    def _note(self, value: int) -> int:
        self.threads.append(threading.current_thread())
        return value

    async def commit(self, value: int) -> bool:
        """Whether it was made in the thread of the loop."""
        assert await self.connection.commit("INSERT INTO t SELECT noted(?)", (value,)) == 1
        return self.threads.pop() is threading.current_thread()


@pytest.fixture
async def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """On a disk that counts as fast, however busy it is."""
    monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", math.inf)
    connection = await connect(tmp_path / "a.db", silence_seconds=30)
    await connection.change("CREATE TABLE t (n INTEGER UNIQUE)")
    yield Watched(connection)
    await connection.aclose()


async def test_where_the_disk_is_fast_a_commit_needs_no_other_thread(watched: Watched) -> None:
    assert all([await watched.commit(number) for number in range(10)])
    assert len(await watched.connection.rows("SELECT n FROM t")) == 10


async def test_what_is_asked_of_the_thread_comes_first_whoever_still_waits_for_it(watched: Watched) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await watched.connection.rows(LONG)
    assert scope.cancelled_caught
    assert not await watched.commit(1), "the thread may still work on what no task waits for"
    assert await watched.commit(2), "it has answered what came later"


async def test_a_commit_beside_a_read_waits_for_it_and_the_loop_does_not(watched: Watched) -> None:
    done: list[str] = []

    async def read() -> None:
        await watched.connection.rows(LONG)
        done.append("read")

    async def write() -> None:
        assert not await watched.commit(1)
        done.append("written")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(write)
    assert done == ["read", "written"]


async def test_a_slow_disk_has_the_thread(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", 0.0)
    assert await watched.commit(0)
    assert not any([await watched.commit(number) for number in range(1, 1 + CALLS_IN_THREAD)])
    assert await watched.commit(-1)
    assert not await watched.commit(-2)


@pytest.mark.parametrize("slow", [False, True])
async def test_what_sqlite_refuses_is_raised_in_both(watched: Watched, slow: bool) -> None:
    await watched.commit(1)
    watched.connection._commits._in_thread = int(slow)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await watched.connection.commit(INSERT, (1,))
    assert not watched.connection.in_transaction
    assert await watched.connection.rows("SELECT n FROM t") == [(1,)]


@pytest.mark.parametrize(("padding", "has_thread"), [(0, False), (SMALL_BYTES, True)])
async def test_a_large_segment_is_written_in_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: int, has_thread: bool
) -> None:
    monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", math.inf)
    async with open_journal(tmp_path) as store:
        asked = store._connection._asked
        await Chain().append_to(store, padding=padding)
        assert (store._connection._asked > asked) == has_thread


@pytest.mark.parametrize(("padding", "slow_seconds", "is_quick"), [(0, math.inf, True), (SMALL_BYTES, math.inf, False)])
async def test_a_store_says_what_had_better_be_appended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, padding: int, slow_seconds: float, is_quick: bool
) -> None:
    monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", slow_seconds)
    chain = Chain()
    async with open_journal(tmp_path) as store:
        assert store.is_quick(padding) == (padding <= SMALL_BYTES)
        segment = chain.next(padding=padding)
        assert store.is_quick(len(segment.body)) == is_quick
        asked = store._connection._asked
        store.append_now(0, segment)
        assert store._connection._asked == asked
        assert await store.read(0) == [segment]
        monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", 0.0)
        await chain.append_to(store)
        assert not store.is_quick(0), "the disk is slow"


async def test_a_store_whose_thread_is_at_something_is_not_quick(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as store, trio.open_nursery() as nursery:
        assert store.is_quick(0)
        nursery.start_soon(store._connection.rows, LONG)
        await trio.testing.wait_all_tasks_blocked()
        assert not store.is_quick(0)
