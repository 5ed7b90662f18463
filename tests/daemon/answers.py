"""Everything that a daemon can be asked about what happened, in one document, to compare two daemons by.

live(daemon)                                       # a little of everything that there is
before = answers(daemon)
...                                                # compact, restore, upgrade
assert answers(daemon) == before
"""

import hashlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import InvalidStatus

from tests.daemon.process import Client, Daemon, transfer

OF_THE_PROCESS = (
    "lifecycle",
    "started_at",
    "projected",
    "sessions",
    "top",
    "warm_wallets",
    "epoch",
    "server_version",
    "compaction",
    "top",
)
"""What a status says about this process and not about the books."""

DAY, YEAR = 86_400, 365 * 86_400

Sessions = dict[str, Client | None]
"""Of each client by its name; None of one that is not let in."""


def live(daemon: Daemon, name: str = "") -> None:
    """A little of everything, in wallets and clients of this name: every command, and refusals."""
    with daemon.client() as client:
        _define(client)
        alice, bob, carol, dora, eve = (_opened(client, name, who) for who in ("alice", "bob", "carol", "dora", "eve"))
        _pay(client, name, alice, bob)
        _hold(client, name, alice, bob, carol)
        _limit(client, name, carol, dora)
        _fold(client, name, dora)
        _stop(client, name, bob, dora, eve)
        client.ask("transfer.post", **transfer(f"{name}too-much", alice, bob, 10**9))
        client.ask("transfer.post", **transfer(f"{name}nobody", alice, "nobody", 1))
        batch = [
            {"method": "transfer.post", **transfer("x1", alice, bob, 3)},
            {"method": "transfer.post", **transfer("x2", alice, bob, 10**9)},
            {"method": "hold.place", "command_id": "x3", "wallet": bob, "asset": "EUR", "amount": "2"},
        ]
        commands = [one | {"command_id": name + str(one["command_id"])} for one in batch]
        client.call("batch.execute", command_id=f"{name}batch", commands=commands, atomic=False)
        client.ask("batch.execute", command_id=f"{name}whole", atomic=True, commands=_again_as(commands, "y"))
    _let_in(daemon, name, alice, bob)


def _define(client: Client) -> None:
    for asset in ("EUR", "USD"):
        client.ask("asset.define", command_id=asset, asset=asset, scale=2)


def _opened(client: Client, name: str, who: str) -> str:
    wallet = f"{name}{who}"
    client.call("wallet.open", command_id=f"open-{wallet}", wallet=wallet, metadata={"of": who})
    client.call("transfer.post", **transfer(f"fund-{wallet}", "@external", wallet, 10_000))
    return wallet


def _pay(client: Client, name: str, alice: str, bob: str) -> None:
    client.call("transfer.post", **transfer(f"{name}usd", "@external", alice, 500, "USD"))
    paid = client.call("transfer.post", **transfer(f"{name}paid", alice, bob, 700, reference="order 1"))
    back = [{"from": bob, "to": alice, "asset": "EUR", "amount": "200"}]
    client.call("transfer.refund", command_id=f"{name}back", transfer=paid["transfer"], postings=back)
    client.call("wallet.update", command_id=f"{name}described", wallet=alice, metadata={"of": "alice", "tier": "gold"})


def _hold(client: Client, name: str, alice: str, bob: str, carol: str) -> None:
    held = []
    for n in range(4):
        placed = {"command_id": f"{name}hold-{n}", "wallet": bob, "asset": "EUR", "amount": str(100 + n)}
        held.append(client.call("hold.place", **placed)["hold"])
    about = {"wallet": bob}
    client.call("hold.void", command_id=f"{name}void", hold=held[0], **about)
    parts = [{"to": carol, "amount": "50"}]
    client.call("hold.capture", command_id=f"{name}capture", hold=held[1], parts=parts, **about)
    client.call("hold.adjust", command_id=f"{name}adjust", hold=held[2], amount="77", **about)
    client.call("hold.extend", command_id=f"{name}extend", hold=held[2], expires_at="2198-01-01T00:00:00Z", **about)
    long = {"expires_at": "2199-01-01T00:00:00Z"}
    client.call("hold.place", command_id=f"{name}long", wallet=alice, asset="EUR", amount="5", **long)


def _limit(client: Client, name: str, carol: str, dora: str) -> None:
    """Velocity of a day, used by payments and holds, some given back; then of a year, which counts from then on."""
    _set_velocity(client, name, carol, [(DAY, 100)])
    client.call("transfer.post", **transfer(f"{name}slow", carol, dora, 30))
    placed = {"command_id": f"{name}counted", "wallet": carol, "asset": "EUR", "amount": "40"}
    counted = client.call("hold.place", **placed)["hold"]
    client.call("hold.adjust", command_id=f"{name}less", wallet=carol, hold=counted, amount="25")
    client.ask("transfer.post", **transfer(f"{name}fast", carol, dora, 99))
    _set_velocity(client, name, carol, [(DAY, 100), (YEAR, 500)])
    client.call("transfer.post", **transfer(f"{name}slower", carol, dora, 7))


