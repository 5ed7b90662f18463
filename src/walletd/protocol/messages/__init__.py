"""Every message of protocol version 1, declared once: the params and the result of each method, and what is pushed.

A command's params are the command itself (``walletd.vocabulary.commands``).  A server refuses unknown fields in
params; a client must ignore unknown fields in results and notifications.  Amounts are decimal strings of smallest
units; times are RFC 3339 in UTC.
"""

from typing import Annotated, Any, Literal

import msgspec

from walletd.vocabulary.commands import Instant, Metadata
from walletd.vocabulary.commands import Limits as WalletLimits
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, Freeze, HoldRecord, Refundable, WalletRecord
from walletd.vocabulary.identifiers import (
    AssetCode,
    AssetName,
    CommandName,
    Principal,
    SequenceNumber,
    TransferName,
    WalletId,
    WalletName,
    WalletPrefix,
)
from walletd.vocabulary.room import Room
from walletd.vocabulary.states import WalletStatus

PROTOCOL_VERSION = "1"
SUBPROTOCOL = "walletd.v1"
MAX_PAGE = 1000
MAX_SUBSCRIBED_WALLETS = 1000
MAX_SNAPSHOT_WALLETS = 1000
MAX_READ_WALLETS = 100
"""Of one balance.get: they are claimed together, as those of a transfer are."""

PageLimit = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)]
RequestId = Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)] | Annotated[str, msgspec.Meta(max_length=64)]


Moment = SequenceNumber | Instant
"""A point of the history: the sequence of an entry, or a time."""


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a request that changes nothing carries."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a request that succeeded is answered with."""


JournalEntry = Annotated[Any, msgspec.Meta(extra_json_schema={"$ref": "#/components/schemas/Entry"})]
"""An entry (``walletd.vocabulary.entries.Entry``) as its stored bytes, which are not encoded again."""


# --- session -------------------------------------------------------------------------------------------------------


class NoParams(Params, frozen=True):
    """The method takes no parameters."""


class Authenticate(Params, frozen=True, kw_only=True):
    """Present a token; the session has its scopes from the answer on."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Authenticated(Result, frozen=True, kw_only=True):
    """Who the session now is, what it may do, and until when."""

    principal: str
    scopes: tuple[str, ...]
    expires_at: Instant | None = None


class Pong(Result, frozen=True, kw_only=True):
    """The daemon's clock and the last durable sequence."""

    time: Instant
    head: int


# --- commands ------------------------------------------------------------------------------------------------------


class ErrorObject(msgspec.Struct, frozen=True):
    """Why a request failed: a code, a sentence for people, and ``data`` for programs."""

    code: int
    message: str
    data: dict[str, Any]


class BatchOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one command of a batch: ``error`` says why it was refused, as an error of its own would."""

    command_id: str
    transfer: str | None = None
    hold: str | None = None
    error: ErrorObject | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token in force, by the first digits of its SHA-256."""

    token: str
    created_at: Instant
    expires_at: Instant | None = None


