"""The messages of reading holds: ``hold.get`` and ``hold.list``."""

import msgspec

from walletd.protocol.messages.base import PageLimit, Read, Result
from walletd.vocabulary.commands import Instant, Metadata
from walletd.vocabulary.identifiers import AssetCode, HoldId, HoldName, WalletId, WalletName
from walletd.vocabulary.states import HoldState


class GetHold(Read, frozen=True, kw_only=True):
    """A hold of a wallet, by its id."""

    wallet: WalletName
    hold: HoldName


class HoldView(Result, frozen=True, kw_only=True):
    """A hold at the moment of the request; ``reserved`` is the amount that can still be captured."""

    hold: HoldId
    wallet: WalletId
    asset: AssetCode
    amount: str
    captured: str
    reserved: str
    state: HoldState
    placed_at: Instant
    expires_at: Instant | None = None
    reference: str | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)
    sequence: int


class ListHolds(Read, frozen=True, kw_only=True):
    """The open holds of a wallet in order of placing, or all of them; ``after`` is the last id of the previous page."""

    wallet: WalletName
    also_closed: bool = False
    after: HoldName | None = None
    limit: PageLimit = 100


class HoldPage(Result, frozen=True, kw_only=True):
    """One page of holds; ``next`` is the ``after`` of the following page, absent on the last."""

    holds: tuple[HoldView, ...]
    sequence: int
    next: HoldId | None = None
