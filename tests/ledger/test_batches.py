"""What a batch leaves behind: all that its commands do one after the other, or nothing of it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.ledger.cases import (
    NOW,
    Ledger,
    adjust,
    asset,
    batch,
    capture,
    close,
    define,
    extend,
    freeze,
    limit,
    open_wallet,
    pay,
    posting,
    refund,
    shop,
    transfer,
    unfreeze,
    update,
    void,
    window,
)
from walletd.ledger.statement import lines_of, movements_of
from walletd.vocabulary.commands import BatchedCommand
from walletd.vocabulary.entries import Effects, Refusal, WalletRecord
from walletd.vocabulary.identifiers import TransferId
from walletd.vocabulary.reasons import Reason


def before() -> Ledger:
    """The shop, where hold h10 reserves 300 of alice's 1000 EUR, t11 paid bob 50 and alice may let out so much an
    hour."""
    ledger = shop().hold("alice", "EUR", 300).after(pay("alice", "bob", "EUR", 50))
    return ledger.after(limit("alice", "EUR", velocity=(window(3600, 900),)))


def standing(ledger: Ledger) -> dict[str, Any]:
    """All that a ledger's books hold but versions, and but the commands that let something out."""
    books = ledger.books
    return {
        "assets": dict(books.assets),
        "wallets": {name: _unversioned(book.record()) for name, book in books.wallets.items()},
        "balances": {name: book.balances for name, book in books.wallets.items()},
        "holds": {name: dict(book.holds) for name, book in books.wallets.items()},
        "outflows": {
            name: [(record.asset, record.time, record.amount) for record in book.outflow_records()]
            for name, book in books.wallets.items()
        },
        "refunds of what was paid before": books.transfers[TransferId("t11")],
    }


def _unversioned(record: WalletRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__ if name not in ("version", "counted_from")}


BATCHES: dict[str, list[BatchedCommand]] = {
    "several payments of one wallet": [
        pay("alice", "bob", "EUR", 5),
        pay("alice", "@fees", "EUR", 7),
        pay("bob", "alice", "EUR", 2),
    ],
    "several postings in several payments": [
        transfer(
            posting("alice", "bob", "EUR", 5), posting("alice", "@fees", "EUR", 1), posting("bob", "@fees", "EUR", 3)
        ),
        transfer(posting("@external", "bob", "BTC", 9), posting("bob", "alice", "BTC", 4)),
    ],
    "a new asset and what is paid in it": [
        define("ETH", 18),
        pay("@external", "alice", "ETH", 7),
        pay("alice", "bob", "ETH", 3),
    ],
    "a new wallet that is paid and pays": [
        open_wallet("dave", metadata={"k": "v"}),
        pay("alice", "dave", "EUR", 5),
        pay("dave", "bob", "EUR", 5),
    ],
    "a hold that is captured in parts": [
        capture("alice", "h10", ("bob", 100)),
        capture("alice", "h10", ("bob", 50), ("@fees", 1)),
    ],
    "a hold that is raised, extended and voided": [
        adjust("alice", "h10", 400),
        extend("alice", "h10", None),
        void("alice", "h10"),
    ],
    "a transfer that is refunded in parts": [
        refund("t11", posting("bob", "alice", "EUR", 20)),
        refund("t11", posting("bob", "alice", "EUR", 30)),
    ],
    "a wallet that is changed twice": [
        update("bob", {"first": "1"}),
        update("bob", {"second": "2"}),
        freeze("bob"),
        unfreeze("bob"),
    ],
    "a wallet that is emptied and closed": [
        pay("bob", "alice", "EUR", 20),
        close("bob", "alice"),
    ],
}


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("commands", BATCHES.values(), ids=BATCHES)
def test_a_batch_leaves_what_its_commands_leave_one_after_the_other(
    commands: list[BatchedCommand], atomic: bool
) -> None:
    assert standing(before().after(batch(*commands, atomic=atomic))) == standing(before().after(*commands))


