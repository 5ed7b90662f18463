"""Timers: the daemon records the expiry of each hold by a separate entry, soon after its time has come.

    timers = Timers(submit, clock, read)
    await timers.load()                                # at the start: also holds due while the daemon was down
    timers.follow(effects.holds)                       # as entries become durable

One heap of times and one sleeping task: nothing is done while nothing is due.  Only the next expiries are in memory, up
to a horizon; later ones are read from the tables when their time approaches.  So a million open holds cost the same
here as twenty thousand, some 5 MB.  Decisions and reads do not depend on it: a hold has expired at its time, whether or
not the entry exists.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from heapq import heappop, heappush, nsmallest

import trio

from walletd.tables.queries.holds import Expiry, Key
from walletd.tables.schema import (
    microseconds,
)
from walletd.vocabulary.commands import ExpireHold
from walletd.vocabulary.entries import HoldRecord
from walletd.vocabulary.identifiers import CommandId, HoldId, WalletId, place_of
from walletd.vocabulary.states import HoldState

LONGEST_SLEEP_SECONDS = 60.0
"""The wall clock may be set forward while the task sleeps: an expiry is recorded at most this much later."""

MOST_AT_ONCE = 100
"""The number of expiries submitted before other work gets its turn."""

BUSY_SECONDS = 0.002
"""The delay before another check while a full commit waits for the disk and no expiry is submitted."""

RETRY_SECONDS = 1.0
"""The delay before another attempt while the journal accepts no writes."""

KEPT = 10_000
"""The number of expiries read at once; at most twice as many are kept."""

ReadExpiries = Callable[[Key | None, int], Awaitable[list[Expiry]]]
"""The next expiries after a key, in order, up to a limit; of every entry that is durable now."""


class Timers:
    """The future expiries, and the task that submits those that are due.

    ``submit`` has the command decided and calls back with True once its entry is durable, otherwise with False.  An
    entry records its wallet's expired holds as far as it has space; the rest is submitted again.  ``is_busy`` tells
    whether enough work is in progress.
    """

    def __init__(
        self,
        submit: Callable[[ExpireHold, Callable[[bool], None]], None],
        clock: Callable[[], datetime],
        read: ReadExpiries,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._submit = submit
        self._is_busy = is_busy
        self._clock = clock
        self._read = read
        self._heap: list[Expiry] = []
        self._expires_at: dict[HoldId, datetime] = {}
        self._horizon: Key | None = None
        """All expiries up to here are in memory; None: all that exist."""
        self._while_reading: list[HoldRecord] | None = None
        self._undecided: list[Expiry] = []
        self._recording: dict[WalletId, list[Expiry]] = {}
        """The wallets with an entry in progress, and their other due holds, many of which that entry records."""
        self._changed = trio.Event()
        self.submitted = 0

    def __len__(self) -> int:
        return len(self._expires_at)

    async def load(self) -> None:
        """Begin with the next expiries that the tables know."""
        await self._read_on(None)

    async def _read_on(self, after: Key | None) -> None:
        """Move the horizon.  Holds that change during the read are followed again afterwards."""
        self._while_reading = []
        found = await self._read(after, KEPT)
        for moment, wallet, hold in found:
            self._expires_at[hold] = moment
            heappush(self._heap, (moment, wallet, hold))
        self._horizon = key_of(found[-1]) if len(found) == KEPT else None
        missed, self._while_reading = self._while_reading, None
        self.follow(missed)

    def follow(self, holds: Iterable[HoldRecord]) -> None:
        """Note the holds' new states.  O(log n) for each that will expire before the horizon, otherwise O(1)."""
        for hold in holds:
            if self._while_reading is not None:
                self._while_reading.append(hold)
            if hold.state is not HoldState.OPEN or hold.expires_at is None:
                self._expires_at.pop(hold.hold, None)
            elif self._expires_at.get(hold.hold) != hold.expires_at:
                self._expires_at.pop(hold.hold, None)
                self._expect((hold.expires_at, hold.wallet, hold.hold))

    def wake(self) -> None:
        """Read the clock now: it may have been set forward."""
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            self._changed = trio.Event()
            self._submit_due()
            if self._is_busy():
                await trio.sleep(BUSY_SECONDS)
                continue
            if not self._heap and self._horizon is not None:
                await self._read_on(self._horizon)
                continue
            with trio.move_on_after(self._seconds_to_next()):
                await self._changed.wait()
            if self._undecided:
                await trio.sleep(RETRY_SECONDS)
                undecided, self._undecided = self._undecided, []
                for expiry in undecided:
                    heappush(self._heap, expiry)

    def _expect(self, expiry: Expiry) -> None:
        if self._horizon is not None and key_of(expiry) > self._horizon:
            return
        moment, _, hold = expiry
        self._expires_at[hold] = moment
        heappush(self._heap, expiry)
        if len(self._heap) > 2 * KEPT and self._while_reading is None:
            self._draw_the_horizon_in()
        if self._heap[0][2] == hold:
            self._changed.set()

    def _draw_the_horizon_in(self) -> None:
        """Keep only the next ones."""
        current = {expiry for expiry in self._heap if self._expires_at.get(expiry[2]) == expiry[0]}
        self._heap = nsmallest(KEPT, current, key=key_of)  # in order, and so a heap
        beyond = current.difference(self._heap)
        if beyond:
            self._horizon = key_of(self._heap[-1])
        for _, _, hold in beyond:
            del self._expires_at[hold]

    def _submit_due(self) -> None:
        now = self._clock()
        due = 0
        while self._heap and self._heap[0][0] <= now and due < MOST_AT_ONCE and not self._is_busy():
            moment, wallet, hold = heappop(self._heap)
            if self._expires_at.get(hold) != moment:
                continue
            if wallet in self._recording:
                self._recording[wallet].append((moment, wallet, hold))
            else:
                due += 1
                self._record(moment, wallet, hold)

    def _record(self, moment: datetime, wallet: WalletId, hold: HoldId) -> None:
        command = ExpireHold(command_id=expiry_id(hold, moment), wallet=wallet, hold=hold)
        self._recording[wallet] = []

        def decided(is_decided: bool) -> None:
            others = [expiry for expiry in self._recording.pop(wallet) if self._expires_at.get(expiry[2]) == expiry[0]]
            if self._expires_at.get(hold) == moment:
                if is_decided:
                    del self._expires_at[hold]
                else:
                    others.append((moment, wallet, hold))
            if is_decided:
                for expiry in others:
                    heappush(self._heap, expiry)
            else:
                self._undecided += others
            if others:
                self._changed.set()

        self.submitted += 1
        self._submit(command, decided)

    def _seconds_to_next(self) -> float:
        if not self._heap:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (self._heap[0][0] - self._clock()).total_seconds()))


def key_of(expiry: Expiry) -> Key:
    """An expiry's place in the order of expiries."""
    moment, _, hold = expiry
    return moment, *place_of(hold)


def expiry_id(hold: HoldId, moment: datetime) -> CommandId:
    """The id of the command that records this expiry: the same after a restart, another one if the hold was
    extended.
    """
    return CommandId(f"expire-{hold}-{microseconds(moment)}")
