"""What compaction needs of a store: segments leave it for archive files, and it gives their space back.

boundary = await store.boundary(keep_entries=10_000)   # everything up to here may be archived
while await store.prune():                             # and is deleted once it is
    ...
"""

from typing import Protocol

from walletd.journal.archive.archive import Archive
from walletd.journal.segment import Segment
from walletd.journal.store import JournalStore


class Archivable(JournalStore, Protocol):
    """A store whose old segments can be moved into an archive."""

    @property
    def archive(self) -> Archive:
        """The entries that compaction took out of the store: all up to its head."""
        ...

    async def boundary(self, keep_entries: int) -> int:
        """Up to where the journal can be archived so that at least so many entries stay: a segment's end, or 0."""
        ...

    async def oldest(self) -> Segment | None:
        """The first segment that is not archived."""
        ...

    async def has_archived_segments(self) -> bool:
        """True if the store still has segments that are archived, because pruning was cut short."""
        ...

    async def prepare_to_prune(self) -> None:
        """Make sure that nothing in the store depends on what ``prune`` deletes.  Raises JournalUnreadable."""
        ...

    async def prune(self) -> bool:
        """Delete a megabyte or so of what is archived from the store; False if nothing was left.

        Raises JournalFull where the disk is, and OutcomeUnknown where nothing is certain about the store any more.
        """
        ...

    async def shrink(self, *, is_serving: bool = True) -> bool:
        """Give free space back, if that is done at once; otherwise it is reused.  Raises like ``prune``."""
        ...

    async def used_bytes(self) -> int:
        """What the store holds, without the space that waits to be used again."""
        ...
