"""The journal writer: many entries, one commit.

The promise: an entry is *tentative* from ``append`` on and *durable* when its segment's commit has returned; in
between, no answer reveals it.  Entries queued during a commit become the next segment.

    pending = writer.append(writer.head + 1, record, context)      # no await: decide, append, and go on deciding
    writer.when_durable(pending.sequence, reply)                   # reply(True) after the commit, in sequence order
    nursery.start_soon(writer.run)

    writer.attend()                                                # a caller with a whole pass of the event loop:
    ...                                                            # entries appended in it
    writer.commit_now()                                            # are committed at its end, if the disk is fast

After each commit, without an await in between: the durable head moves; ``Outcome.durable`` gets the whole batch, in
sequence order; then the waiters for its sequences are called, by sequence, and per sequence in order of arrival.

A commit can end in three ways.  It returns.  Or it is certain that nothing was written (JournalFull): then all
tentative entries are rolled back, because they were decided on top of the lost ones, and nothing is accepted until a
probe reports that writing works.  Or nothing is certain: then the process ends, because no answer would be safe.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, NoReturn, Protocol

import trio

from walletd.journal.counters import CommitCounters
from walletd.journal.failures import (
    JournalFull,
)
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.journal.queue import Context, Pending, Queue, Waiter
from walletd.journal.segment import Segment, is_record, seal
from walletd.journal.store import AppendsAtOnce, HasReserve, Head, JournalStore, KeepsHouse
from walletd.journal.watchdog import Watchdog
from walletd.runtime.ending import end_process
from walletd.vocabulary.sizes import MAX_SEGMENT_BYTES

log = logging.getLogger("walletd.journal")

MAX_QUEUE_ENTRIES = 65_536
"""Entries that may be lost, and must be held in memory, when a commit takes long."""
MAX_QUEUE_BYTES = 64 * 1024 * 1024
MAX_SEGMENT_ENTRIES = 4_096
"""Sealing blocks the loop: about 2 µs an entry."""
WATCHDOG_SECONDS = 30.0
PROBE_INTERVAL_SECONDS = 1.0
CLOSING_SECONDS = 30.0
"""Less than what systemd allows for stopping."""


class Outcome(Protocol[Context]):
    """Receives the outcome of entries from the writer; nothing in here may await, or raise."""

    def durable(self, commit: Sequence[Pending[Context]]) -> None:
        """A segment is durable; these are its entries, in order."""
        ...

    def rolled_back(self, undone: Sequence[Pending[Context]], why: JournalFull) -> None:
        """These entries, everything tentative, were certainly not written."""
        ...

    def writable(self) -> None:
        """Entries are accepted again after a roll-back."""
        ...

    def idle(self) -> None:
        """Everything was delivered, and nothing is queued."""
        ...


class Pace(Protocol):
    """A follower of the commits, which may ask them to wait."""

    @property
    def is_behind(self) -> bool:
        """True if commits should wait."""
        ...

    async def catch_up(self) -> None:
        """Return when they need not, or after a moment."""
        ...


class _Sealed(NamedTuple, Generic[Context]):
    """A segment on its way to the disk, its entries, and the frontier after it."""

    batch: list[Pending[Context]]
    segment: Segment
    frontier: Frontier
    began: float


class WriterLimits(NamedTuple):
    """The limits on the queue, on one segment, and on time."""

    max_queue_entries: int = MAX_QUEUE_ENTRIES
    max_queue_bytes: int = MAX_QUEUE_BYTES
    max_segment_entries: int = MAX_SEGMENT_ENTRIES
    max_segment_bytes: int = MAX_SEGMENT_BYTES
    watchdog_seconds: float = WATCHDOG_SECONDS
    probe_interval_seconds: float = PROBE_INTERVAL_SECONDS
    closing_seconds: float = CLOSING_SECONDS

    def queue_after(self, head: int) -> Queue[Context]:
        """An empty queue with room for as much."""
        return Queue(head, self.max_queue_entries, self.max_queue_bytes)


DEFAULT_LIMITS = WriterLimits()


class _Passes(Generic[Context]):
    """Commits in the very pass of the event loop in which their entries were appended, if the store can."""

    __slots__ = ("failed", "is_attended", "is_idle", "store")

    def __init__(self, store: JournalStore) -> None:
        self.store = store if isinstance(store, AppendsAtOnce) else None
        self.is_attended = False
        """True if ``commit_now`` is going to be called."""
        self.is_idle = False
        """True if ``run`` waits for work, and nothing else is done."""
        self.failed: tuple[_Sealed[Context], Exception] | None = None
        """The segment that could not be appended in a pass, for ``run`` to find out what that means."""


class JournalWriter(Generic[Context]):
    """The one writer of a journal: it owns the head, the frontier and the order of everything."""

    def __init__(
        self,
        store: JournalStore,
        frontier: Frontier,
        head: Head,
        *,
        outcome: Outcome[Context],
        queue: Queue[Context] | None = None,
        pace: Pace | None = None,
        die: Callable[[str], NoReturn] = end_process,
        limits: WriterLimits = DEFAULT_LIMITS,
        seconds: Callable[[], float] = trio.current_time,
    ) -> None:
        """``queue``: given where others look into it.  ``seconds``: the clock that measures how long a commit takes."""
        assert frontier.size == head.sequence
        assert frontier.root() == head.root
        self._store = store
        self._housekeeping = store if isinstance(store, KeepsHouse) else None
        self._passes: _Passes[Context] = _Passes(store)
        self._frontier = frontier.copy()
        """Of the durable entries."""
        self._queue: Queue[Context] = limits.queue_after(head.sequence) if queue is None else queue
        assert self._queue.head == head.sequence
        self._outcome = outcome
        self._pace = pace
        self._watchdog = Watchdog(die, limits.watchdog_seconds)
        self._limits = limits
        self._seconds = seconds
        self._work = trio.Event()
        self.counters = CommitCounters()

    @property
    def head(self) -> int:
        """The tentative head: the last sequence issued."""
        return self._queue.head

    @property
    def durable_head(self) -> int:
        """The last sequence that answers may reveal."""
        return self._queue.durable_head

    @property
    def frontier(self) -> Frontier:
        """The Merkle frontier over everything durable; the next commit leaves it unchanged, and makes its own."""
        return self._frontier

    @property
    def root(self) -> bytes:
        """The Merkle root over everything durable."""
        return self._frontier.root()

    @property
    def degraded(self) -> JournalFull | None:
        """The reason why no entries are accepted now, or None."""
        return self._queue.degraded

    def has_room(self, *, reserved: bool = False) -> bool:
        """True if an entry may be appended.  Ask before deciding: an entry that cannot be appended must not be
        decided.
        """
        return self._queue.has_room(reserved=reserved)

    @property
    def is_busy(self) -> bool:
        """True if a full commit waits for the disk: work that can wait had better not be appended."""
        return self._queue.undurable_bytes >= self._limits.max_segment_bytes

    def append(self, sequence: int, record: bytes, context: Context, *, reserved: bool = False) -> Pending[Context]:
        """Queue the next entry; ``sequence`` is the one in the record and must be the head's successor.

        ``reserved``: it may use the places, and on a full disk the space, that are kept for such entries.
        """
        queue = self._queue
        assert queue.has_room(reserved=reserved)
        assert sequence == queue.head + 1
        assert is_record(record)
        pending = Pending(sequence, record, leaf_hash(record), context)
        queue.append(pending)
        if not self._passes.is_attended:
            self._work.set()
        return pending

    def attend(self) -> None:
        """Promise to call ``commit_now`` before the event loop's next pass: until then no task is woken."""
        self._passes.is_attended = True

    def commit_now(self) -> None:
        """Commit the appended entries in this very pass, if no commit is running and the disk is fast."""
        passes, queue = self._passes, self._queue
        passes.is_attended = False
        if not queue.entries:
            return
        store = passes.store if passes.is_idle else None
        if store is not None and store.is_quick(queue.undurable_bytes) and not (self._pace and self._pace.is_behind):
            sealed = self._sealed()
            try:
                store.append_now(queue.durable_head, sealed.segment)
            except Exception as error:
                passes.failed = sealed, error
            else:
                self._committed(sealed)
        if queue.entries or passes.failed or self._is_housekeeping_due:
            passes.is_idle = False
            self._work.set()

    def follow(self, why: JournalFull) -> None:
        """Accept nothing until ``lead``: another node writes this journal."""
        assert not self._queue.entries
        self._queue.degraded, self._queue.is_closed = why, True

    def followed(self, frontier: Frontier) -> None:
        """Note that the other node has written up to here; the frontier no longer changes."""
        queue = self._queue
        assert queue.is_closed
        assert queue.head == queue.durable_head
        queue.head = queue.durable_head = frontier.size
        self._frontier = frontier

    def lead(self) -> None:
        """Accept entries from now on: this node alone writes the journal, which ends where ``followed`` said."""
        self._queue.degraded, self._queue.is_closed = None, False

    def when_durable(self, sequence: int, callback: Waiter) -> None:
        """Call back with True once the entry is durable (now, if it is), or with False when it was rolled back.

        An answer that only *saw* tentative state waits for it in the same way: pass the head it saw.
        """
        self._queue.when_durable(sequence, callback)

    async def drain(self) -> None:
        """Wait until everything appended so far, and meanwhile, is durable or rolled back."""
        while self.durable_head < self.head:
            await self._settled(self.head).wait()

    def _settled(self, sequence: int) -> trio.Event:
        """An event that is set when the entry is durable or rolled back."""
        settled = trio.Event()
        self.when_durable(sequence, lambda _is_durable: settled.set())
        return settled

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; then write the queue, shielded, for a bounded time, and accept nothing more."""
        passes, queue = self._passes, self._queue
        task_status.started()
        try:
            while True:
                if queue.degraded is not None:
                    if not queue.entries:
                        with trio.move_on_after(self._limits.probe_interval_seconds):
                            await self._work.wait()
                    await (self._commit_reserved() if queue.entries else self._probe())
                else:
                    passes.is_idle = not self._work.is_set()
                    await self._work.wait()
                    passes.is_idle = False
                    await self._commit_queue()
        except trio.Cancelled:
            passes.is_idle = False
            deadline = trio.current_time() + self._limits.closing_seconds
            while (queue.entries or passes.failed) and trio.current_time() < deadline:
                await self._commit()
            raise
        finally:
            queue.is_closed = True

    async def _commit_queue(self) -> None:
        """Commit until nothing is queued, no faster than ``pace`` lets it; a cancellation gets its turn in between."""
        await self._keep_house()
        while self._passes.failed or (self._queue.entries and self._queue.degraded is None):
            await self._commit()
            await self._keep_house()
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._pace is not None:
                await self._pace.catch_up()
        self._work = trio.Event()

    @property
    def _is_housekeeping_due(self) -> bool:
        return self._housekeeping is not None and self._housekeeping.checkpoint_due

    async def _keep_house(self) -> None:
        if self._housekeeping is not None and self._housekeeping.checkpoint_due:
            await self._watchdog.call(self._housekeeping.checkpoint)

    async def _commit(self) -> None:
        """Make one segment of the queue, durable or not."""
        failed, self._passes.failed = self._passes.failed, None
        sealed = self._sealed() if failed is None else failed[0]
        try:
            if failed is None:
                await self._watchdog.call(self._store.append, self.durable_head, sealed.segment)
            else:
                assert self._passes.store is not None
                await self._watchdog.call(self._passes.store.explain, failed[1])
        except JournalFull as full:
            self._roll_back(sealed.batch, full)
            return
        self._committed(sealed)

    async def _commit_reserved(self) -> None:
        """Make one segment of the entries that a full disk must take, in the reserve's space."""
        sealed = self._sealed()
        self._work = trio.Event()
        try:
            if not isinstance(self._store, HasReserve):
                raise JournalFull("the journal has no reserve")
            await self._watchdog.call(self._store.append_reserved, self.durable_head, sealed.segment)
        except JournalFull as full:
            self._roll_back(sealed.batch, full)
            return
        self._committed(sealed)

    def _sealed(self) -> _Sealed[Context]:
        """The next segment."""
        batch = self._queue.take(self._limits.max_segment_entries, self._limits.max_segment_bytes)
        frontier = self._frontier.copy()
        segment = seal(
            frontier,
            batch[0].sequence,
            self._store.epoch,
            [pending.record for pending in batch],
            [pending.leaf for pending in batch],
        )
        return _Sealed(batch, segment, frontier, self._seconds())

    def _committed(self, sealed: _Sealed[Context]) -> None:
        segment = sealed.segment
        self.counters.count_commit(segment.count, len(segment.body), self._seconds() - sealed.began)
        self._frontier = sealed.frontier
        self._deliver(sealed.batch)

    def _deliver(self, batch: list[Pending[Context]]) -> None:
        """The commit has returned: report it, without an await before the last receiver."""
        queue = self._queue
        queue.durable(batch)
        assert queue.durable_head == self._frontier.size
        try:
            self._outcome.durable(batch)
            for pending in batch:
                for waiter in queue.waiters_for(pending.sequence):
                    waiter(True)
            if not queue.entries:
                self._outcome.idle()
        except Exception:
            self._watchdog.end("what was durable could not be delivered")

    def _roll_back(self, batch: list[Pending[Context]], full: JournalFull) -> None:
        """Nothing was written, for certain: take back everything tentative, because all of it was decided on top."""
        undone, waiters = self._queue.undo(batch)
        self._queue.degraded = full
        self._work = trio.Event()
        self.counters.rollbacks += 1
        log.error("the journal accepts no writes, %d entries rolled back: %s", len(undone), full)
        try:
            self._outcome.rolled_back(undone, full)
            for waiter in waiters:
                waiter(False)
        except Exception:
            self._watchdog.end("what was rolled back could not be delivered")

    async def _probe(self) -> None:
        """Ask the store whether it can write again; if so, accept entries again."""
        self.counters.probes += 1
        try:
            await self._watchdog.call(self._store.probe)
        except JournalFull as full:
            self._queue.degraded = full
            return
        self._queue.degraded = None
        log.warning("the journal accepts writes again")
        self._outcome.writable()
