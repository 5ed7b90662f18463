"""What an applied command does: postings in their order, system wallets, the extremes, versions, conditions."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.ledger.cases import (
    NOW,
    TICK,
    Ledger,
    asset,
    balance,
    batch,
    define,
    demand,
    open_wallet,
    pay,
    posting,
    shop,
    snapshot,
    transfer,
)
from walletd.ledger.rules import decide
from walletd.vocabulary.commands import MAX_POSTINGS, AnyCommand
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.money import MAX_AMOUNT
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import WalletStatus


def effects_of(verdict: Effects | Refusal) -> Effects:
    """The effects of a command that must be applied."""
    assert isinstance(verdict, Effects), verdict
    return verdict


# --- assets and wallets --------------------------------------------------------------------------------------------


def test_defining_an_asset_records_its_code_and_scale_and_nothing_else() -> None:
    assert Ledger().decide(define("ETH", 18)) == Effects(assets=(asset("ETH", 18),))


def test_a_new_wallet_is_open_at_version_one_with_the_time_and_the_metadata_of_its_command() -> None:
    (record,) = effects_of(Ledger().decide(open_wallet("alice", metadata={"tier": "gold"}))).wallets
    assert (record.wallet, record.status, record.version) == ("alice", WalletStatus.OPEN, 1)
    assert (record.opened_at, record.metadata) == (NOW, {"tier": "gold"})


def test_a_new_wallet_has_no_balances() -> None:
    assert effects_of(Ledger().decide(open_wallet("alice"))).balances == ()


# --- one posting ---------------------------------------------------------------------------------------------------


def test_a_transfer_records_the_balances_after_it_payer_first() -> None:
    assert effects_of(shop().decide(pay("alice", "bob", "EUR", 250))).balances == (
        balance("alice", "EUR", "750", "0", "750", 3),
        balance("bob", "EUR", "250", "0", "250", 2),
    )


def test_a_wallet_can_pay_exactly_all_that_it_has() -> None:
    assert shop().after(pay("alice", "bob", "EUR", 1000)).posted("alice", "EUR") == 0


def test_a_wallet_can_pay_exactly_all_that_its_holds_leave() -> None:
    ledger = shop().hold("alice", "EUR", 300).after(pay("alice", "bob", "EUR", 700))
    assert ledger.posted("alice", "EUR") == 300


def test_a_transfer_leaves_what_is_held_as_it_is() -> None:
    records = effects_of(shop().hold("alice", "EUR", 300).decide(pay("alice", "bob", "EUR", 700))).balances
    assert (records[0].posted, records[0].held, records[0].available) == ("300", "300", "0")


def test_money_comes_in_and_goes_out_through_a_system_wallet_that_goes_below_zero() -> None:
    ledger = shop()
    assert ledger.posted("@external", "EUR") == -1000
    assert ledger.after(pay("alice", "@external", "EUR", 1000)).posted("@external", "EUR") == 0


def test_any_system_wallet_may_go_below_zero() -> None:
    assert shop().after(pay("@fees", "bob", "EUR", 5)).posted("@fees", "EUR") == -5


def test_a_system_wallet_has_no_available_amount() -> None:
    records = effects_of(shop().decide(pay("@fees", "bob", "EUR", 5))).balances
    assert [record.available for record in records] == [None, "5"]


def test_a_wallet_with_a_long_name_and_an_at_sign_inside_is_a_customers() -> None:
    name = "a" + ":/._-" * 12
    verdict = shop().after(open_wallet(name)).decide(pay(name, "bob", "EUR", 1))
    assert isinstance(verdict, Refusal)


# --- several postings, one after the other -------------------------------------------------------------------------

IN_ORDER: list[tuple[str, list[tuple[str, str, str, int]], dict[tuple[str, str], int]]] = [
    (
        "what a wallet receives in the transfer pays for what it gives in it",
        [("alice", "bob", "EUR", 10), ("bob", "@fees", "EUR", 10)],
        {("alice", "EUR"): 990, ("bob", "EUR"): 0, ("@fees", "EUR"): 10},
    ),
    (
        "two wallets can pay each other what one of them has, as often as they like",
        [("alice", "bob", "EUR", 1000), ("bob", "alice", "EUR", 1000)] * 50,
        {("alice", "EUR"): 1000, ("bob", "EUR"): 0},
    ),
    (
        "a payment with its fee takes both from the payer",
        [("alice", "bob", "EUR", 990), ("alice", "@fees", "EUR", 10)],
        {("alice", "EUR"): 0, ("bob", "EUR"): 990, ("@fees", "EUR"): 10},
    ),
    (
        "an exchange moves two assets at once",
        [("alice", "@fees", "EUR", 1000), ("@fees", "alice", "BTC", 3)],
        {("alice", "EUR"): 0, ("alice", "BTC"): 3, ("@fees", "EUR"): 1000, ("@fees", "BTC"): -3},
    ),
    (
        "the same posting twice moves the money twice",
        [("alice", "bob", "EUR", 5), ("alice", "bob", "EUR", 5)],
        {("alice", "EUR"): 990, ("bob", "EUR"): 10},
    ),
    (
        "a wallet may pay as much as came in before in the transfer",
        [("@external", "alice", "EUR", 4000), ("alice", "bob", "EUR", 5000)],
        {("alice", "EUR"): 0, ("bob", "EUR"): 5000},
    ),
]


@pytest.mark.parametrize(("postings", "after"), [row[1:] for row in IN_ORDER], ids=[row[0] for row in IN_ORDER])
def test_each_posting_is_judged_when_its_turn_comes(
    postings: list[tuple[str, str, str, int]], after: dict[tuple[str, str], int]
) -> None:
    ledger = shop().after(open_wallet("dave")).after(transfer(*(posting(*row) for row in postings)))
    assert {place: ledger.posted(*place) for place in after} == after


def test_one_asset_does_not_pay_for_another() -> None:
    verdict = shop().decide(transfer(posting("alice", "bob", "EUR", 5), posting("bob", "alice", "BTC", 5)))
    assert isinstance(verdict, Refusal)


def test_each_wallet_and_asset_is_recorded_once_however_many_postings_touch_it() -> None:
    command = transfer(*[posting("alice", "bob", "EUR", 1)] * 5, posting("bob", "alice", "EUR", 2))
    records = effects_of(shop().decide(command)).balances
    assert [(record.wallet, record.asset, record.posted) for record in records] == [
        ("alice", "EUR", "997"),
        ("bob", "EUR", "3"),
    ]


def test_a_refused_transfer_moves_none_of_its_postings() -> None:
    ledger = shop()
    before = snapshot(ledger.books)
    ledger.run(transfer(posting("alice", "bob", "EUR", 5), posting("bob", "alice", "BTC", 5)))
    assert snapshot(ledger.books) == before


# --- the extremes --------------------------------------------------------------------------------------------------


def test_the_largest_amount_moves_exactly() -> None:
    ledger = shop().bring("bob", "EUR", MAX_AMOUNT).after(pay("bob", "alice", "EUR", MAX_AMOUNT - 1))
    assert ledger.posted("bob", "EUR") == 1
    assert ledger.posted("alice", "EUR") == MAX_AMOUNT + 999
    assert ledger.posted("@external", "EUR") == -MAX_AMOUNT - 1000


def test_sums_grow_beyond_the_largest_amount_and_stay_exact() -> None:
    hundred = transfer(*[posting("@external", "bob", "EUR", MAX_AMOUNT)] * MAX_POSTINGS)
    ledger = shop().after(hundred, hundred)
    assert ledger.posted("bob", "EUR") == 200 * MAX_AMOUNT


def test_what_a_hundred_postings_take_together_is_compared_exactly() -> None:
    hundred = [posting("bob", "alice", "EUR", MAX_AMOUNT)] * MAX_POSTINGS
    ledger = shop().after(transfer(*[posting("@external", "bob", "EUR", MAX_AMOUNT)] * MAX_POSTINGS))
    ledger.after(pay("bob", "@fees", "EUR", 1))
    assert isinstance(ledger.decide(transfer(*hundred)), Refusal)
    ledger.bring("bob", "EUR", 1)
    assert ledger.after(transfer(*hundred)).posted("bob", "EUR") == 0


def test_a_hundred_postings_may_touch_two_hundred_wallets() -> None:
    ledger = Ledger().after(define())
    ledger.after(*(open_wallet(f"@s{index}") for index in range(100)), *(open_wallet(f"w{i}") for i in range(100)))
    ledger.after(transfer(*(posting(f"@s{index}", f"w{index}", "EUR", index + 1) for index in range(100))))
    assert [ledger.posted(f"w{index}", "EUR") for index in range(100)] == list(range(1, 101))


# --- versions ------------------------------------------------------------------------------------------------------


def test_each_entry_moves_the_version_of_every_wallet_in_it_by_one() -> None:
    ledger = shop()
    before = ledger.version("alice"), ledger.version("bob")
    ledger.after(transfer(posting("alice", "bob", "EUR", 1), posting("alice", "bob", "EUR", 1)))
    assert (ledger.version("alice"), ledger.version("bob")) == (before[0] + 1, before[1] + 1)


def test_several_assets_in_one_entry_are_one_step_of_the_version() -> None:
    ledger = shop().bring("alice", "BTC", 5)
    before = ledger.version("alice")
    records = effects_of(
        ledger.run(transfer(posting("alice", "bob", "EUR", 1), posting("alice", "bob", "BTC", 1)))
    ).balances
    assert {record.version for record in records if record.wallet == "alice"} == {before + 1}
    assert ledger.version("alice") == before + 1


def test_a_wallet_whose_postings_cancel_out_was_touched_all_the_same() -> None:
    ledger = shop()
    before = ledger.version("bob")
    ledger.after(transfer(posting("alice", "bob", "EUR", 5), posting("bob", "alice", "EUR", 5)))
    assert ledger.version("bob") == before + 1


def test_a_refusal_moves_no_version() -> None:
    ledger = shop()
    ledger.run(pay("alice", "bob", "EUR", 1001))
    assert (ledger.version("alice"), ledger.version("bob")) == (2, 1)


def test_a_wallet_that_is_only_named_in_if_version_is_not_touched() -> None:
    ledger = shop().after(pay("alice", "bob", "EUR", 1, if_version={"@fees": 1}))
    assert ledger.version("@fees") == 1


# --- conditions ----------------------------------------------------------------------------------------------------

CONDITIONS_THAT_HOLD: list[tuple[str, dict[str, Any]]] = [
    ("exactly at valid_until", {"valid_until": NOW}),
    ("a microsecond before valid_until", {"valid_until": NOW + TICK}),
    (
        "valid_until in another offset",
        {"valid_until": (NOW + timedelta(hours=0)).astimezone(timezone(timedelta(hours=9)))},
    ),
    ("valid for a time that has only begun", {"valid_for_seconds": 1}),
    ("every wallet at the version demanded", {"if_version": {"alice": 2, "bob": 1, "carol": 2, "@external": 2}}),
    (
        "every bound is met",
        {"if_balance": (demand("alice", gte="1000", lte="1000", eq="1000"), demand("@fees", gte="9"))},
    ),
    ("a wallet that must not exist, and does not", {"if_version": {"ghost": 0}}),
]


@pytest.mark.parametrize(
    "conditions", [row[1] for row in CONDITIONS_THAT_HOLD], ids=[r[0] for r in CONDITIONS_THAT_HOLD]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda **conditions: pay("alice", "bob", "EUR", 1, **conditions),
        lambda **conditions: open_wallet("dave", **conditions),
        lambda **conditions: define("ETH", 18, **conditions),
    ],
    ids=["transfer.post", "wallet.open", "asset.define"],
)
def test_a_condition_that_holds_stops_no_command(make: Any, conditions: dict[str, Any]) -> None:
    assert isinstance(shop().decide(make(**conditions)), Effects)


@pytest.mark.parametrize(
    "command",
    [
        pay("alice", "bob", "EUR", 1, valid_until=NOW - TICK),
        open_wallet("dave", valid_until=NOW - TICK),
        define("ETH", valid_until=NOW - TICK),
    ],
    ids=["transfer.post", "wallet.open", "asset.define"],
)
def test_every_kind_of_command_expires(command: AnyCommand) -> None:
    assert isinstance(shop().decide(command), Refusal)


@pytest.mark.parametrize(
    "command",
    [
        pay("alice", "bob", "EUR", 1, valid_for_seconds=60),
        open_wallet("dave", valid_for_seconds=60),
        batch(pay("alice", "bob", "EUR", 1), valid_for_seconds=60),
        batch(pay("alice", "bob", "EUR", 1, valid_for_seconds=60)),
    ],
    ids=["transfer.post", "wallet.open", "batch.execute", "in a batch"],
)
def test_a_command_is_valid_for_so_many_seconds_after_it_was_received(command: AnyCommand) -> None:
    ledger, minute = shop(), timedelta(seconds=60)
    assert isinstance(decide(ledger.books, command, NOW, 99, received=NOW - minute), Effects)
    refused = decide(ledger.books, command, NOW, 99, received=NOW - minute - TICK)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.COMMAND_EXPIRED
    assert datetime.fromisoformat(refused.facts["valid_until"]) == NOW - TICK


def test_deciding_twice_gives_the_same_verdict_and_changes_nothing() -> None:
    ledger = shop()
    before = snapshot(ledger.books)
    command = pay("alice", "bob", "EUR", 250)
    assert ledger.decide(command) == ledger.decide(command)
    assert snapshot(ledger.books) == before
