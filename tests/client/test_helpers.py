"""Holds, refunds and commands from plain values: what is sent, against a fake daemon."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from tests.client.fake_daemon import TIME, FakeDaemon, FakeLink, applied
from walletd.client import Client, Leg, Reason, RequestFailed, commands
from walletd.client.results import Amount
from walletd.protocol.methods import METHODS
from walletd.vocabulary.commands import WalletLimits

HOLD = {
    "hold": "h7",
    "wallet": "alice",
    "asset": "EUR",
    "amount": "4000",
    "captured": "0",
    "reserved": "4000",
    "state": "open",
    "placed_at": TIME,
    "sequence": 7,
}


def transfer(*postings: tuple[str, str, int], refunded: tuple[int, ...] = ()) -> dict[str, Any]:
    """A transfer of EUR as it is read, with what was refunded of each posting."""
    moved = [{"from": source, "to": to, "asset": "EUR", "amount": str(units)} for source, to, units in postings]
    left = [one | {"refunded": str(back)} for one, back in zip(moved, refunded, strict=False)]
    return {"transfer": "t7", "sequence": 7, "time": TIME, "postings": moved, "refunded": left}


def answering(daemon: FakeDaemon, **results: dict[str, Any]) -> None:
    """Commands are applied, EUR has two decimal places, and reads have these results."""
    for name in METHODS:
        daemon.answers[name] = lambda link, request: link.reply(request, applied(9))
    daemon.answers["asset.list"] = lambda link, request: link.reply(request, {"assets": [{"asset": "EUR", "scale": 2}]})
    daemon.answers["hold.get"] = lambda link, request: link.reply(request, HOLD)
    daemon.answers["entry.get"] = lambda link, request: link.fail(
        request, Reason.ENTRY_NOT_FOUND.code, "entry_not_found"
    )
    for name, result in results.items():
        daemon.answers[name.replace("_", ".")] = answer(result)


def answer(result: dict[str, Any]) -> Any:
    def reply(link: FakeLink, request: dict[str, Any]) -> None:
        link.reply(request, result)

    return reply


def sent(daemon: FakeDaemon) -> dict[str, Any]:
    """The params of the last request."""
    params: dict[str, Any] = daemon.requests[-1]["params"]
    return params


async def test_a_hold_is_placed_in_either_unit(daemon: FakeDaemon, client: Client, autojump_clock: MockClock) -> None:
    answering(daemon)
    expected = {"command_id": "o-1", "wallet": "alice", "asset": "EUR", "amount": "4000", "expires_in_seconds": 60}
    await client.place_hold("alice", 4000, "EUR", expires_in_seconds=60, command_id="o-1")
    assert sent(daemon) == expected
    await client.place_hold("alice", Decimal("40.00"), "EUR", expires_in_seconds=60, command_id="o-1")
    assert sent(daemon) == expected


async def test_a_capture_in_the_main_unit_is_of_the_asset_that_is_held(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    answering(daemon)
    parts: dict[str, Amount] = {"shop": Decimal("19.40"), "@fees": 60}
    await client.capture_hold("alice", "h7", parts, final=True, command_id="s-1", if_version={"alice": 3})
    assert sent(daemon) == {
        "command_id": "s-1",
        "if_version": {"alice": 3},
        "wallet": "alice",
        "hold": "h7",
        "parts": [{"to": "shop", "amount": "1940"}, {"to": "@fees", "amount": "60"}],
        "final": True,
    }
    assert [one["method"] for one in daemon.requests] == ["hold.get", "asset.list", "hold.capture"]


async def test_a_hold_is_voided_adjusted_and_extended(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    answering(daemon)
    await client.void_hold("alice", "h7", command_id="1")
    assert sent(daemon) == {"command_id": "1", "wallet": "alice", "hold": "h7"}
    await client.adjust_hold("alice", "h7", Decimal("1.5"), command_id="2")
    assert sent(daemon) == {"command_id": "2", "wallet": "alice", "hold": "h7", "amount": "150"}
    await client.extend_hold("alice", "h7", expires_in_seconds=60, command_id="3")
    assert sent(daemon) == {"command_id": "3", "wallet": "alice", "hold": "h7", "expires_in_seconds": 60}
    await client.extend_hold("alice", "h7", command_id="4")
    assert sent(daemon) == {"command_id": "4", "wallet": "alice", "hold": "h7", "expires_at": None}


async def test_a_refund_without_legs_is_of_all_that_is_left(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    moved = (("alice", "shop", 1000), ("alice", "@fees", 30))
    answering(daemon, transfer_get=transfer(*moved))
    await client.refund("t7", command_id="r-1")
    back = [
        {"from": "shop", "to": "alice", "asset": "EUR", "amount": "1000"},
        {"from": "@fees", "to": "alice", "asset": "EUR", "amount": "30"},
    ]
    assert sent(daemon) == {"command_id": "r-1", "transfer": "t7", "postings": back}
    answering(daemon, transfer_get=transfer(*moved, refunded=(400, 30)))
    await client.refund("t7")
    assert sent(daemon)["postings"] == [back[0] | {"amount": "600"}]
    answering(daemon, transfer_get=transfer(*moved, refunded=(1000, 30)))
    with pytest.raises(RequestFailed, match="all of t7 is refunded already") as failed:
        await client.refund("t7")
    assert failed.value.reason is Reason.REFUND_EXCEEDS_ORIGINAL


async def test_a_repeated_refund_of_the_rest_asks_for_the_same_again(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    """Nothing is left by then; without a look at the first, the command would be another one under the same id."""
    back = {"from": "shop", "to": "alice", "asset": "EUR", "amount": "600"}
    command = {"method": "transfer.refund", "command_id": "r-1", "transfer": "t7", "postings": [back]}
    entry = {"sequence": 8, "time": TIME, "principal": "shop", "command": command, "effects": {}}
    answering(daemon, entry_get={"entry": entry, "entry_hash": "00"})
    await client.refund("t7", command_id="r-1")
    assert sent(daemon) == {"command_id": "r-1", "transfer": "t7", "postings": [back]}


async def test_a_refund_along_legs_is_of_these(daemon: FakeDaemon, client: Client, autojump_clock: MockClock) -> None:
    answering(daemon)
    await client.refund("t7", [Leg("shop", "alice", Decimal("4.50"), "EUR")], reference="plate", command_id="r")
    back = {"from": "shop", "to": "alice", "asset": "EUR", "amount": "450"}
    assert sent(daemon) == {"command_id": "r", "transfer": "t7", "postings": [back], "reference": "plate"}


async def test_wallets_are_limited_frozen_and_closed(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    answering(daemon)
    await client.update_wallet("alice", limits={"EUR": WalletLimits(maximum="9")}, command_id="1")
    assert sent(daemon) == {"command_id": "1", "wallet": "alice", "limits": {"EUR": {"maximum": "9"}}}
    await client.freeze_wallet("alice", "inquiry", frozen="debits", until_in_seconds=60, command_id="2")
    assert sent(daemon) == {
        "command_id": "2",
        "wallet": "alice",
        "frozen": "debits",
        "why": "inquiry",
        "until_in_seconds": 60,
    }
    await client.unfreeze_wallet("alice", command_id="3")
    await client.close_wallet("alice", sweep_to="bob", command_id="4")
    assert sent(daemon) == {"command_id": "4", "wallet": "alice", "sweep_to": "bob"}


async def test_a_batch_is_made_of_plain_values(daemon: FakeDaemon, client: Client, autojump_clock: MockClock) -> None:
    answering(daemon)
    enough = commands.balance_condition("bob", "EUR", gte=5)
    await client.batch(
        [
            commands.define_asset("USD", 2, command_id="1"),
            commands.open_wallet("carol", {"tier": "gold"}, command_id="2"),
            commands.post_transfer([Leg("bob", "carol", 5, "EUR")], if_balance=[enough], command_id="3"),
        ]
    )
    posting = {"from": "bob", "to": "carol", "asset": "EUR", "amount": "5"}
    condition = {"wallet": "bob", "asset": "EUR", "gte": "5"}
    assert sent(daemon)["commands"] == [
        {"method": "asset.define", "command_id": "1", "asset": "USD", "scale": 2},
        {"method": "wallet.open", "command_id": "2", "wallet": "carol", "metadata": {"tier": "gold"}},
        {"method": "transfer.post", "command_id": "3", "postings": [posting], "if_balance": [condition]},
    ]


def test_a_command_without_an_id_gets_one_and_has_smallest_units_only() -> None:
    first, second = commands.void_hold("alice", "h7"), commands.void_hold("alice", "h7")
    assert first.command_id != second.command_id
    with pytest.raises(TypeError, match="is in the main unit"):
        commands.place_hold("alice", Decimal("1.50"), "EUR")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a time zone"):
        commands.void_hold("alice", "h7", valid_until=datetime(2030, 1, 1))


async def test_clients_answers_and_errors_can_be_read_where_they_are_printed(
    daemon: FakeDaemon, client: Client, autojump_clock: MockClock
) -> None:
    answering(daemon)
    assert repr(client) == "<Client without a token, connected>"
    assert repr(await client.void_hold("alice", "h7", command_id="v")) == (
        "Applied(sequence=9, time=datetime.datetime(2030, 1, 31, 12, 0, tzinfo=datetime.timezone.utc), "
        "entry_hash='00', balances=(), command_id='v')"
    )
    with pytest.raises(RequestFailed) as failed:
        await client.entry(sequence=5)
    assert repr(failed.value).startswith("RequestFailed('entry_not_found', ")
