"""The history's clock: the time of each entry, which keeps the promises that reads have made.

    clock = HistoryClock(ledger_clock, last_time=progress.time)
    time = clock.next_entry_time()                     # what the next entry is decided by
    clock.entered(time)                                # and it was
    clock.promise(clock.moment())                      # a read shows this moment: no entry will be of it, or before

A read of a moment stays true of it.  So time never goes back in the history, even where the clock does, and an entry
is always later than every moment that a read has shown.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_TICK = timedelta(microseconds=1)


class HistoryClock:
    """The time of the last entry, and the last moment that a read has shown."""

    __slots__ = ("_clock", "_last_entry", "_promised")

    def __init__(self, clock: Callable[[], datetime], last_time: datetime) -> None:
        """``last_time``: that of the last entry."""
        self._clock = clock
        self._last_entry = last_time
        self._promised = datetime.min.replace(tzinfo=UTC)

    def next_entry_time(self) -> datetime:
        """The clock's time, but never before the last entry's, and later than any moment that was promised."""
        return max(self._clock(), self._last_entry, self._promised + _TICK)

    def entered(self, time: datetime) -> None:
        """An entry was decided at this time, which ``next_entry_time`` gave."""
        self._last_entry = time

    def moment(self) -> datetime:
        """The moment now: the clock's, or that of the last entry or read where the clock went back."""
        return max(self._clock(), self._last_entry, self._promised)

    def promise(self, time: datetime) -> None:
        """No entry will be of this time or before it, except those that are decided already."""
        if time > self._promised:
            self._promised = time
