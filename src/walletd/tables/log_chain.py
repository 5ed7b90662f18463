"""Whether ``state.db`` and the write-ahead log beside it belong to one history, determined without reading the file.

    before = stood(path, reserved)                     # while the file is not open
    frames = ...                                       # SQLite opens it, and reports how much of the log it accepts
    why = mixed(before, path, frames)                  # "" if they belong together

SQLite accepts a log up to the first frame that fails its sum, and knows nothing of the file under it.  If a part of the
log went into the file and was then lost, or if file or log is an old copy, it shows a mix of two times.

So every transaction writes two numbers into the first page: the last entry that it shows and the one that the previous
transaction showed (SQLite's ``user_version`` and ``application_id``, which nothing else uses).  Pages go into the file
in ascending order, the first page first.  Therefore the file's own first page tells how far the file can be, and a log
belongs to it if it begins there or passes there.  A file without a log must have been closed: the last transaction of a
life marks itself as the last, by two numbers that are equal.  O(log).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = 4096
SUM_BYTES = 8
NUMBERS = 2**31
"""The two numbers are an entry's sequence modulo this."""

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_LOG_HEADER_BYTES = 32
_FRAME = struct.Struct(">6I")
"""Page number, size of the database after commit or 0, two salts, two sums."""


class Stamp(NamedTuple):
    """A transaction's mark in the first page: the entry that the previous one showed, and the one that it shows."""

    follows: int
    shown: int


class Stood(NamedTuple):
    """The file alone, without its log: the marks of its first page, and its size."""

    stamp: Stamp
    pages: int
    """The number in the first page."""
    size: int


def reserved_bytes(path: Path) -> int | None:
    """The bytes reserved for a sum at the end of each page; None if there is no database."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return header[20] if len(header) == _HEADER_BYTES and header.startswith(_MAGIC) else None


def stood(path: Path, reserved: int) -> Stood | None:
    """The file's present state, empty if there is none; None if its first page is damaged.

    Reading it would release SQLite's locks, so it must not be open in this process.
    """
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        return Stood(Stamp(0, 0), 0, 0)
    with path.open("rb") as file:
        page = file.read(PAGE_BYTES)
    if len(page) < PAGE_BYTES or not page.startswith(_MAGIC):
        return None
    if int.from_bytes(page[16:18], "big") != PAGE_BYTES or page[20] != reserved:
        return None
    if reserved and page_sum(page[:-SUM_BYTES]) != page[-SUM_BYTES:]:
        return None
    return Stood(_stamp(page), int.from_bytes(page[28:32], "big"), size)


def page_sum(content: bytes) -> bytes:
    """The checksum of a page as in SQLite's cksumvfs: a Fibonacci-weighted pair over 32-bit words."""
    first = second = 0
    words = struct.unpack(f"<{len(content) // 4}I", content)
    for at in range(0, len(words), 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return struct.pack("<2I", first, second)


def mixed(before: Stood, path: Path, frames: int) -> str:
    """The reason why the file and the first ``frames`` frames of its log do not belong to one history; empty if they
    do.
    """
    whole_pages = before.size // PAGE_BYTES
    if frames <= 0:
        if before.stamp.follows != before.stamp.shown:
            return "the log, of which something is missing, or the end of a life"
        if before.size % PAGE_BYTES or whole_pages < before.pages:
            return "the end"
        return ""
    stamps: list[Stamp] = []
    logged: set[int] = set()
    pages = 0
    for page, commit_size, stamp in _frames(path, frames):
        logged.add(page)
        pages = commit_size or pages
        if stamp is not None:
            stamps.append(stamp)
    if not stamps or before.stamp.shown not in (stamps[0].follows, *(stamp.shown for stamp in stamps)):
        return "the log, which does not go on where the file ends,"
    if any(page not in logged for page in range(whole_pages + 1, pages + 1)):
        return "the end"
    return ""


def _frames(path: Path, frames: int) -> Iterator[tuple[int, int, Stamp | None]]:
    """Page number, size after commit or 0, and for a first page its stamp."""
    with path.with_name(path.name + "-wal").open("rb") as log:
        for number in range(frames):
            log.seek(_LOG_HEADER_BYTES + number * (_FRAME.size + PAGE_BYTES))
            page, commit_size, *_ = _FRAME.unpack(log.read(_FRAME.size))
            yield page, commit_size, _stamp(log.read(_HEADER_BYTES)) if page == 1 else None


def _stamp(page: bytes) -> Stamp:
    return Stamp(follows=int.from_bytes(page[68:72], "big"), shown=int.from_bytes(page[60:64], "big"))
