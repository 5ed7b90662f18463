"""Leases over a bad network, in virtual time: the real ``Lease`` of several nodes, and a ledger's row in a few lines.

    found = violations(seed, takes=2000)               # sentences; none of an honest lease

Requests and replies are late or lost, machines sleep, their wall clocks jump by a day, and their clocks run up to a
hundredth fast or slow.  At every take, and at moments in between, no node but the one in the row may answer.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import trio
from trio.testing import MockClock

from walletd.journal.failures import LeadershipLost
from walletd.journal.postgresql import lease as leases
from walletd.journal.postgresql.connection import ConnectionLost, StatementRefused
from walletd.journal.postgresql.lease import Lease, boot_seconds
from walletd.journal.postgresql.schema import RELEASE, RENEW

SECONDS = 10.0
DAY = 86_400.0
NODES = 3
_DRIFT = 0.01


@dataclass
class Row:
    """The ledger's row; the database's clock is the simulation's."""

    owner: str = ""
    until: float = 0.0
    takes: int = 0


@dataclass
class Machine:
    """A node's machine, its clocks, and the lease of its present reign."""

    chance: random.Random
    wall_offset: float = 0.0
    slept: float = 0.0
    reigns: int = 0
    owner: str = ""
    lease: Lease | None = None
    rate: float = field(default=1.0)

    def clock(self, which: int) -> float:
        """As ``time.clock_gettime``."""
        passed = trio.current_time() * self.rate
        if which == time.CLOCK_REALTIME:
            return passed + self.wall_offset
        return passed - (self.slept if which == time.CLOCK_MONOTONIC else 0.0)

    def answers(self) -> bool:
        """Whether it would answer a read now."""
        here = _machine.set(self)
        try:
            return self.lease is not None and not self.lease.is_over
        finally:
            _machine.reset(here)


_machine: ContextVar[Machine] = ContextVar("machine")


class Network:
    """The way to the database, as ``Link`` and ``Connection`` have it."""

    def __init__(self, row: Row, machine: Machine, judge: Callable[[str], None]) -> None:
        self._row = row
        self._machine = machine
        self._judge = judge

    async def ready(self) -> "Network":
        await trio.sleep(0)
        return self

    async def change(self, statement: str, _: str, owner: str, seconds: float) -> int:
        """A renewal."""
        assert statement is RENEW
        await self._way()
        renewed = self._row.owner == owner
        if renewed:
            self._row.until = trio.current_time() + seconds
        await self._way()
        return int(renewed)

    async def rows(self, statement: str, _: str, owner: str) -> list[tuple[Any, ...]]:
        """A release."""
        assert statement is RELEASE
        await self._way()
        if self._row.owner == owner:
            self._row.owner, self._row.until = "", 0.0
        return []

    async def take(self, owner: str) -> bool:
        """As TAKE does it."""
        await self._way()
        taken = self._row.until < trio.current_time() or not self._row.owner
        if taken:
            self._row.owner, self._row.until = owner, trio.current_time() + SECONDS
            self._row.takes += 1
            self._judge(f"{owner} took the ledger")
        await self._way()
        return taken

    async def _way(self) -> None:
        chance = self._machine.chance
        kind = chance.random()
        await trio.sleep(chance.expovariate(1 / 0.05) if kind < 0.7 else chance.uniform(0, SECONDS))
        if kind > 0.93:
            raise ConnectionLost("the network lost it")
        if kind > 0.91:
            raise StatementRefused("40001", "the database refused it")


def violations(seed: int, takes: int) -> list[str]:
    """Run until the ledger was taken so often; what was wrong meanwhile."""
    chance = random.Random(seed)
    row, wrong = Row(), list[str]()
    machines = [Machine(chance, rate=1 + chance.uniform(-_DRIFT, _DRIFT)) for _ in range(NODES)]

    def judge(event: str) -> None:
        for number, machine in enumerate(machines):
            if machine.owner != row.owner and machine.answers():
                wrong.append(
                    f"at {trio.current_time():.2f} {event}, and node {number} still answers as {machine.owner}"
                )

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number, machine in enumerate(machines):
                _machine.set(machine)  # Inherited by the task that begins.
                nursery.start_soon(_live, f"node {number}", machine, Network(row, machine, judge))
                nursery.start_soon(_clocks, machine)
            while row.takes < takes and not wrong:
                await trio.sleep(chance.uniform(0, 1))
                judge("all was quiet")
            nursery.cancel_scope.cancel()

    with _clocks_of_machines():
        trio.run(main, clock=MockClock(autojump_threshold=0))
    return wrong


async def _live(name: str, machine: Machine, network: Network) -> None:
    """Take the ledger, lead it, lose it or give it back, again and again."""
    while True:
        machine.reigns += 1
        owner, sent_at = f"{name}, reign {machine.reigns}", boot_seconds()
        try:
            if not await network.take(owner):
                await trio.sleep(machine.chance.uniform(0, 1))
                continue
        except (ConnectionLost, StatementRefused):
            continue
        machine.owner, machine.lease = owner, Lease(network, "main", owner, SECONDS, sent_at)  # type: ignore[arg-type]
        try:
            with trio.move_on_after(machine.chance.expovariate(1 / (3 * SECONDS))):
                await machine.lease.keep()
            if machine.chance.random() < 0.5:
                await machine.lease.release()
            else:
                machine.lease = None  # It died.
        except LeadershipLost:
            machine.lease = None if machine.chance.random() < 0.5 else machine.lease


async def _clocks(machine: Machine) -> None:
    """The wall clock jumps; the machine sleeps, which a monotonic clock does not count."""
    while True:
        await trio.sleep(machine.chance.expovariate(1 / SECONDS))
        machine.wall_offset = machine.chance.uniform(-DAY, DAY)
        machine.slept += machine.chance.uniform(0, SECONDS)


@contextmanager
def _clocks_of_machines() -> Iterator[None]:
    """Clocks are those of the machine whose task asks."""
    plain = time.clock_gettime
    time.clock_gettime = lambda which: _machine.get().clock(which)
    try:
        yield
    finally:
        time.clock_gettime = plain


# --- bugs ------------------------------------------------------------------------------------------------------------


@contextmanager
def _clock_is(which: int) -> Iterator[None]:
    plain = leases._CLOCK
    leases._CLOCK = which
    try:
        yield
    finally:
        leases._CLOCK = plain


def the_lease_is_judged_by_the_wall_clock() -> Any:
    return _clock_is(time.CLOCK_REALTIME)


def the_time_that_a_machine_sleeps_is_not_counted() -> Any:
    return _clock_is(time.CLOCK_MONOTONIC)


@contextmanager
def the_deadline_counts_from_when_the_renewal_was_answered() -> Iterator[None]:
    plain = Lease.renewed

    def renewed(self: Lease, sent_at: float) -> None:
        plain(self, self._now())

    Lease.renewed = renewed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Lease.renewed = plain  # type: ignore[method-assign]


@contextmanager
def there_is_no_margin() -> Iterator[None]:
    plain = leases.MARGIN
    leases.MARGIN = -0.02
    try:
        yield
    finally:
        leases.MARGIN = plain


BUGS: tuple[Callable[[], Any], ...] = (
    the_lease_is_judged_by_the_wall_clock,
    the_time_that_a_machine_sleeps_is_not_counted,
    the_deadline_counts_from_when_the_renewal_was_answered,
    there_is_no_margin,
)
