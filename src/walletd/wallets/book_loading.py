"""Loading: the books of dormant wallets, and the refundable amounts of transfers, from the read tables.

    loading = BookLoading(projector, visibility, queries.books, queries.transfer, history.entry)
    books = await loading.load(["alice", "~t17"])      # those that exist

A name that begins with ``TRANSFER_MARK`` stands for a transfer.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from walletd.journal.history import DurableEntry
from walletd.ledger.book import Book
from walletd.ledger.refunds import refundable_transfers
from walletd.tables.projector import Projector
from walletd.vocabulary.claims import TRANSFER_MARK
from walletd.vocabulary.entries import TransferRecord
from walletd.vocabulary.identifiers import TransferId, WalletId, sequence_of
from walletd.wallets.visibility import Visibility

ReadBooks = Callable[[Iterable[WalletId]], Awaitable[dict[WalletId, Book]]]
ReadTransfer = Callable[[TransferId], Awaitable[TransferRecord | None]]
ReadEntry = Callable[[int], Awaitable[DurableEntry]]


class BookLoading:
    """Reads books from the read tables, once these are far enough for the books to be true."""

    __slots__ = ("_floor", "_projector", "_read_books", "_read_entry", "_read_transfer", "_visibility")

    def __init__(
        self,
        projector: Projector,
        visibility: Visibility,
        read_books: ReadBooks,
        read_transfer: ReadTransfer,
        read_entry: ReadEntry,
    ) -> None:
        self._projector = projector
        self._visibility = visibility
        self._read_books = read_books
        self._read_transfer = read_transfer
        self._read_entry = read_entry
        self._floor = 0
        """The entry that the read tables must show before a book is read from them."""

    def start_over(self) -> None:
        """Note that a roll-back dropped all books: from now on a book is read only when the tables show everything
        durable.
        """
        self._floor = self._projector.durable_sequence

    async def load(self, names: Iterable[WalletId]) -> Mapping[WalletId, Book | TransferRecord]:
        """The books of wallets without an actor, from the read tables; those of wallets that exist.

        An actor retires only when the tables know everything that it knows; only after a roll-back may they be behind.
        Raises ReadTablesStand if they are, and cannot catch up for lack of space.
        """
        await self._projector.reach_unless_full(self._floor)
        names = list(names)
        wallets = [name for name in names if not name.startswith(TRANSFER_MARK)]
        found: dict[WalletId, Book | TransferRecord] = {**await self._read_books(wallets)}
        for name in names:
            if name.startswith(TRANSFER_MARK) and (record := await self._load_transfer(TransferId(name[1:]))):
                found[name] = record
        return found

    async def _load_transfer(self, transfer: TransferId) -> TransferRecord | None:
        """The refundable amounts of a transfer: as posted, or after the last refund."""
        sequence = sequence_of(transfer)
        await self._visibility.until_projected(sequence)
        if sequence > self._projector.sequence:
            return None
        refunded = await self._read_transfer(transfer)
        if refunded is not None:
            return refunded
        entry = (await self._read_entry(sequence)).entry
        return next((record for record in refundable_transfers(entry) if record.transfer == transfer), None)
