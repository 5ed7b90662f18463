"""What decide() refuses, and with which facts; which reason wins where several hold at once."""

from collections.abc import Callable, Iterator
from itertools import chain, combinations
from typing import Any, get_args

import msgspec
import pytest

from tests.ledger.cases import (
    NOW,
    TICK,
    Ledger,
    adjust,
    batch,
    capture,
    close,
    define,
    demand,
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
    snapshot,
    transfer,
    unfreeze,
    update,
    void,
    window,
)
from tests.ledger.client_cases import CLIENT_REFUSALS, change, create, hash_of, revoke, rotate, with_office
from tests.ledger.core import REAL, Core
from tests.ledger.refusal_cases import REFUSALS, RefusalCase
from walletd.vocabulary.commands import (
    AdjustHold,
    AnyCommand,
    CaptureHold,
    CloseWallet,
    Command,
    CreateClient,
    DefineAsset,
    ExecuteBatch,
    ExpireHold,
    ExtendHold,
    FreezeWallet,
    OpenWallet,
    Part,
    PlaceHold,
    Posting,
    PostTransfer,
    RefundTransfer,
    RevokeClient,
    RotateClient,
    UnfreezeWallet,
    UpdateClient,
    UpdateWallet,
    VoidHold,
    WalletLimits,
)
from walletd.vocabulary.entries import Effects, Refusal
from walletd.vocabulary.identifiers import WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide

ORDER = list(Reason)


def _name(case: RefusalCase) -> str:
    return f"{case.reason.value}: {case.situation}"


@pytest.mark.parametrize("case", REFUSALS + CLIENT_REFUSALS, ids=_name)
def test_a_command_that_may_not_be_is_refused_with_its_reason_and_facts(case: RefusalCase) -> None:
    verdict = case.arrange(shop()).decide(case.command)
    assert isinstance(verdict, Refusal)
    assert verdict.reason is case.reason
    assert msgspec.to_builtins(verdict.facts) == case.facts


@pytest.mark.parametrize("case", REFUSALS + CLIENT_REFUSALS, ids=_name)
def test_a_refused_command_changes_nothing(case: RefusalCase) -> None:
    ledger = case.arrange(shop())
    before = snapshot(ledger.books)
    ledger.run(case.command)
    assert snapshot(ledger.books) == before


def test_every_refusal_has_a_row() -> None:
    assert {case.reason for case in REFUSALS + CLIENT_REFUSALS} == {reason for reason in Reason if reason.is_refusal}


def test_the_rows_stand_in_the_order_of_the_enum() -> None:
    for table in (REFUSALS, CLIENT_REFUSALS):
        places = [ORDER.index(case.reason) for case in table]
        assert places == sorted(places)


# --- precedence: the guards of each command; each fault is one change to a command that would be applied ------------

EXPIRED: dict[str, Any] = {"valid_until": NOW - TICK}
STALE: dict[str, Any] = {"if_version": {"alice": 7}}

POORER: dict[str, Any] = {"if_balance": (demand("alice", amount="posted", eq="7"),)}

