"""Counting what a piece of work costs, so that a claim such as O(1) can be tested: steps and bytes, never seconds.

    small, large = steps(lambda: act(books_of(10))), steps(lambda: act(books_of(10_000)))
    assert large <= small * 1.5

Steps are the bytecodes that Python executes, and what SQLite's machine goes round.  What C code does inside one call
(a copy of a dict, a sort) is not a step: ``bytes_used`` sees the copies.
"""

import sqlite3
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import apsw

Connection = apsw.Connection | sqlite3.Connection


def steps(act: Callable[[], object]) -> int:
    """How many bytecodes run in ``act`` and in all that it calls."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def bytes_used(act: Callable[[], object]) -> int:
    """How much memory ``act`` had at most that was not there before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@contextmanager
def rounds_counted(connection: Connection) -> Iterator[list[int]]:
    """How often SQLite went round a loop or sought in a tree meanwhile; the one item of the list."""
    counted = [0]

    def count() -> bool:
        counted[0] += 1
        return False

    connection.set_progress_handler(count, 1)
    try:
        yield counted
    finally:
        connection.set_progress_handler(None, 1)
