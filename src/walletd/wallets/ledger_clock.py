"""The ledger's clock: the time by which commands are judged, protected against a wrong wall clock.

    clock = LedgerClock(wall_microseconds, steady_microseconds, Beginning(time))
    clock()                                            # the ledger's time; it never goes back
    clock.accept()                                     # an operator's confirmation: the wall clock is right

The time of one entry binds every later one.  So the wall clock is compared with a steady one, which cannot be set and
which continues while the machine is suspended.  The two disagree if the wall clock was set, or if the machine itself
was paused, for example when a virtual machine is moved.  The ledger's time

- adopts at once a difference of at most ``MOST_AT_ONCE_SECONDS``, such as NTP's corrections;
- runs at twice its speed towards a wall clock that is farther ahead, so that a clock that is wrong for ten minutes
  shifts it by ten minutes at most, and a paused machine catches up in as long as it was paused;
- runs at half its speed until a wall clock that went back has caught up;
- adopts all of it when an operator confirms it.

A jump is logged and counted.  At a start the clock continues from its last recorded reading in the same boot of the
machine; ``begin`` defines what else is accepted then.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple

from walletd.journal.failures import JournalFailure

log = logging.getLogger("walletd.daemon")

SECOND = 1_000_000
MOST_AT_ONCE_SECONDS = 10
"""A step of NTP is far below, and a difference of this size harms no hold and no window."""
MOST_AT_ONCE = MOST_AT_ONCE_SECONDS * SECOND
RECENT = 1_000
"""The microseconds for which the steady clock tells the time alone, once it agrees with the wall clock."""
SAID_SECONDS = 2
"""The difference between two readings from which a jump is logged."""
SAID = SAID_SECONDS * SECOND
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No ledger is older than its program: a machine without a battery starts in 1970."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Microseconds = Callable[[], int]


class ClockUnbelievable(JournalFailure):
    """At a start the wall clock is so far ahead that it needs an operator's confirmation."""

    advice: ClassVar[str] = (
        "An entry written at a wrong time binds all that follow: put the clock right or, if it is right and the "
        "machine was off for so long, say so: walletd clock FOLDER --accept"
    )


class Seen(NamedTuple):
    """The last recorded reading of the ledger's clock: its time, the steady clock's, and the boot."""

    time: datetime
    steady: int
    boot: str


class Beginning(NamedTuple):
    """The time from which the clock continues, and the readings of the wall clock that would be accepted at once.

    ``believes_until`` is present if the wall clock is known to be wrong: the first reading between ``time`` and it is
    adopted whole.
    """

    time: datetime
    believes_until: datetime | None = None


def wall_microseconds() -> int:
    """The wall clock, since 1970."""
    return time.time_ns() // 1000


def steady_microseconds() -> int:
    """A clock that is never set and also counts while the machine is suspended, since an unknown moment."""
    return time.clock_gettime_ns(_STEADY) // 1000


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def begin(
    wall: datetime, steady: int, boot: str, last: datetime, seen: Seen | None, max_gap: timedelta, accepted: bool
) -> Beginning:
    """The beginning of the clock, after the entry of the time ``last``, or before the first entry if that is 1970.

    In the same boot it continues from its reading.  Otherwise the wall clock is accepted, unless it is behind the
    journal: then the time continues from the journal until the wall clock is plausible again.  Raises ClockUnbelievable
    if it is farther ahead of the last reading than a machine may have been off.
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
    """The ledger's time, which a call returns.  It never goes back."""

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
        # The lead is how far the ledger's time is ahead of the steady clock, in microseconds: it changes only in here.
        self._lead = (beginning.time - _EPOCH) // _MICROSECOND - self._looked
        self._wanted = self._lead
        self._believes_until = beginning.believes_until
        self._allowance = 0
        """The difference that may be adopted at once: it grows with time, up to ``MOST_AT_ONCE_SECONDS``."""
        self._is_apart = False
        self._told = self._looked
        """The steady clock when the time was told last, and from when on it must be compared again."""
        self._compared_until = self._looked
        self.jumps = {"ahead": 0, "back": 0}
        """The number of the wall clock's jumps against the steady one."""

    def __call__(self) -> datetime:
        """The ledger's time now.  O(1)."""
        # Every command asks: no built-in function is called that a comparison can replace.
        steady = self._steady()
        if self._told < steady < self._compared_until:
            self._told = steady
            return _EPOCH + timedelta(0, 0, self._lead + steady)
        return self._compare(steady)

    def _compare(self, steady: int) -> datetime:
        """The ledger's time, once both clocks are compared."""
        wanted = self._wall() - steady
        passed, self._looked = steady - self._looked, steady
        was_ahead = self._wanted > self._lead
        hop, self._wanted = wanted - self._wanted, wanted
        if self._believes_until is not None:
            self._come_to_its_senses(wanted + steady)
        before = self._lead
        # If readings are rare, a jump must not be taken for the time during which it was caught up.
        allowed = self._allowance + passed
        if allowed > MOST_AT_ONCE and not was_ahead:
            allowed = MOST_AT_ONCE
        if wanted >= before:
            gain = wanted - before
            if gain > allowed:
                gain = allowed
            self._lead = before + gain
            allowed -= gain
        else:
            slowest = before - (steady - self._told) // 2
            self._lead = wanted if wanted > slowest else slowest
        self._allowance = MOST_AT_ONCE if allowed > MOST_AT_ONCE else allowed
        self._told = steady
        self._compared_until = steady + RECENT if self._lead == wanted else steady
        if not -SAID < hop < SAID:
            self._say_jump(hop)
        elif self._is_apart and abs(wanted - self._lead) < SAID:
            self._is_apart = False
            log.info("this machine's clock and the ledger's time agree again")
        return self._time(steady)

    @property
    def ahead_seconds(self) -> float:
        """The seconds by which the wall clock was ahead of the ledger's time at the last reading."""
        return (self._wanted - self._lead) / SECOND

    @property
    def is_apart(self) -> bool:
        """True if the wall clock is ahead of the ledger's time by more than was adopted at once, or behind it."""
        return self._is_apart

    def accept(self) -> None:
        """Adopt the wall clock's time, if it is ahead."""
        steady = self._steady()
        wanted = self._wall() - steady
        if wanted > self._lead:
            log.warning("an operator confirmed this machine's clock: %s", shown(self._time(steady, wanted)))
            self._lead = wanted
        self._wanted = wanted
        self._believes_until = None
        self._compared_until = steady

    def seen(self, boot: str) -> Seen:
        """The reading to record now."""
        time = self._compare(self._steady())
        return Seen(time, self._looked, boot)

    def _come_to_its_senses(self, wall: int) -> None:
        """Accept the clock that was known to be wrong as soon as it can be right."""
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
        return _EPOCH + timedelta(0, 0, (self._lead if lead is None else lead) + steady)


def shown(moment: datetime) -> str:
    """A time as the log shows it, to the second."""
    return moment.replace(microsecond=0).isoformat()


def length(span: timedelta) -> str:
    """A span without its sign and, if it is long, without its small parts."""
    span = abs(span)
    return str(span) if span < timedelta(minutes=1) else str(timedelta(seconds=int(span.total_seconds())))
