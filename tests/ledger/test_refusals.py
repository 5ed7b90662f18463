"""What decide() refuses, and with which facts; which reason wins where several hold at once."""

from itertools import chain, combinations
from typing import Any, get_args

import msgspec
import pytest

from tests.ledger.cases import (
    NOW,
    REFUSALS,
    TICK,
    RefusalCase,
    define,
    open_wallet,
    posting,
    shop,
    snapshot,
    transfer,
)
from tests.ledger.core import REAL, Core
from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, PostTransfer
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.error_codes import Reason

ORDER = list(Reason)


def _name(case: RefusalCase) -> str:
    return f"{case.reason.value}: {case.situation}"


@pytest.mark.parametrize("case", REFUSALS, ids=_name)
def test_a_command_that_may_not_be_is_refused_with_its_reason_and_facts(case: RefusalCase) -> None:
    verdict = case.arrange(shop()).decide(case.command)
    assert isinstance(verdict, Refusal)
    assert verdict.reason is case.reason
    assert msgspec.to_builtins(verdict.facts) == case.facts


@pytest.mark.parametrize("case", REFUSALS, ids=_name)
def test_a_refused_command_changes_nothing(case: RefusalCase) -> None:
    ledger = case.arrange(shop())
    before = snapshot(ledger.books)
    ledger.run(case.command)
    assert snapshot(ledger.books) == before


def test_every_refusal_has_a_row() -> None:
    assert {case.reason for case in REFUSALS} == {reason for reason in Reason if reason.is_refusal}


def test_the_rows_stand_in_the_order_of_the_enum() -> None:
    places = [ORDER.index(case.reason) for case in REFUSALS]
    assert places == sorted(places)


# --- precedence: the guards of each command; each fault is one change to a command that would be applied ------------

EXPIRED: dict[str, Any] = {"valid_until": NOW - TICK}
STALE: dict[str, Any] = {"if_version": {"alice": 7}}

FAULTS_OF_A_TRANSFER: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_NOT_FOUND: posting("alice", "bob", "DOGE", 1),
    Reason.WALLET_NOT_FOUND: posting("alice", "ghost", "EUR", 1),
    Reason.SELF_TRANSFER: posting("alice", "alice", "EUR", 1),
    Reason.VERSION_MISMATCH: STALE,
    Reason.WALLET_CLOSED: posting("alice", "carol", "EUR", 1),
    Reason.INSUFFICIENT_FUNDS: posting("bob", "alice", "EUR", 5000),
}
FAULTS_OF_AN_OPENING: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_ALREADY_EXISTS: {"wallet": "bob"},
    Reason.VERSION_MISMATCH: STALE,
}
FAULTS_OF_A_DEFINITION: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_ALREADY_DEFINED: {"asset": "BTC"},
    Reason.VERSION_MISMATCH: STALE,
}
FAULTS: dict[type, dict[Reason, Any]] = {
    PostTransfer: FAULTS_OF_A_TRANSFER,
    OpenWallet: FAULTS_OF_AN_OPENING,
    DefineAsset: FAULTS_OF_A_DEFINITION,
}


def faulty(kind: type, reasons: tuple[Reason, ...]) -> AnyCommand:
    """A command that fails for exactly these reasons; the postings stand in the reverse of the enum's order."""
    faults = [FAULTS[kind][reason] for reason in reasons]
    changes = {name: value for fault in faults if isinstance(fault, dict) for name, value in fault.items()}
    if kind is DefineAsset:
        return define(**({"asset": "ETH", "scale": 18} | changes))
    if kind is OpenWallet:
        return open_wallet(**({"wallet": "dave"} | changes))
    postings = [fault for fault in faults if not isinstance(fault, dict)]
    return transfer(posting("alice", "bob", "EUR", 1), *reversed(postings), **changes)


def sets_of_reasons() -> list[tuple[type, tuple[Reason, ...]]]:
    """Every set of reasons that can hold at once, for every kind of command."""
    return [
        (kind, reasons)
        for kind, faults in FAULTS.items()
        for reasons in chain.from_iterable(combinations(faults, size) for size in range(1, len(faults) + 1))
    ]


def precedence_violations(core: Core) -> list[str]:
    """Where the answer does not name the earliest of the reasons that hold."""
    found = []
    for kind, reasons in sets_of_reasons():
        verdict = shop(core).decide(faulty(kind, reasons))
        named = verdict.reason if isinstance(verdict, Refusal) else None
        if named is not min(reasons, key=ORDER.index):
            found.append(f"{kind.__name__} with {[r.value for r in reasons]} is answered {named}")
    return found


def test_of_all_reasons_that_hold_at_once_the_earliest_of_the_enum_is_named() -> None:
    assert len(sets_of_reasons()) == 2**7 - 1 + 2**3 - 1 + 2**3 - 1
    assert precedence_violations(REAL) == []


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_without_a_fault_the_same_command_is_applied(kind: type) -> None:
    assert isinstance(shop().decide(faulty(kind, ())), Effects)


def test_every_kind_of_command_has_its_faults_listed() -> None:
    assert set(FAULTS) == set(get_args(AnyCommand))


def test_every_refusal_takes_part_in_the_precedence() -> None:
    assert set().union(*FAULTS.values()) == {reason for reason in Reason if reason.is_refusal}


def test_of_two_postings_with_the_same_fault_the_first_is_named() -> None:
    verdict = shop().decide(transfer(posting("alice", "ghost", "EUR", 1), posting("spook", "bob", "EUR", 1)))
    assert isinstance(verdict, Refusal)
    assert verdict.facts == {"wallet": "ghost", "posting": 0}


def test_of_two_wallets_that_cannot_pay_the_one_named_first_is_named() -> None:
    verdict = shop().decide(transfer(posting("bob", "alice", "BTC", 1), posting("alice", "bob", "EUR", 2000)))
    assert isinstance(verdict, Refusal)
    assert (verdict.facts["wallet"], verdict.facts["asset"]) == ("bob", "BTC")
