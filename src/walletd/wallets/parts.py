"""The parts that decide commands and read books, each built from those before it.

    wallets = Wallets(books, clients, stored, writer, projector, load, budgets, reading, slices, clock, limits, seconds)
    wallets.decisions.submit(submission)
    wallets.reads.read_wallets(["alice"], show, decline)

The roster and the command ids have tasks of their own, which the engine runs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from walletd.journal.history import DurableEntry
from walletd.journal.writer import JournalWriter
from walletd.ledger.book import Books
from walletd.ledger.client_book import ClientBook
from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.slices import Slices
from walletd.sessions.budgets import Budgets
from walletd.tables.projector import Projector
from walletd.tables.stored import Stored
from walletd.wallets.book_loading import BookLoading
from walletd.wallets.command_ids import CommandIds
from walletd.wallets.counters import CommandCounters
from walletd.wallets.decisions import Decisions
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.load import Load
from walletd.wallets.loading_places import Payments
from walletd.wallets.reads import Reads
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Submission
from walletd.wallets.table_reads import TableReads
from walletd.wallets.visibility import Visibility


class WarmLimits(NamedTuple):
    """The limits on wallets in memory and on the claims that wait for each."""

    max_warm_wallets: int
    max_mailbox: int
    idle_seconds: float


class Wallets:
    """Everything that is answered from the books in memory."""

    __slots__ = (
        "books",
        "clients",
        "clock",
        "command_ids",
        "counters",
        "decisions",
        "load",
        "reads",
        "roster",
        "slices",
        "visibility",
    )

    def __init__(
        self,
        books: Books,
        clients: ClientBook,
        stored: Stored,
        writer: JournalWriter[Submission],
        projector: Projector,
        load: Load,
        budgets: Budgets,
        reading: FairTurns[Any],
        slices: Slices,
        clock: HistoryClock,
        limits: WarmLimits,
        seconds: Callable[[], float],
    ) -> None:
        self.books = books
        """As decided: they know entries that may not be durable yet."""
        self.clients = clients
        """The clients as in the durable journal: those admitted, and those no longer admitted."""
        self.load = load
        self.slices = slices
        """Long work, such as that of a batch, in turns of those who ask for it."""
        self.clock = clock
        self.counters = CommandCounters()
        self.command_ids = CommandIds(stored.index, stored.history.entry, reading, budgets.account)
        self.visibility = Visibility(writer, projector, clock)
        loading = BookLoading(
            projector, self.visibility, stored.tables.books, stored.tables.transfer, stored.history.entry
        )
        self.roster = Roster(
            books,
            loading.load,
            max_warm_wallets=limits.max_warm_wallets,
            max_mailbox=limits.max_mailbox,
            idle_seconds=limits.idle_seconds,
            settled_sequence=lambda: projector.sequence,
            payments=Payments(
                budgets.is_trusted,
                lambda sender, spent: budgets.charge_processor(budgets.account(sender), spent),
                seconds,
            ),
        )
        self.reads: Reads | TableReads = Reads(books, self.roster, writer, clock)
        self.decisions = Decisions(
            books, clients, self.roster, loading, writer, self.command_ids, clock, load, slices, budgets, self.counters
        )

    def projected(self, entries: Sequence[DurableEntry]) -> None:
        """The read tables show these entries: memory need not know their ids, nor keep as many wallets."""
        self.command_ids.note(entries)
        self.roster.retire_some(len(entries))
