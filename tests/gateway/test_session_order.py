"""A session reads its own writes, also behind a command that has to wait: for its wallet, or for the disk.

Time is virtual: a visit to the read tables, so the loading of a cold wallet too, takes half a second and a commit ten.
"""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import trio

from tests.gateway.sessions import Client, Desk, furnish, open_desk, payment
from tests.simulation.tables import sqlite_in_the_loop
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.segment import Segment
from walletd.sessions.access import Grant
from walletd.vocabulary.identifiers import OPERATOR
from walletd.vocabulary.reasons import Reason

VISIT_SECONDS = 0.5
COMMIT_SECONDS = 10.0
UNDECIDED, DECIDED = 0.0, COMMIT_SECONDS / 2
"""When the read is asked behind the command: while it waits for its wallet, or while its entry waits for the disk."""

OPERATOR_GRANT = Grant(OPERATOR, ("admin",))

Request = tuple[str, dict[str, Any]]


async def a_visit() -> None:
    await trio.sleep(VISIT_SECONDS / 2)


async def a_commit() -> None:
    await trio.sleep(COMMIT_SECONDS)


async def without_a_thread(act: Callable[..., Any], *arguments: Any) -> Any:
    """What stands where a thread packs segments: the clock must not jump meanwhile."""
    return act(*arguments)


@asynccontextmanager
async def cold_desk(directory: Path, **settings: Any) -> AsyncIterator[Desk]:
    """Alice, bob and carol have wallets and a thousand each, of which no book is in memory."""
    disk: list[Segment] = []
    with sqlite_in_the_loop(a_visit, lambda: False), patch.object(trio.to_thread, "run_sync", without_a_thread):
        async with open_desk(directory, MemoryJournalStore(disk)) as desk:
            await desk.core.admit_operator("cd" * 32)
            client = desk.client(OPERATOR_GRANT)
            await furnish(client, "alice", "bob", "carol")
            for name in ("alice", "bob", "carol"):
                await client.call("transfer.post", **payment(f"funds-{name}", name, 1000))
        async with open_desk(directory, MemoryJournalStore(disk, latency=a_commit), **settings) as desk:
            yield desk


def paying() -> Request:
    return "transfer.post", payment("c", "alice", 7)


def opening() -> Request:
    return "wallet.open", {"command_id": "c", "wallet": "dora"}


def holding() -> Request:
    return "hold.place", {"command_id": "c", "wallet": "alice", "asset": "EUR", "amount": "5"}


def defining() -> Request:
    """A batch that waits for alice and defines an asset."""
    define = {"method": "asset.define", "command_id": "c1", "asset": "XAU", "scale": 3}
    pay = {"method": "transfer.post", **payment("c2", "alice", 7)}
    return "batch.execute", {"command_id": "c", "commands": [define, pay]}


def admitting() -> Request:
    return "client.create", {"command_id": "c", "client": "shop", "scopes": ["view:alice"], "token_sha256": "ab" * 32}


def refunding() -> Request:
    back = {"from": "bob", "to": "@external", "asset": "EUR", "amount": "10"}
    return "transfer.refund", {"command_id": "c", "transfer": "t8", "postings": [back]}


class Case(NamedTuple):
    """A read behind a command, and whether its answer shows that the command's entry has this sequence."""

    command: Callable[[], Request]
    read: str
    params: dict[str, Any]
    shows: Callable[[dict[str, Any], int], bool]


def posted(amount: int) -> Callable[[dict[str, Any], int], bool]:
    return lambda answer, sequence: answer["balances"][0]["posted"] == str(amount) and stands(answer, sequence)


def stands(answer: dict[str, Any], sequence: int) -> bool:
    """Whether the answer says of itself that it knows the entry."""
    return bool(answer["sequence"] >= sequence)


def line(answer: dict[str, Any], sequence: int) -> bool:
    return bool(answer["lines"][0]["sequence"] == sequence) and stands(answer, sequence)


def hold(answer: dict[str, Any], sequence: int) -> bool:
    return bool(answer["hold"] == f"h{sequence}") and stands(answer, sequence)


def of_wallets(answer: dict[str, Any], sequence: int) -> bool:
    return [view["wallet"] for view in answer["wallets"]] == ["dora"] and answer["from"] >= sequence


NEXT = 10
"""The sequence of the command's entry."""

