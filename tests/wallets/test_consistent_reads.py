"""A small read is answered by the event loop if the connection is free, and answers the same in a thread."""

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from walletd.runtime import blocking_calls
from walletd.tables.file import FILE_NAME, ReadTablesRotten, Tables
from walletd.tables.reader import SMALL_STEPS, ConsistentReads, open_consistent_reads
from walletd.tables.writer import open_read_tables


@pytest.fixture
async def reads(tmp_path: Path) -> AsyncIterator[ConsistentReads]:
    tables = await open_read_tables(tmp_path)
    reads = await open_consistent_reads(tmp_path / FILE_NAME)
    yield reads
    await reads.aclose()
    await tables.aclose()


def where(_tables: Tables) -> threading.Thread:
    return threading.current_thread()


async def test_a_small_read_needs_no_other_thread_and_a_large_one_has_one(reads: ConsistentReads) -> None:
    here = threading.current_thread()
    assert await reads.read(where, is_small=True) is here
    assert await reads.read(where) is not here
    assert await reads.rows("SELECT 1", is_small=True) == await reads.rows("SELECT 1") == [(1,)]


COUNT = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT n FROM c"


async def test_a_read_that_turns_out_long_is_begun_again_in_the_thread(reads: ConsistentReads) -> None:
    seen: list[threading.Thread] = []

    def count(most: int) -> Callable[[Tables], int]:
        def look(tables: Tables) -> int:
            seen.append(threading.current_thread())
            return len(tables.execute(COUNT, (most,)).fetchall())

        return look

    here = threading.current_thread()
    assert await reads.read(count(50), is_small=True) == 50
    assert seen == [here]
    assert await reads.read(count(SMALL_STEPS), is_small=True) == SMALL_STEPS
    assert seen[:2] == [here, here]
    assert seen[2:] != [here]
    assert len(seen) == 3
    assert len(await reads.rows(COUNT, (SMALL_STEPS,), is_small=True)) == SMALL_STEPS
    assert reads.read_at_once(count(SMALL_STEPS)) is None
    assert reads.read_at_once(count(50)) == 50


async def test_a_small_read_behind_a_large_one_waits_for_it_and_the_loop_does_not(reads: ConsistentReads) -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[Any] = []

    def large(tables: Tables) -> str:
        begun.set()
        may_end.wait()
        return "large"

    async def read(look: Any, *, is_small: bool) -> None:
        done.append(await reads.read(look, is_small=is_small))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: read(large, is_small=False))
        await trio.to_thread.run_sync(begun.wait)
        nursery.start_soon(lambda: read(where, is_small=True))
        await trio.testing.wait_all_tasks_blocked()
        assert done == []
        may_end.set()
    assert done[0] == "large"
    assert done[1] is not threading.current_thread()


async def test_on_a_slow_disk_small_reads_have_a_thread(
    reads: ConsistentReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", -1.0)
    here = threading.current_thread()
    assert await reads.read(where, is_small=True) is here
    assert await reads.read(where, is_small=True) is not here


@pytest.mark.parametrize("is_small", [True, False])
async def test_what_fails_leaves_no_transaction_and_rot_is_reported(reads: ConsistentReads, is_small: bool) -> None:
    with pytest.raises(ReadTablesRotten):
        await reads.read(lambda tables: tables.execute("SELECT * FROM nowhere").fetchall(), is_small=is_small)
    with pytest.raises(ReadTablesRotten):
        await reads.rows("SELECT * FROM nowhere", is_small=is_small)
    assert not reads._connection.in_transaction
    assert await reads.rows("SELECT 1", is_small=is_small) == [(1,)]
