"""Outflow folding: the earlier outflows of a wallet that a command's entry counts together from then on.

    entry = with_folded(books, entry)                  # the same entry, unless something is to be folded

So a wallet loads and decides within bounds, however much it sends within its longest window.  The entry records it,
and applying it computes nothing: a journal means the same under every later version, and one without such records is
decided to the microsecond.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from walletd.ledger.book import Books
from walletd.vocabulary.entries import Effects, Entry, FoldedOutflow
from walletd.vocabulary.identifiers import AssetCode, WalletId

MAX_FOLDED: Final = 200
"""The folded outflows of one entry, some 30 KiB; later entries continue."""

FOLDED_BYTES: Final = MAX_FOLDED * 400
"""The space that they need at most: two names, a code, an amount, a time and four numbers each."""


def with_folded(books: Books, entry: Entry) -> Entry:
    """The entry, with the earlier outflows that it folds; ``books`` are before it.

    O(its outflows), and every ``EXACT_OUTFLOWS`` of one wallet and asset O(those stored).
    """
    effects = entry.effects
    assert effects is not None
    folded = tuple(_folded(books, entry, effects))
    if not folded:
        return entry
    return msgspec.structs.replace(entry, effects=msgspec.structs.replace(effects, folded=folded))


def _folded(books: Books, entry: Entry, effects: Effects) -> Iterator[FoldedOutflow]:
    changed = {record.wallet for record in effects.wallets}  # Its limits may begin to count at another time.
    left = MAX_FOLDED
    for wallet, asset in dict.fromkeys((outflow.wallet, outflow.asset) for outflow in effects.outflows):
        if left and wallet not in changed and _is_long(books, wallet, asset):
            for folded in _folded_of(books, entry, wallet, asset, left):
                left -= 1
                yield folded


def _is_long(books: Books, wallet: WalletId, asset: AssetCode) -> bool:
    book = books.wallets.get(wallet)
    outflows = None if book is None or book.outflows is None else book.outflows.get(asset)
    return outflows is not None and outflows.is_long()


def _folded_of(books: Books, entry: Entry, wallet: WalletId, asset: AssetCode, most: int) -> Iterator[FoldedOutflow]:
    book = books.wallets[wallet]
    assert book.outflows is not None
    windows = [window.seconds for window in book.limits[asset].velocity]
    for first, last, total in book.outflows[asset].foldable(entry.time, windows, book.holds.__contains__, most):
        yield FoldedOutflow(
            wallet=wallet,
            asset=asset,
            first=first.sequence,
            first_command=first.command,
            sequence=last.sequence,
            command=last.command,
            time=last.time,
            amount=str(total),
        )
