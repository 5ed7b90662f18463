"""The messages of reading assets, wallets and balances."""

from typing import Annotated

import msgspec

from walletd.protocol.messages.base import MAX_READ_WALLETS, Moment, PageLimit, Read, Result
from walletd.vocabulary.commands import Instant, Metadata, WalletLimits
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


class ListAssets(Read, frozen=True, kw_only=True):
    """Assets by code; ``after`` is the ``next`` of the previous page."""

    after: AssetName | None = None


class GetWallet(Read, frozen=True, kw_only=True):
    """One wallet with all its parts; for a wallet with very many assets, ``after`` is the ``next`` of the previous
    answer.
    """

    wallet: WalletName
    after: AssetName | None = None


class WalletView(Result, frozen=True, kw_only=True):
    """A wallet and its balances, all as of ``sequence``.

    If not all balances fit into an answer, ``next`` is the ``after`` with which ``wallet.get`` continues.
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
    """The room of the balances that have limits, in ``wallet.get``."""
    sequence: int
    next: AssetCode | None = None


class ListWallets(Read, frozen=True, kw_only=True):
    """Wallets in the order of their names that match all filters; ``after`` is the ``next`` of the previous page.

    Each key of ``metadata`` must have exactly the given value.
    """

    prefix: WalletPrefix = ""
    status: WalletStatus | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)
    after: WalletName | None = None
    limit: PageLimit = 100


class WalletPage(Result, frozen=True, kw_only=True):
    """One page of wallets; ``next`` is the ``after`` of the following page, absent on the last.

    A search that few wallets match may return a short or empty page that nonetheless has a ``next``.
    """

    wallets: tuple[WalletView, ...]
    sequence: int
    next: WalletId | None = None


class BalancePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place among balances by wallet and asset: after this one."""

    wallet: WalletName
    asset: AssetName


class GetBalance(Read, frozen=True, kw_only=True):
    """The balances of ``wallet`` or of several ``wallets``, of one asset or of all: now or, with ``as_of``, at an
    earlier point.

    A sequence means the books right after that entry, a time those after the last entry up to that time.  ``after`` is
    the ``next`` of the previous page; with its ``time`` as ``as_of``, all pages show one moment.
    """

    wallet: WalletName | None = None
    wallets: Annotated[tuple[WalletName, ...], msgspec.Meta(min_length=1, max_length=MAX_READ_WALLETS)] | None = None
    asset: AssetName | None = None
    as_of: Moment | None = None
    after: BalancePlace | None = None

    @property
    def names(self) -> tuple[WalletId, ...]:
        """The requested wallets."""
        return (self.wallets or ()) if self.wallet is None else (self.wallet,)


class Balances(Result, frozen=True, kw_only=True):
    """Balances by wallet and asset, all as of the entry ``sequence``, at ``time``.

    Requested later with that time as ``as_of``, they are the same.
    """

    balances: tuple[BalanceRecord, ...]
    room: tuple[Room, ...] = ()
    """The room of the balances that have limits, if the present ones were requested."""
    sequence: int
    time: Instant
    next: BalancePlace | None = None
