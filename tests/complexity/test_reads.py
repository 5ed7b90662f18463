"""What a read costs is bounded by what it returns, in whichever direction the data grows.

SQLite's steps and Python's bytecodes are counted, of a customer's wallet and of @external, which takes part in all.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import apsw
import msgspec
import pytest

from tests.complexity.counting import rounds_counted, steps
from tests.ledger import cases
from tests.ledger.cases import NOW, define, market, pay, place
from tests.names import EUR
from tests.state_file import fold_into, tables_in_memory
from walletd.ledger.book import Book
from walletd.ledger.client_book import ClientBook
from walletd.protocol import pages
from walletd.protocol.messages.clients import (
    ListClients,
)
from walletd.sessions.access import Grant
from walletd.sessions.client_view import client_page
from walletd.tables.queries import books, statements
from walletd.tables.queries import holds as hold_queries
from walletd.tables.queries import search as wallet_search
from walletd.tables.queries import wallets as queries
from walletd.tables.queries.books import BookLoading
from walletd.tables.queries.holds import page_of_holds
from walletd.tables.queries.moments import Moment
from walletd.tables.queries.past_balances import balances_at
from walletd.tables.queries.search import Search, find_wallets
from walletd.tables.queries.statements import Question, read_statement
from walletd.tables.schema import (
    microseconds,
)
from walletd.vocabulary.commands import PostTransfer, WalletLimits, Window
from walletd.vocabulary.entries import (
    AssetRecord,
    BalanceRecord,
    ClientRecord,
    CountedFrom,
    Effects,
    Entry,
    HoldRecord,
    OutflowRecord,
    WalletRecord,
)
from walletd.vocabulary.identifiers import (
    EXTERNAL,
    AssetCode,
    CommandId,
    HoldId,
    Principal,
    Sequence,
    Version,
    WalletId,
)
from walletd.vocabulary.states import HoldState, WalletStatus

pytestmark = pytest.mark.interpreted  # what is compiled takes no steps of Python's

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LATER = START + timedelta(days=300)
SMALL, LARGE = 150, 3_000
"""Both more than the assets that a statement walks one by one, and those of which each of its pages states what
there was."""
LEEWAY = 1.7
"""A B-tree is some levels deeper; what was read in full would be twenty times as much."""


class History:
    """Entries, one after the other, with the records that each of them leaves."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.versions: dict[str, Version] = {}

    @property
    def sequence(self) -> Sequence:
        return Sequence(len(self.entries) + 1)

    def add(self, command: Any = None, **effects: Any) -> None:
        command = command or cases.define("X", 0, command_id=f"c{self.sequence}")
        time = START + self.sequence * SECOND
        record = Entry(
            sequence=self.sequence,
            time=time,
            principal=Principal("p"),
            command=command,
            effects=Effects(**effects),
        )
        self.entries.append(record)

    def version(self, wallet: str) -> Version:
        self.versions[wallet] = Version(self.versions.get(wallet, 0) + 1)
        return self.versions[wallet]

    def open(self, wallet: str, **record: Any) -> None:
        wallets = (
            WalletRecord(
                wallet=WalletId(wallet),
                status=WalletStatus.OPEN,
                version=self.version(wallet),
                opened_at=START,
                **record,
            ),
        )
        self.add(wallets=wallets)

    def pay(self, to: str, asset: str) -> None:
        """One of the asset to the wallet from @external."""
        balances = tuple(
            BalanceRecord(WalletId(name), AssetCode(asset), amount, "0", amount, self.version(name))
            for name, amount in (("@external", "-1"), (to, "1"))
        )
        posting = cases.posting("@external", to, asset, 1)
        self.add(PostTransfer(command_id=CommandId(f"c{self.sequence}"), postings=(posting,)), balances=balances)

    def define(self, asset: str) -> None:
        self.add(assets=(AssetRecord(AssetCode(asset), 2),))

    def hold(self, wallet: str, state: HoldState, expires_at: datetime) -> None:
        record = HoldRecord(
            hold=HoldId(f"h{self.sequence}"),
            wallet=WalletId(wallet),
            asset=AssetCode("A0"),
            amount="1",
            state=state,
            placed_at=START,
            expires_at=expires_at,
        )
        self.add(
            holds=(record,),
            balances=(BalanceRecord(WalletId(wallet), AssetCode("A0"), "0", "1", "-1", self.version(wallet)),),
        )

    def tables(self) -> apsw.Connection:
        connection = tables_in_memory()
        fold_into(connection, self.entries)
        progress = (4, "i", 1, len(self.entries), b"", microseconds(self.entries[-1].time))
        connection.execute("INSERT INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", progress)
        return connection


WALLETS = ("big", "@external")


