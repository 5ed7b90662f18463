"""The backlog: durable entries on their way into the read tables, and the transaction that takes the next of them.

    backlog.extend(entries, frontier)                  # right after a commit
    backlog.fold_into(batch, most)                     # the oldest entries, as many as fit
    backlog.shown(batch.entries)                       # once the tables show them

Entries count from the commit that made them durable until the read tables show them, folded or not.
"""

from collections import deque
from collections.abc import Sequence
from math import inf

from walletd.journal.history import DurableEntry
from walletd.journal.merkle import Frontier
from walletd.tables.folding import Folding
from walletd.vocabulary.sizes import MAX_SEGMENT_BYTES

MAX_BATCH = 4_000
"""The approximate number of entries in one transaction: each takes a third of the time that it would among a tenth as
many.
"""

MAX_BATCH_BYTES = 4 * MAX_SEGMENT_BYTES
"""The approximate number of bytes of entries in one transaction."""

MAX_BACKLOG_BYTES = 64 * 1024 * 1024
"""The limit on entries that the read tables do not show yet: equal to that of entries waiting for the journal."""

TURN_BYTES = 256 * 1024
"""The bytes of entries folded before other tasks run, however few entries they are."""


class Batch:
    """The next transaction, while it is being folded."""

    __slots__ = ("bytes", "entries", "folding", "is_closed", "last_sequence", "reached")

    def __init__(self) -> None:
        self.entries: list[DurableEntry] = []
        self.folding = Folding()
        self.bytes = 0
        """The size of its entries as stored."""
        self.reached: Frontier | None = None
        """The frontier after the last whole commit in it."""
        self.last_sequence: float = inf
        """The last commit that it takes, unless it is full before."""
        self.is_closed = False
        """True if it accepts nothing more."""

    def add(self, durable: DurableEntry) -> None:
        """Fold one more entry."""
        self.bytes += len(durable.record)
        self.folding.add(durable.entry)
        self.entries.append(durable)

    def end_commit(self, frontier: Frontier) -> None:
        """Note that the last entry was the last of its commit: a transaction ends here or after another commit."""
        self.reached = frontier
        is_full = len(self.entries) >= MAX_BATCH or self.bytes >= MAX_BATCH_BYTES
        self.is_closed = is_full or frontier.size >= self.last_sequence

    def end_at(self, sequence: int) -> None:
        """Take no commit after the one that ends with this entry."""
        self.last_sequence = float(sequence)
        if self.entries and self.reached is not None and self.reached.size == self.entries[-1].entry.sequence:
            self.end_commit(self.reached)


class Backlog:
    """The entries that are durable and not shown yet; those that are not folded yet are in here, oldest first."""

    __slots__ = ("_frontiers", "_max_entries", "_unfolded", "bytes", "durable_sequence", "entries")

    def __init__(self, sequence: int, max_entries: int) -> None:
        """``sequence``: the last entry that the tables show."""
        self._max_entries = max_entries
        self._unfolded: deque[DurableEntry] = deque()
        self._frontiers: deque[Frontier] = deque()
        """The frontier after each commit that is not folded yet."""
        self.entries = 0
        self.bytes = 0
        self.durable_sequence = sequence
        """The last entry passed in."""

    @property
    def unfolded(self) -> int:
        """The number of entries that are in no transaction yet."""
        return len(self._unfolded)

    @property
    def taken(self) -> float:
        """The share of its room that is taken."""
        entries, size = self.entries / self._max_entries, self.bytes / MAX_BACKLOG_BYTES
        return entries if entries > size else size

    @property
    def has_a_batch(self) -> bool:
        """True if there is enough for a full transaction."""
        return self.entries >= MAX_BATCH or self.bytes >= MAX_BATCH_BYTES

    @property
    def has_another_batch(self) -> bool:
        """True if there is enough for a full transaction beside the one that is written."""
        return len(self._unfolded) >= MAX_BATCH

    def extend(self, entries: Sequence[DurableEntry], frontier: Frontier) -> None:
        """Add the entries of one commit, and the frontier after it, which no longer changes."""
        assert entries[0].entry.sequence == self.durable_sequence + 1
        assert frontier.size == entries[-1].entry.sequence
        self._frontiers.append(frontier)
        self._unfolded.extend(entries)
        self.entries += len(entries)
        self.bytes += bytes_of(entries)
        self.durable_sequence = frontier.size

    def fold_into(self, batch: Batch, most: int) -> None:
        """Fold the oldest entries, as many as fit into this transaction and into one pass of the event loop."""
        room = TURN_BYTES
        for _ in range(min(most, len(self._unfolded))):
            if batch.is_closed or room <= 0:
                return
            durable = self._unfolded[0]
            batch.add(durable)
            # Only now: if memory ran out before, a transaction without this entry must not be written.
            self._unfolded.popleft()
            room -= len(durable.record)
            if self._frontiers[0].size == durable.entry.sequence:
                batch.end_commit(self._frontiers.popleft())

    def shown(self, entries: Sequence[DurableEntry]) -> None:
        """Note that the read tables show these entries."""
        self.entries -= len(entries)
        self.bytes -= bytes_of(entries)
        assert self.entries >= len(self._unfolded)
        assert self.bytes >= 0


def bytes_of(entries: Sequence[DurableEntry]) -> int:
    """The size of the entries as stored."""
    return sum(len(durable.record) for durable in entries)
