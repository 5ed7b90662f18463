"""Verification: whether a row of segments is one unbroken journal.

The promise: segments that pass are contiguous from the given head, never fall back in epoch, and have the Merkle root
that was stored with them, after every single segment.  Pure: the segments come from anywhere, a store or an offline
file.

    for progress in verified(read_offline(path)):
        print(progress.head.sequence)
"""

from collections.abc import Iterable, Iterator

import msgspec

from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import Frontier
from walletd.journal.segment import Segment, check, verify_in_steps
from walletd.journal.store import GENESIS, Head


class Progress(msgspec.Struct, frozen=True):
    """The verified part so far."""

    segments: int
    entries: int
    bytes: int
    head: Head


def advance(head: Head, frontier: Frontier, segment: Segment) -> Head:
    """Verify the one segment that follows ``head`` and return the head after it; the frontier moves along.

    Raises JournalCorrupt; the frontier is then of no further use.
    """
    for _ in advance_in_steps(head, frontier, segment):
        pass
    return Head(sequence=segment.last_sequence, epoch=segment.epoch, root=segment.root)


def advance_in_steps(head: Head, frontier: Frontier, segment: Segment) -> Iterator[None]:
    """``advance``, with pauses; at the end the head is that of the segment."""
    assert head.sequence == frontier.size
    check(segment)
    if segment.epoch < head.epoch:
        raise JournalCorrupt(
            f"the segment at sequence {segment.first_sequence} is of epoch {segment.epoch}, after one of {head.epoch}"
        )
    yield from verify_in_steps(frontier, segment)


def verified(segments: Iterable[Segment], head: Head = GENESIS, frontier: Frontier | None = None) -> Iterator[Progress]:
    """Verify segments that follow ``head`` (by default the beginning), yielding after each; raises JournalCorrupt.

    A given frontier must be that of the tree up to ``head``; it is advanced and then belongs to the caller.
    """
    frontier = Frontier() if frontier is None else frontier
    if frontier.size != head.sequence or frontier.root() != head.root:
        raise JournalCorrupt(f"the frontier of {frontier.size} entries does not belong to the head at {head.sequence}")
    size = 0
    first = head.sequence
    for count, segment in enumerate(segments, start=1):
        head = advance(head, frontier, segment)
        size += len(segment.body)
        yield Progress(segments=count, entries=head.sequence - first, bytes=size, head=head)
