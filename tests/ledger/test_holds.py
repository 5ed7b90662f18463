"""What holds, limits, freezes, closings and refunds do when they are applied: a table of situations."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.ledger.cases import (
    NOW,
    TICK,
    Ledger,
    adjust,
    batch,
    capture,
    close,
    expire,
    extend,
    freeze,
    limit,
    open_wallet,
    pay,
    place,
    posting,
    refund,
    shop,
    transfer,
    unfreeze,
    update,
    void,
)
from tests.ledger.core import REAL, Core
from walletd.ledger.statement import lines_of
from walletd.vocabulary.commands import MAX_SECONDS
from walletd.vocabulary.entries import Effects, Refusal, encode_entry
from walletd.vocabulary.identifiers import TransferId
from walletd.vocabulary.states import FrozenSide


def money(ledger: Ledger, *wallets: str) -> list[tuple[int, int]]:
    """What these wallets have of EUR: posted and held."""
    return [(ledger.posted(wallet, "EUR"), ledger.held(wallet, "EUR")) for wallet in wallets or ("alice",)]


def last_hold(ledger: Ledger) -> tuple[str, str, str, str]:
    """The last record of a hold in the history: its id, amount, captured and state."""
    holds = [hold for entry in ledger.entries if entry.effects is not None for hold in entry.effects.holds]
    return holds[-1].hold, holds[-1].amount, holds[-1].captured, holds[-1].state.value


def held(core: Core, amount: int = 300, **fields: Any) -> Ledger:
    """The shop, where hold h10 reserves of alice's 1000 EUR."""
    return shop(core).hold("alice", "EUR", amount, **fields)


