"""Sizes: the largest entry in bytes, and the bounds that follow for everything that carries entries.

One number has a reason outside of walletd: ``MAX_FRAME_BYTES`` is the default limit of websocket clients for one
message (1 MiB in Python's ``websockets``, and in many proxies).  Every other number here follows from it: an entry is
bounded so that the largest still fits into such a message in each form in which it travels.

Journals written by earlier versions may hold larger entries.  They are read, backed up, restored and streamed
unchanged: a client that must receive them raises its own limit.
"""

MAX_FRAME_BYTES = 1024 * 1024
"""The limit of one message to a client: an answer, a page, an event."""

ENVELOPE_BYTES = 4096
"""Room in a message for the parts around an entry or around the rows of a page: the response, an id, a cursor."""

MAX_ENTRY_BYTES = MAX_FRAME_BYTES * 3 // 4 - 2 * ENVELOPE_BYTES
"""The limit of one entry as it is stored.

The largest form in which it travels is a block of a backup: base64 turns three bytes into four, and incompressible text
must fit nonetheless.  An event, or a page with one entry, is smaller.
"""

MAX_SEGMENT_BYTES = MAX_ENTRY_BYTES
"""The limit of the entries that one commit gathers, equal to that of one entry: no commit is longer, no block is
larger.
"""

MAX_REQUEST_BYTES = MAX_ENTRY_BYTES - 4 * ENVELOPE_BYTES
"""The limit of one request: its command is part of its entry, and a refusal of the largest must still be recorded."""
