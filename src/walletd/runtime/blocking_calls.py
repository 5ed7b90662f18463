"""Blocking calls to the disk, made by the event loop itself while the disk is fast.

A hand-over between two threads takes longer than such a disk, and the threads contend for the interpreter besides: the
thread that runs the event loop keeps it for some milliseconds before another one gets a turn, between any two of its
calls.

    on_loop = OnLoop()
    if on_loop.is_due():
        with on_loop:
            os.fsync(descriptor)
    else:
        await in_thread(os.fsync, descriptor)
"""

from time import perf_counter
from typing import Self

SLOW_SECONDS = 0.005
"""Calls that take longer than this are worth a hop: meanwhile the event loop can serve others."""

SHARE_OF_LAST = 0.1
"""The weight of the last call in the average: a disk that is busy occasionally is not a slow one."""

CALLS_IN_THREAD = 64
"""The number of slow calls made in the thread before another one on the loop tests whether they still are slow."""


class OnLoop:
    """The choice for calls of one kind between event loop and thread, by their recent durations."""

    def __init__(self, slow_seconds: float | None = None) -> None:
        self._slow_seconds = slow_seconds
        self._seconds = 0.0
        self._in_thread = 0
        self._began = 0.0

    @property
    def is_fast(self) -> bool:
        """True if the event loop would make the next call; asking changes nothing."""
        return not self._in_thread

    def is_due(self) -> bool:
        """True if the event loop makes the next call; ask once for each call."""
        if self._in_thread:
            self._in_thread -= 1
            return False
        return True

    def __enter__(self) -> Self:
        """Time a call that the event loop makes."""
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds += SHARE_OF_LAST * (perf_counter() - self._began - self._seconds)
        if self._seconds > (SLOW_SECONDS if self._slow_seconds is None else self._slow_seconds):
            self._in_thread = CALLS_IN_THREAD
