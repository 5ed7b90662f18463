"""A watch over a thread that others wait for: a thread that is gone never answers.

    watch = SilenceWatch("the reads of the read tables", die)
    with watch.waiting():
        rows = await in_thread(ask)
    nursery.start_soon(watch.run)

It asks for progress, not for speed: however long the queue, a thread that answers at all is well.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import trio

SILENCE_SECONDS = 30.0
"""A call that takes this long means a disk that hangs; the process is ended after one to two times as long."""


class SilenceWatch:
    """Counts calls and answers; ends the process if a call waits and none is answered."""

    def __init__(self, what: str, die: Callable[[str], NoReturn], clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: the clock that the thread goes by, which is not trio's if a test lets that jump."""
        self._what = what
        self._die = die
        self._clock = clock
        self._asked = 0
        self._over = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While the thread is waited for."""
        self._asked += 1
        try:
            yield
        finally:
            self._over += 1

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            asked, over, began = self._asked, self._over, self._clock()
            await trio.sleep(SILENCE_SECONDS)
            if asked > over == self._over and self._clock() - began >= SILENCE_SECONDS / 2:
                self._die(f"{self._what} have not answered for {SILENCE_SECONDS:g} s")
