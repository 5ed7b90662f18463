"""A session on a real core: what one client may do, and what it sees of its own."""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.gateway.sessions import ADMIN, PATIENCE_SECONDS, Desk, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.states import DaemonState
from walletd.wallets.load import Level, Load
from walletd.wallets.visibility import Visibility


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


@pytest.fixture
async def desk(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, journal) as opened:
        yield opened


# --- authentication -------------------------------------------------------------------------------------------------


async def test_a_session_that_does_not_authenticate_in_time_is_closed_with_4408(
    tmp_path: Path, journal: MemoryJournalStore, autojump_clock: Any
) -> None:
    async with open_desk(tmp_path, journal, authentication_seconds=10) as desk:
        desk.register.admit("secret", ADMIN)
        start = trio.current_time()
        silent, tardy, prompt, granted = (desk.client(None), desk.client(None), desk.client(None), desk.client(ADMIN))
        gone = desk.client(None)
        gone.vanish()
        await trio.sleep_until(start + 5)
        late = desk.client(None)
        prompt.ask(("session.authenticate", {"token": "secret"}))
        tardy.ask(("session.authenticate", {"token": "wrong"}))
        await trio.sleep_until(start + 9.9)
        assert silent.closed_with is None
        await trio.sleep_until(start + 10.1)
        assert [client.closed_with and client.closed_with[0] for client in (silent, tardy)] == [4408, 4408]
        assert late.closed_with is None
        await trio.sleep_until(start + 15.1)
        assert late.closed_with is not None
        assert late.closed_with[0] == 4408
        assert prompt.closed_with is granted.closed_with is gone.closed_with is None


async def test_before_authentication_nothing_is_answered_but_what_to_do(desk: Desk) -> None:
    desk.register.admit("secret", ADMIN)
    client = desk.client(None)
    assert client.pushed[0]["params"]["auth"]["required"]
    for method, params in (("session.ping", {}), ("asset.list", {}), ("stream.subscribe", {"all": True})):
        assert (await client.refused(method, **params))["reason"] == "authentication_required"
    assert (await client.refused("session.authenticate", token="wrong"))["reason"] == "authentication_failed"
    await client.call("session.authenticate", token="secret")
    assert (await client.call("session.ping"))["head"] == 1


async def test_a_view_of_some_wallets_shows_nothing_else(desk: Desk) -> None:
    operator = desk.client()
    await furnish(operator, "shop:1", "shop:2", "bob")
    viewer = desk.client(Grant(Principal("viewer"), ("view:shop:*",)))
    await viewer.call("wallet.get", wallet="shop:1")
    await viewer.call("stream.subscribe", prefix="shop:")
    for method, params in (
        ("wallet.get", {"wallet": "bob"}),
        ("statement.get", {"wallet": "bob"}),
        ("stream.subscribe", {"all": True}),
        ("stream.subscribe", {"prefix": "s"}),
        ("stream.subscribe", {"prefix": ""}),
        ("stream.subscribe", {"wallets": ["shop:1", "bob"]}),
        ("wallet.list", {}),
        ("entry.list", {}),
        ("transfer.post", payment("p", source="shop:1", to="shop:2")),
    ):
        assert (await viewer.refused(method, **params))["reason"] == "forbidden", method


# --- its own writes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_cold", [False, True])
async def test_a_session_reads_its_own_pipelined_writes(
    tmp_path: Path, journal: MemoryJournalStore, is_cold: bool
) -> None:
    async with open_desk(tmp_path, journal) as desk:
        await furnish(desk.client(), "alice", "bob")
        if not is_cold:
            await assert_own_writes_are_read(desk)
    if is_cold:
        async with open_desk(tmp_path, journal) as desk:
            assert len(desk.core.wallets.roster) == 0
            await assert_own_writes_are_read(desk)


