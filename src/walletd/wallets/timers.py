"""Timers: the daemon records the expiry of each hold by an entry of its own, soon after its time has come.

    timers = Timers(submit, clock)
    timers.load(await readings.expiries())             # at the start: also what fell due while the daemon was down
    timers.follow(effects.holds)                       # as entries become durable

One heap of moments and one sleeping task: nothing is done while nothing is due.  An open hold that expires costs one
item of the heap and one of a dict, about 250 bytes.  Decisions and reads do not depend on it: a hold has expired at its
moment, whether the entry is there or not.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import heapify, heappop, heappush

import trio

from walletd.vocabulary.commands import ExpireHold
from walletd.vocabulary.entries import HoldRecord
from walletd.vocabulary.identifiers import CommandId, HoldId, WalletId
from walletd.vocabulary.lifecycle import HoldState
from walletd.wallets.read_tables import microseconds

LONGEST_SLEEP_SECONDS = 60.0
"""The wall clock may be put forward while the task sleeps: a moment is recorded at most so much later."""

MOST_AT_ONCE = 100
"""How many expiries are submitted before other work gets its turn."""

RETRY_SECONDS = 1.0
"""While the journal takes no writes, an expiry is tried again after so long."""

Expiry = tuple[datetime, WalletId, HoldId]


class Timers:
    """The expiries that lie ahead, and the task that submits those that are due.

    ``submit`` has the command decided and calls back with whether it was: True once its entry is durable.
    """

    def __init__(
        self, submit: Callable[[ExpireHold, Callable[[bool], None]], None], clock: Callable[[], datetime]
    ) -> None:
        self._submit = submit
        self._clock = clock
        self._heap: list[Expiry] = []
        self._expires_at: dict[HoldId, datetime] = {}
        self._undecided: list[Expiry] = []
        self._changed = trio.Event()
        self.submitted = 0

    def __len__(self) -> int:
        return len(self._expires_at)

    def load(self, expiries: Iterable[Expiry]) -> None:
        """Begin with these.  O(n)."""
        self._heap = list(expiries)
        heapify(self._heap)
        self._expires_at = {hold: moment for moment, _, hold in self._heap}

    def follow(self, holds: Iterable[HoldRecord]) -> None:
        """Take note of what became of holds.  O(log n) for each that will expire."""
        for hold in holds:
            if hold.state is not HoldState.OPEN or hold.expires_at is None:
                self._expires_at.pop(hold.hold, None)
            elif self._expires_at.get(hold.hold) != hold.expires_at:
                self._expires_at[hold.hold] = hold.expires_at
                self._expect(hold.expires_at, hold.wallet, hold.hold)

    def wake(self) -> None:
        """Look at the clock now: it may have been put forward."""
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            self._changed = trio.Event()
            self._submit_due()
            with trio.move_on_after(self._seconds_to_next()):
                await self._changed.wait()
            if self._undecided:
                await trio.sleep(RETRY_SECONDS)
                undecided, self._undecided = self._undecided, []
                for expiry in undecided:
                    heappush(self._heap, expiry)

    def _expect(self, moment: datetime, wallet: WalletId, hold: HoldId) -> None:
        heappush(self._heap, (moment, wallet, hold))
        if self._heap[0][2] == hold:
            self._changed.set()

    def _submit_due(self) -> None:
        now = self._clock()
        due = 0
        while self._heap and self._heap[0][0] <= now and due < MOST_AT_ONCE:
            moment, wallet, hold = heappop(self._heap)
            if self._expires_at.get(hold) == moment:
                due += 1
                self._record(moment, wallet, hold)

    def _record(self, moment: datetime, wallet: WalletId, hold: HoldId) -> None:
        command = ExpireHold(command_id=expiry_id(hold, moment), wallet=wallet, hold=hold)

        def decided(is_decided: bool) -> None:
            if not is_decided and self._expires_at.get(hold) == moment:
                self._undecided.append((moment, wallet, hold))
                self._changed.set()
            elif self._expires_at.get(hold) == moment:
                del self._expires_at[hold]

        self.submitted += 1
        self._submit(command, decided)

    def _seconds_to_next(self) -> float:
        if not self._heap:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (self._heap[0][0] - self._clock()).total_seconds()))


def expiry_id(hold: HoldId, moment: datetime) -> CommandId:
    """The id of the command that records this expiry: the same after a restart, another where the hold was extended."""
    return CommandId(f"expire-{hold}-{microseconds(moment)}")
