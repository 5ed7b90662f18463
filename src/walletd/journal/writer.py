"""The journal writer: many entries, one commit.

The promise: an entry is *tentative* from ``append`` on and *durable* when its segment's commit has returned; in
between, no answer reveals it.  Entries queued during a commit become the next segment.

    pending = writer.append(writer.head + 1, record, context)      # no await: decide, append, and go on deciding
    writer.when_durable(pending.sequence, reply)                   # reply(True) after the commit, in sequence order
    nursery.start_soon(writer.run)

    writer.attend()                                                # a caller with a whole turn of the event loop:
    ...                                                            # entries appended in it
    writer.commit_now()                                            # are committed at its end, if the disk is fast

After each commit, without an await in between: the durable head moves; ``Outcome.durable`` gets the whole batch, in
sequence order; then the waiters for its sequences are called, by sequence, and per sequence in order of arrival.

A commit can end in three ways.  It returns.  Or it is certain that nothing was written (JournalFull): then all
tentative entries are rolled back, because they were decided on top of the lost ones, and nothing is accepted until a
probe reports that writing works.  Or nothing is certain: then the process ends, because no answer would be safe.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, NoReturn, Protocol, TypeVar

import trio

from walletd.journal.counters import CommitCounters
from walletd.journal.failures import (
    JournalFull,
)
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.journal.segment import Segment, is_record, seal
from walletd.journal.store import Head, JournalStore
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


Context = TypeVar("Context")


class Pending(Generic[Context]):
    """An entry on its way to the disk.  ``leaf`` is its hash in the Merkle tree; ``context`` is the caller's own."""

    __slots__ = ("context", "leaf", "record", "sequence")

    def __init__(self, sequence: int, record: bytes, leaf: bytes, context: Context) -> None:
        self.sequence = sequence
        self.record = record
        self.leaf = leaf
        self.context = context

    def __repr__(self) -> str:
        return f"<Pending {self.sequence}>"


Waiter = Callable[[bool], None]


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


