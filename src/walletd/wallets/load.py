"""Load: how much of the room for entries on their way is taken, in one word, and what follows from it.

    load.level                                         # Level.EASY | PRESSED | BEHIND | FULL
    load.obstacle()                                    # why no command may be decided now, or None: asked by decisions
    load.exceeds_share(in_flight, sessions)            # asked by sessions
    load.is_behind, await load.catch_up()              # asked by the writer between two commits

Entries take room twice: in the journal's queue until they are durable, and in the projector's backlog until the read
tables show them.
"""

from enum import IntEnum

import trio

from walletd.journal.queue import Queue
from walletd.tables.projector import Projector
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.reasons import Reason
from walletd.wallets.entries import unavailable
from walletd.wallets.roster import OVERLOADED_RETRY_MS
from walletd.wallets.submission import Submission

PRESSED_BY = 2_048
"""So many entries that wait for the disk are more than the journal keeps up with."""

PRESSED_FROM = 0.5
"""The same for the share of the backlog's room that is taken."""

BEHIND_FROM = 0.75
"""From here on commits wait for the projector, so that the backlog does not outgrow its room."""

MOST_WAITING = 4_096
"""Entries that may wait for the disk while commits wait for the projector: less than a second's."""

PACE_SECONDS = 0.25
"""So long at most a commit waits for a projector that is behind: one that cannot write must not hold anybody up."""

ALL_SHARES = 2_048
"""The limit on all unanswered commands while the daemon is pressed, divided equally among the sessions."""

SMALLEST_SHARE = 16
"""The commands that each session may have unanswered, however many sessions there are."""

JOURNAL_FULL = Declined(Reason.OVERLOADED, {"what": "the journal's queue", "retry_after_ms": OVERLOADED_RETRY_MS})
BACKLOG_FULL = Declined(Reason.OVERLOADED, {"what": "the projector's backlog", "retry_after_ms": OVERLOADED_RETRY_MS})


class Level(IntEnum):
    """From little to much."""

    EASY = 0
    """There is room for whatever comes."""
    PRESSED = 1
    """More comes than the journal or the read tables can take in: sessions keep to their shares, passes are short."""
    BEHIND = 2
    """So little room is left in the backlog that commits wait for the projector."""
    FULL = 3
    """No command is decided."""


class Load:
    """Asks the journal's queue and the projector how much waits for them."""

    __slots__ = ("_projector", "_queue")

    def __init__(self, queue: Queue[Submission], projector: Projector) -> None:
        self._queue = queue
        self._projector = projector

    @property
    def level(self) -> Level:
        """The load now.  O(1)."""
        queue, taken = self._queue, self._projector.taken
        waiting = queue.head - queue.durable_head
        if taken >= 1 or queue.is_full or (taken >= BEHIND_FROM and waiting >= MOST_WAITING):
            return Level.FULL
        if taken >= BEHIND_FROM:
            return Level.BEHIND
        return Level.PRESSED if taken >= PRESSED_FROM or waiting > PRESSED_BY else Level.EASY

    def obstacle(self) -> Declined | None:
        """Why no command may be decided now; None where one may."""
        queue = self._queue
        if not queue.has_room():
            return JOURNAL_FULL if queue.degraded is None else unavailable(queue.degraded)
        if self._projector.taken >= BEHIND_FROM and self.level is Level.FULL:
            return BACKLOG_FULL
        return None

    def exceeds_share(self, in_flight: int, sessions: int) -> bool:
        """True if one of so many sessions, with so many unanswered commands, has its full share of a pressed daemon.

        More commands would only make all sessions wait: 64 sessions with 16 each keep the daemon busy.
        """
        return in_flight >= SMALLEST_SHARE and in_flight * sessions >= ALL_SHARES and self.level >= Level.PRESSED

    @property
    def is_behind(self) -> bool:
        """True if commits should wait for the projector."""
        return self._projector.taken >= BEHIND_FROM

    async def catch_up(self) -> None:
        """Return once commits need not wait any more, or after ``PACE_SECONDS``."""
        if self.is_behind:
            with trio.move_on_after(PACE_SECONDS):
                while self.is_behind:
                    await self._projector.advance()
