"""The ledger's clock: the time that commands are judged by, which a bad reading of the wall clock cannot carry away.

    clock = LedgerClock(wall_microseconds, steady_microseconds, Beginning(time))
    clock()                                            # the ledger's time; it never falls back
    clock.accept()                                     # an operator's word: the wall clock is right

What stands in one entry binds every later one.  So the wall clock is compared with a steady one, which cannot be set
and which goes on while the machine is suspended.  The two disagree where the wall clock was set, or where the machine
itself was paused, as when a virtual machine is moved.  The ledger's time

- takes over at once what is at most ``MOST_AT_ONCE_SECONDS``, as NTP corrects it;
- runs at twice its speed towards a wall clock that is farther ahead, so that a clock that is wrong for ten minutes
  carries it away by ten minutes at most, and a machine that was paused catches up in as long as it was paused;
- runs at half its speed until a wall clock that went back has caught up;
- takes over all of it when an operator says so.

A jump is said, and counted.  At a start the clock goes on from what it said last in the same boot of the machine;
``begin`` says what else is believed then.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, NamedTuple

from walletd.journal.failures import JournalFailure

log = logging.getLogger("walletd.daemon")

SECOND: Final = 1_000_000
MOST_AT_ONCE_SECONDS: Final = 10
"""A step of NTP is far below, and so much harms no hold and no window."""
MOST_AT_ONCE: Final = MOST_AT_ONCE_SECONDS * SECOND
SAID_SECONDS: Final = 2
"""From here on two readings that disagree are said to be a jump."""
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No ledger is older than its program: a machine without a battery begins in 1970."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Microseconds = Callable[[], int]


class ClockUnbelievable(JournalFailure):
    """At a start the wall clock is so far ahead that it is not believed without an operator's word."""

    advice: ClassVar[str] = (
        "An entry written at a wrong time binds all that follow: put the clock right or, if it is right and the "
        "machine was off for so long, say so: walletd clock FOLDER --accept"
    )


class Seen(NamedTuple):
    """What the ledger's clock said when it was last written down: its time, the steady clock's, and of which boot."""

    time: datetime
    steady: int
    boot: str


class Beginning(NamedTuple):
    """From where the clock goes on, and which readings of the wall clock would be believed at once.

    ``believes_until`` is there where the wall clock is known to be wrong: the first reading between ``time`` and it is
    taken over whole.
    """

    time: datetime
    believes_until: datetime | None = None


def wall_microseconds() -> int:
    """The wall clock, since 1970."""
    return time.time_ns() // 1000


def steady_microseconds() -> int:
    """A clock that is never set and counts also while the machine is suspended, since an unknown moment."""
    return time.clock_gettime_ns(_STEADY) // 1000


_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def begin(
    wall: datetime, steady: int, boot: str, last: datetime, seen: Seen | None, max_gap: timedelta, accepted: bool
) -> Beginning:
    """Where the clock begins, after the entry of the time ``last``, or the first of all where that is 1970.

    In the same boot it goes on from where it was.  Else the wall clock is believed, unless it is behind the journal:
    then the time goes on from the journal until the wall clock has come to its senses.  Raises ClockUnbelievable where
    it is farther ahead of what was seen last than a machine may have been off.
    """
    if seen is not None and seen.boot == boot and steady >= seen.steady:
        vouched = max(last, seen.time + timedelta(microseconds=steady - seen.steady))
        return Beginning(max(vouched, wall) if accepted else vouched)
    known = max(last, seen.time) if seen is not None else last
    if wall < max(known, EARLIEST):
        limit = datetime.max.replace(tzinfo=UTC) if known == _EPOCH else max(known, EARLIEST) + max_gap
        if known != _EPOCH and known - wall >= timedelta(seconds=SAID_SECONDS):
            log.error(
                "this machine's clock says %s, %s behind the journal: the ledger's time goes on from %s; put the clock "
                "right (if it is the journal that is ahead, see docs/do/operations.md#the-clock)",
                shown(wall),
                length(known - wall),
                shown(known),
            )
        return Beginning(max(known, wall), limit)
    if wall - known > max_gap and known != _EPOCH and not accepted:
        if seen is not None:
            raise ClockUnbelievable(
                f"this machine's clock says {shown(wall)}, {length(wall - known)} ahead of the last time this ledger "
                f"saw, {shown(known)}"
            )
        log.warning(
            "this machine's clock says %s, %s ahead of the journal's last entry; accepting it",
            shown(wall),
            length(wall - known),
        )
    return Beginning(wall)