class ClientView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A client: what it may do, its tokens in force, who made it, and whether it was revoked."""

    client: Principal
    scopes: tuple[str, ...]
    tokens: tuple[TokenView, ...] = ()
    created_by: Principal
    created_at: Instant
    revoked_at: Instant | None = None


class Applied(Result, frozen=True, kw_only=True):
    """A command was applied and is durable.

    ``replayed`` says that this answer was given before, to the same command id; ``dry_run`` that nothing was changed
    and no sequence was used.  A dry run says how much room the command would leave in each balance that it touches.
    Balances, wallets and holds are those that the session may see; where others were touched too, there is no
    ``entry_hash``.
    """

    sequence: int | None = None
    time: Instant
    entry_hash: str | None = None
    transfer: str | None = None
    hold: str | None = None
    assets: tuple[AssetRecord, ...] = ()
    wallets: tuple[WalletRecord, ...] = ()
    balances: tuple[BalanceRecord, ...]
    holds: tuple[HoldRecord, ...] = ()
    clients: tuple[ClientView, ...] = ()
    outcomes: tuple[BatchOutcome, ...] = ()
    room: tuple[Room, ...] = ()
    replayed: bool = False
    dry_run: bool = False


# --- reads ---------------------------------------------------------------------------------------------------------


class Assets(Result, frozen=True, kw_only=True):
    """Assets by code; ``next`` is the ``after`` of the following page, absent on the last."""

    assets: tuple[AssetRecord, ...]
    next: AssetCode | None = None


class ListAssets(Params, frozen=True, kw_only=True):
    """Assets by code; ``after`` is ``next`` of the page before."""

    after: AssetName | None = None


class GetWallet(Params, frozen=True, kw_only=True):
    """One wallet with all that it has; of a wallet with very many assets ``after`` is ``next`` of the answer before."""

    wallet: WalletName
    after: AssetName | None = None


class WalletView(Result, frozen=True, kw_only=True):
    """A wallet and its balances, as they stood together after ``sequence``.

    Where not all balances fit into an answer, ``next`` is the ``after`` with which ``wallet.get`` goes on.
    """

    wallet: WalletId
    status: WalletStatus
    version: int
    opened_at: Instant
    metadata: Metadata = {}
    limits: dict[AssetCode, WalletLimits] = {}
    freeze: Freeze | None = None
    balances: tuple[BalanceRecord, ...]
    room: tuple[Room, ...] = ()
    """Of those balances that have limits, as ``wallet.get`` shows them."""
    sequence: int
    next: AssetCode | None = None


class ListWallets(Params, frozen=True, kw_only=True):
    """Wallets in the order of their names, those that fit all that is asked; ``after`` is ``next`` of the page before.

    Each key of ``metadata`` must have exactly the value given.
    """

    prefix: WalletPrefix = ""
    status: WalletStatus | None = None
    metadata: Metadata = {}
    after: WalletName | None = None
    limit: PageLimit = 100


class WalletPage(Result, frozen=True, kw_only=True):
    """One page of wallets; ``next`` is the ``after`` of the following page, absent on the last.

    Of a search for what few wallets have, a page may be short or empty and yet have a ``next``.
    """

    wallets: tuple[WalletView, ...]
    sequence: int
    next: WalletId | None = None


class BalancePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place among balances by wallet and asset: behind this one."""

    wallet: WalletName
    asset: AssetName


class GetBalance(Params, frozen=True, kw_only=True):
    """What ``wallet`` or several ``wallets`` have, of one asset or of all: now or, with ``as_of``, at a point before.

    A sequence stands for the books right after that entry, a time for those after the last entry of that time or
    before it.  ``after`` is ``next`` of the page before; with its ``time`` as ``as_of`` all pages show one moment.
    """

    wallet: WalletName | None = None
    wallets: Annotated[tuple[WalletName, ...], msgspec.Meta(min_length=1, max_length=MAX_READ_WALLETS)] | None = None
    asset: AssetName | None = None
    as_of: Moment | None = None
    after: BalancePlace | None = None

    @property
    def names(self) -> tuple[WalletId, ...]:
        """The wallets asked for."""
        return (self.wallets or ()) if self.wallet is None else (self.wallet,)


class Balances(Result, frozen=True, kw_only=True):
    """Balances by wallet and asset, as they stood together after the entry ``sequence``, at ``time``.

    Asked for ``as_of`` that time at any later moment, they are the same.
    """

    balances: tuple[BalanceRecord, ...]
    room: tuple[Room, ...] = ()
    """Of those balances that have limits, where they were asked for as they stand now."""
    sequence: int
    time: Instant
    next: BalancePlace | None = None


class GetTransfer(Params, frozen=True, kw_only=True):
    """A transfer by its id."""

    transfer: TransferName


class PostingView(msgspec.Struct, frozen=True):
    """One movement of a transfer."""

    source: WalletId = msgspec.field(name="from")
    to: WalletId
    asset: AssetCode
    amount: str


class TransferView(Result, frozen=True, kw_only=True):
    """A transfer as it was posted; what of it was refunded, or what it refunds.

    Who does not see all wallets sees the postings of those that it sees; whose command it was, only its sender.
    """

    transfer: str
    sequence: int
    time: Instant
    principal: str | None = None
    command_id: str | None = None
    entry_hash: str | None = None
    kind: str = "transfer"
    postings: tuple[PostingView, ...]
    original: str | None = None
    refunded: tuple[Refundable, ...] = ()
    reference: str | None = None
    metadata: Metadata = {}