SOON = NOW + TICK
Situation = Callable[[Core], Any]
SITUATIONS: list[tuple[str, Situation, Any]] = [
    ("a hold reserves at once", lambda core: money(held(core)), [(1000, 300)]),
    ("all that is there can be held", lambda core: money(held(core, 1000)), [(1000, 1000)]),
    (
        "a capture pays from the hold and leaves the rest reserved",
        lambda core: money(held(core).after(capture("alice", "h10", ("bob", 100), ("@fees", 1))), "alice", "bob"),
        [(899, 199), (100, 0)],
    ),
    (
        "a hold is captured many times, until nothing is left",
        lambda core: last_hold(held(core).after(*[capture("alice", "h10", ("bob", 100))] * 3)),
        ("h10", "300", "300", "captured"),
    ),
    (
        "a capture adds to what was captured before",
        lambda core: last_hold(held(core).after(*[capture("alice", "h10", ("bob", 100))] * 2)),
        ("h10", "300", "200", "open"),
    ),
    (
        "all of a hold can be captured at once, though nothing else is available",
        lambda core: money(held(core, 1000).after(capture("alice", "h10", ("bob", 1000))), "alice", "bob"),
        [(0, 0), (1000, 0)],
    ),
    (
        "a final capture releases the rest",
        lambda core: money(held(core).after(capture("alice", "h10", ("bob", 100), final=True))),
        [(900, 0)],
    ),
    (
        "what is held of a credit stays held where nothing is posted",
        lambda core: money(shop(core).after(limit("bob", "EUR", credit_limit=50)).hold("bob", "EUR", 30), "bob"),
        [(0, 30)],
    ),
    ("a void releases all", lambda core: money(held(core).after(void("alice", "h10"))), [(1000, 0)]),
    (
        "a void after a capture releases what is left",
        lambda core: money(held(core).after(capture("alice", "h10", ("bob", 100)), void("alice", "h10"))),
        [(900, 0)],
    ),
    ("a hold can be raised", lambda core: money(held(core).after(adjust("alice", "h10", 1000))), [(1000, 1000)]),
    ("a hold can be lowered", lambda core: money(held(core).after(adjust("alice", "h10", 1))), [(1000, 1)]),
    (
        "an adjustment is about what is still reserved",
        lambda core: last_hold(held(core).after(capture("alice", "h10", ("bob", 100)), adjust("alice", "h10", 50))),
        ("h10", "150", "100", "open"),
    ),
    (
        "at its moment a hold has expired, and the next entry says so",
        lambda core: money(held(core, expires_at=SOON).at(SOON, pay("alice", "bob", "EUR", 1000))),
        [(0, 0)],
    ),
    (
        "the daemon's entry records the expiry",
        lambda core: last_hold(held(core, expires_at=SOON).at(SOON, expire("alice", "h10"))),
        ("h10", "300", "0", "expired"),
    ),
    (
        "one entry records all that has expired",
        lambda core: money(
            held(core, expires_at=SOON).hold("alice", "EUR", 50, expires_at=SOON).at(SOON, expire("alice", "h10"))
        ),
        [(1000, 0)],
    ),
    (
        "an extended hold lives on",
        lambda core: money(
            held(core, expires_at=SOON).after(extend("alice", "h10", None)).at(SOON, update("alice", {}))
        ),
        [(1000, 300)],
    ),
    (
        "a hold that was extended for a moment expires then",
        lambda core: money(
            held(core, expires_at=SOON)
            .after(extend("alice", "h10", SOON + TICK))
            .at(SOON, update("alice", {}))
            .at(SOON + TICK, pay("alice", "bob", "EUR", 1000))
        ),
        [(0, 0)],
    ),
    (
        "a credit limit lets a wallet go below zero",
        lambda core: money(
            shop(core).after(limit("bob", "EUR", credit_limit=50), pay("bob", "alice", "EUR", 50)), "bob"
        ),
        [(-50, 0)],
    ),
    (
        "a maximum can be reached",
        lambda core: money(shop(core).after(limit("bob", "EUR", maximum=500), pay("alice", "bob", "EUR", 500)), "bob"),
        [(500, 0)],
    ),
    (
        "a maximum does not keep a wallet from paying",
        lambda core: money(
            shop(core).after(limit("alice", "EUR", maximum=1000), pay("alice", "bob", "EUR", 1)), "alice"
        ),
        [(999, 0)],
    ),
    (
        "limits show in what is available",
        lambda core: shop(core).foreseen(limit("alice", "EUR", minimum=100)).balances[0].available,
        "900",
    ),
    (
        "a freeze of debits lets money in",
        lambda core: money(shop(core).after(freeze("bob", FrozenSide.DEBITS), pay("alice", "bob", "EUR", 1)), "bob"),
        [(1, 0)],
    ),
    (
        "a freeze of credits lets money out, and into a hold",
        lambda core: money(
            held(core).after(
                freeze("alice", FrozenSide.CREDITS), pay("alice", "bob", "EUR", 1), place("alice", "EUR", 5)
            )
        ),
        [(999, 305)],
    ),
    (
        "a freeze ends at its moment",
        lambda core: money(shop(core).after(freeze("alice", until=SOON)).at(SOON, pay("alice", "bob", "EUR", 1))),
        [(999, 0)],
    ),
    (
        "a freeze that is ended is over",
        lambda core: money(shop(core).after(freeze("alice"), unfreeze("alice"), pay("alice", "bob", "EUR", 1))),
        [(999, 0)],
    ),
    (
        "no freeze stops a void",
        lambda core: money(held(core).after(freeze("alice"), void("alice", "h10"))),
        [(1000, 0)],
    ),
    (
        "a closed wallet was swept of every asset, below its minimum too",
        lambda core: money(
            shop(core).bring("alice", "BTC", 7).after(limit("alice", "EUR", minimum=9), close("alice", "bob")),
            "alice",
            "bob",
        ),
        [(0, 0), (1000, 0)],
    ),
    (
        "what has expired does not keep a wallet open",
        lambda core: money(held(core, expires_at=SOON).at(SOON, close("alice", "bob")), "alice", "bob"),
        [(0, 0), (1000, 0)],
    ),
    (
        "in a batch a later command sees the earlier ones",
        lambda core: money(
            shop(core).after(batch(open_wallet("dave"), pay("alice", "dave", "EUR", 9), pay("dave", "bob", "EUR", 9))),
            "alice",
            "dave",
            "bob",
        ),
        [(991, 0), (0, 0), (9, 0)],
    ),
    (
        "a batch is one step of each wallet's version",
        lambda core: shop(core).after(batch(*[pay("alice", "bob", "EUR", 1)] * 5)).version("alice"),
        3,
    ),
    (
        "where each command stands for itself, those that can be applied are",
        lambda core: money(
            shop(core).after(batch(pay("alice", "bob", "EUR", 9999), pay("alice", "bob", "EUR", 7), atomic=False)),
            "alice",
            "bob",
        ),
        [(993, 0), (7, 0)],
    ),
    (
        "a hold of a batch is named by its place there",
        lambda core: last_hold(
            shop(core)
            .after(batch(pay("alice", "bob", "EUR", 1), place("alice", "EUR", 5)))
            .after(capture("alice", "h10.1", ("bob", 5)))
        ),
        ("h10.1", "5", "5", "captured"),
    ),
    (
        "a batch closes what it has emptied",
        lambda core: money(shop(core).after(batch(pay("alice", "bob", "EUR", 1000), close("alice"))), "alice", "bob"),
        [(0, 0), (1000, 0)],
    ),
    (
        "a transfer of a batch is refunded by its place there",
        lambda core: money(
            shop(core)
            .after(batch(open_wallet("dave"), pay("alice", "bob", "EUR", 10)))
            .after(refund("t10.1", posting("bob", "alice", "EUR", 10)))
        ),
        [(1000, 0)],
    ),
    (
        "a batch records what expired before it once",
        lambda core: money(
            held(core, expires_at=SOON).at(
                SOON, batch(pay("alice", "bob", "EUR", 600), pay("alice", "bob", "EUR", 400))
            )
        ),
        [(0, 0)],
    ),
    (
        "refunds go back in parts, up to all of it",
        lambda core: money(
            shop(core).after(
                pay("alice", "bob", "EUR", 10),
                refund("t10", posting("bob", "alice", "EUR", 4)),
                refund("t10", posting("bob", "alice", "EUR", 3), posting("bob", "alice", "EUR", 3)),
            )
        ),
        [(1000, 0)],
    ),
]