def _set_velocity(client: Client, name: str, wallet: str, windows: list[tuple[int, int]]) -> None:
    velocity = [{"seconds": seconds, "amount": str(amount)} for seconds, amount in windows]
    limits = {"EUR": {"velocity": velocity, "maximum": "1000000"}}
    client.call("wallet.update", command_id=f"{name}limit-{len(windows)}", wallet=wallet, limits=limits)


def _fold(client: Client, name: str, dora: str) -> None:
    """So many payments within the velocity of a year that the earlier ones are counted together."""
    often = _opened(client, name, "often")
    _set_velocity(client, f"{name}often-", often, [(YEAR, 10_000)])
    for n in range(3):
        paid = [transfer(f"{name}often-{n}-{m}", often, dora, 1) for m in range(400)]
        commands = [{"method": "transfer.post", **one} for one in paid]
        client.call("batch.execute", command_id=f"{name}often-{n}", commands=commands)
    client.call("transfer.post", **transfer(f"{name}once-more", often, dora, 1))


def _stop(client: Client, name: str, bob: str, dora: str, eve: str) -> None:
    client.call("wallet.freeze", command_id=f"{name}freeze", wallet=dora, frozen="debits", why="looked at")
    client.ask("transfer.post", **transfer(f"{name}frozen", dora, bob, 1))
    client.call("wallet.freeze", command_id=f"{name}freeze-bob", wallet=bob, frozen="both", why="a question")
    client.call("wallet.unfreeze", command_id=f"{name}unfreeze", wallet=bob)
    client.call("wallet.close", command_id=f"{name}close", wallet=eve, sweep_to=bob)


def _again_as(commands: list[dict[str, Any]], letter: str) -> list[dict[str, Any]]:
    return [command | {"command_id": f"{letter}-{command['command_id']}"} for command in commands]


def _let_in(daemon: Daemon, name: str, alice: str, bob: str) -> None:
    """A shop with a budget and viewing keys, one of them ended; a token that was rotated; one who was shut out."""
    shop, fired = f"{name}shop", f"{name}fired"
    with daemon.client() as admin:
        for client, scopes in ((shop, [f"spend:{name}a*"]), (fired, ["operate"])):
            created = {"command_id": f"create-{client}", "client": client, "scopes": scopes}
            admin.call("client.create", **created, token_sha256=_sha256(f"first {client}"))
            rotated = {"command_id": f"rotate-{client}", "client": client}
            admin.call("client.rotate", **rotated, token_sha256=_sha256(token_of(client)))
        narrowed = {"addresses": ["127.0.0.0/8"], "budget": {"journal_bytes_per_day": 2**40}}
        admin.call("client.update", command_id=f"update-{shop}", client=shop, **narrowed)
        admin.call("client.revoke", command_id=f"{name}fire", client=fired)
    with session(daemon, shop) as seller:
        for key in ("till", "phone"):
            made = {"client": f"{shop}/{key}", "scopes": [f"view:{alice}"]}
            seller.call("client.create", command_id=key, token_sha256=_sha256(token_of(f"{shop}/{key}")), **made)
            if key == "till":
                seller.call("client.revoke", command_id="end", client=f"{shop}/{key}")
        seller.call("transfer.post", **transfer("bought", alice, bob, 11))
        seller.ask("transfer.post", **transfer("not mine", bob, alice, 1))


def token_of(client: str) -> str:
    """The token of a client that ``live`` let in."""
    return f"walletd_{_sha256(client)[:40]}"


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def session(daemon: Daemon, client: str) -> Client:
    """A session of a client that ``live`` let in.  Raises InvalidStatus where it is not let in any more."""
    return daemon.client(additional_headers={"Authorization": f"Bearer {token_of(client)}"})


@contextmanager
def sessions(daemon: Daemon) -> Iterator[Sessions]:
    """One of each client that the daemon knows of."""
    found: Sessions = {"operator": daemon.client()}
    operator = found["operator"]
    assert operator is not None
    try:
        for known in operator.call("client.list", limit=1000)["clients"]:
            if known["client"] not in found:
                found[known["client"]] = _session_if_let_in(daemon, known["client"])
        yield found
    finally:
        for one in filter(None, found.values()):
            one.websocket.close()


def _session_if_let_in(daemon: Daemon, client: str) -> Client | None:
    try:
        return session(daemon, client)
    except InvalidStatus as refused:
        if refused.response.status_code != 401:
            raise
        return None


# --- the questions ---------------------------------------------------------------------------------------------------


