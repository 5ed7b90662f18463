"""What the parts on the way of a command cost does not grow with wallets, ids, clients or subscribers."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pytest
import trio

from tests.complexity.counting import steps
from tests.ledger import cases
from tests.names import ALICE, EUR
from walletd.journal import merkle
from walletd.journal.history import DurableEntry
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.ledger.book import Book, Books
from walletd.protocol.envelope import SessionLimits
from walletd.sessions.access import Grant, TokenRegister
from walletd.sessions.session import Call, Reply, Session
from walletd.streams.publisher import Publisher, Subscription, Watched
from walletd.tables.folding import (
    rows_of,
)
from walletd.tables.id_filter import IdFilter
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry, WalletRecord
from walletd.vocabulary.identifiers import Principal, Sequence, Version, WalletId
from walletd.vocabulary.states import WalletStatus
from walletd.wallets.actor import Claim
from walletd.wallets.roster import Roster

pytestmark = pytest.mark.interpreted  # what is compiled takes no steps of Python's

FEW, MANY = 10, 2_000
LEEWAY = 1.1
START = datetime(2030, 1, 1, tzinfo=UTC)


def assert_same(count: Callable[[int], int], leeway: float = LEEWAY) -> None:
    few, many = count(FEW), count(MANY)
    print(f"{few} steps beside {FEW}, {many} beside {MANY}")
    assert few > 5
    assert many <= leeway * few


def entry_about(wallet: str, sequence: int = 1) -> Entry:
    balance = BalanceRecord(WalletId(wallet), EUR, "1", "0", "1", Version(sequence))
    command = cases.open_wallet(wallet, command_id=f"c{sequence}")
    return Entry(
        sequence=Sequence(sequence),
        time=START,
        principal=Principal("p"),
        command=command,
        effects=Effects(balances=(balance,)),
    )


class Outlet:
    """Takes every event."""

    def __init__(self) -> None:
        self.sent = 0

    def has_room(self) -> bool:
        return True

    async def wait_for_room(self) -> None:
        raise AssertionError("there is always room")

    def send_event(self, subscription: Subscription, sequence: int, record: bytes) -> None:
        self.sent += 1

    def send_heartbeat(self, subscription: Subscription, head: int) -> None:
        raise AssertionError("no time passes")


def test_an_entry_costs_nothing_for_subscribers_of_other_wallets() -> None:
    async def nothing(position: int) -> list[DurableEntry]:
        raise AssertionError("no session is behind")

    def publish(subscribers: int) -> int:
        publisher, outlet = Publisher(nothing, 0, heartbeat_seconds=10), Outlet()
        for number in range(subscribers):
            publisher.subscribe(Subscription(number, Watched([WalletId(f"w{number}")]), Outlet(), 0))
        publisher.subscribe(Subscription(-1, Watched([ALICE]), outlet, 0))
        entry = entry_about("alice")
        count = steps(lambda: publisher.publish(DurableEntry(entry, b"{}", b"")))
        assert outlet.sent == 1
        return count

    assert_same(publish)


async def test_a_claim_on_a_warm_wallet_costs_the_same_among_thousands(autojump_clock: trio.abc.Clock) -> None:
    async def load(names: Iterable[WalletId]) -> dict[WalletId, Book]:
        records = (
            WalletRecord(wallet=name, status=WalletStatus.OPEN, version=Version(1), opened_at=START) for name in names
        )
        return {record.wallet: Book(record) for record in records}

    async def claim(warm: int) -> int:
        roster = Roster(
            Books(), load, max_warm_wallets=10_000, max_mailbox=10, idle_seconds=1e6, settled_sequence=lambda: 0
        )
        ran: list[str] = []

        def wish(*names: str) -> Claim:
            return Claim(
                [WalletId(name) for name in names],
                lambda claim: ran.extend(names),
                lambda declined: pytest.fail(str(declined)),
            )

        async with trio.open_nursery() as nursery:
            await nursery.start(roster.run)
            for number in range(warm):
                roster.claim(wish(f"w{number}"))
            while len(ran) < warm:
                await trio.sleep(1)
            count = steps(lambda: roster.claim(wish("w1", "w2")))
            assert ran[-2:] == ["w1", "w2"], "it ran at once"
            nursery.cancel_scope.cancel()
        return count

    few, many = await claim(FEW), await claim(MANY)
    print(f"{few} steps, {many} steps")
    assert many <= LEEWAY * few


def test_a_token_is_known_at_once_among_thousands_of_clients() -> None:
    def authenticate(clients: int) -> int:
        register = TokenRegister()
        for number in range(clients):
            register.admit(f"token {number}", Grant(Principal(f"client-{number}"), ("spend:w*",)))
        session = Session(register, SessionLimits(max_frame_bytes=9, max_in_flight=9, max_subscriptions=9))
        frame = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "session.authenticate", "params": {"token": "token 3"}}
        ).encode()
        answers: list[Call | Reply] = []
        count = steps(lambda: answers.append(session.receive(frame)))
        answer = answers[0]
        assert isinstance(answer, Reply)
        assert b"client-3" in answer.frame
        return count

    assert_same(authenticate)


def test_whether_a_command_id_was_used_costs_the_same_among_thousands() -> None:
    def ask(ids: int) -> int:
        used = IdFilter(expected=ids)
        for number in range(ids):
            used.add("p", f"order-{number}")
        return steps(lambda: used.may_have("p", "order-3"))

    assert_same(ask)


def test_the_merkle_tree_grows_by_less_than_two_hashes_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = 0
    real = merkle.node_hash

    def counted(left: bytes, right: bytes) -> bytes:
        nonlocal hashed
        hashed += 1
        return real(left, right)

    monkeypatch.setattr(merkle, "node_hash", counted)
    frontier = Frontier()
    for number in range(100_000):
        frontier.append(leaf_hash(b"%d" % number))
    assert hashed < 100_000
    assert len(frontier.to_bytes()) <= 8 + 32 * (100_000).bit_length()


def test_projecting_costs_as_much_as_its_entries() -> None:
    def project(entries: int) -> int:
        folded = [entry_about(f"w{number}", number + 1) for number in range(entries)]
        return steps(lambda: rows_of(folded))

    ten, hundred, thousand = project(10), project(100), project(1_000)
    print(f"{ten}, {hundred} and {thousand} steps for 10, 100 and 1000 entries")
    assert thousand - ten <= LEEWAY * 11 * (hundred - ten)