@pytest.mark.parametrize("commands", BATCHES.values(), ids=BATCHES)
def test_a_batch_records_all_the_money_that_its_commands_move(commands: list[BatchedCommand]) -> None:
    one, many = before(), before()
    start = len(one.entries)
    one.after(batch(*commands))
    many.after(*commands)

    def moved(ledger: Ledger) -> list[tuple[Any, ...]]:
        return [
            (movement.source, movement.to, movement.asset, movement.amount, movement.kind, movement.reference)
            for entry in ledger.entries[start:]
            for movement in movements_of(entry)
        ]

    def lines(ledger: Ledger) -> list[tuple[Any, ...]]:
        return [
            (line.wallet, line.asset, line.amount, line.posted, line.counterparty)
            for entry in ledger.entries[start:]
            for line in lines_of(entry)
        ]

    assert moved(one) == moved(many)
    assert lines(one) == lines(many)


NOT_POSSIBLE = pay("alice", "@fees", "EUR", 999_999)


@pytest.mark.parametrize("commands", BATCHES.values(), ids=BATCHES)
def test_of_an_atomic_batch_in_which_one_command_is_refused_nothing_is_kept(commands: list[BatchedCommand]) -> None:
    for place_of_it in range(len(commands) + 1):
        ledger = before()
        kept, transfers = standing(ledger), dict(ledger.books.transfers)
        versions = {name: book.version for name, book in ledger.books.wallets.items()}
        verdict = ledger.run(batch(*commands[:place_of_it], NOT_POSSIBLE, *commands[place_of_it:]))
        assert isinstance(verdict, Refusal), place_of_it
        assert verdict.facts["command"] == place_of_it
        assert standing(ledger) == kept
        assert ledger.books.transfers == transfers
        assert {name: book.version for name, book in ledger.books.wallets.items()} == versions
        assert movements_of(ledger.entries[-1]) == []


@pytest.mark.parametrize("commands", BATCHES.values(), ids=BATCHES)
def test_of_any_other_batch_all_but_the_refused_command_is_kept(commands: list[BatchedCommand]) -> None:
    for place_of_it in range(len(commands) + 1):
        ledger = before()
        verdict = ledger.run(batch(*commands[:place_of_it], NOT_POSSIBLE, *commands[place_of_it:], atomic=False))
        assert isinstance(verdict, Effects)
        refused = [None if outcome is None else outcome.reason for outcome in verdict.outcomes]
        assert refused == [Reason.INSUFFICIENT_FUNDS if n == place_of_it else None for n in range(len(commands) + 1)]
        assert standing(ledger) == standing(before().after(*commands))


@pytest.mark.parametrize("commands", BATCHES.values(), ids=BATCHES)
def test_deciding_a_batch_changes_nothing(commands: list[BatchedCommand]) -> None:
    ledger = before()
    kept, transfers = standing(ledger), dict(ledger.books.transfers)
    assert isinstance(ledger.decide(batch(*commands)), Effects)
    assert (standing(ledger), ledger.books.transfers) == (kept, transfers)


def effects_of(*commands: BatchedCommand) -> Effects:
    """The effects of a batch that must be applied."""
    verdict = before().decide(batch(*commands), NOW)
    assert isinstance(verdict, Effects), verdict
    return verdict


LAST: list[tuple[str, Callable[[Effects], Any], list[BatchedCommand], Any]] = [
    ("asset", lambda effects: effects.assets, BATCHES["a new asset and what is paid in it"], (asset("ETH", 18),)),
    (
        "hold",
        lambda effects: [(hold.captured, hold.state.value) for hold in effects.holds],
        BATCHES["a hold that is captured in parts"],
        [("151", "open")],
    ),
    (
        "refund",
        lambda effects: [[(part.amount, part.refunded) for part in record.parts] for record in effects.transfers],
        BATCHES["a transfer that is refunded in parts"],
        [[("50", "50")]],
    ),
    (
        "wallet",
        lambda effects: [(record.metadata, record.freeze) for record in effects.wallets],
        BATCHES["a wallet that is changed twice"],
        [({"second": "2"}, None)],
    ),
    (
        "balance",
        lambda effects: {record.wallet: record.posted for record in effects.balances},
        BATCHES["several payments of one wallet"],
        {"alice": "940", "bob": "53", "@fees": "7"},
    ),
]


@pytest.mark.parametrize(("what", "found", "commands", "expected"), LAST, ids=[what for what, *_ in LAST])
def test_a_batch_records_everything_once_as_it_stands_at_its_end(
    what: str, found: Callable[[Effects], Any], commands: list[BatchedCommand], expected: Any
) -> None:
    assert found(effects_of(*commands)) == expected
