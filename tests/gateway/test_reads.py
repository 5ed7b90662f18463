"""Reads over a session: the past, several wallets at once, statements by page, and wallets searched for."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.gateway.sessions import ADMIN, Client, Desk, open_desk, payment
from tests.gateway.sessions import furnish as open_wallets
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant
from walletd.tables.queries import holds as hold_queries
from walletd.tables.queries import statements
from walletd.tables.writer import ReadTables, ReadTablesFull
from walletd.vocabulary.identifiers import Principal
from walletd.wallets.visibility import REACH_SECONDS

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, MemoryJournalStore()) as opened:
        yield opened


def moment(time: str) -> datetime:
    return datetime.fromisoformat(time)


async def furnish(client: Client, *wallets: str) -> None:
    """The wallets are open, and alice has a thousand."""
    await open_wallets(client, *wallets)
    await client.call("transfer.post", **payment("funds", "alice", 1000))


def posted(answer: dict[str, Any]) -> dict[str, str]:
    return {balance["wallet"]: balance["posted"] for balance in answer["balances"]}


async def test_the_past_is_read_by_sequence_and_by_time_and_stays_as_it_was(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    first = await client.call("transfer.post", **payment("p1", "bob", 10, "alice"))
    second = await client.call("transfer.post", **payment("p2", "bob", 5, "alice"))
    as_of_first = await client.call("balance.get", wallets=["bob", "alice"], as_of=first["sequence"])
    assert as_of_first["sequence"] == first["sequence"]
    assert as_of_first["time"] == first["time"]
    own = {b["wallet"]: b for b in first["balances"]}
    assert {b["wallet"]: b for b in as_of_first["balances"]} == own
    for time, expected in (
        (moment(second["time"]), second["sequence"]),
        (moment(second["time"]) - MICROSECOND, first["sequence"]),
    ):
        seen = await client.call("balance.get", wallet="bob", as_of=time.isoformat())
        assert seen["sequence"] == expected


async def test_text_of_any_kind_comes_back_as_it_was_sent(desk: Desk) -> None:
    client, odd = desk.client(ADMIN), 'a\x00b"\\/\n\x1f\x7f\u2028é\U0001f600'
    await furnish(client, "alice", "bob")
    await client.call("wallet.open", command_id="odd", wallet="odd", metadata={odd: odd})
    await client.call("transfer.post", **payment("p", "bob", 10, "alice"), reference=odd)
    found = await client.call("wallet.list", metadata={odd: odd})
    assert [wallet["metadata"] for wallet in found["wallets"]] == [{odd: odd}]
    lines = (await client.call("statement.get", wallet="bob"))["lines"]
    assert [line["reference"] for line in lines] == [odd]


async def test_a_read_shows_what_another_session_was_told_before_it_was_asked(desk: Desk) -> None:
    payer, other = desk.client(ADMIN), desk.client(ADMIN)
    await furnish(payer, "alice", "bob")
    for number in range(1, 6):
        paid = await payer.call("transfer.post", **payment(f"p{number}", "bob", 1, "alice"))
        seen = await other.call("statement.get", wallet="bob", limit=10)
        assert len(seen["lines"]) == number
        assert seen["sequence"] >= paid["sequence"]


async def test_on_a_full_disk_nobody_waits_for_the_read_tables_without_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = MemoryJournalStore()
    async with open_desk(tmp_path, journal) as desk:
        client = desk.client(ADMIN)
        await furnish(client, "alice", "bob")
        await client.call("statement.get", wallet="bob")

        async def write(*what: Any, **how: Any) -> None:
            raise ReadTablesFull("no space for the read tables")

        with monkeypatch.context() as full:
            full.setattr(ReadTables, "write", write)
            await client.call("transfer.post", **payment("p1", "bob", 1, "alice"))
            assert_unavailable(await client.refused("statement.get", wallet="bob"))
            assert (await client.call("balance.get", wallet="bob"))["balances"][0]["posted"] == "1"
            journal.is_full = True
            assert_unavailable(await client.refused("transfer.post", **payment("p2", "bob", 1, "alice")))
            # What was undone took all books along, and the tables cannot show them yet.
            assert_unavailable(await client.refused("transfer.post", **payment("p2", "bob", 1, "alice")))
            assert_unavailable(await client.refused("balance.get", wallet="bob"))
            journal.is_full = False
        while "error" in await client.reply(*client.ask(("transfer.post", payment("p2", "bob", 1, "alice")))):
            await trio.lowlevel.checkpoint()
        assert posted(await client.call("balance.get", wallets=["alice", "bob"])) == {"alice": "998", "bob": "2"}


def assert_unavailable(refused: dict[str, Any]) -> None:
    assert (refused["reason"], refused["outcome"]) == ("unavailable", "not_applied")
    assert refused["retry"] == "same_command_id"
    assert refused["retry_after_ms"] > 0


async def test_what_is_read_now_is_read_the_same_as_of_that_moment(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    ids = client.ask(*[("transfer.post", payment(f"p{n}", "bob", 1, "alice")) for n in range(20)])
    ids += client.ask(("balance.get", {"wallets": ["alice", "bob"]}), ("balance.get", {"wallet": "bob"}))
    ids += client.ask(*[("transfer.post", payment(f"q{n}", "bob", 1, "alice")) for n in range(20)])
    several, one = [reply["result"] for reply in (await client.all_replies(ids))[20:22]]
    assert posted(one)["bob"] == "20"
    await client.call("balance.get", wallet="alice")
    for now in (several, one):
        names = [balance["wallet"] for balance in now["balances"]]
        then = await client.call("balance.get", wallets=names, as_of=now["time"])
        assert then["balances"] == now["balances"]
        again = await client.call("balance.get", wallets=names, as_of=now["sequence"])
        assert again["balances"] == now["balances"]


async def test_points_to_come_and_wallets_that_were_not_there_are_refused(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    head = (await client.call("session.ping"))["head"]
    for field, method, point in (
        ("as_of", "balance.get", head + 1),
        ("as_of", "balance.get", "2999-01-01T00:00:00Z"),
        ("since", "statement.get", head + 2),
        ("since", "statement.get", "2999-01-01T00:00:00Z"),
    ):
        refused = await client.refused(method, wallet="alice", **{field: point})
        assert (refused["reason"], refused["field"], refused["head"]) == ("future_moment", field, head)
    for before in (0, 1, "1970-01-01T00:00:00Z"):
        assert (await client.refused("balance.get", wallet="alice", as_of=before))["reason"] == "unknown_wallet"
    assert (await client.refused("balance.get", wallets=["alice", "nobody"]))["wallet"] == "nobody"
    assert (await client.refused("balance.get", wallet="alice", asset="XXX"))["reason"] == "asset_not_found"
    for params in ({}, {"wallet": "alice", "wallets": ["bob"]}):
        assert (await client.refused("balance.get", **params))["field"] == "wallet"
    many = [f"w{number}" for number in range(101)]
    assert (await client.refused("balance.get", wallets=many))["reason"] == "invalid_params"


async def test_a_viewing_key_reads_only_its_wallets(desk: Desk) -> None:
    await furnish(desk.client(ADMIN), "alice", "bob")
    viewer = desk.client(Grant(Principal("v"), ("view:alice",)))
    assert posted(await viewer.call("balance.get", wallets=["alice"]))
    for extra in ({}, {"as_of": 3}):
        assert (await viewer.refused("balance.get", wallets=["alice", "bob"], **extra))["reason"] == "forbidden"


async def test_a_statement_stays_of_its_first_pages_moment_while_money_moves(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    for number in range(5):
        await client.call("transfer.post", **payment(f"p{number}", "bob", 1, "alice"))
    for newest_first in (False, True):
        page = await client.call("statement.get", wallet="bob", newest_first=newest_first, limit=2)
        head, amounts, closing = page["sequence"], [line["posted"] for line in page["lines"]], page["closing"]
        while "next" in page:
            await client.call("transfer.post", **payment(f"x{newest_first}{page['next']}", "bob", 1, "alice"))
            page = await client.call(
                "statement.get", wallet="bob", newest_first=newest_first, limit=2, cursor=page["next"]
            )
            assert (page["sequence"], page["closing"]) == (head, closing)
            amounts += [line["posted"] for line in page["lines"]]
        expected = [str(number) for number in range(1, int(closing[0]["posted"]) + 1)]
        assert amounts == (expected[::-1] if newest_first else expected)
    what_came_next = await client.call("statement.get", wallet="bob", since=head + 1)
    assert what_came_next["opening"] == closing


async def test_a_cursor_of_another_question_is_refused(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    for number in range(3):
        await client.call("transfer.post", **payment(f"p{number}", "bob", 1, "alice"))
    cursor = (await client.call("statement.get", wallet="bob", limit=1))["next"]
    others: list[dict[str, Any]] = [
        {"wallet": "alice"},
        {"wallet": "bob", "asset": "EUR"},
        {"wallet": "bob", "counterparty": "alice"},
        {"wallet": "bob", "kind": "refund"},
        {"wallet": "bob", "since": 1},
        {"wallet": "bob", "until": 9},
        {"wallet": "bob", "newest_first": True},
    ]
    for params in others:
        assert (await client.refused("statement.get", **params, cursor=cursor))["reason"] == "invalid_cursor"
    for garbage in ("", "1.2", "1.2.3.", "x.2.3.4", "1.2.3.4.5", "-1.2.3.4", "٣.2.3.4", f"{10**17}.1.1.a"):
        refused = await client.refused("statement.get", wallet="bob", cursor=garbage)
        assert refused["reason"] in ("invalid_params", "invalid_cursor"), garbage
    assert (await client.refused("statement.get", wallet="bob", since=5, until=4))["field"] == "until"


async def test_wallets_are_searched_for_by_status_and_metadata(desk: Desk) -> None:
    client = desk.client(ADMIN)
    for number in range(6):
        tier = "gold" if number % 2 else "tin"
        await client.call("wallet.open", command_id=f"o{number}", wallet=f"w{number}", metadata={"tier": tier})
    await client.call("wallet.freeze", command_id="f", wallet="w3", why="look")

    async def names(**params: Any) -> list[str]:
        return [view["wallet"] for view in (await client.call("wallet.list", **params))["wallets"]]

    assert await names(metadata={"tier": "gold"}) == ["w1", "w3", "w5"]
    assert await names(metadata={"tier": "gold"}, status="frozen") == ["w3"]
    assert await names(status="open", prefix="w") == ["w0", "w1", "w2", "w4", "w5"]
    page = await client.call("wallet.list", metadata={"tier": "gold"}, limit=2)
    assert page["next"] == "w3"
    assert await names(metadata={"tier": "gold"}, after="w3") == ["w5"]
    await client.call("wallet.update", command_id="u", wallet="w5", metadata={"tier": "tin"})
    assert await names(metadata={"tier": "gold"}) == ["w1", "w3"]


async def test_a_batch_run_dry_says_what_would_come_of_each_command_and_changes_nothing(desk: Desk) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    commands = [
        {"method": "transfer.post", **payment("p1", "bob", amount, "alice")} | {"command_id": f"p{amount}"}
        for amount in (600, 500, 400)
    ]
    foreseen = await client.call("batch.execute", command_id="b", commands=commands, atomic=False, dry_run=True)
    assert [outcome.get("error", {}).get("data", {}).get("reason") for outcome in foreseen["outcomes"]] == [
        None,
        "insufficient_funds",
        None,
    ]
    assert posted(await client.call("balance.get", wallet="bob")) == {}
    refused = await client.refused("batch.execute", command_id="b", commands=commands, dry_run=True)
    assert (refused["reason"], refused["command"]) == ("insufficient_funds", 1)


async def test_a_page_that_ends_at_a_change_without_a_line_has_a_cursor_that_is_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MAX_VISITED", 2)
    client = desk.client()
    await furnish(client, "alice")
    await client.call("transfer.post", **payment("p", "alice", 100))
    for number in range(5):
        await client.call("hold.place", command_id=f"h{number}", wallet="alice", asset="EUR", amount="1")
    await client.call("transfer.post", **payment("q", "alice", 100))
    for newest_first in (False, True):
        pages: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while not pages or cursor:
            question = {"wallet": "alice", "limit": 1, "newest_first": newest_first}
            pages.append(await client.call("statement.get", **question, **cursor))
            cursor = {"cursor": pages[-1]["next"]} if "next" in pages[-1] else {}
        assert [len(page["lines"]) for page in pages].count(0) >= 2, "some pages show holds only"
        amounts = [line["amount"] for page in pages for line in page["lines"]]
        assert amounts == (["100", "100", "1000"] if newest_first else ["1000", "100", "100"])


async def test_a_statement_of_a_wallet_with_many_assets_is_read_page_by_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MAX_STATED", 20)
    client = desk.client(ADMIN)
    await furnish(client, "alice")
    assets = [f"A{number}" for number in range(40)]
    for asset in assets:
        await client.call("asset.define", command_id=asset, asset=asset, scale=0)
        await client.call(
            "transfer.post",
            **{
                **payment(f"p-{asset}", "alice", 3),
                "postings": [{"from": "@external", "to": "alice", "asset": asset, "amount": "3"}],
            },
        )
    for newest_first in (False, True):
        lines: list[dict[str, Any]] = []
        closing: dict[str, str] = {}
        cursor: dict[str, str] = {}
        while True:
            page = await client.call("statement.get", wallet="alice", limit=7, newest_first=newest_first, **cursor)
            lines += page["lines"]
            assert page["partial"]
            assert len(page["opening"]) == len(page["closing"]) <= 7
            closing |= {balance["asset"]: balance["posted"] for balance in page["closing"]}
            if "next" not in page:
                break
            cursor = {"cursor": page["next"]}
        assert [line["asset"] for line in lines] == ([*reversed(assets), "EUR"] if newest_first else ["EUR", *assets])
        assert closing == {"EUR": "1000", **dict.fromkeys(assets, "3")}
    seen = await client.call("balance.get", wallet="alice", asset="A30", as_of=page["sequence"])
    now = await client.call("balance.get", wallet="alice", asset="A30")
    assert seen["balances"] == now["balances"]


async def test_pages_of_open_holds_go_on_where_those_looked_at_have_expired(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold_queries, "MAX_VISITED", 3)
    client = desk.client(ADMIN)
    await furnish(client, "alice")
    for number in range(10):
        await client.call(
            "hold.place",
            command_id=f"h{number}",
            wallet="alice",
            asset="EUR",
            amount="1",
            expires_at=f"2999-01-{1 if number < 8 else 2:02}T00:00:00Z",
        )
    monkeypatch.setattr(desk.core.stored.tables, "clock", lambda: moment("2999-01-01T12:00:00Z"))
    holds: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    pages = 0
    while True:
        page = await client.call("hold.list", wallet="alice", limit=1, **after)
        holds += page["holds"]
        pages += 1
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert [hold["expires_at"][:10] for hold in holds] == ["2999-01-02"] * 2
    assert pages == 4
    assert (await client.refused("hold.list", wallet="nobody"))["reason"] == "unknown_wallet"


async def test_a_read_that_must_show_a_later_entry_waits_for_it_and_then_says_how_far_it_is(
    desk: Desk, mock_clock: trio.testing.MockClock
) -> None:
    client = desk.client(ADMIN)
    await furnish(client, "alice", "bob")
    paid = await client.call("transfer.post", **payment("p1", "bob", 10, "alice"))
    of_bob = {"wallet": "bob"}
    for method, params in (("balance.get", of_bob), ("statement.get", of_bob), ("asset.list", {})):
        await client.call(method, **params, at_least=paid["sequence"])
        (asked,) = client.ask((method, params | {"at_least": paid["sequence"] + 1}))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(REACH_SECONDS)
        refused = (await client.reply(asked))["error"]["data"]
        assert (refused["reason"], refused["outcome"]) == ("not_reached", "not_applied")
        assert (refused["head"], refused["at_least"]) == (paid["sequence"], paid["sequence"] + 1)
    waiting = client.ask(("balance.get", {"wallet": "bob", "at_least": paid["sequence"] + 1}))
    await client.call("transfer.post", **payment("p2", "bob", 5, "alice"))
    assert posted((await client.all_replies(waiting))[0]["result"]) == {"bob": "15"}


async def test_a_daemon_that_is_alone_is_no_node(desk: Desk) -> None:
    hello = desk.client(ADMIN).pushed[0]
    assert hello["params"]["node"] is None