class LedgerClock:
    """The ledger's time, which a call returns.  It never falls back."""

    def __init__(
        self,
        wall: Microseconds = wall_microseconds,
        steady: Microseconds = steady_microseconds,
        beginning: Beginning | None = None,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._looked = steady()
        if beginning is None:
            beginning = Beginning(_EPOCH + timedelta(microseconds=wall()))
        # The lead is what the ledger's time is ahead of the steady clock, in microseconds: it changes only in here.
        self._lead = (beginning.time - _EPOCH) // _MICROSECOND - self._looked
        self._wanted = self._lead
        self._believes_until = beginning.believes_until
        self._allowance = 0
        """What may be taken over at once: it grows with the time that passes, to ``MOST_AT_ONCE_SECONDS``."""
        self._is_apart = False
        self.jumps = {"ahead": 0, "back": 0}
        """How often the wall clock jumped, compared with the steady one."""

    def __call__(self) -> datetime:
        """The ledger's time now.  O(1)."""
        steady = self._steady()
        wanted = self._wall() - steady
        passed, self._looked = steady - self._looked, steady
        was_ahead = self._wanted > self._lead
        hop, self._wanted = wanted - self._wanted, wanted
        if self._believes_until is not None:
            self._come_to_its_senses(wanted + steady)
        before = self._lead
        # Who looks seldom must not have a jump taken for the time in which it was chased.
        allowed = self._allowance + passed if was_ahead else min(MOST_AT_ONCE, self._allowance + passed)
        gain = max(0, min(wanted - before, allowed))
        self._lead += gain
        self._allowance = min(MOST_AT_ONCE, allowed - gain)
        if wanted < before:
            self._lead = max(wanted, before - passed // 2)
        if abs(hop) >= SAID_SECONDS * SECOND:
            self._say_jump(hop)
        elif self._is_apart and abs(wanted - self._lead) < SAID_SECONDS * SECOND:
            self._is_apart = False
            log.info("this machine's clock and the ledger's time agree again")
        return self._time(steady)

    @property
    def ahead_seconds(self) -> float:
        """How far the wall clock was ahead of the ledger's time when that was last asked for."""
        return (self._wanted - self._lead) / SECOND

    @property
    def is_apart(self) -> bool:
        """Whether the wall clock is ahead of the ledger's time by more than was taken over at once, or behind it."""
        return self._is_apart

    def accept(self) -> None:
        """Take over what the wall clock says, if it is ahead."""
        steady = self._steady()
        wanted = self._wall() - steady
        if wanted > self._lead:
            log.warning("an operator confirmed this machine's clock: %s", shown(self._time(steady, wanted)))
            self._lead = wanted
        self._wanted = wanted
        self._believes_until = None

    def seen(self, boot: str) -> Seen:
        """What is to be written down of it now."""
        time = self()
        return Seen(time, self._looked, boot)

    def _come_to_its_senses(self, wall: int) -> None:
        """The clock that was known to be wrong is believed as soon as it can be right."""
        assert self._believes_until is not None
        at = _EPOCH + timedelta(microseconds=wall) if wall < 2**57 else datetime.max.replace(tzinfo=UTC)
        if EARLIEST <= at <= self._believes_until and self._wanted >= self._lead:
            log.warning("this machine's clock now says %s; accepting it", shown(at))
            self._believes_until = None
            self._lead = self._wanted

    def _say_jump(self, hop: int) -> None:
        direction = "ahead" if hop > 0 else "back"
        self.jumps[direction] += 1
        apart = timedelta(microseconds=self._wanted - self._lead)
        if abs(apart) < timedelta(seconds=SAID_SECONDS):
            self._is_apart = False
            log.warning("this machine's clock jumped %s by %s", direction, length(timedelta(microseconds=hop)))
            return
        self._is_apart = True
        log.error(
            "this machine's clock jumped %s by %s and is %s %s the ledger's time, which runs %s until they meet%s",
            direction,
            length(timedelta(microseconds=hop)),
            length(apart),
            "ahead of" if self._wanted > self._lead else "behind",
            "twice as fast" if self._wanted > self._lead else "half as fast",
            "; if the clock is right: walletd clock FOLDER --accept" if self._wanted > self._lead else "",
        )

    def _time(self, steady: int, lead: int | None = None) -> datetime:
        return _EPOCH + timedelta(microseconds=(self._lead if lead is None else lead) + steady)


def shown(moment: datetime) -> str:
    """A moment as the log shows it, to the second."""
    return moment.replace(microsecond=0).isoformat()


def length(span: timedelta) -> str:
    """A span without its sign and, where it is long, without what is small in it."""
    span = abs(span)
    return str(span) if span < timedelta(minutes=1) else str(timedelta(seconds=int(span.total_seconds())))
