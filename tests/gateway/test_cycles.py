"""What a request leaves behind dies by reference count: no search for cycles has to find it.

A daemon that answers thousands of requests a second searches rarely (``runtime/garbage.py``).  One cycle in each
command once cost it a quarter of its throughput and tripled the p99.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.sessions import open_desk, payment
from walletd.journal.memory.store import MemoryJournalStore

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a transfer": ("transfer.post", payment("?")),
    "a refused transfer": ("transfer.post", payment("?", amount=9_000, source="alice", to="bob")),
    "a command sent again": ("transfer.post", payment("again")),
    "a dry run": ("transfer.post", {**payment("?"), "dry_run": True}),
    "a hold": ("hold.place", {"command_id": "?", "wallet": "alice", "asset": "EUR", "amount": "1"}),
    "a batch": (
        "batch.execute",
        {"command_id": "?", "commands": [{"method": "transfer.post", **payment("?-1")}]},
    ),
    "a balance": ("balance.get", {"wallet": "alice"}),
    "a page of a statement": ("statement.get", {"wallet": "alice", "asset": "EUR"}),
    "an entry": ("entry.get", {"sequence": 2}),
    "a page of wallets": ("wallet.list", {}),
    "wrong params": ("transfer.post", {"command_id": "?"}),
    "an unknown method": ("transfer.undo", {}),
}


@contextmanager
def found_in_cycles() -> Iterator[Counter[str]]:
    """Counts walletd's own objects that only a search for cycles frees, by type."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    try:
        yield found
        found += _objects()
        gc.collect()
        found -= _objects()
    finally:
        gc.enable()


def _objects() -> Counter[str]:
    return Counter(
        kind.__name__ for thing in gc.get_objects() if str((kind := type(thing)).__module__).startswith("walletd")
    )


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_request_leaves_no_cycle(what: str, tmp_path: Path) -> None:
    method, params = REQUESTS[what]

    def request(number: int) -> tuple[str, dict[str, Any]]:
        return method, _named(params, f"{method}-{number}")

    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        client = desk.client()
        await client.call("asset.define", command_id="define-EUR", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            await client.call("wallet.open", command_id=f"open-{wallet}", wallet=wallet)
        await client.call("transfer.post", **payment("again", amount=500))
        await client.all_replies(client.ask(*(request(number) for number in range(5))))
        with found_in_cycles() as found:
            await client.all_replies(client.ask(*(request(number) for number in range(5, 25))))
            await desk.core.projector.reach(desk.core.writer.durable_head)
    assert not found


def _named(params: Any, name: str) -> Any:
    """The params with this name where they have a question mark."""
    if isinstance(params, dict):
        return {field: _named(value, name) for field, value in params.items()}
    if isinstance(params, list):
        return [_named(value, name) for value in params]
    return params.replace("?", name) if isinstance(params, str) else params
