"""A clock for trio that does not count the time in which the process stood still.

    clock = AwakeClock()
    trio.run(main, clock=clock)
    clock.stood_seconds                                # the time that it has left out

A process that is stopped (SIGSTOP, a debugger, a machine that is paused or moved) cannot see that a disk answers or
that a client sends its pong.  By the system's clock, every deadline has then passed at the first pass of the loop,
before the loop sees what has arrived meanwhile.  With this clock, a deadline passes only while the loop runs: between
two readings of the clock, the loop has slept as long as it asked to, and has worked for less than
``LONGEST_PASS_SECONDS``; any further time was not the loop's.
"""

import time
from collections.abc import Callable

import trio

LONGEST_PASS_SECONDS = 2.0
"""A pass of the loop takes milliseconds.  A longer one is a standstill, of the process or of a call that blocks the
loop: an answer awaited meanwhile could not be seen either.
"""


class AwakeClock(trio.abc.Clock):
    """Seconds since the start, without standstills."""

    def __init__(self, read: Callable[[], float] = time.perf_counter) -> None:
        self._read = read
        self._now = 0.0
        self._seen = read()
        self._asked = 0.0
        """The time that the loop may sleep until the next reading."""
        self.stood_seconds = 0.0
        """The time left out since the start."""

    def start_clock(self) -> None:
        """Called when trio starts."""
        self._seen = self._read()

    def current_time(self) -> float:
        """The present time."""
        seen = self._read()
        passed, self._seen = seen - self._seen, seen
        most, self._asked = self._asked + LONGEST_PASS_SECONDS, 0.0
        if passed > most:
            self.stood_seconds += passed - most
            passed = most
        self._now += passed
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """The time that the loop may sleep."""
        self._asked = max(0.0, deadline - self.current_time())
        return self._asked
