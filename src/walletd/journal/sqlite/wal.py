"""The write-ahead log of SQLite, inspected before SQLite reads it.

SQLite stops reading a log at the first frame that fails its checksum and silently forgets the rest.  That is right for
the one commit that a crash tore, and a loss of acknowledged entries when a bit has rotted in the middle (measured: 600
of 600 flips).  The promise: ``inspect`` raises JournalCorrupt if more than one commit would be forgotten, and otherwise
returns the number of frames that SQLite must recover.  Nothing is written, and the database must not be open in this
process.

The layout is that of https://www.sqlite.org/fileformat2.html#the_write_ahead_log; the padding follows from psow=0
(walFrames in SQLite's wal.c): after a commit its last frame is repeated up to the next sector boundary.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from walletd.journal.failures import JournalCorrupt
from walletd.journal.sqlite.private import open_regular

_HEADER = struct.Struct(">8I")
"""Magic, version, page size, checkpoint number, two salts, two sums."""
_FRAME = struct.Struct(">6I")
"""Page number, size of the database after commit or 0, two salts, two sums."""
_MAGIC = 0x377F0682
"""The lowest bit says that the sums are over big-endian words."""
_VERSION = 3007000
_SECTOR_BYTES = 4096
"""SQLITE_DEFAULT_SECTOR_SIZE, the unit to which SQLite's unix VFS pads."""
_DATABASE_MAGIC = b"SQLite format 3\x00"
_LEGAL_LOSS = 1
"""The commit that was being written when the power failed."""

Salts = tuple[int, int]
Sums = tuple[int, int]


class Frame(NamedTuple):
    """One frame's place (counted from 1) and header."""

    number: int
    page: int
    commit_size: int
    salts: Salts
    sums: Sums


def wal_path(database: Path) -> Path:
    """The path of SQLite's log for this database."""
    return database.with_name(database.name + "-wal")


def inspect(database: Path) -> int:
    """The number of frames that SQLite will recover from the log next to ``database``: up to its last intact commit."""
    log = wal_path(database)
    if not log.exists() or log.stat().st_size <= _HEADER.size:
        return 0
    with open(open_regular(log), "rb") as file:
        header = file.read(_HEADER.size)
        magic, version, page_bytes, _, salt_1, salt_2, sum_1, sum_2 = _HEADER.unpack(header)
        big_endian = bool(magic & 1)
        intact = magic & ~1 == _MAGIC and _sum(header[:24], (0, 0), big_endian) == (sum_1, sum_2)
        if not intact:
            return _inspect_without_header(database, file)
        if version != _VERSION:
            raise JournalCorrupt(f"the log {log.name} has version {version}, which no known SQLite writes")
        if not _is_page_size(page_bytes):
            raise JournalCorrupt(f"the header of {log.name} claims pages of {page_bytes} bytes")
        salts = (salt_1, salt_2)
        recovered = _recoverable(file, page_bytes, salts, (sum_1, sum_2), big_endian)
        commits = _commits(frame for frame in _frames(file, page_bytes) if frame.salts == salts)
        last_frames = list(_last_frames(commits, page_bytes))
    forgotten = sum(1 for last in last_frames if last > recovered)
    if forgotten > _LEGAL_LOSS:
        raise JournalCorrupt(f"{forgotten} commits in {log.name} lie behind a damaged frame and would be forgotten")
    if recovered and not (database.exists() and database.stat().st_size):
        raise JournalCorrupt(f"{log.name} holds commits, but {database.name} is empty, so they would be forgotten")
    return recovered


def _recoverable(file: BinaryIO, page_bytes: int, salts: Salts, sums: Sums, big_endian: bool) -> int:
    """SQLite's own rule: frames count while salts and running sums match, up to the last that ends a commit."""
    recovered = 0
    for frame in _frames(file, page_bytes):
        content = _page(file, frame.number, page_bytes)
        sums = _sum(_FRAME.pack(frame.page, frame.commit_size, 0, 0, 0, 0)[:8], sums, big_endian)
        sums = _sum(content, sums, big_endian)
        if frame.salts != salts or frame.page == 0 or frame.sums != sums:
            break
        if frame.commit_size:
            recovered = frame.number
    return recovered


