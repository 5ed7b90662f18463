"""Every close code of a connection, and the client's reaction: the reference page is made from this.

CloseCode(4508).reconnect  ->  "yes; resume after the last event"
"""

import enum
from typing import Self


class CloseCode(enum.IntEnum):
    """A close code of RFC 6455, 7.4, or of this protocol (4xxx)."""

    meaning: str
    reconnect: str

    def __new__(cls, code: int, meaning: str, reconnect: str) -> Self:
        """One row of the table; only the code is the value."""
        row = int.__new__(cls, code)
        row._value_ = code
        row.meaning = meaning
        row.reconnect = reconnect
        return row

    NORMAL = 1000, "the client is done; the server echoes it", "optional"
    GOING_AWAY = 1001, "the client is leaving; the server echoes it", "optional"
    PROTOCOL_ERROR = 1002, "the frames break RFC 6455", "no: fix the client"
    UNSUPPORTED_DATA = 1003, "a binary frame; requests are text", "no: fix the client"
    INVALID_DATA = 1007, "text that is not UTF-8", "no: fix the client"
    TOO_BIG = 1009, "a message above `max_frame_bytes`, or in more than `max_fragments` fragments", "no: send less"
    INTERNAL_ERROR = (
        1011,
        "no answer to pings, or an internal error of the server",
        "yes, with backoff; repeat unanswered commands with the same command ids",
    )
    RESTART = 1012, "the daemon restarts, or the client's scopes have changed", "yes, after a short random delay"
    WRITE_STALLED = 1013, "the client did not read its replies", "yes, and read faster"
    AUTHENTICATION_FAILED = 4401, "the token is unknown, expired or revoked", "with another token"
    UNKNOWN_SUBPROTOCOL = 4406, "only unknown subprotocols were offered", "no: offer `walletd.v1`"
    AUTHENTICATION_TIMEOUT = 4408, "no authentication in time", "yes, and authenticate"
    NO_PLACE = 4503, "the token is valid, but too many connections are open", "yes, with backoff"
    SLOW_CONSUMER = (
        4508,
        "a subscriber read nothing for too long; the close reason has its last sequence",
        "yes; resume after the last event",
    )
    RATE = 4529, "too many pings, or requests that stay too fast after a `warning`", "yes, with backoff"
