"""Turns: never two at once, in order of arrival, and no deadlock whatever crosses whatever."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from walletd.ledger.book import Book, Books
from walletd.tables.writer import ReadTablesFull
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import WalletRecord
from walletd.vocabulary.identifiers import DAEMON, Principal, Version, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import ActorState, WalletStatus
from walletd.wallets.actor import Claim
from walletd.wallets.loading_places import MAX_LOADING, MAX_LOADING_OF_ONE, Payments
from walletd.wallets.roster import BOOKS_AT_ONCE, Roster

EPOCH = datetime.fromtimestamp(0, UTC)


class SlowTables:
    """Read tables whose books take a while, in virtual time, and arrive in an order of their own."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    async def load(self, wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
        await trio.sleep(self.random.uniform(0.001, 0.2))
        return {
            w: Book(WalletRecord(wallet=w, status=WalletStatus.OPEN, version=Version(1), opened_at=EPOCH))
            for w in wallets
        }


def roster_over(load: Callable[[Iterable[WalletId]], Awaitable[dict[WalletId, Book]]], **bounds: Any) -> Roster:
    limits: dict[str, Any] = {"max_warm_wallets": 8, "max_mailbox": 10_000, "idle_seconds": 5.0, **bounds}
    return Roster(Books(), load, settled_sequence=lambda: 0, **limits)


@pytest.mark.parametrize("seed", range(20))
async def test_crossing_claims_in_all_directions_all_run_in_order_of_arrival(
    seed: int, autojump_clock: trio.abc.Clock
) -> None:
    chance = random.Random(seed)
    roster = roster_over(SlowTables(seed).load)
    wallets = [WalletId(f"w{n:02}") for n in range(16)]
    arrived: dict[WalletId, list[int]] = {wallet: [] for wallet in wallets}
    ran: dict[WalletId, list[int]] = {wallet: [] for wallet in wallets}
    done: list[int] = []

    def make(number: int) -> Claim:
        chosen = sorted(chance.sample(wallets, chance.randint(1, 5)))

        def run(claim: Claim) -> None:
            assert all(roster._actors[wallet].state is ActorState.ACTIVE for wallet in chosen)
            for wallet in chosen:
                ran[wallet].append(number)
            done.append(number)

        for wallet in chosen:
            arrived[wallet].append(number)
        return Claim(chosen, run, lambda declined: pytest.fail(str(declined)))

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        with trio.fail_after(3600):
            for number in range(2000):
                roster.claim(make(number))
                if chance.random() < 0.1:
                    await trio.sleep(chance.uniform(0, 0.3))
            while len(done) < 2000:
                await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert ran == arrived, f"seed {seed}"
    assert roster.waits > 100


@pytest.mark.parametrize("seed", range(20))
async def test_whose_book_finds_no_space_is_told_and_the_turns_of_others_go_on(
    seed: int, autojump_clock: trio.abc.Clock
) -> None:
    chance = random.Random(seed)
    load, wallets = SlowTables(seed).load, [WalletId(f"w{n:02}") for n in range(12)]

    async def load_or_not(names: Iterable[WalletId]) -> dict[WalletId, Book]:
        found = await load(names)
        if chance.random() < 0.5:
            raise ReadTablesFull("no space for the read tables")
        return found

    roster = roster_over(load_or_not)
    settled: list[int] = []
    ran: list[int] = []

    def make(number: int) -> Claim:
        def run(claim: Claim) -> None:
            ran.append(number)
            settled.append(number)

        def fail(declined: Declined) -> None:
            assert (declined.reason, declined.facts["why"]) == (Reason.UNAVAILABLE, "no space for the read tables")
            settled.append(number)

        return Claim(sorted(chance.sample(wallets, chance.randint(1, 5))), run, fail)

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        with trio.fail_after(3600):
            for number in range(1000):
                roster.claim(make(number))
                if chance.random() < 0.1:
                    await trio.sleep(chance.uniform(0, 3))
            while len(settled) < 1000:
                await trio.sleep(1)
        assert all(actor.lost is None for actor in roster._actors.values()), "who could not be loaded is gone"
        nursery.cancel_scope.cancel()
    assert sorted(settled) == list(range(1000)), f"seed {seed}"
    assert 100 < len(ran) < 900