CASES = [
    Case(opening, "entry.get", {"command_id": "c"}, lambda answer, at: answer["entry"]["sequence"] == at),
    Case(opening, "entry.get", {"sequence": NEXT}, lambda answer, at: answer["entry"]["sequence"] == at),
    Case(
        opening, "entry.list", {"after": NEXT - 1}, lambda answer, at: answer["entries"][0]["entry"]["sequence"] == at
    ),
    Case(opening, "journal.read", {"after": NEXT - 1}, lambda answer, at: answer["head"] >= at),
    Case(opening, "wallet.list", {"prefix": "dora"}, lambda a, at: a["wallets"][0]["version"] == 1 and stands(a, at)),
    Case(opening, "wallet.get", {"wallet": "dora"}, lambda answer, at: answer["version"] == 1 and stands(answer, at)),
    Case(opening, "balance.get", {"wallet": "dora"}, stands),
    Case(opening, "statement.get", {"wallet": "dora"}, stands),
    Case(opening, "hold.list", {"wallet": "dora"}, stands),
    Case(opening, "stream.subscribe", {"wallets": ["dora"], "snapshot": True}, of_wallets),
    Case(opening, "stream.subscribe", {"prefix": "dora", "snapshot": True}, of_wallets),
    Case(opening, "stream.subscribe", {"all": True}, lambda answer, at: answer["from"] >= at),
    Case(paying, "balance.get", {"wallet": "alice"}, posted(1007)),
    Case(paying, "balance.get", {"wallets": ["alice", "bob"]}, posted(1007)),
    Case(paying, "balance.get", {"wallet": "alice", "as_of": NEXT}, posted(1007)),
    Case(paying, "wallet.get", {"wallet": "alice"}, posted(1007)),
    Case(paying, "statement.get", {"wallet": "alice", "newest_first": True, "limit": 1}, line),
    Case(paying, "transfer.get", {"transfer": f"t{NEXT}"}, stands),
    Case(paying, "daemon.audit", {}, stands),
    Case(refunding, "transfer.get", {"transfer": "t8"}, lambda answer, at: answer["refunded"][0]["refunded"] == "10"),
    Case(holding, "hold.get", {"wallet": "alice", "hold": f"h{NEXT}"}, hold),
    Case(holding, "hold.list", {"wallet": "alice"}, lambda answer, at: hold(answer["holds"][0], at)),
    Case(defining, "asset.list", {}, lambda answer, at: [a["asset"] for a in answer["assets"]] == ["EUR", "XAU"]),
    Case(defining, "balance.get", {"wallet": "bob", "asset": "XAU"}, stands),
    Case(defining, "balance.get", {"wallets": ["bob"], "asset": "XAU"}, stands),
    Case(admitting, "client.list", {}, lambda answer, at: "shop" in [view["client"] for view in answer["clients"]]),
    # Other wallets than the command's: what the answer says of itself must not lie before the command.
    Case(paying, "wallet.get", {"wallet": "bob"}, posted(1000)),
    Case(paying, "balance.get", {"wallet": "bob", "asset": "EUR"}, posted(1000)),
    Case(paying, "balance.get", {"wallets": ["bob", "carol"]}, posted(1000)),
    Case(paying, "statement.get", {"wallet": "bob"}, stands),
    Case(paying, "hold.list", {"wallet": "bob"}, stands),
]


def name_of(case: Case) -> str:
    return f"{case.command.__name__}-{case.read}-{'-'.join(map(str, case.params.values()))}"


