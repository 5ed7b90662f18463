"""Commands: what a client asks to change.  Imperatives, frozen, exactly as sent.

A command is both the ``params`` of its method on the wire and the ``command`` of its journal entry, so that a
command sent again can be compared field by field with the one that was decided.

    >>> PostTransfer(command_id="c1", postings=(Posting("alice", "bob", "EUR", "1250"),))
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from walletd.vocabulary.identifiers import (
    AssetName,
    ClientName,
    CommandId,
    CommandName,
    HoldName,
    Scope,
    TokenHash,
    TransferName,
    VersionNumber,
    WalletId,
    WalletName,
)
from walletd.vocabulary.money import AmountText, LimitText, Scale, SignedAmountText
from walletd.vocabulary.states import FrozenSide

MAX_POSTINGS = 100
"""A transfer is one turn of every wallet in it; a hundred keeps that turn well below a millisecond."""

Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=40)],
        Annotated[str, msgspec.Meta(max_length=500)],
    ],
    msgspec.Meta(max_length=16),
]
"""Free words of the client's own about a wallet or a transfer; at most 16 keys."""

MAX_LIMITED_ASSETS = 32
"""How many assets of one wallet may have limits."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment in RFC 3339 with its offset, to the microsecond."""

MAX_SECONDS = 100 * 366 * 24 * 3600
"""A hundred years: the longest time that can be said in seconds, so that a moment which is so far ahead exists."""

Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)]
"""A time counted from the command's decision.  The command is stored, and compared, with the number as it was sent."""

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
"""The client's own name for what the money is about: an invoice, an order."""


class BalanceCondition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a wallet must have of an asset, posted or available: at least, at most or exactly so much."""

    wallet: WalletName
    asset: AssetName
    amount: Literal["posted", "available"] = "available"
    gte: SignedAmountText | None = None
    lte: SignedAmountText | None = None
    eq: SignedAmountText | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every command carries: its id, and what must hold for it to be decided at all.

    ``valid_for_seconds`` counts from when the daemon received the command.  Until when to decide is no part of what is
    asked for: a command that is sent again may say another time.
    """

    command_id: CommandName
    if_version: Annotated[dict[WalletName, VersionNumber], msgspec.Meta(max_length=2 * MAX_POSTINGS)] = {}
    if_balance: Annotated[tuple[BalanceCondition, ...], msgspec.Meta(max_length=MAX_POSTINGS)] = ()
    valid_until: Instant | None = None
    valid_for_seconds: Seconds | None = None
    dry_run: bool = False


class DefineAsset(Command, frozen=True, kw_only=True, tag_field="method", tag="asset.define"):
    """Define an asset and, for ever, how many decimal places its main unit has."""

    asset: AssetName
    scale: Scale


class OpenWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.open"):
    """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""

    wallet: WalletName
    metadata: Metadata = {}


class Posting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One movement: ``amount`` smallest units of ``asset`` leave one wallet and reach another."""

    source: WalletName = msgspec.field(name="from")
    to: WalletName
    asset: AssetName
    amount: AmountText


