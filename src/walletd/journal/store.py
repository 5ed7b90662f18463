"""The narrow interface between the journal writer and the store of the segments.

The promise of every store: ``append`` returns only when the segment is durable, refuses with certainty, or reports that
it does not know; data that fails its digest is never returned.  There are two implementations, SQLite and memory, and
both pass the same contract tests.

    head = await store.head()
    await store.append(head.sequence, segment)
    for segment in await store.read(after=head.sequence): ...
"""

from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

import msgspec

from walletd.journal.merkle import EMPTY_ROOT
from walletd.journal.segment import Segment
from walletd.vocabulary.histories import Histories

if TYPE_CHECKING:
    from walletd.journal.following import Watch

READ_LIMIT_BYTES = 4 * 1024 * 1024
"""One read occupies the journal's connection for some milliseconds."""
FIRST_EPOCH = 1
LAST_EPOCH = 2**62
"""A larger one is forged: a restore takes the next, and SQLite stores 64 bits."""


class Head(msgspec.Struct, frozen=True):
    """The end of a journal: the last sequence (0: no entry), the epoch of the writer, and the root over all entries."""

    sequence: int
    epoch: int
    root: bytes


GENESIS = Head(sequence=0, epoch=FIRST_EPOCH, root=EMPTY_ROOT)


class JournalStore(Protocol):
    """The interface of a backend.  Every method may be cancelled, except an ``append`` whose outcome must be known."""

    @property
    def instance(self) -> str:
        """A random id of this journal, made when it was created; a restored copy keeps it."""
        ...

    @property
    def created_at(self) -> int:
        """When the journal was created: nanoseconds since 1970, UTC."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch in which this store may append."""
        ...

    @property
    def histories(self) -> Histories:
        """The histories of its entries; the last is the one being written."""
        ...

    async def append(self, expected_head: int, segment: Segment) -> None:
        """Make one segment durable, if the journal still ends at ``expected_head`` in this store's epoch.

        Raises JournalFull or HeadMoved when it is certain that nothing was written, and OutcomeUnknown otherwise.
        """
        ...

    async def read(self, after: int, limit: int = READ_LIMIT_BYTES) -> list[Segment]:
        """The segments that hold entries with a sequence above ``after``, in order, each checked, without a gap.

        ``limit`` bounds the bytes of their bodies; at least one segment is returned if there is one.  The first may
        begin at or before ``after``.  Raises JournalCorrupt rather than return rot.
        """
        ...

    async def read_entry(self, sequence: int) -> bytes | None:
        """The record with this sequence, or None if the journal does not have it (yet).  Raises JournalCorrupt."""
        ...

    async def head(self) -> Head:
        """The durable head.  Raises JournalCorrupt."""
        ...

    async def probe(self) -> None:
        """Test whether appends work again after JournalFull, and rebuild the reserve that the full disk used up.

        Returns if they do, raises JournalFull if they do not yet, and OutcomeUnknown if nothing can be said.
        """
        ...

    async def aclose(self) -> None:
        """Release everything.  No other method may be called afterwards."""
        ...


@runtime_checkable
class AppendsAtOnce(Protocol):
    """A store whose disk may be so fast that the event loop itself waits for it.  The writer also works without."""

    def is_quick(self, body_bytes: int) -> bool:
        """True if a segment with a body of this length is better appended by ``append_now``."""
        ...

    def append_now(self, expected_head: int, segment: Segment) -> None:
        """``append`` without waiting for a thread, if ``is_quick``.  Its errors are for ``explain``."""
        ...

    async def explain(self, error: Exception) -> NoReturn:
        """Determine, or make certain, what an error of ``append_now`` means; raises what ``append`` would."""
        ...


@runtime_checkable
class IsLed(Protocol):
    """A store that several nodes can reach, of which one leads at a time."""

    name: str
    """The ledger's name."""
    term: int
    """The number of this node's hold on it; while it follows, of the leader's."""
    is_replicated: bool
    """True if a commit waits for a second copy."""
    following: "Watch | None"
    """The ledger as this node sees it until it leads; None if it has led from the start."""

    @property
    def url(self) -> str:
        """The URL of the node that leads; empty if none does, or it has told none."""
        ...

    @property
    def lease_left_seconds(self) -> float:
        """The rest of the lease of the node that leads; 0 if none does."""
        ...

    @property
    def is_leading(self) -> bool:
        """True if this node has taken the ledger, or has had it; False while it follows."""
        ...

    def is_overtaken(self) -> bool:
        """True if another node may lead by now, so that nothing may be answered any more.  Never False again."""
        ...


@runtime_checkable
class HasReserve(Protocol):
    """A store that keeps some space for entries that must be possible on a full disk."""

    async def append_reserved(self, expected_head: int, segment: Segment) -> None:
        """``append`` in the reserve's space, after JournalFull.  Raises JournalFull again once that is used up."""
        ...


@runtime_checkable
class KeepsHouse(Protocol):
    """A store that needs a moment now and then for its appends to stay fast; the writer grants it between commits."""

    @property
    def checkpoint_due(self) -> bool:
        """True if enough has been appended for ``checkpoint`` to be worth its time."""
        ...

    async def checkpoint(self) -> None:
        """Do the housekeeping that keeps appends fast.  A failure is counted, and shows in later appends."""
        ...