class GetStatement(Params, frozen=True, kw_only=True):
    """What moved in one wallet, oldest first or newest first; ``cursor`` is ``next`` of the page before.

    The range begins with ``since`` and ends before ``until``, both a sequence or a time.  ``asset``, ``counterparty``
    and ``kind`` choose among its lines.
    """

    wallet: WalletName
    asset: AssetName | None = None
    counterparty: WalletName | None = None
    kind: Literal["transfer", "refund", "capture", "sweep"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    newest_first: bool = False
    cursor: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    limit: PageLimit = 100


class StatementLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One posting as the wallet sees it: ``amount`` is signed, ``posted`` is the balance after the line."""

    sequence: int
    line: int
    time: Instant
    kind: str
    asset: AssetCode
    amount: str
    posted: str
    counterparty: WalletId
    transfer: str | None = None
    reference: str | None = None


class StatementBalance(msgspec.Struct, frozen=True):
    """What was posted of an asset at one end of a statement's range."""

    asset: AssetCode
    posted: str


class Statement(Result, frozen=True, kw_only=True):
    """One page of a wallet's statement; ``next`` is absent on the last page.

    ``opening`` and ``closing`` are of the whole range, on every page and whatever lines were chosen.  Of all assets of
    a wallet that has more than 100, a page states only those that its lines move, and is ``partial``.  ``sequence`` is
    the last entry that the statement takes in; all its pages have the same.
    """

    wallet: WalletId
    opening: tuple[StatementBalance, ...]
    closing: tuple[StatementBalance, ...]
    lines: tuple[StatementLine, ...]
    sequence: int
    partial: bool = False
    next: str | None = None


class GetEntry(Params, frozen=True, kw_only=True):
    """An entry by its sequence, or by the command id that the asking client gave it.  Exactly one of both."""

    sequence: SequenceNumber | None = None
    command_id: CommandName | None = None


class EntryView(Result, frozen=True, kw_only=True):
    """An entry and its hash: SHA-256 of a zero byte and the entry's exact bytes, as RFC 6962 has it.

    Where the entry is redacted there is no hash: what was left out could be guessed by it.
    """

    entry: JournalEntry
    entry_hash: str | None = None


class ListEntries(Params, frozen=True, kw_only=True):
    """Entries in the journal's order, those after the sequence ``after``."""

    after: SequenceNumber = 0  # type: ignore[assignment]
    limit: PageLimit = 100


class EntryPage(Result, frozen=True, kw_only=True):
    """One page of the journal; ``head`` is the last durable sequence.

    It ends before a message of 1 MiB is full, too, but has one entry at least: only a page without entries is behind
    the last.  An entry of an earlier version may be larger, and is then alone.
    """

    entries: tuple[EntryView, ...]
    head: int


# --- streams -------------------------------------------------------------------------------------------------------


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a stream was read up to: events after ``sequence`` are still wanted; 0 is before everything."""

    epoch: Annotated[int, msgspec.Meta(ge=1)]
    sequence: SequenceNumber


class Subscribe(Params, frozen=True, kw_only=True):
    """See what is applied to wallets, live: exactly one of ``wallets``, ``prefix`` and ``all``.

    ``after`` resumes from a cursor, ``snapshot`` starts with what the wallets have; at most one of both.
    With neither, the stream starts at the head.
    """

    wallets: Annotated[tuple[WalletName, ...], msgspec.Meta(min_length=1, max_length=MAX_SUBSCRIBED_WALLETS)] | None = (
        None
    )
    prefix: WalletPrefix | None = None
    all: bool = False
    after: Cursor | Literal[0] | None = None
    snapshot: bool = False


class Subscribed(Result, frozen=True, kw_only=True):
    """The stream begins behind ``start`` (on the wire ``from``); ``head`` is the last durable sequence."""

    subscription: int
    mode: Literal["live", "replay", "snapshot"]
    epoch: int
    start: int = msgspec.field(name="from")
    head: int
    wallets: tuple[WalletView, ...] = ()


class Unsubscribe(Params, frozen=True, kw_only=True):
    """End a stream."""

    subscription: Annotated[int, msgspec.Meta(ge=1)]


class Unsubscribed(Result, frozen=True, kw_only=True):
    """The stream has ended; its last event was ``sequence``."""

    subscription: int
    sequence: int


class StreamEvent(msgspec.Struct, frozen=True):
    """An entry that touched what the subscription watches; ``previous_sequence`` is that of the event before it."""

    subscription: int
    epoch: int
    sequence: int
    previous_sequence: int
    entry: JournalEntry


class StreamHeartbeat(msgspec.Struct, frozen=True):
    """Nothing happened up to ``head``: the stream is alive and complete up to there."""

    subscription: int
    epoch: int
    head: int
