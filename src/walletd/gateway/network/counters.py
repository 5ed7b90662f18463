"""The gateway's counters: plain integers, because a plain integer costs a tenth of a metric's method call.

traffic.count_close(4508)                              # a slow consumer
traffic.refused["origin"] += 1
"""

from collections import Counter

from walletd.protocol.close_codes import CloseCode

PEERS_OWN = 3000
"""The number under which all other close codes of peers are counted; otherwise a peer could add thousands of them."""

_OURS = frozenset(CloseCode)


class TrafficCounters:
    """Counted since the start of this process; ``open`` and ``guests`` are present numbers, ``held_bytes`` that of the
    last second.

    ``refused`` counts by the word of the refusal, status pages as ``page``; ``closes`` by the close code of the side
    that closed first, ``PEERS_OWN`` for unknown codes of peers.  Bytes are those of the network, frames and handshakes
    included.
    """

    __slots__ = (
        "accept_failures",
        "accepted",
        "bytes_in",
        "bytes_out",
        "closes",
        "cut_off",
        "dropped_guests",
        "exchanges",
        "guests",
        "held_bytes",
        "messages_in",
        "messages_out",
        "open",
        "refused",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0
        self.accept_failures = 0
        """How often the process was out of file descriptors or memory when a client connected."""
        self.guests = 0
        """Connections that have a place and have not authenticated."""
        self.dropped_guests = 0
        """Guests dropped so that a newcomer has a place."""
        self.held_bytes = 0
        self.cut_off = 0
        """Connections ended because all together held too much."""
        self.messages_in = 0
        self.messages_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.exchanges: Counter[int] = Counter()
        """Requests over HTTP that were handed on, by the status of the response; 0: there was none."""
        self.refused: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()

    def count_close(self, code: int) -> None:
        """Count one connection closed with this code."""
        self.closes[code if code < PEERS_OWN or code in _OURS else PEERS_OWN] += 1
