"""How long a peer may take, and how much is kept for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a peer may take.  Seconds; each is looked at once a second."""

    handshake_seconds: float = 10
    write_stall_seconds: float = 30
    """How long a peer may read nothing while something is written to it."""
    close_seconds: float = 5
    """From the decision to close to the end of the stream, what is queued included."""
    ping_seconds: float = 20
    """How long a peer may be silent before it is pinged."""
    ping_timeout_seconds: float = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be queued for a peer, in bytes.

    Above ``high`` it is not read from; below ``low`` the endpoint is told that there is room; above ``most``, which
    only an endpoint that does not look at ``queued_bytes`` reaches, the peer is closed as one that does not read.
    """

    high: int = 1024 * 1024
    low: int = 64 * 1024
    most: int = 32 * 1024 * 1024
    in_all: int = 256 * 1024 * 1024
    """For all peers together, what has come of their messages included: beyond, who holds most is cut off first."""