def _commits(frames: Iterator[Frame]) -> Iterator[int]:
    """The numbers of the frames that end a commit, padding included."""
    return (frame.number for frame in frames if frame.commit_size)


def _last_frames(commits: Iterator[int], page_bytes: int) -> Iterator[int]:
    """One number for each commit: that of the frame followed only by its own padding.

    Padding looks like a commit, and the next commit may well be of the same page, so only the place distinguishes them.
    """
    padded_to = 0
    for number in commits:
        if number <= padded_to:
            continue
        end = _HEADER.size + number * (_FRAME.size + page_bytes)
        missing = -end % _SECTOR_BYTES
        padded_to = number + -(-missing // (_FRAME.size + page_bytes))
        yield number


def _inspect_without_header(database: Path, file: BinaryIO) -> int:
    """SQLite ignores a log whose header is damaged: right only if it contains nothing that is needed.

    The header is rewritten, and synced, when the log starts again, which is after all of it went into the database; and
    the first commit shares its sector.  So at most one commit may be missing from the database file.
    """
    if not _is_database(database):
        raise JournalCorrupt(f"both {database.name} and the header of {wal_path(database).name} are damaged")
    with open(open_regular(database), "rb") as pages:
        page_bytes = _page_bytes(pages)
        frames = list(_frames(file, page_bytes))
        if not frames:
            return 0
        salts = frames[min(1, len(frames) - 1)].salts
        run = [frame for frame in frames if frame.salts == salts]
        last_frames = list(_last_frames(_commits(iter(run)), page_bytes))
        if len(last_frames) <= _LEGAL_LOSS:
            return 0
        newest = {frame.page: frame.number for frame in run if frame.number <= last_frames[-1]}
        for page, number in newest.items():
            pages.seek((page - 1) * page_bytes)
            if pages.read(page_bytes) != _page(file, number, page_bytes):
                raise JournalCorrupt(
                    f"the header of {wal_path(database).name} is damaged and its commits would be forgotten"
                )
    return 0


def _frames(file: BinaryIO, page_bytes: int) -> Iterator[Frame]:
    """Every whole frame of the file, valid or not."""
    number = 0
    while True:
        file.seek(_HEADER.size + number * (_FRAME.size + page_bytes))
        header = file.read(_FRAME.size)
        content_ends = file.seek(page_bytes, 1)
        if len(header) < _FRAME.size or content_ends > _length(file):
            return
        number += 1
        page, commit_size, salt_1, salt_2, sum_1, sum_2 = _FRAME.unpack(header)
        yield Frame(number, page, commit_size, (salt_1, salt_2), (sum_1, sum_2))


def _page(file: BinaryIO, number: int, page_bytes: int) -> bytes:
    file.seek(_HEADER.size + (number - 1) * (_FRAME.size + page_bytes) + _FRAME.size)
    return file.read(page_bytes)


def _length(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _is_database(database: Path) -> bool:
    if not database.exists():
        return False
    with open(open_regular(database), "rb") as file:
        return file.read(len(_DATABASE_MAGIC)) == _DATABASE_MAGIC


def _page_bytes(database: BinaryIO) -> int:
    """The page size from the database header: 2 bytes at offset 16; 1 stands for 65,536."""
    database.seek(16)
    stored = int.from_bytes(database.read(2), "big")
    page_bytes = 65536 if stored == 1 else stored
    if not _is_page_size(page_bytes):
        raise JournalCorrupt(f"the database's header claims pages of {page_bytes} bytes")
    return page_bytes


def _is_page_size(page_bytes: int) -> bool:
    """True for the powers of two from 512 to 65,536."""
    return 512 <= page_bytes <= 65536 and not page_bytes & (page_bytes - 1)


def _sum(content: bytes, sums: Sums, big_endian: bool) -> Sums:
    """SQLite's running sum: a Fibonacci-weighted pair over 32-bit words."""
    first, second = sums
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(content) // 4}I", content)
    for at in range(0, len(words), 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return first, second
