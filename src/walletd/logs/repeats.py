"""Repeated lines are written a few times, then counted: a fault on every connection must not fill the disk.

    handler.addFilter(LimitRepeats(burst=10, window_seconds=10))

Lines are alike if the same place in the code writes them at the same level, whatever the arguments.
"""

import logging
import time
from collections.abc import Callable

AUDIT = "walletd.audit"
"""The logger whose lines all pass: it bounds them itself, by their causes."""


class LimitRepeats(logging.Filter):
    """Lets ``burst`` alike lines pass in a window; the first of a later window reports how many were suppressed.

    Critical lines and those of the audit log always pass.  The memory is bounded by the number of places that log.
    """

    def __init__(self, burst: int, window_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._burst = burst
        self._window_seconds = window_seconds
        self._clock = clock
        self._places: dict[tuple[str, int, int], _Window] = {}
        self.suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """True if this line is written."""
        if record.levelno >= logging.CRITICAL or record.name == AUDIT:
            return True
        now = self._clock()
        window = self._places.setdefault((record.name, record.levelno, record.lineno), _Window(now))
        if now - window.began >= self._window_seconds:
            record.repeats = window.left_out
            window.began, window.passed, window.left_out = now, 0, 0
        if window.passed >= self._burst:
            window.left_out += 1
            self.suppressed += 1
            return False
        window.passed += 1
        return True


class _Window:
    __slots__ = ("began", "left_out", "passed")

    def __init__(self, began: float) -> None:
        self.began = began
        self.passed = 0
        self.left_out = 0
