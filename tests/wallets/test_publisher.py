"""Streams: every durable entry that is watched, once and in order, however slow the subscriber, wherever it began."""

import random
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.names import ALICE, BOB
from tests.wallets.conftest import CLIENT, Outcomes, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.history import DurableEntry
from walletd.journal.memory.store import MemoryJournalStore
from walletd.streams import publisher as publisher_module
from walletd.streams.publisher import Publisher, Subscription, Watched, wallets_touched
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import Effects, Entry, WalletRecord, decode_entry
from walletd.vocabulary.identifiers import Principal, Version, WalletId
from walletd.vocabulary.identifiers import Sequence as SequenceNumber
from walletd.vocabulary.states import WalletStatus


class Subscriber:
    """An outlet that takes as many events as it is given room for, and remembers what it got."""

    def __init__(self, room: float = float("inf")) -> None:
        self.room = room
        self.sequences: list[int] = []
        self.previous: list[int] = []
        self.records: list[bytes] = []
        self.heartbeats: list[int] = []
        self._more = trio.Event()
        self._arrived = trio.Event()

    def has_room(self) -> bool:
        return self.room > 0

    async def wait_for_room(self) -> None:
        while not self.has_room():
            await self._more.wait()

    def send_event(self, subscription: Subscription, sequence: int, record: bytes) -> None:
        assert self.room > 0, "an event was sent where there is no room"
        self.room -= 1
        self.sequences.append(sequence)
        self.previous.append(subscription.previous)
        self.records.append(record)
        self._tell()

    def send_heartbeat(self, subscription: Subscription, head: int) -> None:
        self.heartbeats.append(head)
        self._tell()

    def give_room(self, room: float) -> None:
        self.room += room
        more, self._more = self._more, trio.Event()
        more.set()

    async def see(self, sequence: int) -> None:
        """Return once this event is there."""
        with trio.fail_after(60):
            while not self.sequences or self.sequences[-1] < sequence:
                await self._arrived.wait()

    def is_chained_from(self, start: int) -> bool:
        return self.previous == [start, *self.sequences][:-1]

    def _tell(self) -> None:
        arrived, self._arrived = self._arrived, trio.Event()
        arrived.set()


EVERYTHING = Watched(everything=True)


def subscribe(core: Engine, watched: Watched = EVERYTHING, after: int | None = None, room: float = float("inf")) -> Any:
    """A subscriber and its subscription; at the head unless it begins ``after`` a sequence."""
    outlet = Subscriber(room)
    subscription = Subscription(1, watched, outlet, core.publisher.head if after is None else after)
    core.publisher.subscribe(subscription)
    return outlet, subscription


def pay(core: Engine, count: int, source: str = "@external", to: str = "alice", prefix: str = "pay") -> list[Outcomes]:
    start = core.writer.head
    return [submit(core, transfer(f"{prefix}-{start}-{number}", (source, to, 1))) for number in range(count)]


@pytest.fixture
async def shop(core: Engine) -> Engine:
    """Head 10: EUR, four wallets and some payments."""
    commands: list[AnyCommand] = [define()]
    commands += [opening(wallet) for wallet in ("alice", "bob", "shop:1", "shop:2")]
    commands += [transfer(f"fund-{name}", ("@external", name, 100)) for name in ("alice", "shop:1", "bob", "shop:2")]
    for command in commands:
        await answered(submit(core, command))
    assert core.publisher.head == 10
    return core


async def test_a_live_subscriber_gets_every_entry_once_it_is_durable(shop: Engine) -> None:
    subscriber, _ = subscribe(shop)
    payments = pay(shop, 3)
    assert subscriber.sequences == []
    await answered(*payments)
    assert subscriber.sequences == [11, 12, 13]
    assert subscriber.is_chained_from(10)
    assert subscriber.records == [payment.answer.durable.record for payment in payments]


