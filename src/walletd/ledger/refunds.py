"""The rules of refunds: money of a transfer or a capture goes back along the same ways, in parts, never more than it
moved.

A way is a payer, a payee and an asset; several postings along one way count together.  A refund cannot be refunded.
"""

from datetime import datetime

import msgspec

from walletd.ledger.book import Books
from walletd.ledger.draft import Draft, Origin
from walletd.ledger.guards import (
    Steps,
    Verdict,
    conditions_guard,
    funds_guard,
    maximum_guard,
    postings_guard,
    refuse,
    velocity_guard,
)
from walletd.ledger.statement import CAPTURE, TRANSFER, movements_of
from walletd.vocabulary.commands import Posting, RefundTransfer
from walletd.vocabulary.entries import Entry, Refundable, Refusal, TransferRecord
from walletd.vocabulary.histories import about_lost
from walletd.vocabulary.reasons import Reason


def refund_transfer(
    books: Books, command: RefundTransfer, now: datetime, origin: Origin, leniently: bool = False
) -> Verdict:
    """Move money back, along one posting after the other.  ``books.transfers`` must hold the original, if it exists."""
    for index, posting in enumerate(command.postings):
        for wallet in (posting.source, posting.to):
            if wallet not in books.wallets:
                return refuse(Reason.WALLET_NOT_FOUND, wallet=wallet, posting=index)
    for index, posting in enumerate(command.postings):
        if posting.source == posting.to:
            return refuse(Reason.SELF_TRANSFER, wallet=posting.to, posting=index)
    original = books.transfers.get(command.transfer)
    if original is None or not _concerns(original, command):
        lost = about_lost(books.histories, command.transfer)
        return refuse(Reason.ORIGINAL_NOT_FOUND, transfer=command.transfer, **lost)
    if refusal := conditions_guard(books, command, now):
        return refusal
    parts = list(original.parts)
    for posting in command.postings:
        if refusal := _take(original, parts, posting):
            return refusal
    if refusal := postings_guard(books, command.postings, now):
        return refusal
    draft = Draft(books, now)
    steps = Steps(draft, books, len(command.postings))
    for index, posting in enumerate(command.postings):
        amount = int(posting.amount)
        draft.move(posting.source, posting.to, posting.asset, amount)
        draft.let_go(posting.source, posting.asset, amount, origin)
        steps.judge(index, posting, amount)
    if leniently:
        refusal = funds_guard(draft) or velocity_guard(draft, books) or maximum_guard(books, draft)
    else:
        refusal = steps.funds or velocity_guard(draft, books) or steps.maximum
    if refusal:
        return refusal
    # After this point it must succeed.
    refunded = TransferRecord(original.transfer, tuple(parts))
    return msgspec.structs.replace(draft.effects(), transfers=(refunded,))


def remember_transfers(books: Books, entry: Entry) -> None:
    """Put the refundable amounts of this entry's transfers at hand.  About 500 bytes each: only an audit keeps all of
    them.
    """
    for record in refundable_transfers(entry):
        books.transfers[record.transfer] = record


def refundable_transfers(entry: Entry) -> list[TransferRecord]:
    """The transfers and captures of the entry, before any refund."""
    found: dict[str, dict[tuple[str, str, str], int]] = {}
    for movement in movements_of(entry):
        if movement.kind in (TRANSFER, CAPTURE):
            ways = found.setdefault(movement.transfer, {})
            way = movement.source, movement.to, movement.asset
            ways[way] = ways.get(way, 0) + movement.amount
    return [
        TransferRecord(
            transfer,  # type: ignore[arg-type]
            tuple(Refundable(source, to, asset, str(amount)) for (source, to, asset), amount in ways.items()),  # type: ignore[arg-type]
        )
        for transfer, ways in found.items()
    ]


def _concerns(original: TransferRecord, command: RefundTransfer) -> bool:
    """True if each wallet that would give something back took part in the original.

    If one did not, the answer is that there is no such transfer: that wallet's owner may not know about it.
    """
    wallets = {wallet for part in original.parts for wallet in (part.source, part.to)}
    return all(posting.source in wallets for posting in command.postings)


def _take(original: TransferRecord, parts: list[Refundable], posting: Posting) -> Refusal | None:
    """Count a posting as refunded in its part; refuse if the part does not exist or too little of it is left."""
    left = 0
    for index, part in enumerate(parts):
        if (part.to, part.source, part.asset) == (posting.source, posting.to, posting.asset):
            left = int(part.amount) - int(part.refunded)
            if int(posting.amount) <= left:
                refunded = int(part.refunded) + int(posting.amount)
                parts[index] = msgspec.structs.replace(part, refunded=str(refunded))
                return None
    return refuse(
        Reason.REFUND_EXCEEDS_ORIGINAL,
        transfer=original.transfer,
        wallet=posting.source,
        to=posting.to,
        asset=posting.asset,
        refundable=str(left),
        required=posting.amount,
    )
