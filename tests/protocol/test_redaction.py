"""What a session is shown of an entry: its own part and who was on the other side, never what others have or demand.

Everything that only its owner may see has a value that stands nowhere else, so that a test can ask
whether it is in what is shown.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.ledger.cases import (
    balance,
    batch,
    capture,
    close,
    demand,
    freeze,
    open_wallet,
    pay,
    posting,
    refund,
    transfer,
)
from tests.ledger.client_cases import CLIENT_REFUSALS
from tests.ledger.refusal_cases import REFUSALS, RefusalCase
from walletd.contract.facts import facts_of
from walletd.sessions.access import Grant, Need
from walletd.sessions.redaction import HIDDEN, Redactions, concerns, redacted, shown_facts
from walletd.vocabulary.commands import CreateClient
from walletd.vocabulary.entries import (
    Effects,
    Entry,
    HoldRecord,
    Moved,
    OutflowRecord,
    Refundable,
    Refusal,
    TransferRecord,
    WalletRecord,
    decode_entry,
    encode_entry,
)
from walletd.vocabulary.identifiers import (
    AssetCode,
    CommandId,
    HoldId,
    Principal,
    Sequence,
    TransferId,
    Version,
    WalletId,
)
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import HoldState, WalletStatus

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SENDER = Principal("the-shop")

CONDITIONS: dict[str, Any] = {
    "command_id": CommandId("order-of-the-shop"),
    "if_version": {WalletId("shop"): Version(7171)},
    "if_balance": (demand("shop", gte="7272"),),
    "valid_until": datetime(2037, 3, 7, tzinfo=UTC),
    "valid_for_seconds": None,
}
DEMANDED = ("the-shop", "order-of-the-shop", "7171", "7272", "2037-03-07")
"""How the sender called its command, and under which conditions it was to be done."""


def entry(command: Any, outcome: Effects | Refusal, **fields: Any) -> Entry:
    """An entry of the shop's."""
    refusal, effects = (outcome, None) if isinstance(outcome, Refusal) else (None, outcome)
    fields = {"sequence": Sequence(12), "time": NOW, "principal": SENDER, **fields}
    return Entry(command=command, refusal=refusal, effects=effects, **fields)


def viewer(*scopes: str, principal: str = "somebody") -> Grant:
    """A client of these scopes."""
    return Grant(Principal(principal), scopes)


def words(*shown: Any) -> str:
    """All that is in it, as it goes onto the wire."""
    return msgspec.json.encode(shown).decode()


def hold(wallet: str, amount: str) -> HoldRecord:
    """An open hold."""
    name, asset = HoldId(f"h-{amount}"), AssetCode("EUR")
    return HoldRecord(
        hold=name, wallet=WalletId(wallet), asset=asset, amount=amount, state=HoldState.OPEN, placed_at=NOW
    )


def wallet_record(name: str, **metadata: str) -> WalletRecord:
    """A wallet's record."""
    return WalletRecord(
        wallet=WalletId(name), status=WalletStatus.OPEN, version=Version(3), opened_at=NOW, metadata=metadata
    )


PAYMENT = entry(
    transfer(
        posting("shop", "alice", "EUR", 41),
        posting("shop", "bob", "EUR", 5353),
        posting("bank", "carol", "EUR", 5454),
        reference="invoice 9",
        metadata={"for": "shoes"},
        **CONDITIONS,
    ),
    Effects(
        wallets=(wallet_record("shop", note="hidden-note"), wallet_record("alice")),
        balances=(
            balance("shop", "EUR", "1111", "1212", "1313", 8),
            balance("alice", "EUR", "41", "0", "41", 2),
            balance("bob", "EUR", "2121", "2222", "2323", 2),
            balance("bank", "EUR", "3131", "3232", "3333", 2),
            balance("carol", "EUR", "4141", "4242", "4343", 2),
        ),
        holds=(hold("shop", "6161"), hold("alice", "9")),
        outflows=(
            OutflowRecord(
                wallet=WalletId("shop"), asset=AssetCode("EUR"), sequence=Sequence(12), time=NOW, amount="6262"
            ),
        ),
    ),
)
OF_THE_SHOP = ("1111", "1212", "1313", "hidden-note", "6161", "6262")
OF_OTHERS = ("bob", "5353", "5454", "2121", "2222", "2323", "bank", "3131", "3232", "3333", "carol", "4141", "4242")


# --- transfers -----------------------------------------------------------------------------------------------------


