"""Reading a journal that no daemon has open: for ``walletd verify``, for an auditor, for a backup.

The promise: nothing in the journal is changed, a running daemon is never disturbed, and every segment is checked.

    for segment in read_offline(Path("/backup/journal.db")): ...
    with open_offline(Path("/backup/walletd")) as journal: ...     # also a data directory with its archive, or a backup
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from walletd.journal.archive.archive import ARCHIVE_DIRECTORY, Archive, is_archive, open_archive
from walletd.journal.archive.file import Origin
from walletd.journal.failures import JournalCorrupt, JournalUnreadable
from walletd.journal.segment import FORMAT_VERSION, Segment
from walletd.journal.sqlite import wal
from walletd.journal.sqlite.charter import Charter, charter_of
from walletd.journal.sqlite.connection import translated
from walletd.journal.sqlite.directory import DATABASE_NAME, unlocked
from walletd.journal.sqlite.distrust import SCHEMA_ROWS, bounded, distrust, refuse_foreign_schema
from walletd.journal.sqlite.private import refuse_irregular
from walletd.journal.sqlite.rows import COLUMNS, segment_from


class OfflineJournal(NamedTuple):
    """A journal at rest: its identity, its size on the disk, and its segments from the first entry on."""

    path: Path
    charter: Charter
    size_bytes: int
    archived: int  # the last entry that is read from archive files
    segments: Callable[[], Iterator[Segment]]

    @property
    def origin(self) -> Origin:
        """The journal that it is, or that it is a copy of."""
        return Origin(self.charter.instance, self.charter.created_at)


def open_offline(path: Path) -> OfflineJournal:
    """The journal in a data directory, a journal's file or a backup.  Raises like ``read_offline``."""
    if is_archive(path):
        archive = _archive(path)
        origin, head = archive.origin, archive.head
        assert origin is not None
        charter = Charter(FORMAT_VERSION, origin.instance, head.epoch, origin.created_at)
        return OfflineJournal(path, charter, archive.size_bytes, head.sequence, lambda: _archived(archive))
    database = path / DATABASE_NAME if path.is_dir() else path
    charter = charter_offline(database)
    archive = _archive(database.parent / ARCHIVE_DIRECTORY)
    archive.refuse_foreign(charter.instance)
    size = database.stat().st_size + archive.size_bytes
    return OfflineJournal(database, charter, size, archive.head.sequence, lambda: _joined(archive, database))


def _archive(directory: Path) -> Archive:
    with translated(f"{directory} could not be read"):
        return open_archive(directory)


def _archived(archive: Archive) -> Iterator[Segment]:
    with translated(f"{archive.directory} could not be read"):
        yield from archive.segments()


def _joined(archive: Archive, database: Path) -> Iterator[Segment]:
    """The archived segments, then the rest.  A compaction that was cut short leaves segments in both places."""
    yield from _archived(archive)
    end = archive.head
    is_joined = not end.sequence
    for segment in read_offline(database):
        if segment.last_sequence > end.sequence:
            is_joined = True
            yield segment
        elif segment.last_sequence == end.sequence and segment.root != end.root:
            raise JournalCorrupt(f"{database} has another history up to entry {end.sequence} than its archive")
    if not is_joined:
        raise JournalCorrupt(f"{database} ends before its archive, which has {end.sequence} entries")


def read_offline(database: Path) -> Iterator[Segment]:
    """Every segment of the journal in this file, in order, each checked by itself.

    Raises JournalLocked while a daemon holds it, JournalUnreadable, JournalUnsupported, or JournalCorrupt.
    """
    with (
        _opened(database) as connection,
        translated(f"{database} could not be read"),
        bounded(connection) as patience,
    ):
        _charter(connection)
        last = 0
        for row in connection.execute(f"SELECT {COLUMNS} FROM segment ORDER BY first_sequence"):
            patience.renew()
            segment = segment_from(row)
            if segment.first_sequence <= last:  # The pages of a forged table can lead in a circle.
                raise JournalCorrupt(f"entry {segment.first_sequence} comes after entry {last} in {database}")
            last = segment.last_sequence
            yield segment


def charter_offline(database: Path) -> Charter:
    """The charter of the journal in this file.  Raises like ``read_offline``."""
    with _opened(database) as connection, translated(f"{database} could not be read"), bounded(connection):
        return _charter(connection)


def _charter(connection: sqlite3.Connection) -> Charter:
    """The charter, once it is certain that what is read are tables of ours."""
    refuse_foreign_schema(connection.execute(SCHEMA_ROWS).fetchall())
    return charter_of(connection)


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.exists():
        raise JournalUnreadable(f"there is no file {database}")
    size_bytes = sum(_size_of(file) for file in _files_of(database))
    with unlocked(database.parent):
        wal.inspect(database)
        # Without a log the file is complete, and this flag lets SQLite read it in a directory that it cannot write to.
        immutable = "" if wal.wal_path(database).exists() else "&immutable=1"
        uri = f"file:{quote(str(database.resolve()))}?mode=ro{immutable}"
        with translated(f"{database} could not be opened"):
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        with closing(connection):
            with translated(f"{database} could not be opened"):
                distrust(connection, size_bytes)
            yield connection


def _files_of(database: Path) -> list[Path]:
    """The files that SQLite may open."""
    return [database, *(database.with_name(f"{database.name}-{kind}") for kind in ("wal", "shm", "journal"))]


def _size_of(file: Path) -> int:
    """Its size, 0 if it is not there.  Raises JournalCorrupt if it is no file: SQLite would wait for a pipe."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0
    refuse_irregular(file, status)
    return status.st_size
