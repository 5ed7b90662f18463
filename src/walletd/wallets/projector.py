"""The projector: folds durable entries into the read tables, a little later and many at a time.

    projector.extend(entries, frontier)                # right after a commit, synchronous
    await projector.reach(sequence)                    # before a read that must see the entry
    await projector.reach_unless_full(sequence)        # the same for a client, who is told where that may take long

It lingers for a moment before each transaction, because a wallet touched a hundred times meanwhile is then written
once; a reader that waits cuts the lingering short.  Where many wait, the next ones are folded while a thread writes.
What it has not projected yet is bounded: ``has_room``.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import trio

from walletd.journal.merkle import Frontier
from walletd.vocabulary.entries import Entry
from walletd.wallets.read_tables import Folded, Pace, Progress, ReadTables, ReadTablesFull, fold
from walletd.wallets.side_by_side import side_by_side
from walletd.wallets.watch import Watch

FULL_RETRY_SECONDS = 1.0
"""While there is no space for the read tables, they stand, and it is tried again after so long."""

LINGER_SECONDS = 0.25
"""How long a transaction waits for more entries, unless a reader waits for it: half as many are a quarter dearer."""

PAUSE_SECONDS = 0.0005
"""Between two turns of a fold that does not hurry: a thread that has a commit's result gets the interpreter's lock.

