"""Load: how much of the space for entries in progress is taken, in one word.

    load.level                                         # Level.EASY | PRESSED | BEHIND | FULL
    load.obstacle()                                    # why no command may be decided now, or None

Entries take space twice: until they are durable, in the journal's queue, and until the read tables show them, in the
projector's backlog.
"""

from enum import IntEnum
from typing import Any, Final

from walletd.journal.writer import JournalWriter
from walletd.tables.projector import Projector
from walletd.vocabulary.reasons import Reason
from walletd.wallets.entries import unavailable
from walletd.wallets.roster import OVERLOADED_RETRY_MS
from walletd.wallets.submission import Submission

MOST_WAITING: Final = 4_096
"""The entries that may wait for the disk while the projector is behind and commits wait for it: less than a second's
work.
"""

PRESSED_BY: Final = 2_048
"""The number of entries waiting for the disk, or half of the projector's space, from which sessions are limited to a
share.
"""


class Level(IntEnum):
    """From little to much: each level includes the measures of the one before."""

    EASY = 0
    """There is space for any load."""
    PRESSED = 1
    """More arrives than the journal or the read tables can absorb: sessions keep to their shares, turns are short."""
    BEHIND = 2
    """So little space is left in the backlog that commits wait for the projector."""
    FULL = 3
    """No command is decided."""


class Load:
    """Asks the writer and the projector how much waits for them."""

    __slots__ = ("_projector", "_writer")

    def __init__(self, writer: JournalWriter[Submission], projector: Projector) -> None:
        self._writer = writer
        self._projector = projector

    @property
    def level(self) -> Level:
        """The present load.  O(1)."""
        if self.obstacle() is not None:
            return Level.FULL
        if self._projector.is_behind:
            return Level.BEHIND
        return Level.PRESSED if self._projector.is_pressed or self._waiting > PRESSED_BY else Level.EASY

    @property
    def is_pressed(self) -> bool:
        """True if more arrives than the journal or the read tables can absorb."""
        return self._projector.is_pressed or self._waiting > PRESSED_BY

    def obstacle(self) -> tuple[Reason, dict[str, Any]] | None:
        """The reason why no command may be decided now, with the facts; None if one may."""
        if self._writer.degraded is not None:
            return Reason.UNAVAILABLE, unavailable(self._writer.degraded)
        if not self._writer.has_room():
            return Reason.OVERLOADED, {"what": "the journal's queue", "retry_after_ms": OVERLOADED_RETRY_MS}
        if not self._projector.has_room or (self._projector.is_behind and self._waiting >= MOST_WAITING):
            return Reason.OVERLOADED, {"what": "the projector's backlog", "retry_after_ms": OVERLOADED_RETRY_MS}
        return None

    @property
    def _waiting(self) -> int:
        return self._writer.head - self._writer.durable_head
