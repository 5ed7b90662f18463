"""Visibility: waits until an entry is durable, or until the read tables show it.

await visibility.until_durable(sequence)
await visibility.until_reached(sequence)           # False if it is not there in time
await visibility.until_projected(sequence)
await visibility.until_passed(time)                # the read tables show every entry of this time or before it
"""

from datetime import datetime

import trio

from walletd.journal.writer import JournalWriter
from walletd.tables.projector import Projector
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.submission import Submission

REACH_SECONDS = 2.0
"""How long a read waits for an entry that another node has written: a follower that is well needs some milliseconds."""


class Visibility:
    """The progress of the journal and the read tables, for tasks that wait for it."""

    __slots__ = ("_clock", "_followed", "_projector", "_writer")

    def __init__(self, writer: JournalWriter[Submission], projector: Projector, clock: HistoryClock) -> None:
        self._writer = writer
        self._projector = projector
        self._clock = clock
        self._followed = trio.Event()

    def followed(self) -> None:
        """Note that another node has written more, and that it is known here."""
        followed, self._followed = self._followed, trio.Event()
        followed.set()

    async def until_reached(self, sequence: int) -> bool:
        """Return whether this entry is durable and known here, once it is or after ``REACH_SECONDS``."""
        with trio.move_on_after(REACH_SECONDS):
            while self._writer.durable_head < sequence:
                if sequence <= self._writer.head:
                    await self.until_durable(sequence)
                else:
                    await self._followed.wait()
        return self._writer.durable_head >= sequence

    async def until_durable(self, sequence: int) -> None:
        """Return once this entry is durable, or once it is certain that a full disk undid it."""
        settled = trio.Event()
        self._writer.when_durable(min(sequence, self._writer.head), lambda is_durable: settled.set())
        await settled.wait()

    async def until_projected(self, sequence: int) -> None:
        """Return once the read tables show this entry, or once it is certain that a full disk undid it.

        Raises ReadTablesStand while they cannot show it for lack of space.
        """
        await self.until_durable(sequence)
        await self._projector.reach_unless_full(min(sequence, self._writer.durable_head))

    async def until_passed(self, time: datetime) -> None:
        """Return once the read tables show every entry up to this time, and there will be no other.

        The time must not lie after ``HistoryClock.moment``.
        """
        assert time <= self._clock.moment()
        self._clock.promise(time)
        if time >= self._projector.time:
            await self.until_projected(self._writer.head)
