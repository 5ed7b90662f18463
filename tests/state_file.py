"""Look into ``state.db`` and tamper with it, over the one SQLite that may have it open in this process.

    with state_file(path) as tables:                   # committed at the end; pages get their right checksums
        tables.execute("UPDATE ...")

What is changed so is a row that is wrong in a page that is right.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import apsw

from walletd.tables import file as table_file
from walletd.tables.folding import (
    rows_of,
)
from walletd.tables.json_rows import in_bulk
from walletd.tables.schema import (
    SCHEMA,
)
from walletd.upkeep import recovery
from walletd.vocabulary.entries import Entry


@contextmanager
def state_file(path: Path) -> Iterator[apsw.Connection]:
    """A connection to tables that must exist; its changes are kept unless something is raised."""
    connection = table_file._open(path, apsw.SQLITE_OPEN_READWRITE, table_file.READER_CACHE_KIBIBYTES)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


@contextmanager
def without_page_sums() -> Iterator[None]:
    """A platform whose SQLite lacks the extension: its files have no sums of pages, and a seal in each row."""
    with patch.object(table_file, "HAS_PAGE_SUMS", False), patch.object(recovery, "HAS_PAGE_SUMS", False):
        yield


def tables_in_memory() -> apsw.Connection:
    """Read tables of no file, with nothing in them."""
    connection = apsw.Connection(":memory:")
    connection.execute(SCHEMA)
    return connection


def fold_into(connection: apsw.Connection, entries: Iterable[Entry]) -> None:
    """What the entries leave in the tables."""
    for statement, rows in rows_of(entries).statements():
        if rows:
            connection.execute(statement, (in_bulk(rows),))
