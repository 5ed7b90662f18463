"""Segments as rows: how a segment lies in a SQLite table, and how it is taken out of one, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from walletd.journal.failures import JournalCorrupt
from walletd.journal.segment import Segment, check

COLUMNS: Final = "first_sequence, entry_count, epoch, format, root, digest, body"

_TYPES: Final = [int, int, int, int, bytes, bytes, bytes]


def row_of(segment: Segment) -> tuple[int, int, int, int, bytes, bytes, bytes]:
    """The values of ``COLUMNS``."""
    return (
        segment.first_sequence,
        segment.count,
        segment.epoch,
        segment.format,
        segment.root,
        segment.digest,
        segment.body,
    )


def segment_from(row: Sequence[Any]) -> Segment:
    """The segment in the values of ``COLUMNS``. Raises JournalCorrupt, also where rot has changed a value's type."""
    if [type(value) for value in row] != _TYPES:
        raise JournalCorrupt(f"the segment at sequence {row[0]} has values of other types than it was stored with")
    segment = Segment(*row)
    check(segment)
    return segment
