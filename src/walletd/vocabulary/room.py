"""Room: how much more a wallet can pay and receive of one asset."""

import msgspec

from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.money import SignedAmountText


class WindowRoom(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One velocity window: its limit, the amount that left within it, and the rest.

    ``frees_at`` is when the earliest outflow leaves the window; absent if there is none.
    """

    seconds: int
    limit: SignedAmountText
    used: SignedAmountText
    remaining: SignedAmountText
    frees_at: Instant | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much more a wallet can pay and receive of an asset at this moment, in smallest units.

    ``payable`` is the smallest of the available balance and the rest of each window, ``receivable`` the rest up to the
    maximum; each is absent if nothing bounds it.
    """

    wallet: WalletId
    asset: AssetCode
    payable: SignedAmountText | None = None
    receivable: SignedAmountText | None = None
    windows: tuple[WindowRoom, ...] = ()
