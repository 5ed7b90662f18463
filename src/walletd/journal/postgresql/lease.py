"""The lease: for how long the node that leads a ledger may answer.

The lease protects reads, the term protects writes.  It is judged twice, and never by a wall clock of a node: the
database ends it by its own clock, and the node stops ``margin`` before that, counted from the moment at which it *sent*
the last renewal that succeeded, on a clock that also counts the time in which the process or the machine stood still.

    lease = Lease(link, "main", owner, seconds=10, taken_at=sent_at)
    nursery.start_soon(lease.keep)                     # raises LeadershipLost
    lease.is_over                                      # asked before each answer
"""

import time
from collections.abc import Callable

import trio

from walletd.journal.failures import LeadershipLost
from walletd.journal.postgresql.connection import ConnectionLost, StatementRefused
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.schema import RELEASE, RENEW

RENEWALS = 3
"""So many renewals fit into a lease: two may fail."""
MARGIN = 0.1
"""The part of the lease by which the node stops earlier: clocks differ in rate, and an answer takes a moment."""
RELEASE_SECONDS = 2.0
_TICK_SECONDS = 0.001
"""Less cannot be waited for by a clock that differs from the lease's in the last digit."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds that also pass while the process is stopped or the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def _nothing() -> None:
    """Nothing waits for its end."""


class Lease:
    """The lease of one node on one ledger, which it has just taken."""

    def __init__(
        self,
        link: Link,
        ledger: str,
        owner: str,
        seconds: float,
        taken_at: float,
        now: Callable[[], float] = boot_seconds,
    ) -> None:
        """``taken_at`` is when the statement that took it was sent."""
        self._link = link
        self._ledger = ledger
        self._owner = owner
        self.seconds = seconds
        self._now = now
        self._deadline = 0.0
        self.when_over: Callable[[], None] = _nothing
        """Called when it is kept no longer: nothing may wait for the database then."""
        self.renewed(taken_at)

    def renewed(self, sent_at: float) -> None:
        """A statement that was sent at this moment has renewed it."""
        self._deadline = sent_at + self.seconds * (1 - MARGIN)

    @property
    def is_over(self) -> bool:
        """True if nothing may be answered any more."""
        return self._now() >= self._deadline

    @property
    def left_seconds(self) -> float:
        """The time until it is over, unless it is renewed."""
        return self._deadline - self._now()

    def end(self) -> None:
        """Nothing may be answered from now on."""
        self._deadline = 0.0

    async def keep(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Renew it until cancelled.  Raises LeadershipLost when it is over, or another node has the ledger."""
        task_status.started()
        try:
            await self._renew_in_time()
        finally:
            self.when_over()

    async def _renew_in_time(self) -> None:
        while not self.is_over:
            with trio.move_on_after(max(_TICK_SECONDS, self.left_seconds)):
                await self._renew()
                await trio.sleep(self.seconds / RENEWALS)
        raise LeadershipLost(f"the lease on ledger {self._ledger} could not be renewed in time")

    async def _renew(self) -> None:
        sent_at = self._now()
        try:
            connection = await self._link.ready()
            sent_at = self._now()
            renewed = await connection.change(RENEW, self._ledger, self._owner, self.seconds)
        except (ConnectionLost, StatementRefused):
            return
        if not renewed:
            self.end()
            raise LeadershipLost(f"another node has taken ledger {self._ledger}")
        self.renewed(sent_at)

    async def release(self) -> None:
        """Give it back, so that another node need not wait for its end."""
        self.end()
        with trio.move_on_after(RELEASE_SECONDS, shield=True):
            while True:
                try:
                    await (await self._link.ready()).rows(RELEASE, self._ledger, self._owner)
                    return
                except StatementRefused:
                    return
                except ConnectionLost:
                    continue  # A lost connection is found when it is used; releasing twice does no harm.
