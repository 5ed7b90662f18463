"""A ledger in PostgreSQL that no node leads: read as a whole, or made from the segments of another journal.

    with ledger_at_rest(url, "main") as journal:       # no node can lead meanwhile
        for segment in journal.segments(): ...
    build_ledger(url, "main", charter, segments)

Both run in one transaction and wait for nothing.  A ledger that is being made counts once it is whole, read back and
found right.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from walletd.journal.archive.file import unpack
from walletd.journal.failures import CopyDamaged, JournalCorrupt, JournalUnreadable, damage_is_the_copys
from walletd.journal.merkle import EMPTY_ROOT, Frontier
from walletd.journal.offline import OfflineJournal
from walletd.journal.postgresql.connection import DatabaseUnusable, with_defaults, without_password
from walletd.journal.postgresql.ledger import LedgerMissing, LedMeanwhile, refuse_misnamed
from walletd.journal.postgresql.schema import CREATE
from walletd.journal.segment import Segment
from walletd.journal.sqlite.building import JournalThere, Progress
from walletd.journal.sqlite.charter import Charter, charter_from
from walletd.journal.sqlite.rows import COLUMNS, row_of, segment_from
from walletd.journal.store import GENESIS, Head
from walletd.journal.verification import advance
from walletd.vocabulary.histories import FIRST_HISTORY

ROWS_AT_A_TIME = 64
"""Segments that are fetched in one round trip."""

_CHARTER = """
SELECT format::bigint, instance, epoch, created_at, head, root, archived, owner,
    coalesce(lease_until >= clock_timestamp(), false)
FROM walletd.ledger WHERE name = %s FOR UPDATE
"""
_HISTORIES = "SELECT first_sequence, mark FROM walletd.history WHERE ledger = %s ORDER BY first_sequence"
_SIZE = """
SELECT (SELECT coalesce(sum(octet_length(body)), 0) FROM walletd.segment WHERE ledger = %s)::bigint
    + (SELECT coalesce(sum(octet_length(block)), 0) FROM walletd.archive WHERE ledger = %s)::bigint
"""
_ARCHIVED = "SELECT block FROM walletd.archive WHERE ledger = %s ORDER BY last_sequence"
_SEGMENTS = f"SELECT {COLUMNS} FROM walletd.segment WHERE ledger = %s ORDER BY first_sequence"
_LEDGER = """
INSERT INTO walletd.ledger (name, format, instance, created_at, epoch, root) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
_COPY = f"COPY walletd.segment (ledger, {COLUMNS}, term) FROM STDIN (FORMAT binary)"
_TYPES = ("text", "int8", "int8", "int8", "int8", "bytea", "bytea", "bytea", "int8")


@contextmanager
def ledger_at_rest(url: str, name: str) -> Iterator[OfflineJournal]:
    """The ledger while the body runs.

    Raises LedMeanwhile if a node leads it, LedgerMissing, DatabaseUnusable, JournalUnreadable, JournalCorrupt.
    """
    refuse_misnamed(name)
    with _transaction(url) as connection:
        yield _journal(connection, url, name)


