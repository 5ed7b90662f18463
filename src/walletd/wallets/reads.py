"""Reads of books: wallets at one moment, shown once everything seen is durable.

reads.read_wallets(["alice", "bob"], show, decline) # synchronous; ``show`` is called once their turns are in hand
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from walletd.journal.writer import JournalWriter
from walletd.ledger.book import Book, Books
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import DAEMON, Principal, WalletId
from walletd.wallets.actor import Claim
from walletd.wallets.entries import unavailable
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Behind, Submission

Show = Callable[[Mapping[WalletId, Book], datetime], Callable[[int], None]]
"""Makes an answer from books and the time; its result sends it, given the entry as of which they were seen."""

Decline = Callable[[Declined], None]


class Reads:
    """Asks the roster for the wallets' turns, and the writer when everything seen there is durable."""

    __slots__ = ("_books", "_clock", "_roster", "_writer")

    def __init__(self, books: Books, roster: Roster, writer: JournalWriter[Submission], clock: HistoryClock) -> None:
        self._books = books
        self._roster = roster
        self._writer = writer
        self._clock = clock

    def read_wallets(
        self,
        wallets: Iterable[WalletId],
        show: Show,
        decline: Decline,
        behind: Behind = lambda: 0,
        sender: Principal = DAEMON,
    ) -> None:
        """Have ``show`` make an answer from those of the wallets that exist, at one moment; its result is called once
        everything it saw is durable.  It must not keep a book.

        ``behind`` is asked when the wallets' turns are in hand.  The answer waits for its entry, too; if a full disk
        undoes that entry, the answer is given nonetheless, provided that it shows nothing of it.  Reads see every
        command submitted before.
        """
        names = sorted(set(wallets))

        def read(claim: Claim) -> None:
            last = behind()
            if last is None:
                return
            moment = self._clock.moment()
            self._clock.promise(moment)
            books = {name: self._books.wallets[name] for name in names if name in self._books.wallets}
            seen, durable = self._roster.last_sequence(names), self._writer.durable_head
            awaited = max(seen, min(last, self._writer.head))
            answer = show(books, moment)
            if awaited <= durable:
                return answer(durable)

            def settle(is_durable: bool) -> None:
                if is_durable:
                    answer(awaited)
                elif seen <= self._writer.durable_head:
                    answer(max(seen, durable))
                else:
                    decline(unavailable(self._writer.degraded))

            self._writer.when_durable(awaited, settle)

        self._roster.claim(Claim(names, run=read, fail=decline, sender=sender))
