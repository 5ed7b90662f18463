"""Commands: the changes that a client requests.  Imperatives, frozen, exactly as sent.

A command is both the ``params`` of its method on the wire and the ``command`` of its journal entry, so that a repeated
command can be compared field by field with the one that was decided.

    >>> PostTransfer(command_id="c1", postings=(Posting("alice", "bob", "EUR", "1250"),))
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.identifiers import (
    AssetText,
    ClientText,
    CommandId,
    CommandText,
    HoldText,
    Network,
    Scope,
    TokenHash,
    TransferText,
    VersionNumber,
    WalletText,
)
from walletd.vocabulary.money import AmountText, LimitText, Scale, SignedAmountText
from walletd.vocabulary.states import FrozenSide

MAX_POSTINGS = 100
"""A transfer takes one turn of every wallet in it; a hundred postings keep that turn well below a millisecond."""

Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=40)],
        Annotated[str, msgspec.Meta(max_length=500)],
    ],
    msgspec.Meta(max_length=16),
]
"""Free text about a wallet or a transfer, by the client; at most 16 keys."""

MAX_LIMITED_ASSETS = 32
"""The number of assets of one wallet that may have limits."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in RFC 3339 with an offset, to the microsecond."""

MAX_SECONDS = 100 * 366 * 24 * 3600
"""A hundred years: the longest span in seconds that a command may give, so that the time it leads to exists."""

Seconds = Annotated[int, msgspec.Meta(ge=1, le=MAX_SECONDS)]
"""A time counted from the command's decision.  The command is stored, and compared, with the number as sent."""

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
"""The client's own name for the purpose of the money: an invoice, an order."""


class BalanceCondition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition on a wallet's balance of an asset, posted or available: at least, at most or exactly this amount."""

    wallet: WalletText
    asset: AssetText
    amount: Literal["posted", "available"] = "available"
    gte: SignedAmountText | None = None
    lte: SignedAmountText | None = None
    eq: SignedAmountText | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The fields of every command: its id, and the conditions under which it is decided at all.

    ``valid_for_seconds`` counts from the arrival of the command at the daemon.  The validity is not part of what the
    command asks for: a repeated command may give another time.
    """

    command_id: CommandText
    if_version: Annotated[dict[WalletText, VersionNumber], msgspec.Meta(max_length=2 * MAX_POSTINGS)] = {}
    if_balance: Annotated[tuple[BalanceCondition, ...], msgspec.Meta(max_length=MAX_POSTINGS)] = ()
    valid_until: Instant | None = None
    valid_for_seconds: Seconds | None = None
    dry_run: bool = False


class DefineAsset(Command, frozen=True, kw_only=True, tag_field="method", tag="asset.define"):
    """Define an asset and, permanently, the number of decimal places of its main unit."""

    asset: AssetText
    scale: Scale


class OpenWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.open"):
    """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""

    wallet: WalletText
    metadata: Metadata = {}


class Posting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One movement: ``amount`` smallest units of ``asset`` leave one wallet and reach another."""

    source: WalletText = msgspec.field(name="from")
    to: WalletText
    asset: AssetText
    amount: AmountText


class PostTransfer(Command, frozen=True, kw_only=True, tag_field="method", tag="transfer.post"):
    """Move money along all the postings, in their order, or along none.

    Each posting is judged in its turn: its payer must have the money by then, from before or from an earlier posting,
    and its payee must not exceed its maximum.
    """

    postings: Annotated[tuple[Posting, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    reference: Reference | None = None
    metadata: Metadata = {}


class RefundTransfer(Command, frozen=True, kw_only=True, tag_field="method", tag="transfer.refund"):
    """Move money of a transfer or a capture back, in parts if need be, never more than it moved.

    The postings run in the reverse direction: the money that ``bob`` got from ``alice`` goes from ``bob`` to ``alice``.
    """

    transfer: TransferText
    postings: Annotated[tuple[Posting, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    reference: Reference | None = None
    metadata: Metadata = {}


# --- the state of a wallet -----------------------------------------------------------------------------------------


MAX_WINDOWS = 8
"""The number of velocity windows that one asset of a wallet may have."""

MAX_WINDOW_SECONDS = 366 * 24 * 3600


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A velocity limit: at most ``amount`` may leave within any ``seconds``, a rolling window."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_WINDOW_SECONDS)]
    amount: LimitText


class WalletLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A wallet's limits for one asset: its lowest and highest balance, and how fast money may leave.

    The lowest balance is a ``minimum`` or the end of a ``credit_limit``.  Entries of earlier versions may have both;
    then the minimum holds.
    """

    credit_limit: LimitText | None = None
    minimum: LimitText | None = None
    maximum: LimitText | None = None
    velocity: Annotated[tuple[Window, ...], msgspec.Meta(max_length=MAX_WINDOWS)] = ()

    @property
    def longest_window(self) -> int:
        """The seconds of the longest window; 0 if there is none."""
        return max((window.seconds for window in self.velocity), default=0)


class UpdateWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.update"):
    """Replace a wallet's metadata, the limits of some of its assets, or both.

    Fields that are left out stay as they are; null removes an asset's limits.
    """

    wallet: WalletText
    metadata: Metadata | None = None
    limits: Annotated[dict[AssetText, WalletLimits | None], msgspec.Meta(max_length=MAX_LIMITED_ASSETS)] = {}


class FreezeWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.freeze"):
    """Stop money into a wallet, out of it, or both; until a given time, or until it is unfrozen.  Replaces an earlier
    freeze.

    Voids and expiries of holds are never stopped.  Captures are: a hold reserves money, but does not override a freeze.
    """

    wallet: WalletText
    frozen: FrozenSide = FrozenSide.BOTH
    why: Reference
    until: Instant | None = None
    until_in_seconds: Seconds | None = None


class UnfreezeWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.unfreeze"):
    """End a wallet's freeze early."""

    wallet: WalletText


class CloseWallet(Command, frozen=True, kw_only=True, tag_field="method", tag="wallet.close"):
    """Close a wallet permanently.  It must be empty, or name the wallet that receives its balances."""

    wallet: WalletText
    sweep_to: WalletText | None = None


# --- holds ---------------------------------------------------------------------------------------------------------


class PlaceHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.place"):
    """Reserve money in a wallet, so that a capture cannot fail for lack of funds; until it expires, if it ever does."""

    wallet: WalletText
    asset: AssetText
    amount: AmountText
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None
    reference: Reference | None = None
    metadata: Metadata = {}


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a capture: this amount of the hold goes to this wallet."""

    to: WalletText
    amount: AmountText


class CaptureHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.capture"):
    """Pay from a hold, to one or several wallets.  ``final`` releases the rest of it."""

    wallet: WalletText
    hold: HoldText
    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=MAX_POSTINGS)]
    final: bool = False
    reference: Reference | None = None
    metadata: Metadata = {}


class ExtendHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.extend"):
    """Change an open hold's expiry; an ``expires_at`` of null keeps it open until it is captured or voided."""

    wallet: WalletText
    hold: HoldText
    expires_at: Instant | msgspec.UnsetType | None = msgspec.UNSET
    expires_in_seconds: Seconds | None = None


class AdjustHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.adjust"):
    """Raise or lower the amount that an open hold reserves; captured money stays captured."""

    wallet: WalletText
    hold: HoldText
    amount: AmountText


class VoidHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.void"):
    """Release everything that an open hold still reserves."""

    wallet: WalletText
    hold: HoldText


class ExpireHold(Command, frozen=True, kw_only=True, tag_field="method", tag="hold.expire"):
    """Record the expiry of a hold, together with the wallet's other expired holds.  Only the daemon sends it.

    ``most`` limits the number of holds in this entry if not all of them fit: the next entry continues with the rest.
    Entries of earlier versions have no limit, and recorded all of them.
    """

    wallet: WalletText
    hold: HoldText
    most: Annotated[int, msgspec.Meta(ge=1)] | None = None


# --- clients -------------------------------------------------------------------------------------------------------

MAX_SCOPES = 64
"""The limit for one client: judging a request looks at each scope."""


MAX_NETWORKS = 16

Networks = Annotated[tuple[Network, ...], msgspec.Meta(max_length=MAX_NETWORKS)]


class CreateClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.create"):
    """Create a client with these scopes and a first token, of which only the SHA-256 is sent, until the token expires.

    A name with a slash makes a viewing key of the client named before the slash; only that client can create it.
    """

    client: ClientText
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=MAX_SCOPES)]
    token_sha256: TokenHash
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None
    addresses: Networks = ()
    """Where its tokens are valid; without any, everywhere."""
    budget: Budget | None = None
    """What it may take, where that differs from the default of its scopes; only an admin sets it."""


class UpdateClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.update"):
    """Change a client's scopes, its budget, or the addresses where its tokens are valid; what is left out stays as it
    is.

    A client narrows its own, and those of its viewing keys; an admin sets any.  Viewing keys that show more than their
    owner may still spend are revoked.
    """

    client: ClientText
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=MAX_SCOPES)] | None = None
    addresses: Networks | None = None
    budget: Budget | None = None


class RotateClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.rotate"):
    """Give a client a new token; earlier tokens stay valid until the overlap ends, or end at once."""

    client: ClientText
    token_sha256: TokenHash
    expires_at: Instant | None = None
    expires_in_seconds: Seconds | None = None
    overlap_until: Instant | None = None
    overlap_for_seconds: Seconds | None = None


class RevokeClient(Command, frozen=True, kw_only=True, tag_field="method", tag="client.revoke"):
    """Revoke a client permanently, with all its tokens and viewing keys."""

    client: ClientText


ClientCommand = CreateClient | UpdateClient | RotateClient | RevokeClient

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
    """Several commands in one entry: all or none of them or, if it is not ``atomic``, each by itself.

    A later command sees the effects of earlier ones.  The batch is one step of each wallet's version, so ``if_version``
    of a command in it refers to the version before the batch.  The batch uses up the ids of its commands, whatever the
    outcome.
    """

    commands: Annotated[tuple[BatchedCommand, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH_COMMANDS)]
    atomic: bool = True


AnyCommand = BatchedCommand | ExpireHold | ExecuteBatch | ClientCommand


class RefusedCommand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="method", tag="refused"):
    """What the journal keeps of a command that it refused: enough to know it again, however large it was.

    ``kind`` is its method and ``sha256`` the digest of what it asks for; ``commands`` are the ids of the commands in a
    batch, which it used up.  Entries of earlier versions have the whole command instead.
    """

    command_id: CommandId
    kind: str
    sha256: str
    commands: tuple[CommandId, ...] = ()


RecordedCommand = AnyCommand | RefusedCommand
"""A command as its entry has it."""
