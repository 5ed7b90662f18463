"""The part of a store that compaction needs: segments leave it for archive files, and it returns their space.

boundary = await store.boundary(keep_entries=10_000)   # everything up to here may be archived
while await store.prune():                             # and is deleted once it is
    ...
"""

from typing import Protocol, runtime_checkable

from walletd.journal.segment import Segment
from walletd.journal.store import JournalStore


class Archived(Protocol):
    """The part of a journal that is archived."""

    @property
    def last_sequence(self) -> int:
        """The last entry in it; 0 if it is empty."""
        ...


@runtime_checkable
class PacksItself(Protocol):
    """A store that has its archive inside."""

    async def pack_next(self, target: int) -> int:
        """Move the next segments, at most up to this entry, into the archive; returns the last entry there now."""
        ...


class Archivable(JournalStore, Protocol):
    """A store whose old segments can be moved into an archive."""

    @property
    def archive(self) -> Archived:
        """The entries that compaction moved: an ``Archive`` of files, unless the store packs by itself."""
        ...

    async def boundary(self, keep_entries: int) -> int:
        """The end of the last segment that can be archived so that this many entries stay, or 0."""
        ...

    async def oldest(self) -> Segment | None:
        """The first segment that is not archived."""
        ...

    async def has_archived_segments(self) -> bool:
        """True if the store still has segments that are archived, because pruning was cut short."""
        ...

    async def prepare_to_prune(self) -> None:
        """Make sure that the store does not depend on what ``prune`` deletes.  Raises JournalUnreadable."""
        ...

    async def prune(self) -> bool:
        """Delete about a megabyte of archived segments from the store; False if nothing was left.

        Raises JournalFull if the disk is full, and OutcomeUnknown if nothing is certain about the store any more.
        """
        ...

    async def shrink(self, *, is_serving: bool = True) -> bool:
        """Return free space, if that takes no time; otherwise it is reused.  Raises like ``prune``."""
        ...

    async def used_bytes(self) -> int:
        """The bytes used in the store, without the space that waits for reuse."""
        ...
