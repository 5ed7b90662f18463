"""What came and went leaves nothing behind: no connection, no moment of a token, no label of a metric."""

import gc
import json
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.gateway.sessions import open_desk
from walletd.gateway.admission import MOMENTS_UNPRUNED, Admission
from walletd.gateway.methods.entries import MAX_PAGE_BYTES
from walletd.gateway.network.counters import PEERS_OWN, TrafficCounters
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger.client_book import ClientBook
from walletd.protocol.close_codes import CloseCode
from walletd.sessions.access import TokenRegister
from walletd.vocabulary.entries import ClientRecord, TokenRecord
from walletd.vocabulary.identifiers import Principal

START = datetime(2030, 1, 1, tzinfo=UTC)


async def test_who_left_before_the_deadline_of_authentication_is_not_kept_until_then(
    tmp_path: Path, autojump_clock: Any
) -> None:
    async with open_desk(tmp_path, MemoryJournalStore(), authentication_seconds=10) as desk:
        kept = []
        for _ in range(100):
            guest = desk.client(None)
            guest.vanish()
            kept.append(weakref.ref(guest))
        del guest
        await trio.sleep(0.1)
        gc.collect()
        assert sum(one() is not None for one in kept) <= 1
        slow = desk.client(None)
        await trio.sleep(10.1)
        assert slow.closed_with is not None
        assert slow.closed_with[0] == 4408


def test_moments_of_tokens_that_were_rotated_out_are_forgotten() -> None:
    clients = ClientBook()
    admission = Admission(TokenRegister(clients, lambda: START))
    for number in range(10 * MOMENTS_UNPRUNED):
        ends = START + timedelta(days=36_500, seconds=number)
        token = TokenRecord(sha256=f"{number:064x}", created_at=START, expires_at=ends)
        record = ClientRecord(
            client=Principal("shop"), scopes=("view:x",), tokens=(token,), created_by=Principal("o"), created_at=START
        )
        clients.put(record)
        admission.review([record])
        assert admission.awaited_moments <= 2 + MOMENTS_UNPRUNED


@pytest.mark.parametrize("code", [*CloseCode, 1006])
def test_a_close_code_of_ours_or_of_the_standard_is_counted_under_its_number(code: int) -> None:
    traffic = TrafficCounters()
    traffic.count_close(code)
    assert traffic.closes == {code: 1}


def test_close_codes_that_peers_make_up_share_one_number() -> None:
    traffic = TrafficCounters()
    for code in range(3000, 5000):
        traffic.count_close(code)
    ours = {code for code in CloseCode if code >= 3000}
    assert traffic.closes[PEERS_OWN] == 2000 - len(ours)
    assert set(traffic.closes) == {PEERS_OWN, *ours}


async def test_a_page_of_large_entries_ends_at_a_megabyte_and_the_next_goes_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client = desk.client()
        await client.call("asset.define", command_id="e", asset="EUR", scale=2)
        for batch in range(8):
            opened = [
                {
                    "method": "wallet.open",
                    "command_id": f"{batch}.{number}",
                    "wallet": f"w{batch}-{number}",
                    "metadata": {"a": "x" * 200},
                }
                for number in range(1000)
            ]
            await client.call("batch.execute", command_id=f"b{batch}", commands=opened)
        seen: list[int] = []
        pages = 0
        while page := (await client.call("entry.list", after=len(seen), limit=1000))["entries"]:
            assert len(json.dumps(page, separators=(",", ":"))) < MAX_PAGE_BYTES
            seen += [view["entry"]["sequence"] for view in page]
            pages += 1
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) == 10
        assert pages >= 4
