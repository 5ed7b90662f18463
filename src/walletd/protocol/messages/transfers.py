"""The messages of reading transfers."""

import msgspec

from walletd.protocol.messages.base import Read, Result
from walletd.vocabulary.commands import Instant, Metadata
from walletd.vocabulary.entries import Refundable
from walletd.vocabulary.identifiers import (
    AssetCode,
    TransferName,
    WalletId,
)


class GetTransfer(Read, frozen=True, kw_only=True):
    """A transfer by its id."""

    transfer: TransferName


class PostingView(msgspec.Struct, frozen=True):
    """One movement of a transfer."""

    source: WalletId = msgspec.field(name="from")
    to: WalletId
    asset: AssetCode
    amount: str


class TransferView(Result, frozen=True, kw_only=True):
    """A transfer as posted; its refunds, or the transfer that it refunds.

    A session that may not see all wallets gets the postings of those that it may see; only the sender sees the
    command's id.
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
    metadata: Metadata = msgspec.field(default_factory=dict)
