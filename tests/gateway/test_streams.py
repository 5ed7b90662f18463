"""Streams as a client sees them: snapshot and tail, replay and tail; no gap, no double, whatever happens meanwhile."""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.gateway.sessions import PATIENCE_SECONDS, Client, Desk, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.streams import publisher as publisher_module

WALLETS = ["alice", "bob", "shop:1", "shop:2", "shop:3"]


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


@pytest.fixture
async def desk(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    """EUR and five wallets: the head is 7."""
    async with open_desk(tmp_path, journal) as opened:
        await furnish(opened.client(), *WALLETS)
        await opened.core.projector.reach(7)
        yield opened


async def pay(client: Client, name: str, count: int, to: str = "alice") -> None:
    """Payments of one unit each, all sent at once; return when all are answered."""
    await client.all_replies(client.ask(*[("transfer.post", payment(f"{name}-{n}", to)) for n in range(count)]))


async def test_a_live_stream_begins_at_the_head(desk: Desk) -> None:
    client = desk.client()
    subscribed = await client.call("stream.subscribe", all=True)
    assert subscribed == {"subscription": 1, "mode": "live", "epoch": 1, "from": 7, "head": 7}
    await pay(client, "p", 3)
    assert client.sequences() == [8, 9, 10]
    assert client.is_gap_free(7)
    assert client.events()[0]["epoch"] == 1


async def test_an_event_is_the_entry_with_the_balances_after_it(desk: Desk) -> None:
    client = desk.client()
    await client.call("stream.subscribe", wallets=["alice"])
    posted = await client.call("transfer.post", **payment("p1"))
    (event,) = client.events()
    found = await client.call("entry.get", sequence=8)
    assert event["entry"] == found["entry"]
    assert event["entry"]["effects"]["balances"] == posted["balances"]


async def test_after_zero_is_everything(desk: Desk) -> None:
    client = desk.client()
    subscribed = await client.call("stream.subscribe", all=True, after=0)
    assert (subscribed["mode"], subscribed["from"], subscribed["head"]) == ("replay", 0, 7)
    await client.see(7)
    assert client.sequences() == [1, 2, 3, 4, 5, 6, 7]
    assert client.is_gap_free(0)


async def test_a_replay_from_every_cursor_gives_what_followed_it(desk: Desk) -> None:
    for cursor in range(8):
        client = desk.client()
        await client.call("stream.subscribe", all=True, after={"epoch": 1, "sequence": cursor})
        await trio.testing.wait_all_tasks_blocked()
        assert client.sequences() == list(range(cursor + 1, 8))
        assert client.is_gap_free(cursor)


async def test_a_cursor_beyond_the_head_is_refused_with_the_head(desk: Desk) -> None:
    client = desk.client()
    data = await client.refused("stream.subscribe", all=True, after={"epoch": 1, "sequence": 8})
    assert (data["reason"], data["cursor"], data["head"]) == ("future_cursor", 8, 7)
    assert len(desk.core.publisher) == 0


async def test_a_cursor_of_another_epoch_is_refused_with_the_epoch(desk: Desk) -> None:
    client = desk.client()
    data = await client.refused("stream.subscribe", all=True, after={"epoch": 2, "sequence": 3})
    assert (data["reason"], data["cursor_epoch"], data["epoch"]) == ("epoch_changed", 2, 1)


async def test_a_stream_behind_pipelined_commands_begins_behind_them_or_shows_them(desk: Desk) -> None:
    client = desk.client()
    requests = [("transfer.post", payment(f"p{number}")) for number in range(5)]
    ids = client.ask(*requests, ("stream.subscribe", {"wallets": ["alice"], "snapshot": True}))
    *_, subscribed = await client.all_replies(ids)
    assert subscribed["result"]["wallets"][0]["balances"][0]["posted"] == "5"
    assert subscribed["result"]["from"] == 12
    assert client.sequences() == []


WATCHED: list[tuple[dict[str, Any], set[str]]] = [
    ({"wallets": WALLETS}, {*WALLETS}),
    ({"prefix": "shop:"}, {"shop:1", "shop:2", "shop:3"}),
    ({"all": True}, {*WALLETS, "@external"}),
]


@pytest.mark.parametrize("seed", range(6))
async def test_snapshot_then_tail_gives_the_balances_while_commands_run(desk: Desk, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    watchers = [(desk.client(), *watched) for watched in WATCHED * 4]
    async with trio.open_nursery() as nursery:
        for worker in range(4):
            nursery.start_soon(pay_at_random, desk.client(), f"w{worker}", random.Random(seed * 10 + worker))
        for watcher, watched, _ in watchers:
            await trio.sleep(chance.random() / 100)
            await watcher.call("stream.subscribe", **watched, snapshot=True)
    await trio.testing.wait_all_tasks_blocked()
    asking = desk.client()
    held = {wallet: balance_of(await asking.call("wallet.get", wallet=wallet)) for wallet in [*WALLETS, "@external"]}
    for watcher, _, wallets in watchers:
        subscribed = watcher.replies[1]["result"]
        assert watcher.is_gap_free(subscribed["from"])
        known = {wallet["wallet"]: balance_of(wallet) for wallet in subscribed["wallets"]}
        assert set(known) == wallets
        for event in watcher.events():
            for balance in event["entry"]["effects"]["balances"]:
                if balance["wallet"] in wallets:
                    _, version = known[balance["wallet"]]
                    assert balance["version"] == version + 1, "a change is missing or comes twice"
                    known[balance["wallet"]] = int(balance["posted"]), balance["version"]
        assert known == {wallet: held[wallet] for wallet in wallets}


def balance_of(wallet: dict[str, Any]) -> tuple[int, int]:
    """What a wallet has of its one asset, and its version."""
    return sum(int(balance["posted"]) for balance in wallet["balances"]), wallet["version"]


async def pay_at_random(client: Client, name: str, chance: random.Random) -> None:
    for number in range(30):
        await pay(client, f"{name}-{number}", chance.randrange(1, 8), chance.choice(WALLETS))


@pytest.mark.parametrize("seed", range(6))
async def test_a_client_that_comes_and_goes_sees_every_entry_once(
    tmp_path: Path, journal: MemoryJournalStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """It resumes from its cursor over connections that die at any moment, and wires that stick."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    monkeypatch.setattr(publisher_module, "MAX_RECENT", chance.choice([2, 30, 4096]))
    async with open_desk(tmp_path, journal, max_event_bytes=chance.choice([1, 2000, 20_000])) as desk:
        await furnish(desk.client(), *WALLETS)
        seen: list[int] = []
        async with trio.open_nursery() as nursery:
            for worker in range(3):
                nursery.start_soon(pay_at_random, desk.client(), f"w{worker}", random.Random(seed * 10 + worker))
            for _ in range(15):
                await watch_for_a_while(desk, seen, chance)
        last = desk.client()
        await last.call("stream.subscribe", all=True, after={"epoch": 1, "sequence": seen[-1] if seen else 0})
        await trio.testing.wait_all_tasks_blocked()
        seen += last.sequences()
        assert seen == list(range(1, desk.core.publisher.head + 1))
        assert len(desk.core.publisher) == 1


async def watch_for_a_while(desk: Desk, seen: list[int], chance: random.Random) -> None:
    client = desk.client()
    start = seen[-1] if seen else 0
    await client.call("stream.subscribe", all=True, after={"epoch": 1, "sequence": start})
    for _ in range(chance.randrange(6)):
        client.is_stuck = chance.random() < 0.5
        await trio.sleep(chance.random() / 200)
        client.trickle() if chance.random() < 0.5 else client.unstick()
    client.vanish()
    assert client.is_gap_free(start)
    seen += client.sequences()


async def test_a_subscriber_that_takes_nothing_costs_its_outbox_and_slows_nobody(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal, max_event_bytes=10_000) as desk:
        stuck, quick = desk.client(), desk.client()
        await furnish(quick, "alice")
        await stuck.call("stream.subscribe", all=True)
        await quick.call("stream.subscribe", all=True)
        stuck.is_stuck = True
        await pay(quick, "p", 500)
        assert quick.sequences() == list(range(4, 504))
        event = max(len(json.dumps(message)) for message in quick.pushed)
        assert stuck.most_queued < 10_000 + event
        assert stuck.sequences() == []
        assert stuck.endpoint.slow_close()[0] == 4508
        for _ in range(100):
            stuck.trickle()
            await trio.testing.wait_all_tasks_blocked()
        assert stuck.sequences() == list(range(4, 504))
        assert stuck.is_gap_free(3)


async def test_the_last_sequence_of_a_slow_close_is_that_of_the_last_event_queued(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal, max_event_bytes=5_000) as desk:
        stuck, quick = desk.client(), desk.client()
        await furnish(quick, "alice")
        await stuck.call("stream.subscribe", all=True)
        stuck.is_stuck = True
        await pay(quick, "p", 100)
        _, reason = stuck.endpoint.slow_close()
        stuck.vanish()
        stuck.unstick()
        assert reason.endswith(f"last sequence {stuck.sequences()[-1]}")


async def test_many_subscriptions_of_one_session_each_have_their_own_chain(desk: Desk) -> None:
    client = desk.client()
    await client.call("stream.subscribe", wallets=["alice"])
    await client.call("stream.subscribe", prefix="shop:", after=0)
    await client.call("stream.subscribe", all=True, snapshot=True)
    await pay(client, "a", 2, "alice")
    await pay(client, "s", 2, "shop:2")
    await trio.testing.wait_all_tasks_blocked()
    assert client.sequences(1) == [8, 9]
    assert client.sequences(2) == [5, 6, 7, 10, 11]
    assert client.sequences(3) == [8, 9, 10, 11]
    assert client.is_gap_free(7, 1)
    assert client.is_gap_free(0, 2)
    assert client.is_gap_free(7, 3)


async def test_unsubscribing_ends_a_stream_and_says_its_last_event(desk: Desk) -> None:
    client = desk.client()
    await client.call("stream.subscribe", all=True)
    await pay(client, "p", 2)
    assert await client.call("stream.unsubscribe", subscription=1) == {"subscription": 1, "sequence": 9}
    await pay(client, "q", 2)
    assert client.sequences() == [8, 9]
    assert (await client.refused("stream.unsubscribe", subscription=1))["reason"] == "subscription_not_found"


async def test_unsubscribing_in_the_middle_of_catching_up_ends_the_stream_there(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal, max_event_bytes=2_000) as desk:
        client = desk.client()
        await furnish(client, "alice")
        await pay(client, "p", 200)
        client.is_stuck = True
        client.ask(("stream.subscribe", {"all": True, "after": 0}))
        with trio.fail_after(PATIENCE_SECONDS):
            while client.endpoint.has_room():
                await trio.lowlevel.checkpoint()
        (unsubscribe,) = client.ask(("stream.unsubscribe", {"subscription": 1}))
        client.unstick()
        await trio.testing.wait_all_tasks_blocked()
        answer = client.replies[unsubscribe]["result"]
        assert 1 <= len(client.sequences()) < 20
        assert answer["sequence"] == client.sequences()[-1]
        assert client.is_gap_free(0)


async def test_nothing_of_a_stream_comes_before_its_answer(desk: Desk) -> None:
    client = desk.client()
    order: list[str] = []
    deliver = client._deliver

    def noted(payload: bytes) -> None:
        message = json.loads(payload)
        order.append(message.get("method") or "reply")
        deliver(payload)

    client._deliver = noted  # type: ignore[method-assign]
    await client.call("stream.subscribe", all=True, after=0)
    await client.see(7)
    assert order == ["reply", *["stream.event"] * 7]


async def test_a_connection_that_dies_leaves_no_subscription(desk: Desk) -> None:
    for watched in ({"all": True, "after": 0}, {"prefix": "shop:"}, {"wallets": WALLETS, "snapshot": True}):
        client = desk.client()
        client.ask(("stream.subscribe", watched), ("stream.subscribe", watched))
        client.vanish()
        client = desk.client()
        await client.call("stream.subscribe", **watched)
        client.vanish()
    await trio.testing.wait_all_tasks_blocked()
    assert len(desk.core.publisher) == 0
    await pay(desk.client(), "p", 3)


async def test_a_snapshot_of_too_many_wallets_says_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walletd.protocol.messages.MAX_SNAPSHOT_WALLETS", 3)
    client = desk.client()
    data = await client.refused("stream.subscribe", prefix="", snapshot=True)
    assert (data["reason"], data["limit"]) == ("snapshot_too_large", 3)
    await client.call("stream.subscribe", prefix="shop:", snapshot=True)


async def test_a_snapshot_shows_its_wallets_and_nothing_of_those_that_do_not_exist(desk: Desk) -> None:
    client = desk.client()
    subscribed = await client.call("stream.subscribe", wallets=["bob", "nobody"], snapshot=True)
    assert [wallet["wallet"] for wallet in subscribed["wallets"]] == ["bob"]
    await client.call("wallet.open", command_id="o", wallet="nobody")
    assert client.sequences() == [8]
