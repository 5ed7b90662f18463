"""Times that are counted: said once, resolved at the first decision, the same command when it is sent again."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.clients import HandClock
from tests.gateway.sessions import Client, Desk, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant, token_hash
from walletd.vocabulary.identifiers import OPERATOR

HASH = "0123456789abcdef" * 4


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def client(tmp_path: Path, clock: HandClock) -> AsyncIterator[Client]:
    """An operator's session, where alice has 1000."""
    async with open_desk(tmp_path, MemoryJournalStore(), clock=clock) as desk:
        yield await furnished(desk)


async def furnished(desk: Desk) -> Client:
    await desk.core.admit_operator(token_hash("operator"))
    client = desk.client(Grant(OPERATOR, ("admin",)))
    await furnish(client, "alice", "bob")
    await client.call("transfer.post", **payment("funds", "alice", 1000))
    return client


PLACE: dict[str, Any] = {"command_id": "order-1", "wallet": "alice", "asset": "EUR", "amount": "400"}


async def test_a_hold_placed_again_a_minute_later_is_the_same_hold(client: Client, clock: HandClock) -> None:
    first = await client.call("hold.place", **PLACE, expires_in_seconds=3600)
    clock.offset += timedelta(minutes=1)
    again = await client.call("hold.place", **PLACE, expires_in_seconds=3600)
    assert again == {**first, "replayed": True}
    decided, ends = (datetime.fromisoformat(time) for time in (first["time"], first["holds"][0]["expires_at"]))
    assert ends == decided + timedelta(hours=1)
    balances = await client.call("balance.get", wallet="alice")
    assert balances["balances"][0]["held"] == "400"


async def test_an_extension_a_freeze_and_a_client_sent_again_later_are_the_same(
    client: Client, clock: HandClock
) -> None:
    hold = (await client.call("hold.place", **PLACE))["hold"]
    commands: list[tuple[str, dict[str, Any]]] = [
        ("hold.extend", {"wallet": "alice", "hold": hold, "expires_in_seconds": 60}),
        ("wallet.freeze", {"wallet": "bob", "why": "review", "until_in_seconds": 60}),
        ("client.create", {"client": "shop", "scopes": ["metrics"], "token_sha256": HASH, "expires_in_seconds": 60}),
        (
            "client.rotate",
            {
                "client": "shop",
                "token_sha256": HASH[::-1],
                "expires_in_seconds": 3600,
                "overlap_for_seconds": 30,
            },
        ),
    ]
    for method, params in commands:
        first = await client.call(method, command_id=method, **params)
        clock.offset += timedelta(seconds=1)
        assert await client.call(method, command_id=method, **params) == {**first, "replayed": True}
    (record,) = first["clients"]
    ends = [datetime.fromisoformat(token["expires_at"]) for token in record["tokens"]]
    decided = datetime.fromisoformat(first["time"])
    assert ends == [decided + timedelta(seconds=30), decided + timedelta(hours=1)]


async def test_until_when_to_decide_is_no_part_of_what_is_asked_for(client: Client, clock: HandClock) -> None:
    pay = payment("p", "bob", 10, "alice")
    first = await client.call("transfer.post", **pay, valid_until=(clock() + timedelta(seconds=30)).isoformat())
    clock.offset += timedelta(hours=1)
    for said in (
        {"valid_until": (clock() + timedelta(seconds=30)).isoformat()},
        {"valid_until": (clock() - timedelta(seconds=30)).isoformat()},
        {"valid_for_seconds": 30},
        {},
    ):
        assert await client.call("transfer.post", **pay, **said) == {**first, "replayed": True}


async def test_only_where_the_substance_differs_is_another_command_id_advised(client: Client, clock: HandClock) -> None:
    await client.call("hold.place", **PLACE, expires_at=(clock() + timedelta(hours=1)).isoformat())
    clock.offset += timedelta(minutes=1)
    later = (clock() + timedelta(hours=1)).isoformat()
    computed = await client.refused("hold.place", **PLACE, expires_at=later)
    assert (computed["reason"], computed["field"], computed["retry"]) == ("command_id_reused", "expires_at", "never")
    dearer = await client.refused("hold.place", **{**PLACE, "amount": "500"}, expires_at=later)
    assert (dearer["reason"], dearer["field"], dearer["retry"]) == ("command_id_reused", "amount", "new_command_id")


TWICE: list[tuple[str, dict[str, Any], str]] = [
    ("hold.place", {**PLACE, "expires_at": "2031-01-01T00:00:00Z", "expires_in_seconds": 60}, "expires_in_seconds"),
    ("hold.place", {**PLACE, "valid_until": "2031-01-01T00:00:00Z", "valid_for_seconds": 60}, "valid_for_seconds"),
    (
        "hold.extend",
        {"command_id": "c", "wallet": "alice", "hold": "h1", "expires_at": None, "expires_in_seconds": 60},
        "expires_in_seconds",
    ),
    (
        "wallet.freeze",
        {"command_id": "c", "wallet": "alice", "why": "w", "until": "2031-01-01T00:00:00Z", "until_in_seconds": 60},
        "until_in_seconds",
    ),
    (
        "client.rotate",
        {
            "command_id": "c",
            "client": "shop",
            "token_sha256": HASH,
            "overlap_until": "2031-01-01T00:00:00Z",
            "overlap_for_seconds": 60,
        },
        "overlap_for_seconds",
    ),
]


@pytest.mark.parametrize(("method", "params", "field"), TWICE, ids=[f"{row[0]} {row[2]}" for row in TWICE])
async def test_a_moment_is_said_in_one_way(client: Client, method: str, params: dict[str, Any], field: str) -> None:
    refused = await client.refused(method, **params)
    assert (refused["reason"], refused["field"]) == ("invalid_params", field)
    if not method.startswith("client"):
        batch = {"command_id": "b", "commands": [{"method": method, **params}]}
        refused = await client.refused("batch.execute", **batch)
        assert (refused["reason"], refused["field"]) == ("invalid_params", f"commands[0].{field}")


async def test_an_extension_says_until_when(client: Client) -> None:
    refused = await client.refused("hold.extend", command_id="c", wallet="alice", hold="h1")
    assert (refused["reason"], refused["field"]) == ("invalid_params", "expires_at")
