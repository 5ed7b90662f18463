"""An internal error in one read concerns no other read."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.sessions import Desk, furnish, open_desk, payment
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods import dispatch
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.session import Call


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, MemoryJournalStore()) as opened:
        yield opened


async def broken(endpoint: ClientEndpoint, call: Call) -> None:
    raise OverflowError("date value out of range")


async def test_a_fault_in_a_read_is_answered_and_logged_and_ends_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, other = desk.client(), desk.client()
    await furnish(client, "alice")
    monkeypatch.setitem(dispatch.FROM_TABLES, "statement.get", broken)
    with caplog.at_level(logging.ERROR):
        refused = await client.refused("statement.get", wallet="alice")
    assert (refused["reason"], refused["outcome"], refused["retry"]) == (
        "internal_error",
        "not_applied",
        "same_command_id",
    )
    (record,) = caplog.records
    assert record.getMessage() == "internal error in statement.get"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OverflowError)
    assert client.endpoint.session.in_flight == 0
    await other.call("transfer.post", **payment("p", "alice", 5))
    assert (await client.call("hold.list", wallet="alice"))["holds"] == []
