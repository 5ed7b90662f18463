"""Failures that end the process: the gateway passes these on, and survives every other failure of a single client."""


class Fatal(Exception):
    """A failure of something that every client depends on, such as the journal or the read tables."""


FATAL = (Fatal, MemoryError)
"""For an ``except`` clause.  Without memory, other tasks may wait without end, and it is impossible to tell which."""
