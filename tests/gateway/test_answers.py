"""Answers agree: a transfer of a batch is the command's own, versions are the wallet's, times are in UTC."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sessions import Client, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant
from walletd.vocabulary.identifiers import DAEMON


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """An operator's session, where alice has 1000."""
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client = desk.client(Grant(DAEMON, ("admin",)))
        await furnish(client, "alice", "bob")
        await client.call("transfer.post", **payment("funds", "alice", 1000))
        yield client


def inside(method: str, command_id: str, **params: Any) -> dict[str, Any]:
    """A command of a batch."""
    return {"method": method, "command_id": command_id, **params}


async def test_a_transfer_of_a_batch_is_shown_as_its_own_command_posted_it(client: Client) -> None:
    paid = {"from": "alice", "to": "bob", "asset": "EUR", "amount": "40"}
    back = {"from": "bob", "to": "alice", "asset": "EUR", "amount": "15"}
    first = await client.call(
        "batch.execute",
        command_id="payday",
        commands=[
            inside("transfer.post", "one", postings=[paid], metadata={"order": "1"}, reference="r-1"),
            inside("transfer.post", "two", postings=[paid], metadata={"order": "2"}),
        ],
    )
    sequence = first["sequence"]
    refunded = await client.call(
        "batch.execute",
        command_id="returns",
        commands=[inside("transfer.refund", "back", transfer=f"t{sequence}.1", postings=[back], metadata={"why": "x"})],
    )
    shown = [await client.call("transfer.get", transfer=f"t{sequence}.{index}") for index in (0, 1)]
    assert [view["command_id"] for view in shown] == ["one", "two"]
    assert [view["metadata"] for view in shown] == [{"order": "1"}, {"order": "2"}]
    assert [view.get("original") for view in shown] == [None, None]
    refund = await client.call("transfer.get", transfer=f"t{refunded['sequence']}.0")
    assert (refund["command_id"], refund["metadata"]) == ("back", {"why": "x"})
    assert (refund["kind"], refund["original"]) == ("refund", f"t{sequence}.1")


async def test_a_balance_has_the_wallets_version_in_every_answer(client: Client) -> None:
    await client.call("asset.define", command_id="gold", asset="XAU", scale=4)
    gold = {"from": "@external", "to": "alice", "asset": "XAU", "amount": "7"}
    await client.call("transfer.post", command_id="gold-1", postings=[gold])
    await client.call("transfer.post", **payment("p2", "alice", 5))
    await client.call("wallet.update", command_id="words", wallet="alice", metadata={"tier": "gold"})
    now = await client.call("balance.get", wallet="alice")
    versions = {balance["version"] for balance in now["balances"]}
    assert len(versions) == 1
    listed = await client.call("wallet.list", prefix="alice")
    wallet = await client.call("wallet.get", wallet="alice")
    assert {balance["version"] for balance in listed["wallets"][0]["balances"]} == versions
    assert {balance["version"] for balance in wallet["balances"]} == versions == {wallet["version"]}
    snapshot = await client.call("stream.subscribe", wallets=["alice"], snapshot=True)
    assert {balance["version"] for balance in snapshot["wallets"][0]["balances"]} == versions


async def test_a_moment_with_an_offset_is_shown_in_utc(client: Client) -> None:
    held = await client.call(
        "hold.place",
        command_id="h",
        wallet="alice",
        asset="EUR",
        amount="1",
        expires_at="2999-01-31T12:00:00+05:30",
        valid_until="2999-01-31T12:00:00+01:00",
    )
    assert held["holds"][0]["expires_at"] == "2999-01-31T06:30:00Z"
    again = await client.call(
        "hold.place", command_id="h", wallet="alice", asset="EUR", amount="1", expires_at="2999-01-31T06:30:00Z"
    )
    assert again["replayed"]
    inner = inside("wallet.freeze", "f", wallet="bob", why="review", until="2999-01-31T12:00:00-01:00")
    frozen = await client.call("batch.execute", command_id="b", commands=[inner])
    assert frozen["wallets"][0]["freeze"]["until"] == "2999-01-31T13:00:00Z"
    refused = await client.refused("balance.get", wallet="alice", as_of="2999-01-31T12:00:00+02:00")
    assert refused["asked"] == "2999-01-31T10:00:00Z"


async def test_how_low_a_balance_may_go_is_said_once(client: Client) -> None:
    both = {"EUR": {"minimum": "5", "credit_limit": "100"}}
    refused = await client.refused("wallet.update", command_id="l", wallet="alice", limits=both)
    assert (refused["reason"], refused["field"]) == ("invalid_params", "limits.EUR.credit_limit")
    inner = inside("wallet.update", "i", wallet="alice", limits=both)
    refused = await client.refused("batch.execute", command_id="b", commands=[inner])
    assert refused["field"] == "commands[0].limits.EUR.credit_limit"
    await client.call("wallet.update", command_id="l", wallet="alice", limits={"EUR": {"credit_limit": "100"}})
