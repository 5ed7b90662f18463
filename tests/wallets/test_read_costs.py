"""What a read costs does not grow with what is there: SQLite's own steps are counted in small tables and in large."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import apsw
import pytest

from tests.complexity.counting import rounds_counted
from tests.ledger import cases
from tests.state_file import fold_into, tables_in_memory
from walletd.tables.queries.moments import Moment, sequence_at
from walletd.tables.queries.past_balances import balances_at
from walletd.tables.queries.search import Search, find_wallets
from walletd.tables.queries.statements import Question, read_statement
from walletd.tables.schema import (
    microseconds,
)
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry, Freeze, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, CommandId, Principal, Sequence, Version, WalletId
from walletd.vocabulary.states import FrozenSide, WalletStatus

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SMALL, LARGE = 300, 6_000
LEEWAY = 1.7
"""A B-tree and a search by halving are some levels deeper; what was read in full would be twenty times as much."""


def tables_of(size: int) -> apsw.Connection:
    """So many wallets, three of them gold and one frozen, and as many payments to the first from the second."""
    entries: list[Entry] = []
    for number in range(1, size + 1):
        name = f"w{number:06}"
        record = WalletRecord(
            wallet=WalletId(name),
            status=WalletStatus.FROZEN if number == size - 1 else WalletStatus.OPEN,
            freeze=Freeze(frozen=FrozenSide.BOTH, why="w") if number == size - 1 else None,
            version=Version(1),
            opened_at=START,
            metadata={"tier": "gold" if number in (2, size // 2, size) else "tin", "city": "Ulm"},
        )
        command = cases.open_wallet(name, command_id=f"o{number}")
        entries.append(entry(len(entries) + 1, command, Effects(wallets=(record,))))
    for number in range(1, size + 1):
        asset = "RARE" if number in (3, size // 2) else "EUR"
        balances = tuple(
            BalanceRecord(WalletId(name), AssetCode(asset), str(sign * number), "0", None, Version(number + 1))
            for name, sign in (("w000001", 1), ("w000002", -1))
        )
        posting = cases.posting("w000002", "w000001", asset, 1)
        paid = PostTransfer(command_id=CommandId(f"p{number}"), postings=(posting,))
        entries.append(entry(len(entries) + 1, paid, Effects(balances=balances)))
    connection = tables_in_memory()
    fold_into(connection, entries)
    progress = (4, "i", 1, len(entries), b"", microseconds(entries[-1].time))
    connection.execute("INSERT INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", progress)
    return connection


def entry(sequence: int, command: Any, effects: Effects) -> Entry:
    return Entry(
        sequence=Sequence(sequence),
        time=START + sequence * SECOND,
        principal=Principal("p"),
        command=command,
        effects=effects,
    )


@pytest.fixture(scope="module")
def tables() -> tuple[tuple[int, apsw.Connection], ...]:
    return tuple((size, tables_of(size)) for size in (SMALL, LARGE))


def steps_of(connection: apsw.Connection, read: Callable[[], Any]) -> int:
    """How many steps SQLite's machine takes for it."""
    with rounds_counted(connection) as counted:
        assert read()
    return counted[0]


def search(**params: Any) -> Callable[[apsw.Connection, int], Any]:
    return lambda connection, size: find_wallets(connection, Search(**params), START, None, 2).names


def statement(**params: Any) -> Callable[[apsw.Connection, int], Any]:
    def read(connection: apsw.Connection, size: int) -> Any:
        return read_statement(connection, Question(WalletId("w000001"), **params), None, 5)

    return read


READS: dict[str, Callable[[apsw.Connection, int], Any]] = {
    "a balance early in a long history": lambda c, size: balances_at(
        c, WalletId("w000001"), None, Moment(size + 9, START)
    ),
    "a balance late in a long history": lambda c, size: balances_at(
        c, WalletId("w000001"), None, Moment(2 * size, START)
    ),
    "the place of a time": lambda c, size: sequence_at(c, START + size * SECOND),
    "wallets by name": search(prefix="w"),
    "a rare word among many wallets": search(metadata={"tier": "gold"}),
    "a rare word and a common one": search(metadata={"city": "Ulm", "tier": "gold"}),
    "a rare status among many wallets": search(status=WalletStatus.FROZEN),
    "a common status": search(status=WalletStatus.OPEN),
    "a rare word and a status": search(metadata={"tier": "gold"}, status=WalletStatus.OPEN),
    "a statement from its beginning": statement(),
    "a statement from its end": statement(newest_first=True),
    "a statement of a range by time": statement(since=START + (SMALL + 9) * SECOND, until=START + 2 * SMALL * SECOND),
    "the first lines of a common asset": statement(asset="EUR"),
    "the last lines of a common asset": statement(asset="EUR", newest_first=True),
    "the lines of a rare asset": statement(asset="RARE"),
    "the last lines of a rare asset": statement(asset="RARE", newest_first=True),
}


@pytest.mark.parametrize("what", READS)
def test_a_read_takes_no_more_steps_where_there_is_twenty_times_as_much(
    tables: tuple[tuple[int, apsw.Connection], ...], what: str
) -> None:
    small, large = (steps_of(connection, partial(READS[what], connection, size)) for size, connection in tables)
    print(f"{what}: {small} steps, {large} steps")
    assert large <= LEEWAY * small


@pytest.mark.parametrize(
    "params", [{"kind": "refund"}, {"counterparty": "nobody"}, {"kind": "sweep", "newest_first": True}]
)
def test_a_page_of_lines_that_hardly_ever_fit_is_bounded_and_says_where_to_go_on(
    tables: tuple[tuple[int, apsw.Connection], ...], params: dict[str, Any]
) -> None:
    _, connection = tables[1]
    page = read_statement(connection, Question(WalletId("w000001"), **params), None, 5)
    pages = 1
    while page is not None and page.next is not None:
        assert page.statement.lines == ()
        page = read_statement(connection, Question(WalletId("w000001"), **params), page.next, 5)
        pages += 1
    assert pages == LARGE // 2_000
