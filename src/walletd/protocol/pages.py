"""Pages: how many rows one answer takes in, by their bytes.

    room = PageRoom()
    rows = list(itertools.takewhile(room.takes, rows))  # the first row is taken in always

An answer fits into what clients accept of one message.  Whatever a page leaves out, its ``next`` goes on with.
"""

from typing import Any, Final

import msgspec

from walletd.vocabulary.sizes import ENVELOPE_BYTES, MAX_FRAME_BYTES

PAGE_BYTES: Final = MAX_FRAME_BYTES - 2 * ENVELOPE_BYTES
"""Of the rows of one page; what is around them has the rest."""

_encode = msgspec.json.Encoder().encode


class PageRoom:
    """What is left of a page's room."""

    def __init__(self, page_bytes: int | None = None) -> None:
        self.left = PAGE_BYTES if page_bytes is None else page_bytes
        self.is_empty = True

    def takes(self, row: Any, around: int = 1) -> bool:
        """Take the row in, with so many bytes around it, if there is room; the first is taken in always."""
        needed = len(_encode(row)) + around
        if needed > self.left and not self.is_empty:
            return False
        self.left -= needed
        self.is_empty = False
        return True