@pytest.mark.parametrize("asked_after", [UNDECIDED, DECIDED], ids=["undecided", "undurable"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_read_shows_the_command_before_it_however_long_that_waits(
    tmp_path: Path, case: Case, asked_after: float, autojump_clock: Any
) -> None:
    async with cold_desk(tmp_path) as desk:
        client = desk.client(OPERATOR_GRANT)
        (command,) = client.ask(case.command())
        await trio.sleep(asked_after)
        assert command not in client.replies
        (read,) = client.ask((case.read, case.params))
        written, shown = await client.all_replies([command, read])
        assert "result" in written, written
        sequence = written["result"]["sequence"]
        assert sequence == NEXT
        assert "result" in shown, shown
        assert case.shows(shown["result"], sequence), shown["result"]


@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_read_shows_a_command_that_another_session_sent_first_and_this_one_again(
    tmp_path: Path, case: Case, autojump_clock: Any
) -> None:
    async with cold_desk(tmp_path) as desk:
        first, second = desk.client(OPERATOR_GRANT), desk.client(OPERATOR_GRANT)
        (earlier,) = first.ask(case.command())
        again, read = second.ask(case.command(), (case.read, case.params))
        written, repeated, shown = [await first.reply(earlier), *(await second.all_replies([again, read]))]
        assert repeated["result"] == written["result"] | {"replayed": True}
        assert "result" in shown, shown
        assert case.shows(shown["result"], written["result"]["sequence"]), shown["result"]


async def test_a_read_behind_a_command_that_was_sent_long_ago_is_answered_behind_it(
    tmp_path: Path, autojump_clock: Any
) -> None:
    """What was decided long ago is read from the journal, and everything behind it waits for that."""
    async with cold_desk(tmp_path) as desk:
        client = desk.client(OPERATOR_GRANT)
        ids = client.ask(
            ("transfer.post", payment("funds-bob", "bob", 1000)),
            ("wallet.get", {"wallet": "bob"}),
            ("statement.get", {"wallet": "bob", "newest_first": True}),
        )
        replayed, wallet, statement = await client.all_replies(ids)
        assert replayed["result"]["replayed"]
        assert wallet["result"]["balances"][0]["posted"] == "1000"
        assert statement["result"]["lines"][0]["sequence"] == replayed["result"]["sequence"]


async def test_a_dry_run_sees_the_command_before_it_however_long_that_waits(
    tmp_path: Path, autojump_clock: Any
) -> None:
    """Also where it is about other wallets: the batch defines the asset."""
    async with cold_desk(tmp_path) as desk:
        client = desk.client(OPERATOR_GRANT)
        await client.call("wallet.get", wallet="bob")
        in_gold = payment("d", "bob", 5)
        in_gold["postings"][0]["asset"] = "XAU"
        ids = client.ask(defining(), ("transfer.post", {**in_gold, "dry_run": True}))
        batch, foreseen = await client.all_replies(ids)
        assert "result" in batch
        assert foreseen["result"]["dry_run"], foreseen
        assert {balance["asset"] for balance in foreseen["result"]["balances"]} == {"XAU"}


async def test_a_dry_run_whose_sender_has_left_is_not_made_and_a_command_is(
    tmp_path: Path, autojump_clock: Any
) -> None:
    """A command may be relied on by someone who sends it and leaves; a dry run is for its sender only."""
    async with cold_desk(tmp_path) as desk:
        decisions, client = desk.core.wallets.decisions, desk.client(OPERATOR_GRANT)
        client.ask(
            ("transfer.post", {**payment("d", "bob", 5), "dry_run": True}), ("transfer.post", payment("p", "carol", 5))
        )
        client.endpoint.closed(1006)
        staying = desk.client(OPERATOR_GRANT)
        (asked,) = staying.ask(("transfer.post", {**payment("d", "bob", 5), "dry_run": True}))
        assert (await staying.reply(asked))["result"]["dry_run"]
        await staying.call("wallet.get", wallet="carol")
        assert decisions.counters.shed == {Reason.OVERLOADED: 1}
        again = await staying.call("transfer.post", **payment("p", "carol", 5))
        assert again["replayed"]
        assert client.endpoint.session.in_flight == 0


async def test_a_read_waits_for_no_command_that_was_sent_after_it(tmp_path: Path, autojump_clock: Any) -> None:
    """A session that goes on sending commands has its reads answered all the same."""
    async with cold_desk(tmp_path) as desk:
        client, began = desk.client(OPERATOR_GRANT), trio.current_time()
        ids = client.ask(paying(), ("statement.get", {"wallet": "alice"}))
        async with trio.open_nursery() as nursery:

            async def go_on() -> None:
                for number in range(1_000):
                    client.ask(("wallet.open", {"command_id": f"o{number}", "wallet": f"w{number}"}))
                    await trio.sleep(1)

            nursery.start_soon(go_on)
            await client.all_replies(ids)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began < 4 * COMMIT_SECONDS


async def test_no_session_waits_for_the_commands_of_another(tmp_path: Path, autojump_clock: Any) -> None:
    async with cold_desk(tmp_path) as desk:
        busy, idle = desk.client(OPERATOR_GRANT), desk.client(OPERATOR_GRANT)
        await idle.call("wallet.get", wallet="bob")
        (command,) = busy.ask(paying())
        for method, params in (
            ("wallet.get", {"wallet": "bob"}),
            ("balance.get", {"wallet": "bob", "asset": "EUR"}),
            ("wallet.list", {}),
            ("statement.get", {"wallet": "alice"}),
            ("hold.list", {"wallet": "alice"}),
            ("entry.list", {}),
            ("client.list", {}),
            ("stream.subscribe", {"all": True}),
            ("transfer.post", {**payment("d", "bob", 5, "carol"), "dry_run": True}),
        ):
            await idle.call(method, **params)
            assert command not in busy.replies, method
        await busy.reply(command)


async def test_what_is_no_read_of_the_books_waits_for_nothing(tmp_path: Path, autojump_clock: Any) -> None:
    """A ping tells whether the connection lives, and an operator is answered whatever hangs."""
    async with cold_desk(tmp_path) as desk:
        client = desk.client(OPERATOR_GRANT)
        (command,) = client.ask(paying())
        ids = client.ask(("session.ping", {}), ("daemon.status", {}), ("daemon.report", {}))
        assert all(asked in client.replies for asked in ids)
        assert command not in client.replies
        await client.reply(command)


@pytest.mark.parametrize("read", [("wallet.get", {"wallet": "bob"}), ("statement.get", {"wallet": "bob"})])
async def test_a_read_behind_commands_that_never_are_decided_is_answered(
    tmp_path: Path, read: Request, autojump_clock: Any
) -> None:
    """The mailbox is full, or the disk undoes what waited for it: there is nothing of theirs to be shown."""
    async with cold_desk(tmp_path, max_mailbox=2) as desk:
        client = desk.client(OPERATOR_GRANT)
        await client.call("wallet.get", wallet="bob")
        commands = client.ask(*[("transfer.post", payment(f"c{number}", "alice", 1)) for number in range(5)])
        store = desk.core.store
        assert isinstance(store, MemoryJournalStore)
        store.is_full = True
        answers = await client.all_replies(client.ask(read))
        assert "result" in answers[0], answers
        refused = [answer["error"]["data"]["reason"] for answer in await client.all_replies(commands)]
        assert sorted(refused) == ["overloaded"] * 3 + ["unavailable"] * 2
        store.is_full = False


# --- by chance -------------------------------------------------------------------------------------------------------

WALLETS = ["alice", "bob", "carol"]


def a_command(chance: random.Random, number: int) -> Request:
    wallet = chance.choice(WALLETS)
    name = f"c{number}"
    match chance.randrange(5):
        case 0:
            return "wallet.open", {"command_id": name, "wallet": f"w{number}"}
        case 1:
            return "hold.place", {"command_id": name, "wallet": wallet, "asset": "EUR", "amount": "1"}
        case 2:
            parts = [{"method": "transfer.post", **payment(f"{name}-{n}", n, 1)} for n in chance.sample(WALLETS, 2)]
            return "batch.execute", {"command_id": name, "commands": parts, "atomic": chance.random() < 0.5}
        case 3:
            return "asset.define", {"command_id": name, "asset": f"A{number}", "scale": 2}
        case _:
            return "transfer.post", payment(name, wallet, 1, chance.choice(["@external", "carol"]))


def a_read(chance: random.Random) -> Request:
    """A read of which the answer says after which entry it stands."""
    wallet = chance.choice(WALLETS)
    requests: list[Request] = [
        ("wallet.get", {"wallet": wallet}),
        ("balance.get", {"wallet": wallet, "asset": "EUR"}),
        ("balance.get", {"wallets": WALLETS}),
        ("wallet.list", {"prefix": "w"}),
        ("statement.get", {"wallet": wallet}),
        ("hold.list", {"wallet": wallet}),
        ("entry.list", {"after": 6, "limit": 1000}),
        ("journal.read", {"after": 6}),
        ("daemon.audit", {}),
        ("stream.subscribe", {"all": True}),
        ("stream.subscribe", {"wallets": WALLETS, "snapshot": True}),
    ]
    return chance.choice(requests)


def stands_after(method: str, answer: dict[str, Any]) -> int:
    return int(answer[{"stream.subscribe": "from"}.get(method, "head" if "head" in answer else "sequence")])


async def a_session(client: Client, chance: random.Random, numbers: range) -> None:
    """Send commands and reads by chance, some at once and some a little later, and check each answer at the end."""
    sent: list[tuple[str, int, list[int]]] = []
    commands: list[int] = []
    for number in numbers:
        is_read = bool(commands) and chance.random() < 0.5
        method, params = a_read(chance) if is_read else a_command(chance, number)
        (asked,) = client.ask((method, params))
        if is_read:
            sent.append((method, asked, list(commands)))
        else:
            commands.append(asked)
        if chance.random() < 0.5:
            await trio.sleep(chance.random() * VISIT_SECONDS * 2)
    for method, asked, before in sent:
        read = await client.reply(asked)
        assert "result" in read, read
        behind = max(sequence_of(answer) for answer in await client.all_replies(before))
        assert stands_after(method, read["result"]) >= behind, (method, read)


def sequence_of(answer: dict[str, Any]) -> int:
    """Of the command's entry; 0 where it has none."""
    return int(answer["result"]["sequence"] if "result" in answer else answer["error"]["data"].get("sequence", 0))


@pytest.mark.parametrize("turn", range(6))
async def test_every_read_of_a_session_by_chance_stands_behind_the_commands_before_it(
    tmp_path: Path, turn: int, autojump_clock: Any
) -> None:
    seed = random.randrange(2**32) if turn else 16
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with cold_desk(tmp_path, max_warm_wallets=2) as desk, trio.open_nursery() as nursery:
        for number in range(4):
            span = range(1000 * number, 1000 * number + 40)
            nursery.start_soon(a_session, desk.client(OPERATOR_GRANT), random.Random(chance.random()), span)
