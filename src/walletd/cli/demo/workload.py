"""The workload: many tasks over a few connections, each performing one deed after the other and keeping account of it.

    await Workload(town, seed).run(clients, operations)

A deed is done once its answer is known; occasionally the same command is sent again with the same id, and must get the
first answer and move nothing.
"""

import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import trio

from walletd.cli.demo.deeds import MAX_PAST_PURCHASES, Dealer, Deed
from walletd.cli.demo.town import Town
from walletd.client import Applied, Client, OutcomeUnknown, RequestFailed
from walletd.vocabulary.reasons import Reason

TASKS_PER_CONNECTION = 32
REPLAY_CHANCE = 0.03
ATTEMPTS = 5
"""The number of times that a command is sent again, with its id, while its outcome is unknown."""

Answer = Applied | RequestFailed


class Extent(NamedTuple):
    """The length of a run: a number of operations or of seconds, whichever ends first; None is unlimited."""

    operations: int | None
    seconds: float | None

    @property
    def most_operations(self) -> int:
        """The largest possible number of operations."""
        return sys.maxsize if self.operations is None else self.operations

    def progress(self, operations: int, seconds: float) -> float:
        """The fraction that is done, from 0 to 1."""
        shares = [operations / self.operations] if self.operations is not None else []
        shares += [seconds / self.seconds] if self.seconds is not None else []
        return min(1.0, max(shares, default=0.0))


class Account:
    """The work done so far, and the seconds that each answer took."""

    def __init__(self) -> None:
        self.applied: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.replays = 0
        self.latencies = array("d")
        self.last_sequence = 0
        self.surprises: list[str] = []

    @property
    def operations(self) -> int:
        """The number of answered commands, replays included."""
        return len(self.latencies)

    def surprise(self, sentence: str) -> None:
        """Record something that must not happen; the first ones tell the story."""
        if len(self.surprises) < 20:
            self.surprises.append(sentence)


class Workload:
    """The deeds of one run, and the account of them."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.account = Account()
        self.ends_at = float("inf")
        """The time, by trio's clock, after which no task begins anything."""
        self._seed = seed
        self._purchases: deque[Deed] = deque(maxlen=MAX_PAST_PURCHASES)
        self._left = 0
        self._commands = 0

    async def bring_money(self, clients: list[Client], operations: int) -> None:
        """Each customer comes with euros, some with coins, as long as operations are left."""
        dealer = Dealer(self.town, Random(f"{self._seed}:first"), self._purchases)
        chance = Random(f"{self._seed}:coins")
        deeds = []
        for customer in self.town.customers:
            deeds.append(dealer.first_deposit(customer, "EUR"))
            deeds.extend(dealer.first_deposit(customer, coin) for coin in ("BTC", "ETH") if chance.random() < 0.4)
        waiting = iter(deeds[:operations])
        async with trio.open_nursery() as nursery:
            for index in range(len(clients) * TASKS_PER_CONNECTION):
                nursery.start_soon(self._do_each, clients[index % len(clients)], waiting)

    async def run(self, clients: list[Client], operations: int) -> None:
        """Perform deeds until this many commands were answered, the first deposits included, or the time is over."""
        self._left = operations - self.account.operations
        async with trio.open_nursery() as nursery:
            for index in range(len(clients) * TASKS_PER_CONNECTION):
                nursery.start_soon(self._live, clients[index % len(clients)], index)

    async def _do_each(self, client: Client, deeds: Iterable[Deed]) -> None:
        for deed in deeds:
            if trio.current_time() >= self.ends_at:
                return
            await self._do(client, deed)

    async def _live(self, client: Client, index: int) -> None:
        """One of the tasks: deeds by its own random choices, until the operations are used up."""
        chance = Random(f"{self._seed}:{index}")
        dealer = Dealer(self.town, chance, self._purchases)
        while self._left > 0 and trio.current_time() < self.ends_at:
            self._left -= 1
            command_id, deed, answer = await self._do(client, dealer.next())
            if self._left > 0 and chance.random() < REPLAY_CHANCE:
                self._left -= 1
                await self._replay(client, command_id, deed, answer)

    async def _do(self, client: Client, deed: Deed) -> tuple[str, Deed, Answer]:
        self._commands += 1
        command_id = f"{self.town.run}-{self._commands}"
        answer = await self._ask(client, command_id, deed)
        if isinstance(answer, Applied):
            self._was_applied(deed, answer)
        else:
            self._was_refused(deed, answer)
        return command_id, deed, answer

    async def _replay(self, client: Client, command_id: str, deed: Deed, first: Answer) -> None:
        again = await self._ask(client, command_id, deed)
        self.account.replays += 1
        match first, again:
            case Applied(), Applied():
                alike = again.replayed and again.sequence == first.sequence
            case RequestFailed(), RequestFailed():
                alike = again.reason is first.reason
            case _:
                alike = False
        if not alike:
            self.account.surprise(f"command {command_id} got a different answer when it was sent again: {again!r}")

    async def _ask(self, client: Client, command_id: str, deed: Deed) -> Answer:
        """The answer to a deed, applied or refused.  Raises ClientError if there is none."""
        asked = time.perf_counter()
        try:
            return await self._post(client, command_id, deed)
        except RequestFailed as refusal:
            return refusal
        finally:
            self.account.latencies.append(time.perf_counter() - asked)

    async def _post(self, client: Client, command_id: str, deed: Deed) -> Applied:
        for _ in range(ATTEMPTS - 1):
            try:
                return await client.post(deed.legs, reference=deed.reference, command_id=command_id)
            except OutcomeUnknown:
                continue
        return await client.post(deed.legs, reference=deed.reference, command_id=command_id)

    def _was_applied(self, deed: Deed, applied: Applied) -> None:
        assert applied.sequence is not None
        self.town.apply(deed.legs)
        self.account.applied[deed.kind] += 1
        self.account.last_sequence = max(self.account.last_sequence, applied.sequence)
        if deed.must_be_refused is not None:
            self.account.surprise(f"{deed.kind} was applied, as entry {applied.sequence}, but should be refused")
        if deed.kind == "purchase":
            self._purchases.append(deed)

    def _was_refused(self, deed: Deed, refusal: RequestFailed) -> None:
        self.account.refused[refusal.word] += 1
        if deed.must_be_refused is not None and refusal.reason is not deed.must_be_refused:
            self.account.surprise(f"{deed.kind} was refused as {refusal.word}, not as {deed.must_be_refused.value}")
        # Two tasks may spend the same money: the second is refused, and that is right.
        if deed.must_be_refused is None and refusal.reason is not Reason.INSUFFICIENT_FUNDS:
            self.account.surprise(f"{deed.kind} was refused: {refusal}")
