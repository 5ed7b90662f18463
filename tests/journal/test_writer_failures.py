"""How the group committer behaves when a commit does not simply return: certain, uncertain, silent, cancelled."""

import random
from typing import Any

import pytest
import trio
import trio.testing

from tests.journal.chains import record
from tests.journal.writing import Died, Gate, Observed, stored
from walletd.journal.failures import JournalFull
from walletd.journal.memory.store import Fault, MemoryJournalStore
from walletd.journal.queue import RESERVED_PLACES
from walletd.journal.segment import Segment


async def ran_to_death(observed: Observed) -> None:
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - a group may be around it
        async with trio.open_nursery() as nursery:
            await nursery.start(observed.writer.run)
    assert raised.group_contains(Died) or isinstance(raised.value, Died)


# A full disk is certain.


async def test_a_full_journal_rolls_everything_tentative_back(autojump_clock: Any, nursery: trio.Nursery) -> None:
    gate = Gate()
    observed = Observed(MemoryJournalStore(latency=gate))
    await nursery.start(observed.writer.run)
    observed.append(2)
    await trio.testing.wait_all_tasks_blocked()
    gate.open_once()
    await trio.testing.wait_all_tasks_blocked()
    observed.story.clear()

    observed.store.is_full = True
    observed.append(2)  # 3 and 4, in the segment that will fail
    await trio.testing.wait_all_tasks_blocked()
    observed.append(3)  # 5 to 7, decided on top of it
    gate.open()
    await trio.testing.wait_all_tasks_blocked()

    assert observed.story == [("rolled back", [3, 4, 5, 6, 7])] + [("waiter False", n) for n in (3, 4, 5, 6, 7)]
    assert (observed.writer.head, observed.writer.durable_head) == (2, 2)
    assert isinstance(observed.writer.degraded, JournalFull)
    assert not observed.writer.has_room()


async def test_a_degraded_writer_probes_and_goes_on(autojump_clock: Any, nursery: trio.Nursery) -> None:
    observed = Observed(MemoryJournalStore(), probe_interval_seconds=1)
    await nursery.start(observed.writer.run)
    observed.append(2)
    await observed.writer.drain()
    observed.store.is_full = True
    observed.append(2)
    await observed.writer.drain()
    await trio.sleep(10.5)
    assert observed.writer.counters.probes == 10
    assert observed.told("recovered") == []

    observed.store.is_full = False
    await trio.sleep(1)
    assert observed.told("recovered") == [None]
    assert observed.writer.degraded is None
    assert observed.writer.has_room()
    observed.append(3)
    await observed.writer.drain()
    assert stored(observed.store.disk) == [record(n) for n in (1, 2, 3, 4, 5)]


async def test_on_a_full_journal_reserved_entries_become_durable_until_the_reserve_is_used_up(
    autojump_clock: Any, nursery: trio.Nursery
) -> None:
    observed = Observed(MemoryJournalStore(), probe_interval_seconds=1)
    observed.store.reserve = 2
    await nursery.start(observed.writer.run)
    observed.append(2)
    await observed.writer.drain()
    observed.store.is_full = True
    observed.append(1)
    await observed.writer.drain()
    assert not observed.writer.has_room()
    assert observed.writer.has_room(reserved=True)
    for sequence in (3, 4):
        observed.writer.append(sequence, record(sequence), None, reserved=True)
        await observed.writer.drain()
    assert stored(observed.store.disk) == [record(n) for n in (1, 2, 3, 4)]
    observed.story.clear()
    observed.writer.append(5, record(5), None, reserved=True)
    await observed.writer.drain()
    assert observed.told("rolled back") == [[5]]
    assert observed.writer.degraded is not None

    observed.store.is_full = False
    await trio.sleep(1.5)
    observed.append(1)
    await observed.writer.drain()
    assert stored(observed.store.disk) == [record(n) for n in (1, 2, 3, 4, 5)]


async def test_some_places_of_a_full_queue_are_reserved(autojump_clock: Any) -> None:
    observed = Observed(MemoryJournalStore(), max_queue_entries=2)
    observed.append(2)
    assert not observed.writer.has_room()
    for sequence in range(3, 3 + RESERVED_PLACES):
        assert observed.writer.has_room(reserved=True)
        observed.writer.append(sequence, record(sequence), None, reserved=True)
    assert not observed.writer.has_room(reserved=True)


async def test_who_drains_while_the_journal_fills_up_is_released(autojump_clock: Any, nursery: trio.Nursery) -> None:
    observed = Observed(MemoryJournalStore())
    observed.store.is_full = True
    observed.append(3)
    await nursery.start(observed.writer.run)
    with trio.fail_after(1):
        await observed.writer.drain()
    assert observed.told("waiter False") == [1, 2, 3]


# Everything else is not.


@pytest.mark.parametrize("fault", ["unknown_applied", "unknown_not_applied"])
async def test_an_unknown_outcome_ends_the_process_and_nobody_is_told(fault: Fault) -> None:
    observed = Observed(MemoryJournalStore())
    observed.store.faults.append(fault)
    observed.append(3)
    await ran_to_death(observed)

    assert [kind for kind, _ in observed.story] == ["died"]
    assert len(observed.store.disk) == (1 if fault == "unknown_applied" else 0)


async def test_a_moved_head_ends_the_process() -> None:
    observed = Observed(MemoryJournalStore())
    observed.store.fenced_by_epoch = 2
    observed.append()
    await ran_to_death(observed)
    assert [kind for kind, _ in observed.story] == ["died"]
    assert "only one walletd" in observed.told("died")[0]


