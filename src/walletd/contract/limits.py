"""The limits in ``hello``, in words: the meaning of each, and the consequence of exceeding it."""

from typing import NamedTuple

import msgspec

from walletd.protocol.envelope import SessionLimits


class Limit(NamedTuple):
    """One limit of a session."""

    meaning: str
    beyond: str


LIMITS: dict[str, Limit] = {
    "max_frame_bytes": Limit("bytes of one message", "closed with 1009"),
    "max_in_flight": Limit("unanswered requests", "`overloaded`"),
    "max_subscriptions": Limit("open streams", "`too_many_subscriptions`"),
    "rate": Limit(
        "requests a second of the session; a second's worth at once",
        "`rate_limited`; a `warning` after about one second's worth of refused requests, 4529 after two",
    ),
    "principal_rate": Limit("requests a second of all sessions of the principal together", "as `rate`"),
    "guest_rate": Limit("requests a second before authentication", "as `rate`"),
    "max_in_flight_bytes": Limit("bytes of unanswered requests", "`overloaded`"),
    "max_fragments": Limit("fragments of one message", "closed with 1009"),
    "pings_per_second": Limit("pings and pongs a second; four seconds' worth at once", "closed with 4529"),
    "authentication_ms": Limit("time to authenticate", "closed with 4408"),
    "write_stall_ms": Limit("time without the client reading anything", "closed with 4508 or 1013"),
}

assert tuple(LIMITS) == tuple(field.encode_name for field in msgspec.structs.fields(SessionLimits))
