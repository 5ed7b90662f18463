"""Every moment of a small history, every range of its statements, in pages of every size: all as the model says.

The model (tests/properties/read_model.py) folds all entries again for each question.  tests/properties asks the same
of random histories.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise, product
from typing import TypeVar

import pytest

from tests.ledger.cases import (
    NOW,
    TICK,
    Ledger,
    batch,
    capture,
    close,
    define,
    freeze,
    limit,
    open_wallet,
    pay,
    place,
    posting,
    refund,
    transfer,
    void,
)
from tests.names import ALICE, BOB, CAROL, EUR
from tests.properties import read_model
from tests.tables.folded import Tables, as_had, as_lines
from walletd.tables.folding import MAX_LINES
from walletd.tables.queries.moments import Moment, sequence_at, sequence_before, time_of
from walletd.tables.queries.past_balances import balances_at
from walletd.tables.queries.statements import Page, Place, Question, read_statement
from walletd.tables.schema import EARLY_ASSETS
from walletd.vocabulary.commands import ExpireHold
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import AssetCode, CommandId, WalletId

Edge = TypeVar("Edge", int, datetime)

WALLETS = [ALICE, BOB, CAROL, WalletId("@external"), WalletId("@fees"), WalletId("late")]
LATE = f"A{EARLY_ASSETS - 1}"
"""An asset that was defined after so many others that its changes stand in another index."""

EDGES = 60
"""Sequences that a range may begin and end at: more than there are entries."""


@cache
def history() -> tuple[Entry, ...]:
    """Entries of every kind: some at one moment, some a microsecond apart, some a second."""
    ledger = Ledger().after(define("EUR", 2), define("BTC", 8))
    ledger.after(*(open_wallet(name) for name in ("@external", "@fees", "alice", "bob", "carol")))
    ledger.bring("alice", "EUR", 1000).bring("alice", "BTC", 7)
    later = NOW + TICK
    ledger.at(later, pay("alice", "bob", "EUR", 100), pay("bob", "alice", "EUR", 1))
    later += TICK
    ledger.at(later, place("alice", "EUR", 300, expires_at=later + timedelta(seconds=2)))
    later += TICK
    both = transfer(
        posting("alice", "bob", "EUR", 5), posting("bob", "@fees", "EUR", 2), posting("alice", "bob", "BTC", 1)
    )
    ledger.at(later, both)
    later += timedelta(seconds=1)
    ledger.at(later, capture("alice", "h12", ("bob", 50), ("carol", 9)), limit("alice", "EUR", credit_limit=70))
    ledger.run(pay("carol", "bob", "EUR", 999), later)  # It is refused.
    later += TICK
    ledger.at(later, batch(pay("alice", "carol", "EUR", 3), place("alice", "BTC", 2), pay("carol", "alice", "EUR", 1)))
    ledger.at(later, refund("t10", posting("bob", "alice", "EUR", 20)))
    later += timedelta(seconds=3)  # What was held has expired, and an entry says so a while later.
    ledger.at(later, pay("carol", "@fees", "EUR", 1), open_wallet("late"), freeze("late"))
    ledger.at(later + TICK, pay("alice", "bob", "EUR", 4), void("alice", "h17.1"))
    ledger.at(later + 2 * TICK, close("bob", "carol"))
    # The last of many assets, and a hold that ends when no entry comes any more.
    ledger.at(later + 2 * TICK, *(define(f"A{n}") for n in range(EARLY_ASSETS)), pay("@external", "carol", LATE, 5))
    ledger.at(later + 3 * TICK, pay("carol", "alice", LATE, 2), pay("carol", "alice", LATE, 1))
    ledger.at(later + 3 * TICK, place("alice", "EUR", 7, expires_at=later + timedelta(seconds=1)))
    return tuple(ledger.entries)


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Read tables of the whole history."""
    folded = Tables()
    folded.fold(history(), random.Random(0), len(history()))
    return folded


def moments() -> list[datetime]:
    """Each time of an entry or of the end of a hold, a microsecond before and a microsecond after it."""
    times = {entry.time for entry in history()}
    times |= {h.expires_at for e in history() if e.effects is not None for h in e.effects.holds if h.expires_at}
    return sorted({time + tick for time in times for tick in (-TICK, timedelta(0), TICK)})


# --- moments and balances ------------------------------------------------------------------------------------------


def test_the_history_has_entries_at_one_moment_and_a_microsecond_apart() -> None:
    times = [entry.time for entry in history()]
    apart = {after - before for before, after in pairwise(times)}
    assert {timedelta(0), TICK} < apart
    assert len(history()) < EDGES
    assert sum(entry.refusal is not None for entry in history()) == 1


def test_the_entry_of_a_moment_is_the_last_of_that_moment_or_before_it(tables: Tables) -> None:
    for moment in moments():
        assert sequence_at(tables.connection, moment) == read_model.last_at(history(), moment), moment
        assert sequence_before(tables.connection, moment) == read_model.last_at(history(), moment - TICK), moment


