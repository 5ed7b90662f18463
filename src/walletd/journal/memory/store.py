"""The journal in memory, with the behaviour of the real one, for tests and simulation.

The promise: it passes the contract tests of every ``JournalStore``, and fails when, and as, a test demands.  The list
of segments given to it is the disk: a second store over the same list is the same journal after a restart.

    disk: list[Segment] = []
    store = MemoryJournalStore(disk)
    store.faults.append("unknown_applied")      # the next append is written, but the caller does not learn it
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import trio

from walletd.journal.failures import HeadMoved, JournalCorrupt, JournalFull, OutcomeUnknown
from walletd.journal.merkle import EMPTY_ROOT
from walletd.journal.segment import Segment, check, records
from walletd.journal.store import FIRST_EPOCH, READ_LIMIT_BYTES, Head
from walletd.vocabulary.histories import FIRST_HISTORY, Histories

Fault = Literal["full", "unknown_applied", "unknown_not_applied"]


class MemoryJournalStore:
    """A ``JournalStore`` without a disk."""

    def __init__(
        self,
        disk: list[Segment] | None = None,
        *,
        instance: str = "memory",
        epoch: int = FIRST_EPOCH,
        histories: Histories = FIRST_HISTORY,
        latency: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.disk: list[Segment] = [] if disk is None else disk
        self.faults: deque[Fault | None] = deque()  # one for each append to come; None: that append succeeds
        self.is_full = False  # while true, appends and probes raise JournalFull
        self.reserve = 0  # the number of entries that may be appended although it is full
        self.fenced_by_epoch: int | None = None  # the epoch of a later writer that has taken over
        self._instance = instance
        self._epoch = epoch
        self._histories = histories
        self._latency = latency

    @property
    def instance(self) -> str:
        return self._instance

    @property
    def created_at(self) -> int:
        return 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def histories(self) -> Histories:
        return self._histories

    async def append(self, expected_head: int, segment: Segment) -> None:
        await trio.lowlevel.checkpoint()
        if self._latency is not None:
            await self._latency()
        self._append(expected_head, segment)

    def _append(self, expected_head: int, segment: Segment) -> None:
        assert segment.first_sequence == expected_head + 1
        fault = self.faults.popleft() if self.faults else None
        if self.is_full or fault == "full":
            raise JournalFull("the memory is said to be full")
        if fault == "unknown_not_applied":
            raise OutcomeUnknown("the memory does not say")
        if self.fenced_by_epoch is not None or expected_head != self._head_sequence():
            raise HeadMoved(f"the journal does not end at {expected_head} in epoch {self.epoch}")
        self.disk.append(segment)
        if fault == "unknown_applied":
            raise OutcomeUnknown("the memory does not say")

    async def append_reserved(self, expected_head: int, segment: Segment) -> None:
        await trio.lowlevel.checkpoint()
        if self.reserve < segment.count:
            raise JournalFull("the reserve of the memory is used up")
        is_full, self.is_full = self.is_full, False
        try:
            self._append(expected_head, segment)
        finally:
            self.is_full = is_full
        self.reserve -= segment.count

    async def read(self, after: int, limit: int = READ_LIMIT_BYTES) -> list[Segment]:
        assert after >= 0
        found: list[Segment] = []
        size = 0
        for segment in self.disk:
            if segment.last_sequence > after and size < limit:
                check(segment)
                if found and segment.first_sequence != found[-1].last_sequence + 1:
                    raise JournalCorrupt(f"entry {found[-1].last_sequence + 1} should follow")
                found.append(segment)
                size += len(segment.body)
        if found and found[0].first_sequence > after + 1:
            raise JournalCorrupt(f"the journal has lost entry {after + 1}")
        return found

    async def read_entry(self, sequence: int) -> bytes | None:
        for segment in self.disk:
            if segment.first_sequence <= sequence <= segment.last_sequence:
                check(segment)
                return records(segment)[sequence - segment.first_sequence]
        return None

    async def head(self) -> Head:
        for segment in self.disk[-1:]:
            check(segment)
            return Head(segment.last_sequence, self.epoch, segment.root)
        return Head(0, self.epoch, EMPTY_ROOT)

    async def probe(self) -> None:
        if self.is_full:
            raise JournalFull("the memory is still said to be full")

    async def aclose(self) -> None:
        """Nothing to release; the disk stays."""

    def _head_sequence(self) -> int:
        return self.disk[-1].last_sequence if self.disk else 0
