"""The wall clock: the machine's present time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The present time, in UTC."""
    return datetime.now(UTC)
