"""Clients with tokens: a town for them, and the ways in and out of its sessions."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio
import trio.testing

from tests.gateway.sessions import PATIENCE_SECONDS, Client, Desk, furnish, open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore
from walletd.sessions.access import Grant, token_hash
from walletd.vocabulary.identifiers import OPERATOR, Principal

ROOT = Grant(Principal("root"), ("admin",))


@asynccontextmanager
async def open_town(directory: Path, journal: MemoryJournalStore) -> AsyncIterator[Desk]:
    """EUR; shop-1, shop-2 and bob with 100 each; root, an admin by the token "root"."""
    async with open_desk(directory, journal) as opened:
        await opened.core.admit_operator(token_hash("operator"))
        operator = opened.client(Grant(OPERATOR, ("admin",)))
        await let_in(operator, "root", "admin")
        await furnish(operator, "shop-1", "shop-2", "bob")
        for wallet in ("shop-1", "shop-2", "bob"):
            await operator.call("transfer.post", **payment(f"fund-{wallet}", wallet, 100))
        yield opened


class HandClock:
    """The daemon's clock, put forward by hand; it runs with trio's otherwise."""

    def __init__(self) -> None:
        self.offset = timedelta()
        self.start = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=trio.current_time()) + self.offset


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
