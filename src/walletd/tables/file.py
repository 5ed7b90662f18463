"""The SQLite file ``state.db``: exclusive access, the signs of damage, and the agreement of file and log.

    connection = open_for_writing(path)                # raises ReadTablesRotten for a mix of two times
    connection = open_for_reading(path)                # any number of these

Every page has a checksum, which SQLite verifies at each read of the page: its extension ``cksumvfs``, which apsw ships.
A reader therefore finds rot where it meets it, and a start need not read the whole file.

Two SQLite libraries in one process would release each other's locks: only this module opens state.db.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import apsw

from walletd.tables import log_chain
from walletd.tables.log_chain import SUM_BYTES
from walletd.vocabulary.fatal import Fatal

try:
    from apsw import sqlite_extra
except ImportError:
    sqlite_extra = None  # type: ignore[assignment]

LEAST_APSW = "3.51.3"
"""The first version whose wheel has ``apsw.sqlite_extra``, which contains the checksums."""

FILE_NAME = "state.db"
WRITER_CACHE_KIBIBYTES = 65_536
READER_CACHE_KIBIBYTES = 16_384
REBUILD_CACHE_KIBIBYTES = 262_144
COPY_CACHE_KIBIBYTES = 1_024
"""The cache while making a copy: small, so that copied pages go to the file soon and steadily, and not all at the
end.
"""

CACHED_STATEMENTS = 64
BUSY_MILLISECONDS = 5_000

FOREIGN = """
SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' LIMIT 1
"""

_WRITE_LOCK = 120
_CHECKPOINT_LOCK = 121

_EXTENSION = "cksumvfs"
_VFS = "cksmvfs"

_ROT = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.SQLError,  # Our statements are right: the schema must be another one.
)
_ROT_AT_READING = frozenset({apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_SHORT_READ})


class Cursor(Protocol):
    """The rows of one statement."""

    def __iter__(self) -> Iterator[Any]: ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""


class Tables(Protocol):
    """The part of a connection that queries of the read tables need."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        """Run one statement with these values."""


class Caches(NamedTuple):
    """The KiB of state.db that each connection keeps in memory: the writer, and each reader."""

    writer: int = WRITER_CACHE_KIBIBYTES
    reader: int = READER_CACHE_KIBIBYTES
    rebuild: int = REBUILD_CACHE_KIBIBYTES
    """The writer's cache while many entries are folded: each touches some ten pages anywhere in the file."""


DEFAULT_CACHES = Caches()