FAULTS_OF_A_TRANSFER: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_NOT_FOUND: posting("alice", "bob", "DOGE", 1),
    Reason.WALLET_NOT_FOUND: posting("alice", "ghost", "EUR", 1),
    Reason.SELF_TRANSFER: posting("alice", "alice", "EUR", 1),
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: posting("alice", "carol", "EUR", 1),
    Reason.WALLET_FROZEN: freeze("dave"),
    Reason.INSUFFICIENT_FUNDS: posting("bob", "alice", "EUR", 5000),
    Reason.VELOCITY_EXCEEDED: limit("alice", "EUR", velocity=(window(1, 4),)),
    Reason.ABOVE_MAXIMUM: limit("bob", "EUR", maximum=0),
}
FAULTS_OF_AN_OPENING: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_ALREADY_EXISTS: {"wallet": "bob"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
}
FAULTS_OF_A_DEFINITION: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_ALREADY_DEFINED: {"asset": "BTC"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
}
LATER = NOW + TICK
FAULTS_OF_AN_UPDATE: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_NOT_FOUND: {"limits": {"DOGE": WalletLimits()}},
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.LIMITS_NOT_MET: {"limits": {"EUR": WalletLimits(minimum="1001")}},
}
FAULTS_OF_A_FREEZE: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.MOMENT_PASSED: {"until": NOW},
}
FAULTS_OF_AN_UNFREEZE: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.WALLET_NOT_FROZEN: {"wallet": "alice"},
}
FAULTS_OF_A_CLOSING: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: {"sweep_to": "ghost"},
    Reason.SELF_TRANSFER: {"sweep_to": "dave"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"sweep_to": "carol"},
    Reason.WALLET_FROZEN: freeze("dave"),
    Reason.HOLDS_OPEN: place("dave", "EUR", 1),
    Reason.WALLET_NOT_EMPTY: pay("dave", "@fees", "BTC", 1),
    Reason.ABOVE_MAXIMUM: limit("bob", "EUR", maximum=9),
}
FAULTS_OF_A_HOLD: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.ASSET_NOT_FOUND: {"asset": "DOGE"},
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.WALLET_FROZEN: freeze("dave"),
    Reason.MOMENT_PASSED: {"expires_at": NOW},
    Reason.INSUFFICIENT_FUNDS: {"amount": "5000"},
    Reason.VELOCITY_EXCEEDED: limit("dave", "EUR", velocity=(window(1, 0),)),
}
FAULTS_OF_A_CAPTURE: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: Part(WalletId("ghost"), "1"),
    Reason.SELF_TRANSFER: Part(WalletId("alice"), "1"),
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: Part(WalletId("carol"), "1"),
    Reason.WALLET_FROZEN: freeze("alice", FrozenSide.DEBITS),
    Reason.HOLD_NOT_OPEN: {"hold": "h99"},
    Reason.CAPTURE_EXCEEDS_HOLD: Part(WalletId("@fees"), "300"),
    Reason.ABOVE_MAXIMUM: limit("bob", "EUR", maximum=0),
}
FAULTS_OF_AN_EXTENSION: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.HOLD_NOT_OPEN: {"hold": "h99"},
    Reason.MOMENT_PASSED: {"expires_at": NOW},
}
FAULTS_OF_AN_ADJUSTMENT: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: {"wallet": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_CLOSED: {"wallet": "carol"},
    Reason.HOLD_NOT_OPEN: {"hold": "h99"},
    Reason.INSUFFICIENT_FUNDS: {"amount": "5000"},
    Reason.VELOCITY_EXCEEDED: limit("alice", "EUR", velocity=(window(1, 99),)),
}
FAULTS_OF_A_VOID: dict[Reason, Any] = {
    reason: fault
    for reason, fault in FAULTS_OF_AN_ADJUSTMENT.items()
    if reason not in (Reason.INSUFFICIENT_FUNDS, Reason.VELOCITY_EXCEEDED)
}
FAULTS_OF_AN_EXPIRY: dict[Reason, Any] = {
    reason: fault for reason, fault in FAULTS_OF_A_VOID.items() if reason is not Reason.WALLET_CLOSED
}
FAULTS_OF_A_REFUND: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.WALLET_NOT_FOUND: posting("ghost", "alice", "EUR", 1),
    Reason.SELF_TRANSFER: posting("alice", "alice", "EUR", 1),
    Reason.ORIGINAL_NOT_FOUND: {"transfer": "t99"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.REFUND_EXCEEDS_ORIGINAL: posting("dave", "alice", "EUR", 99),
    Reason.WALLET_FROZEN: freeze("dave"),
    Reason.INSUFFICIENT_FUNDS: pay("dave", "@fees", "EUR", 11),
    Reason.VELOCITY_EXCEEDED: limit("dave", "EUR", velocity=(window(1, 4),)),
    Reason.ABOVE_MAXIMUM: limit("alice", "EUR", maximum=995),
}
FAULTS_OF_A_BATCH: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.WALLET_FROZEN: freeze("dave"),
}
FAULTS_OF_A_CLIENT: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.BEYOND_OWN_ACCESS: {"client": "shop/spy"},
    Reason.CLIENT_ALREADY_EXISTS: {"client": "shop"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.MOMENT_PASSED: {"expires_at": NOW},
    Reason.TOKEN_IN_USE: {"token_sha256": hash_of("busy")},
}
FAULTS_OF_A_ROTATION: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.CLIENT_NOT_FOUND: {"client": "ghost"},
    Reason.KEPT_IN_FILE: {"client": "operator"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.MOMENT_PASSED: {"overlap_until": NOW},
    Reason.CLIENT_REVOKED: {"client": "gone"},
    Reason.TOKEN_IN_USE: {"token_sha256": hash_of("shop")},
    Reason.TOO_MANY_TOKENS: {"client": "busy", "overlap_until": LATER},
    Reason.LAST_ADMIN: {"client": "root", "expires_at": LATER},
}
FAULTS_OF_A_CHANGE: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.BEYOND_OWN_ACCESS: {"client": "shop/desk", "scopes": ("view:bob",)},
    Reason.CLIENT_NOT_FOUND: {"client": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.CLIENT_REVOKED: {"client": "gone"},
    Reason.LAST_ADMIN: {"client": "root", "scopes": ("operate",)},
}
FAULTS_OF_A_REVOCATION: dict[Reason, Any] = {
    Reason.COMMAND_EXPIRED: EXPIRED,
    Reason.CLIENT_NOT_FOUND: {"client": "ghost"},
    Reason.VERSION_MISMATCH: STALE,
    Reason.BALANCE_MISMATCH: POORER,
    Reason.CLIENT_REVOKED: {"client": "gone"},
    Reason.LAST_ADMIN: {"client": "root"},
}
FAULTS: dict[type[AnyCommand], dict[Reason, Any]] = {
    ExecuteBatch: FAULTS_OF_A_BATCH,
    RefundTransfer: FAULTS_OF_A_REFUND,
    UpdateWallet: FAULTS_OF_AN_UPDATE,
    FreezeWallet: FAULTS_OF_A_FREEZE,
    UnfreezeWallet: FAULTS_OF_AN_UNFREEZE,
    CloseWallet: FAULTS_OF_A_CLOSING,
    PlaceHold: FAULTS_OF_A_HOLD,
    CaptureHold: FAULTS_OF_A_CAPTURE,
    ExtendHold: FAULTS_OF_AN_EXTENSION,
    AdjustHold: FAULTS_OF_AN_ADJUSTMENT,
    VoidHold: FAULTS_OF_A_VOID,
    ExpireHold: FAULTS_OF_AN_EXPIRY,
    PostTransfer: FAULTS_OF_A_TRANSFER,
    OpenWallet: FAULTS_OF_AN_OPENING,
    DefineAsset: FAULTS_OF_A_DEFINITION,
    CreateClient: FAULTS_OF_A_CLIENT,
    RotateClient: FAULTS_OF_A_ROTATION,
    UpdateClient: FAULTS_OF_A_CHANGE,
    RevokeClient: FAULTS_OF_A_REVOCATION,
}


