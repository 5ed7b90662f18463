"""Pages: the number of rows that fit into one answer, by their bytes.

    room = PageRoom()
    rows = list(itertools.takewhile(room.takes, rows))  # the first row always fits

An answer fits into the message size that clients accept.  ``next`` continues with the rows that a page leaves out.
"""

from typing import Any

import msgspec

from walletd.vocabulary.sizes import ENVELOPE_BYTES, MAX_FRAME_BYTES

PAGE_BYTES = MAX_FRAME_BYTES - 2 * ENVELOPE_BYTES
"""The space for the rows of one page; the rest is for the parts around them."""

_encode = msgspec.json.Encoder().encode


class PageRoom:
    """The space left on a page."""

    def __init__(self, page_bytes: int | None = None) -> None:
        self.left = PAGE_BYTES if page_bytes is None else page_bytes
        self.is_empty = True

    def takes(self, row: Any, around: int = 1) -> bool:
        """Add the row, with this many bytes around it, if there is space; the first row is always added."""
        needed = len(_encode(row)) + around
        if needed > self.left and not self.is_empty:
            return False
        self.left -= needed
        self.is_empty = False
        return True
