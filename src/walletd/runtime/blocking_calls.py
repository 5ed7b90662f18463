"""Calls that may wait for a disk, made by the event loop itself for as long as the disk is fast.

Two threads that hand over to each other take longer than such a disk, and fight for the interpreter besides: whoever
has the event loop keeps it for some milliseconds before another thread gets a turn, between any two of its calls.

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
"""What the last call counts for in how long they take: a disk that is busy now and then is not a slow one."""

CALLS_IN_THREAD = 64
"""So many calls are made in the thread where they are slow, before another one shows whether they still are."""


class OnLoop:
    """Whether calls of one kind are made by the event loop, by how long they took lately."""

    def __init__(self, slow_seconds: float | None = None) -> None:
        self._slow_seconds = slow_seconds
        self._seconds = 0.0
        self._in_thread = 0
        self._began = 0.0

    @property
    def is_fast(self) -> bool:
        """Whether the event loop would make the next call, without asking for it."""
        return not self._in_thread

    def is_due(self) -> bool:
        """Whether the event loop makes the next call; to be asked for each."""
        if self._in_thread:
            self._in_thread -= 1
            return False
        return True

    def __enter__(self) -> Self:
        """Around a call that the event loop makes."""
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._seconds += SHARE_OF_LAST * (perf_counter() - self._began - self._seconds)
        if self._seconds > (SLOW_SECONDS if self._slow_seconds is None else self._slow_seconds):
            self._in_thread = CALLS_IN_THREAD
