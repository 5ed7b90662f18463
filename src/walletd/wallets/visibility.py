"""Visibility: waits until an entry is durable, or until the read tables show it.

await visibility.until_durable(sequence)
await visibility.until_projected(sequence)
await visibility.until_passed(time)                # the read tables show every entry of this time or before it
"""

from datetime import datetime

import trio

from walletd.journal.writer import JournalWriter
from walletd.tables.projector import Projector
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.submission import Submission


class Visibility:
    """The progress of the journal and the read tables, for tasks that wait for it."""

    __slots__ = ("_clock", "_projector", "_writer")

    def __init__(self, writer: JournalWriter[Submission], projector: Projector, clock: HistoryClock) -> None:
        self._writer = writer
        self._projector = projector
        self._clock = clock

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
