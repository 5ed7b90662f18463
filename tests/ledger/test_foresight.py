"""A dry run tells its sender nothing of a payee's room that it could find out without paying."""

from typing import Any

import pytest

from tests.ledger.cases import NOW, Ledger, batch, capture, limit, market, pay, posting, snapshot, transfer
from walletd.ledger.foresight import foreseeable
from walletd.ledger.rules import decide
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.reasons import Reason

PAYER = ("spend:alice",)
BOTH = ("spend:alice", "view:bob")
ROOM = 250


def stage() -> Ledger:
    """Alice has a thousand; bob may have 250 more than he has."""
    ledger = market()
    has = ledger.posted("bob", "EUR")
    return ledger.after(limit("bob", "EUR", maximum=has + ROOM))


def foreseen(command: AnyCommand, *scopes: str) -> Effects | Refusal:
    ledger = stage()
    before = snapshot(ledger.books)
    verdict = decide(foreseeable(ledger.books, command, scopes), command, NOW, 99)
    assert snapshot(ledger.books) == before
    return verdict


def outcome(verdict: Effects | Refusal) -> Any:
    return verdict.reason if isinstance(verdict, Refusal) else [refusal for refusal in verdict.outcomes if refusal]


@pytest.mark.parametrize("amount", [1, ROOM, ROOM + 1, 1000])
def test_whoever_does_not_see_the_payee_is_foretold_the_same_whatever_its_room_is(amount: int) -> None:
    assert outcome(foreseen(pay("alice", "bob", "EUR", amount), *PAYER)) == []


@pytest.mark.parametrize("scopes", [BOTH, ("operate",), ("admin",)])
def test_who_sees_the_payee_is_foretold_what_will_happen(scopes: tuple[str, ...]) -> None:
    assert outcome(foreseen(pay("alice", "bob", "EUR", ROOM), *scopes)) == []
    assert outcome(foreseen(pay("alice", "bob", "EUR", ROOM + 1), *scopes)) is Reason.ABOVE_MAXIMUM


@pytest.mark.parametrize(
    "command",
    [
        transfer(posting("alice", "carol", "EUR", 1), posting("alice", "bob", "EUR", ROOM + 1)),
        batch(pay("alice", "carol", "EUR", 1), pay("alice", "bob", "EUR", ROOM + 1)),
        batch(pay("alice", "carol", "EUR", 1), pay("alice", "bob", "EUR", ROOM + 1), atomic=False),
    ],
    ids=["postings", "batch", "one by one"],
)
def test_also_in_several_postings_and_in_batches(command: AnyCommand) -> None:
    assert outcome(foreseen(command, *PAYER)) == []
    told = outcome(foreseen(command, *BOTH))
    assert told is Reason.ABOVE_MAXIMUM or [refusal.reason for refusal in told] == [Reason.ABOVE_MAXIMUM]


def test_a_payers_own_bounds_are_foretold_as_they_are() -> None:
    assert outcome(foreseen(pay("alice", "bob", "EUR", 10_000_000), *PAYER)) is Reason.INSUFFICIENT_FUNDS
    ledger = stage().after(limit("alice", "EUR", minimum=10))
    command = pay("alice", "bob", "EUR", ledger.posted("alice", "EUR"))
    verdict = decide(foreseeable(ledger.books, command, PAYER), command, NOW, 99)
    assert outcome(verdict) is Reason.INSUFFICIENT_FUNDS


def test_the_payment_itself_is_judged_by_the_maximum() -> None:
    verdict = stage().decide(pay("alice", "bob", "EUR", ROOM + 1))
    assert isinstance(verdict, Refusal)
    assert verdict.reason is Reason.ABOVE_MAXIMUM


def test_the_books_are_the_same_object_where_nothing_is_left_out() -> None:
    books = stage().books
    for command, scopes in ((pay("alice", "carol", "EUR", 1), PAYER), (pay("alice", "bob", "EUR", 1), BOTH)):
        assert foreseeable(books, command, scopes) is books
    absent = capture("alice", "h1", ("nobody", 1))
    assert foreseeable(books, absent, PAYER) is books