async def test_an_event_is_the_entrys_stored_bytes(shop: Engine, journal: MemoryJournalStore) -> None:
    subscriber, _ = subscribe(shop, after=0)
    await subscriber.see(10)
    assert subscriber.records == [await journal.read_entry(sequence) for sequence in range(1, 11)]


async def test_a_refusal_is_an_event_for_those_who_watch_everything_and_for_nobody_else(shop: Engine) -> None:
    everything, _ = subscribe(shop)
    wallets, _ = subscribe(shop, Watched([ALICE, BOB]))
    every_prefix, _ = subscribe(shop, Watched(prefix=""))
    await answered(submit(shop, transfer("too-much", ("alice", "bob", 1000))))
    assert (everything.sequences, wallets.sequences, every_prefix.sequences) == ([11], [], [])


@pytest.mark.parametrize(
    ("watched", "seen"),
    [
        (Watched([ALICE]), [3, 7]),
        (Watched([BOB, WalletId("shop:2")]), [4, 6, 9, 10]),
        (Watched(prefix="shop:"), [5, 6, 8, 10]),
        (Watched(prefix="@"), [1, 7, 8, 9, 10]),
        (Watched(prefix=""), [1, 3, 4, 5, 6, 7, 8, 9, 10]),
        (EVERYTHING, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (Watched([WalletId("nobody")]), []),
    ],
)
async def test_a_subscriber_sees_what_touches_its_wallets(shop: Engine, watched: Watched, seen: list[int]) -> None:
    subscriber, subscription = subscribe(shop, watched, after=0)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == seen
    assert subscriber.is_chained_from(0)
    assert subscription.is_live


async def test_an_event_comes_once_however_many_of_its_wallets_are_watched(shop: Engine) -> None:
    subscriber, _ = subscribe(shop, Watched([ALICE, BOB, WalletId("shop:1")]))
    await answered(submit(shop, transfer("t", ("alice", "bob", 1), ("bob", "shop:1", 1))))
    assert subscriber.sequences == [11]


async def test_from_every_cursor_on_a_replay_gives_what_followed_it(shop: Engine) -> None:
    for cursor in range(shop.publisher.head + 1):
        subscriber, _ = subscribe(shop, after=cursor)
        await trio.testing.wait_all_tasks_blocked()
        assert subscriber.sequences == list(range(cursor + 1, 11))
        assert subscriber.is_chained_from(cursor)


async def test_after_a_restart_a_replay_is_read_from_the_journal(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_core(tmp_path, journal) as core:
        await answered(submit(core, define()), submit(core, opening("alice")), *pay(core, 50))
    async with open_core(tmp_path, journal) as core:
        for cursor in range(core.publisher.head + 1):
            subscriber, _ = subscribe(core, after=cursor)
            await trio.testing.wait_all_tasks_blocked()
            assert subscriber.sequences == list(range(cursor + 1, core.publisher.head + 1))
            assert subscriber.is_chained_from(cursor)


async def test_whoever_falls_behind_catches_up_from_the_recent_entries(shop: Engine) -> None:
    subscriber, subscription = subscribe(shop, room=2)
    await answered(*pay(shop, 20))
    assert subscriber.sequences == [11, 12]
    assert not subscription.is_live
    subscriber.give_room(5)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == list(range(11, 18))
    subscriber.give_room(100)
    await subscriber.see(30)
    assert subscriber.sequences == list(range(11, 31))
    assert subscriber.is_chained_from(10)
    assert subscription.is_live


async def test_whoever_falls_behind_again_and_again_catches_up_again_and_again(shop: Engine) -> None:
    subscriber, subscription = subscribe(shop, room=1)
    for _ in range(5):
        await answered(*pay(shop, 4))
        assert not subscription.is_live
        subscriber.give_room(4)
        await subscriber.see(shop.publisher.head)
        assert subscription.is_live
        subscriber.room = 1
    assert subscriber.sequences == list(range(11, 31))
    assert subscriber.is_chained_from(10)


async def test_whoever_is_far_behind_catches_up_from_the_journal(
    tmp_path: Path, journal: MemoryJournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "MAX_RECENT", 16)
    monkeypatch.setattr(publisher_module, "BURST", 5)
    async with open_core(tmp_path, journal) as core:
        await answered(submit(core, define()), submit(core, opening("alice")))
        subscriber, subscription = subscribe(core, room=1)
        for _ in range(20):
            await answered(*pay(core, 10))
        assert not subscription.is_live
        subscriber.give_room(1000)
        await subscriber.see(203)
        assert subscriber.sequences == list(range(4, 204))
        assert subscriber.is_chained_from(3)
        assert subscription.is_live


async def test_more_than_the_recent_entries_behind_nothing_is_missing(core: Engine) -> None:
    await answered(submit(core, define()), submit(core, opening("alice")))
    subscriber, subscription = subscribe(core, room=10)
    whole = publisher_module.MAX_RECENT + 1000
    for _ in range(0, whole, 500):
        await answered(*pay(core, 500))
    subscriber.give_room(float("inf"))
    await subscriber.see(core.publisher.head)
    assert core.publisher.head - 10 > publisher_module.MAX_RECENT
    assert subscriber.sequences == list(range(4, core.publisher.head + 1))
    assert subscriber.is_chained_from(3)
    assert subscription.is_live


@pytest.mark.parametrize("seed", range(8))
async def test_subscribers_of_any_speed_see_the_same_while_commands_run(
    tmp_path: Path, journal: MemoryJournalStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    monkeypatch.setattr(publisher_module, "MAX_RECENT", chance.choice([1, 4, 32, 4096]))
    monkeypatch.setattr(publisher_module, "BURST", chance.choice([1, 3, 256]))
    wallets = ["alice", "bob", "shop:1", "shop:2"]
    async with open_core(tmp_path, journal) as core:
        await answered(submit(core, define()), *[submit(core, opening(wallet)) for wallet in wallets])
        subscribed: list[tuple[Subscriber, Subscription, int]] = []
        kinds = [
            EVERYTHING,
            Watched([ALICE]),
            Watched(prefix="shop:"),
            Watched([BOB, WalletId("shop:2")]),
        ]
        for _ in range(40):
            await answered(*pay(core, chance.randrange(1, 12), to=chance.choice(wallets)))
            if chance.random() < 0.5:
                after = chance.randint(0, core.publisher.head)
                subscriber, subscription = subscribe(core, chance.choice(kinds), after, chance.randrange(4))
                subscribed.append((subscriber, subscription, after))
            for subscriber, _, _ in subscribed:
                if chance.random() < 0.7:
                    subscriber.give_room(chance.randrange(8))
        for subscriber, _, _ in subscribed:
            subscriber.give_room(float("inf"))
        with trio.fail_after(60):
            while not all(subscription.is_live for _, subscription, _ in subscribed):  # Threads read for them.
                await trio.testing.wait_all_tasks_blocked(0.01)
        entries = await all_entries(journal)
        for subscriber, subscription, after in subscribed:
            watched = subscription.watched
            expected = [entry.sequence for entry in entries if entry.sequence > after and watched.covers(entry)]
            assert subscriber.sequences == expected
            assert subscriber.is_chained_from(after)
            assert subscription.is_live


async def all_entries(journal: MemoryJournalStore) -> list[Entry]:
    head = await journal.head()
    records = [await journal.read_entry(sequence) for sequence in range(1, head.sequence + 1)]
    return [decode_entry(record) for record in records if record is not None]


async def test_what_the_journal_has_and_the_publisher_was_not_told_of_yet_comes_once(shop: Engine) -> None:
    """A read of the journal can overtake the news of a commit that it already sees."""
    durable = await shop.stored.history.entries_after(0)
    asked: list[int] = []

    async def read_after(sequence: int) -> Sequence[DurableEntry]:
        asked.append(sequence)
        return durable[sequence:]

    publisher = Publisher(read_after, 6, heartbeat_seconds=10)
    subscriber = Subscriber()
    subscription = Subscription(1, EVERYTHING, subscriber, 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(publisher.run)
        publisher.subscribe(subscription)
        await trio.testing.wait_all_tasks_blocked()
        assert subscriber.sequences == [1, 2, 3, 4, 5, 6]
        for later in durable[6:]:
            publisher.publish(later)
        assert subscriber.sequences == list(range(1, 11))
        assert subscriber.is_chained_from(0)
        nursery.cancel_scope.cancel()
    assert asked == [0]


async def test_a_stuck_subscriber_slows_nobody(shop: Engine) -> None:
    stuck, _ = subscribe(shop, room=0)
    quick, _ = subscribe(shop)
    await answered(*pay(shop, 200))
    assert stuck.sequences == []
    assert quick.sequences == list(range(11, 211))


async def test_nothing_is_read_for_a_subscriber_that_has_no_room(shop: Engine) -> None:
    """Ten thousand stuck subscribers must not each hold a piece of the journal."""
    publisher = Publisher(nothing_to_read, 10, heartbeat_seconds=10)
    async with trio.open_nursery() as nursery:
        await nursery.start(publisher.run)
        publisher.subscribe(Subscription(1, EVERYTHING, Subscriber(room=0), 0))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_one_who_unsubscribes_while_catching_up_gets_nothing_more(shop: Engine) -> None:
    subscriber, subscription = subscribe(shop, after=0, room=3)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == [1, 2, 3]
    shop.publisher.unsubscribe(subscription)
    subscriber.give_room(100)
    await answered(*pay(shop, 5))
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == [1, 2, 3]
    assert len(shop.publisher) == 0


async def test_one_who_unsubscribes_before_catching_up_began_gets_nothing(shop: Engine) -> None:
    subscriber, subscription = subscribe(shop, after=0)
    shop.publisher.unsubscribe(subscription)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == []
    assert not subscription.is_live


async def test_unsubscribing_while_the_journal_is_read_ends_the_stream(shop: Engine) -> None:
    reading, release = trio.Event(), trio.Event()
    entries = await shop.stored.history.entries_after(0)

    async def read_after(sequence: int) -> Sequence[DurableEntry]:
        reading.set()
        await release.wait()
        return entries[sequence:]

    publisher = Publisher(read_after, 10, heartbeat_seconds=10)
    subscriber = Subscriber()
    subscription = Subscription(1, EVERYTHING, subscriber, 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(publisher.run)
        publisher.subscribe(subscription)
        await reading.wait()
        publisher.unsubscribe(subscription)
        release.set()
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert subscriber.sequences == []


async def test_unsubscribing_twice_is_unsubscribing(shop: Engine) -> None:
    for watched in (EVERYTHING, Watched([ALICE, BOB]), Watched(prefix="shop:")):
        _, subscription = subscribe(shop, watched)
        shop.publisher.unsubscribe(subscription)
        shop.publisher.unsubscribe(subscription)
    assert len(shop.publisher) == 0
    await answered(*pay(shop, 1))


async def test_hundreds_of_subscribers_each_get_their_own(shop: Engine) -> None:
    wallets = [f"shop:{number}" for number in range(3, 103)]
    await answered(*[submit(shop, opening(wallet)) for wallet in wallets])
    everyone = [subscribe(shop)[0] for _ in range(50)]
    patterns = [subscribe(shop, Watched(prefix=f"shop:{digit}"))[0] for digit in range(1, 10)]
    singles = {wallet: subscribe(shop, Watched([WalletId(wallet)]))[0] for wallet in wallets}
    start = shop.publisher.head
    await answered(*[submit(shop, transfer(f"pay-{wallet}", ("@external", wallet, 1))) for wallet in wallets])
    assert all(subscriber.sequences == list(range(start + 1, start + 101)) for subscriber in everyone)
    assert [subscriber.sequences for subscriber in singles.values()] == [[start + n] for n in range(1, 101)]
    for digit, subscriber in enumerate(patterns, start=1):
        expected = [n for n, wallet in enumerate(wallets, start=start + 1) if wallet.startswith(f"shop:{digit}")]
        assert subscriber.sequences == expected


async def test_an_idle_stream_is_told_the_head(autojump_clock: Any) -> None:
    publisher = Publisher(nothing_to_read, 7, heartbeat_seconds=10)
    idle, full = Subscriber(), Subscriber(room=0)
    async with trio.open_nursery() as nursery:
        await nursery.start(publisher.run)
        for number, outlet in enumerate((idle, full)):
            publisher.subscribe(Subscription(number, Watched([ALICE]), outlet, 7))
        await trio.sleep(35)
        nursery.cancel_scope.cancel()
    assert idle.heartbeats == [7, 7]
    assert full.heartbeats == []


async def test_a_heartbeat_carries_the_head_that_other_wallets_moved(autojump_clock: Any) -> None:
    alice_opened = DurableEntry(alice_is_opened(3), b"{}", b"")
    publisher = Publisher(nothing_to_read, 2, heartbeat_seconds=10)
    bob, alice = Subscriber(), Subscriber()
    async with trio.open_nursery() as nursery:
        await nursery.start(publisher.run)
        publisher.subscribe(Subscription(1, Watched([BOB]), bob, 2))
        publisher.subscribe(Subscription(2, Watched([ALICE]), alice, 2))
        await trio.sleep(15)
        publisher.publish(alice_opened)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert (bob.sequences, bob.heartbeats) == ([], [3, 3])
    assert (alice.sequences, alice.heartbeats) == ([3], [3])


def alice_is_opened(sequence: int) -> Entry:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    record = WalletRecord(wallet=ALICE, status=WalletStatus.OPEN, version=Version(1), opened_at=now)
    effects = Effects(wallets=(record,))
    return Entry(
        sequence=SequenceNumber(sequence), time=now, principal=CLIENT, command=opening("alice"), effects=effects
    )


async def nothing_to_read(sequence: int) -> Sequence[DurableEntry]:
    raise AssertionError("nothing is to be read")


async def test_no_heartbeat_overtakes_the_events_of_one_who_catches_up(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_core(tmp_path, journal, heartbeat_seconds=0.002) as core:
        await answered(submit(core, define()), submit(core, opening("alice")))
        subscriber, _ = subscribe(core, after=0, room=1)
        for _ in range(10):
            await answered(*pay(core, 5))
        assert (subscriber.sequences, subscriber.heartbeats) == ([1], [])
        subscriber.give_room(100)
        with trio.fail_after(60):
            while not subscriber.heartbeats:
                await subscriber._arrived.wait()
        assert subscriber.sequences == list(range(1, 54))
        assert set(subscriber.heartbeats) == {53}


async def test_an_events_wallets_are_those_whose_balance_or_record_changed(shop: Engine) -> None:
    entries = [durable.entry for durable in await shop.stored.history.entries_after(0)]
    assert [wallets_touched(entry) for entry in entries[:3]] == [{"@external"}, set(), {"alice"}]
    assert wallets_touched(entries[6]) == {"@external", "alice"}


@pytest.mark.interpreted
async def test_an_entry_costs_nothing_for_who_watches_other_prefixes(autojump_clock: Any) -> None:
    """Counted are the calls that one publication makes, beside ten and beside a thousand streams of other prefixes."""
    calls: list[int] = []
    for others in (10, 1000):
        publisher = Publisher(no_journal, 0, heartbeat_seconds=10)
        near, exact, whole = Subscriber(), Subscriber(), Subscriber()
        for number in range(others):
            publisher.subscribe(Subscription(number + 4, Watched(prefix=f"p{number:04}-"), Subscriber(), 0))
        publisher.subscribe(Subscription(1, Watched(prefix="shop-"), near, 0))
        publisher.subscribe(Subscription(2, Watched(prefix="shop-1"), exact, 0))
        publisher.subscribe(Subscription(3, Watched(prefix=""), whole, 0))
        publisher.publish(touching("shop-1", 1))
        calls.append(calls_of(partial(publisher.publish, touching("shop-2", 2))))
        assert (near.sequences, exact.sequences, whole.sequences) == ([1, 2], [1], [1, 2])
    assert calls[0] == calls[1], calls


async def test_a_prefix_is_watched_until_its_last_stream_ends(autojump_clock: Any) -> None:
    publisher = Publisher(no_journal, 0, heartbeat_seconds=10)
    one, other = Subscriber(), Subscriber()
    first = Subscription(1, Watched(prefix="shop-"), one, 0)
    publisher.subscribe(first)
    publisher.subscribe(Subscription(2, Watched(prefix="shop-"), other, 0))
    publisher.publish(touching("shop-1", 1))
    publisher.unsubscribe(first)
    publisher.unsubscribe(first)  # as when its session ends, too
    publisher.publish(touching("shop-1", 2))
    assert (one.sequences, other.sequences) == ([1], [1, 2])


async def no_journal(after: int) -> Sequence[DurableEntry]:
    raise AssertionError("no session is behind")


def touching(wallet: str, sequence: int) -> DurableEntry:
    """An entry that opens a wallet."""
    time = datetime(2030, 1, 1, tzinfo=UTC)
    record = WalletRecord(wallet=WalletId(wallet), status=WalletStatus.OPEN, version=Version(1), opened_at=time)
    command = opening(wallet, f"c{sequence}")
    entry = Entry(
        sequence=SequenceNumber(sequence),
        time=time,
        principal=Principal("p"),
        command=command,
        effects=Effects(wallets=(record,)),
    )
    return DurableEntry(entry, b"{}", b"")


def calls_of(act: Callable[[], object]) -> int:
    """How many calls of Python or C functions it makes."""
    counted = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        act()
    finally:
        sys.setprofile(None)
    return counted


async def test_a_stream_of_a_few_wallets_reads_only_their_entries(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the read tables: nothing is read of a thousand entries that touch other wallets."""
    await answered(submit(shop, opening("carol")))
    await answered(*pay(shop, 1, to="carol"))
    await answered(*pay(shop, 60, to="bob"))
    await answered(submit(shop, transfer("one", ("@external", "carol", 5), ("@external", "carol", 6))))
    await shop.projector.reach(shop.publisher.head)
    monkeypatch.setattr(publisher_module, "MAX_RECENT", 2)
    await answered(*pay(shop, 5, to="bob"))
    read: list[int] = []
    plain = shop.stored.history.entries_after

    async def counted(sequence: int) -> list[DurableEntry]:
        read.append(sequence)
        return await plain(sequence)

    monkeypatch.setattr(shop.publisher, "_read_after", counted)
    subscriber, _ = subscribe(shop, Watched([WalletId("carol")]), after=0)
    await subscriber.see(73)
    assert subscriber.sequences == [11, 12, 73]
    assert subscriber.is_chained_from(0)
    assert all(sequence >= 73 for sequence in read), "what the tables do not show yet is read from the journal"


async def test_a_stream_of_a_few_wallets_shows_what_one_of_everything_shows(shop: Engine) -> None:
    await answered(*pay(shop, 300, to="bob", prefix="b"), *pay(shop, 300, prefix="a"), *pay(shop, 300, to="bob"))
    await shop.projector.reach(shop.publisher.head)
    entries = [
        durable
        for start in range(0, shop.publisher.head, 1000)
        for durable in await shop.stored.history.entries_after(start)
    ]
    for watched in (Watched([ALICE]), Watched([ALICE, BOB]), Watched([WalletId("nobody")])):
        expected = [durable.entry.sequence for durable in entries if watched.covers(durable.entry)]
        for after in (0, 5, 311, 600):
            position, seen = after, list[int]()
            while position < shop.publisher.head:
                assert shop.publisher._read_touching is not None
                found, reached = await shop.publisher._read_touching(watched.wallets, position)
                seen += [durable.entry.sequence for durable in found]
                assert reached > position
                position = reached
            assert seen == [sequence for sequence in expected if sequence > after]