def _journal(connection: psycopg.Connection, url: str, name: str) -> OfflineJournal:
    try:
        row = connection.execute(_CHARTER, (name,)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    if row is None:
        raise LedgerMissing(f"{without_password(url)} has no ledger {name}")
    *charter, head, root, archived, owner, is_led = row
    if is_led:
        raise LedMeanwhile(f"ledger {name} is led by {owner}")
    histories = connection.execute(_HISTORIES, (name,)).fetchall()
    ((size,),) = connection.execute(_SIZE, (name, name)).fetchall()
    return OfflineJournal(
        Path(name),
        charter_from([tuple(charter)], list(histories)),
        int(size),
        archived,
        lambda: _up_to_head(_segments(connection, name), name, head, root),
    )


def _segments(connection: psycopg.Connection, name: str) -> Iterator[Segment]:
    for (block,) in _rows(connection, "archived", _ARCHIVED, name):
        yield from unpack(block)
    for row in _rows(connection, "segments", _SEGMENTS, name):
        yield segment_from(row)


def _rows(connection: psycopg.Connection, cursor: str, query: str, name: str) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(cursor) as rows:
        rows.itersize = ROWS_AT_A_TIME
        rows.execute(query.encode(), (name,), binary=True)
        yield from rows


def _up_to_head(segments: Iterator[Segment], name: str, head: int, root: bytes) -> Iterator[Segment]:
    """The segments.  Raises JournalCorrupt at their end if it is not the ledger's head."""
    last, last_root = 0, EMPTY_ROOT
    for segment in segments:
        last, last_root = segment.last_sequence, segment.root
        yield segment
    if (last, last_root) != (head, root):
        raise JournalCorrupt(f"ledger {name} should end at entry {head}, but its segments end at entry {last}")


def build_ledger(
    url: str,
    name: str,
    charter: Charter,
    segments: Iterator[Segment],
    *,
    progress: Progress = lambda head: None,
) -> Head:
    """Make a ledger of these segments, which begin with entry 1; the same journal, so with the same ids and epoch.

    Raises JournalThere if there is one of this name, JournalCorrupt, CopyDamaged, DatabaseUnusable, JournalUnreadable,
    or the errors of reading the segments.
    """
    refuse_misnamed(name)
    with _transaction(url) as connection:
        for statement in filter(str.strip, CREATE.split(";\n")):
            connection.execute(statement.encode())
        values = (name, charter.format, charter.instance, charter.created_at, charter.epoch, EMPTY_ROOT)
        if not connection.execute(_LEDGER, values).rowcount:
            raise JournalThere(f"{without_password(url)} has a ledger {name} already")
        for history in charter.histories:
            if history not in FIRST_HISTORY:
                connection.execute("INSERT INTO walletd.history VALUES (%s, %s, %s)", (name, *history))
        head = _write(connection, name, charter, segments, progress)
        connection.execute(
            "UPDATE walletd.ledger SET head = %s, root = %s WHERE name = %s", (head.sequence, head.root, name)
        )
        with damage_is_the_copys(f"ledger {name}"):
            _read_back(_segments(connection, name), head)
    return head


def _write(
    connection: psycopg.Connection,
    name: str,
    charter: Charter,
    segments: Iterator[Segment],
    progress: Progress,
) -> Head:
    head, frontier = GENESIS, Frontier()
    with connection.cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
        copy.set_types(_TYPES)
        for segment in segments:
            if segment.epoch > charter.epoch:
                raise JournalCorrupt(f"the segment at sequence {segment.first_sequence} is of epoch {segment.epoch}")
            head = advance(head, frontier, segment)
            copy.write_row((name, *row_of(segment), 0))
            progress(head)
    return Head(head.sequence, charter.epoch, head.root)


def _read_back(segments: Iterator[Segment], head: Head) -> None:
    reached, frontier = GENESIS, Frontier()
    for segment in segments:
        reached = advance(reached, frontier, segment)
    if (reached.sequence, reached.root) != (head.sequence, head.root):
        raise CopyDamaged(f"it ends at entry {reached.sequence}, not at entry {head.sequence}")


@contextmanager
def _transaction(url: str) -> Iterator[psycopg.Connection]:
    """A transaction, whose end the body decides; the errors of PostgreSQL as the journal's."""
    wanted = with_defaults(url)
    try:
        connection = psycopg.connect(wanted)
    except psycopg.Error as error:
        raise DatabaseUnusable(f"{without_password(url)}: {_sentence(error)}") from error
    try:
        with connection:
            connection.execute(_NO_LIMITS)
            yield connection
    except psycopg.Error as error:
        raise JournalUnreadable(f"{without_password(url)}: {_sentence(error)}") from error


_NO_LIMITS = "SELECT set_config('statement_timeout', '0', true), set_config('synchronous_commit', 'on', true)"


def _sentence(error: psycopg.Error) -> str:
    return str(error).strip().partition("\n")[0]
