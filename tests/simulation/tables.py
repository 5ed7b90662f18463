"""SQLite in the loop: the read tables as they are, without a thread.

    with sqlite_in_the_loop(pause, is_at_once):
        tables = await open_read_tables(directory)      # the real code, the real SQL, the real file

Threads end determinism, SQL does not: each visit to a thread pauses as long as the simulation says, then runs in the
calling task, then pauses again, for an answer takes its time, too.  What may be done without a thread is, as often as
the simulation says, and not by how long it took.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from walletd.runtime.blocking_calls import OnLoop
from walletd.tables import reader as consistent_reads
from walletd.tables import writer

Pause = Callable[[], Awaitable[None]]


@contextmanager
def sqlite_in_the_loop(pause: Pause, is_at_once: Callable[[], bool]) -> Iterator[None]:
    """The read tables and the queries over SQLite in the loop, for as long as this lasts."""

    async def in_the_loop(act: Callable[[], Any]) -> Any:
        """What stands where a visit to a thread was."""
        await pause()
        result = act()
        await pause()
        return result

    with (
        patch.object(writer, "in_thread", in_the_loop),
        patch.object(consistent_reads, "in_thread", in_the_loop),
        patch.object(OnLoop, "is_due", lambda _: is_at_once()),
    ):
        yield
