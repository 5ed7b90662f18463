"""The clients: they send commands, send them again, ask, watch, and never believe that silence means no."""

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from tests.simulation.oracle import Attempt, Outcome, Watch
from tests.simulation.process import Died, Process
from walletd.streams.publisher import Subscription, Watched
from walletd.tables.queries.statements import Question
from walletd.vocabulary.commands import (
    AnyCommand,
    DefineAsset,
    FreezeWallet,
    OpenWallet,
    Posting,
    PostTransfer,
    UnfreezeWallet,
    UpdateWallet,
    WalletLimits,
    Window,
)
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import AssetCode, CommandId, Principal, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide
from walletd.wallets.submission import Answer, Submission

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE_SECONDS = 120.0
"""How long, in virtual time, an answer may take while the process lives: full disks and all."""
ASSETS = ["EUR", "BTC"]
RETRYABLE = {Reason.OVERLOADED, Reason.UNAVAILABLE}


class Client:
    """A principal with its commands.  Two clients may share one principal, and so the command ids."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.chance = world.chance
        self.number = number
        self.principal = Principal(f"client-{number % 3}")
        self.wallets = ["@external", "@fees", *(f"w{n}" for n in range(world.plan.wallets))]
        self.made = 0
        """How many new commands it thought of."""
        self.sent: list[AnyCommand] = world.sent.setdefault(self.principal, [])

    async def storm(self) -> None:
        """Send and ask, in bursts, until all is sent."""
        for command in self._prelude():
            self.send(await self.world.serving(), command)
            while self.world.plan.is_patient and not await self._is_settled(command):
                await trio.sleep(0.3)
        while self.made < self.world.plan.commands:
            process = await self.world.serving()
            for _ in range(self.chance.choice([1, 1, 2, 8])):
                self._act(process)
            await trio.sleep(self.chance.choice([0, 0, 0.001, 0.02, 0.3]))

    def _act(self, process: Process) -> None:
        if not process.is_serving:
            return
        dry = 0 if self.world.plan.has_limits else 2
        kinds: list[tuple[int, Callable[[Process], object]]] = [
            (10, lambda process: self.send(process, self._new())),
            (3, lambda process: self.send(process, self._again())),
            (2, lambda process: self.send(process, self._changed(self._again()))),
            (dry, lambda process: self.send(process, msgspec.structs.replace(self._some(), dry_run=True))),
            (2, self._read_wallet),
            (1, self._list_wallets),
            (1, self._statement),
            (1, self._history),
        ]
        act = self.chance.choices([kind[1] for kind in kinds], [kind[0] for kind in kinds])[0]
        act(process)

    # --- commands --------------------------------------------------------------------------------------------------

    def _prelude(self) -> list[AnyCommand]:
        """Assets, and some of the wallets, funded; what several clients do, all but one are refused."""
        mine = self.wallets[1 + self.number % 2 :: 2] if self.world.plan.clients > 1 else self.wallets[1:]
        opened = [OpenWallet(command_id=self._id(), wallet=WalletId(wallet)) for wallet in mine[:5]]
        funded = [self._pay(("@external", wallet.wallet, "EUR", 50)) for wallet in opened if wallet.wallet[0] != "@"]
        return [*(self._define(asset) for asset in ASSETS), *opened, *funded]

    def _new(self) -> AnyCommand:
        self.made += 1
        kind = self.chance.random()
        command: AnyCommand
        if kind < 0.03:
            command = self._define(self.chance.choice(ASSETS))
        elif kind < 0.12:
            command = OpenWallet(command_id=self._id(), wallet=WalletId(self.chance.choice(self.wallets)))
        elif kind < 0.2 and self.world.plan.has_limits:
            command = self._limit()
        elif kind < 0.3:
            command = self._pay(("@external", self._wallet(), "EUR", self.chance.randint(1, 50)))
        else:
            count = self.chance.choice([1, 1, 1, 2, 4])
            asset = self.chance.choice(["EUR", "EUR", "EUR", *ASSETS])
            command = self._pay(*((*self._two_wallets(), asset, self.chance.randint(1, 30)) for _ in range(count)))
        if self.chance.random() < 0.1:
            wallet = WalletId(self._wallet())
            command = msgspec.structs.replace(command, if_version={wallet: self.chance.randint(0, 9)})
        if self.chance.random() < 0.05:
            until = self.world.now() + timedelta(seconds=self.chance.choice([-1, 0.01, 1]))
            command = msgspec.structs.replace(command, valid_until=until)
        elif self.chance.random() < 0.05:
            command = msgspec.structs.replace(command, valid_for_seconds=self.chance.choice([1, 2]))
        return command

    def _limit(self) -> AnyCommand:
        """What makes later payments fail for another reason than funds, and what ends that."""
        wallet, kind = WalletId(self._wallet()), self.chance.random()
        if kind < 0.15:
            return FreezeWallet(command_id=self._id(), wallet=wallet, frozen=FrozenSide.DEBITS, why="w")
        if kind < 0.4:
            return UnfreezeWallet(command_id=self._id(), wallet=wallet)
        windows = tuple(
            Window(seconds=seconds, amount=str(self.chance.randint(1, 80)))
            for seconds in self.chance.choice([(1,), (2, 60), ()])
        )
        limits = WalletLimits(velocity=windows, minimum=self.chance.choice([None, None, "3"]))
        return UpdateWallet(command_id=self._id(), wallet=wallet, limits={AssetCode("EUR"): limits})

    def _define(self, asset: str) -> DefineAsset:
        return DefineAsset(command_id=self._id(), asset=AssetCode(asset), scale=2)

    def _pay(self, *postings: tuple[str, str, str, int]) -> PostTransfer:
        return PostTransfer(
            command_id=self._id(),
            postings=tuple(
                Posting(WalletId(source), WalletId(to), AssetCode(asset), str(amount))
                for source, to, asset, amount in postings
            ),
        )

    def _wallet(self) -> str:
        """Some wallet; the first ones are hot."""
        return self.wallets[min(self.chance.randrange(len(self.wallets)), self.chance.randrange(len(self.wallets)))]

    def _two_wallets(self) -> tuple[str, str]:
        """Two wallets, hardly ever the same."""
        source, to = self._wallet(), self._wallet()
        return (source, to) if source != to or self.chance.random() < 0.1 else (source, self._wallet())

    def _id(self) -> CommandId:
        return CommandId(f"c{self.number}-{self.world.order}-{self.chance.randrange(1000)}")

    def _again(self) -> AnyCommand:
        """Something sent before: most often lately."""
        back = min(self.chance.randrange(len(self.sent)), self.chance.randrange(len(self.sent)))
        return self.sent[-1 - back]

    def _some(self) -> AnyCommand:
        return self._again() if self.chance.random() < 0.3 else self._new()

    def _changed(self, command: AnyCommand) -> AnyCommand:
        """Other content under the same id."""
        if isinstance(command, PostTransfer):
            return msgspec.structs.replace(command, reference=f"r{self.chance.randrange(3)}")
        return msgspec.structs.replace(command, if_version={WalletId("@fees"): 1})

    def send(self, process: Process, command: AnyCommand) -> Attempt | None:
        """Submit a command to this process; what it answers is judged when it does."""
        world = self.world
        if not process.is_serving:
            return None
        assert process.core is not None
        world.order += 1
        attempt = Attempt(command, self.principal, world.order, process.life, process.core.writer.durable_head)
        world.oracle.sent(attempt)
        if not command.dry_run and not any(command is known for known in self.sent):
            self.sent.append(command)

        def reply(outcome: Outcome) -> None:
            if not process.is_dead:
                world.note(f"{attempt} is answered {outcome!r}")
                world.judge(world.oracle.answered, attempt, outcome)
                attempt.settled.set()
                process.point()

        core, is_in_turn = process.core, self.chance.random() < 0.5
        with contextlib.suppress(Died):
            if is_in_turn:
                core.passes.begin_pass()
            core.wallets.decisions.submit(Submission(command, self.principal, reply))
            if is_in_turn:
                core.passes.end_pass()
        return attempt

    # --- reads -----------------------------------------------------------------------------------------------------

    def _read_wallet(self, process: Process) -> None:
        world, wallet = self.world, WalletId(self._wallet())
        assert process.core is not None
        world.order += 1
        marker = DefineAsset(command_id=CommandId("read"), asset=AssetCode("EUR"), scale=2)
        attempt = Attempt(marker, self.principal, world.order, process.life, process.core.writer.durable_head)
        process.reads += 1

        def reply(books: Any, sequence: int, moment: Any) -> None:
            if not process.is_dead:
                process.reads -= 1
                world.note(f"{wallet} is read at {sequence}")
                world.judge(world.oracle.read, attempt, wallet, books.get(wallet), sequence)
                process.point()

        def show(books: Any, moment: Any) -> Callable[[int], None]:
            copied = {name: book.copy() for name, book in books.items()}
            return lambda sequence: reply(copied, sequence, moment)

        def failed(declined: Declined) -> None:
            if not process.is_dead:
                process.reads -= 1
                world.judge(world.oracle.read_failed, attempt, declined.reason)

        with contextlib.suppress(Died):
            process.core.wallets.reads.read_wallets([wallet], show, failed)

    def _list_wallets(self, process: Process) -> None:
        wallets = self.chance.sample(self.wallets, 2)

        async def read(written: int) -> None:
            assert process.core is not None
            if self.chance.random() < 0.5:
                page = await process.core.stored.tables.list_wallets("w", None, 1000)
                self.world.judge(
                    self.world.oracle.page, page, [wallet for wallet in self.wallets if wallet[0] == "w"], written
                )
            else:
                page = await process.core.stored.tables.some_wallets([WalletId(wallet) for wallet in wallets])
                self.world.judge(self.world.oracle.page, page, wallets, written)

        self._read(process, read)

    def _statement(self, process: Process) -> None:
        wallet = WalletId(self._wallet())

        async def read(written: int) -> None:
            assert process.core is not None
            page = await process.core.stored.tables.statement(Question(wallet), None, 10_000)
            if page is not None:
                self.world.judge(self.world.oracle.statement, page.statement, written)

        self._read(process, read)

    def _history(self, process: Process) -> None:
        async def read(written: int) -> None:
            assert process.core is not None
            after = self.chance.randint(0, max(0, written - 1))
            shown = await process.core.stored.history.entries_after(after)
            self.world.judge(self.world.oracle.history, after, [durable.record for durable in shown])
            entry = await process.core.stored.history.entry(after + 1)
            self.world.judge(self.world.oracle.history, after, [entry.record])

        self._read(process, read)

    def _read(self, process: Process, read: Callable[[int], Awaitable[None]]) -> None:
        """As the gateway does it: wait until the tables show what was written so far, then ask them."""
        core, world = process.core, self.world
        assert core is not None
        assert process.services is not None
        written, durable = core.writer.head, core.writer.durable_head
        process.reads += 1

        async def ask() -> None:
            with trio.move_on_after(PATIENCE_SECONDS) as patience:
                await core.wallets.visibility.until_projected(written)
                was_full = world.oracle.full_in_life == process.life
                await read(durable if was_full else written)
            process.reads -= 1
            if patience.cancelled_caught:
                world.blame(f"a read behind entry {written} is never answered")

        process.services.start_soon(ask)

    # --- after the storm -------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Send again everything that was ever sent, until it is answered for good."""
        for command in list(self.sent):
            while not await self._is_settled(command):
                await trio.sleep(0.3)

    async def _is_settled(self, command: AnyCommand) -> bool:
        process = await self.world.serving()
        attempt = self.send(process, command)
        if attempt is None:
            return False
        with trio.move_on_after(PATIENCE_SECONDS) as patience:
            await attempt.settled.wait()
        if patience.cancelled_caught:
            self.world.blame(f"{attempt} is never answered")
        if isinstance(attempt.outcome, Declined):
            return attempt.outcome.reason not in RETRYABLE
        return isinstance(attempt.outcome, Answer)


