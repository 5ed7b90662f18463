"""Reads of random histories: every point of the past, every filter, pages of any size while new entries arrive."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.cases import NOW, Ledger, batch, define, open_wallet, pay, place
from tests.ledger.core import REAL
from tests.properties import read_model, times
from tests.properties.programs import ASSETS, PRELUDE, START, TICK, WALLETS, Run, Step, programs
from tests.state_file import fold_into, tables_in_memory
from walletd.protocol.messages import Statement
from walletd.tables.queries import search as wallet_search
from walletd.tables.queries import statements
from walletd.tables.queries.moments import Moment, sequence_at, time_of
from walletd.tables.queries.past_balances import balances_at
from walletd.tables.queries.search import Search, find_wallets
from walletd.tables.queries.statements import Question, read_statement
from walletd.tables.schema import (
    microseconds,
)
from walletd.vocabulary.commands import CloseWallet, ExpireHold, FreezeWallet, OpenWallet, UnfreezeWallet, UpdateWallet
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import CommandId, WalletId
from walletd.vocabulary.states import WalletStatus

KINDS = ["transfer", "refund", "capture", "sweep"]


@pytest.fixture(autouse=True)
def pages_that_look_at_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the bound on what a page looks at is met in histories of some forty entries."""
    monkeypatch.setattr(statements, "MAX_VISITED", 3)
    monkeypatch.setattr(wallet_search, "MAX_VISITED", 3)


class Tables:
    """Read tables in memory, into which entries are folded in runs of any length, as the projector does it."""

    def __init__(self) -> None:
        self.connection = tables_in_memory()
        self.sequence = 0

    def fold(self, entries: Sequence[Entry], chance: random.Random, until: int) -> None:
        """Fold entries up to and including this one."""
        while self.sequence < until:
            run = entries[self.sequence : min(until, self.sequence + chance.randint(1, 9))]
            fold_into(self.connection, run)
            self.sequence = run[-1].sequence
            progress = (4, "i", 1, self.sequence, b"", microseconds(run[-1].time))
            self.connection.execute("INSERT OR REPLACE INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", progress)


def history_of(program: list[Step]) -> list[Entry]:
    run = Run(REAL)
    for step in PRELUDE + program:
        assert run.step(step) is None
    return run.entries


def moments_of(entries: Sequence[Entry]) -> list[datetime]:
    """Each time at which something happened or a hold ended, and those right before and right after it."""
    times = {entry.time for entry in entries}
    times |= {h.expires_at for e in entries if e.effects is not None for h in e.effects.holds if h.expires_at}
    return sorted({time + tick for time in times for tick in (-TICK, timedelta(0), TICK)})


@settings(max_examples=times(1), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs, st.randoms(use_true_random=False))
def test_the_balances_of_every_point_of_the_past(program: list[Step], chance: random.Random) -> None:
    entries, tables = history_of(program), Tables()
    tables.fold(entries, chance, len(entries))
    points = [Moment(n, time_of(tables.connection, n)) for n in range(1, len(entries) + 1)]
    assert [point.time for point in points] == [entry.time for entry in entries]
    for time in moments_of(entries):
        last = sequence_at(tables.connection, time)
        assert last == read_model.last_at(entries, time)
        points.append(Moment(last, time))
    for point in points:
        for wallet in WALLETS:
            for asset in [None, chance.choice(ASSETS)]:
                found = balances_at(tables.connection, wallet, asset, point)
                expected = read_model.had(entries, wallet, asset, *point)
                assert shown(found) == expected, (wallet, asset, point)


def shown(balances: Any) -> list[read_model.Had] | None:
    if balances is None:
        return None
    return [
        read_model.Had(
            b.asset, int(b.posted), int(b.held), None if b.available is None else int(b.available), b.version
        )
        for b in balances
    ]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    edges = st.none() | st.integers(1, 50) | st.integers(-2, 45).map(lambda ticks: START + ticks * TICK)
    return Question(
        draw(st.sampled_from(WALLETS)),
        draw(st.none() | st.sampled_from(ASSETS)),
        draw(st.none() | st.none() | st.sampled_from(WALLETS)),
        draw(st.none() | st.none() | st.sampled_from(KINDS)),
        draw(edges),
        draw(edges),
        draw(st.booleans()),
    )


