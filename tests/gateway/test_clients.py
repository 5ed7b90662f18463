"""Clients over their whole life: let in, rotated, expired, revoked; and what their sessions and streams make of it."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.gateway.sessions import PATIENCE_SECONDS, Client, Desk, furnish, open_desk, payment
from walletd.journal.history import entries_of
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger.audit import Audit
from walletd.sessions.access import Grant, token_hash
from walletd.vocabulary.identifiers import DAEMON, Principal

ROOT = Grant(Principal("root"), ("admin",))


class HandClock:
    """The daemon's clock, put forward by hand; it runs with trio's otherwise."""

    def __init__(self) -> None:
        self.offset = timedelta()
        self.start = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=trio.current_time()) + self.offset


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


@pytest.fixture
async def desk(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    """EUR; shop-1, shop-2 and bob with 100 each; root, an admin by the token "root"."""
    async with open_desk(tmp_path, journal) as opened:
        await opened.core.admit_operator(token_hash("operator"))
        operator = opened.client(Grant(DAEMON, ("admin",)))
        await let_in(operator, "root", "admin")
        await furnish(operator, "shop-1", "shop-2", "bob")
        for wallet in ("shop-1", "shop-2", "bob"):
            await operator.call("transfer.post", **payment(f"fund-{wallet}", wallet, 100))
        yield opened


async def let_in(by: Client, name: str, *scopes: str, **fields: Any) -> dict[str, Any]:
    """Create a client whose token is its name."""
    created = {"command_id": f"create-{name}", "client": name, "scopes": scopes, "token_sha256": token_hash(name)}
    return await by.call("client.create", **created | fields)


async def session_of(desk: Desk, token: str) -> Client:
    """A session that has presented this token."""
    client = desk.client(None)
    await client.call("session.authenticate", token=token)
    return client


def words_of(*documents: Any) -> str:
    """All that stands in these documents, but for their times, any digits of which may be there by chance."""
    return re.sub(r'"[0-9T:.-]{19,26}Z"', "", json.dumps(documents))


async def closing(client: Client) -> int:
    """The code with which the session is closed, once it is."""
    with trio.fail_after(PATIENCE_SECONDS):
        while client.closed_with is None:
            await client._arrived.wait()
    return client.closed_with[0]


# --- in, and out ----------------------------------------------------------------------------------------------------


async def test_a_client_that_was_created_comes_in_and_is_told_who_it_is(desk: Desk) -> None:
    root = await session_of(desk, "root")
    created = await let_in(root, "shop", "spend:shop-*", expires_at="2100-01-01T00:00:00Z")
    assert "token_sha256" not in json.dumps(created)
    (view,) = created["clients"]
    assert (view["client"], view["scopes"], view["created_by"]) == ("shop", ["spend:shop-*"], "root")
    stranger = desk.client(None)
    assert await stranger.call("session.authenticate", token="shop") == {
        "principal": "shop",
        "scopes": ["spend:shop-*"],
        "expires_at": "2100-01-01T00:00:00Z",
    }
    known = desk.client(desk.register.grant_of("shop"))
    terms = known.pushed[0]["params"]["auth"]
    assert (terms["principal"], terms["scopes"], terms["required"]) == ("shop", ["spend:shop-*"], False)
    assert (await known.call("transfer.post", **payment("p", "bob", 1, "shop-1")))["sequence"] > 0


async def test_the_creation_sent_again_is_answered_again_and_with_another_hash_refused(desk: Desk) -> None:
    root = await session_of(desk, "root")
    first = await let_in(root, "shop", "spend:shop-*")
    again = await let_in(root, "shop", "spend:shop-*")
    assert again.pop("replayed")
    assert again == first
    other = {"command_id": "create-shop", "client": "shop", "scopes": ["spend:shop-*"]}
    refused = await root.refused("client.create", **other, token_sha256=token_hash("another"))
    assert (refused["reason"], refused["field"]) == ("command_id_reused", "token_sha256")
    assert desk.register.grant_of("another") is None


async def test_a_revocation_ends_every_open_session_and_stream_of_the_client_and_nobody_elses(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    await let_in(root, "other", "spend:shop-*")
    shops = [await session_of(desk, "shop") for _ in range(3)]
    other = await session_of(desk, "other")
    for client in (*shops, other):
        await client.call("stream.subscribe", prefix="shop-")
    await root.call("client.revoke", command_id="r", client="shop")
    assert [await closing(client) for client in shops] == [4401] * 3
    assert other.closed_with is root.closed_with is None
    await root.call("transfer.post", **payment("after", "shop-1"))
    await other.see(desk.core.publisher.head)
    assert [client.events() for client in shops] == [[], [], []]
    for client in shops:
        refused = await client.refused("transfer.post", **payment("late", "bob", 1, "shop-1"))
        assert refused["reason"] == "authentication_failed"
        assert (await client.refused("session.authenticate", token="other"))["reason"] == "authentication_failed"
        assert (await client.refused("stream.subscribe", prefix="shop-"))["reason"] == "authentication_failed"
    stranger = desk.client(None)
    assert (await stranger.refused("session.authenticate", token="shop"))["reason"] == "authentication_failed"


async def test_a_command_that_waits_while_its_client_is_revoked_is_not_decided(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    await desk.core.projector.reach(desk.core.writer.durable_head)
    desk.core.roster._retire_idle(trio.current_time() + 1)  # The payer's book must be loaded first: the payment waits.
    (asked,) = shop.ask(("transfer.post", payment("waits", "bob", 7, "shop-1")))
    root.ask(("client.revoke", {"command_id": "r", "client": "shop"}))
    reply = await shop.reply(asked)
    assert reply["error"]["data"]["reason"] == "authentication_failed"
    assert reply["error"]["data"]["outcome"] == "not_applied"
    assert (await root.call("balance.get", wallet="shop-1"))["balances"][0]["posted"] == "100"
    assert await closing(shop) == 4401


async def test_who_came_by_a_certificate_goes_with_its_client_and_stays_through_a_rotation(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    certified = desk.client(desk.register.grant_of_principal("shop"))
    await root.call("client.rotate", command_id="1", client="shop", token_sha256=token_hash("fresh"))
    assert (await certified.call("wallet.get", wallet="shop-1"))["wallet"] == "shop-1"
    assert certified.closed_with is None
    await root.call("client.revoke", command_id="2", client="shop")
    assert await closing(certified) == 4401
    assert desk.register.grant_of_principal("shop") is desk.register.grant_of_principal("ghost") is None


async def test_who_revokes_itself_is_answered_before_it_is_shown_out(desk: Desk) -> None:
    await let_in(await session_of(desk, "root"), "second", "admin")
    second = await session_of(desk, "second")
    assert (await second.call("client.revoke", command_id="r", client="second"))["clients"][0]["revoked_at"]
    assert await closing(second) == 4401


async def test_the_last_admin_stays(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await root.call("client.revoke", command_id="1", client="operator")
    assert (await root.refused("client.revoke", command_id="2", client="root"))["reason"] == "last_admin"
    soon = "2100-01-01T00:00:00Z"
    fresh = {"client": "root", "token_sha256": token_hash("fresh")}
    assert (await root.refused("client.rotate", command_id="3", **fresh, expires_at=soon))["reason"] == "last_admin"
    await root.call("client.rotate", command_id="4", **fresh)
    assert await closing(root) == 4401
    assert (await session_of(desk, "fresh")).closed_with is None


async def test_the_operator_comes_back_by_a_fresh_token_in_its_file_and_not_by_the_old_one(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await root.call("client.revoke", command_id="1", client="operator")
    assert not await desk.core.admit_operator(token_hash("operator"))
    assert desk.register.grant_of("operator") is None
    assert await desk.core.admit_operator(token_hash("fresh"))
    assert (await session_of(desk, "fresh")).closed_with is None
    assert desk.register.grant_of("operator") is None


# --- rotation and expiry --------------------------------------------------------------------------------------------


async def test_rotation_without_overlap_ends_the_sessions_of_the_token_before(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    before = await session_of(desk, "shop")
    await before.call("transfer.post", **payment("p", "bob", 1, "shop-1"))
    await root.call("client.rotate", command_id="r", client="shop", token_sha256=token_hash("fresh"))
    assert await closing(before) == 4401
    after = await session_of(desk, "fresh")
    again = await after.call("transfer.post", **payment("p", "bob", 1, "shop-1"))
    assert again["replayed"], "the same client after a rotation has the same command ids"


async def test_an_overlap_keeps_the_token_before_until_its_moment_and_not_longer(
    tmp_path: Path, journal: MemoryJournalStore, autojump_clock: trio.testing.MockClock
) -> None:
    clock = HandClock()
    async with open_desk(tmp_path, journal, clock=clock) as desk:
        await desk.core.admit_operator(token_hash("operator"))
        root = await session_of(desk, "operator")
        await let_in(root, "shop", "view:shop-*")
        old = await session_of(desk, "shop")
        await desk.core.projector.reach(desk.core.writer.head)  # The clock jumps while a thread writes.
        await old.call("stream.subscribe", prefix="shop-")
        until = clock() + timedelta(hours=1)
        rotation = {"client": "shop", "token_sha256": token_hash("fresh"), "overlap_until": until.isoformat()}
        await root.call("client.rotate", command_id="r", **rotation)
        new = await session_of(desk, "fresh")
        assert old.closed_with is new.closed_with is None
        with trio.fail_after(2 * 3600):
            while old.closed_with is None:
                await old._arrived.wait()
        assert clock() - until < timedelta(seconds=1)
        assert old.closed_with[0] == 4401
        assert new.closed_with is None
        assert desk.register.grant_of("shop") is None


async def test_a_token_that_expires_ends_its_silent_sessions_at_that_moment(
    tmp_path: Path, journal: MemoryJournalStore, autojump_clock: trio.testing.MockClock
) -> None:
    clock = HandClock()
    async with open_desk(tmp_path, journal, clock=clock) as desk:
        await desk.core.admit_operator(token_hash("operator"))
        root = await session_of(desk, "operator")
        end = clock() + timedelta(seconds=90)
        await let_in(root, "shop", "spend:shop-*", expires_at=end.isoformat())
        shop = await session_of(desk, "shop")
        await let_in(shop, "shop/phone", "view:shop-1")
        key = await session_of(desk, "shop/phone")
        assert key.endpoint.session.grant is not None
        assert key.endpoint.session.grant.expires_at == end, "a key ends with its owner at the latest"
        clock.offset += timedelta(seconds=60)
        with trio.fail_after(100):
            while shop.closed_with is None or key.closed_with is None:
                await trio.sleep(0.1)
        assert timedelta() <= clock() - end <= timedelta(seconds=31)


async def test_a_clock_put_forward_ends_a_token_at_the_next_request(
    tmp_path: Path, journal: MemoryJournalStore, autojump_clock: trio.testing.MockClock
) -> None:
    clock = HandClock()
    async with open_desk(tmp_path, journal, clock=clock) as desk:
        await desk.core.admit_operator(token_hash("operator"))
        root = await session_of(desk, "operator")
        await let_in(root, "shop", "spend:shop-*", expires_at=(clock() + timedelta(seconds=90)).isoformat())
        shop = await session_of(desk, "shop")
        clock.offset += timedelta(seconds=90)
        assert (await shop.refused("session.ping"))["reason"] == "authentication_failed"


# --- viewing keys ---------------------------------------------------------------------------------------------------


async def test_an_owner_makes_lists_and_revokes_its_keys_and_knows_nobody_elses(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    await let_in(root, "bob", "spend:bob")
    shop, bob = await session_of(desk, "shop"), await session_of(desk, "bob")
    await let_in(shop, "shop/phone", "view:shop-1")
    assert [c["client"] for c in (await shop.call("client.list"))["clients"]] == ["shop", "shop/phone"]
    assert [c["client"] for c in (await bob.call("client.list"))["clients"]] == ["bob"]
    assert [c["client"] for c in (await root.call("client.list", limit=2))["clients"]] == ["bob", "operator"]
    phone = await session_of(desk, "shop/phone")
    assert [c["client"] for c in (await phone.call("client.list"))["clients"]] == ["shop/phone"]
    assert (await phone.call("wallet.get", wallet="shop-1"))["balances"][0]["posted"] == "100"
    assert (await phone.refused("wallet.get", wallet="shop-2"))["scope"] == "view:shop-2"
    for method, fields in (("client.rotate", {"token_sha256": token_hash("x")}), ("client.revoke", {})):
        theirs = await bob.refused(method, command_id=f"1{method}", client="shop/phone", **fields)
        none = await bob.refused(method, command_id=f"2{method}", client="ghost/phone", **fields)
        assert theirs["reason"] == none["reason"] == "client_not_found"
        assert theirs.keys() == none.keys()
        assert (await phone.refused(method, command_id="3", client="shop/phone", **fields))["reason"] == "forbidden"
    await shop.call("client.revoke", command_id="r", client="shop/phone")
    assert await closing(phone) == 4401
    assert shop.closed_with is None


async def test_the_keys_go_with_their_owner(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    await let_in(shop, "shop/phone", "view:shop-1")
    phone = await session_of(desk, "shop/phone")
    revoked = await root.call("client.revoke", command_id="r", client="shop")
    assert [view["client"] for view in revoked["clients"]] == ["shop", "shop/phone"]
    assert [await closing(client) for client in (shop, phone)] == [4401, 4401]


async def test_a_name_of_an_ended_key_is_free_again_and_that_of_a_client_never(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    await let_in(shop, "shop/phone", "view:shop-1")
    await shop.call("client.revoke", command_id="r", client="shop/phone")
    await let_in(shop, "shop/phone", "view:shop-2", command_id="again", token_sha256=token_hash("second"))
    assert desk.register.grant_of("shop/phone") is None
    assert desk.register.grant_of("second") is not None
    await root.call("client.revoke", command_id="r", client="shop")
    reborn = {"command_id": "again", "client": "shop", "scopes": ["metrics"], "token_sha256": token_hash("reborn")}
    assert (await root.refused("client.create", **reborn))["reason"] == "client_already_exists"


# --- what each is shown ---------------------------------------------------------------------------------------------


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
    dry = await shop.refused("transfer.post", **payment("p2", "bob", 5, "shop-1"), dry_run=True)
    assert not {"maximum", "would_have"} & dry.keys()
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


# --- as long as the journal lives -----------------------------------------------------------------------------------


async def test_clients_are_restored_from_the_tables_and_from_the_journal_alone(
    tmp_path: Path, journal: MemoryJournalStore
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    async with open_desk(tmp_path / "a", journal) as desk:
        await desk.core.admit_operator(token_hash("operator"))
        root = await session_of(desk, "operator")
        await let_in(root, "shop", "spend:shop-*")
        await let_in(root, "gone", "operate")
        shop = await session_of(desk, "shop")
        for name in ("x", "y"):
            await let_in(shop, f"shop/{name}", "view:shop-1")
        await shop.call("client.revoke", command_id="r1", client="shop/x")
        await let_in(shop, "shop/z", "view:shop-2")
        rotation = {"client": "shop", "token_sha256": token_hash("fresh"), "overlap_until": "2100-01-01T00:00:00Z"}
        await root.call("client.rotate", command_id="r2", **rotation)
        await root.call("client.revoke", command_id="r3", client="gone")
        before = desk.core.clients
    for folder in ("a", "b"):  # with its read tables, and without any
        async with open_desk(tmp_path / folder, journal) as desk:
            assert desk.core.clients == desk.core.books.clients == before
            assert "shop/x" not in before.records
            assert desk.register.grant_of("gone") is None
            assert desk.register.grant_of("shop") is not None
            assert await desk.core.admit_operator(token_hash("operator"))
    audit = Audit()
    for segment in journal.disk:
        for durable in entries_of(segment):
            audit.fold(durable.entry)
    assert audit.close() == []
    assert audit.books.clients == before


async def test_a_client_that_a_full_disk_undid_was_never_there(desk: Desk, journal: MemoryJournalStore) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    journal.is_full = True
    (one, two) = root.ask(
        ("client.create", {"command_id": "c", "client": "x", "scopes": ["admin"], "token_sha256": token_hash("x")}),
        ("client.revoke", {"command_id": "r", "client": "shop"}),
    )
    for asked in (one, two):
        assert (await root.reply(asked))["error"]["data"]["reason"] == "unavailable"
    assert desk.core.books.clients == desk.core.clients
    assert desk.register.grant_of("x") is None
    assert desk.register.grant_of("shop") is not None


async def test_two_clients_may_use_the_same_command_id(desk: Desk) -> None:
    root = await session_of(desk, "root")
    for name in ("one", "two"):
        await let_in(root, name, "spend:shop-1")
    sessions = [await session_of(desk, name) for name in ("one", "two")]
    for amount, client in enumerate(sessions, 1):
        paid = await client.call("transfer.post", **payment("same", "bob", amount, "shop-1"))
        assert "replayed" not in paid
    for amount, client in enumerate(sessions, 1):
        assert (await client.call("transfer.post", **payment("same", "bob", amount, "shop-1")))["replayed"]
        entry = (await client.call("entry.get", command_id="same"))["entry"]
        assert entry["command"]["postings"][0]["amount"] == str(amount)


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
