"""Every command alone fits into an entry at its largest, beside as many expired holds as an entry takes in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import msgspec
import pytest

from tests.ledger.cases import NOW, Ledger, define, expire, extend, open_wallet, place
from walletd.ledger.book import Book
from walletd.ledger.clients import MAX_KEYS, MAX_TOKENS
from walletd.ledger.entry_size import MAX_EXPIRED_BYTES, MAX_RAISES, RECORD_BYTES, in_turn
from walletd.vocabulary import commands as c
from walletd.vocabulary import entries as e
from walletd.vocabulary.identifiers import AssetCode, HoldId, Principal, Sequence, TransferId, Version, WalletId
from walletd.vocabulary.sizes import ENVELOPE_BYTES, MAX_ENTRY_BYTES, MAX_FRAME_BYTES, MAX_REQUEST_BYTES
from walletd.vocabulary.states import FrozenSide, HoldState, WalletStatus

AMOUNT = "-" + "9" * 40
CONTROL = "\x01"
"""Takes six bytes in JSON, more than any other character."""
METADATA = {f"{number:02}" + CONTROL * 38: CONTROL * 500 for number in range(16)}
REFERENCE = CONTROL * 128
ASSET = AssetCode("A" * 16)
HOLD = HoldId("h123456789012345.999")
MOMENT = NOW.replace(microsecond=1)
SEQUENCE = Sequence(2**53 - 1)
VERSION = Version(SEQUENCE)


def name(number: int) -> WalletId:
    return WalletId("@" + f"{number:03}" + "w" * 60)


CONDITIONS: dict[str, Any] = {
    "command_id": "c" * 64,
    "if_version": {name(number): SEQUENCE for number in range(200)},
    "if_balance": tuple(
        c.BalanceCondition(wallet=name(n), asset=ASSET, amount="available", gte=AMOUNT, lte=AMOUNT, eq=AMOUNT)
        for n in range(100)
    ),
    "valid_until": MOMENT,
}
LIMITS = {
    AssetCode("A" * 14 + f"{number:02}"): c.WalletLimits(
        credit_limit="9" * 36,
        minimum="9" * 36,
        maximum="9" * 36,
        velocity=tuple(c.Window(seconds=31_622_400, amount="9" * 36) for _ in range(8)),
    )
    for number in range(32)
}
POSTINGS = tuple(c.Posting(name(n), name(100 + n), ASSET, "9" * 36) for n in range(100))


def balance(number: int) -> e.BalanceRecord:
    return e.BalanceRecord(name(number), ASSET, AMOUNT, AMOUNT, AMOUNT, VERSION)


def outflow(number: int, hold: HoldId | None = None) -> e.OutflowRecord:
    return e.OutflowRecord(
        wallet=name(number), asset=ASSET, sequence=SEQUENCE, command=999, time=MOMENT, amount="9" * 40, hold=hold
    )


def hold(state: HoldState = HoldState.CAPTURED) -> e.HoldRecord:
    return e.HoldRecord(
        hold=HOLD,
        wallet=name(1),
        asset=ASSET,
        amount="9" * 36,
        captured="9" * 36,
        state=state,
        placed_at=MOMENT,
        expires_at=MOMENT,
        reference=REFERENCE,
        metadata=METADATA,
    )


def wallet() -> e.WalletRecord:
    return e.WalletRecord(
        wallet=name(1),
        status=WalletStatus.FROZEN,
        version=VERSION,
        opened_at=MOMENT,
        metadata=METADATA,
        limits=LIMITS,
        freeze=e.Freeze(frozen=FrozenSide.CREDITS, why=REFERENCE, until=MOMENT),
        counted_from={code: e.CountedFrom(sequence=SEQUENCE, command=999, after=MOMENT) for code in LIMITS},
    )


NETWORKS = ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",) * c.MAX_NETWORKS


def client(number: int) -> e.ClientRecord:
    token = e.TokenRecord(sha256="a" * 64, created_at=MOMENT, expires_at=MOMENT)
    return e.ClientRecord(
        client=Principal(f"{number:03}" + "c" * 60 + "/" + "k" * 63),
        scopes=("spend:" + name(1),) * c.MAX_SCOPES,
        tokens=(token,) * MAX_TOKENS,
        created_by=Principal("c" * 63),
        created_at=MOMENT,
        revoked_at=MOMENT,
        addresses=NETWORKS,
    )


MOVED = tuple(e.Moved(name(1), name(n), ASSET, "9" * 36) for n in range(100))
PARTS = tuple(c.Part(name(n), "9" * 36) for n in range(c.MAX_POSTINGS))
RAISES = tuple(outflow(1, HOLD) for _ in range(MAX_RAISES))
REFUNDED = e.TransferRecord(
    TransferId("t123456789012345.999"), tuple(e.Refundable(p.source, p.to, ASSET, "9" * 40, "9" * 40) for p in POSTINGS)
)
BALANCES = tuple(balance(n) for n in range(200))

LARGEST: dict[str, Callable[[], tuple[c.AnyCommand, e.Effects]]] = {
    "transfer.post": lambda: (
        c.PostTransfer(postings=POSTINGS, reference=REFERENCE, metadata=METADATA, **CONDITIONS),
        e.Effects(balances=BALANCES, outflows=tuple(outflow(n) for n in range(100))),
    ),
    "transfer.refund": lambda: (
        c.RefundTransfer(
            transfer=REFUNDED.transfer, postings=POSTINGS, reference=REFERENCE, metadata=METADATA, **CONDITIONS
        ),
        e.Effects(balances=BALANCES, outflows=tuple(outflow(n) for n in range(100)), transfers=(REFUNDED,)),
    ),
    "wallet.open": lambda: (
        c.OpenWallet(wallet=name(1), metadata=METADATA, **CONDITIONS),
        e.Effects(wallets=(wallet(),)),
    ),
    "wallet.update": lambda: (
        c.UpdateWallet(wallet=name(1), metadata=METADATA, limits={**LIMITS}, **CONDITIONS),
        e.Effects(wallets=(wallet(),), balances=BALANCES[:32]),
    ),
    "wallet.freeze": lambda: (
        c.FreezeWallet(wallet=name(1), why=REFERENCE, until=MOMENT, **CONDITIONS),
        e.Effects(wallets=(wallet(),)),
    ),
    "wallet.close": lambda: (
        c.CloseWallet(wallet=name(1), **CONDITIONS),
        e.Effects(wallets=(wallet(),), balances=BALANCES[:32]),
    ),
    "hold.place": lambda: (
        c.PlaceHold(
            wallet=name(1),
            asset=ASSET,
            amount="9" * 36,
            expires_at=MOMENT,
            reference=REFERENCE,
            metadata=METADATA,
            **CONDITIONS,
        ),
        e.Effects(balances=BALANCES[:1], holds=(hold(),), outflows=RAISES[:1]),
    ),
    "hold.capture": lambda: (
        c.CaptureHold(
            wallet=name(1), hold=HOLD, parts=PARTS, final=True, reference=REFERENCE, metadata=METADATA, **CONDITIONS
        ),
        e.Effects(balances=BALANCES[:101], holds=(hold(),), outflows=RAISES, moved=MOVED),
    ),
    "hold.adjust": lambda: (
        c.AdjustHold(wallet=name(1), hold=HOLD, amount="9" * 36, **CONDITIONS),
        e.Effects(balances=BALANCES[:1], holds=(hold(),), outflows=RAISES),
    ),
    "hold.void": lambda: (
        c.VoidHold(wallet=name(1), hold=HOLD, **CONDITIONS),
        e.Effects(balances=BALANCES[:1], holds=(hold(),), outflows=RAISES),
    ),
    "client.create": lambda: (
        c.CreateClient(
            client=client(1).client,
            scopes=client(1).scopes,
            token_sha256="a" * 64,
            expires_at=MOMENT,
            addresses=NETWORKS,
            **CONDITIONS,
        ),
        e.Effects(clients=(client(1),), forgotten=tuple(client(n).client for n in range(MAX_KEYS))),
    ),
    "client.update": lambda: (
        c.UpdateClient(client=client(1).client, scopes=client(1).scopes, addresses=NETWORKS, **CONDITIONS),
        e.Effects(clients=tuple(client(n) for n in range(MAX_KEYS + 1))),
    ),
    "client.revoke": lambda: (
        c.RevokeClient(client=client(1).client, **CONDITIONS),
        e.Effects(clients=tuple(client(n) for n in range(MAX_KEYS + 1))),
    ),
}


def entry_bytes(command: c.AnyCommand, effects: e.Effects) -> int:
    entry = e.Entry(sequence=SEQUENCE, time=MOMENT, principal=Principal("p" * 127), command=command, effects=effects)
    return len(e.encode_entry(entry))


@pytest.mark.parametrize("kind", LARGEST)
def test_a_command_at_its_largest_fits_into_an_entry(kind: str) -> None:
    command, effects = LARGEST[kind]()
    decoded = msgspec.json.decode(msgspec.json.encode(command), type=type(command))
    assert decoded == command  # It is one that a client may send.
    beside = 0 if kind.startswith("client.") else MAX_EXPIRED_BYTES
    assert entry_bytes(command, effects) + beside <= MAX_ENTRY_BYTES


def test_the_largest_of_every_command_that_is_no_batch_is_measured() -> None:
    named = {kind.__struct_config__.tag for kind in get_args(c.BatchedCommand)}
    small = {"asset.define", "wallet.unfreeze", "hold.extend"}  # Like wallet.freeze and hold.void, with less.
    assert named | {"client.create", "client.update", "client.revoke"} == set(LARGEST) | small


def test_a_balance_and_an_outflow_are_no_larger_than_what_is_counted_for_them() -> None:
    assert len(msgspec.json.encode(balance(1))) < RECORD_BYTES
    assert len(msgspec.json.encode(outflow(1, HOLD))) < RECORD_BYTES


def test_an_entry_fits_into_a_message_in_every_form() -> None:
    assert MAX_ENTRY_BYTES + ENVELOPE_BYTES <= MAX_FRAME_BYTES
    assert (MAX_ENTRY_BYTES + ENVELOPE_BYTES) * 4 // 3 + ENVELOPE_BYTES <= MAX_FRAME_BYTES
    assert MAX_REQUEST_BYTES + 2 * ENVELOPE_BYTES <= MAX_ENTRY_BYTES


def test_an_expiry_that_says_how_many_takes_in_the_named_hold_and_of_the_others_the_first() -> None:
    ledger = Ledger()
    book = _with_holds(ledger, 5)
    lapsed = [record.hold for record in book.lapsed(NOW)]
    command = expire("alice", lapsed[3], most=3)
    effects = ledger.run(command)
    assert isinstance(effects, e.Effects)
    assert [record.hold for record in effects.holds] == [lapsed[0], lapsed[1], lapsed[3]]
    assert {record.state for record in effects.holds} == {HoldState.EXPIRED}
    assert (effects.balances[0].held, effects.balances[0].available) == ("2", "8")
    assert [record.hold for record in book.lapsed(NOW)] == [lapsed[2], lapsed[4]]


def test_expired_holds_are_recorded_in_order_of_expiry_then_of_id() -> None:
    ledger = Ledger()
    book = _with_holds(ledger, 10)
    holds = [record.hold for record in book.lapsed(NOW)]
    assert {len(hold) for hold in holds} == {2, 3}
    assert [record.hold for record in book.lapsed_in_order(NOW)] == holds
    for seconds, hold in enumerate(reversed(holds[:6]), 1):
        ledger.at(NOW - timedelta(seconds=1), extend("alice", hold, NOW + timedelta(seconds=seconds)))
    ledger.at(NOW - timedelta(seconds=1), extend("alice", holds[0], NOW))
    assert [record.hold for record in book.lapsed_in_order(NOW)] == [holds[0], *holds[6:]]
    later = NOW + timedelta(seconds=6)
    assert [record.hold for record in book.lapsed_in_order(later)] == [holds[0], *holds[6:], *reversed(holds[1:6])]
    assert [record.hold for record in in_turn(book, later, HoldId(holds[7]))][:3] == [holds[7], holds[0], holds[6]]


def _with_holds(ledger: Ledger, number: int) -> Book:
    ledger.after(define("EUR", 2), open_wallet("@external"), open_wallet("alice")).bring("alice", "EUR", 10)
    for _ in range(number):
        ledger.at(NOW - timedelta(seconds=1), place("alice", "EUR", 1, expires_at=NOW))
    book: Book = ledger.books.wallets["alice"]
    return book
