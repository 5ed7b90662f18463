"""Many rows by one statement with one value, so that the thread that runs it does not need the interpreter for each
row.

Binding each row separately releases the interpreter's lock and requests it again at every row, and beside a busy event
loop each request waits for a whole switch interval: 1,000 rows then take 840 ms instead of 5.  Binding 10,000 values to
one long statement holds the lock for as long as that takes, and the event loop waits.  Here the rows come as one JSON
array, which SQLite parses without the lock.
"""

from collections.abc import Iterator, Sequence
from typing import Final

MAX_ROWS: Final = 4_000
"""The limit of one statement: about a megabyte of JSON."""


def in_bulk(statement: str, rows: Sequence[bytes]) -> Iterator[tuple[str, tuple[str]]]:
    """Statements that together do to all rows, each a JSON array, what ``statement`` does, each with one value.

    ``statement`` reads the rows from ``json_each(?)``.
    """
    for start in range(0, len(rows), MAX_ROWS):
        yield statement, ((b"[%b]" % b",".join(rows[start : start + MAX_ROWS])).decode(),)
