"""What happens to entries, for all parts that follow it.

events = Events()
writer = JournalWriter(store, frontier, head, outcome=events)
events.durable.add(delivery.deliver)                # a part that is built later
"""

from collections.abc import Sequence

from walletd.journal.failures import JournalFull
from walletd.journal.history import DurableEntry
from walletd.journal.queue import Pending
from walletd.runtime.hook import Hook
from walletd.vocabulary.entries import ClientRecord
from walletd.wallets.submission import Submission

Commit = Sequence[Pending[Submission]]


class Events:
    """The hooks of the engine.  The writer calls the first four (``Outcome``), the projector and delivery one each."""

    __slots__ = ("clients_changed", "durable", "idle", "projected", "rolled_back", "writable")

    def __init__(self) -> None:
        self.durable: Hook[[Commit]] = Hook()
        """A segment is durable."""
        self.rolled_back: Hook[[Commit, JournalFull]] = Hook()
        """The journal stopped accepting writes: a full disk undid these entries."""
        self.writable: Hook[[]] = Hook()
        """The journal accepts entries again."""
        self.idle: Hook[[]] = Hook()
        """Nothing is left to commit, and everything is answered."""
        self.projected: Hook[[Sequence[DurableEntry]]] = Hook()
        """The read tables show these entries."""
        self.clients_changed: Hook[[Sequence[ClientRecord]]] = Hook()
        """Right after an entry about clients became durable."""
