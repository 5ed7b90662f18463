"""Look into ``state.db`` and tamper with it, over the one SQLite that may have it open in this process.

    with state_file(path) as tables:                   # committed at the end; pages get their right checksums
        tables.execute("UPDATE ...")

What is changed so is a row that is wrong in a page that is right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from walletd.wallets import table_file


@contextmanager
def state_file(path: Path) -> Iterator[apsw.Connection]:
    """A connection to tables that must exist; its changes are kept unless something is raised."""
    connection = table_file._open(path, apsw.SQLITE_OPEN_READWRITE, table_file.READER_CACHE_KIBIBYTES)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