class ReadTablesRotten(Fatal):
    """Some part of state.db is not what was written.  The daemon removes the file and ends; a start rebuilds it."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} in {FILE_NAME} is damaged; restart to rebuild it")


def _registered() -> bool:
    """Register the VFS with apsw's SQLite; returns whether this platform's apsw has it."""
    if sqlite_extra is None or sqlite_extra.has(_EXTENSION) is None:
        return False
    registrar = apsw.Connection(":memory:")
    try:
        sqlite_extra.load(registrar, _EXTENSION)
    finally:
        registrar.close()
    return _VFS in apsw.vfs_names()


HAS_PAGE_SUMS = _registered()
"""Whether pages have checksums here.  Without them a start checks the whole file, however long that takes."""


def unfit_library() -> str | None:
    """The reason why this apsw cannot be used, and the remedy; None if it can."""
    if sqlite_extra is not None:
        return None
    return (
        f"apsw {apsw.apsw_version()} is too old, it has no apsw.sqlite_extra with SQLite's page checksums; "
        f"install a newer one: pip install 'apsw>={LEAST_APSW}'"
    )


def open_for_writing(path: Path, cache_kibibytes: int = WRITER_CACHE_KIBIBYTES) -> apsw.Connection:
    """The one connection that writes; a missing file is created, empty.  Nothing else has it open yet.

    Raises ReadTablesRotten if the file and its log do not belong to one history.
    """
    if not path.exists():
        delete_tables(path)  # A leftover log belongs to another file.
    before = _stood(path)
    with rot_reported():
        return _open_for_writing(path, before, cache_kibibytes)


def _open_for_writing(path: Path, before: log_chain.Stood, cache_kibibytes: int) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, cache_kibibytes)
    try:
        if HAS_PAGE_SUMS:
            connection.reserve_bytes(reserve=SUM_BYTES)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        _refuse_foreign(connection)
        _refuse_blind(connection)
        frames, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        if why := log_chain.mixed(before, path, frames):
            raise ReadTablesRotten(why)
    except BaseException:
        leave_log(connection)
        connection.close()
        raise
    return connection


def open_for_reading(path: Path, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> apsw.Connection:
    """A connection that cannot write, for one thread at a time.  Raises ReadTablesRotten."""
    with rot_reported():
        return _open_for_reading(path, cache_kibibytes)


def _open_for_reading(path: Path, cache_kibibytes: int) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READONLY, cache_kibibytes)
    try:
        _refuse_foreign(connection)
        _refuse_blind(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_foreign(connection: apsw.Connection) -> None:
    """Refuse a schema with anything but tables and indexes: a view in the place of a table can be without an end."""
    if connection.execute(FOREIGN).fetchall():
        raise ReadTablesRotten("the schema")


def _refuse_blind(connection: apsw.Connection) -> None:
    """Refuse a first page that no longer declares checksums, because SQLite would then verify none."""
    if HAS_PAGE_SUMS and str(connection.pragma("checksum_verification")) != "1":
        raise ReadTablesRotten("the first page")


def _open(path: Path, flags: int, cache_kibibytes: int) -> apsw.Connection:
    vfs = _VFS if HAS_PAGE_SUMS else None
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=CACHED_STATEMENTS)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.execute(f"PRAGMA cache_size=-{cache_kibibytes}")
    return connection


class WriteLocks:
    """The locks for writing and for folding the log, withheld from other processes between our own transactions.

    Other programs may read the tables freely.  One that folds the log into the file, as ``sqlite3`` does on request,
    would write pages without their sums (measured: all of them), and the tables would be taken for rotten; one that
    writes would hold up the projection.  Both are told that the database is locked.

    The locks are bytes of the ``-shm`` file (https://www.sqlite.org/walformat.html#locks), and POSIX gives them to
    processes: SQLite gets them here whenever it asks, and releases them after each transaction and each checkpoint,
    after which ``keep`` has to be called.
    """

    def __init__(self, path: Path) -> None:
        """The tables must be open in this process, and are closed before this is."""
        try:
            self._descriptor = os.open(path.with_name(f"{path.name}-shm"), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # SQLite does without it, and then nothing is shared with other processes.
            self._descriptor = -1
        self.keep()

    def keep(self) -> None:
        """Take the locks that no other process holds; a later call takes the others."""
        for byte in (_WRITE_LOCK, _CHECKPOINT_LOCK) if self._descriptor >= 0 else ():
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)

    def close(self) -> None:
        """Release the locks.  Closing the descriptor releases every lock that this process has on the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


def refuse_damaged(tables: Tables) -> None:
    """Raise ReadTablesRotten if pages are inconsistent.  O(file)."""
    ((found,),) = tables.execute("PRAGMA integrity_check(1)").fetchall()
    if found != "ok":
        raise ReadTablesRotten(f"a page ({found.splitlines()[-1]})")


def is_of_this_make(path: Path) -> bool:
    """True if the file, if there is one, has page sums exactly if new files here do."""
    reserved = log_chain.reserved_bytes(path)
    return reserved is None or reserved == (SUM_BYTES if HAS_PAGE_SUMS else 0)


def _stood(path: Path) -> log_chain.Stood:
    stood = log_chain.stood(path, SUM_BYTES if HAS_PAGE_SUMS else 0)
    if stood is None:
        raise ReadTablesRotten("the first page")
    return stood


def open_for_copying(path: Path, cache_kibibytes: int = COPY_CACHE_KIBIBYTES) -> apsw.Connection:
    """A new file for SQLite's backup to copy tables into.  A failed copy is discarded whole: it has no journal.

    Its first page declares checksums before any other page is written.  SQLite writes pages as its cache fills, in any
    order, and gives none a checksum while the first page does not declare them.
    """
    delete_tables(path)
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, cache_kibibytes)
    try:
        if HAS_PAGE_SUMS:
            connection.reserve_bytes(reserve=SUM_BYTES)
        connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA user_version=1").fetchall()
        _refuse_blind(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def close_copy(path: Path) -> None:
    """Mark a copy, made of tables in use, as whole: it shows the last transaction, and no log belongs to it."""
    with closing(_open(path, apsw.SQLITE_OPEN_READWRITE, COPY_CACHE_KIBIBYTES)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()
        connection.execute(f"PRAGMA application_id={connection.pragma('user_version')}")


def leave_log(connection: apsw.Connection) -> None:
    """Keep the log when the connection closes: nothing more goes into the file."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)


def delete_tables(path: Path) -> None:
    """Remove the file and the files that belong to it, none of which may be open."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def rot_reported() -> Iterator[None]:
    """Turn SQLite's errors that damage causes, and only those, into ReadTablesRotten."""
    try:
        yield
    except _ROT as error:
        raise ReadTablesRotten(f"something ({error})") from error
    except apsw.IOError as error:
        if getattr(error, "extendedresult", None) in _ROT_AT_READING:
            raise ReadTablesRotten("a page") from error
        raise
    except UnicodeDecodeError as error:
        # SQLite's own message quotes the damaged part, which need not be text.
        raise ReadTablesRotten("something that is not text") from error