GOOD: dict[type[AnyCommand], Callable[[], AnyCommand]] = {
    DefineAsset: lambda: define("ETH", 18),
    OpenWallet: lambda: open_wallet("erin"),
    UpdateWallet: lambda: update("alice", {"k": "v"}),
    FreezeWallet: lambda: freeze("alice", until=LATER),
    UnfreezeWallet: lambda: unfreeze("eve"),
    CloseWallet: lambda: close("dave", "bob"),
    PostTransfer: lambda: transfer(posting("alice", "bob", "EUR", 5), posting("dave", "@fees", "EUR", 1)),
    RefundTransfer: lambda: refund("t18", posting("dave", "alice", "EUR", 5)),
    ExecuteBatch: lambda: batch(pay("dave", "bob", "EUR", 1)),
    PlaceHold: lambda: place("dave", "EUR", 1),
    CaptureHold: lambda: capture("alice", "h15", ("bob", 1)),
    ExtendHold: lambda: extend("alice", "h15", LATER),
    AdjustHold: lambda: adjust("alice", "h15", 400),
    VoidHold: lambda: void("alice", "h15"),
    ExpireHold: lambda: expire("eve", "h16"),
    CreateClient: lambda: create("visitor", "metrics"),
    RotateClient: lambda: rotate("shop", "fresh"),
    UpdateClient: lambda: change("shop", "spend:shop-1"),
    RevokeClient: lambda: revoke("shop"),
}