Whoever only gives way to other tasks has it back before the thread is awake, and the commit waits for the whole fold.
"""

MAX_BATCH = 4_000
"""About how many entries one transaction folds: a third of the time for each that a tenth as many would take."""


PACE_SECONDS = 0.25
"""So long at most a commit waits for a projector that is behind: one that cannot write must not hold anybody up."""

log = logging.getLogger(__name__)


class DurableEntry(NamedTuple):
    """An entry in the journal, with the bytes stored and their RFC 6962 leaf hash."""

    entry: Entry
    record: bytes
    leaf: bytes


class Commit(NamedTuple):
    """What one commit made durable, and the Merkle frontier behind it."""

    entries: Sequence[DurableEntry]
    frontier: Frontier


class _Ready(NamedTuple):
    """Entries that are folded, and not written yet."""

    batch: Sequence[DurableEntry]
    folded: Folded
    is_small: bool


class Projector:
    """Owns the read tables, which say themselves up to where they stand."""

    def __init__(
        self,
        tables: ReadTables,
        progress: Progress,
        *,
        max_backlog: int,
        on_projected: Callable[[Sequence[DurableEntry]], None],
        watch: Watch,
    ) -> None:
        self._tables = tables
        self._progress = progress
        self._max_backlog = max_backlog
        self._on_projected = on_projected
        self._watch = watch
        self._commits: deque[Commit] = deque()
        self._unfolded = 0
        """How many entries are in them."""
        self._ready: deque[_Ready] = deque()
        """One, or two where the next was folded while there was no space for the first."""
        self._folded = progress
        """The progress behind all that was folded."""
        self._backlog = 0
        self._arrived = trio.Event()
        self._urgent = trio.Event()
        self._advanced = trio.Event()
        self._full: ReadTablesFull | None = None
        """Why the read tables stand, until they advance again."""
        self.transactions = 0
        self.durable_sequence = progress.sequence
        """The last entry handed in."""

    @property
    def sequence(self) -> int:
        """The last entry that the read tables show."""
        return self._progress.sequence

    @property
    def time(self) -> datetime:
        """When the last entry that the read tables show was decided."""
        return self._progress.time

    @property
    def backlog(self) -> int:
        """How many durable entries the read tables do not show yet."""
        return self._backlog

    @property
    def has_room(self) -> bool:
        """Whether more may become durable before the projector has caught up."""
        return self._backlog < self._max_backlog

    @property
    def is_pressed(self) -> bool:
        """Whether more comes than it can keep up with, so that not much more should be let in."""
        return self._backlog >= self._max_backlog // 2

    @property
    def is_behind(self) -> bool:
        """Whether so little room is left that commits should wait for it."""
        return self._backlog >= self._max_backlog * 3 // 4

    async def catch_up(self) -> None:
        """Return once the projector is not behind, or after ``PACE_SECONDS``."""
        if self.is_behind:
            with trio.move_on_after(PACE_SECONDS):
                while self.is_behind:
                    self._urgent.set()
                    await self._advanced.wait()

    def extend(self, entries: Sequence[DurableEntry], frontier: Frontier) -> None:
        """Take in what one commit made durable, and the frontier behind it, which nobody changes any more."""
        assert entries[0].entry.sequence == self.durable_sequence + 1
        assert frontier.size == entries[-1].entry.sequence
        self._commits.append(Commit(entries, frontier))
        self._unfolded += len(entries)
        self._backlog += len(entries)
        self.durable_sequence = frontier.size
        self._arrived.set()

    async def reach(self, sequence: int) -> None:
        """Return once the read tables show this entry."""
        while self.sequence < sequence:
            self._urgent.set()
            await self._advanced.wait()

    async def reach_unless_full(self, sequence: int) -> None:
        """Return once the read tables show this entry.  Raises ReadTablesFull while they stand for want of space."""
        while self.sequence < sequence:
            if self._full is not None:
                raise ReadTablesFull(*self._full.args)
            self._urgent.set()
            await self._advanced.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Project until cancelled.  A transaction under way is finished first."""
        task_status.started()
        while True:
            await self._arrived.wait()
            if self._backlog < MAX_BATCH:
                with trio.move_on_after(LINGER_SECONDS):
                    await self._urgent.wait()
            with trio.CancelScope(shield=True):
                is_written = await self.project_some()
            if not is_written:
                await trio.sleep(FULL_RETRY_SECONDS)

    async def drain(self) -> None:
        """Project everything that is durable; for the end of the daemon, when ``run`` was cancelled.

        What finds no space is left to the next start.
        """
        while self._backlog and await self.project_some():
            pass

    async def project_some(self) -> bool:
        """One transaction: the oldest commits, as many as fit; whether there was space for it."""
        is_awaited, self._urgent = self._urgent.is_set(), trio.Event()
        if not self._ready:
            await self._fold_some(is_awaited=is_awaited)
        if self._unfolded < MAX_BATCH or len(self._ready) > 1:
            await self._write_some()
        else:
            await side_by_side(self._write_some, self._fold_some)
        return self._full is None

    async def _fold_some(self, *, is_awaited: bool = False) -> None:
        """Fold the oldest commits, as many as fit into one transaction, if there are any."""
        batch: list[DurableEntry] = []
        while self._commits and len(batch) < MAX_BATCH:
            entries, frontier = self._commits.popleft()
            batch.extend(entries)
        if not batch:
            return
        self._unfolded -= len(batch)
        pace = HURRIED if len(batch) >= MAX_BATCH else PROMPT if is_awaited else RELAXED
        self._folded = progress_after(self._folded, batch[-1].entry.sequence, frontier, batch[-1].entry.time)
        folded = await fold([durable.entry for durable in batch], self._folded, pace)
        self._ready.append(_Ready(batch, folded, is_small=len(batch) <= (MOST_PROMPT if is_awaited else MOST_RELAXED)))

    async def _write_some(self) -> None:
        """One transaction with what is ready, if anything is."""
        if not self._ready:
            return
        batch, folded, is_small = self._ready[0]
        try:
            with self._watch.waiting():
                await self._tables.write(folded, is_small=is_small)
        except ReadTablesFull as full:
            log.warning("the read tables stand at entry %d, and are tried again: %s", self.sequence, full)
            self._full = full
            self._wake()
        else:
            self._ready.popleft()
            self._advance(folded.progress, batch)

    def _advance(self, progress: Progress, batch: Sequence[DurableEntry]) -> None:
        self._progress = progress
        self._full = None
        self._backlog -= len(batch)
        self.transactions += 1
        if not self._backlog:
            self._arrived = trio.Event()
        self._wake()
        self._on_projected(batch)

    def _wake(self) -> None:
        """Have everybody who waits look again."""
        advanced, self._advanced = self._advanced, trio.Event()
        advanced.set()


async def _pause() -> None:
    await trio.sleep(PAUSE_SECONDS)


RELAXED = Pace(128, _pause)
MOST_RELAXED = 64
"""So many entries may be written on the event loop."""

PROMPT = Pace(256, trio.lowlevel.checkpoint)
MOST_PROMPT = 256
"""A reader waits: some milliseconds of the event loop are less than what a thread needs to get the interpreter."""

HURRIED = Pace(256, trio.lowlevel.checkpoint)
"""Behind a full batch more waits, and while the daemon is pressed a turn comes only after everybody else had theirs."""


def progress_after(progress: Progress, sequence: int, frontier: Frontier, time: datetime) -> Progress:
    """The progress once the entries up to ``sequence`` are folded."""
    assert frontier.size == sequence
    return progress._replace(sequence=sequence, frontier=frontier.to_bytes(), time=time)
