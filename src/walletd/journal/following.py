"""Following: the entries that another node writes, proved and handed on, until this node can lead.

    tail = Tail(watch, frontier, head, deliver, room)
    await tail.reach(120)                              # every segment up to there was proved, and ``deliver`` has it
    tail.refuse_replaced(120, root)                    # the ledger ends as it did when it was shown

The promise: an entry is handed on only if its segment has its digest, follows the last one, and leads to the Merkle
root that was stored with it.  A node that was shown one history never shows another.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import trio

from walletd.journal.failures import JournalReplaced
from walletd.journal.history import DurableEntry, entries_of
from walletd.journal.merkle import Frontier
from walletd.journal.segment import Segment
from walletd.journal.store import Head
from walletd.journal.verification import advance_in_steps


class Leader(NamedTuple):
    """The node that leads a ledger, as the database knows it: ``left_seconds`` is None if none does."""

    owner: str
    url: str
    term: int
    head: int
    root: bytes
    left_seconds: float | None

    @property
    def is_gone(self) -> bool:
        """True if the ledger may be taken."""
        return self.left_seconds is None or self.left_seconds <= 0


class Watch(Protocol):
    """The ledger, as a node sees it that follows."""

    async def look(self) -> Leader:
        """The leader now, and the entry up to which everything may be shown."""
        ...

    async def changed(self, leader: Leader) -> None:
        """Return when there may be something new, and after a moment anyway."""
        ...

    async def ahead(self, after: int, until: int) -> list[Segment]:
        """The next segments after this entry, up to that one, which exists."""
        ...

    def passed(self, head: Head) -> None:
        """Note that everything up to here was proved."""
        ...

    async def take(self) -> Head | None:
        """Take the ledger; the head from which this node goes on, or None if another node was faster."""
        ...


Deliver = Callable[[list[DurableEntry], Frontier], None]
"""Takes the entries of one segment, and the frontier after it, which no longer changes."""


class Tail:
    """The end of the journal, as far as this node has proved it."""

    def __init__(
        self, watch: Watch, frontier: Frontier, head: Head, deliver: Deliver, room: Callable[[], Awaitable[None]]
    ) -> None:
        """``room`` waits until the entries of another segment can be taken."""
        assert frontier.size == head.sequence
        self._watch = watch
        self._frontier = frontier.copy()
        self._deliver = deliver
        self._room = room
        self.head = head

    def refuse_replaced(self, sequence: int, root: bytes) -> None:
        """Raise JournalReplaced if a journal that ends with this entry and root is not the one that was shown."""
        if sequence < self.head.sequence:
            raise JournalReplaced(
                f"the ledger ends at entry {sequence}, but this node was shown entry {self.head.sequence}"
            )
        if sequence == self.head.sequence and root != self.head.root:
            raise JournalReplaced(f"entry {sequence} of the ledger is not the one that this node was shown")

    async def reach(self, until: int) -> None:
        """Prove and hand on everything up to this entry.  Raises JournalCorrupt."""
        while self.head.sequence < until:
            for segment in await self._watch.ahead(self.head.sequence, until):
                await self._room()
                await self._take(segment)

    async def _take(self, segment: Segment) -> None:
        frontier = self._frontier.copy()
        for _ in advance_in_steps(self.head, frontier, segment):
            await trio.lowlevel.checkpoint()
        entries = entries_of(segment)
        self.head = Head(segment.last_sequence, segment.epoch, segment.root)
        self._frontier = frontier
        self._watch.passed(self.head)
        self._deliver(entries, frontier)
