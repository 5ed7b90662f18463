"""The high-water mark: a few bytes beside the journal that remember its head.

A hash chain proves that the entries are unbroken; it cannot prove that none is missing at the end, or that the file is
not an older copy of itself.  The promise: a journal that ends before its mark, or has another history up to it, or is
another journal, is refused.  The mark is moved after checkpoints and at the end, so it is never ahead of the journal;
if it is missing or unreadable, it proves nothing and is ignored.
"""

import os
from hashlib import sha256
from pathlib import Path

import msgspec

from walletd.journal.failures import JournalReplaced
from walletd.journal.sqlite.private import open_regular

MARK_NAME = "journal.mark"

_SUM_DIGITS = 64
_LONGEST_BYTES = 4096
"""A mark is some two hundred bytes long."""


class Mark(msgspec.Struct, frozen=True):
    """A journal and its head: the last sequence and, in hexadecimal digits, the root up to it."""

    instance: str
    sequence: int
    root: str


def write_mark(directory: Path, mark: Mark) -> None:
    """Write the mark over the old one, in place: a full disk must not prevent it.  A torn write makes it unreadable."""
    content = msgspec.json.encode(mark)
    line = sha256(content).hexdigest().encode() + content + b"\n"
    descriptor = open_regular(directory / MARK_NAME, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)
    try:
        os.pwrite(descriptor, line, 0)
        os.ftruncate(descriptor, len(line))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_mark(directory: Path) -> Mark | None:
    """The mark, or None if there is no valid one.  Raises JournalCorrupt if its name is not a file's, or OSError."""
    try:
        with open(open_regular(directory / MARK_NAME, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            line = file.read(_LONGEST_BYTES)
    except FileNotFoundError:
        return None
    content = line[_SUM_DIGITS:-1]
    if line[:_SUM_DIGITS] != sha256(content).hexdigest().encode():
        return None
    try:
        return msgspec.json.decode(content, type=Mark)
    except msgspec.DecodeError:
        return None


def refuse_missing(database: Path) -> None:
    """Raise JournalReplaced if the journal's file is gone, or empty, although a journal has been here."""
    mark = read_mark(database.parent)
    if mark is not None and (not database.exists() or database.stat().st_size == 0):
        raise JournalReplaced(f"{database} is missing or empty, but journal {mark.instance} was here")


def refuse_replaced(mark: Mark | None, instance: str, head_sequence: int, root_at_mark: bytes | None) -> None:
    """Raise JournalReplaced unless the journal continues the one that the mark remembers.

    ``root_at_mark`` is the root stored with the segment that ends at the mark's sequence, or None if there is none.
    """
    if mark is None:
        return
    if mark.instance != instance:
        raise JournalReplaced(f"this is journal {instance}, but journal {mark.instance} was here")
    if head_sequence < mark.sequence:
        raise JournalReplaced(f"the journal ends at entry {head_sequence}, but it had {mark.sequence} entries")
    if mark.sequence and (root_at_mark is None or root_at_mark.hex() != mark.root):
        raise JournalReplaced(f"the journal has another history up to entry {mark.sequence} than it had before")
