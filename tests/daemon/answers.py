"""Everything that a daemon can be asked about what happened, in one document, to compare two daemons by."""

from typing import Any

from tests.daemon.process import Client, transfer

OF_THE_PROCESS = ("started_at", "projected", "sessions", "warm_wallets", "epoch", "server_version", "compaction")
"""What a status says about this process and not about the books."""


def live(client: Client) -> None:
    """A little of everything: transfers, holds in every state, a refund, a freeze, limits, a batch, refusals."""
    call, ask = client.call, client.ask
    ask("asset.define", command_id="EUR", asset="EUR", scale=2)
    ask("asset.define", command_id="USD", asset="USD", scale=2)
    for wallet in ("alice", "bob", "carol", "dora"):
        call("wallet.open", command_id=f"open-{wallet}", wallet=wallet, metadata={"of": wallet})
        call("transfer.post", **transfer(f"fund-{wallet}", "@external", wallet, 10_000))
    call("transfer.post", **transfer("usd", "@external", "alice", 500, "USD"))
    paid = call("transfer.post", **transfer("paid", "alice", "bob", 700, reference="order 1"))
    call("transfer.refund", command_id="back", transfer=paid["transfer"], postings=_to_alice(200))
    held = [
        call("hold.place", command_id=f"hold-{n}", wallet="bob", asset="EUR", amount=str(100 + n))["hold"]
        for n in range(3)
    ]
    call("hold.void", command_id="void", wallet="bob", hold=held[0])
    call(
        "hold.capture",
        command_id="capture",
        wallet="bob",
        hold=held[1],
        parts=[{"to": "carol", "amount": "50"}],
    )
    long = {"expires_at": "2199-01-01T00:00:00Z"}
    call("hold.place", command_id="long", wallet="alice", asset="EUR", amount="5", **long)
    call("wallet.freeze", command_id="freeze", wallet="dora", frozen="debits", why="looked at")
    ask("transfer.post", **transfer("too-much", "alice", "bob", 10**9))
    ask("transfer.post", **transfer("frozen", "dora", "bob", 1))
    ask("transfer.post", **transfer("nobody", "alice", "zoe", 1))


def _to_alice(amount: int) -> list[dict[str, str]]:
    return [{"from": "bob", "to": "alice", "asset": "EUR", "amount": str(amount)}]


def answers(client: Client) -> dict[str, Any]:
    """Every read of everything, and every command again under its id."""
    ask = client.ask
    status = client.call("daemon.status")
    found: dict[str, Any] = {
        "status": {name: value for name, value in status.items() if name not in OF_THE_PROCESS},
        "assets": ask("asset.list"),
        "audit": ask("daemon.audit"),
        "wallets": ask("wallet.list", limit=1000),
    }
    for view in found["wallets"]["result"]["wallets"]:
        wallet = view["wallet"]
        found[f"wallet {wallet}"] = ask("wallet.get", wallet=wallet)
        found[f"balances {wallet}"] = ask("balance.get", wallet=wallet)
        found[f"statement {wallet}"] = ask("statement.get", wallet=wallet, limit=1000)
        found[f"holds {wallet}"] = ask("hold.list", wallet=wallet, also_closed=True, limit=1000)
        for hold in found[f"holds {wallet}"]["result"]["holds"]:
            found[f"hold {hold['hold']}"] = ask("hold.get", wallet=wallet, hold=hold["hold"])
    entries = every_entry(client)
    found["entries"] = entries
    found |= answers_about(client, entries)
    return {name: without_id(answer) for name, answer in found.items()}


def answers_about(client: Client, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Every read of these entries and their transfers, and every command again under its id."""
    found: dict[str, Any] = {}
    for view in entries:
        entry = view["entry"]
        found[f"entry {entry['sequence']}"] = client.ask("entry.get", sequence=entry["sequence"])
        found[f"transfer t{entry['sequence']}"] = client.ask("transfer.get", transfer=f"t{entry['sequence']}")
        if entry["principal"] != "@walletd":
            found[f"again {entry['command']['command_id']}"] = again(client, entry)
    return {name: without_id(answer) for name, answer in found.items()}


def every_entry(client: Client) -> list[dict[str, Any]]:
    """The whole journal, as the daemon shows it."""
    entries: list[dict[str, Any]] = []
    while page := client.call("entry.list", after=len(entries), limit=1000)["entries"]:
        entries.extend(page)
    return entries


def again(client: Client, entry: dict[str, Any]) -> dict[str, Any]:
    """The answer to an entry's command, sent again as it was."""
    command = dict(entry["command"])
    method = command.pop("method")
    answer = client.ask(method, **command)
    shown = answer.get("result") or answer["error"]["data"]
    assert shown["replayed"] is True, answer
    return answer


def without_id(answer: Any) -> Any:
    """The answer, whichever request it was to."""
    return {name: value for name, value in answer.items() if name != "id"} if isinstance(answer, dict) else answer
