"""Record one real exchange for each method into docs/reference/examples.json.

    python -m tests.documents.record_examples

The reference page shows them; to be run again when a method is added or its messages change.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.daemon.process import Client, Daemon

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "reference" / "examples.json"
PAYMENT = {"from": "alice", "to": "shop:1", "asset": "EUR", "amount": "1250"}
FUNDS = {"from": "@external", "to": "alice", "asset": "EUR", "amount": "10000"}

# In this order they succeed.  A word in braces is what an earlier answer said: {transfer}, {hold}.
CONVERSATION: list[tuple[str, dict[str, Any]]] = [
    ("session.authenticate", {"token": "{token}"}),
    ("session.ping", {}),
    ("asset.define", {"command_id": "define-EUR", "asset": "EUR", "scale": 2}),
    ("asset.list", {}),
    ("wallet.open", {"command_id": "open-alice", "wallet": "alice", "metadata": {"tier": "gold"}}),
    ("wallet.open", {"command_id": "open-shop", "wallet": "shop:1"}),
    ("transfer.post", {"command_id": "fund-alice", "postings": [FUNDS]}),
    (
        "wallet.update",
        {
            "command_id": "limit-7",
            "wallet": "alice",
            "limits": {"EUR": {"credit_limit": "5000", "velocity": [{"seconds": 86400, "amount": "50000"}]}},
        },
    ),
    ("transfer.post", {"command_id": "invoice-7", "postings": [PAYMENT], "reference": "invoice 7"}),
    ("transfer.get", {"transfer": "{transfer}"}),
    (
        "transfer.refund",
        {
            "command_id": "refund-7",
            "transfer": "{transfer}",
            "postings": [{"from": "shop:1", "to": "alice", "asset": "EUR", "amount": "250"}],
        },
    ),
    ("hold.place", {"command_id": "room-7", "wallet": "alice", "asset": "EUR", "amount": "2000"}),
    (
        "hold.extend",
        {"command_id": "room-7a", "wallet": "alice", "hold": "{hold}", "expires_in_seconds": 1800},
    ),
    ("hold.adjust", {"command_id": "room-7b", "wallet": "alice", "hold": "{hold}", "amount": "1500"}),
    (
        "hold.capture",
        {
            "command_id": "room-7c",
            "wallet": "alice",
            "hold": "{hold}",
            "parts": [{"to": "shop:1", "amount": "1000"}],
        },
    ),
    ("hold.get", {"wallet": "alice", "hold": "{hold}"}),
    ("hold.list", {"wallet": "alice"}),
    ("hold.void", {"command_id": "room-7d", "wallet": "alice", "hold": "{hold}"}),
    (
        "wallet.freeze",
        {"command_id": "freeze-7", "wallet": "alice", "frozen": "debits", "why": "a card was reported stolen"},
    ),
    ("wallet.unfreeze", {"command_id": "unfreeze-7", "wallet": "alice"}),
    (
        "batch.execute",
        {
            "command_id": "payday-7",
            "commands": [
                {"method": "wallet.open", "command_id": "open-bob", "wallet": "bob"},
                {
                    "method": "transfer.post",
                    "command_id": "pay-bob",
                    "postings": [{"from": "shop:1", "to": "bob", "asset": "EUR", "amount": "100"}],
                },
            ],
        },
    ),
    ("wallet.close", {"command_id": "close-bob", "wallet": "bob", "sweep_to": "alice"}),
    ("wallet.get", {"wallet": "alice"}),
    ("wallet.list", {"prefix": "shop:", "limit": 10}),
    ("balance.get", {"wallet": "alice", "asset": "EUR"}),
    ("statement.get", {"wallet": "alice", "limit": 2}),
    (
        "client.create",
        {
            "command_id": "auditor-1",
            "client": "auditor",
            "scopes": ["view:shop:*"],
            "token_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
    ),
    ("client.list", {"limit": 10}),
    ("client.update", {"command_id": "auditor-1a", "client": "auditor", "addresses": ["10.1.0.0/16"]}),
    (
        "client.rotate",
        {
            "command_id": "auditor-2",
            "client": "auditor",
            "token_sha256": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
        },
    ),
    ("client.revoke", {"command_id": "auditor-3", "client": "auditor"}),
    ("entry.get", {"command_id": "invoice-7"}),
    ("entry.list", {"after": 2, "limit": 1}),
    ("stream.subscribe", {"wallets": ["alice"], "snapshot": True}),
    ("stream.unsubscribe", {"subscription": 1}),
    ("daemon.status", {}),
    ("daemon.log_level", {"level": "info", "component": "journal"}),
    ("daemon.audit", {}),
    ("daemon.compact", {"keep_entries": 1000000}),
    ("journal.read", {"after": 0}),
    ("daemon.report", {}),
    ("rpc.discover", {}),
    ("daemon.drain", {}),
]

SHORTENED = {"daemon.report": "report", "journal.read": "block", "rpc.discover": "components"}
"""Results of which one field is too long to be shown."""


def record(client: Client, token: str) -> dict[str, dict[str, Any]]:
    """The last request and its response for each method; the token is not told."""
    known = {"token": token}
    found: dict[str, dict[str, Any]] = {}
    for number, (method, params) in enumerate(CONVERSATION, 1):
        spoken = _filled(params, known)
        response = client.ask(method, **spoken)
        assert "result" in response, (method, response)
        known |= {name: response["result"][name] for name in ("hold",) if name in response["result"]}
        if method == "transfer.post":
            known["transfer"] = response["result"]["transfer"]
        shown = _filled(params, known | {"token": "T0ken"})
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": shown}
        found[method] = {"request": request, "response": {**response, "id": number}}
    return found


def _filled(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, known) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, known) for part in value]
    if isinstance(value, str) and value.startswith("{"):
        return known[value.strip("{}")]
    return value


def shortened(method: str, response: dict[str, Any]) -> dict[str, Any]:
    """The response without what would fill pages."""
    field = SHORTENED.get(method)
    if field is None:
        return response
    if method == "rpc.discover":
        kept = {"asyncapi": response["result"]["asyncapi"], "info": response["result"]["info"]}
        return response | {"result": kept}
    return response | {"result": {field: response["result"][field][:80]}}


def main() -> None:
    """Write the page's examples."""
    with tempfile.TemporaryDirectory() as folder, Daemon(Path(folder) / "data") as daemon, daemon.client() as client:
        recorded = record(client, daemon.token)
        pushed = {
            "hello": {"jsonrpc": "2.0", "method": "hello", "params": client.hello},
            "lifecycle": client.next_pushed("lifecycle"),
        }
    pushed["lifecycle"] = {"jsonrpc": "2.0", "method": "lifecycle", "params": pushed["lifecycle"]}
    methods = {
        method: exchange | {"response": shortened(method, exchange["response"])}
        for method, exchange in sorted(recorded.items())
    }
    EXAMPLES.write_text(json.dumps({"methods": methods, "notifications": pushed}, indent=1) + "\n")


if __name__ == "__main__":
    main()