def situations_against(core: Core) -> list[str]:
    """Which situations come out otherwise."""
    found = []
    for name, situation, expected in SITUATIONS:
        try:
            if situation(core) != expected:
                found.append(name)
        except (AssertionError, KeyError, AttributeError) as broken:
            found.append(f"{name}: {broken!r}")
    return found


@pytest.mark.parametrize(("situation", "expected"), [r[1:] for r in SITUATIONS], ids=[r[0] for r in SITUATIONS])
def test_a_situation_comes_out_as_it_must(situation: Situation, expected: Any) -> None:
    assert situation(REAL) == expected


def test_a_capture_and_a_sweep_are_lines_of_the_statement() -> None:
    ledger = held(REAL).after(capture("alice", "h10", ("bob", 300), reference="room 7"), close("alice", "bob"))
    lines = [line for entry in ledger.entries[9:] for line in lines_of(entry) if line.wallet == "alice"]
    assert [(line.kind, line.transfer, line.amount, line.posted, line.reference) for line in lines] == [
        ("capture", "t11", -300, 700, "room 7"),
        ("sweep", "t12", -700, 0, None),
    ]


def test_a_read_shows_an_expired_hold_as_free_before_any_entry_says_so() -> None:
    book = held(REAL, expires_at=SOON).books.wallets["alice"]
    assert [book.balance_record("EUR", now).available for now in (NOW, SOON, SOON + timedelta(days=1))] == [
        "700",
        "1000",
        "1000",
    ]


def test_every_entry_of_a_hold_counts_one_version_of_its_wallet() -> None:
    ledger = held(REAL)
    before = ledger.version("alice")
    ledger.after(extend("alice", "h10", SOON), adjust("alice", "h10", 5), void("alice", "h10"))
    assert ledger.version("alice") == before + 3