@pytest.mark.parametrize("failure", [OSError("disk"), ValueError("closed"), KeyboardInterrupt(), AssertionError()])
async def test_any_other_failure_of_the_store_ends_the_process(failure: BaseException) -> None:
    async def broken() -> None:
        raise failure

    observed = Observed(MemoryJournalStore(latency=broken))
    observed.append()
    await ran_to_death(observed)
    assert [kind for kind, _ in observed.story] == ["died"]


async def test_a_probe_that_says_nothing_certain_ends_the_process(autojump_clock: Any) -> None:
    class Broken(MemoryJournalStore):
        async def probe(self) -> None:
            raise OSError("disk")

    observed = Observed(Broken())
    observed.store.faults.append("full")
    observed.append()
    await ran_to_death(observed)
    assert observed.told("died") == ["disk"]


async def test_a_listener_that_fails_ends_the_process() -> None:
    observed = Observed(MemoryJournalStore())

    def broken(batch: object) -> None:
        raise KeyError(batch)

    observed.outcome.durable = broken
    observed.append()
    await ran_to_death(observed)
    assert len(observed.told("died")) == 1


async def test_silence_ends_the_process_when_the_watchdog_says_so(autojump_clock: trio.testing.MockClock) -> None:
    observed = Observed(MemoryJournalStore(latency=trio.sleep_forever), watchdog_seconds=7)
    observed.append()
    began = trio.current_time()
    await ran_to_death(observed)

    assert trio.current_time() - began == pytest.approx(7)
    assert observed.told("died") == ["the journal has not answered for 7 s"]
    assert observed.told("durable") == []


async def test_silence_is_noticed_after_the_writer_was_cancelled_too(autojump_clock: trio.testing.MockClock) -> None:
    observed = Observed(MemoryJournalStore(latency=trio.sleep_forever), watchdog_seconds=7)
    observed.append()
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - a group is around it
        async with trio.open_nursery() as nursery:
            await nursery.start(observed.writer.run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert raised.group_contains(Died)


# Cancellation closes the queue, it does not lose it.


async def test_a_cancelled_writer_finishes_what_was_queued(autojump_clock: trio.testing.MockClock) -> None:
    async def slow() -> None:
        await trio.sleep(1)

    observed = Observed(MemoryJournalStore(latency=slow), max_segment_entries=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        observed.append(5)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()

    assert observed.told("waiter True") == [1, 2, 3, 4, 5]
    assert stored(observed.store.disk) == [record(n) for n in range(1, 6)]
    assert not observed.writer.has_room()


async def test_a_cancelled_writer_does_not_finish_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    async def slow() -> None:
        await trio.sleep(1)

    observed = Observed(MemoryJournalStore(latency=slow), max_segment_entries=1, closing_seconds=2.5)
    observed.append(100)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()

    assert trio.current_time() - began < 5
    assert observed.told("waiter True") == list(range(1, observed.writer.durable_head + 1))
    assert len(stored(observed.store.disk)) == observed.writer.durable_head < 100


async def test_a_writer_that_is_cancelled_while_degraded_ends(autojump_clock: trio.testing.MockClock) -> None:
    observed = Observed(MemoryJournalStore())
    observed.store.is_full = True
    observed.append()
    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert observed.told("rolled back") == [[1]]


# Anything may happen, in any order.


def disagreement(observed: Observed, disk: list[Segment]) -> str | None:
    """What the writer told, against what is on the disk; None if they agree."""
    on_disk = stored(disk)
    durable = [sequence for batch in observed.told("durable") for sequence in batch]
    waited = observed.told("waiter True")
    if durable != list(range(1, len(durable) + 1)):
        return "durable entries were told out of order"
    if waited != sorted(waited) or set(waited) != set(durable):
        return "waiters were told out of order, or not of what is durable"
    if len(durable) > len(on_disk):
        return "an entry was called durable that is not on the disk"
    if len(durable) < len(on_disk) and not observed.told("died"):
        return "an entry is on the disk that was never acknowledged"
    return None


async def live(observed: Observed, chance: random.Random) -> None:
    """Append at random times until something ends it; a slow, full or failing disk is under it."""

    async def client() -> None:
        while True:
            await trio.sleep(chance.random() * 0.1)
            if chance.random() < 0.02:
                observed.store.is_full = not observed.store.is_full
            for _ in range(chance.randrange(1, 6)):
                if observed.writer.has_room():
                    observed.append()

    async with trio.open_nursery() as nursery:
        await nursery.start(observed.writer.run)
        nursery.start_soon(client)
        nursery.start_soon(client)
        await trio.sleep(chance.random() * 20)
        nursery.cancel_scope.cancel()


async def history(chance: random.Random, store_type: type[MemoryJournalStore]) -> str | None:
    async def latency() -> None:
        await trio.sleep(chance.random() * 0.2)

    store = store_type(latency=latency)
    faults: list[Fault | None] = [*[None] * 97, "full", "unknown_applied", "unknown_not_applied"]
    store.faults.extend(chance.choice(faults) for _ in range(500))
    observed = Observed(store, max_segment_entries=chance.choice([1, 3, 1000]), probe_interval_seconds=0.5)
    try:
        await live(observed, chance)
    except* Died:
        pass
    return disagreement(observed, store.disk)


async def test_what_is_told_is_what_is_on_the_disk(autojump_clock: Any, chance: random.Random) -> None:
    for _ in range(30):
        assert await history(chance, MemoryJournalStore) is None


class Forgetful(MemoryJournalStore):
    """A planted fault: sometimes an append returns although nothing was written."""

    async def append(self, expected_head: int, segment: Segment) -> None:
        await super().append(expected_head, segment)
        if len(self.disk) == 5:
            self.disk.pop()


async def test_the_check_would_notice_a_lost_segment(autojump_clock: Any, chance: random.Random) -> None:
    found = [await history(chance, Forgetful) for _ in range(10)]
    assert "an entry was called durable that is not on the disk" in found
