"""History: entries read back from the journal.

history = History(store)
await history.entries_after(120)                   # the next entries, as many as one read of the journal returns
await history.entry(17)
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import trio

from walletd.journal.archive.file import one_block, pack
from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import leaf_hash
from walletd.journal.segment import Segment, records
from walletd.journal.store import JournalStore
from walletd.runtime.threads import in_thread
from walletd.vocabulary.entries import Entry, decode_entry

READ_BYTES = 256 * 1024
"""The bytes that one step of a long read takes: a few milliseconds between two commits."""

NEAR = 256
"""The entries of about half a read."""

READS_AT_ONCE = 2
"""The reads that a commit may find before it on the one connection; ten thousand resuming streams would block it."""


class DurableEntry(NamedTuple):
    """An entry in the journal, with the bytes stored and their RFC 6962 leaf hash."""

    entry: Entry
    record: bytes
    leaf: bytes


class History:
    """Reads of durable entries, over the store's one connection."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._turns = trio.CapacityLimiter(READS_AT_ONCE)

    async def entries_after(self, sequence: int) -> list[DurableEntry]:
        """Entries after the sequence, in order, without a gap; empty at the head."""
        async with self._turns:
            segments = await self._store.read(after=sequence, limit=READ_BYTES)
        return [durable for segment in segments for durable in entries_of(segment) if durable.entry.sequence > sequence]

    async def entries_among(self, wanted: Sequence[int]) -> list[DurableEntry]:
        """Of these durable entries, in ascending order, those that one read of the journal returns: the first at
        least.  The fewer of the entries after the first are wanted, the less is read.
        """
        near = bisect_right(wanted, wanted[0] + NEAR)
        async with self._turns:
            segments = await self._store.read(after=wanted[0] - 1, limit=max(1, READ_BYTES * near // NEAR))
        found = []
        for segment in segments:
            inside = wanted[bisect_left(wanted, segment.first_sequence) : bisect_right(wanted, segment.last_sequence)]
            if inside:
                stored = records(segment)
                found += [_durable_entry(stored[sequence - segment.first_sequence], sequence) for sequence in inside]
        return found

    async def block_after(self, sequence: int) -> bytes:
        """Segments after the sequence, as a block of an archive file; empty at the head."""
        async with self._turns:
            segments = await self._store.read(after=sequence, limit=READ_BYTES)
            return await in_thread(pack, one_block(segments)) if segments else b""

    async def entry(self, sequence: int) -> DurableEntry:
        """The entry of this sequence, which must be durable."""
        async with self._turns:
            record = await self._store.read_entry(sequence)
        if record is None:
            raise JournalCorrupt(f"entry {sequence} is missing")
        return _durable_entry(record, sequence)


def entries_of(segment: Segment) -> list[DurableEntry]:
    """The entries of a segment whose digest was checked.  O(entries)."""
    return [_durable_entry(record, segment.first_sequence + index) for index, record in enumerate(records(segment))]


def _durable_entry(record: bytes, sequence: int) -> DurableEntry:
    try:
        entry = decode_entry(record)
    except msgspec.DecodeError as error:
        raise JournalCorrupt(f"entry {sequence} cannot be read: {error}") from error
    if entry.sequence != sequence:
        raise JournalCorrupt(f"entry {sequence} says that it is entry {entry.sequence}")
    return DurableEntry(entry, record, leaf_hash(record))
