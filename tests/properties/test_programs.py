"""Any list of commands: the core and the naive model agree at every step, and the truths hold after it."""

from datetime import timedelta

import pytest
from hypothesis import given, settings

from tests.faults.rows import figure
from tests.faults.tally import tally
from tests.ledger.core import REAL
from tests.properties import times
from tests.properties.model import APPLIED, Model
from tests.properties.programs import PRELUDE, Run, Step, find_disagreement, programs
from walletd.ledger.statement import lines_of, movements_of
from walletd.vocabulary.claims import wallets_of
from walletd.vocabulary.commands import DefineAsset, OpenWallet, PlaceHold, PostTransfer, RefusedCommand, UpdateWallet
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.histories import given_up
from walletd.vocabulary.identifiers import HoldId, TransferId, sequence_of

PROGRAMS = figure("TEST_PROGRAMS")


@pytest.mark.timeout(0)
def test_the_core_and_the_naive_model_agree_on_every_program() -> None:
    judged: list[int] = []

    @settings(max_examples=PROGRAMS, deadline=None)
    @given(program=programs)
    def agree(program: list[Step]) -> None:
        judged.append(len(program))
        assert find_disagreement(program) is None

    agree()
    assert len(judged) >= PROGRAMS, "as many as were asked for"
    tally(seeds=len(judged), commands=sum(judged))


@settings(max_examples=times(1), deadline=None)
@given(program=programs)
def test_every_wallets_statement_adds_up_from_nothing_to_its_balance(program: list[Step]) -> None:
    run = _run(program)
    running: dict[tuple[str, str], int] = {}
    for entry in run.entries:
        for line in lines_of(entry):
            place = line.wallet, line.asset
            assert line.posted == running.get(place, 0) + line.amount
            running[place] = line.posted
    posted = {(n, a): b.posted for n, book in run.books.wallets.items() for a, b in book.balances.items()}
    assert running == {place: amount for place, amount in posted.items() if amount or place in running}


@settings(max_examples=times(1), deadline=None)
@given(program=programs)
def test_a_book_restored_at_any_step_goes_on_as_if_nothing_had_happened(program: list[Step]) -> None:
    run = Run(REAL)
    for step in PRELUDE + program:
        for name, book in run.books.wallets.items():
            records = book.balance_records(), book.holds.values(), tuple(book.outflow_records())
            run.books.wallets[name] = REAL.restore_book(book.record(), *records)
        assert run.step(step) is None


@settings(max_examples=times(1), deadline=None)
@given(program=programs)
def test_the_wallets_that_an_entry_touches_are_among_those_its_command_claims(program: list[Step]) -> None:
    for entry in _run(program).entries:
        assert not isinstance(entry.command, RefusedCommand)
        claimed = wallets_of(entry.command)
        assert claimed == sorted(set(claimed))
        if entry.effects is not None:
            touched = {r.wallet for r in entry.effects.wallets} | {r.wallet for r in entry.effects.balances}
            assert touched <= set(claimed)


@settings(max_examples=times(1), deadline=None)
@given(kept=programs, lost=programs, later=programs)
def test_no_id_of_entries_that_a_restore_gave_up_is_given_out_again(
    kept: list[Step], lost: list[Step], later: list[Step]
) -> None:
    run = _run([*kept, *lost])
    had = len(PRELUDE) + len(kept)
    given_up_ids = _ids(run.entries[had:])
    again = _run(kept)
    still = _ids(again.entries)
    again.begin_history("2ndtimes")
    for step in later:
        assert again.step(step) is None
    assert again.at_the_end() is None
    given_out = _ids(again.entries[had:])
    assert not given_out & (given_up_ids | still)
    histories = again.books.histories
    assert all(given_up(histories, name) for name in given_up_ids)
    assert not any(given_up(histories, name) for name in given_out | still)


def _ids(entries: list[Entry]) -> set[TransferId | HoldId]:
    """The transfers that these entries posted and the holds that they placed."""
    found: set[TransferId | HoldId] = {movement.transfer for entry in entries for movement in movements_of(entry)}
    for entry in entries:
        holds = () if entry.effects is None else entry.effects.holds
        found |= {hold.hold for hold in holds if sequence_of(hold.hold) == entry.sequence}
    return found


def test_a_long_program_of_small_payments_keeps_every_balance_exact() -> None:
    run = _run([])
    pay = PRELUDE[-1].command
    for _ in range(1000):
        assert run.step(Step(pay, timedelta(0), None)) is None
    assert run.books.wallets["bob"].balance("EUR").posted == 5010


def test_the_model_itself_knows_the_prelude() -> None:
    model = Model()
    assert {model.run(step.command, Run(REAL).now) for step in PRELUDE} == {APPLIED}
    assert {type(step.command) for step in PRELUDE} == {DefineAsset, OpenWallet, UpdateWallet, PlaceHold, PostTransfer}


def _run(program: list[Step]) -> Run:
    run = Run(REAL)
    for step in PRELUDE + program:
        assert run.step(step) is None
    return run
