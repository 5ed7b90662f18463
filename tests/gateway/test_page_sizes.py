"""Every answer fits into what clients accept of one message, and its pages together are the whole.

Each method is asked for the most that there is, first with room for all of it in one answer, then with so little room
that it takes many; the frames are measured.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.gateway.sessions import ADMIN, Client, Desk, open_desk
from walletd.journal.memory.store import MemoryJournalStore
from walletd.protocol import pages
from walletd.protocol.methods import METHODS, Kind
from walletd.tables.queries import statements
from walletd.tables.queries import wallets as queries
from walletd.upkeep import books_audit
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.sizes import MAX_FRAME_BYTES

PAGE = 2_500
"""Bytes of a page here; the largest row may have some more, and is then a page by itself."""

AROUND = 4_096
NOW = datetime(2030, 1, 1, tzinfo=UTC)
WIDE = "\u0001" * 100
ASSETS = [f"ASSET{number:03}" for number in range(90)]
WALLETS = ["alice", "bob"]


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(statements, "MAX_STATED", 10)
    async with open_desk(tmp_path, MemoryJournalStore()) as opened:
        yield opened


async def furnish(client: Client) -> None:
    """Two wallets with ninety assets each, one with limits in thirty; twelve holds with much metadata; clients."""
    for asset in ASSETS:
        await client.call("asset.define", command_id=f"d{asset}", asset=asset, scale=0)
    for wallet in WALLETS:
        await client.call("wallet.open", command_id=f"o{wallet}", wallet=wallet, metadata={"note": WIDE})
    windows = [{"seconds": seconds, "amount": "1" + "0" * 30} for seconds in (60, 3600)]
    limits = {asset: {"velocity": windows} for asset in ASSETS[:30]}
    await client.call("wallet.update", command_id="limits", wallet="bob", limits=limits)
    for wallet in WALLETS:
        for start in range(0, len(ASSETS), 30):
            postings = [
                {"from": "@external", "to": wallet, "asset": asset, "amount": "1" + "0" * 30}
                for asset in ASSETS[start : start + 30]
            ]
            await client.call("transfer.post", command_id=f"p{wallet}{start}", postings=postings, reference=WIDE)
    for number in range(12):
        await client.call(
            "hold.place",
            command_id=f"h{number}",
            wallet="alice",
            asset=ASSETS[0],
            amount="1",
            metadata={f"k{key}": WIDE for key in range(4)},
        )
    for number in range(12):
        scopes = tuple(f"view:wallet-with-a-long-name-{number}-{place}" for place in range(15))
        record = ClientRecord(
            client=Principal(f"c{number:02}"), scopes=scopes, tokens=(), created_by=Principal("admin"), created_at=NOW
        )
        client.endpoint.services.admission.register.clients.put(record)


def after(page: dict[str, Any]) -> dict[str, Any]:
    return {"after": page["next"]}


READS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "asset.list": ({}, "assets", after),
    "balance.get": ({"wallets": WALLETS}, "balances", lambda page: {"after": page["next"], "as_of": page["time"]}),
    "hold.list": ({"wallet": "alice", "limit": 1000}, "holds", after),
    "statement.get": ({"wallet": "alice", "limit": 1000}, "lines", lambda page: {"cursor": page["next"]}),
    "client.list": ({"limit": 1000}, "clients", after),
    "wallet.get": ({"wallet": "alice"}, "balances", after),
}
BOUNDED_ELSEWHERE = {
    "wallet.list": "below, for a page may show a part of a wallet",
    "stream.subscribe": "below, for what does not fit is refused",
    "entry.list": "tests/gateway/test_frames.py: by the sizes of its entries",
    "entry.get": "one entry, which is bounded",
    "transfer.get": "a part of one entry",
    "hold.get": "one hold",
}


def test_every_read_that_shows_many_is_asked_for_its_largest_page() -> None:
    reads = {name for name, method in METHODS.items() if method.kind is Kind.READ}
    assert reads <= {*READS, *BOUNDED_ELSEWHERE, "stream.unsubscribe"}, reads


async def paged(client: Client, method: str) -> tuple[list[Any], int]:
    """All rows, and how many answers it took, each of them measured."""
    params, field, following = READS[method]
    rows: list[Any] = []
    more: dict[str, Any] = {}
    answers = 0
    while True:
        page = await client.call(method, **{**params, **more})
        assert len(json.dumps(page, ensure_ascii=True)) <= pages.PAGE_BYTES + AROUND
        rows += page[field]
        answers += 1
        if "next" not in page:
            return rows, answers
        more = following(page)


@pytest.mark.parametrize("method", READS)
async def test_an_answer_is_bounded_and_its_pages_are_the_whole(
    desk: Desk, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.client(ADMIN)
    await furnish(client)
    assert pages.PAGE_BYTES < MAX_FRAME_BYTES
    whole, answers = await paged(client, method)
    assert answers == 1
    assert len(whole) >= 12
    monkeypatch.setattr(pages, "PAGE_BYTES", PAGE)
    rows, answers = await paged(client, method)
    assert answers > 1
    assert rows == whole


async def test_balances_as_of_a_point_before_are_the_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.client(ADMIN)
    await furnish(client)
    whole = await client.call("balance.get", wallets=WALLETS)
    monkeypatch.setattr(pages, "PAGE_BYTES", PAGE)
    rows: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        page = await client.call("balance.get", wallets=WALLETS, as_of=whole["sequence"], **more)
        assert len(json.dumps(page)) <= pages.PAGE_BYTES + AROUND
        rows += page["balances"]
        if "next" not in page:
            break
        more = {"after": page["next"]}
    assert rows == whole["balances"]


async def test_pages_of_wallets_show_each_wholly_or_say_where_to_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.client(ADMIN)
    await furnish(client)
    whole = (await client.call("wallet.list"))["wallets"]
    monkeypatch.setattr(pages, "PAGE_BYTES", PAGE)
    found: dict[str, list[Any]] = {}
    more: dict[str, Any] = {}
    while True:
        page = await client.call("wallet.list", **more)
        for view in page["wallets"]:
            found[view["wallet"]] = view["balances"]
            if "next" in view:
                rest = await client.call(
                    "balance.get",
                    wallet=view["wallet"],
                    as_of=page["sequence"],
                    after={"wallet": view["wallet"], "asset": view["next"]},
                )
                while True:
                    found[view["wallet"]] += rest["balances"]
                    if "next" not in rest:
                        break
                    rest = await client.call(
                        "balance.get", wallet=view["wallet"], as_of=page["sequence"], after=rest["next"]
                    )
        if "next" not in page:
            break
        more = {"after": page["next"]}
    assert {name: [{**b, "version": 0} for b in balances] for name, balances in found.items()} == {
        view["wallet"]: [{**b, "version": 0} for b in view["balances"]] for view in whole
    }


async def test_a_page_of_wallets_is_measured_as_it_is_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wallet's balances are shown with its version, which can have more digits than their own."""
    client = desk.client(ADMIN)
    await furnish(client)
    page_bytes, long_version = 10_000, 10**12
    monkeypatch.setattr(pages, "PAGE_BYTES", page_bytes)
    monkeypatch.setattr(queries, "progress_of", lambda tables: long_version)
    monkeypatch.setattr(queries, "last_version", lambda *_: long_version)
    page = await client.call("wallet.list", prefix="alice")
    assert page["wallets"][0]["balances"][0]["version"] == long_version
    assert len(msgspec.json.encode(page["wallets"])) <= page_bytes


