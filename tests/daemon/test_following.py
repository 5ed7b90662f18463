"""A node that follows, over a ledger in memory: it shows what was proved, decides nothing, and takes over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.ledger import cases
from tests.wallets.conftest import CLIENT, Outcomes, define, open_core, opening, transfer
from walletd.daemon.engine import Engine
from walletd.daemon.following import FollowingNode
from walletd.daemon.limits import engine_limits
from walletd.journal.failures import JournalCorrupt, JournalReplaced, NotLeading
from walletd.journal.following import Leader
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.segment import Segment
from walletd.journal.store import Head
from walletd.settings.settings import Settings
from walletd.tables.queries.wallets import open_queries
from walletd.upkeep.recovery import recover
from walletd.vocabulary.commands import AnyCommand, PostTransfer
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.wallets.submission import Answer, Submission

LEADER = "ws://node-a:7878"
PATIENCE_SECONDS = 60
BEGUN = datetime(2026, 6, 1, tzinfo=UTC)


class Ledger:
    """What all nodes see: the segments that are replicated, and who leads."""

    def __init__(self) -> None:
        self.disk: list[Segment] = []
        self.replicated: int | None = None
        """The segments that the standby has; None: all."""
        self.is_led = True
        self.news = self._looked = trio.Event()
        """The next change, and the first one after the last look."""

    def tell(self) -> None:
        news, self.news = self.news, trio.Event()
        news.set()

    def release(self) -> None:
        self.is_led = False
        self.tell()

    @property
    def head(self) -> Head:
        shown = self.disk if self.replicated is None else self.disk[: self.replicated]
        return Head(shown[-1].last_sequence, 1, shown[-1].root)

    # --- the ``Watch`` of a node -------------------------------------------------------------------------------------

    async def look(self) -> Leader:
        await trio.lowlevel.checkpoint()
        head, self._looked = self.head, self.news
        return Leader("a", LEADER, 1, head.sequence, head.root, 10.0 if self.is_led else None)

    async def changed(self, leader: Leader) -> None:
        await self._looked.wait()

    async def ahead(self, after: int, until: int) -> list[Segment]:
        await trio.lowlevel.checkpoint()
        return [one for one in self.disk if after < one.last_sequence <= until]

    def passed(self, head: Head) -> None:
        """Nothing depends on it here."""

    async def take(self) -> Head | None:
        await trio.lowlevel.checkpoint()
        return self.head


class LeaderStore(MemoryJournalStore):
    """The leader's store, which tells the others of each append."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger.disk)
        self._ledger = ledger

    async def append(self, expected_head: int, segment: Segment) -> None:
        await super().append(expected_head, segment)
        self._ledger.tell()


class Clock:
    def __init__(self) -> None:
        self.now = BEGUN

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def leader(tmp_path: Path, ledger: Ledger, clock: Clock) -> AsyncIterator[Engine]:
    (tmp_path / "a").mkdir()
    async with open_core(tmp_path / "a", LeaderStore(ledger), clock=clock) as core:
        await decided(core, define())
        await decided(core, opening("alice"))
        yield core


class Follower:
    """A follower's core, and its node."""

    def __init__(self, core: Engine, node: FollowingNode) -> None:
        self.core = core
        self.node = node
        self.took = trio.Event()

    async def run(self, clock: Clock) -> None:
        await self.node.follow()
        await self.core.lead(clock)
        self.took.set()

    async def reached(self, sequence: int) -> None:
        assert await self.core.wallets.visibility.until_reached(sequence)


@asynccontextmanager
async def follower_of(ledger: Ledger, folder: Path, clock: Clock) -> AsyncIterator[Follower]:
    folder.mkdir()
    store = MemoryJournalStore(ledger.disk)
    recovered = await recover(store, folder, lambda done, whole: None)
    queries = await open_queries(recovered.tables.path)
    head = await store.head()
    try:
        limits = engine_limits(Settings(data=folder))
        core = Engine(store, recovered, queries, head, limits, clock=clock, follows=NotLeading(""))
        async with core.running(), trio.open_nursery() as nursery:
            follower = Follower(core, FollowingNode(core, ledger, head, recovered.frontier))
            nursery.start_soon(follower.run, clock)
            yield follower
            nursery.cancel_scope.cancel()
        await core.projector.drain()
    finally:
        with trio.CancelScope(shield=True):
            await queries.aclose()
            await recovered.tables.aclose()


async def outcome(core: Engine, command: AnyCommand) -> Outcomes:
    outcomes = Outcomes()
    core.wallets.decisions.submit(Submission(command, CLIENT, outcomes.take))
    with trio.fail_after(PATIENCE_SECONDS):
        await outcomes.arrived.wait()
    return outcomes


async def decided(core: Engine, command: AnyCommand) -> Answer:
    return (await outcome(core, command)).answer


def payment(name: str, amount: int = 100) -> PostTransfer:
    return transfer(name, ("@external", "alice", amount))