def test_an_expired_hold_is_recorded_by_whatever_touches_its_wallet_first() -> None:
    verdict = held(REAL, expires_at=SOON).decide(update("alice", {"k": "v"}), SOON)
    assert isinstance(verdict, Effects)
    assert [hold.state.value for hold in verdict.holds] == ["expired"]
    assert [(record.held, record.available) for record in verdict.balances] == [("0", "1000")]


def test_the_lines_of_a_batch_run_on_over_all_its_commands() -> None:
    commands = [pay("alice", "bob", "EUR", 1), pay("alice", "bob", "EUR", 9999), pay("alice", "bob", "EUR", 2)]
    ledger = shop().after(batch(*commands, atomic=False))
    lines = [line for line in lines_of(ledger.entries[-1]) if line.wallet == "alice"]
    assert [(line.line, line.transfer, line.posted) for line in lines] == [(0, "t10.0", 999), (1, "t10.2", 997)]


def test_a_batch_that_is_not_atomic_records_why_each_was_refused() -> None:
    verdict = shop().decide(batch(pay("alice", "alice", "EUR", 1), pay("alice", "bob", "EUR", 1), atomic=False))
    assert isinstance(verdict, Effects)
    assert [None if r is None else r.reason.value for r in verdict.outcomes] == ["self_transfer", None]


def test_each_way_of_a_transfer_is_refunded_by_itself() -> None:
    ways = [posting("alice", "bob", "EUR", 10), posting("@fees", "bob", "EUR", 5), posting("alice", "bob", "BTC", 3)]
    ledger = shop().bring("alice", "BTC", 3).after(transfer(*ways))
    too_much = ledger.decide(refund("t11", posting("bob", "@fees", "EUR", 6)))
    assert isinstance(too_much, Refusal)
    assert too_much.facts["refundable"] == "5"
    ledger.after(refund("t11", posting("bob", "@fees", "EUR", 5), posting("bob", "alice", "EUR", 4)))
    record = ledger.books.transfers[TransferId("t11")]
    assert [(part.source, part.asset, part.refunded) for part in record.parts] == [
        ("alice", "EUR", "4"),
        ("@fees", "EUR", "5"),
        ("alice", "BTC", "0"),
    ]


COUNTED = NOW + timedelta(seconds=90)


def test_a_hold_ends_so_many_seconds_after_its_decision() -> None:
    ledger = held(REAL, expires_in_seconds=90)
    (hold,) = ledger.books.wallets["alice"].holds.values()
    assert hold.expires_at == COUNTED
    assert money(ledger.at(COUNTED - TICK, update("alice", {}))) == [(1000, 300)]
    assert money(ledger.at(COUNTED, update("alice", {}))) == [(1000, 0)]


def test_a_hold_is_extended_by_seconds_from_the_decision_on() -> None:
    ledger = held(REAL, expires_at=SOON).after(extend("alice", "h10", expires_in_seconds=90))
    (hold,) = ledger.books.wallets["alice"].holds.values()
    assert hold.expires_at == COUNTED


def test_a_freeze_ends_so_many_seconds_after_its_decision() -> None:
    ledger = shop().after(freeze("alice", until_in_seconds=90))
    assert isinstance(ledger.decide(pay("alice", "bob", "EUR", 1), COUNTED - TICK), Refusal)
    assert isinstance(ledger.decide(pay("alice", "bob", "EUR", 1), COUNTED), Effects)


def test_the_longest_time_that_can_be_said_is_a_moment() -> None:
    ledger = held(REAL, expires_in_seconds=MAX_SECONDS)
    (hold,) = ledger.books.wallets["alice"].holds.values()
    assert hold.expires_at == NOW + timedelta(seconds=MAX_SECONDS)


def test_a_command_is_stored_with_its_seconds_as_they_were_sent() -> None:
    ledger = held(REAL, expires_in_seconds=90).after(extend("alice", "h10", None))
    placed, extended = (encode_entry(entry) for entry in ledger.entries[-2:])
    assert b'"expires_in_seconds":90' in placed
    assert b'"expires_at":null' in extended
    assert b"seconds" not in extended
