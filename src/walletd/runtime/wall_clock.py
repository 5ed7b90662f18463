"""The wall clock: the machine's word about what moment it is."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