class JournalWriter(Generic[Context]):
    """The one writer of a journal: it owns the head, the frontier and the order of everything."""

    def __init__(
        self,
        store: JournalStore,
        frontier: Frontier,
        head: Head,
        *,
        outcome: Outcome[Context],
        pace: Pace | None = None,
        die: Callable[[str], NoReturn] = end_process,
        max_queue_entries: int = MAX_QUEUE_ENTRIES,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
        max_segment_entries: int = MAX_SEGMENT_ENTRIES,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        watchdog_seconds: float = WATCHDOG_SECONDS,
        probe_interval_seconds: float = PROBE_INTERVAL_SECONDS,
        closing_seconds: float = CLOSING_SECONDS,
        seconds: Callable[[], float] = trio.current_time,
    ) -> None:
        """``seconds``: the clock that measures the duration of a commit."""
        assert frontier.size == head.sequence
        assert frontier.root() == head.root
        self._store = store
        self._frontier = frontier.copy()  # of the durable entries
        self._durable_head = head.sequence
        self._head = head.sequence
        self._queue: deque[Pending[Context]] = deque()
        self._undurable_bytes = 0
        self._waiters: dict[int, list[Waiter]] = {}
        self._outcome = outcome
        self._pace = pace
        self._die = die
        self._max_queue_entries = max_queue_entries
        self._max_queue_bytes = max_queue_bytes
        self._max_segment_entries = max_segment_entries
        self._max_segment_bytes = max_segment_bytes
        self._watchdog_seconds = watchdog_seconds
        self._probe_interval_seconds = probe_interval_seconds
        self._closing_seconds = closing_seconds
        self._seconds = seconds
        self._work = trio.Event()
        self._is_attended = False
        self._is_idle = False
        """True if ``run`` waits for work, and nothing else is done."""
        self._failed: tuple[_Sealed[Context], Exception] | None = None
        """The segment that ``commit_now`` could not append, for ``run`` to find out what that means."""
        self._degraded: JournalFull | None = None
        self._closed = False
        self.counters = CommitCounters()

    @property
    def head(self) -> int:
        """The tentative head: the last sequence issued."""
        return self._head

    @property
    def durable_head(self) -> int:
        """The last sequence that answers may reveal."""
        return self._durable_head

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
        return self._degraded

    def has_room(self) -> bool:
        """True if an entry may be appended.  Ask before deciding: an entry that cannot be appended must not be
        decided.
        """
        return (
            self._degraded is None
            and not self._closed
            and self._head - self._durable_head < self._max_queue_entries
            and self._undurable_bytes < self._max_queue_bytes
        )

    @property
    def is_busy(self) -> bool:
        """True if a full commit waits for the disk: work that can wait had better not be appended."""
        return self._undurable_bytes >= self._max_segment_bytes

    def append(self, sequence: int, record: bytes, context: Context) -> Pending[Context]:
        """Queue the next entry; ``sequence`` is the one in the record and must be the head's successor."""
        assert self.has_room()
        assert sequence == self._head + 1
        assert is_record(record)
        pending = Pending(sequence, record, leaf_hash(record), context)
        self._queue.append(pending)
        self._undurable_bytes += len(record)
        self._head = sequence
        if not self._is_attended:
            self._work.set()
        return pending

    def attend(self) -> None:
        """Promise to call ``commit_now`` before the event loop's next turn: until then no task is woken."""
        self._is_attended = True

    def commit_now(self) -> None:
        """Commit the appended entries in this very turn, if no commit is running and the disk is fast."""
        self._is_attended = False
        if not self._queue:
            return
        if self._is_idle and self._store.is_quick(self._undurable_bytes) and not (self._pace and self._pace.is_behind):
            sealed = self._sealed()
            try:
                self._store.append_now(self._durable_head, sealed.segment)
            except Exception as error:
                self._failed = sealed, error
            else:
                self._committed(sealed)
        if self._queue or self._failed or self._store.checkpoint_due:
            self._is_idle = False
            self._work.set()

    def when_durable(self, sequence: int, callback: Waiter) -> None:
        """Call back with True once the entry is durable (now, if it is), or with False when it was rolled back.

        An answer that only *saw* tentative state waits for it in the same way: pass the head it saw.
        """
        assert 0 <= sequence <= self._head
        if sequence <= self._durable_head:
            callback(True)
        else:
            self._waiters.setdefault(sequence, []).append(callback)

    async def drain(self) -> None:
        """Wait until everything appended so far, and meanwhile, is durable or rolled back."""
        while self._durable_head < self._head:
            await self._settled(self._head).wait()

    def _settled(self, sequence: int) -> trio.Event:
        """An event that is set when the entry is durable or rolled back."""
        settled = trio.Event()
        self.when_durable(sequence, lambda _is_durable: settled.set())
        return settled

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; then write the queue, shielded, for a bounded time, and accept nothing more."""
        task_status.started()
        try:
            while True:
                if self._degraded is not None:
                    await trio.sleep(self._probe_interval_seconds)
                    await self._probe()
                else:
                    self._is_idle = not self._work.is_set()
                    await self._work.wait()
                    self._is_idle = False
                    await self._commit_queue()
        except trio.Cancelled:
            self._is_idle = False
            deadline = trio.current_time() + self._closing_seconds
            while (self._queue or self._failed) and trio.current_time() < deadline:
                await self._commit()
            raise
        finally:
            self._closed = True

    async def _commit_queue(self) -> None:
        """Commit until nothing is queued, no faster than ``pace`` lets it; a cancellation gets its turn in between."""
        await self._fold_if_due()
        while self._queue or self._failed:
            await self._commit()
            await self._fold_if_due()
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._pace is not None:
                await self._pace.catch_up()
        self._work = trio.Event()

    async def _fold_if_due(self) -> None:
        if self._store.checkpoint_due:
            await self._watched(self._store.checkpoint)

    async def _commit(self) -> None:
        """Make one segment of the queue, durable or not."""
        failed, self._failed = self._failed, None
        sealed = self._sealed() if failed is None else failed[0]
        try:
            if failed is None:
                await self._watched(self._store.append, self._durable_head, sealed.segment)
            else:
                await self._watched(self._store.explain, failed[1])
        except JournalFull as full:
            self._roll_back(sealed.batch, full)
            return
        self._committed(sealed)

    def _sealed(self) -> _Sealed[Context]:
        """The next segment."""
        batch = self._take()
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

    def _take(self) -> list[Pending[Context]]:
        """The entries of the next segment, at least one, from the front of the queue."""
        batch: list[Pending[Context]] = []
        size = 0
        while self._queue and len(batch) < self._max_segment_entries:
            size += len(self._queue[0].record)
            if batch and size > self._max_segment_bytes:
                break
            batch.append(self._queue.popleft())
        assert batch
        assert batch[0].sequence == self._durable_head + 1
        return batch

    def _deliver(self, batch: list[Pending[Context]]) -> None:
        """The commit has returned: report it, without an await before the last receiver."""
        self._durable_head = batch[-1].sequence
        self._undurable_bytes -= sum(len(pending.record) for pending in batch)
        assert self._durable_head == self._frontier.size <= self._head
        try:
            self._outcome.durable(batch)
            for pending in batch:
                for waiter in self._waiters.pop(pending.sequence, ()):
                    waiter(True)
            if not self._queue:
                self._outcome.idle()
        except Exception:
            self._end("what was durable could not be delivered")

    def _roll_back(self, batch: list[Pending[Context]], full: JournalFull) -> None:
        """Nothing was written, for certain: take back everything tentative, because all of it was decided on top."""
        rolled_back = [*batch, *self._queue]
        assert rolled_back[-1].sequence == self._head
        self._queue.clear()
        self._undurable_bytes = 0
        self._head = self._durable_head
        self._degraded = full
        self._work = trio.Event()
        self.counters.rollbacks += 1
        waiters, self._waiters = self._waiters, {}
        log.error("the journal accepts no writes, %d entries rolled back: %s", len(rolled_back), full)
        try:
            self._outcome.rolled_back(rolled_back, full)
            for sequence in sorted(waiters):
                for waiter in waiters[sequence]:
                    waiter(False)
        except Exception:
            self._end("what was rolled back could not be delivered")

    async def _probe(self) -> None:
        """Ask the store whether it can write again; if so, accept entries again."""
        self.counters.probes += 1
        try:
            await self._watched(self._store.probe)
        except JournalFull as full:
            self._degraded = full
            return
        self._degraded = None
        log.warning("the journal accepts writes again")
        self._outcome.writable()

    async def _watched(self, call: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Await a call of the store, shielded.  JournalFull passes; any other failure, or silence, ends the process.

        The deadline is a watchdog: a dead worker thread never answers, and its caller would wait without end.
        """
        patience = trio.CancelScope(deadline=trio.current_time() + self._watchdog_seconds, shield=True)
        try:
            with patience:
                await call(*arguments)
        except JournalFull:
            raise
        except BaseException as failure:
            self._end(str(failure) or repr(failure))
        if patience.cancelled_caught:
            self._die(f"the journal has not answered for {self._watchdog_seconds:g} s")

    def _end(self, reason: str) -> NoReturn:
        log.critical("%s", reason, exc_info=True)
        self._die(reason)