def test_a_payee_is_shown_what_it_got_and_from_whom_and_what_it_has() -> None:
    shown = redacted(PAYMENT, viewer("view:alice"))
    assert shown.redacted
    assert shown.effects is not None
    assert [(r.wallet, r.posted) for r in shown.effects.balances] == [("alice", "41")]
    assert [r.wallet for r in shown.effects.wallets] == ["alice"]
    assert [(r.wallet, r.amount) for r in shown.effects.holds] == [("alice", "9")]
    assert shown.command == transfer(
        posting("shop", "alice", "EUR", 41),
        reference="invoice 9",
        metadata={"for": "shoes"},
        command_id=CommandId(HIDDEN),
    )
    assert (shown.sequence, shown.time) == (PAYMENT.sequence, PAYMENT.time)


@pytest.mark.parametrize("secret", [*OF_THE_SHOP, *OF_OTHERS, *DEMANDED])
def test_a_payee_is_not_shown(secret: str) -> None:
    assert secret in words(PAYMENT), "the entry has it"
    assert secret not in words(redacted(PAYMENT, viewer("view:alice")))


@pytest.mark.parametrize("secret", OF_OTHERS[5:])
def test_a_payer_that_did_not_send_the_command_is_not_shown(secret: str) -> None:
    shown = words(redacted(PAYMENT, viewer("view:shop")))
    assert secret not in shown
    assert "1111" in shown


@pytest.mark.parametrize("secret", DEMANDED)
def test_a_payer_that_did_not_send_the_command_is_not_shown_how_it_was_sent(secret: str) -> None:
    assert secret not in words(redacted(PAYMENT, viewer("view:shop")))


def test_the_sender_is_shown_its_command_as_it_sent_it_and_not_what_the_payees_have() -> None:
    shown = redacted(PAYMENT, viewer("spend:shop", principal="the-shop"))
    assert (shown.principal, shown.command) == (SENDER, PAYMENT.command)
    assert shown.redacted
    assert shown.effects is not None
    assert [record.wallet for record in shown.effects.balances] == ["shop"]
    assert not any(secret in words(shown.effects) for secret in ("2121", "3131", "4141", "bob", "carol"))


@pytest.mark.parametrize("scope", ["operate", "admin"])
def test_who_sees_every_wallet_is_shown_the_entry_itself(scope: str) -> None:
    assert redacted(PAYMENT, viewer(scope)) is PAYMENT


def test_the_sender_that_sees_all_wallets_in_it_is_shown_the_entry_itself() -> None:
    assert redacted(PAYMENT, viewer("view:*", principal="the-shop")) is PAYMENT
    assert redacted(PAYMENT, viewer("view:*")).redacted, "how it was sent is the sender's own business"


def test_of_a_refund_a_viewer_is_shown_the_parts_of_its_own_wallets() -> None:
    original = TransferRecord(
        TransferId("t9"),
        (
            Refundable(WalletId("shop"), WalletId("alice"), AssetCode("EUR"), "41", "7"),
            Refundable(WalletId("shop"), WalletId("bob"), AssetCode("EUR"), "5353", "5252"),
        ),
    )
    sent = refund("t9", posting("alice", "shop", "EUR", 7), posting("bob", "shop", "EUR", 5252), **CONDITIONS)
    shown = redacted(entry(sent, Effects(transfers=(original,))), viewer("view:alice"))
    assert shown.effects is not None
    assert shown.effects.transfers == (TransferRecord(TransferId("t9"), original.parts[:1]),)
    assert not any(secret in words(shown) for secret in ("bob", "5353", "5252", *DEMANDED))


def test_of_a_capture_each_payee_is_shown_its_own_part_and_nothing_of_the_hold() -> None:
    sent = capture("shop", "h-6161", ("alice", 3), ("bob", 5353), **CONDITIONS)
    moved = (
        Moved(WalletId("shop"), WalletId("alice"), AssetCode("EUR"), "3"),
        Moved(WalletId("shop"), WalletId("bob"), AssetCode("EUR"), "5353"),
    )
    shown = redacted(entry(sent, Effects(moved=moved, holds=(hold("shop", "6161"),))), viewer("view:alice"))
    assert shown.effects is not None
    assert shown.effects.moved == moved[:1]
    assert shown.effects.holds == ()
    assert [part.to for part in shown.command.parts] == ["alice"]  # type: ignore[union-attr]
    assert not any(secret in words(shown) for secret in ("bob", "5353", *DEMANDED))


def test_who_gets_what_was_swept_is_told_of_the_closing_and_anybody_else_of_nothing() -> None:
    sent = close("shop", "alice", **CONDITIONS)
    moved = (Moved(WalletId("shop"), WalletId("alice"), AssetCode("EUR"), "3"),)
    closed = entry(sent, Effects(wallets=(wallet_record("shop", note="hidden-note"),), moved=moved))
    shown = redacted(closed, viewer("view:alice"))
    assert shown.command.sweep_to == "alice"  # type: ignore[union-attr]
    assert not any(secret in words(shown) for secret in ("hidden-note", *DEMANDED))
    other = redacted(closed, viewer("view:bob"))
    assert other.command is None
    assert other.effects == Effects()


