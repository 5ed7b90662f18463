"""The messages of reading assets, wallets and balances."""

from typing import Annotated

import msgspec

from walletd.protocol.messages.base import MAX_READ_WALLETS, Moment, PageLimit, Params, Result
from walletd.vocabulary.commands import Instant, Metadata
from walletd.vocabulary.commands import Limits as WalletLimits
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, Freeze
from walletd.vocabulary.identifiers import (
    AssetCode,
    AssetName,
    WalletId,
    WalletName,
    WalletPrefix,
)
from walletd.vocabulary.room import Room
from walletd.vocabulary.states import WalletStatus


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
    metadata: Metadata = msgspec.field(default_factory=dict)
    limits: dict[AssetCode, WalletLimits] = msgspec.field(default_factory=dict)
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
    metadata: Metadata = msgspec.field(default_factory=dict)
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
