"""What a look-up in the files costs does not grow with what is there: SQLite's own rounds are counted."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw
import pytest

from tests.complexity.counting import Connection, rounds_counted
from tests.ledger import cases
from tests.names import EUR
from tests.state_file import fold_into, tables_in_memory
from walletd.journal.sqlite.rows import AFTER, HOLDING, LAST
from walletd.journal.sqlite.schema import SCHEMA as JOURNAL_SCHEMA
from walletd.tables.command_ids import PROBE
from walletd.tables.queries import books, holds
from walletd.tables.queries import wallets as queries
from walletd.tables.schema import (
    microseconds,
)
from walletd.upkeep import books_audit
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry, HoldRecord, WalletRecord
from walletd.vocabulary.identifiers import HoldId, Principal, Version, WalletId
from walletd.vocabulary.identifiers import Sequence as SequenceNumber
from walletd.vocabulary.states import HoldState, WalletStatus

START = datetime(2030, 1, 1, tzinfo=UTC)
SMALL, LARGE = 300, 6_000
LEEWAY = 1.7
STILL_OPEN = 5


def tables_of(holds: int) -> apsw.Connection:
    """A wallet that placed so many holds, all but five of them long over; and as many command ids and balances."""
    entries = []
    for number in range(1, holds + 1):
        record = HoldRecord(
            hold=HoldId(f"h{number}"),
            wallet=WalletId("hotel"),
            asset=EUR,
            amount="10",
            state=HoldState.OPEN if number > holds - STILL_OPEN else HoldState.VOIDED,
            placed_at=START,
            expires_at=START + timedelta(days=9),
        )
        balance = BalanceRecord(WalletId(f"w{number:06}"), EUR, "0", "0", "0", Version(1))
        command = cases.place("hotel", "EUR", 10, command_id=f"c{number}")
        opened = WalletRecord(wallet=balance.wallet, status=WalletStatus.OPEN, version=Version(1), opened_at=START)
        effects = Effects(wallets=(opened,), holds=(record,), balances=(balance,))
        entries.append(
            Entry(
                sequence=SequenceNumber(number), time=START, principal=Principal("p"), command=command, effects=effects
            )
        )
    connection = tables_in_memory()
    fold_into(connection, entries)
    return connection


def journal_of(segments: int) -> sqlite3.Connection:
    """A journal of so many segments of one entry."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in JOURNAL_SCHEMA:
        connection.execute(statement)
    rows = ((number, 1, 1, 1, bytes(32), bytes(32), b"{}" * 200) for number in range(1, segments + 1))
    connection.executemany("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return connection


@pytest.fixture(scope="module")
def tables() -> tuple[tuple[int, apsw.Connection], ...]:
    return tuple((size, tables_of(size)) for size in (SMALL, LARGE))


@pytest.fixture(scope="module")
def journals() -> tuple[tuple[int, sqlite3.Connection], ...]:
    """Both longer than the 512 segments of which one read at most looks at the lengths."""
    return tuple((size, journal_of(size)) for size in (4 * SMALL, 4 * LARGE))


def rows(statement: str, *values: Any) -> Callable[[Connection, int], Any]:
    def read(connection: Connection, size: int) -> Any:
        given = tuple(value(size) if callable(value) else value for value in values)
        return connection.execute(statement, given).fetchall()

    return read


NOW = microseconds(START)
LOOK_UPS: dict[str, Callable[[Connection, int], Any]] = {
    "a command id": rows(PROBE, "p", lambda size: f"c{size // 2}"),
    "a hold": rows(holds.HOLD, lambda size: size // 2, -1),
    "the open holds of a wallet": rows(holds.OPEN_HOLDS, "hotel", 0, 0),
    "a page of all holds of a wallet": rows(f"{holds.ALL_HOLDS} LIMIT 10", "hotel", 0, 0),
    "the open holds of a wallet that gets warm": rows(books.OPEN_HOLDS, json.dumps(["hotel"]), "", 0, 0, 100),
    "the open holds of a wallet that gets warm alone": rows(books.ITS_OPEN_HOLDS, "hotel", "", 0, 0, 100),
    "a wallet that gets warm alone": rows(books.ITS_BALANCES, "w000001", "", "", 100),
    "a wallet that gets warm": rows(books.BALANCES, json.dumps(["w000001"]), "", "", 100),
    "a wallet in a page": rows(queries.SOME_WALLETS, json.dumps(["w000001"])),
    "the lapsed holds of a wallet in a page": rows(holds.LAPSED_HOLDS, json.dumps(["hotel"]), NOW),
    "a page of the next expiries": rows(holds.EXPIRIES, NOW, 0, 0, 3),
    "whether a wallet is there": rows(queries.IS_THERE, "w000001"),
}
SEGMENTS: dict[str, Callable[[Connection, int], Any]] = {
    "the last segment": rows(LAST),
    "the segment of an entry": rows(HOLDING, lambda size: size // 2),
    "a page of segments": rows(AFTER, lambda size: size // 2, 4_000),
}


def assert_same(sized: Sequence[tuple[int, Connection]], look_up: Callable[..., Any]) -> None:
    counts = []
    for size, connection in sized:
        with rounds_counted(connection) as counted:
            look_up(connection, size)
        counts.append(counted[0])
    small, large = counts
    print(f"{small} rounds, {large} rounds")
    assert large <= LEEWAY * small


@pytest.mark.parametrize("what", LOOK_UPS)
def test_a_look_up_takes_no_more_steps_where_there_is_twenty_times_as_much(
    tables: tuple[tuple[int, apsw.Connection], ...], what: str
) -> None:
    assert_same(tables, LOOK_UPS[what])


@pytest.mark.parametrize("what", SEGMENTS)
def test_reading_the_journal_takes_no_more_steps_where_it_is_twenty_times_as_long(
    journals: tuple[tuple[int, sqlite3.Connection], ...], what: str
) -> None:
    assert_same(journals, SEGMENTS[what])


def test_an_audit_is_linear_in_the_balances(tables: tuple[tuple[int, apsw.Connection], ...]) -> None:
    def audit(connection: apsw.Connection) -> int:
        last, pages = ("", ""), 0
        while page := books_audit._page(connection, (*last, 100, 10**9)):
            last, pages = page[-1][:2], pages + 1
        return pages

    counts = []
    for _, connection in tables:
        with rounds_counted(connection) as counted:
            audit(connection)
        counts.append(counted[0])
    assert counts[1] <= 1.1 * (LARGE / SMALL) * counts[0]
