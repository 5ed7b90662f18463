"""Sizes: how many bytes an entry can have, and what follows from that for all that carries entries.

One number has a reason outside of walletd: ``MAX_FRAME_BYTES`` is what websocket clients accept of one message where
nothing else is set (1 MiB in Python's ``websockets``, and in many proxies).  Every other number here follows from it:
an entry is bounded so that the largest still fits into such a message in each form in which it travels.

Journals written by earlier versions may hold larger entries.  They are read, backed up, restored and streamed as they
are: a client that must pass them raises its own bound.
"""

from typing import Final

MAX_FRAME_BYTES: Final = 1024 * 1024
"""Of one message to a client: an answer, a page, an event."""

ENVELOPE_BYTES: Final = 4096
"""Room in a message for what stands around an entry or the rows of a page: the response, an id, a cursor."""

MAX_ENTRY_BYTES: Final = MAX_FRAME_BYTES * 3 // 4 - 2 * ENVELOPE_BYTES
"""Of one entry as it is stored.

The largest form in which it travels is a block of a backup: base64 makes four bytes of three, and text that does not
shrink must fit all the same.  An event, or a page with one entry, is smaller.
"""

MAX_SEGMENT_BYTES: Final = MAX_ENTRY_BYTES
"""Of the entries that one commit gathers, as of the one that is as large: no commit is longer, no block is larger."""

MAX_REQUEST_BYTES: Final = MAX_ENTRY_BYTES - 4 * ENVELOPE_BYTES
"""Of one request, at most: its command is part of its entry, and a refusal of the largest must still be recorded."""
