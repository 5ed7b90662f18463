"""Reads of random histories: every point of the past, every filter, pages of any size while new entries arrive."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.core import REAL
from tests.properties import read_model, times
from tests.properties.programs import ASSETS, PRELUDE, START, TICK, WALLETS, Run, Step, programs
from tests.tables.folded import Tables, as_had, as_lines
from walletd.protocol.messages import Statement
from walletd.tables.queries import search as wallet_search
from walletd.tables.queries import statements
from walletd.tables.queries.moments import Moment, sequence_at, time_of
from walletd.tables.queries.past_balances import balances_at
from walletd.tables.queries.search import Search, find_wallets
from walletd.tables.queries.statements import Question, read_statement
from walletd.vocabulary.commands import CloseWallet, FreezeWallet, OpenWallet, UnfreezeWallet, UpdateWallet
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import CommandId, WalletId
from walletd.vocabulary.states import WalletStatus

KINDS = ["transfer", "refund", "capture", "sweep"]


@pytest.fixture(autouse=True)
def pages_that_look_at_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the bound on what a page looks at is met in histories of some forty entries."""
    monkeypatch.setattr(statements, "MAX_VISITED", 3)
    monkeypatch.setattr(wallet_search, "MAX_VISITED", 3)


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
                assert as_had(found) == expected, (wallet, asset, point)


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
        assert [line for page in pages for line in as_lines(page.lines)] == expected, question
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
