"""Records and segments for the journal's tests."""

from walletd.journal.merkle import Frontier
from walletd.journal.segment import Segment, seal
from walletd.journal.store import JournalStore


def record(sequence: int, padding: int = 0) -> bytes:
    """An entry record as the journal sees it: one line, one object."""
    return b'{"sequence":%d,"padding":"%s"}' % (sequence, b"x" * padding)


class Chain:
    """Seals segment after segment, the way the writer does, for tests that drive a store without a writer."""

    def __init__(self, epoch: int = 1) -> None:
        self.frontier = Frontier()
        self.epoch = epoch

    @property
    def head(self) -> int:
        return self.frontier.size

    def next(self, count: int = 1, padding: int = 0) -> Segment:
        first = self.head + 1
        return seal(self.frontier, first, self.epoch, [record(first + i, padding) for i in range(count)])

    async def append_to(self, store: JournalStore, count: int = 1, padding: int = 0) -> Segment:
        head = self.head
        segment = self.next(count, padding)
        await store.append(head, segment)
        return segment
