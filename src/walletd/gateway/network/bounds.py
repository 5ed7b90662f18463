"""The time limits and memory bounds of a peer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The time limits of a peer, in seconds; each is checked once a second."""

    handshake_seconds: float = 10
    write_stall_seconds: float = 30
    """The time that a peer may read nothing while something is written to it."""
    close_seconds: float = 5
    """The time from the decision to close to the end of the stream, including queued frames."""
    ping_seconds: float = 20
    """The time that a peer may be silent before it is pinged."""
    ping_timeout_seconds: float = 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """The number of bytes that may be queued for a peer.

    Above ``high`` the peer is not read from; below ``low`` the endpoint learns that there is space; above ``most``,
    which only an endpoint that ignores ``queued_bytes`` reaches, the peer is closed as one that does not read.
    """

    high: int = 1024 * 1024
    low: int = 64 * 1024
    most: int = 32 * 1024 * 1024
    in_all: int = 256 * 1024 * 1024
    """The bound for all peers together, results of their messages included: beyond it, the peer that holds most is cut
    off first.
    """
