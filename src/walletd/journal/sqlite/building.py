"""Building a journal's file from segments, in an empty place, for a restore.

The promise: the file gets its name only once it is whole, synced, read back and found right; it never replaces another.
The new journal has a new epoch and begins a new history, so that earlier sightings of the journal that it replaces are
recognised, and no id is issued twice.

    head = build_journal(directory, origin, segments, epoch, lambda head: (*kept, History(head + 1, new_mark())))
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from walletd.journal.archive.archive import ARCHIVE_DIRECTORY
from walletd.journal.archive.file import Origin
from walletd.journal.failures import JournalCorrupt, JournalFailure, damage_is_the_copys
from walletd.journal.merkle import Frontier
from walletd.journal.segment import FORMAT_VERSION, Segment, records, seal
from walletd.journal.sqlite.connection import translated
from walletd.journal.sqlite.directory import DATABASE_NAME, make_directory, sync_directory, sync_file
from walletd.journal.sqlite.mark import MARK_NAME
from walletd.journal.sqlite.private import close_to_others, refuse_exposed
from walletd.journal.sqlite.rows import COLUMNS, row_of, segment_from
from walletd.journal.sqlite.schema import APPLICATION_ID, SCHEMA
from walletd.journal.store import GENESIS, Head
from walletd.journal.verification import advance
from walletd.vocabulary.histories import FIRST_HISTORY, Histories

UNFINISHED_SUFFIX = ".restoring"
_OF_A_JOURNAL = ("journal.db*", "state.db*", "snapshot-*", MARK_NAME, ARCHIVE_DIRECTORY)

Keep = Callable[[Segment], int]
"""The number of a segment's entries to keep, from its first on."""

Progress = Callable[[Head], None]

HistoriesAt = Callable[[int], Histories]
"""The histories of the entries up to this one, and the one that begins after it."""


class JournalThere(JournalFailure):
    """The place for the new journal is occupied."""

    advice = "Give a directory that does not exist yet; walletd replaces no journal."


def refuse_occupied(directory: Path) -> None:
    """Raise JournalThere if the directory holds any part of a journal; the files of an unfinished restore do not
    count.
    """
    for pattern in _OF_A_JOURNAL:
        for found in directory.glob(pattern):
            if not found.name.endswith(UNFINISHED_SUFFIX):
                raise JournalThere(f"{found} is there already")


def build_journal(
    directory: Path,
    origin: Origin,
    segments: Iterable[Segment],
    epoch: int,
    histories: HistoriesAt,
    *,
    keep: Keep = lambda segment: segment.count,
    progress: Progress = lambda head: None,
    confirm: Progress = lambda head: None,
) -> Head:
    """Make a journal of these segments, which begin with entry 1, up to the first that is not kept whole.

    ``confirm`` is called with its head when it is whole, before it counts; what it raises leaves nothing behind.
    Returns its head.  Raises JournalThere, JournalCorrupt, CopyDamaged, JournalUnreadable (no space, no permission), or
    the errors of reading the segments.
    """
    refuse_occupied(directory)
    final = directory / DATABASE_NAME
    unfinished = final.with_name(final.name + UNFINISHED_SUFFIX)
    with translated(f"{final} could not be written"):
        make_directory(directory)
        refuse_exposed(directory)
        close_to_others(directory)
        unfinished.unlink(missing_ok=True)
        try:
            head = _write(unfinished, origin, _kept(segments, keep, progress), epoch, histories)
            sync_file(unfinished)
            with damage_is_the_copys(f"the journal for {directory}"):
                _read_back(unfinished, head)
            confirm(head)
            refuse_occupied(directory)
            unfinished.rename(final)
            sync_directory(directory)
        finally:
            unfinished.unlink(missing_ok=True)
    return head


def _kept(segments: Iterable[Segment], keep: Keep, progress: Progress) -> Iterator[Segment]:
    """The segments, proved; the first that is not kept whole is sealed again without its end, and is the last."""
    head, frontier = GENESIS, Frontier()
    for segment in segments:
        before = frontier.copy()
        head = advance(head, frontier, segment)
        kept = keep(segment)
        assert 0 <= kept <= segment.count
        if kept < segment.count:
            if kept:
                yield seal(before, segment.first_sequence, segment.epoch, records(segment)[:kept])
            return
        yield segment
        progress(head)


def _write(file: Path, origin: Origin, segments: Iterable[Segment], epoch: int, histories: HistoriesAt) -> Head:
    head = GENESIS
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")  # A file that fails is discarded whole.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for table in SCHEMA:
            connection.execute(table)
        connection.execute(
            "INSERT INTO journal (singleton, format, instance, epoch, created_at) VALUES (1, ?, ?, ?, ?)",
            (FORMAT_VERSION, origin.instance, epoch, origin.created_at),
        )
        for segment in segments:
            if segment.epoch > epoch:
                raise JournalCorrupt(f"the segment at sequence {segment.first_sequence} is of epoch {segment.epoch}")
            connection.execute(f"INSERT INTO segment ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row_of(segment))
            head = Head(segment.last_sequence, segment.epoch, segment.root)
        for history in histories(head.sequence):
            if history not in FIRST_HISTORY:
                connection.execute("INSERT INTO history (first_sequence, mark) VALUES (?, ?)", history)
        connection.execute("COMMIT")
    return head


def _read_back(file: Path, head: Head) -> None:
    """Raise JournalCorrupt unless the file holds every segment up to the head, each with its digest."""
    expected, root = 1, GENESIS.root
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        for row in connection.execute(f"SELECT {COLUMNS} FROM segment ORDER BY first_sequence"):
            segment = segment_from(row)
            if segment.first_sequence != expected:
                raise JournalCorrupt(f"entry {expected} is missing in {file}")
            expected, root = segment.last_sequence + 1, segment.root
    if (expected - 1, root) != (head.sequence, head.root):
        raise JournalCorrupt(f"{file} ends at entry {expected - 1}, not {head.sequence}")
