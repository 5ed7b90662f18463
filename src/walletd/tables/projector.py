"""The projector: folds durable entries into the read tables, a little later and many at a time.

    projector.extend(entries, frontier)                # right after a commit, synchronous
    projector.fold_at_once()                           # once its answers are written, synchronous
    await projector.reach(sequence)                    # before a read that must see the entry
    await projector.reach_unless_full(sequence)        # the same for a client, who is told if that may take long

It lingers briefly before each transaction, because a wallet touched a hundred times meanwhile is then written once; a
waiting reader cuts the lingering short.  Entries are folded as they come, even while a thread writes the previous ones,
so that a reader waits for the writing only; if many wait, folding takes turns with all other tasks.  The number of
entries not yet projected is bounded: ``taken``.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import trio

from walletd.journal.history import DurableEntry
from walletd.journal.merkle import Frontier
from walletd.runtime.concurrently import concurrently
from walletd.runtime.silence_watch import SilenceWatch
from walletd.tables.backlog import Backlog, Batch
from walletd.tables.writer import Folded, Progress, ReadTables, ReadTablesStand, folded

FULL_RETRY_SECONDS = 1.0
"""The delay before another attempt while the read tables have no space, or another program has them locked."""

LINGER_SECONDS = 0.25
"""The time that a transaction waits for more entries, unless a reader waits for it: with half as many, each costs a
quarter more.
"""

PAUSE_SECONDS = 0.0005
"""The pause between two turns of a fold that does not hurry: a thread with a commit's result gets the interpreter's
lock.

