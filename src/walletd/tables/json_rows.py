"""Many rows by one statement with one value, so that the thread that runs it needs the interpreter for no row.

Whoever binds each row by itself gives the interpreter's lock back and asks for it again at every row, and beside a busy
event loop each asking waits for a whole switch interval: 1,000 rows then take 840 ms instead of 5.  And whoever binds
10,000 values to one long statement holds the lock for as long as that takes, and the event loop waits.  Here the rows
come as one JSON array, which SQLite takes apart with nobody's lock.
"""

from collections.abc import Iterator, Sequence
from typing import Final

MAX_ROWS: Final = 4_000
"""Of one statement: about a megabyte of JSON."""


def in_bulk(statement: str, rows: Sequence[bytes]) -> Iterator[tuple[str, tuple[str]]]:
    """Statements that together do to all rows, each a JSON array, what ``statement`` says, with their one value each.

    ``statement`` reads the rows from ``json_each(?)``.
    """
    for start in range(0, len(rows), MAX_ROWS):
        yield statement, ((b"[%b]" % b",".join(rows[start : start + MAX_ROWS])).decode(),)
