"""Lengths of time, in one notation: 30s, 30m, 24h, 7d or 2w, or 1.5h.

    seconds_in("--expires", "30m")          # 1800

A length is sent as such and never as a time, so that the same line again is the same command.
"""

import math
import re
from datetime import datetime

from walletd.cli.usage import UsageError
from walletd.client.clients import Expiry
from walletd.vocabulary.commands import MAX_SECONDS

SECONDS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
NOTATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([smhdw])")


def seconds_in(flag: str, words: str, bare_unit: int | None = None) -> int:
    """The length in whole seconds; a number without a unit counts ``bare_unit`` seconds.  Raises UsageError."""
    found = NOTATION.fullmatch(words)
    if found is not None:
        return seconds_of(flag, float(found[1]), SECONDS[found[2]])
    if bare_unit is None:
        raise UsageError(f"{flag} must be a length of time, such as 30m, 24h or 7d, not {words!r}")
    try:
        return seconds_of(flag, float(words), bare_unit)
    except ValueError:
        raise UsageError(f"{flag} must be a length of time, such as 30s, 5m or 24h, not {words!r}") from None


def seconds_of(flag: str, number: float, unit: int) -> int:
    """A time in whole seconds, as the protocol counts it.  Raises UsageError if it is out of range."""
    seconds = round(number * unit) if math.isfinite(number) else 0
    if not 1 <= seconds <= MAX_SECONDS:
        raise UsageError(f"{flag} must be between one second and a hundred years")
    return seconds


def one_of(flag: str, words: str | None, old_flag: str, number: float | None, unit: int) -> int | None:
    """The seconds of a length, or of the number that its older option counted in one unit; None without either."""
    if words is not None and number is not None:
        raise UsageError(f"{flag} and {old_flag} say the same; give {flag}")
    if words is not None:
        return seconds_in(flag, words)
    return None if number is None else seconds_of(old_flag, number, unit)


def expiry_of(flag: str, words: str | None) -> Expiry:
    """The expiry that 30m, 12h, 90d or a time with an offset stands for.  Raises UsageError."""
    if words is None:
        return Expiry()
    if NOTATION.fullmatch(words):
        return Expiry(seconds=seconds_in(flag, words))
    try:
        named = datetime.fromisoformat(words)
    except ValueError:
        named = None
    if named is None or named.tzinfo is None:
        raise UsageError(f"{flag} must be 30m, 12h or 90d, or a time such as 2030-01-31T12:00:00Z, not {words!r}")
    return Expiry(named)
