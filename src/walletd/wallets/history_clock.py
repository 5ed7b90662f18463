"""The history's clock: the time of each entry, which keeps the promises that reads have made.

    clock = HistoryClock(ledger_clock, last_time=progress.time)
    time = clock.next_entry_time()                     # the time by which the next entry is decided
    clock.entered(time)                                # and it was
    clock.promise(clock.moment())                      # a read shows this moment: no entry will be at or before it

An answer about a moment stays true.  So time never goes back in the history, even if the clock does, and an entry is
always later than every moment that a read has shown.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


class HistoryClock:
    """The time of the last entry, and the last moment that a read has shown."""

    __slots__ = ("_clock", "_earliest", "_last_entry", "_promised")

    def __init__(self, clock: Callable[[], datetime], last_time: datetime) -> None:
        """``last_time``: that of the last entry."""
        self._clock = clock
        self._last_entry = last_time
        self._promised = self._earliest = datetime.min.replace(tzinfo=UTC)
        """The last moment that a read has shown, and the first one after it."""

    def go_by(self, clock: Callable[[], datetime]) -> None:
        """Take another clock from now on."""
        self._clock = clock

    def next_entry_time(self) -> datetime:
        """The clock's time, but never before the last entry's, and later than any promised moment."""
        now = self._clock()
        if now < self._last_entry:
            now = self._last_entry
        return now if now >= self._earliest else self._earliest

    def entered(self, time: datetime) -> None:
        """Note that an entry was decided at this time, which ``next_entry_time`` gave."""
        self._last_entry = time

    def moment(self) -> datetime:
        """The present moment: the clock's, or that of the last entry or read if the clock went back."""
        return max(self._clock(), self._last_entry, self._promised)

    def promise(self, time: datetime) -> None:
        """Promise that no entry will be at or before this time, except those already decided."""
        if time > self._promised:
            self._promised = time
            self._earliest = time + _TICK