class Stream:
    """A subscriber that comes back after every crash with its cursor: what it took last."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.cursor = 0
        self.is_subscribed = False
        self.made = 0
        chance = world.chance
        self.watch = chance.choice(
            [Watch(everything=True), Watch(prefix="w"), Watch(prefix="@"), Watch(("w0",)), Watch(("w0", "w1", "@fees"))]
        )

    async def follow(self) -> None:
        """Watch, through all lives of the daemon."""
        while True:
            process = await self.world.serving()
            assert process.services is not None
            over = trio.Event()
            process.services.start_soon(self._watch, process, over)
            await over.wait()
            await trio.sleep(self.world.chance.uniform(0, 0.1))

    async def _watch(self, process: Process, over: trio.Event) -> None:
        """Subscribe, take what comes, and perhaps unsubscribe on the way."""
        core, chance = process.core, self.world.chance
        assert core is not None
        outlet = Outlet(self, process, chance.choice([1, 3, 1000]))
        self.made += 1
        watched = Watched(
            [WalletId(w) for w in self.watch.wallets], prefix=self.watch.prefix, everything=self.watch.everything
        )
        subscription = Subscription(100 * self.made + self.number, watched, outlet, self.cursor)
        try:
            core.publisher.subscribe(subscription)
            self.is_subscribed = True
            while chance.random() > 0.02 or self.world.is_healed:
                await trio.sleep(chance.choice([0, 0.01, 0.5]))
                await outlet.take(chance.randint(1, 10))
            core.publisher.unsubscribe(subscription)
            outlet.is_closed = True
            outlet.more.set()
        finally:
            self.is_subscribed = False
            over.set()


class Outlet:
    """A connection's outbox: what is in it when the process dies was never sent."""

    def __init__(self, stream: Stream, process: Process, room: int) -> None:
        self.stream = stream
        self.process = process
        self.room = room
        self.previous = stream.cursor
        self.queue: deque[int] = deque()
        self.more = trio.Event()
        self.arrived = trio.Event()
        self.is_closed = False

    def has_room(self) -> bool:
        return len(self.queue) < self.room

    async def wait_for_room(self) -> None:
        while not self.has_room() and not self.is_closed:
            self.more = trio.Event()
            await self.more.wait()

    def send_event(self, subscription: Subscription, sequence: int, record: bytes) -> None:
        world = self.stream.world
        if self.process.is_dead:
            return
        if self.is_closed or not self.has_room():
            world.blame(f"stream {self.stream.number} is sent {sequence}, which it does not take")
        world.note(f"stream {self.stream.number} gets {sequence}")
        world.judge(world.oracle.event, self.previous, self.stream.watch, sequence, subscription.previous, record)
        self.previous = sequence
        self._queue(sequence)

    def send_heartbeat(self, subscription: Subscription, head: int) -> None:
        world = self.stream.world
        if not self.process.is_dead:
            world.judge(world.oracle.heartbeat, self.previous, self.stream.watch, head)
            self._queue(head)

    def _queue(self, sequence: int) -> None:
        self.queue.append(sequence)
        self.arrived.set()

    async def take(self, most: int) -> None:
        """The subscriber takes some of what is queued."""
        await self.arrived.wait()
        for _ in range(min(most, len(self.queue))):
            self.stream.cursor = max(self.stream.cursor, self.queue.popleft())
        if not self.queue:
            self.arrived = trio.Event()
        self.more.set()
