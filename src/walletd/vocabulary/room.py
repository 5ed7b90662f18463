"""Room: how much a wallet can still pay and take of one asset."""

import msgspec

from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.money import SignedAmountText


class WindowRoom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One velocity window: how much it lets out, how much of that went out, and what is left.

    ``frees_at`` is when the earliest of what went out leaves the window; absent where nothing did.
    """

    seconds: int
    limit: SignedAmountText
    used: SignedAmountText
    remaining: SignedAmountText
    frees_at: Instant | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a wallet can still pay and take of an asset at this moment, in smallest units.

    ``payable`` is the smallest of what is available and what its windows leave, ``receivable`` what is left up to its
    maximum; each is absent where nothing bounds it.
    """

    wallet: WalletId
    asset: AssetCode
    payable: SignedAmountText | None = None
    receivable: SignedAmountText | None = None
    windows: tuple[WindowRoom, ...] = ()
