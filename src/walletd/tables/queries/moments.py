"""Moments: the last entry at a time, and the time of an entry.

    sequence_at(tables, time)              # the last entry at that time or before it; 0 before the first

A row has the times of a run of entries.  Times never decrease from one entry to the next, so both directions take one
step down an index, and one look into a row: O(log entries).
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from walletd.tables.file import ReadTablesRotten, Tables
from walletd.tables.schema import (
    from_microseconds,
    microseconds,
)
from walletd.tables.seals import (
    check_seal,
)

MOMENT = "SELECT sequence, time, offsets, seal FROM moment WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1"
LAST_MOMENT = """
SELECT sequence, time, offsets, seal FROM moment WHERE time <= ? ORDER BY time DESC, sequence DESC LIMIT 1
"""

_decode_offsets = msgspec.json.Decoder(list[int]).decode


class Moment(NamedTuple):
    """A point of the history: an entry, and a time."""

    sequence: int
    time: datetime


class _Run(NamedTuple):
    """Entries that follow each other: the first, its time, and the time of each after that."""

    sequence: int
    time: int
    offsets: list[int]


def time_of(tables: Tables, sequence: int) -> datetime:
    """The time of the entry; the tables must show it.  Before the first entry, time has not begun: 1970."""
    return from_microseconds(_time_of(tables, sequence) if sequence else 0)


def sequence_at(tables: Tables, time: datetime) -> int:
    """The last entry at or before this time, as far as the tables go; 0 if there is none."""
    return _sequence_at(tables, microseconds(time))


def sequence_before(tables: Tables, time: datetime) -> int:
    """The last entry before this time, as far as the tables go; 0 if there is none."""
    return _sequence_at(tables, microseconds(time) - 1)


def _sequence_at(tables: Tables, sought: int) -> int:
    row = tables.execute(LAST_MOMENT, (sought,)).fetchone()
    if row is None:
        return 0
    run = _run(row)
    return run.sequence + bisect_right(run.offsets, sought - run.time) - 1


def _time_of(tables: Tables, sequence: int) -> int:
    row = tables.execute(MOMENT, (sequence,)).fetchone()
    run = None if row is None else _run(row)
    if run is None or sequence >= run.sequence + len(run.offsets):
        raise ReadTablesRotten(f"the moment of entry {sequence}")
    return run.time + run.offsets[sequence - run.sequence]


def _run(row: Sequence[Any]) -> _Run:
    *values, sealed = row
    check_seal("moment", sealed, *values)
    sequence, time, offsets = values
    return _Run(sequence, time, _decode_offsets(offsets))