async def test_a_full_mailbox_answers_overloaded_and_takes_no_place_anywhere(autojump_clock: trio.abc.Clock) -> None:
    roster = roster_over(SlowTables(1).load, max_mailbox=2)
    ran: list[str] = []
    failed: list[Reason] = []
    told: list[Mapping[str, object]] = []

    def fail(declined: Declined) -> None:
        failed.append(declined.reason)
        told.append(declined.facts)

    def claim(name: str, *wallets: str) -> None:
        roster.claim(Claim([WalletId(wallet) for wallet in wallets], lambda claim: ran.append(name), fail))

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        claim("one", "a")
        claim("two", "a")
        claim("three", "a", "b")
        assert failed == [Reason.OVERLOADED]
        # ``what`` becomes the label of a metric: with the wallet's name in it there would be one for each wallet.
        assert (told[0]["what"], told[0]["wallet"]) == ("the mailbox of a wallet", "a")
        claim("four", "b")
        while len(ran) < 3:
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert sorted(ran) == ["four", "one", "two"]


async def test_an_idle_actor_retires_after_its_time(autojump_clock: trio.abc.Clock) -> None:
    roster = roster_over(SlowTables(1).load)
    ran: list[str] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        roster.claim(Claim([WalletId("a")], lambda claim: ran.append("a"), lambda declined: pytest.fail(str(declined))))
        await trio.sleep(1)
        assert (ran, len(roster)) == (["a"], 1)
        await trio.sleep(10)
        assert len(roster) == 0
        nursery.cancel_scope.cancel()


