"""Past entries of some wallets: found by the read tables, read from the journal.

past = PastEntries(queries, history)
entries, reached = await past.touching(["alice"], 120)         # entry 125 and others; up to where they are all
"""

from collections.abc import Iterable, Sequence

from walletd.journal.history import DurableEntry, History
from walletd.tables.queries.wallets import Queries
from walletd.vocabulary.identifiers import WalletId


class PastEntries:
    """Reads for streams of a few wallets, whose cost does not depend on what other wallets do."""

    def __init__(self, queries: Queries, history: History) -> None:
        self._queries = queries
        self._history = history

    async def touching(self, wallets: Iterable[WalletId], after: int) -> tuple[Sequence[DurableEntry], int]:
        """Some of the entries after this one that touch any of the wallets, and the entry up to which there are no
        others: ``after`` itself if the tables show nothing behind it yet.
        """
        found = await self._queries.touching(wallets, after)
        if not found.sequences:
            return (), found.reached
        entries = await self._history.entries_among(found.sequences)
        is_all = len(entries) == len(found.sequences)
        return entries, found.reached if is_all else entries[-1].entry.sequence
