"""Entries: the journal's records, one per decided command.  Past facts, never changed.

An entry holds the command exactly as sent and the records *after* it: each asset, wallet and balance that it touched,
as of then.  Of a command that was refused it holds the refusal, the id and a digest.  Applying an entry therefore
computes nothing, and means the same under every later version of the rules.  The stored bytes are the JSON that
subscribers receive; the entry's hash is the RFC 6962 leaf hash over exactly these bytes.
"""

from typing import Annotated, Any

import msgspec

from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.commands import Instant, Metadata, RecordedCommand, WalletLimits
from walletd.vocabulary.forms import Form
from walletd.vocabulary.identifiers import (
    HISTORY_MARK_PATTERN,
    AssetCode,
    HoldId,
    Principal,
    Scope,
    Sequence,
    TokenHash,
    TransferId,
    Version,
    WalletId,
)
from walletd.vocabulary.money import SignedAmountText
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide, HoldState, WalletStatus


class Refusal(msgspec.Struct, frozen=True):
    """The reason why a command was not applied, and the facts that explain it (``available``, ``required``,
    ``field``...).
    """

    reason: Reason
    facts: dict[str, Any] = {}


class AssetRecord(msgspec.Struct, frozen=True):
    """An asset: its code and its scale."""

    asset: AssetCode
    scale: int


class Freeze(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A freeze: the side that it stops, the reason, and its end; from that time on it has no effect."""

    frozen: FrozenSide
    why: str
    until: Instant | None = None


class CountedFrom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The start of a wallet's velocity count: the time at which this command of this entry limited its asset.

    A longer window cannot count outflows that a shorter one has already dropped: nothing up to ``after`` counts.
    """

    sequence: Sequence
    command: int = 0
    after: Instant | None = None


class WalletRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wallet after the entry; its balances are recorded beside it."""

    wallet: WalletId
    status: WalletStatus
    version: Version
    opened_at: Instant
    metadata: Metadata = {}
    limits: dict[AssetCode, WalletLimits] = {}
    freeze: Freeze | None = None
    counted_from: dict[AssetCode, CountedFrom] = {}
    """One for each asset whose velocity is limited."""


class BalanceRecord(msgspec.Struct, frozen=True):
    """A wallet's balance of one asset after the entry, in smallest units.

    ``available`` is the amount that can be paid: posted − held − floor.  It is null for a system wallet, which has no
    floor.
    """

    wallet: WalletId
    asset: AssetCode
    posted: SignedAmountText
    held: SignedAmountText
    available: SignedAmountText | None
    version: Version


class HoldRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hold after the entry: ``captured`` out of ``amount``; while it is open, the rest is reserved."""

    hold: HoldId
    wallet: WalletId
    asset: AssetCode
    amount: SignedAmountText
    captured: SignedAmountText = "0"
    state: HoldState
    placed_at: Instant
    expires_at: Instant | None = None
    reference: str | None = None
    metadata: Metadata = {}


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """Money that a command moved without naming each movement: the parts of a capture, or the sweep at a closing.

    ``command`` is that command's index in its batch.
    """

    source: WalletId = msgspec.field(name="from")
    to: WalletId
    asset: AssetCode
    amount: SignedAmountText
    command: int = 0


class Refundable(msgspec.Struct, frozen=True):
    """The amount that a transfer moved from one wallet to another in one asset, and how much of it was refunded."""

    source: WalletId = msgspec.field(name="from")
    to: WalletId
    asset: AssetCode
    amount: SignedAmountText
    refunded: SignedAmountText = "0"


class TransferRecord(msgspec.Struct, frozen=True):
    """A transfer or capture of which something was refunded, after the entry."""

    transfer: TransferId
    parts: tuple[Refundable, ...]


class OutflowRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The amount that one command sent from a wallet whose velocity is limited, less what its hold has given back
    since.

    The command is identified by its entry and, in a batch, its index.
    """

    wallet: WalletId
    asset: AssetCode
    sequence: Sequence
    command: int = 0
    time: Instant
    amount: SignedAmountText
    hold: HoldId | None = None


class FoldedOutflow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Several outflows of one wallet and asset, from ``first`` through this one, which from this entry on count as one.

    None of them belongs to an open hold.  All leave a window when the last of them does: at most a hundredth of the
    window late.
    """

    wallet: WalletId
    asset: AssetCode
    first: Sequence
    first_command: int = 0
    sequence: Sequence
    command: int = 0
    time: Instant
    amount: SignedAmountText


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token by its hash, valid from ``created_at`` until before ``expires_at``."""

    sha256: TokenHash
    created_at: Instant
    expires_at: Instant | None = None


class ClientRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client after the entry: its scopes and its tokens, oldest first."""

    client: Principal
    scopes: tuple[Scope, ...]
    tokens: tuple[TokenRecord, ...]
    created_by: Principal
    created_at: Instant
    revoked_at: Instant | None = None
    addresses: tuple[str, ...] = ()
    """The networks where its tokens are valid; without any, everywhere."""
    budget: Budget | None = None
    """Its own budget, where that differs from the default of its scopes."""


class Effects(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The records after an applied command: everything that it touched."""

    assets: tuple[AssetRecord, ...] = ()
    wallets: tuple[WalletRecord, ...] = ()
    balances: tuple[BalanceRecord, ...] = ()
    holds: tuple[HoldRecord, ...] = ()
    moved: tuple[Moved, ...] = ()
    transfers: tuple[TransferRecord, ...] = ()
    outflows: tuple[OutflowRecord, ...] = ()
    folded: tuple[FoldedOutflow, ...] = ()
    """Earlier outflows that are counted together from now on; the ``outflows`` come after these."""
    clients: tuple[ClientRecord, ...] = ()
    forgotten: tuple[Principal, ...] = ()
    """Viewing keys that had ended earlier and of which nothing is kept."""
    outcomes: tuple[Refusal | None, ...] = ()
    """For a batch that is not atomic: the refusal of each command, or null if it was applied."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decided command: the client, the request, the time, and exactly one outcome.

    ``history`` is the mark of the history that wrote the entry, empty for the first: a restore begins another, whose
    entries reuse sequences.  ``redacted`` marks an entry shown to a session that may not see all of it; the journal has
    none of these.
    """

    sequence: Sequence
    history: Annotated[str, Form(HISTORY_MARK_PATTERN)] = ""
    time: Instant
    principal: Principal
    command: RecordedCommand
    refusal: Refusal | None = None
    effects: Effects | None = None
    redacted: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """The bytes that are stored, hashed and sent: one JSON object on one line."""
    assert (entry.refusal is None) != (entry.effects is None)
    assert not entry.redacted
    return _encoder.encode(entry)


def decode_entry(record: bytes) -> Entry:
    """The entry of these bytes.  Raises msgspec.DecodeError if they are not an entry."""
    return _decoder.decode(record)
