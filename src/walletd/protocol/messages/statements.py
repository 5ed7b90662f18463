"""The messages of ``statement.get``."""

from typing import Annotated, Literal

import msgspec

from walletd.protocol.messages.base import Moment, PageLimit, Read, Result
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import (
    AssetCode,
    AssetName,
    WalletId,
    WalletName,
)


class GetStatement(Read, frozen=True, kw_only=True):
    """The movements of one wallet, oldest first or newest first; ``cursor`` is the ``next`` of the previous page.

    The range begins with ``since`` and ends before ``until``, both a sequence or a time.  ``asset``, ``counterparty``
    and ``kind`` select among its lines.
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
    """The posted balance of an asset at one end of a statement's range."""

    asset: AssetCode
    posted: str


class Statement(Result, frozen=True, kw_only=True):
    """One page of a wallet's statement; ``next`` is absent on the last page.

    ``opening`` and ``closing`` belong to the whole range, on every page and whatever lines were selected.  For a wallet
    with more than 100 assets, a page states only those that its lines move, and is ``partial``.  ``sequence`` is the
    last entry that the statement covers; it is the same on all its pages.
    """

    wallet: WalletId
    opening: tuple[StatementBalance, ...]
    closing: tuple[StatementBalance, ...]
    lines: tuple[StatementLine, ...]
    sequence: int
    partial: bool = False
    next: str | None = None
