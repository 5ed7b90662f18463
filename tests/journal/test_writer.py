"""The group committer: one segment for all that is queued, nothing told before it is durable, all of it in order."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
import trio
import trio.testing

from tests.journal.chains import record
from tests.journal.writing import Died, Gate, Observed, QuickMemoryStore, stored
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.merkle import leaf_hash
from walletd.journal.queue import Pending


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def observed(gate: Gate) -> Observed:
    return Observed(QuickMemoryStore(latency=gate))


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
    observed.outcome.durable = lambda batch: seen.append(observed.writer.durable_head)
    gate.open()
    observed.append(2)
    await nursery.start(observed.writer.run)
    await observed.writer.drain()
    assert seen == [2]


async def test_a_reply_may_append_the_next_entry(gate: Gate, nursery: trio.Nursery) -> None:
    observed = Observed(MemoryJournalStore(latency=gate))

    def append_another(batch: Sequence[Pending[Any]]) -> None:
        if observed.writer.head < 10:
            observed.append()

    observed.outcome.durable = append_another
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
        observed.writer.append(sequence, record(sequence), None)


async def test_an_idle_writer_sleeps(observed: Observed, nursery: trio.Nursery) -> None:
    await nursery.start(observed.writer.run)
    with trio.fail_after(60):
        await trio.testing.wait_all_tasks_blocked()
    assert observed.writer.counters.commits == 0


async def test_a_checkpoint_is_taken_between_commits_when_it_is_due(nursery: trio.Nursery) -> None:
    class Due(MemoryJournalStore):
        taken = 0

        @property
        def checkpoint_due(self) -> bool:
            return bool(self.disk) and len(self.disk) % 2 == 0

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
    assert dict(counters.seconds.cumulative())["0.005"] == dict(counters.seconds.cumulative())["+Inf"] == 1


class Follower:
    """Who comes behind the commits, as far as a test lets it."""

    def __init__(self, commits: int = 0) -> None:
        self.gates = [trio.Event() for _ in range(commits)]
        self.waits = 0
        self.is_behind = True

    async def catch_up(self) -> None:
        self.waits += 1
        await self.gates[self.waits - 1].wait()


async def test_commits_go_no_faster_than_the_pace_lets_them() -> None:
    pace = Follower(3)
    observed = Observed(MemoryJournalStore(), pace=pace, max_segment_entries=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        observed.append(6)
        await trio.testing.wait_all_tasks_blocked()
        assert observed.writer.durable_head == 2
        pace.gates[0].set()
        await trio.testing.wait_all_tasks_blocked()
        assert observed.writer.durable_head == 4
        nursery.cancel_scope.cancel()
    assert observed.writer.durable_head == 6, "what is queued at the end is written without a wait"


# --- commits in the turn of the appending task ------------------------------------------------------------------------


def in_a_turn(observed: Observed, *counts: int) -> None:
    """Append in a turn that another task has."""
    observed.writer.attend()
    for count in counts:
        observed.append(count)
    assert observed.told("durable")[-1:] != [[observed.writer.head]], "not before the end of the turn"
    observed.writer.commit_now()


@pytest.fixture
async def quick(nursery: trio.Nursery) -> Observed:
    observed = Observed(QuickMemoryStore())
    await nursery.start(observed.writer.run)
    await trio.testing.wait_all_tasks_blocked()
    return observed


async def test_what_was_appended_in_a_turn_is_one_segment_at_its_end(quick: Observed) -> None:
    in_a_turn(quick, 2, 3)
    assert quick.writer.durable_head == 5
    assert quick.told("durable") == [[1, 2, 3, 4, 5]]
    assert quick.told("waiter True") == [1, 2, 3, 4, 5]
    assert stored(quick.store.disk) == [record(n) for n in range(1, 6)]
    in_a_turn(quick, 1)
    assert [segment.count for segment in quick.store.disk] == [5, 1]
    assert quick.writer.counters.commits == 2


async def test_a_turn_without_an_entry_commits_nothing(quick: Observed) -> None:
    in_a_turn(quick)
    assert quick.store.disk == []


async def test_what_is_appended_behind_a_turn_is_committed_as_ever(quick: Observed) -> None:
    in_a_turn(quick, 1)
    quick.append(2)
    assert quick.writer.durable_head == 1
    await quick.writer.drain()
    assert quick.told("durable") == [[1], [2, 3]]


async def test_what_does_not_fit_into_one_segment_is_the_tasks(nursery: trio.Nursery) -> None:
    observed = Observed(QuickMemoryStore(), max_segment_entries=2)
    await nursery.start(observed.writer.run)
    await trio.testing.wait_all_tasks_blocked()
    in_a_turn(observed, 5)
    assert observed.writer.durable_head == 2
    await observed.writer.drain()
    assert observed.told("durable") == [[1, 2], [3, 4], [5]]


async def test_a_slow_disk_and_a_commit_under_way_are_waited_for_by_the_task(
    observed: Observed, gate: Gate, nursery: trio.Nursery
) -> None:
    await nursery.start(observed.writer.run)
    await trio.testing.wait_all_tasks_blocked()
    in_a_turn(observed, 1)
    await trio.testing.wait_all_tasks_blocked()
    assert (gate.waiting, observed.writer.durable_head) == (1, 0)
    observed.store._latency = None
    in_a_turn(observed, 2)
    assert observed.writer.durable_head == 0, "the first segment is under way"
    gate.open()
    await observed.writer.drain()
    assert observed.told("durable") == [[1], [2, 3]]


async def test_who_is_behind_is_waited_for(nursery: trio.Nursery) -> None:
    pace = Follower(2)
    observed = Observed(QuickMemoryStore(), pace=pace)
    await nursery.start(observed.writer.run)
    await trio.testing.wait_all_tasks_blocked()
    in_a_turn(observed, 1)
    assert observed.writer.durable_head == 0
    await trio.testing.wait_all_tasks_blocked()
    assert observed.writer.durable_head == 1
    assert pace.waits == 1
    pace.gates[0].set()
    await trio.testing.wait_all_tasks_blocked()
    pace.is_behind = False
    in_a_turn(observed, 1)
    assert observed.writer.durable_head == 2


async def test_a_checkpoint_that_is_due_behind_a_turn_is_taken_by_the_task(nursery: trio.Nursery) -> None:
    class Due(QuickMemoryStore):
        checkpoint_due = False
        taken = 0

        async def checkpoint(self) -> None:
            self.taken += 1
            self.checkpoint_due = False

    store = Due()
    observed = Observed(store)
    await nursery.start(observed.writer.run)
    await trio.testing.wait_all_tasks_blocked()
    store.checkpoint_due = True
    in_a_turn(observed, 1)
    assert (observed.writer.durable_head, store.taken) == (1, 0)
    await trio.testing.wait_all_tasks_blocked()
    assert store.taken == 1
    in_a_turn(observed, 1)
    assert observed.writer.durable_head == 2


async def test_a_full_disk_in_a_turn_is_found_out_by_the_task_and_rolls_back(quick: Observed) -> None:
    in_a_turn(quick, 1)
    quick.store.faults.append("full")
    in_a_turn(quick, 2)
    quick.append(1)
    assert quick.told("rolled back") == [], "nothing is certain yet"
    await trio.testing.wait_all_tasks_blocked()
    assert quick.told("rolled back") == [[2, 3, 4]]
    assert quick.told("waiter False") == [2, 3, 4]
    assert (quick.writer.head, quick.writer.durable_head) == (1, 1)
    assert quick.writer.degraded is not None
    assert not quick.writer.has_room()


@pytest.mark.parametrize("fault", ["unknown_applied", "unknown_not_applied"])
async def test_where_nothing_is_certain_in_a_turn_the_process_ends(fault: Literal["unknown_applied"]) -> None:
    observed = Observed(QuickMemoryStore())
    with pytest.RaisesGroup(Died):
        async with trio.open_nursery() as nursery:
            await nursery.start(observed.writer.run)
            await trio.testing.wait_all_tasks_blocked()
            observed.store.faults.append(fault)
            in_a_turn(observed, 2)
            assert observed.told("died") == []
            await trio.sleep_forever()
    assert len(observed.told("died")) == 1
    assert observed.told("durable") == observed.told("waiter True") == []


async def test_a_failure_in_the_last_turn_is_found_out_at_the_end() -> None:
    observed = Observed(QuickMemoryStore())
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        await trio.testing.wait_all_tasks_blocked()
        observed.store.faults.append("full")
        in_a_turn(observed, 2)
        nursery.cancel_scope.cancel()
    assert observed.told("rolled back") == [[1, 2]]