def test_an_entry_has_the_time_of_its_decision(tables: Tables) -> None:
    assert [time_of(tables.connection, entry.sequence) for entry in history()] == [entry.time for entry in history()]


@pytest.mark.parametrize("wallet", WALLETS)
@pytest.mark.parametrize("asset", [None, EUR, AssetCode("BTC"), AssetCode(LATE)])
def test_after_every_entry_a_wallet_had_what_the_entries_up_to_it_left(
    tables: Tables, wallet: WalletId, asset: AssetCode | None
) -> None:
    for entry in history():
        found = balances_at(tables.connection, wallet, asset, Moment(entry.sequence, entry.time))
        expected = read_model.had(history(), wallet, asset, entry.sequence, entry.time)
        assert as_had(found) == expected, entry.sequence


@pytest.mark.parametrize("wallet", WALLETS)
def test_at_every_microsecond_a_wallet_had_what_it_had_then(tables: Tables, wallet: WalletId) -> None:
    for moment in moments():
        point = Moment(sequence_at(tables.connection, moment), moment)
        expected = read_model.had(history(), wallet, None, read_model.last_at(history(), moment), moment)
        assert as_had(balances_at(tables.connection, wallet, None, point)) == expected, moment


@pytest.mark.parametrize("seconds", [(10, 5, 15), (15, 10, 5), (5, 10, 15)])
@pytest.mark.parametrize("most", [1, 2])
def test_what_had_expired_counts_at_every_point_however_many_entries_record_it(
    seconds: tuple[int, ...], most: int
) -> None:
    """Where more has expired than fits into one entry, several say so, long after: as of before, all of it was free."""
    ledger = Ledger().after(define("ABC"), *(open_wallet(name) for name in ("@external", "alice")))
    ledger.bring("alice", "ABC", 100)
    ledger.after(*(place("alice", "ABC", 1, expires_at=NOW + timedelta(seconds=after)) for after in seconds))
    placed, late = len(ledger.entries), NOW + timedelta(seconds=20)
    while lapsed := ledger.books.wallets["alice"].lapsed(late):
        first = min(lapsed, key=lambda hold: hold.expires_at or late)
        ledger.at(late, ExpireHold(command_id=CommandId("x"), wallet=ALICE, hold=first.hold, most=most))
    tables = Tables()
    tables.fold(ledger.entries, random.Random(0), len(ledger.entries))
    for after in range(20):
        (balance,) = balances_at(tables.connection, ALICE, None, Moment(placed, NOW + timedelta(seconds=after))) or ()
        assert int(balance.held) == sum(after < end for end in seconds), after


# --- statements ----------------------------------------------------------------------------------------------------


def pages_of(tables: Tables, question: Question, size: int) -> Iterator[Page]:
    """All pages of a statement."""
    place: Place | None = None
    for _ in range(EDGES * 4):
        page = read_statement(tables.connection, question, place, size)
        assert page is not None
        yield page
        if page.next is None:
            return
        place = Place.of(*page.next.numbers)
    raise AssertionError(f"it never ends: {question}")


def lines_of(tables: Tables, question: Question, size: int) -> list[read_model.Line]:
    """All lines of a statement."""
    return [line for page in pages_of(tables, question, size) for line in as_lines(page.statement.lines)]


def ranges_of(edges: Sequence[Edge]) -> list[tuple[Edge | None, Edge | None]]:
    """Ranges from and up to each of the edges, and from each to itself, to the next and to the third behind it."""
    ranges: list[tuple[Edge | None, Edge | None]] = [(None, None)]
    for at, edge in enumerate(edges):
        ranges += [(edge, None), (None, edge)]
        ranges += [(edges[place], edge) for place in (at, at - 1, at - 3) if place >= 0]
    return ranges


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_statement_has_every_line_once_whatever_the_size_of_its_pages(
    tables: Tables, size: int, newest_first: bool
) -> None:
    for wallet, asset in product(WALLETS, (None, EUR, AssetCode("BTC"), AssetCode(LATE))):
        expected = [line for line in read_model.lines(history(), wallet) if asset in (None, line.asset)]
        found = lines_of(tables, Question(wallet, asset, newest_first=newest_first), size)
        assert found == (expected[::-1] if newest_first else expected), wallet


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 4])
def test_a_range_of_entries_begins_with_its_first_and_ends_before_its_last(
    tables: Tables, size: int, newest_first: bool
) -> None:
    whole = read_model.lines(history(), ALICE)
    for since, until in ranges_of([*range(1, EDGES)]):
        question = Question(ALICE, since=since, until=until, newest_first=newest_first)
        expected = [line for line in whole if (since or 1) <= line.sequence < (until or EDGES)]
        assert lines_of(tables, question, size) == (expected[::-1] if newest_first else expected), (since, until)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_range_of_moments_begins_with_its_first_microsecond_and_ends_before_its_last(
    tables: Tables, newest_first: bool
) -> None:
    times: dict[int, datetime] = {entry.sequence: entry.time for entry in history()}
    whole = read_model.lines(history(), ALICE)
    for since, until in ranges_of(moments()):
        question = Question(ALICE, since=since, until=until, newest_first=newest_first)
        expected = [
            line
            for line in whole
            if (since is None or times[line.sequence] >= since) and (until is None or times[line.sequence] < until)
        ]
        assert lines_of(tables, question, 3) == (expected[::-1] if newest_first else expected), (since, until)