A mere yield to other tasks would take the lock back before the thread is awake, and the commit would wait for the whole
fold.
"""

PROMPT_BYTES = 256 * 1024
"""A larger transaction is made by a thread, however few its entries are."""

HURRIED_TURN = 256
"""The number of entries folded before other tasks run: some milliseconds."""

RELAXED_TURN = 128
"""The same if no reader waits and nothing presses."""

MAX_PROMPT = 256
"""The largest transaction, in entries, that the event loop makes for a waiting reader: some milliseconds are less than
a thread needs to get the interpreter.
"""

MAX_RELAXED = 64
"""The same if no reader waits."""

log = logging.getLogger("walletd.wallets")


class _Ready(NamedTuple):
    """The content of one transaction."""

    entries: Sequence[DurableEntry]
    folded: Folded
    is_small: bool


class Projector:
    """Owns the read tables, which record their own progress."""

    def __init__(
        self,
        tables: ReadTables,
        progress: Progress,
        *,
        max_backlog: int,
        on_projected: Callable[[Sequence[DurableEntry]], None],
        watch: SilenceWatch,
    ) -> None:
        self._tables = tables
        self._progress = progress
        self._on_projected = on_projected
        self._watch = watch
        self._backlog = Backlog(progress.sequence, max_backlog)
        self._batch = Batch()
        self._ready: _Ready | None = None
        """The transaction that is written now, or tried again."""
        self._arrived = trio.Event()
        self._urgent = trio.Event()
        self._advanced = trio.Event()
        self._full: ReadTablesStand | None = None
        """The reason why the read tables are stalled, until they advance again."""
        self.transactions = 0

    @property
    def sequence(self) -> int:
        """The last entry that the read tables show."""
        return self._progress.sequence

    @property
    def time(self) -> datetime:
        """The time of the last entry that the read tables show."""
        return self._progress.time

    @property
    def backlog(self) -> int:
        """The number of durable entries that the read tables do not show yet."""
        return self._backlog.entries

    @property
    def durable_sequence(self) -> int:
        """The last entry passed in."""
        return self._backlog.durable_sequence

    @property
    def taken(self) -> float:
        """The share of its room that the backlog takes: at 1, no more may become durable before it has caught up."""
        return self._backlog.taken

    async def advance(self) -> None:
        """Have the next transaction begin, and return when it was made or tried."""
        self._urgent.set()
        await self._advanced.wait()

    def extend(self, entries: Sequence[DurableEntry], frontier: Frontier) -> None:
        """Add the entries that one commit made durable, and the frontier after it, which no longer changes."""
        self._backlog.extend(entries, frontier)
        self._arrived.set()

    def fold_at_once(self) -> None:
        """Fold the entries that have arrived, unless so many wait that other tasks should run first."""
        if not self._backlog.has_a_batch:
            self._backlog.fold_into(self._batch, self._backlog.unfolded)

    async def reach(self, sequence: int) -> None:
        """Return once the read tables show this entry."""
        while self.sequence < sequence:
            self._urgent.set()
            await self._advanced.wait()

    async def reach_unless_full(self, sequence: int) -> None:
        """Return once the read tables show this entry.  Raises ReadTablesStand while they take no writes."""
        while self.sequence < sequence:
            if self._full is not None:
                raise type(self._full)(*self._full.args)
            self._urgent.set()
            await self._advanced.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Project until cancelled.  A running transaction is finished first."""
        task_status.started()
        while True:
            await self._arrived.wait()
            if not self._backlog.has_a_batch:
                with trio.move_on_after(LINGER_SECONDS):
                    await self._urgent.wait()
            with trio.CancelScope(shield=True):
                is_written = await self.project_some()
            if not is_written:
                await trio.sleep(FULL_RETRY_SECONDS)

    async def drain(self) -> None:
        """Project everything that is durable; for the end of the daemon, after ``run`` was cancelled.

        Entries that find no space are left to the next start.
        """
        while self.backlog and await self.project_some():
            pass

    async def project_some(self) -> bool:
        """One transaction: the oldest commits, as many as fit; returns whether there was space for it."""
        is_awaited, self._urgent = self._urgent.is_set(), trio.Event()
        if self._ready is None:
            self._ready = await self._next(is_awaited=is_awaited)
        if self._full is not None or not self._backlog.has_another_batch:
            await self._write()
        else:
            await concurrently(self._write, self._fold_along)
        return self._full is None

    async def _next(self, *, is_awaited: bool) -> _Ready:
        """The next transaction, with everything that is durable by now and fits."""
        batch, backlog = self._batch, self._backlog
        batch.end_at(backlog.durable_sequence)
        is_hurried = is_awaited or backlog.has_a_batch
        turn = HURRIED_TURN if is_hurried else RELAXED_TURN
        backlog.fold_into(batch, turn)
        while not batch.is_closed:
            await trio.sleep(0 if is_hurried else PAUSE_SECONDS)
            backlog.fold_into(batch, turn)
        self._batch = Batch()
        assert batch.reached is not None
        last = batch.entries[-1].entry
        progress = progress_after(self._progress, last.sequence, batch.reached, last.time)
        most = MAX_PROMPT if is_awaited else MAX_RELAXED
        is_small = len(batch.entries) <= most and batch.bytes <= PROMPT_BYTES
        return _Ready(batch.entries, folded(batch.folding, progress), is_small)

    async def _fold_along(self) -> None:
        """Fold the next transaction while the previous one is written."""
        while self._backlog.unfolded and not self._batch.is_closed:
            self._backlog.fold_into(self._batch, HURRIED_TURN)
            await trio.lowlevel.checkpoint()

    async def _write(self) -> None:
        ready = self._ready
        assert ready is not None
        try:
            with self._watch.waiting():
                await self._tables.write(ready.folded, is_small=ready.is_small)
        except ReadTablesStand as full:
            log.warning("read tables stalled at entry %d, retrying: %s", self.sequence, full)
            self._full = full
            self._wake()
        else:
            self._ready = None
            self._advance(ready.folded.progress, ready.entries)

    def _advance(self, progress: Progress, entries: Sequence[DurableEntry]) -> None:
        self._progress = progress
        self._full = None
        self._backlog.shown(entries)
        self.transactions += 1
        if not self.backlog:
            self._arrived = trio.Event()
        self._wake()
        self._on_projected(entries)

    def _wake(self) -> None:
        """Wake all waiting tasks to check again."""
        advanced, self._advanced = self._advanced, trio.Event()
        advanced.set()


def progress_after(progress: Progress, sequence: int, frontier: Frontier, time: datetime) -> Progress:
    """The progress after folding the entries up to ``sequence``."""
    assert frontier.size == sequence
    return progress._replace(sequence=sequence, frontier=frontier.to_bytes(), time=time)
