"""What one principal may have open at once, in all its sessions together."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.clients import let_in, open_town, session_of
from tests.gateway.sessions import ADMIN, Client, Desk, furnish, open_desk, payment
from tests.ledger import cases
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant
from walletd.vocabulary.budgets import STRANGERS, Budget
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal

STRANGER = Grant(Principal("stranger"), ("spend:alice", "view:*"))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, MemoryJournalStore()) as opened:
        await furnish(opened.client(ADMIN), "alice", "bob")
        yield opened


def stranger(desk: Desk, **budget: int) -> Client:
    """A session of a client with this budget, and a stranger's otherwise."""
    record = ClientRecord(
        client=STRANGER.principal, scopes=STRANGER.scopes, tokens=(), created_by=Principal("x"), created_at=cases.NOW
    )
    desk.core.wallets.clients.put(record)
    desk.services.budgets.account(STRANGER.principal).adopt(Budget(**budget).over(STRANGERS))
    return desk.client(STRANGER)


def spent(reply: dict[str, Any]) -> str | None:
    """The budget that is used up, according to a reply."""
    data = reply.get("error", {}).get("data", {})
    return data["budget"] if data.get("reason") == "quota_exceeded" else None


async def test_unanswered_requests_are_counted_over_all_sessions_and_given_back(desk: Desk) -> None:
    one = stranger(desk, in_flight=4)
    other = desk.client(STRANGER)
    asked = [("transfer.post", payment(f"p{n}", source="alice", to="bob")) for n in range(4)]
    ids = one.ask(*asked)
    refused = await other.reply(other.ask(asked[0])[0])
    assert spent(refused) == "in_flight"
    assert refused["error"]["data"]["outcome"] == "not_applied"
    await one.all_replies(ids)
    account = desk.services.budgets.account(STRANGER.principal)
    assert (account.open_requests, account.open_bytes) == (0, 0)
    assert spent(await other.reply(other.ask(asked[0])[0])) is None
    assert desk.services.budgets.refused == {"in_flight": 1}


async def test_the_bytes_of_unanswered_requests_are_counted_too(desk: Desk) -> None:
    client = stranger(desk, in_flight_bytes=1_000)
    large = payment("large", source="alice", to="bob") | {"metadata": {"a": "x" * 450}}
    first, second = client.ask(("transfer.post", large), ("transfer.post", large | {"command_id": "second"}))
    assert spent(await client.reply(second)) == "in_flight_bytes"
    assert spent(await client.reply(first)) is None


async def test_what_a_session_that_left_had_open_is_given_back(desk: Desk) -> None:
    client = stranger(desk)
    client.ask(*[("statement.get", {"wallet": "alice"})] * 5, ("transfer.post", payment("p", source="alice", to="bob")))
    account = desk.services.budgets.account(STRANGER.principal)
    assert account.open_requests == 6
    client.vanish()
    again = desk.client(STRANGER)
    await again.call("statement.get", wallet="alice")
    assert (account.open_requests, account.open_bytes) == (0, 0)


async def test_subscriptions_are_counted_over_all_sessions(desk: Desk) -> None:
    one, other = stranger(desk, subscriptions=2), desk.client(STRANGER)
    await one.call("stream.subscribe", wallets=["alice"])
    await other.call("stream.subscribe", wallets=["alice"])
    asked = ("stream.subscribe", {"wallets": ["bob"]})
    assert spent(await other.reply(other.ask(asked)[0])) == "subscriptions"
    await one.call("stream.unsubscribe", subscription=1)
    assert spent(await other.reply(other.ask(asked)[0])) is None
    other.vanish()
    assert desk.services.budgets.account(STRANGER.principal).taken("subscriptions") == 0


async def test_an_admin_has_no_such_limit(desk: Desk) -> None:
    stranger(desk, in_flight=1)
    client = desk.client(ADMIN)
    ids = client.ask(*[("session.ping", {})] * 100)
    assert [spent(reply) for reply in await client.all_replies(ids)] == [None] * 100


async def test_an_admin_gives_a_client_a_budget_of_its_own_which_the_client_reads_in_its_hello(tmp_path: Path) -> None:
    own = {"in_flight": 7, "journal_bytes_per_day": 0}
    async with open_town(tmp_path, MemoryJournalStore()) as desk:
        admin = await session_of(desk, "root")
        await let_in(admin, "shop", "spend:shop-*", budget=own)
        await let_in(admin, "till", "spend:shop-*")
        seen = {view["client"]: view.get("budget") for view in (await admin.call("client.list"))["clients"]}
        assert (seen["shop"], seen["till"]) == (own, None)
        shop = desk.client(desk.register.grant_of("shop"))
        told = shop.pushed[0]["params"]["auth"]["budget"]
        assert told == msgspec.to_builtins(Budget(**own).over(STRANGERS))
        await admin.call("client.update", command_id="e", client="shop", budget={"connections": 3})
        account = desk.services.budgets.account(Principal("shop"))
        assert account.budget == Budget(connections=3).over(STRANGERS), "it replaces the one before"
        refused = await shop.refused("client.update", command_id="f", client="shop", budget={})
        assert (refused["reason"], refused["field"]) == ("beyond_own_access", "budget")
