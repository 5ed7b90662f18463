"""The queue of a journal: entries that are appended but not durable yet, and the callbacks that wait for them.

    queue.append(pending)                              # the head moves
    queue.when_durable(pending.sequence, reply)
    batch = queue.take(4096, 262_144)                  # the next segment's
    queue.durable(batch)                               # the durable head moves
    undone, waiters = queue.undo(batch)                # or nothing was written, and the head moves back

Its space is bounded: an entry that cannot be appended must not be decided.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from walletd.journal.failures import JournalFull

Context = TypeVar("Context")

RESERVED_PLACES = 64
"""Entries that may be queued beyond the limit by those who must always be heard."""

Waiter = Callable[[bool], None]


class Pending(Generic[Context]):
    """An entry on its way to the disk.  ``leaf`` is its hash in the Merkle tree; ``context`` is the caller's own."""

    __slots__ = ("context", "leaf", "record", "sequence")

    def __init__(self, sequence: int, record: bytes, leaf: bytes, context: Context) -> None:
        self.sequence = sequence
        self.record = record
        self.leaf = leaf
        self.context = context

    def __repr__(self) -> str:
        return f"<Pending {self.sequence}>"


class Queue(Generic[Context]):
    """The journal's end: the durable head, the appended head, and the entries in between."""

    __slots__ = (
        "_max_bytes",
        "_max_entries",
        "_waiters",
        "degraded",
        "durable_head",
        "entries",
        "head",
        "is_closed",
        "undurable_bytes",
    )

    def __init__(self, head: int, max_entries: int, max_bytes: int) -> None:
        self.head = head
        """The tentative head: the last sequence issued."""
        self.durable_head = head
        self.entries: deque[Pending[Context]] = deque()
        """Entries that are in no segment yet."""
        self.undurable_bytes = 0
        """The size of all entries after the durable head."""
        self.degraded: JournalFull | None = None
        """The reason why no entries are accepted now, or None."""
        self.is_closed = False
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._waiters: dict[int, list[Waiter]] = {}

    @property
    def is_waited_for(self) -> bool:
        """True if a waiter waits for an entry to become durable."""
        return bool(self._waiters)

    @property
    def is_full(self) -> bool:
        """True if as much waits for the disk as may."""
        return self.head - self.durable_head >= self._max_entries or self.undurable_bytes >= self._max_bytes

    def has_room(self, *, reserved: bool = False) -> bool:
        """True if an entry may be appended.  ``reserved``: to the places kept for such, and on a full disk, too."""
        more = RESERVED_PLACES if reserved else 0
        return (
            (self.degraded is None or reserved)
            and not self.is_closed
            and self.head - self.durable_head < self._max_entries + more
            and (self.undurable_bytes < self._max_bytes or reserved)
        )

    def append(self, pending: Pending[Context]) -> None:
        """Append the next entry."""
        self.entries.append(pending)
        self.undurable_bytes += len(pending.record)
        self.head = pending.sequence

    def take(self, max_entries: int, max_bytes: int) -> list[Pending[Context]]:
        """The entries of the next segment, at least one, from the front."""
        batch: list[Pending[Context]] = []
        size = 0
        while self.entries and len(batch) < max_entries:
            size += len(self.entries[0].record)
            if batch and size > max_bytes:
                break
            batch.append(self.entries.popleft())
        assert batch
        assert batch[0].sequence == self.durable_head + 1
        return batch

    def durable(self, batch: list[Pending[Context]]) -> None:
        """These entries, which were taken, are durable."""
        self.durable_head = batch[-1].sequence
        self.undurable_bytes -= sum(len(pending.record) for pending in batch)
        assert self.durable_head <= self.head

    def waiters_for(self, sequence: int) -> list[Waiter]:
        """The callbacks that wait for this entry; the queue drops them."""
        return self._waiters.pop(sequence, [])

    def undo(self, batch: list[Pending[Context]]) -> tuple[list[Pending[Context]], list[Waiter]]:
        """Nothing of these entries was written: take back everything tentative.  Also returns its callbacks."""
        undone = [*batch, *self.entries]
        assert undone[-1].sequence == self.head
        self.entries.clear()
        self.undurable_bytes = 0
        self.head = self.durable_head
        waiters, self._waiters = self._waiters, {}
        return undone, [waiter for sequence in sorted(waiters) for waiter in waiters[sequence]]

    def when_durable(self, sequence: int, callback: Waiter) -> None:
        """Call back with True if the entry is durable, or have ``waiters_for`` and ``undo`` return the callback."""
        assert 0 <= sequence <= self.head
        if sequence <= self.durable_head:
            callback(True)
        else:
            self._waiters.setdefault(sequence, []).append(callback)
