"""A writer under observation: what it told, in which order, and how it would have ended the process."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import trio

from tests.journal.chains import record
from tests.journal.outcomes import Told
from walletd.journal.failures import JournalFull
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.merkle import Frontier
from walletd.journal.queue import Pending
from walletd.journal.segment import Segment, records
from walletd.journal.store import Head
from walletd.journal.verification import verified
from walletd.journal.writer import JournalWriter, Pace, WriterLimits


class Died(BaseException):
    """Stands for the end of the process."""


class Gate:
    """Holds every append back until it is opened: a slow disk whose slowness the test decides."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = trio.Event()

    async def __call__(self) -> None:
        self.waiting += 1
        await self._open.wait()

    def open(self) -> None:
        self._open.set()

    def open_once(self) -> None:
        """Let through the tasks that wait now, and none after."""
        self._open.set()
        self._open = trio.Event()


class QuickMemoryStore(MemoryJournalStore):
    """One that can append at once, while it has no latency."""

    def is_quick(self, body_bytes: int) -> bool:
        return self._latency is None

    def append_now(self, expected_head: int, segment: Segment) -> None:
        self._append(expected_head, segment)

    async def explain(self, error: Exception) -> NoReturn:
        raise error


class Observed:
    """A writer over a memory store, and the story of what it said."""

    def __init__(
        self,
        store: MemoryJournalStore,
        *,
        pace: Pace | None = None,
        seconds: Callable[[], float] = trio.current_time,
        **limits: Any,
    ) -> None:
        frontier = Frontier()
        head = Head(0, store.epoch, frontier.root())
        for progress in verified(store.disk, frontier=frontier):
            head = progress.head
        self.store = store
        self.story: list[tuple[str, Any]] = []
        self.outcome = Told(self._on_durable, self._on_rolled_back, lambda: self.story.append(("recovered", None)))
        self.writer: JournalWriter[Any] = JournalWriter(
            store,
            frontier,
            head,
            outcome=self.outcome,
            die=self._die,
            pace=pace,
            limits=WriterLimits(**limits),
            seconds=seconds,
        )

    def append(self, count: int = 1, padding: int = 0) -> list[Pending[Any]]:
        """Append and, as a caller would, wait for each entry to be durable."""
        appended = []
        for _ in range(count):
            sequence = self.writer.head + 1
            appended.append(self.writer.append(sequence, record(sequence, padding), context=f"context {sequence}"))
            self.wait_for(sequence)
        return appended

    def wait_for(self, sequence: int) -> None:
        self.writer.when_durable(sequence, lambda durable: self.story.append((f"waiter {durable}", sequence)))

    def told(self, kind: str) -> list[Any]:
        return [what for what_kind, what in self.story if what_kind == kind]

    def _on_durable(self, batch: Sequence[Pending[Any]]) -> None:
        self.story.append(("durable", [pending.sequence for pending in batch]))

    def _on_rolled_back(self, batch: Sequence[Pending[Any]], full: JournalFull) -> None:
        self.story.append(("rolled back", [pending.sequence for pending in batch]))

    def _die(self, reason: str) -> NoReturn:
        self.story.append(("died", reason))
        raise Died(reason)


def stored(disk: list[Segment]) -> list[bytes]:
    """Every record on a disk that verifies."""
    list(verified(disk))
    return [line for segment in disk for line in records(segment)]