def test_a_statement_opens_with_what_there_was_before_its_range_and_closes_with_what_there_was_at_its_end(
    tables: Tables,
) -> None:
    for wallet, (since, until) in product((ALICE, BOB), ranges_of([*range(1, len(history()) + 2)])):
        for page in pages_of(tables, Question(wallet, since=since, until=until), 2):
            before, at_end = (since or 1) - 1, (until or len(history()) + 1) - 1
            for edge, ends in ((before, page.statement.opening), (at_end, page.statement.closing)):
                stood = read_model.had(history(), wallet, None, edge, NOW) or []
                posted = {one.asset: one.posted for one in stood if one.posted}
                assert {end.asset: int(end.posted) for end in ends if int(end.posted)} == posted, (since, until)


@pytest.mark.parametrize("kind", ["transfer", "refund", "capture", "sweep"])
@pytest.mark.parametrize("counterparty", [None, BOB, CAROL])
def test_a_statement_of_one_kind_or_one_counterparty_has_all_of_it(
    tables: Tables, kind: str, counterparty: WalletId | None
) -> None:
    for wallet, size in product(WALLETS, (1, 2, 100)):
        expected = [
            line
            for line in read_model.lines(history(), wallet)
            if line.kind == kind and counterparty in (None, line.counterparty)
        ]
        assert lines_of(tables, Question(wallet, counterparty=counterparty, kind=kind), size) == expected


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", range(1, 8))
def test_a_page_may_end_between_two_changes_by_one_entry(size: int, newest_first: bool) -> None:
    """One entry holds one asset and moves another: no page may take the first for the end of the entry."""
    ledger = Ledger().after(
        define("ABC"), define("XYZ"), *(open_wallet(name) for name in ("@external", "alice", "bob"))
    )
    ledger.bring("alice", "ABC", 100).bring("alice", "XYZ", 100)
    both = batch(place("alice", "ABC", 1), pay("alice", "bob", "XYZ", 1))
    for holds in (0, 1, 2, 1, 0):
        ledger.after(*[place("alice", "ABC", 1) for _ in range(holds)], both)
    tables = Tables()
    tables.fold(ledger.entries, random.Random(0), len(ledger.entries))
    expected = read_model.lines(ledger.entries, ALICE)
    found = lines_of(tables, Question(ALICE, newest_first=newest_first), size)
    assert found == (expected[::-1] if newest_first else expected)
    assert len(found) == 2 + 5


def test_a_statement_stays_of_the_moment_of_its_first_page_while_new_entries_come() -> None:
    for first, size in product(range(8, len(history())), (1, 3)):
        tables, place, found = Tables(), None, list[read_model.Line]()
        tables.fold(history(), random.Random(0), first)
        while True:
            page = read_statement(tables.connection, Question(ALICE), place, size)
            assert page is not None
            assert page.statement.sequence == first
            found += as_lines(page.statement.lines)
            place = page.next
            if place is None:
                break
            tables.fold(history(), random.Random(0), min(len(history()), tables.sequence + 1))
        assert found == read_model.lines(history()[:first], ALICE)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [7, MAX_LINES, 1000])
def test_an_entry_with_more_lines_of_a_balance_than_a_row_takes_reads_like_any_other(
    size: int, newest_first: bool
) -> None:
    ledger = Ledger().after(define("EUR", 2), *(open_wallet(name) for name in ("@external", "alice", "bob")))
    ledger.bring("alice", "EUR", 1000)
    many = [posting("alice", "bob", "EUR", 1 + n % 3) for n in range(2 * MAX_LINES + 1)]
    ledger.after(transfer(*many), pay("bob", "alice", "EUR", 5))
    tables = Tables()
    tables.fold(ledger.entries, random.Random(0), len(ledger.entries))
    for wallet in (ALICE, BOB):
        expected = read_model.lines(ledger.entries, wallet)
        found = lines_of(tables, Question(wallet, newest_first=newest_first), size)
        assert found == (expected[::-1] if newest_first else expected)
    (balance,) = balances_at(tables.connection, BOB, None, Moment(len(ledger.entries) - 1, NOW)) or ()
    assert int(balance.posted) == sum(line.amount for line in read_model.lines(ledger.entries, "bob")[:-1])
