"""What each client is shown of entries, transfers, refusals and batches of others."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.clients import let_in, open_town, session_of, words_of
from tests.gateway.sessions import Desk, payment
from walletd.journal.memory.store import MemoryJournalStore


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


@pytest.fixture
async def desk(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    async with open_town(tmp_path, journal) as opened:
        yield opened


async def test_a_payer_sees_that_it_paid_and_never_what_the_payee_has(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    await shop.call("stream.subscribe", prefix="shop-")
    metadata = {"order": "7"}
    paid = await shop.call("transfer.post", **payment("p", "bob", 3, "shop-1"), metadata=metadata, reference="r")
    assert [b["wallet"] for b in paid["balances"]] == ["shop-1"]
    assert "entry_hash" not in paid, "with all but one balance known, the hash would give it away"
    await shop.see(paid["sequence"])
    (event,) = shop.events()
    by_sequence = await shop.call("entry.get", sequence=paid["sequence"])
    by_id = await shop.call("entry.get", command_id="p")
    transfer = await shop.call("transfer.get", transfer=paid["transfer"])
    again = await shop.call("transfer.post", **payment("p", "bob", 3, "shop-1"), metadata=metadata, reference="r")
    statement = await shop.call("statement.get", wallet="shop-1")
    everything = words_of(paid, event, by_sequence, by_id, transfer, again, statement)
    assert "103" not in everything, everything
    assert by_sequence["entry"] == by_id["entry"] == event["entry"]
    assert event["entry"]["redacted"]
    assert event["entry"]["command"]["command_id"] == "p"
    assert again["balances"] == paid["balances"]
    assert (transfer["principal"], transfer["command_id"]) == ("shop", "p")
    inside = await shop.call("transfer.post", **payment("inside", "shop-2", 3, "shop-1"))
    assert {b["wallet"] for b in inside["balances"]} == {"shop-1", "shop-2"}
    assert inside["entry_hash"] == (await root.call("entry.get", sequence=inside["sequence"]))["entry_hash"]


async def test_the_hash_of_an_entry_is_shown_to_nobody_who_may_not_see_all_of_it(desk: Desk) -> None:
    """With all but one balance known, the balance could be found by trying until the hash is right."""
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    await let_in(root, "bob", "view:bob")
    await let_in(root, "both", "view:*")
    shop, bob, both = [await session_of(desk, name) for name in ("shop", "bob", "both")]
    for client in (shop, bob, both, root):
        await client.call("stream.subscribe", **({"wallets": ["bob"]} if client is bob else {"prefix": "shop-"}))
    asked = payment("p", "bob", 3, "shop-1")
    paid = await shop.call("transfer.post", **asked)
    inner = [{"method": "transfer.post", **payment("b1", "bob", 1, "shop-1")}]
    batch = await shop.call("batch.execute", command_id="b", commands=inner)
    hold = await shop.call("hold.place", command_id="h", wallet="shop-1", asset="EUR", amount="9")
    captured = {"wallet": "shop-1", "hold": hold["hold"], "parts": [{"to": "bob", "amount": "9"}]}
    capture = await shop.call("hold.capture", command_id="c", **captured)
    entries = {paid["sequence"], batch["sequence"], capture["sequence"]}
    hashes = {(await root.call("entry.get", sequence=sequence))["entry_hash"] for sequence in entries}
    assert len(hashes) == len(entries), "who sees everything is shown them"
    told: dict[str, list[Any]] = {"shop": [paid, batch, capture, await shop.call("transfer.post", **asked)]}
    told["shop"] += [await shop.call("entry.get", command_id=name) for name in ("p", "b", "c")]
    for name, client in (("shop", shop), ("bob", bob), ("both", both)):
        await client.see(capture["sequence"])
        told.setdefault(name, []).extend(client.events())
        told[name] += [await client.call("entry.get", sequence=sequence) for sequence in sorted(entries)]
        transfers = (paid["transfer"], batch["outcomes"][0]["transfer"], capture["transfer"])
        told[name] += [await client.call("transfer.get", transfer=transfer) for transfer in transfers]
    for name, answers in told.items():
        assert not any(shown in json.dumps(answer) for shown in hashes for answer in answers), name


async def test_a_payee_sees_what_it_got_and_neither_the_payer_nor_other_payees(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "bob", "view:bob")
    bob = await session_of(desk, "bob")
    await bob.call("stream.subscribe", wallets=["bob"])
    postings = [
        {"from": "shop-1", "to": "bob", "asset": "EUR", "amount": "2"},
        {"from": "shop-1", "to": "shop-2", "asset": "EUR", "amount": "41"},
    ]
    conditions = {"if_version": {"shop-1": 2}, "if_balance": [{"wallet": "shop-1", "asset": "EUR", "gte": "57"}]}
    paid = await root.call("transfer.post", command_id="secret-name", postings=postings, reference="r", **conditions)
    await bob.see(paid["sequence"])
    (event,) = bob.events()
    entry = event["entry"]
    assert entry["principal"] == entry["command"]["command_id"] == "-"
    assert entry["command"]["postings"] == postings[:1]
    assert entry["command"]["reference"] == "r"
    assert [b["wallet"] for b in entry["effects"]["balances"]] == ["bob"]
    transfer = await bob.call("transfer.get", transfer=paid["transfer"])
    assert transfer["postings"] == postings[:1]
    assert not {"principal", "command_id", "entry_hash"} & transfer.keys()
    shown = words_of(entry, transfer, await bob.call("entry.get", sequence=paid["sequence"]))
    assert not any(word in shown for word in ("secret-name", "shop-2", "57", "root", "41"))


async def test_entries_and_transfers_that_are_none_of_ones_business_are_not_there(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "bob", "view:bob")
    paid = await root.call("transfer.post", **payment("p", "shop-2", 3, "shop-1"))
    bob = await session_of(desk, "bob")
    absent = await bob.refused("transfer.get", transfer="t99999")
    hidden = await bob.refused("transfer.get", transfer=paid["transfer"])
    assert hidden | {"transfer": ""} == absent | {"transfer": ""}
    absent = await bob.refused("entry.get", sequence=99999)
    hidden = await bob.refused("entry.get", sequence=paid["sequence"])
    assert hidden | {"asked": 0} == absent | {"asked": 0}
    assert (await bob.refused("entry.get", command_id="p"))["reason"] == "entry_not_found"
    assert (await bob.refused("wallet.get", wallet="shop-1")).keys() == (
        await bob.refused("wallet.get", wallet="ghost")
    ).keys(), "whether a foreign wallet exists is not told"


async def test_a_refusal_tells_the_payer_nothing_of_the_payees_limits_or_freeze(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    limits = {"EUR": {"maximum": "101"}}
    await root.call("wallet.update", command_id="u", wallet="bob", limits=limits)
    refused = await shop.refused("transfer.post", **payment("p1", "bob", 5, "shop-1"))
    assert refused["reason"] == "above_maximum"
    assert not {"maximum", "would_have"} & refused.keys()
    foreseen = await shop.call("transfer.post", **payment("p2", "bob", 5, "shop-1"), dry_run=True)
    assert "bob" not in json.dumps(foreseen), "thirty dry runs would find the room below the maximum"
    assert (await root.refused("transfer.post", **payment("p", "bob", 5, "shop-1")))["would_have"] == "105"
    await root.call("wallet.freeze", command_id="f", wallet="bob", why="court order 7")
    for batch in ({}, {"atomic": False}):
        inner = [{"method": "transfer.post", **payment(f"b{len(batch)}", "bob", 1, "shop-1")}]
        (asked,) = shop.ask(("batch.execute", {"command_id": f"batch{len(batch)}", "commands": inner, **batch}))
        reply = json.dumps(await shop.reply(asked))
        assert "wallet_frozen" in reply
        assert "court order" not in reply
    own = await shop.refused("transfer.post", **payment("p3", "bob", 500, "shop-1"), dry_run=True)
    assert own["reason"] == "wallet_frozen"


async def test_of_a_batch_a_viewer_sees_the_commands_that_touch_its_wallets(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "bob", "view:bob")
    bob = await session_of(desk, "bob")
    await bob.call("stream.subscribe", wallets=["bob"])
    hold = (await root.call("hold.place", command_id="h", wallet="shop-1", asset="EUR", amount="9"))["hold"]
    commands = [
        {"method": "wallet.open", "command_id": "b1", "wallet": "secret", "metadata": {"k": "hidden"}},
        {"method": "transfer.post", **payment("b2", "shop-2", 4, "shop-1")},
        {
            "method": "hold.capture",
            "command_id": "b3",
            "wallet": "shop-1",
            "hold": hold,
            "parts": [{"to": "bob", "amount": "5"}, {"to": "shop-2", "amount": "1"}],
        },
    ]
    done = await root.call("batch.execute", command_id="b", commands=commands, atomic=False)
    await bob.see(done["sequence"])
    entry = bob.events()[-1]["entry"]
    (seen,) = entry["command"]["commands"]
    assert (seen["method"], seen["parts"]) == ("hold.capture", [{"to": "bob", "amount": "5"}])
    (moved,) = entry["effects"]["moved"]
    assert (moved["to"], moved.get("command", 0)) == ("bob", 0)
    assert entry["effects"]["outcomes"] == [None]
    assert not any(word in json.dumps(entry) for word in ("secret", "hidden", "shop-2"))


async def test_streams_that_see_alike_share_what_they_are_shown_and_others_do_not(desk: Desk) -> None:
    root = await session_of(desk, "root")
    scopes = {"bob": "view:bob", "bob2": "view:bob", "two": "view:shop-2", "both": "view:*", "payer": "spend:shop-1"}
    streams = {}
    for name, scope in scopes.items():
        await let_in(root, name, scope)
        streams[name] = await session_of(desk, name)
        wallet = scope.partition(":")[2].replace("*", "shop-1")
        await streams[name].call("stream.subscribe", wallets=[wallet])
    postings = [{"from": "shop-1", "to": to, "asset": "EUR", "amount": "2"} for to in ("bob", "shop-2")]
    paid = await streams["payer"].call("transfer.post", command_id="p", postings=postings)
    shown = {}
    for name, stream in streams.items():
        await stream.see(paid["sequence"])
        (event,) = stream.events()
        shown[name] = [b["wallet"] for b in event["entry"]["effects"]["balances"]]
        assert (event["entry"]["command"]["command_id"] == "p") == (name == "payer")
    assert shown == {
        "bob": ["bob"],
        "bob2": ["bob"],
        "two": ["shop-2"],
        "both": ["shop-1", "bob", "shop-2"],
        "payer": ["shop-1"],
    }