@settings(max_examples=times(1), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs, st.lists(questions(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_statements_page_by_page_while_new_entries_arrive(
    program: list[Step], asked: list[Question], chance: random.Random
) -> None:
    entries, tables = history_of(program), Tables()
    tables.fold(entries, chance, chance.randint(1, len(entries)))
    for question in asked:
        seen = entries[: tables.sequence]
        first = read_model.first_since(seen, question.since)
        last = max(read_model.last_until(seen, question.until), first - 1)
        pages = list(pages_of(tables, question, entries, chance))
        if read_model.had(seen, question.wallet, None, len(seen), START) is None:
            assert pages == []
            continue
        expected = [
            line
            for line in read_model.lines(seen, question.wallet)
            if first <= line.sequence <= last
            and question.asset in (None, line.asset)
            and question.counterparty in (None, line.counterparty)
            and question.kind in (None, line.kind)
        ]
        if question.newest_first:
            expected.reverse()
        assert [line for page in pages for line in as_model(page.lines)] == expected, question
        for page in pages:
            assert page.sequence == len(seen)
            assert (page.opening, page.closing) == (pages[0].opening, pages[0].closing)
        for edge, ends in ((first - 1, pages[0].opening), (last, pages[0].closing)):
            stood = read_model.had(seen, question.wallet, question.asset, edge, START) or []
            posted = {one.asset: one.posted for one in stood}
            assert {end.asset: int(end.posted) for end in ends if int(end.posted)} == {
                asset: amount for asset, amount in posted.items() if amount
            }
        if question.counterparty is None and question.kind is None:
            for opening, closing in zip(pages[0].opening, pages[0].closing, strict=True):
                moved = sum(line.amount for line in expected if line.asset == opening.asset)
                assert int(opening.posted) + moved == int(closing.posted)


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
    question = Question(WalletId("alice"), newest_first=newest_first)
    found: list[read_model.Line] = []
    page = read_statement(tables.connection, question, None, size)
    while page is not None:
        found += as_model(page.statement.lines)
        page = None if page.next is None else read_statement(tables.connection, question, page.next, size)
    expected = read_model.lines(ledger.entries, WalletId("alice"))
    assert found == (expected[::-1] if newest_first else expected)
    assert len(found) == 2 + 5


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
        ledger.at(late, ExpireHold(command_id=CommandId("x"), wallet=WalletId("alice"), hold=first.hold, most=most))
    tables = Tables()
    tables.fold(ledger.entries, random.Random(0), len(ledger.entries))
    for after in range(20):
        (balance,) = (
            balances_at(tables.connection, WalletId("alice"), None, Moment(placed, NOW + timedelta(seconds=after)))
            or ()
        )
        assert int(balance.held) == sum(after < end for end in seconds), after


def pages_of(tables: Tables, question: Question, entries: list[Entry], chance: random.Random) -> Iterator[Statement]:
    """All the pages, each of another size, and now and then some new entries between them."""
    place = None
    while True:
        page = read_statement(tables.connection, question, place, chance.randint(1, 5))
        if page is None:
            return
        yield page.statement
        if page.next is None:
            return
        place = page.next
        tables.fold(entries, chance, min(len(entries), tables.sequence + chance.randint(0, 3)))


def as_model(lines: Any) -> list[read_model.Line]:
    return [
        read_model.Line(li.sequence, li.line, li.asset, int(li.amount), int(li.posted), li.counterparty, li.kind)
        for li in lines
    ]


# --- the search for wallets -----------------------------------------------------------------------------------------

NAMES = [WalletId(name) for name in ("a", "a:1", "a:2", "a:3", "ab", "b", "b:1", "@a")]
_id: dict[str, Any] = {"command_id": st.just(CommandId("c"))}
_names = st.sampled_from(NAMES)
_words = st.dictionaries(st.sampled_from(["tier", "city"]), st.sampled_from(["", "gold", "gold "]), max_size=2)
_untils = st.sampled_from([None, *(START + n * TICK for n in range(1, 40, 3))])
_changes = st.one_of(
    st.builds(OpenWallet, wallet=_names, metadata=_words, **_id),
    st.builds(OpenWallet, wallet=_names, metadata=_words, **_id),
    st.builds(UpdateWallet, wallet=_names, metadata=_words, **_id),
    st.builds(FreezeWallet, wallet=_names, why=st.just("w"), until=_untils, **_id),
    st.builds(UnfreezeWallet, wallet=_names, **_id),
    st.builds(CloseWallet, wallet=_names, **_id),
)
_searches = st.builds(
    Search,
    prefix=st.sampled_from(["", "", "a", "a:", "b", "@", "z"]),
    status=st.none() | st.sampled_from([WalletStatus.OPEN, WalletStatus.FROZEN, WalletStatus.CLOSED]),
    metadata=_words,
)


@settings(max_examples=times(1), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_changes, min_size=1, max_size=40),
    st.lists(_searches, min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_wallets_are_found_by_prefix_status_and_metadata(
    changes: list[Any], searches: list[Search], chance: random.Random
) -> None:
    run, tables = Run(REAL), Tables()
    for number, change in enumerate(changes):
        moment = START + number * TICK
        if isinstance(change, FreezeWallet) and change.until is not None and change.until <= moment:
            continue
        books = run.books
        verdict = REAL.decide(books, change, moment, len(run.entries) + 1)
        run.now, run.sequence = moment, len(run.entries) + 1
        run._record(change, verdict)
        run._apply(verdict)
    tables.fold(run.entries, chance, len(run.entries))
    for search in searches:
        now = START + chance.randint(0, 45) * TICK
        expected = [
            name
            for name, (status, metadata) in read_model.wallets_at(run.entries, now).items()
            if name.startswith(search.prefix)
            and search.status in (None, status)
            and all(metadata.get(key) == value for key, value in search.metadata.items())
        ]
        found, after = [], None
        while True:
            page = find_wallets(tables.connection, search, now, after, chance.randint(1, 4))
            found += page.names
            if page.next is None:
                break
            after = page.next
        assert found == expected, search
