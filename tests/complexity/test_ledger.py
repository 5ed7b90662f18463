"""What a decision costs does not grow with what the command does not touch: bytecodes and bytes are counted."""

from datetime import timedelta
from typing import Any

import pytest

from tests.complexity.counting import bytes_used, steps
from tests.ledger.cases import (
    NOW,
    Ledger,
    adjust,
    batch,
    capture,
    close,
    define,
    expire,
    extend,
    freeze,
    limit,
    market,
    open_wallet,
    pay,
    place,
    posting,
    transfer,
    unfreeze,
    update,
    void,
    window,
)
from walletd.ledger.book import apply
from walletd.ledger.entry_size import most_expiring
from walletd.ledger.rules import decide
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import Effects, TransferRecord
from walletd.vocabulary.identifiers import HoldId, TransferId

pytestmark = pytest.mark.interpreted  # what is compiled takes no steps of Python's

FEW, MANY = 10, 2_000
LEEWAY = 1.3
"""A heap is a few levels deeper; whatever looks at everything would cost two hundred times as much."""

SECOND = timedelta(seconds=1)


def town(wallets: int, assets: int = 1) -> Ledger:
    """The market among so many other wallets and assets, each of which has something."""
    ledger = market()
    ledger.after(*(define(f"A{number}") for number in range(assets)))
    ledger.after(*(open_wallet(f"w{number}") for number in range(wallets)))
    return ledger.after(*(pay("@external", f"w{number}", "EUR", 5) for number in range(wallets)))


def landlord(holds: int) -> Ledger:
    """The market, where alice has so many open holds, and then h1000000 of 50."""
    ledger = market().bring("alice", "EUR", 100_000).with_many_holds("alice", holds)
    verdict = decide(ledger.books, place("alice", "EUR", 50, expires_at=NOW + 60 * SECOND), NOW, 1_000_000)
    assert isinstance(verdict, Effects)
    apply(ledger.books, verdict)
    return ledger


def cost(ledger: Ledger, command: AnyCommand) -> tuple[int, int]:
    """The steps and the bytes of deciding and applying the command, which must not be refused."""

    def act() -> None:
        verdict = decide(ledger.books, command, NOW, 2_000_000)
        assert isinstance(verdict, Effects), verdict
        apply(ledger.books, verdict)

    def foresee() -> None:
        decide(ledger.books, command, NOW, 2_000_000)

    memory = bytes_used(foresee)
    return steps(act), memory


def assert_same(few: tuple[int, int], many: tuple[int, int]) -> None:
    print(f"{few} steps and bytes, {many} beside many")
    assert many[0] <= LEEWAY * few[0]
    assert many[1] <= LEEWAY * few[1] + 1_000


def test_a_transfer_costs_the_same_among_thousands_of_wallets() -> None:
    few, many = (cost(town(size, size), pay("alice", "bob", "EUR", 10)) for size in (FEW, MANY))
    assert_same(few, many)


def test_a_batch_costs_the_same_beside_thousands_of_refundable_transfers() -> None:
    """An audit has all of them at hand: with a copy for each batch, a large journal would never be verified."""

    def audited(transfers: int) -> Ledger:
        ledger = market().bring("alice", "EUR", 100)
        ledger.books.transfers.update(
            {TransferId(f"t{n}"): TransferRecord(TransferId(f"t{n}"), ()) for n in range(transfers)}
        )
        return ledger

    few, many = (cost(audited(size), batch(pay("alice", "bob", "EUR", 10))) for size in (FEW, MANY))
    assert_same(few, many)


def test_a_transfer_costs_as_much_as_its_postings() -> None:
    def spread(postings: int) -> PostTransferOf:
        ledger = town(100)
        ledger.after(*(limit(f"w{n}", "EUR", velocity=(window(60, 100), window(3600, 200))) for n in range(100)))
        parts = [posting(f"w{number}", "bob", "EUR", 1) for number in range(postings)]
        return ledger, transfer(*parts)

    one, ten, hundred = (cost(*spread(postings))[0] for postings in (1, 10, 100))
    print(f"{one}, {ten} and {hundred} steps for 1, 10 and 100 postings of wallets with velocity limits")
    assert hundred - one <= LEEWAY * 11 * (ten - one)


PostTransferOf = tuple[Ledger, AnyCommand]

WALLET_STATE: dict[str, AnyCommand] = {
    "define": define("NEW"),
    "open": open_wallet("newcomer"),
    "update": update("alice", {"tier": "gold"}),
    "limit": limit("alice", "EUR", maximum=10_000),
    "freeze": freeze("alice"),
    "close": close("carol"),
}


@pytest.mark.parametrize("what", WALLET_STATE)
def test_a_wallets_state_costs_the_same_beside_thousands_of_wallets(what: str) -> None:
    few, many = (cost(town(size, size), WALLET_STATE[what]) for size in (FEW, MANY))
    assert_same(few, many)


