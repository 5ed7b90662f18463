"""What the gateway counts: plain integers, because a plain integer costs a tenth of a metric's method call.

traffic.count_close(4508)                              # a slow consumer
traffic.refused["origin"] += 1
"""

from collections import Counter
from typing import Final

from walletd.protocol.close_codes import CloseCode

PEERS_OWN: Final = 3000
"""Under this number all close codes are counted that a peer made up: else it could make thousands of them."""

_OURS: Final = frozenset(CloseCode)


class TrafficCounters:
    """Since the start of this process; ``open`` is of now, and ``held_bytes`` of the last second.

    ``refused`` counts by the word of the refusal, status pages as ``page``; ``closes`` by the close code of whoever
    closed first, ``PEERS_OWN`` for what it made up.  Bytes are those of the network, frames and handshakes included.
    """

    __slots__ = (
        "accept_failures",
        "accepted",
        "bytes_in",
        "bytes_out",
        "closes",
        "cut_off",
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
        """How often the process was out of file descriptors or memory when a client knocked."""
        self.held_bytes = 0
        self.cut_off = 0
        """Connections that were ended because all together held too much."""
        self.messages_in = 0
        self.messages_out = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.refused: Counter[str] = Counter()
        self.closes: Counter[int] = Counter()

    def count_close(self, code: int) -> None:
        """One connection more was closed with this code."""
        self.closes[code if code < PEERS_OWN or code in _OURS else PEERS_OWN] += 1
