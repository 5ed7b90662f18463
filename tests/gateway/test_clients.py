"""Clients over their whole life: let in, rotated, expired, revoked; and what their sessions and streams make of it."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.gateway.clients import HandClock, closing, let_in, open_town, session_of, words_of
from tests.gateway.sessions import Desk, open_desk, payment
from walletd.journal.history import entries_of
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger.audit import Audit
from walletd.sessions.access import token_hash


@pytest.fixture
def journal() -> MemoryJournalStore:
    return MemoryJournalStore()


@pytest.fixture
async def desk(tmp_path: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    async with open_town(tmp_path, journal) as opened:
        yield opened


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
    # The payer's book must be loaded first: the payment waits.
    desk.core.wallets.roster._retire_idle(trio.current_time() + 1)
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
        assert (await phone.refused(method, command_id="3", client="shop/pad", **fields))["reason"] == "forbidden"
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
        before = desk.core.wallets.clients
    for folder in ("a", "b"):  # with its read tables, and without any
        async with open_desk(tmp_path / folder, journal) as desk:
            assert desk.core.wallets.clients == desk.core.wallets.books.clients == before
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
    assert desk.core.wallets.books.clients == desk.core.wallets.clients
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


# --- a client changes itself ----------------------------------------------------------------------------------------


async def test_a_client_rotates_narrows_and_revokes_itself_without_an_admin(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*", "view:bob")
    shop = await session_of(desk, "shop")
    await shop.call("client.rotate", command_id="1", client="shop", token_sha256=token_hash("next"))
    assert await closing(shop) == 4401, "the token of this session ended"
    shop = await session_of(desk, "next")
    await shop.call("wallet.get", wallet="bob")
    await shop.call("client.update", command_id="2", client="shop", scopes=["spend:shop-1"])
    assert await closing(shop) == 1012, "it comes back with what is left"
    shop = await session_of(desk, "next")
    await shop.call("wallet.get", wallet="shop-1")
    for wallet in ("bob", "shop-2"):
        assert (await shop.refused("wallet.get", wallet=wallet))["reason"] == "forbidden"
    widened = await shop.refused("client.update", command_id="3", client="shop", scopes=["spend:shop-*"])
    assert widened["reason"] == "beyond_own_access"
    assert (await shop.refused("client.rotate", command_id="4", client="bob", token_sha256="0" * 64))[
        "scope"
    ] == "admin"
    await shop.call("client.revoke", command_id="5", client="shop")
    assert await closing(shop) == 4401


async def test_by_rotating_itself_a_client_stays_no_longer_than_it_was_let_in_for(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "guest", "view:bob", expires_in_seconds=3600)
    guest = await session_of(desk, "guest")
    changed = await guest.call("client.rotate", command_id="1", client="guest", token_sha256=token_hash("next"))
    (token,) = changed["clients"][0]["tokens"]
    created = await root.call("client.list")
    (seen,) = [view for view in created["clients"] if view["client"] == "guest"]
    assert seen["tokens"][0]["expires_at"] == token["expires_at"]


async def test_keys_that_would_show_more_than_their_owner_spends_end_with_the_change(
    desk: Desk, journal: MemoryJournalStore
) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "spend:shop-*")
    shop = await session_of(desk, "shop")
    for name, wallet in (("shop/one", "shop-1"), ("shop/two", "shop-2")):
        await let_in(shop, name, f"view:{wallet}")
    one, two = await session_of(desk, "shop/one"), await session_of(desk, "shop/two")
    changed = await root.call("client.update", command_id="u", client="shop", scopes=["spend:shop-1"])
    assert [view["client"] for view in changed["clients"]] == ["shop", "shop/two"]
    assert await closing(two) == 4401
    await one.call("wallet.get", wallet="shop-1")
    audit = Audit()
    for segment in journal.disk:
        for durable in entries_of(segment):
            audit.fold(durable.entry)
    assert audit.close() == []


async def test_a_client_bound_to_addresses_is_served_there_only(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "view:bob", addresses=["10.1.0.0/16", "2001:db8::/32"])
    there = desk.client(None)
    there.endpoint.session._address = "10.1.2.3"
    await there.call("session.authenticate", token="shop")
    elsewhere = desk.client(None)
    elsewhere.endpoint.session._address = "10.2.0.1"
    assert (await elsewhere.refused("session.authenticate", token="shop"))["reason"] == "authentication_failed"
    there.peer = "10.1.2.3"
    await root.call("client.update", command_id="u", client="shop", addresses=["10.1.0.0/24"])
    assert await closing(there) == 4401, "it is elsewhere now"
    for addresses in (["10.1.0.300"], ["fe80::/200"], ["::::"]):
        refused = await root.refused("client.update", command_id="x", client="shop", addresses=addresses)
        assert (refused["reason"], refused["field"]) == ("invalid_params", "addresses[0]")


async def test_without_scopes_or_addresses_a_change_changes_nothing(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await let_in(root, "shop", "view:bob", addresses=["10.1.0.0/16"])
    changed = await root.call("client.update", command_id="u", client="shop")
    assert (changed["clients"][0]["scopes"], changed["clients"][0]["addresses"]) == (["view:bob"], ["10.1.0.0/16"])
    freed = await root.call("client.update", command_id="v", client="shop", addresses=[])
    assert "addresses" not in freed["clients"][0]


# --- what a payer learns of a payee ---------------------------------------------------------------------------------


async def test_no_dry_run_finds_a_payees_room_and_no_answer_says_what_it_is(desk: Desk) -> None:
    root = await session_of(desk, "root")
    await root.call("wallet.update", command_id="l", wallet="bob", limits={"EUR": {"maximum": "150"}})
    await let_in(root, "shop", "spend:shop-1")
    shop = await session_of(desk, "shop")
    foretold = [
        await shop.call("transfer.post", **payment(f"dry-{amount}", "bob", amount, "shop-1"), dry_run=True)
        for amount in (1, 49, 50, 51, 100)
    ]
    assert all([balance["wallet"] for balance in seen["balances"]] == ["shop-1"] for seen in foretold)
    assert all(room["wallet"] == "shop-1" for seen in foretold for room in seen["room"])
    too_much = payment("real", "bob", 51, "shop-1")
    first, again = await shop.refused("transfer.post", **too_much), await shop.refused("transfer.post", **too_much)
    entry = (await shop.call("entry.get", command_id="real"))["entry"]
    for facts in (first, again, {"reason": entry["refusal"]["reason"], **entry["refusal"]["facts"]}):
        assert facts["reason"] == "above_maximum"
        assert not {"maximum", "would_have"} & facts.keys()
    assert "150" not in words_of(first, again, entry)
    seen = await root.refused("transfer.post", **payment("root", "bob", 51, "shop-1"), dry_run=True)
    assert (seen["reason"], seen["maximum"]) == ("above_maximum", "150")