def assets_of(history: History, size: int) -> None:
    for number in range(1, size):
        history.define(f"A{number}")
        history.pay("big", f"A{number}")


def entries_of(history: History, size: int) -> None:
    for _ in range(size):
        history.pay("big", "A0")


def wallets_of(history: History, size: int) -> None:
    for number in range(size):
        history.open(f"other{number:05}")
        history.pay(f"other{number:05}", "A0")


def metadata_of(history: History, size: int) -> None:
    for number in range(size):
        history.open(f"other{number:05}", metadata={"tier": "tin", f"k{number % 16}": str(number)})


def open_holds_of(history: History, size: int) -> None:
    for name in WALLETS:
        for _ in range(size):
            history.hold(name, HoldState.OPEN, LATER)


def closed_holds_of(history: History, size: int) -> None:
    for name in WALLETS:
        for _ in range(size):
            history.hold(name, HoldState.VOIDED, LATER)


def expired_holds_of(history: History, size: int) -> None:
    for name in WALLETS:
        for _ in range(size):
            history.hold(name, HoldState.EXPIRED, START)


def lapsed_holds_of(history: History, size: int) -> None:
    for name in WALLETS:
        for _ in range(size):
            history.hold(name, HoldState.OPEN, START)


def outflows_of(history: History, size: int) -> None:
    for name in WALLETS:
        for number in range(size):
            record = OutflowRecord(
                wallet=WalletId(name),
                asset=AssetCode("A0"),
                sequence=history.sequence,
                command=0,
                time=START + number * SECOND,
                amount="1",
            )
            history.add(outflows=(record,))


DIMENSIONS: dict[str, Callable[[History, int], None]] = {
    "assets": assets_of,
    "entries": entries_of,
    "wallets": wallets_of,
    "metadata": metadata_of,
    "open holds": open_holds_of,
    "closed holds": closed_holds_of,
    "expired holds": expired_holds_of,
    "lapsed holds": lapsed_holds_of,
    "outflows": outflows_of,
}


@cache
def tables(dimension: str, size: int) -> apsw.Connection:
    """@external and a wallet, both with so much of it."""
    history = History()
    history.define("A0")
    for name in WALLETS:
        history.open(name, metadata={"tier": "gold"})
    for _ in range(20):
        history.pay("big", "A0")
    for name in WALLETS:
        history.hold(name, HoldState.OPEN, LATER)
    DIMENSIONS[dimension](history, size)
    return history.tables()


def cost(connection: apsw.Connection, read: Callable[[apsw.Connection], Any]) -> tuple[int, int]:
    """SQLite's steps and Python's."""
    with rounds_counted(connection) as counted:
        assert read(connection)
    return counted[0], steps(lambda: read(connection))


def statement(wallet: str, **params: Any) -> Callable[[apsw.Connection], Any]:
    return lambda tables: read_statement(tables, Question(WalletId(wallet), **params), None, 5)


def holds(wallet: str, also_closed: bool) -> Callable[[apsw.Connection], Any]:
    return lambda tables: page_of_holds(
        tables, wallet=WalletId(wallet), also_closed=also_closed, after=None, limit=5, now=START
    )


def wallets(search: Search) -> Callable[[apsw.Connection], Any]:
    def read(tables: apsw.Connection) -> Any:
        found = find_wallets(tables, search, START, None, 3)
        return queries._wallet_page(tables, found.names, START, found.next)

    return read


BY_WALLET: dict[str, Callable[[str], Callable[[apsw.Connection], Any]]] = {
    "a statement": statement,
    "a statement, newest first": lambda wallet: statement(wallet, newest_first=True),
    "a statement of one asset": lambda wallet: statement(wallet, asset="A0"),
    "a statement of a range": lambda wallet: statement(wallet, since=5, until=20),
    "one balance as of a point before": lambda wallet: (
        lambda t: balances_at(t, WalletId(wallet), AssetCode("A0"), Moment(30, START))
    ),
    "one balance as of the end": lambda wallet: (
        lambda t: balances_at(t, WalletId(wallet), AssetCode("A0"), Moment(10**9, START))
    ),
    "open holds": lambda wallet: holds(wallet, False),
    "all holds": lambda wallet: holds(wallet, True),
}
READS: dict[str, Callable[[apsw.Connection], Any]] = {
    **{f"{what} of {wallet}": read(wallet) for what, read in BY_WALLET.items() for wallet in WALLETS},
    "wallets by a word": wallets(Search(metadata={"tier": "gold"})),
    "wallets by two words": wallets(Search(prefix="b", metadata={"tier": "gold", "city": "Ulm"})),
}
EXEMPT = {
    # The cost of these may grow: what they return grows, or what they find was given back.
    ("assets", "wallets by a word"): "it returns all assets of the wallets that it finds; a page is bounded below",
    ("expired holds", "one balance as of a point before"): "what all of them held had to be given back at that point",
    ("lapsed holds", "one balance as of a point before"): "what all of them held is given back",
    ("lapsed holds", "one balance as of the end"): "what all of them held is given back",
    ("lapsed holds", "wallets by a word"): "what all of them held is given back",
}