def answers(daemon: Daemon, about: Container[int] | None = None) -> dict[str, Any]:
    """Every read of everything, who is let in and sees what, and every command again under its id.

    Where there are too many entries, each single one is asked about only if its sequence is among those of ``about``.
    """
    with sessions(daemon) as everybody:
        operator = everybody["operator"]
        assert operator is not None
        status = _settled(operator)
        found: dict[str, Any] = {
            "status": {name: value for name, value in status.items() if name not in OF_THE_PROCESS},
            "assets": operator.ask("asset.list"),
            "audit": operator.ask("daemon.audit"),
            "clients": operator.ask("client.list", limit=1000),
            "search": operator.ask("wallet.list", metadata={"tier": "gold"}, limit=1000),
            "closed": operator.ask("wallet.list", status="closed", limit=1000),
            "frozen": operator.ask("wallet.list", status="frozen", limit=1000),
        }
        found |= _about_clients(everybody)
        entries = every_entry(operator)
        found["entries"] = entries
        found |= _about_wallets(operator, len(entries))
        chosen = [view for view in entries if about is None or view["entry"]["sequence"] in about]
        found |= answers_about(everybody, chosen)
        return {name: without_id(answer) for name, answer in found.items()}


def _settled(client: Client) -> dict[str, Any]:
    """The status once the read tables show every entry."""
    status = client.call("daemon.status")
    while status["projected"] < status["head"]:
        status = client.call("daemon.status")
    return status


def _about_clients(everybody: Sessions) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, client in everybody.items():
        found[f"is in {name}"] = client is not None
        if client is not None:
            found[f"sees {name}"] = without_id(client.ask("wallet.list", limit=1000))
            found[f"grant {name}"] = client.hello["auth"]
    return found


def _about_wallets(client: Client, head: int) -> dict[str, Any]:
    """Each wallet: now, with what its limits leave; as of some entries; its statement whole, in ranges, by pages."""
    ask, found = client.ask, {}
    wallets = without_id(ask("wallet.list", limit=1000))
    found["wallets"] = wallets
    for wallet in (view["wallet"] for view in wallets["result"]["wallets"]):
        found[f"wallet {wallet}"] = ask("wallet.get", wallet=wallet)
        found[f"balances {wallet}"] = _but_now(ask("balance.get", wallet=wallet))
        for point in {head, *range(1, head, max(1, head // 4))}:
            found[f"past {wallet} {point}"] = ask("balance.get", wallet=wallet, as_of=point)
        found[f"statement {wallet}"] = _but_epoch(ask("statement.get", wallet=wallet, limit=1000))
        middle = ask("statement.get", wallet=wallet, since=head // 3, until=head, newest_first=True)
        found[f"range {wallet}"] = _but_epoch(middle)
        cursor = ask("statement.get", wallet=wallet, limit=2)["result"].get("next")
        if cursor is not None:
            found[f"cursor {wallet} {cursor}"] = ask("statement.get", wallet=wallet, limit=2, cursor=cursor)
        found[f"holds {wallet}"] = ask("hold.list", wallet=wallet, also_closed=True, limit=1000)
        for hold in found[f"holds {wallet}"]["result"]["holds"]:
            found[f"hold {hold['hold']}"] = ask("hold.get", wallet=wallet, hold=hold["hold"])
    return found


def _but_now(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without the moment at which it was given."""
    del answer["result"]["time"]
    return answer


def _but_epoch(page: dict[str, Any]) -> dict[str, Any]:
    """The page with the place where it goes on, but not the cursor's mark, which is of this epoch."""
    if "next" in page["result"]:
        page["result"]["next"] = page["result"]["next"].rpartition(".")[0]
    return page


def answers_about(everybody: Sessions, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Every read of these entries and their transfers, and every command again under its id, by who sent it."""
    found: dict[str, Any] = {}
    operator = everybody["operator"]
    assert operator is not None
    for view in entries:
        entry = view["entry"]
        found[f"entry {entry['sequence']}"] = operator.ask("entry.get", sequence=entry["sequence"])
        transfer = "-".join([f"t{entry['sequence']}", *([entry["history"]] if "history" in entry else [])])
        found[f"transfer {transfer}"] = operator.ask("transfer.get", transfer=transfer)
        sender = everybody.get(entry["principal"])
        if sender is not None and entry["command"]["method"] != "refused":  # Of those only a digest is kept.
            found[f"again {entry['principal']} {entry['command']['command_id']}"] = again(sender, entry)
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
    assert shown.get("replayed") is True, f"it should be replayed, and was decided again: {answer}"
    return answer


def without_id(answer: Any) -> Any:
    """The answer, whichever request it was to."""
    return {name: value for name, value in answer.items() if name != "id"} if isinstance(answer, dict) else answer