async def assert_own_writes_are_read(desk: Desk) -> None:
    client = desk.client()
    requests: list[tuple[str, dict[str, Any]]] = []
    for number in range(1, 11):
        requests.append(("transfer.post", payment(f"p{number}", amount=number)))
        requests.append(("statement.get", {"wallet": "alice", "newest_first": True, "limit": 1}))
        requests.append(("balance.get", {"wallet": "alice", "asset": "EUR"}))
        requests.append(("wallet.list", {"prefix": "alice"}))
        requests.append(("entry.get", {"command_id": f"p{number}"}))
        requests.append(("entry.list", {"after": 0, "limit": 1000}))
    answers = await client.all_replies(client.ask(*requests))
    for number in range(10):
        post, statement, balance, wallets, entry, entries = (r["result"] for r in answers[number * 6 : number * 6 + 6])
        whole = sum(range(1, number + 2))
        assert int(statement["lines"][0]["posted"]) >= whole
        assert statement["sequence"] >= statement["lines"][0]["sequence"] >= post["sequence"]
        assert balance["balances"][0]["posted"] == str(whole)
        assert int(wallets["wallets"][0]["balances"][0]["posted"]) >= whole
        assert entry["entry_hash"] == post["entry_hash"]
        assert post["sequence"] in [view["entry"]["sequence"] for view in entries["entries"]]


