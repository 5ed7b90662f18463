"""Reading a journal that no daemon has open: for ``walletd verify``, for an auditor, for a look at a backup.

The promise: nothing in the journal is changed, a running daemon is never disturbed, and every segment is checked.

    for segment in read_offline(Path("/backup/journal.db")): ...
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from walletd.journal import wal
from walletd.journal.charter import Charter, charter_from
from walletd.journal.connection import translated
from walletd.journal.directory import unlocked
from walletd.journal.failures import JournalUnreadable
from walletd.journal.rows import COLUMNS, segment_from
from walletd.journal.segment import Segment


def read_offline(database: Path) -> Iterator[Segment]:
    """Every segment of the journal in this file, in order, each checked by itself.

    Raises JournalLocked while a daemon holds it, JournalUnreadable, JournalUnsupported, or JournalCorrupt.
    """
    with _opened(database) as connection, translated(f"{database} could not be read"):
        charter_from(connection.execute("SELECT format, instance, epoch, created_at FROM journal").fetchall())
        for row in connection.execute(f"SELECT {COLUMNS} FROM segment ORDER BY first_sequence"):
            yield segment_from(row)


def charter_offline(database: Path) -> Charter:
    """What the journal in this file says about itself. Raises like ``read_offline``."""
    with _opened(database) as connection, translated(f"{database} could not be read"):
        return charter_from(connection.execute("SELECT format, instance, epoch, created_at FROM journal").fetchall())


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.is_file():
        raise JournalUnreadable(f"there is no file {database}")
    with unlocked(database.parent):
        wal.inspect(database)
        # Without a log the file is complete, and saying so lets SQLite read it in a directory that it cannot write to.
        immutable = "" if wal.wal_path(database).exists() else "&immutable=1"
        uri = f"file:{quote(str(database.resolve()))}?mode=ro{immutable}"
        with translated(f"{database} could not be opened"):
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        with closing(connection):
            yield connection