def test_of_a_client_that_was_let_in_only_its_maker_and_those_who_see_everything_are_shown_the_command() -> None:
    sent = CreateClient(client=Principal("the-shop/till"), scopes=("view:shop",), token_sha256="ab" * 32, **CONDITIONS)
    made = entry(sent, Effects())
    for grant in (viewer("view:shop"), viewer("view:*")):
        shown = redacted(made, grant)
        assert shown.command is None
        assert not any(secret in words(shown) for secret in ("till", "abab", *DEMANDED))
    assert redacted(made, viewer("spend:shop", principal="the-shop")) is redacted(made, viewer("admin")) is made


# --- batches -------------------------------------------------------------------------------------------------------

REFUSED = Refusal(
    Reason.INSUFFICIENT_FUNDS,
    {"wallet": "shop", "asset": "EUR", "available": "8181", "required": "41", "short_by": "8282"},
)
OF_A_BATCH = entry(
    batch(
        open_wallet("bob", metadata={"k": "secret-of-bob"}),
        pay("shop", "alice", "EUR", 41, **CONDITIONS),
        pay("shop", "bob", "EUR", 5353),
        pay("shop", "alice", "EUR", 41),
        freeze("bob"),
        atomic=False,
        **CONDITIONS,
    ),
    Effects(
        balances=(balance("alice", "EUR", "41", "0", "41", 2), balance("bob", "EUR", "2121", "0", "2121", 2)),
        moved=(
            Moved(WalletId("shop"), WalletId("bob"), AssetCode("EUR"), "5353", command=2),
            Moved(WalletId("shop"), WalletId("alice"), AssetCode("EUR"), "41", command=3),
        ),
        outcomes=(None, REFUSED, None, None, None),
    ),
)


def test_of_a_batch_a_viewer_is_shown_the_commands_about_its_wallets_counted_anew() -> None:
    shown = redacted(OF_A_BATCH, viewer("view:alice"))
    assert shown.effects is not None
    assert [inner.postings for inner in shown.command.commands] == [(posting("shop", "alice", "EUR", 41),)] * 2  # type: ignore[union-attr]
    assert [(moved.to, moved.command) for moved in shown.effects.moved] == [("alice", 1)]
    told = {"wallet": "shop", "asset": "EUR", "required": "41"}
    assert shown.effects.outcomes == (Refusal(Reason.INSUFFICIENT_FUNDS, told), None)


@pytest.mark.parametrize("secret", ["bob", "secret-of-bob", "court order", "5353", "2121", "8181", "8282", *DEMANDED])
def test_of_a_batch_a_viewer_is_not_shown(secret: str) -> None:
    assert secret in words(OF_A_BATCH)
    assert secret not in words(redacted(OF_A_BATCH, viewer("view:alice")))


# --- refusals ------------------------------------------------------------------------------------------------------

FACTS: list[tuple[Reason, dict[str, Any], set[str]]] = [
    (
        Reason.INSUFFICIENT_FUNDS,
        {"wallet": "shop", "asset": "EUR", "available": "1", "required": "2", "short_by": "1", "posting": 3},
        {"available", "short_by"},
    ),
    (Reason.VERSION_MISMATCH, {"wallet": "shop", "version": 4, "demanded": 5}, {"version", "demanded"}),
    (
        Reason.BALANCE_MISMATCH,
        {"wallet": "shop", "asset": "EUR", "amount": "posted", "stands": "9", "condition": 0},
        {"stands", "amount", "condition"},
    ),
    (
        Reason.WALLET_FROZEN,
        {"wallet": "shop", "frozen": "both", "why": "court order", "until": None, "posting": 0},
        {"frozen", "why", "until"},
    ),
    (
        Reason.ABOVE_MAXIMUM,
        {"wallet": "shop", "asset": "EUR", "maximum": "10", "would_have": "11"},
        {"maximum", "would_have"},
    ),
    (
        Reason.REFUND_EXCEEDS_ORIGINAL,
        {"transfer": "t1", "wallet": "shop", "to": "bob", "asset": "EUR", "refundable": "3", "required": "4"},
        {"refundable"},
    ),
]


@pytest.mark.parametrize(("reason", "facts", "hidden"), FACTS, ids=[reason.value for reason, *_ in FACTS])
def test_a_refusal_says_of_a_wallet_that_is_not_seen_only_what_was_asked_for(
    reason: Reason, facts: dict[str, Any], hidden: set[str]
) -> None:
    told = shown_facts(facts, viewer("view:alice", "spend:bob"))
    assert told == {name: fact for name, fact in facts.items() if name not in hidden}
    assert shown_facts(facts, viewer("view:shop")) == facts


