"""Segments as rows: the statements that write them to a SQLite table and find them, and the checked way back."""

from collections.abc import Sequence
from typing import Any

from walletd.journal.failures import JournalCorrupt
from walletd.journal.segment import Segment, check

COLUMNS = "first_sequence, entry_count, epoch, format, root, digest, body"

READ_LIMIT_SEGMENTS = 512
"""Bounds the rows of one read when segments are small."""

# The condition and the insertion are one statement, so that nothing can happen between them.
_HEAD_SEQUENCE = """
    coalesce((SELECT first_sequence + entry_count - 1 FROM segment ORDER BY first_sequence DESC LIMIT 1), 0)
"""
APPEND = f"""
    INSERT INTO segment ({COLUMNS})
    SELECT ?, ?, ?, ?, ?, ?, ? FROM journal WHERE epoch = ? AND {_HEAD_SEQUENCE} = ?
"""
LAST = f"SELECT {COLUMNS} FROM segment ORDER BY first_sequence DESC LIMIT 1"
HOLDING = f"SELECT {COLUMNS} FROM segment WHERE first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1"
AFTER = f"""
    WITH candidate AS (
        SELECT first_sequence, length(body) AS size FROM segment
        WHERE first_sequence >= coalesce((SELECT max(first_sequence) FROM segment WHERE first_sequence <= ?), 1)
        ORDER BY first_sequence LIMIT {READ_LIMIT_SEGMENTS}
    ), measured AS (
        SELECT first_sequence, sum(size) OVER (ORDER BY first_sequence) - size AS bytes_before FROM candidate
    )
    SELECT {COLUMNS} FROM segment JOIN measured USING (first_sequence)
    WHERE bytes_before < ? ORDER BY first_sequence
"""

FIRST = f"SELECT {COLUMNS} FROM segment WHERE first_sequence >= ? ORDER BY first_sequence LIMIT 1"
# It begins with DELETE, because otherwise the sqlite3 module does not report how many rows it changed.
PRUNE = """
    DELETE FROM segment WHERE first_sequence IN (
        WITH candidate AS (
            SELECT first_sequence, length(body) AS size FROM segment WHERE first_sequence <= ?
            ORDER BY first_sequence LIMIT 128
        ), measured AS (
            SELECT first_sequence, sum(size) OVER (ORDER BY first_sequence) - size AS bytes_before FROM candidate
        )
        SELECT first_sequence FROM measured WHERE bytes_before < ?
    )
"""

_TYPES = [int, int, int, int, bytes, bytes, bytes]


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
    """The segment in the values of ``COLUMNS``.  Raises JournalCorrupt, also if rot has changed a value's type."""
    if [type(value) for value in row] != _TYPES:
        raise JournalCorrupt(f"the segment at sequence {row[0]} has values of other types than it was stored with")
    segment = Segment(*row)
    check(segment)
    return segment
