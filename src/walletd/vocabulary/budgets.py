"""A client's budget: how much of the daemon it may take, measured by what its requests cost.

    Budget(journal_bytes_per_second=65_536)            # all else as its scopes have it
    asked.over(STRANGERS)                              # every field filled in

The field that runs out is named in the refusal: ``quota_exceeded`` with ``budget``.
"""

from typing import Annotated, Literal, get_args

import msgspec

KIBIBYTE = 1024
MEBIBYTE = 1024 * 1024

Allowed = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""An amount of a budget; 0: no limit."""


BudgetField = Literal[
    "journal_bytes_per_second",
    "journal_burst_bytes",
    "journal_bytes_per_day",
    "processor_ms_per_second",
    "requests_per_second",
    "in_flight",
    "in_flight_bytes",
    "connections",
    "subscriptions",
]


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all sessions of a client, and of its viewing keys, may take together.

    A field that is left out has the default of the client's scopes; 0 means no limit.
    """

    journal_bytes_per_second: Allowed | None = None
    """Bytes of journal entries, refusals included, as they are stored."""
    journal_burst_bytes: Allowed | None = None
    """Bytes that may come at once after a quiet time: in any second at most these and one second's."""
    journal_bytes_per_day: Allowed | None = None
    """Bytes within any 24 hours: half of them may come at once, the rest evenly."""
    processor_ms_per_second: Allowed | None = None
    """Milliseconds of the event loop in each second while others wait for it."""
    requests_per_second: Allowed | None = None
    in_flight: Allowed | None = None
    """Requests that may be unanswered at once."""
    in_flight_bytes: Allowed | None = None
    """The bytes of their frames; decoded, they take several times as much memory."""
    connections: Allowed | None = None
    subscriptions: Allowed | None = None

    def over(self, defaults: "Budget") -> "Budget":
        """This budget, with the defaults where a field is left out."""
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(defaults, **given)


STRANGERS = Budget(
    journal_bytes_per_second=256 * KIBIBYTE,
    journal_burst_bytes=768 * KIBIBYTE,
    journal_bytes_per_day=2 * KIBIBYTE * MEBIBYTE,
    processor_ms_per_second=250,
    requests_per_second=100_000,
    in_flight=4_096,
    in_flight_bytes=4 * MEBIBYTE,
    connections=256,
    subscriptions=1_000,
)
"""For clients with ``spend``, ``view`` and ``metrics`` only.

256 KiB are some 400 payments a second, far more than one person or one till makes; with the burst, no second takes more
than 1 MiB, so that a disk with 64 GiB to spare lasts a month beside one that does its worst.
"""

TRUSTED = Budget(
    journal_bytes_per_second=0,
    journal_burst_bytes=0,
    journal_bytes_per_day=0,
    processor_ms_per_second=0,
    requests_per_second=100_000,
    in_flight=0,
    in_flight_bytes=0,
    connections=5_000,
    subscriptions=100_000,
)
"""For clients with ``operate`` or ``admin``: an application's back end sends the payments of all its users, so only its
places are bounded.
"""

assert get_args(BudgetField) == Budget.__struct_fields__, "each budget has its name"
assert all(
    getattr(default, name) is not None for default in (STRANGERS, TRUSTED) for name in Budget.__struct_fields__
), "defaults are complete"