def test_a_refused_entry_shows_its_sender_no_more_than_the_refusal_did() -> None:
    shown = redacted(entry(pay("bob", "shop", "EUR", 41), REFUSED), viewer("spend:bob", principal="the-shop"))
    assert shown.refusal == Refusal(REFUSED.reason, {"wallet": "shop", "asset": "EUR", "required": "41"})
    assert shown.redacted


# --- whose business an entry is ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grant", "is_concerned"),
    [
        (viewer("view:alice"), True),
        (viewer("view:carol"), True),
        (viewer("view:dave", "metrics"), False),
        (viewer("view:dave", principal="the-shop"), True),
        (viewer("operate"), True),
    ],
)
def test_an_entry_concerns_its_sender_and_who_sees_a_wallet_that_it_touched(grant: Grant, is_concerned: bool) -> None:
    assert concerns(PAYMENT, grant) is is_concerned


def test_a_refused_command_concerns_its_sender_only() -> None:
    refused = entry(pay("shop", "alice", "EUR", 41), REFUSED)
    assert not concerns(refused, viewer("view:alice", "view:shop"))
    assert concerns(refused, viewer("view:dave", principal="the-shop"))


# --- the bytes of streams ------------------------------------------------------------------------------------------


def test_a_stream_is_given_the_stored_bytes_where_all_of_them_are_shown() -> None:
    record = encode_entry(PAYMENT)
    assert Redactions().shown(PAYMENT, record, viewer("operate")) is record


def test_what_was_made_for_one_session_is_shown_to_no_session_that_sees_less() -> None:
    redactions, record = Redactions(), encode_entry(PAYMENT)
    operator = viewer("operate")
    grants = [viewer("spend:shop", principal="the-shop"), operator, viewer("view:alice"), viewer("view:shop"), operator]
    for grant in [*grants, *reversed(grants)]:
        assert redactions.shown(PAYMENT, record, grant) == msgspec.json.encode(redacted(PAYMENT, grant))
    sender_of_same_scopes = viewer("view:shop", principal="the-shop")
    assert b"order-of-the-shop" in redactions.shown(PAYMENT, record, sender_of_same_scopes)
    assert b"order-of-the-shop" not in redactions.shown(PAYMENT, record, viewer("view:shop"))


def test_what_was_made_of_one_entry_is_not_shown_for_the_next() -> None:
    redactions, grant = Redactions(), viewer("view:alice")
    following = msgspec.structs.replace(PAYMENT, sequence=Sequence(13), command=pay("shop", "alice", "EUR", 77))
    first = redactions.shown(PAYMENT, encode_entry(PAYMENT), grant)
    second = redactions.shown(following, encode_entry(following), grant)
    assert (b'"sequence":12' in first, b'"sequence":13' in second) == (True, True)
    assert b'"77"' in second


# --- every reason that has facts of a wallet -----------------------------------------------------------------------

OF_WALLETS = [case for case in (*REFUSALS, *CLIENT_REFUSALS) if "wallet" in case.facts]
VIEWERS: list[tuple[str, ...]] = [
    ("metrics",),
    ("view:another",),
    ("spend:another",),
    ("mint",),
    ("open:*", "freeze:*", "define"),
]
SEEN_BY: list[tuple[str, ...]] = [("view:*",), ("spend:*",), ("operate",), ("admin",)]
NAMED_BY_THE_SENDER = {"wallet", "to", "asset", "posting", "command", "transfer", "hold", "required"}


def test_every_reason_that_has_facts_of_a_wallet_is_in_the_tables() -> None:
    with_facts = {reason for reason in Reason if reason.is_refusal and "wallet" in facts_of(reason)}
    assert with_facts <= {case.reason for case in OF_WALLETS}


@pytest.mark.parametrize("case", OF_WALLETS, ids=lambda case: f"{case.reason.value}: {case.situation}")
def test_a_refusal_about_a_wallet_unseen_has_no_fact_that_its_sender_did_not_name(case: RefusalCase) -> None:
    facts = dict(case.facts)
    entry = Entry(
        sequence=Sequence(7), time=NOW, principal=SENDER, command=case.command, refusal=Refusal(case.reason, facts)
    )
    for scopes in VIEWERS:
        grant = viewer(*scopes, principal=SENDER)
        if not grant.permits(Need.view(facts["wallet"])):
            streamed = decode_entry(Redactions().shown(entry, encode_entry(entry), grant))
            for refusal in (redacted(entry, grant).refusal, streamed.refusal):
                assert refusal is not None
                assert refusal.facts == shown_facts(facts, grant)
                assert refusal.facts.keys() <= NAMED_BY_THE_SENDER
    for scopes in SEEN_BY:
        assert shown_facts(facts, viewer(*scopes)) == facts
