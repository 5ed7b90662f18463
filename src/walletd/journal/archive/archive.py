"""An archive: a directory of archive files that follow each other from entry 1 on, without a gap.

The promise: the files that ``open_archive`` accepts belong to one journal and join, frontier to frontier; everything
read from them was checked.  A backup is such a directory; a data directory has one, ``archive``, for the entries that
compaction removed from ``journal.db``.

    archive = open_archive(directory)
    archive.read(after=0)                              # like a store's read
"""

import fcntl
import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from walletd.journal.archive.file import (
    NOTHING,
    SUFFIX,
    UNFINISHED_SUFFIX,
    ArchiveFile,
    ArchiveWriter,
    OpenFiles,
    Origin,
    frontier_of,
    open_archive_file,
)
from walletd.journal.failures import JournalCorrupt, JournalLocked
from walletd.journal.merkle import Frontier
from walletd.journal.segment import Segment, records
from walletd.journal.sqlite.directory import make_directory
from walletd.journal.sqlite.private import close_to_others, open_regular, refuse_exposed
from walletd.journal.store import READ_LIMIT_BYTES, Head

ARCHIVE_DIRECTORY = "archive"
LOCK_NAME = "archive.lock"
OPEN_FILES = 8
"""The number of files that stay open: about four gigabytes of the data being read."""


class Archive:
    """The files of a directory, oldest first.  Files are added, never changed."""

    def __init__(self, directory: Path, files: list[ArchiveFile]) -> None:
        self.directory = directory
        self.files = files
        self._lasts = [file.last_sequence for file in files]
        self._opened = OpenFiles(OPEN_FILES)

    @property
    def origin(self) -> Origin | None:
        """The journal that it belongs to; None if it is empty."""
        return self.files[-1].contents.origin if self.files else None

    @property
    def head(self) -> Head:
        """The head of the archive."""
        if not self.files:
            return NOTHING
        contents = self.files[-1].contents
        return Head(contents.last_sequence, contents.epoch, self.frontier.root())

    @property
    def last_sequence(self) -> int:
        """The last entry in it; 0 if it is empty."""
        return self._lasts[-1] if self._lasts else 0

    @property
    def frontier(self) -> Frontier:
        """The Merkle frontier at its end."""
        return frontier_of(self.files[-1].contents.frontier, self.files[-1].path) if self.files else Frontier()

    @property
    def size_bytes(self) -> int:
        """The size of its files on the disk."""
        return sum(file.path.stat().st_size for file in self.files)

    def writer(self, origin: Origin) -> ArchiveWriter:
        """A writer for the next file.  Raises JournalCorrupt if the archive belongs to another journal."""
        self.refuse_foreign(origin.instance)
        return ArchiveWriter(self.directory, origin, self.frontier, self.head.epoch)

    def extend(self, file: ArchiveFile) -> None:
        """Add the file that a writer committed."""
        assert file.contents.first_sequence == self.last_sequence + 1
        self.files.append(file)
        self._lasts.append(file.last_sequence)

    def refuse_foreign(self, instance: str) -> None:
        """Raise JournalCorrupt if the archive belongs to another journal."""
        if self.origin is not None and self.origin.instance != instance:
            raise JournalCorrupt(f"{self.directory} is of journal {self.origin.instance}, this is journal {instance}")

    def segments(self, after: int = 0) -> Iterator[Segment]:
        """The segments from the one that holds the entry after ``after`` on, each checked by itself."""
        for file in self.files[bisect_left(self._lasts, after + 1) :]:
            yield from file.segments(after, self._opened)

    def read(self, after: int, limit: int = READ_LIMIT_BYTES) -> list[Segment]:
        """These segments, up to ``limit`` bytes, but at least one.  Raises JournalCorrupt."""
        found: list[Segment] = []
        size, expected = 0, after + 1
        for segment in self.segments(after):
            if segment.first_sequence > expected or (found and segment.first_sequence != expected):
                raise JournalCorrupt(f"entry {expected} should follow in {self.directory}")
            expected = segment.last_sequence + 1
            found.append(segment)
            size += len(segment.body)
            if size >= limit:
                break
        if not found and after < self.last_sequence:
            raise JournalCorrupt(f"{self.directory} has lost entry {after + 1}")
        return found

    def read_entry(self, sequence: int) -> bytes:
        """The record of this sequence, which the archive must hold.  Raises JournalCorrupt."""
        (segment, *_) = self.read(sequence - 1, 1)
        if not segment.first_sequence <= sequence <= segment.last_sequence:
            raise JournalCorrupt(f"{self.directory} has lost entry {sequence}")
        return records(segment)[sequence - segment.first_sequence]


def is_archive(directory: Path) -> bool:
    """True if the directory holds archive files."""
    return directory.is_dir() and any(directory.glob(f"*{SUFFIX}"))


def open_archive(directory: Path) -> Archive:
    """The archive in the directory; empty if there is none.

    Raises JournalCorrupt, JournalUnsupported or OSError.
    """
    files = [open_archive_file(path) for path in sorted(directory.glob(f"*{SUFFIX}"))] if directory.is_dir() else []
    archive = Archive(directory, [])
    for file in files:
        contents = file.contents
        archive.refuse_foreign(contents.origin.instance)
        if contents.first_sequence != archive.last_sequence + 1:
            raise JournalCorrupt(
                f"{directory} should go on with entry {archive.last_sequence + 1}, but {file.path.name} does not"
            )
        if contents.before != archive.frontier.to_bytes() or contents.epoch < archive.head.epoch:
            raise JournalCorrupt(f"{file.path} does not continue the files before it")
        archive.extend(file)
    return archive


@contextmanager
def archive_for_writing(directory: Path) -> Iterator[Archive]:
    """The archive in the directory, created if missing, for this process alone; unfinished files are removed.

    Raises JournalLocked if another process writes it, JournalExposed, JournalCorrupt, JournalUnsupported or OSError.
    """
    make_directory(directory)
    refuse_exposed(directory)
    close_to_others(directory)
    descriptor = open_regular(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalLocked(f"another process writes to {directory}") from None
        remove_unfinished(directory)
        yield open_archive(directory)
    finally:
        os.close(descriptor)


def remove_unfinished(directory: Path) -> None:
    """Remove the files of a writer that was killed."""
    for leftover in list(directory.glob(f"*{UNFINISHED_SUFFIX}")):
        leftover.unlink()