def test_lifting_a_freeze_costs_the_same_beside_thousands_of_wallets() -> None:
    few, many = (cost(town(size).after(freeze("alice")), unfreeze("alice")) for size in (FEW, MANY))
    assert_same(few, many)


HOLDS: dict[str, AnyCommand] = {
    "place": place("alice", "EUR", 10, expires_at=NOW + 90 * SECOND),
    "capture": capture("alice", "h1000000", ("bob", 10)),
    "capture all": capture("alice", "h1000000", ("bob", 50)),
    "extend": extend("alice", "h1000000", NOW + 120 * SECOND),
    "adjust": adjust("alice", "h1000000", 60),
    "void": void("alice", "h1000000"),
    "a payment": pay("alice", "bob", "EUR", 10),
}


@pytest.mark.parametrize("what", HOLDS)
def test_a_hold_costs_the_same_beside_thousands(what: str) -> None:
    few, many = (cost(landlord(size), HOLDS[what]) for size in (FEW, MANY))
    assert_same(few, many)


def test_expiries_that_holds_were_moved_away_from_are_let_go() -> None:
    ledger = market().hold("alice", "EUR", 10, expires_at=NOW + SECOND)
    ledger.hold("alice", "EUR", 10, expires_at=NOW + 2 * SECOND)
    hold = f"h{len(ledger.entries)}"
    for later in range(MANY):
        ledger.after(extend("alice", hold, NOW + (3 + later) * SECOND))
    book = ledger.books.wallets["alice"]
    assert len(book.expiries) <= 2 * len(book.holds) + 64
    assert [hold.hold for hold in book.lapsed(NOW + SECOND)] == [f"h{len(ledger.entries) - MANY - 1}"]
    assert len(book.lapsed(NOW + (2 + MANY) * SECOND)) == 2


def test_expiries_recorded_by_one_entry_cost_the_same_beside_thousands() -> None:
    """Holds that end at one time and have much metadata are recorded a few at a time."""

    def tenant(holds: int) -> Ledger:
        ledger = market().bring("alice", "EUR", 100_000)
        for _ in range(holds):
            ledger.at(NOW - SECOND, place("alice", "EUR", 1, expires_at=NOW))
        return ledger

    def first(ledger: Ledger) -> HoldId:
        hold: HoldId = next(ledger.books.wallets["alice"].lapsed_in_order(NOW)).hold
        return hold

    def measured(holds: int) -> int:
        ledger = tenant(holds)
        return steps(lambda: most_expiring(ledger.books.wallets["alice"], NOW, first(ledger)))

    few, many = (cost(ledger, expire("alice", first(ledger), most=4)) for ledger in map(tenant, (FEW, MANY)))
    assert_same(few, many)
    assert measured(MANY) <= LEEWAY * measured(600)


def test_reading_balances_looks_at_expired_holds_once() -> None:
    def wallet(assets: int) -> Any:
        ledger = town(0, assets)
        ledger.after(*(pay("@external", "alice", f"A{number}", 1) for number in range(assets)))
        ledger.bring("alice", "EUR", 1_000)
        ledger.after(*(place("alice", "EUR", 1, expires_at=NOW + SECOND) for _ in range(100)))
        return ledger.books.wallets["alice"]

    def read(assets: int) -> int:
        book = wallet(assets)
        return steps(lambda: book.balance_records(NOW + 5 * SECOND))

    one, fifty = read(1), read(50)
    print(f"{one} steps with one asset, {fifty} with fifty")
    assert fifty <= 4 * one


def test_velocity_counts_each_outflow_once_per_window() -> None:
    def busy(payments: int) -> Ledger:
        ledger = market().bring("alice", "EUR", 100_000)
        ledger.after(limit("alice", "EUR", velocity=(window(3600, 100_000), window(7200, 100_000))))
        for number in range(payments):
            ledger.at(NOW + number * SECOND / 1000, pay("alice", "bob", "EUR", 1))
        return ledger

    def pay_once(ledger: Ledger) -> int:
        now = NOW + 10 * SECOND
        command = pay("alice", "bob", "EUR", 1)
        return steps(lambda: decide(ledger.books, command, now, 2_000_000))

    few, many = (pay_once(busy(payments)) for payments in (FEW, MANY))
    print(f"{few} steps behind {FEW} payments in the window, {many} behind {MANY}")
    assert many <= LEEWAY * few


def test_a_batch_costs_as_much_as_its_commands() -> None:
    def of(commands: int, wallets: int) -> int:
        payments = [pay("alice", "bob", "EUR", 1) for _ in range(commands)]
        return cost(town(wallets), batch(*payments))[0]

    one, ten, hundred = of(1, FEW), of(10, FEW), of(100, FEW)
    print(f"{one}, {ten} and {hundred} steps for 1, 10 and 100 commands")
    assert hundred - one <= LEEWAY * 11 * (ten - one)
    assert of(10, MANY) <= LEEWAY * ten
