"""Foresight: the books on which a dry run is decided, so that it tells its sender nothing that a payment would not.

    verdict = decide(foreseeable(books, command, scopes), command, now, sequence)

A dry run costs nothing and can be repeated.  If it judged the maximum of a payee, thirty of them would find the payee's
balance to the cent.  So it leaves out the maximums of wallets that the sender does not see: only the command itself
finds out whether they permit it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from walletd.ledger.book import Book, Books
from walletd.vocabulary.claims import wallets_of
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.identifiers import WalletId
from walletd.vocabulary.scopes import Need, permitted


def foreseeable(books: Books, command: AnyCommand, scopes: Sequence[str]) -> Books:
    """The books without those maximums; the same object if there are none.  O(wallets of the command)."""
    return without_hidden(books, wallets_of(command), scopes)


def without_hidden(books: Books, wallets: Iterable[WalletId], scopes: Sequence[str]) -> Books:
    """The same, of these wallets."""
    hidden = [wallet for wallet in wallets if _hides(books, wallet, scopes)]
    if not hidden:
        return books
    shown = Books()
    shown.histories, shown.assets, shown.clients = books.histories, books.assets, books.clients
    shown.transfers = books.transfers
    shown.wallets = {**books.wallets, **{wallet: _without_maximum(books.wallets[wallet]) for wallet in hidden}}
    return shown


def _hides(books: Books, wallet: WalletId, scopes: Sequence[str]) -> bool:
    book = books.wallets.get(wallet)
    if book is None or all(limits.maximum is None for limits in book.limits.values()):
        return False
    return not permitted(scopes, Need.view(wallet))


def _without_maximum(book: Book) -> Book:
    """The same wallet, whose balances may rise without end; for decisions only, because it shares its contents."""
    shown = Book(book.record())
    shown.limits = {asset: msgspec.structs.replace(limits, maximum=None) for asset, limits in book.limits.items()}
    shown.balances, shown.holds, shown.expiries, shown.outflows = (
        book.balances,
        book.holds,
        book.expiries,
        book.outflows,
    )
    return shown