def pairs() -> list[tuple[str, str]]:
    """Every read with everything that may grow, but for the exempt ones."""
    named = {what: what.partition(" of @")[0].partition(" of big")[0] for what in READS}
    assert {what for _, what in EXEMPT} <= set(named.values())
    return [(what, dimension) for what in READS for dimension in DIMENSIONS if (dimension, named[what]) not in EXEMPT]


@pytest.fixture(autouse=True)
def pages_that_look_at_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is bounded by the rows that a page looks at is so in the small tables, too."""
    for module in (statements, wallet_search, hold_queries):
        monkeypatch.setattr(module, "MAX_VISITED", 100)


@pytest.mark.parametrize(("what", "dimension"), pairs())
def test_a_read_costs_as_much_as_it_returns_whatever_grows(what: str, dimension: str) -> None:
    small, large = (cost(tables(dimension, size), READS[what]) for size in (SMALL, LARGE))
    print(f"{what}: {small} and {large} steps of SQLite and of Python beside {SMALL} and {LARGE} {dimension}")
    assert large[0] <= LEEWAY * small[0] + 50
    assert large[1] <= LEEWAY * small[1] + 200


def test_a_page_of_wallets_ends_where_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    found, names = tables("assets", SMALL), [EXTERNAL, WalletId("big")]
    whole = queries._wallet_page(found, names, START, None)
    assert ([view.wallet for view in whole.wallets], whole.next) == (names, None)
    first, second = (len(msgspec.json.encode(view)) for view in whole.wallets)
    monkeypatch.setattr(pages, "PAGE_BYTES", first + second // 2)
    page = queries._wallet_page(found, names, START, None)
    assert (page.wallets, page.next) == (whole.wallets[:1], "@external")
    monkeypatch.setattr(pages, "PAGE_BYTES", first // 2)
    page = queries._wallet_page(found, names, START, None)
    (view,) = page.wallets
    assert (view.wallet, page.next) == ("@external", "@external")
    assert 1 < len(view.balances) < SMALL
    assert view.balances == whole.wallets[0].balances[: len(view.balances)]
    assert (view.next, view.version) == (view.balances[-1].asset, whole.wallets[0].version)


def test_of_many_assets_a_page_states_those_that_its_lines_move() -> None:
    found = tables("assets", SMALL)
    page = read_statement(found, Question(WalletId("big"), since=1 + SMALL), None, 5)
    assert page is not None
    lines, opening, closing = page.statement.lines, page.statement.opening, page.statement.closing
    assert page.statement.partial
    assert len(lines) == 5
    assert sorted({line.asset for line in lines}) == [b.asset for b in opening] == [b.asset for b in closing]
    assert {(b.asset, b.posted) for b in closing} <= {
        (b.asset, b.posted) for b in balances_at(found, WalletId("big"), None, Moment(10**9, START)) or ()
    }
    few = read_statement(found, Question(WalletId("big"), asset=AssetCode("A7")), None, 5)
    assert few is not None
    assert not few.statement.partial


# --- books that get warm -------------------------------------------------------------------------------------------


def contents(book: Book) -> Any:
    balances = {asset: (balance.posted, balance.held) for asset, balance in book.balances.items()}
    return book.record(), balances, book.holds, sorted(book.expiries), [*book.outflow_records()]


def crowd() -> apsw.Connection:
    """Wallets of many kinds: with nothing, with much of one thing, with something of each."""
    history = History()
    counted = {AssetCode(name): CountedFrom(sequence=Sequence(1), command=0) for name in ("A0", "A1")}
    limits = {asset: WalletLimits(velocity=(Window(seconds=10_000, amount="9"),)) for asset in counted}
    for number in range(12):
        history.define(f"A{number}")
    for name in ("@external", "bare", "rich", "hotel", "spender", "zoo"):
        history.open(name, **({"limits": limits, "counted_from": counted} if name in ("spender", "zoo") else {}))
    for number in range(12):
        history.pay("rich", f"A{number}")
        history.pay("zoo", f"A{number % 3}")
        history.hold("hotel", HoldState.OPEN if number % 3 else HoldState.VOIDED, LATER + number * SECOND)
        history.hold("zoo", HoldState.OPEN, LATER)
    for number in range(14):
        for name, asset in (("spender", "A0"), ("spender", "A1"), ("zoo", "A1")):
            time = START + (number // 3) * SECOND
            record = OutflowRecord(
                wallet=WalletId(name),
                asset=AssetCode(asset),
                sequence=history.sequence,
                command=0,
                time=time,
                amount="1",
            )
            history.add(outflows=(record,))
    return history.tables()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12, 13, 1_000])
def test_books_are_the_same_in_slices_of_any_size(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = crowd()
    kinds = "zoo", "bare", "nobody", "@external", "hotel", "rich", "spender"
    names = [WalletId(name) for name in kinds]
    whole = books.load_books(found, names)
    hotel, rich, spender, zoo = (whole[WalletId(name)] for name in ("hotel", "rich", "spender", "zoo"))
    assert sorted(whole) == sorted({*names} - {"nobody"})
    assert [len(hotel.holds), len(zoo.holds), len(rich.balances)] == [8, 12, 12]
    assert [len([*book.outflow_records()]) for book in (spender, zoo, rich)] == [28, 14, 0]
    monkeypatch.setattr(books, "SLICE", size)
    sliced = books.load_books(found, names)
    assert {name: contents(book) for name, book in sliced.items()} == {
        name: contents(book) for name, book in whole.items()
    }


@pytest.mark.parametrize("others", [0, books.FEW])
@pytest.mark.parametrize("dimension", ["assets", "open holds"])
def test_a_book_is_loaded_in_slices_that_do_not_grow(
    dimension: str, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "SLICE", 100)
    names = [WalletId(name) for name in ("big", *(f"other-{number}" for number in range(others)))]

    def dearest(size: int) -> tuple[int, int]:
        found, loading, slices = tables(dimension, size), BookLoading(names), [0]
        is_more = True
        while is_more:
            with rounds_counted(found) as counted:
                is_more = loading.read_some(found)
            slices.append(counted[0])
        return max(slices), len(slices)

    small, large = dearest(SMALL), dearest(LARGE)
    print(f"{small} and {large} steps of the dearest slice, and slices")
    assert large[0] <= LEEWAY * small[0]
    assert large[1] >= LARGE // 100


def test_a_book_is_loaded_without_the_holds_and_outflows_that_are_over() -> None:
    for dimension in ("closed holds", "expired holds", "entries", "wallets", "outflows"):
        small, large = (
            cost(tables(dimension, size), lambda t: books.load_books(t, [WalletId("big")])) for size in (SMALL, LARGE)
        )
        assert large[0] <= LEEWAY * small[0] + 50, dimension


# --- from memory ---------------------------------------------------------------------------------------------------


def book(**much: int) -> Book:
    """A wallet with so many assets, open holds, or holds that expire a second from now."""
    ledger = market().bring("alice", "EUR", 100_000)
    ledger.after(*(define(f"A{number}") for number in range(much.get("assets", 0))))
    ledger.after(*(pay("@external", "alice", f"A{number}", 1) for number in range(much.get("assets", 0))))
    ledger.with_many_holds("alice", much.get("holds", 0))
    ledger.after(place("alice", "EUR", 7, expires_at=NOW + SECOND))
    alice: Book = ledger.books.wallets["alice"]
    return alice


@pytest.mark.parametrize("dimension", ["assets", "holds"])
def test_one_balance_is_read_from_memory_at_the_same_cost(dimension: str) -> None:
    def read(size: int) -> int:
        one = book(**{dimension: size})
        return steps(lambda: one.balance_record(EUR, NOW + SECOND))

    few, many = read(10), read(2_000)
    print(f"{few} and {many} steps beside 10 and 2,000 {dimension}")
    assert many <= LEEWAY * few


def test_a_page_of_clients_costs_as_much_as_it_has() -> None:
    def page(clients: int) -> int:
        book = ClientBook(
            ClientRecord(
                client=Principal(f"c{n:05}"),
                scopes=("view",),
                tokens=(),
                created_by=Principal("operator"),
                created_at=START,
            )
            for n in range(clients)
        )
        admin = Grant(Principal("admin"), ("admin",))
        asked = ListClients(after=Principal(f"c{clients // 2:05}"), limit=3)
        assert client_page(book, admin, asked, START).clients[0].client == f"c{clients // 2 + 1:05}"
        book.put(
            ClientRecord(
                client=Principal("b"), scopes=("view",), tokens=(), created_by=Principal("operator"), created_at=START
            )
        )
        book.forget(Principal("c00001"))
        assert [c.client for c in client_page(book, admin, ListClients(limit=3), START).clients] == [
            "b",
            "c00000",
            "c00002",
        ]
        return steps(lambda: client_page(book, admin, asked, START))

    few, many = page(10), page(2_000)
    print(f"{few} and {many} steps")
    assert many <= LEEWAY * few