async def balance(core: Engine, wallet: str = "alice") -> tuple[int, int, datetime]:
    """Posted, and the entry and the time of the answer."""
    found: list[tuple[int, int, datetime]] = []
    answered = trio.Event()

    def show(books: Any, now: datetime) -> Any:
        posted = int(books[wallet].balance_record(AssetCode("EUR"), now).posted)

        def send(sequence: int) -> None:
            found.append((posted, sequence, now))
            answered.set()

        return send

    core.wallets.reads.read_wallets([WalletId(wallet)], show, lambda declined: pytest.fail(str(declined)))
    with trio.fail_after(PATIENCE_SECONDS):
        await answered.wait()
    return found[0]


async def test_a_follower_shows_what_the_leader_wrote_as_of_its_entry(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    async with follower_of(ledger, tmp_path / "b", clock) as follower:
        for count in range(3):
            paid = (await decided(leader, payment(f"p{count}"))).durable.entry
            await follower.reached(paid.sequence)
            assert await balance(follower.core) == (100 * (count + 1), paid.sequence, paid.time)
        assert follower.core.publisher.head == leader.publisher.head
        assert follower.core.writer.root == leader.writer.root
        assert (follower.node.lag_entries, follower.node.lag_seconds) == (0, 0.0)


async def test_a_follower_decides_nothing_but_knows_what_was_decided(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    async with follower_of(ledger, tmp_path / "b", clock) as follower:
        paid = await decided(leader, payment("one"))
        await follower.reached(paid.durable.entry.sequence)
        await follower.core.projector.reach(paid.durable.entry.sequence)
        again = await decided(follower.core, payment("one"))
        assert (again.durable, again.replayed) == (paid.durable, True)
        declined = (await outcome(follower.core, payment("two"))).declined
        assert (declined.reason, declined.facts["leader"]) == (Reason.UNAVAILABLE, LEADER)
        assert follower.core.writer.head == paid.durable.entry.sequence
        assert not follower.core.writer.has_room(reserved=True)


async def test_what_the_standby_has_not_confirmed_is_not_shown(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    async with follower_of(ledger, tmp_path / "b", clock) as follower:
        shown = (await decided(leader, payment("one"))).durable.entry.sequence
        await follower.reached(shown)
        ledger.replicated = len(ledger.disk)
        waits = (await decided(leader, payment("two"))).durable.entry.sequence
        await trio.testing.wait_all_tasks_blocked()
        assert follower.core.publisher.head == shown
        assert (await balance(follower.core))[:2] == (100, shown)
        ledger.replicated = None
        ledger.tell()
        await follower.reached(waits)


async def test_holds_expire_at_the_leader_only_and_at_the_follower_once_it_leads(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    hold = cases.place("alice", "EUR", 10, command_id="h", expires_at=BEGUN + timedelta(hours=1))
    await decided(leader, payment("one"))
    async with follower_of(ledger, tmp_path / "b", clock) as follower:
        placed = (await decided(leader, hold)).durable.entry.sequence
        await follower.reached(placed)
        clock.now += timedelta(hours=2)
        assert len(follower.core.timers) == 0
        assert follower.core.timers.submitted == 0
        ledger.release()
        await follower.took.wait()
        while follower.core.timers.submitted == 0 or follower.core.writer.durable_head == placed:
            await trio.testing.wait_all_tasks_blocked()
        assert follower.core.writer.durable_head == placed + 1


async def test_a_follower_that_takes_over_goes_on_after_the_last_entry(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    async with follower_of(ledger, tmp_path / "b", clock) as follower:
        last = (await decided(leader, payment("one"))).durable.entry
        ledger.release()
        await follower.took.wait()
        assert follower.node.is_over
        again = await decided(follower.core, payment("one"))
        assert (again.durable.entry.sequence, again.replayed) == (last.sequence, True)
        second = (await decided(follower.core, payment("two"))).durable.entry
        assert second.sequence == last.sequence + 1
        assert second.time > last.time
        assert (await balance(follower.core))[:2] == (200, second.sequence)


async def test_a_follower_stops_where_a_segment_is_not_what_was_written(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:

    with pytest.RaisesGroup(JournalCorrupt, flatten_subgroups=True):
        async with follower_of(ledger, tmp_path / "b", clock) as follower:
            before = follower.core.publisher.head
            sound = leader.store.append

            async def forged(expected_head: int, segment: Segment) -> None:
                await sound(expected_head, msgspec.structs.replace(segment, root=bytes(32)))

            leader.store.append = forged  # type: ignore[method-assign]
            await decided(leader, payment("one"))
            await trio.sleep_forever()
    assert follower.core.publisher.head == before


async def test_a_follower_stops_where_the_ledger_has_lost_what_was_shown(
    ledger: Ledger, leader: Engine, tmp_path: Path, clock: Clock
) -> None:
    with pytest.RaisesGroup(JournalReplaced, flatten_subgroups=True):
        async with follower_of(ledger, tmp_path / "b", clock) as follower:
            await follower.reached((await decided(leader, payment("one"))).durable.entry.sequence)
            ledger.replicated = len(ledger.disk) - 1
            ledger.tell()
            await trio.sleep_forever()