async def test_many_cold_wallets_are_loaded_by_one_read(autojump_clock: trio.abc.Clock) -> None:
    tables = SlowTables(1)
    reads: list[int] = []

    async def load(wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
        reads.append(len(list(wallets)))
        return await tables.load([])

    roster = Roster(Books(), load, max_warm_wallets=1000, max_mailbox=10, idle_seconds=60, settled_sequence=lambda: 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        for n in range(500):
            roster.claim(Claim([WalletId(f"w{n:03}")], lambda claim: None, lambda declined: pytest.fail(str(declined))))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert reads == [500]


async def absent(wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
    """Read tables that know none of the wallets."""
    await trio.sleep(0.01)
    return {}


async def test_names_of_no_wallet_leave_nothing_and_take_one_task(autojump_clock: trio.abc.Clock) -> None:
    roster, ran = roster_over(absent, idle_seconds=3600.0), []
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        before = trio.lowlevel.current_statistics().tasks_living
        for number in range(500):
            name = WalletId(f"nobody{number}")
            roster.claim(Claim([name], lambda claim: ran.append(1), lambda *failed: pytest.fail(str(failed))))
        assert trio.lowlevel.current_statistics().tasks_living <= before + 1
        await trio.sleep(1)
        assert (len(ran), len(roster)) == (500, 0)
        nursery.cancel_scope.cancel()


async def test_beyond_so_many_wallets_that_load_claims_on_cold_ones_are_shed_and_take_no_memory(
    autojump_clock: trio.abc.Clock,
) -> None:
    roster = roster_over(SlowTables(1).load, max_warm_wallets=100_000)
    ran: list[str] = []
    shed: list[tuple[Reason, Any]] = []

    def fail(declined: Declined) -> None:
        shed.append((declined.reason, declined.facts["what"]))

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        roster.claim(Claim([WalletId("warm")], lambda claim: ran.append("first"), fail))
        await trio.sleep(1)
        roster.claim(Claim([WalletId(f"w{n}") for n in range(MAX_LOADING)], lambda claim: ran.append("many"), fail))
        roster.claim(Claim([WalletId("cold")], lambda claim: ran.append("cold"), fail))
        roster.claim(Claim([WalletId("warm")], lambda claim: ran.append("warm"), fail))
        assert shed == [(Reason.OVERLOADED, "the loading of wallets")]
        assert len(roster) == MAX_LOADING + 1
        await trio.sleep(60)
        roster.claim(Claim([WalletId("cold")], lambda claim: ran.append("again"), fail))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert ran == ["first", "warm", "many", "again"]


async def test_claims_on_many_cold_wallets_leave_places_for_claims_on_few(autojump_clock: trio.abc.Clock) -> None:
    roster = roster_over(SlowTables(1).load, max_warm_wallets=100_000)
    shed: list[str] = []

    def wish(name: str, count: int) -> Claim:
        names = [WalletId(f"{name}-{number}") for number in range(count)]
        return Claim(names, lambda claim: None, lambda declined: shed.append(name))

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        for number in range(20):
            roster.claim(wish(f"many-{number}", 2_500))
        assert len(shed) == 20 - MAX_LOADING // 2 // 2_500
        roster.claim(wish("payment", 2))
        assert "payment" not in shed
        nursery.cancel_scope.cancel()


async def test_many_books_are_read_some_at_a_time(autojump_clock: trio.abc.Clock) -> None:
    reads: list[int] = []

    async def load(wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
        reads.append(len(list(wallets)))
        return {}

    roster, ran = roster_over(load), []
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        names = [WalletId(f"w{n}") for n in range(2 * BOOKS_AT_ONCE + 1)]
        roster.claim(Claim(names, lambda claim: ran.append(1), lambda *failed: pytest.fail(str(failed))))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert (ran, reads) == ([1], [BOOKS_AT_ONCE, BOOKS_AT_ONCE, 1])


async def test_claims_on_many_wallets_at_once_do_not_leave_more_warm_than_may_be(
    autojump_clock: trio.abc.Clock,
) -> None:
    roster = roster_over(SlowTables(1).load, max_warm_wallets=8, idle_seconds=3600.0)
    most = 0

    def claimed(names: list[WalletId]) -> trio.Event:
        ran = trio.Event()
        roster.claim(Claim(names, lambda claim: ran.set(), lambda declined: pytest.fail(str(declined))))
        return ran

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        for number in range(50):
            names = [WalletId(f"w{number:02}-{place:03}") for place in range(100)]
            await claimed(names).wait()
            most = max(most, len(roster))
        nursery.cancel_scope.cancel()
    # The wallets of the claim under way cannot be let go, nor those that have just been had.
    assert most <= 8 + 2 * 100


async def test_where_memory_runs_out_no_wallet_is_to_blame(autojump_clock: trio.abc.Clock) -> None:
    roster = roster_over(SlowTables(1).load)

    def run(claim: Claim) -> None:
        raise MemoryError

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        warmed = trio.Event()
        roster.claim(Claim([WalletId("a")], lambda claim: warmed.set(), lambda *_: None))
        await warmed.wait()
        with pytest.raises(MemoryError):
            roster.claim(Claim([WalletId("a")], run, lambda *_: pytest.fail("no claim may fail")))
        assert roster._actors[WalletId("a")].state is ActorState.ACTIVE
        nursery.cancel_scope.cancel()


async def test_what_one_stranger_has_load_leaves_places_for_all_others_and_a_trusted_one_has_more(
    autojump_clock: trio.abc.Clock,
) -> None:
    payments = Payments(lambda principal: principal == "backend", lambda principal, seconds: None)
    roster = roster_over(SlowTables(1).load, max_warm_wallets=100_000, payments=payments)
    shed: list[str] = []

    def wish(sender: str, count: int) -> Claim:
        names = [WalletId(f"{sender}-{number}") for number in range(count)]
        return Claim(names, lambda claim: None, lambda declined: shed.append(sender), sender=Principal(sender))

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        for _ in range(2):
            for sender in ("mallory", "backend"):
                roster.claim(wish(sender, MAX_LOADING_OF_ONE))
                roster.claim(wish(f"{sender}:b", 1))
        roster.claim(
            Claim([WalletId("m")], lambda claim: None, lambda _: shed.append("m"), sender=Principal("mallory"))
        )
        roster.claim(
            Claim([WalletId("b")], lambda claim: None, lambda _: shed.append("b"), sender=Principal("backend"))
        )
        assert shed == ["m"]
        await trio.sleep(60)
        roster.claim(
            Claim([WalletId("m")], lambda claim: None, lambda _: shed.append("m"), sender=Principal("mallory"))
        )
        assert shed == ["m"]
        assert not roster._places._of.keys() - {"mallory"}
        nursery.cancel_scope.cancel()


async def test_a_claim_that_waited_is_charged_to_its_sender_and_one_that_did_not_is_not(
    autojump_clock: trio.abc.Clock,
) -> None:
    charged: list[tuple[str, float]] = []
    clock = iter(range(100))
    payments = Payments(lambda _: False, lambda *charge: charged.append(charge), lambda: float(next(clock)))
    roster = roster_over(SlowTables(1).load, payments=payments)

    def wish(sender: Principal) -> Claim:
        return Claim([WalletId("w")], lambda claim: None, lambda declined: pytest.fail(str(declined)), sender=sender)

    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        for sender in ("mallory", "shop", DAEMON):
            roster.claim(wish(Principal(sender)))
        await trio.sleep(1)
        roster.claim(wish(Principal("mallory")))
        nursery.cancel_scope.cancel()
    assert charged == [("mallory", 1.0), ("shop", 1.0)]
