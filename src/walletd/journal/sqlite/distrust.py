"""A database that a stranger may have made: what is done before, and while, anything in it is read.

The promise: no view, trigger or expression of the file runs, and no statement runs without an end.  The file's schema
must be exactly ours; a table that is really a view over an endless query is never asked.

    with bounded(connection) as patience:
        distrust(connection, size_bytes)
        refuse_foreign_schema(connection.execute(SCHEMA_ROWS).fetchall())
        for row in connection.execute(...):
            patience.renew()
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from walletd.journal.failures import JournalUnsupported
from walletd.journal.sqlite.schema import SCHEMA

STEPS_BETWEEN_LOOKS = 100_000
"""The number of SQLite's virtual machine's instructions between two calls of the handler, about a millisecond."""
LOOKS_FOR_A_ROW = 200
"""A row takes some twenty instructions; a schema of ours some hundreds."""

SCHEMA_ROWS = "SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT 16"
"""More than ours has: what is beyond need not be read to refuse it."""

FOREIGN = "the file is a SQLite database, but not a journal of walletd"

_COMMENT = re.compile(r"--[^\n]*")
_SPACE = re.compile(r"\s+")


class Patience:
    """The instructions that are left to the statement that runs."""

    def __init__(self) -> None:
        self._looks = 0

    def renew(self) -> None:
        """Begin to count again: a row has come."""
        self._looks = 0

    def is_over(self) -> bool:
        """Called by SQLite; True ends the statement with an error."""
        self._looks += 1
        return self._looks > LOOKS_FOR_A_ROW


@contextmanager
def bounded(connection: sqlite3.Connection) -> Iterator[Patience]:
    """End every statement that runs for too long between two rows, with sqlite3.OperationalError ("interrupted")."""
    patience = Patience()
    connection.set_progress_handler(patience.is_over, STEPS_BETWEEN_LOOKS)
    try:
        yield patience
    finally:
        connection.set_progress_handler(None, 0)


def distrust(connection: sqlite3.Connection, size_bytes: int) -> None:
    """Let nothing in the schema run functions, and no value be larger than the files that it is in."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size_bytes, 1))
    set_flag: Any = getattr(connection, "setconfig", None)  # from Python 3.12 on
    if set_flag is not None:
        set_flag(getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE"), True)  # noqa: B009


def refuse_foreign_schema(rows: Sequence[Sequence[Any]]) -> None:
    """Raise JournalUnsupported unless these rows of ``SCHEMA_ROWS`` are our tables and nothing else.

    A journal from before there were histories lacks their table.
    """
    found = {_normal(row) for row in rows}
    if len(found) != len(rows) or not _EARLIEST <= found <= _OURS:
        raise JournalUnsupported(FOREIGN)


def _normal(row: Sequence[Any]) -> tuple[str, ...]:
    """A row without the comments and the spaces of its statement."""
    *names, statement = (str(value) for value in row)
    return (*names, _SPACE.sub(" ", _COMMENT.sub("", statement)).strip())


def _row_of(statement: str) -> tuple[str, ...]:
    name = statement.split()[2]
    return _normal(("table", name, name, statement))


_OURS = frozenset(map(_row_of, SCHEMA))
_EARLIEST = frozenset(row for row in _OURS if row[1] != "history")