@pytest.mark.interpreted
async def test_a_read_waits_for_what_there_was_when_it_was_asked_and_not_for_what_came_since(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of many reads would otherwise wait for a transaction of the tables for each of them."""
    client, other = desk.client(), desk.client()
    await furnish(other, "alice", "bob")
    waited_for: list[int] = []
    plain = Visibility.until_projected

    async def shown(visibility: Visibility, sequence: int) -> None:
        waited_for.append(sequence)
        paid = other.ask(("transfer.post", payment(f"p{len(waited_for)}")))
        await other.all_replies(paid)
        await plain(visibility, sequence)

    monkeypatch.setattr(Visibility, "until_projected", shown)
    head = desk.core.writer.durable_head
    ids = client.ask(*[("statement.get", {"wallet": "alice", "newest_first": True, "limit": 1})] * 5)
    answers = await client.all_replies(ids)
    assert waited_for == [head] * 5
    assert all(answer["result"]["sequence"] >= head for answer in answers)
    assert desk.core.writer.durable_head == head + 5


async def test_a_transfer_is_found_by_the_request_behind_it(desk: Desk) -> None:
    client = desk.client()
    await furnish(client, "alice")
    ids = client.ask(("transfer.post", payment("p1")), ("transfer.get", {"transfer": "t4"}))
    post, found = await client.all_replies(ids)
    assert post["result"]["transfer"] == "t4"
    assert found["result"]["entry_hash"] == post["result"]["entry_hash"]


async def test_an_opened_wallet_and_its_first_payment_can_be_sent_in_one_go(desk: Desk) -> None:
    client = desk.client()
    ids = client.ask(
        ("asset.define", {"command_id": "d", "asset": "EUR", "scale": 2}),
        ("wallet.open", {"command_id": "o", "wallet": "alice"}),
        ("transfer.post", payment("p1")),
        ("wallet.get", {"wallet": "alice"}),
        ("stream.subscribe", {"wallets": ["alice"], "snapshot": True}),
        ("asset.list", {}),
    )
    *_, wallet, subscribed, assets = await client.all_replies(ids)
    assert wallet["result"]["balances"][0]["posted"] == "1"
    assert subscribed["result"]["wallets"][0]["balances"][0]["posted"] == "1"
    assert assets["result"]["assets"] == [{"asset": "EUR", "scale": 2}]


async def test_a_read_behind_a_write_that_a_full_disk_undid_is_answered(
    desk: Desk, journal: MemoryJournalStore
) -> None:
    client = desk.client()
    await furnish(client, "alice")
    journal.is_full = True
    ids = client.ask(
        ("transfer.post", payment("p1")),
        ("statement.get", {"wallet": "alice"}),
        ("balance.get", {"wallet": "alice"}),
        ("entry.list", {}),
    )
    post, statement, _, entries = await client.all_replies(ids)
    assert post["error"]["data"]["reason"] == "unavailable"
    assert statement["result"]["lines"] == []
    assert len(entries["result"]["entries"]) == 3
    journal.is_full = False


# --- bounds ---------------------------------------------------------------------------------------------------------


async def test_more_unanswered_requests_than_allowed_are_refused_and_answered_ones_make_room(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal, max_in_flight=10) as desk:
        client = desk.client()
        await furnish(client, "alice")
        ids = client.ask(*[("transfer.post", payment(f"p{number}")) for number in range(25)])
        refused = [client.replies[request_id]["error"]["data"] for request_id in ids[10:]]
        assert {(data["reason"], data["outcome"], data["retry"]) for data in refused} == {
            ("overloaded", "not_applied", "same_command_id")
        }
        applied = await client.all_replies(ids[:10])
        assert all("result" in response for response in applied)
        again = await client.all_replies(client.ask(*[("transfer.post", payment(f"p{n}")) for n in range(10, 20)]))
        assert all("result" in response for response in again)
        assert client.endpoint.session.in_flight == 0


@pytest.mark.interpreted
async def test_while_the_daemon_is_pressed_nobody_has_more_than_a_share_under_way(
    tmp_path: Path, journal: MemoryJournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.wallets.load.SMALLEST_SHARE", 4)
    monkeypatch.setattr("walletd.wallets.load.ALL_SHARES", 16)
    async with open_desk(tmp_path, journal) as desk:
        greedy, modest = desk.client(), desk.client()
        await furnish(modest, "alice", "bob")
        many = greedy.ask(*[("transfer.post", payment(f"g{number}")) for number in range(20)])
        assert all("result" in answer for answer in await greedy.all_replies(many)), "no session is pressed"
        monkeypatch.setattr(Load, "level", Level.PRESSED)
        again = greedy.ask(*[("transfer.post", payment(f"h{number}")) for number in range(8)])
        beyond = greedy.ask(*[("transfer.post", payment(f"i{number}")) for number in range(5)])
        known = greedy.ask(("transfer.post", payment("g3")), ("transfer.post", payment("h3")))
        shed = [greedy.replies[request_id]["error"]["data"] for request_id in beyond]
        assert {(data["reason"], data["outcome"], data["what"]) for data in shed} == {
            ("overloaded", "not_applied", "the session's share of what is under way")
        }
        assert desk.services.counters.shed["the session's share of what is under way"] == 5
        assert (await modest.call("transfer.post", **payment("m1", to="bob")))["sequence"] > 0
        assert all("result" in answer for answer in await greedy.all_replies(again))
        assert [answer["result"]["replayed"] for answer in await greedy.all_replies(known)] == [True, True]


async def test_one_session_at_its_bound_does_not_refuse_another(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_desk(tmp_path, journal, max_in_flight=5) as desk:
        greedy, modest = desk.client(), desk.client()
        await furnish(modest, "alice", "bob")
        greedy.ask(*[("transfer.post", payment(f"g{number}")) for number in range(100)])
        assert (await modest.call("transfer.post", **payment("m1", to="bob")))["sequence"] > 0


async def test_subscriptions_are_bounded_also_when_they_are_asked_for_all_at_once(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    async with open_desk(tmp_path, journal, max_subscriptions=3) as desk:
        client = desk.client()
        ask = ("stream.subscribe", {"prefix": "", "snapshot": True})
        answers = await client.all_replies(client.ask(*[ask] * 8))
        granted = [response["result"]["subscription"] for response in answers if "result" in response]
        assert len(granted) == 3
        assert len(desk.core.publisher) == 3
        await client.call("stream.unsubscribe", subscription=granted[0])
        await client.call("stream.subscribe", all=True)


async def test_every_request_is_answered_once_whatever_is_asked(desk: Desk) -> None:
    seed = 7
    print(f"seed {seed}")
    chance = random.Random(seed)
    client = desk.client()
    await furnish(client, "alice", "bob")
    pool: list[tuple[str, dict[str, Any]]] = [
        ("session.ping", {}),
        ("asset.list", {}),
        ("wallet.get", {"wallet": "nobody"}),
        ("wallet.list", {"limit": 2, "after": "alice"}),
        ("balance.get", {"wallet": "alice", "asset": "XXX"}),
        ("statement.get", {"wallet": "nobody"}),
        ("statement.get", {"wallet": "alice", "cursor": "1.x"}),
        ("statement.get", {"wallet": "alice", "cursor": "9999999999999999.9999"}),
        ("transfer.get", {"transfer": "t1"}),
        ("transfer.get", {"transfer": "t9999999999999999"}),
        ("transfer.get", {"transfer": "t4.1"}),
        ("entry.get", {}),
        ("entry.get", {"sequence": 0}),
        ("entry.get", {"sequence": 2**53 - 1}),
        ("entry.get", {"command_id": "never"}),
        ("entry.list", {"after": 2**53 - 1}),
        ("stream.subscribe", {}),
        ("stream.subscribe", {"all": True, "prefix": "a"}),
        ("stream.subscribe", {"all": True, "after": 0, "snapshot": True}),
        ("stream.subscribe", {"all": True, "after": {"epoch": 1, "sequence": 2**53 - 1}}),
        ("stream.unsubscribe", {"subscription": 2**60}),
        ("daemon.audit", {}),
        ("journal.read", {}),
        ("journal.read", {"after": 2**53 - 1}),
        ("daemon.status", {}),
        ("no.such", {}),
    ]
    ids: list[int] = []
    for round_number in range(20):
        requests = chance.choices(pool, k=10)
        requests.append(("transfer.post", payment(f"p{round_number % 15}", chance.choice(["alice", "bob", "nobody"]))))
        ids += client.ask(*requests)
        if chance.random() < 0.5:
            await trio.sleep(0)
    await client.all_replies(ids)
    assert client.endpoint.session.in_flight == 0
    assert client.closed_with is None


async def test_answers_of_a_session_that_has_gone_go_nowhere(desk: Desk) -> None:
    client = desk.client()
    await furnish(client, "alice")
    heard = len(client.replies)
    ids = client.ask(*[("transfer.post", payment(f"p{number}")) for number in range(20)])
    client.ask(("statement.get", {"wallet": "alice"}), ("stream.subscribe", {"all": True, "snapshot": True}))
    client.vanish()
    other = desk.client()
    again = await other.call("transfer.post", **payment("p19"))
    assert again["replayed"]
    await trio.testing.wait_all_tasks_blocked()
    assert len(client.replies) == heard
    assert len(desk.core.publisher) == 0
    assert len(ids) == 20


async def test_while_the_daemon_drains_commands_are_refused_and_reads_answered(desk: Desk) -> None:
    client = desk.client()
    await furnish(client, "alice")
    desk.lifecycle = DaemonState.DRAINING
    assert (await client.refused("transfer.post", **payment("p1")))["outcome"] == "not_applied"
    assert (await client.call("wallet.get", wallet="alice"))["wallet"] == "alice"


async def test_a_client_that_takes_nothing_does_not_make_the_daemon_hold_every_page_it_asked_for(desk: Desk) -> None:
    """One frame of some hundred bytes can ask for a page of a megabyte."""
    client = desk.client()
    await furnish(client, "alice")
    for start in range(0, 2000, 500):
        await client.all_replies(client.ask(*[("transfer.post", payment(f"p{start + n}")) for n in range(500)]))
    client.is_stuck = True
    ids = client.ask(*[("entry.list", {"limit": 1000})] * 50)
    with trio.fail_after(PATIENCE_SECONDS):
        while client.endpoint.has_room():
            await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert client.most_queued < 2 * len(json.dumps(await desk.client().call("entry.list", limit=1000)))
    client.vanish()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert not client.endpoint.reads
    assert len(ids) == 50