class PostTransfer(Command, frozen=True, kw_only=True, tag_field="method", tag="transfer.post"):
    """Move money along all the postings, in their order, or along none.

    Each posting is judged when its turn comes: its payer must have the money by then, from before or from a posting
    ahead of it, and its payee must not have more than its maximum.
    """

    postings: Annotated[tuple[Posting, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    reference: Reference | None = None
    metadata: Metadata = {}


class RefundTransfer(Command, frozen=True, kw_only=True, tag_field="method", tag="transfer.refund"):
    """Move money of a transfer or a capture back, in parts if need be, never more than it moved.

    The postings run against those of the original: what ``bob`` got from ``alice`` goes from ``bob`` to ``alice``.
    """

    transfer: TransferName
    postings: Annotated[tuple[Posting, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    reference: Reference | None = None
    metadata: Metadata = {}


# --- the state of a wallet -----------------------------------------------------------------------------------------


MAX_WINDOWS = 8
"""How many velocity windows one asset of a wallet may have."""

MAX_WINDOW_SECONDS = 366 * 24 * 3600


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A velocity limit: at most ``amount`` may go out within any ``seconds``, a window that rolls."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW_SECONDS)]
    amount: LimitText


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a wallet may have of one asset, and how fast it may go.

    How far below zero or else at least how much, at most how much; and how much may go out within each of some
    windows.  Where earlier versions took both ``credit_limit`` and ``minimum``, the minimum holds.
    """

    credit_limit: LimitText | None = None
    minimum: LimitText | None = None
    maximum: LimitText | None = None
    velocity: Annotated[tuple[Window, ...], msgspec.Meta(max_length=MAX_WINDOWS)] = ()

    @property
    def longest_window(self) -> int:
        """The seconds of the longest window; 0 where there is none."""
        return max((window.seconds for window in self.velocity), default=0)


class UpdateWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.update"):
    """Replace a wallet's metadata, the limits of some of its assets, or both.

    What is not named stays as it is; null takes an asset's limits away.
    """

    wallet: WalletName
    metadata: Metadata | None = None
    limits: Annotated[dict[AssetName, Limits | None], msgspec.Meta(max_length=MAX_LIMITED_ASSETS)] = {}


class FreezeWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.freeze"):
    """Stop money out of a wallet, into it, or both; until a moment, or until it is unfrozen.  Replaces a freeze.

    Voids and expiries of holds are never stopped.  Captures are: a hold reserves money, it does not pass a freeze.
    """

    wallet: WalletName
    frozen: FrozenSide = FrozenSide.BOTH
    why: Reference
    until: Instant | None = None
    until_in_seconds: Seconds | None = None


class UnfreezeWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.unfreeze"):
    """End a wallet's freeze before its time."""

    wallet: WalletName


class CloseWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.close"):
    """Close a wallet for ever.  It must be empty, or say which wallet gets all that is in it."""

    wallet: WalletName
    sweep_to: WalletName | None = None


# --- holds ---------------------------------------------------------------------------------------------------------


class PlaceHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.place"):
    """Reserve money of a wallet, so that a capture of it cannot fail for funds; until it expires, if it ever does."""

    wallet: WalletName
    asset: AssetName
    amount: AmountText
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None
    reference: Reference | None = None
    metadata: Metadata = {}


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a capture: so much of the hold goes to this wallet."""

    to: WalletName
    amount: AmountText


class CaptureHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.capture"):
    """Pay from what a hold reserves, to one or several wallets.  ``final`` releases what is left of it."""

    wallet: WalletName
    hold: HoldName
    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    final: bool = False
    reference: Reference | None = None
    metadata: Metadata = {}


class ExtendHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.extend"):
    """Give an open hold another expiry; ``expires_at`` of null lets it stand until it is captured or voided."""

    wallet: WalletName
    hold: HoldName
    expires_at: Instant | msgspec.UnsetType | None = msgspec.UNSET
    expires_in_seconds: Seconds | None = None


class AdjustHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.adjust"):
    """Raise or lower what an open hold reserves from now on; what was captured of it stays captured."""

    wallet: WalletName
    hold: HoldName
    amount: AmountText


class VoidHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.void"):
    """Release all that an open hold still reserves."""

    wallet: WalletName
    hold: HoldName


class ExpireHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.expire"):
    """Record that a hold has expired, and with it the others of the wallet that have.  Only the daemon sends it.

    ``most`` says how many holds in all this entry takes in, where not all of them fit: the next one goes on with the
    rest.  Entries of earlier versions have none, and took in all.
    """

    wallet: WalletName
    hold: HoldName
    most: Annotated[int, msgspec.Meta(ge=1)] | None = None


# --- clients -------------------------------------------------------------------------------------------------------

MAX_SCOPES = 64
"""Of one client: a request is judged by looking at each of them."""


class CreateClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.create"):
    """Let a new client in: by a token of which only the SHA-256 is told, with these scopes, until the token expires.

    A name with a slash makes a viewing key of the client named before the slash, who alone can make it.
    """

    client: ClientName
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=MAX_SCOPES)]
    token_sha256: TokenHash
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None


class RotateClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.rotate"):
    """Give a client another token; those that it has are in force until the overlap ends, or end at once."""

    client: ClientName
    token_sha256: TokenHash
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None
    overlap_until: Instant | None = None
    overlap_for_seconds: Seconds | None = None


class RevokeClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.revoke"):
    """Shut a client out for ever, with all its tokens and viewing keys."""

    client: ClientName


ClientCommand = CreateClient | RotateClient | RevokeClient

MAX_BATCH_COMMANDS = 1000
"""A batch is one turn of all its wallets and one entry: a thousand transfers take some 20 ms."""

BatchedCommand = (
    DefineAsset
    | OpenWallet
    | UpdateWallet
    | FreezeWallet
    | UnfreezeWallet
    | CloseWallet
    | PostTransfer
    | RefundTransfer
    | PlaceHold
    | CaptureHold
    | ExtendHold
    | AdjustHold
    | VoidHold
)


class ExecuteBatch(Command, frozen=True, kw_only=True, tag_field="method", tag="batch.execute"):
    """Several commands in one entry: all or none of them or, where it is not ``atomic``, each for itself.

    A later command sees what the earlier ones did.  The batch is one step of each wallet's version, so ``if_version``
    of a command in it is about the version before the batch.  Its commands' ids are used up with it, whatever happens.
    """

    commands: Annotated[tuple[BatchedCommand, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH_COMMANDS)]
    atomic: bool = True


AnyCommand = BatchedCommand | ExpireHold | ExecuteBatch | ClientCommand


def wallets_of(command: AnyCommand) -> list[WalletId]:
    """Every wallet whose turn the command needs, sorted and without doubles: the order in which they are claimed."""
    match command:
        case PostTransfer(postings=postings) | RefundTransfer(postings=postings):
            wallets = {posting.source for posting in postings}
            wallets.update(posting.to for posting in postings)
        case DefineAsset() | CreateClient() | RotateClient() | RevokeClient():
            wallets = set()
        case ExecuteBatch(commands=commands):
            wallets = {wallet for inner in commands for wallet in wallets_of(inner)}
        case CloseWallet(wallet=wallet, sweep_to=target) if target is not None:
            wallets = {wallet, target}
        case CaptureHold(wallet=wallet, parts=parts):
            wallets = {wallet, *(part.to for part in parts)}
        case _:
            wallets = {command.wallet}
    if command.if_version:
        wallets.update(command.if_version)
    if command.if_balance:
        wallets.update(condition.wallet for condition in command.if_balance)
    return sorted(wallets)


TRANSFER_MARK = "~"
"""No wallet's name begins like this: the claim on a transfer that is to be refunded stands among those on wallets."""


def claims_of(command: AnyCommand) -> list[WalletId]:
    """The wallets of the command and, behind a mark, the transfer that it refunds: all whose turn it needs, sorted."""
    if not isinstance(command, (RefundTransfer, ExecuteBatch)):
        return wallets_of(command)
    refunds = {inner.transfer for inner in parts_of(command) if isinstance(inner, RefundTransfer)}
    return wallets_of(command) + [WalletId(TRANSFER_MARK + transfer) for transfer in sorted(refunds)]


def parts_of(command: AnyCommand) -> tuple[AnyCommand, ...]:
    """The commands of a batch; of any other command, that command itself."""
    return command.commands if isinstance(command, ExecuteBatch) else (command,)


def ids_of(command: AnyCommand) -> list[CommandId]:
    """The command ids that the command uses up: its own first, then those of the commands in it."""
    if isinstance(command, ExecuteBatch):
        return [command.command_id, *(inner.command_id for inner in command.commands)]
    return [command.command_id]


def is_short_lived(command: AnyCommand) -> bool:
    """Whether the command, or one in it, is valid for so many seconds from when it came."""
    if command.valid_for_seconds is not None:
        return True
    return isinstance(command, ExecuteBatch) and any(inner.valid_for_seconds is not None for inner in command.commands)
