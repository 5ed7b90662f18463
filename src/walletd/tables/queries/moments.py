"""Moments: the last entry at a time, and the time of an entry.

    sequence_at(tables, time)              # the last entry at that time or before it; 0 before the first

Times never decrease from one entry to the next, so a time is found by bisection: O(log² entries).
"""

from datetime import datetime
from typing import NamedTuple

from walletd.tables.file import ReadTablesRotten, Tables
from walletd.tables.reader import progress_of
from walletd.tables.schema import (
    from_microseconds,
    microseconds,
)
from walletd.tables.seals import (
    check_seal,
)

MOMENT = "SELECT time, seal FROM moment WHERE sequence = ?"


class Moment(NamedTuple):
    """A point of the history: an entry, and a time."""

    sequence: int
    time: datetime


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
    least, most = 0, progress_of(tables)
    while least < most:
        middle = (least + most + 1) // 2
        if _time_of(tables, middle) <= sought:
            least = middle
        else:
            most = middle - 1
    return least


def _time_of(tables: Tables, sequence: int) -> int:
    row = tables.execute(MOMENT, (sequence,)).fetchone()
    if row is None:
        raise ReadTablesRotten(f"the moment of entry {sequence}")
    check_seal("moment", row[1], sequence, row[0])
    return int(row[0])
