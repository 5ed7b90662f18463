"""Times in UTC: a client's time with another offset is the same moment, and is stored and shown in UTC.

params = in_utc(params)
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from walletd.vocabulary.commands import ExecuteBatch

MOMENTS: Final = ("valid_until", "expires_at", "until", "overlap_until", "since", "as_of")
"""The params that may be a time."""

_moments_of: dict[type, tuple[str, ...]] = {}
_AT_UTC: Final = timedelta(0)


def in_utc(params: Any) -> Any:
    """The params with every time in UTC; the same object if none has another offset."""
    kind = type(params)
    names = _moments_of.get(kind)
    if names is None:
        names = _moments_of[kind] = tuple(name for name in MOMENTS if name in kind.__struct_fields__)
    moved: dict[str, Any] = {}
    for name in names:
        moment = getattr(params, name)
        if moment is not None and isinstance(moment, datetime) and moment.utcoffset() != _AT_UTC:
            with suppress(OverflowError):  # Within a day of the first or the last year, a time may have none in UTC.
                moved[name] = moment.astimezone(UTC)
    if isinstance(params, ExecuteBatch):
        commands = tuple([in_utc(inner) for inner in params.commands])
        if any(new is not old for new, old in zip(commands, params.commands, strict=True)):
            moved["commands"] = commands
    return msgspec.structs.replace(params, **moved) if moved else params