async def test_an_audit_of_many_assets_is_of_one_moment_page_by_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.client(ADMIN)
    await furnish(client)
    whole = await client.call("daemon.audit")
    monkeypatch.setattr(pages, "PAGE_BYTES", PAGE)
    totals: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        page = await client.call("daemon.audit", **more)
        assert len(json.dumps(page)) <= pages.PAGE_BYTES + AROUND
        assert (page["sequence"], page["violations"]) == (whole["sequence"], [])
        totals += page["totals"]
        if "next" not in page:
            break
        await pay_more(client, len(totals))
        more = {"after": page["next"]}
    assert more
    assert totals == whole["totals"]


async def pay_more(client: Client, number: int) -> None:
    posting = {"from": "@external", "to": "alice", "asset": ASSETS[-1], "amount": "1"}
    await client.call("transfer.post", command_id=f"more{number}", postings=[posting])


async def test_an_audit_names_the_first_of_very_many_violations(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.client(ADMIN)
    wrong = [f"wallet w{number} has -1.00 EUR available" for number in range(3)]
    monkeypatch.setattr(books_audit, "MOST_VIOLATIONS", 2)
    monkeypatch.setattr(books_audit.Audit, "violations", property(lambda audit: wrong))
    page = await client.call("daemon.audit")
    assert page["violations"] == [*wrong[:2], "there are 3 violations; these are the first 2"]
    assert desk.audit_violations == 3


async def test_a_snapshot_that_does_not_fit_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.client(ADMIN)
    await furnish(client)
    for watched in ({"all": True}, {"wallets": ["alice"]}):
        assert (await client.call("stream.subscribe", **watched, snapshot=True))["wallets"]
    monkeypatch.setattr(pages, "PAGE_BYTES", PAGE)
    for watched in ({"all": True}, {"wallets": ["alice"]}, {"wallets": WALLETS}):
        assert (await client.refused("stream.subscribe", **watched, snapshot=True))["reason"] == "snapshot_too_large"
