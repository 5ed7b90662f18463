"""The group committer: one segment for all that is queued, nothing told before it is durable, all of it in order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from tests.journal.chains import record
from tests.journal.writing import Gate, Observed, stored
from walletd.journal.memory_store import MemoryJournalStore
from walletd.journal.merkle import leaf_hash
from walletd.journal.writer import Pending


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def observed(gate: Gate) -> Observed:
    return Observed(MemoryJournalStore(latency=gate))


async def test_an_entry_gets_the_next_sequence_and_its_leaf_hash_at_once(observed: Observed) -> None:
    (pending,) = observed.append()

    assert (pending.sequence, pending.context) == (1, "context 1")
    assert pending.leaf == leaf_hash(record(1))
    assert (observed.writer.head, observed.writer.durable_head) == (1, 0)


async def test_nothing_is_told_before_the_commit_has_returned(
    observed: Observed, gate: Gate, nursery: trio.Nursery
) -> None:
    await nursery.start(observed.writer.run)
    observed.append(3)
    await trio.testing.wait_all_tasks_blocked()

    assert gate.waiting == 1
    assert observed.story == []
    gate.open()
    await observed.writer.drain()
    assert observed.told("durable") == [[1, 2, 3]]


async def test_what_is_queued_together_is_one_segment(observed: Observed, gate: Gate, nursery: trio.Nursery) -> None:
    gate.open()
    observed.append(5)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()

    assert [segment.count for segment in observed.store.disk] == [5]
    assert stored(observed.store.disk) == [record(n) for n in range(1, 6)]


async def test_what_is_queued_while_a_commit_is_under_way_is_the_next_segment(
    observed: Observed, gate: Gate, nursery: trio.Nursery
) -> None:
    await nursery.start(observed.writer.run)
    observed.append()
    await trio.testing.wait_all_tasks_blocked()
    observed.append(7)
    gate.open_once()
    await trio.testing.wait_all_tasks_blocked()

    assert observed.told("durable") == [[1]]
    assert observed.writer.durable_head == 1
    gate.open()
    await observed.writer.drain()
    assert [segment.count for segment in observed.store.disk] == [1, 7]


async def test_the_batch_is_told_first_and_then_the_waiters_in_sequence_order(
    observed: Observed, gate: Gate, nursery: trio.Nursery
) -> None:
    observed.append(3)
    for sequence in (3, 1, 2):
        observed.wait_for(sequence)
    gate.open()
    await nursery.start(observed.writer.run)
    await observed.writer.drain()

    assert observed.story[0] == ("durable", [1, 2, 3])
    assert observed.story[1:] == [("waiter True", n) for n in (1, 1, 2, 2, 3, 3)]


async def test_who_asks_for_what_is_durable_is_answered_at_once(
    observed: Observed, gate: Gate, nursery: trio.Nursery
) -> None:
    gate.open()
    observed.append()
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    observed.story.clear()

    observed.wait_for(0)
    observed.wait_for(1)
    assert observed.story == [("waiter True", 0), ("waiter True", 1)]


async def test_the_durable_head_has_moved_when_the_batch_is_told(gate: Gate, nursery: trio.Nursery) -> None:
    observed = Observed(MemoryJournalStore(latency=gate))
    seen: list[int] = []
    observed.writer._on_durable = lambda batch: seen.append(observed.writer.durable_head)
    gate.open()
    observed.append(2)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    assert seen == [2]


async def test_a_reply_may_append_the_next_entry(gate: Gate, nursery: trio.Nursery) -> None:
    observed = Observed(MemoryJournalStore(latency=gate))

    def append_another(batch: Sequence[Pending]) -> None:
        if observed.writer.head < 10:
            observed.append()

    observed.writer._on_durable = append_another
    gate.open()
    observed.append()
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    assert observed.writer.durable_head == 10


async def test_a_segment_is_bounded_in_entries_and_in_bytes(nursery: trio.Nursery) -> None:
    size = len(record(1, 100))
    observed = Observed(MemoryJournalStore(), max_segment_entries=3, max_segment_bytes=size * 2)
    observed.append(2, padding=100)
    observed.append(4)
    observed.append(1, padding=1000)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()

    assert [segment.count for segment in observed.store.disk] == [2, 3, 1, 1]
    assert len(stored(observed.store.disk)) == 7


async def test_there_is_no_room_beyond_the_bounds(observed: Observed, gate: Gate, nursery: trio.Nursery) -> None:
    bounded = Observed(observed.store, max_queue_entries=2)
    await nursery.start(bounded.writer.run)
    bounded.append()
    assert bounded.writer.has_room()
    bounded.append()
    assert not bounded.writer.has_room()
    await trio.testing.wait_all_tasks_blocked()
    assert not bounded.writer.has_room(), "what is being written still counts"
    with pytest.raises(AssertionError):
        bounded.append()
    gate.open()
    await bounded.writer.drain()
    assert bounded.writer.has_room()


async def test_there_is_no_room_beyond_the_bound_in_bytes(gate: Gate, nursery: trio.Nursery) -> None:
    bounded = Observed(MemoryJournalStore(latency=gate), max_queue_bytes=100)
    bounded.append(padding=100)
    assert not bounded.writer.has_room()
    gate.open()
    await nursery.start(bounded.writer.run)
    await bounded.writer.drain()
    assert bounded.writer.has_room()


@pytest.mark.parametrize("sequence", [0, 2, 5])
async def test_an_entry_that_does_not_follow_the_head_is_a_broken_invariant(observed: Observed, sequence: int) -> None:
    with pytest.raises(AssertionError):
        observed.writer.append(sequence, record(sequence))


async def test_an_idle_writer_sleeps(observed: Observed, nursery: trio.Nursery) -> None:
    await nursery.start(observed.writer.run)
    with trio.fail_after(1):
        await trio.testing.wait_all_tasks_blocked()
    assert observed.writer.counters.commits == 0


async def test_a_checkpoint_is_taken_between_commits_when_it_is_due(nursery: trio.Nursery) -> None:
    class Due(MemoryJournalStore):
        taken = 0

        @property
        def checkpoint_due(self) -> bool:
            return len(self.disk) % 2 == 0

        async def checkpoint(self) -> None:
            self.taken += 1

    store = Due()
    observed = Observed(store, max_segment_entries=1)
    observed.append(6)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    await trio.testing.wait_all_tasks_blocked()
    assert store.taken == 3


async def test_a_writer_goes_on_where_the_last_one_ended(nursery: trio.Nursery) -> None:
    first = Observed(MemoryJournalStore())
    first.append(5)
    await nursery.start(first.writer.run)
    await first.writer.drain()

    second = Observed(MemoryJournalStore(first.store.disk))
    assert (second.writer.head, second.writer.root) == (5, first.writer.root)
    second.append(2)
    await nursery.start(second.writer.run)
    await second.writer.drain()
    assert stored(first.store.disk) == [record(n) for n in range(1, 8)]


async def test_commits_are_counted(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    async def slow() -> None:
        await trio.sleep(0.004)

    observed = Observed(MemoryJournalStore(latency=slow))
    observed.append(4)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    counters = observed.writer.counters

    assert (counters.commits, counters.entries) == (1, 4)
    assert counters.bytes == len(observed.store.disk[0].body)
    assert counters.last_commit_seconds == pytest.approx(0.004)
    assert counters.seconds_buckets[3] == sum(counters.seconds_buckets) == 1


async def test_commits_go_no_faster_than_the_pace_lets_them() -> None:
    gates = [trio.Event() for _ in range(3)]
    passed: list[int] = []

    async def pace() -> None:
        passed.append(len(passed))
        await gates[len(passed) - 1].wait()

    observed = Observed(MemoryJournalStore(), pace=pace, max_segment_entries=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        observed.append(6)
        await trio.testing.wait_all_tasks_blocked()
        assert observed.writer.durable_head == 2
        gates[0].set()
        await trio.testing.wait_all_tasks_blocked()
        assert observed.writer.durable_head == 4
        nursery.cancel_scope.cancel()
    assert observed.writer.durable_head == 6, "what is queued at the end is written without a wait"