def stage(core: Core = REAL) -> Ledger:
    """The shop; dave with 10 EUR and credit; eve, who is frozen; a hold of alice's; one of eve's that expires now;
    the office, whose root sends the command.
    """
    ledger = shop(core).after(open_wallet("dave"), open_wallet("eve"))
    ledger.after(limit("dave", "BTC", credit_limit=1)).bring("dave", "EUR", 10).bring("eve", "EUR", 10).hold(
        "alice", "EUR", 300
    )
    ledger.at(NOW - TICK, place("eve", "EUR", 1, expires_at=NOW), freeze("eve"))
    return with_office(ledger.after(pay("alice", "dave", "EUR", 5)))


def faulty(kind: type[AnyCommand], reasons: tuple[Reason, ...]) -> tuple[AnyCommand, list[AnyCommand]]:
    """A command that fails for exactly these reasons, and what must have happened before it for that.

    Where two faults change the same field, the earlier reason's does; postings stand in the reverse of the order.
    """
    good = GOOD[kind]()
    faults: list[Any] = [FAULTS[kind][reason] for reason in reasons]
    fields: dict[str, Any] = {name: getattr(good, name) for name in good.__struct_fields__}
    for fault in reversed(faults):
        if isinstance(fault, dict):
            fields |= fault
        elif isinstance(fault, Posting):
            fields["postings"] += (fault,)
        elif isinstance(fault, Part):
            fields["parts"] += (fault,)
    before: list[Any] = [fault for fault in faults if isinstance(fault, Command)]
    return kind(**fields), before


def sets_of_reasons() -> list[tuple[type, tuple[Reason, ...]]]:
    """Every set of reasons that can hold at once, for every kind of command."""
    return [
        (kind, reasons)
        for kind, faults in FAULTS.items()
        for reasons in chain.from_iterable(combinations(faults, size) for size in range(1, len(faults) + 1))
    ]


def precedence_violations(core: Core) -> Iterator[str]:
    """Where the answer does not name the earliest of the reasons that hold."""
    stages: dict[tuple[int, ...], Ledger] = {}
    for kind, reasons in sets_of_reasons():
        command, before = faulty(kind, reasons)
        key = tuple(map(id, before))
        if key not in stages:
            stages[key] = stage(core).after(*sorted(before, key=lambda first: isinstance(first, FreezeWallet)))
        verdict = stages[key].decide(command)
        named = verdict.reason if isinstance(verdict, Refusal) else None
        if named is not min(reasons, key=ORDER.index):
            yield f"{kind.__name__} with {[r.value for r in reasons]} is answered {named}"


def test_of_all_reasons_that_hold_at_once_the_earliest_of_the_enum_is_named() -> None:
    assert len(sets_of_reasons()) == sum(2 ** len(faults) - 1 for faults in FAULTS.values()) > 2000
    assert list(precedence_violations(REAL)) == []


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_without_a_fault_the_same_command_is_applied(kind: type[AnyCommand]) -> None:
    assert isinstance(stage().decide(faulty(kind, ())[0]), Effects)


def test_every_kind_of_command_has_its_faults_listed() -> None:
    assert set(FAULTS) == set(get_args(AnyCommand))


def test_every_refusal_takes_part_in_the_precedence() -> None:
    # One more hold, client or asset than there may be is a matter of many before it; its row in the table must do.
    assert set().union(*FAULTS.values()) == {r for r in Reason if r.is_refusal} - {
        Reason.TOO_MANY_HOLDS,
        Reason.TOO_MANY_CLIENTS,
        Reason.ENTRY_TOO_LARGE,
    }


def test_of_two_postings_with_the_same_fault_the_first_is_named() -> None:
    verdict = shop().decide(transfer(posting("alice", "ghost", "EUR", 1), posting("spook", "bob", "EUR", 1)))
    assert isinstance(verdict, Refusal)
    assert verdict.facts == {"wallet": "ghost", "posting": 0}


def test_of_two_wallets_that_cannot_pay_the_one_named_first_is_named() -> None:
    verdict = shop().decide(transfer(posting("bob", "alice", "BTC", 1), posting("alice", "bob", "EUR", 2000)))
    assert isinstance(verdict, Refusal)
    assert (verdict.facts["wallet"], verdict.facts["asset"]) == ("bob", "BTC")
