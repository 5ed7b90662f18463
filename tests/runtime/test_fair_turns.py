"""Fair turns: as many at a time as there are places, no key with more than its own, in a fair order, cancellable."""

from collections import Counter

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from walletd.runtime.fair_turns import ALONE_SECONDS, FairTurns


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_turn_begins_at_once_while_a_place_is_free() -> None:
    turns: FairTurns[str] = FairTurns(2, 2)
    with trio.testing.assert_no_checkpoints():
        await turns.enter("a")
        await turns.enter("b")
    assert len(turns) == 2
    turns.leave("a", 0)
    turns.leave("b", 0)
    assert len(turns) == 0


async def test_no_more_hold_a_turn_than_there_are_places_and_a_key_has_only_its_own() -> None:
    turns: FairTurns[str] = FairTurns(4, 2)
    held: Counter[str] = Counter()
    go_on = trio.Event()

    async def work(key: str) -> None:
        async with turns.turn(key):
            held[key] += 1
            assert held[key] <= 2
            assert sum(held.values()) <= 4
            await go_on.wait()
            await trio.lowlevel.checkpoint()
            held[key] -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(work, "greedy")
        await wait_all_tasks_blocked()
        assert held == {"greedy": 2}
        nursery.start_soon(work, "honest")
        await wait_all_tasks_blocked()
        assert held == {"greedy": 2, "honest": 1}, "a place is left for others, however many wait"
        go_on.set()
    assert len(turns) == turns.waiting == 0


async def test_a_key_that_has_had_all_turns_for_a_while_has_more_places_until_another_comes() -> None:
    clock = Clock()
    turns: FairTurns[str] = FairTurns(4, 2, places_alone=8, seconds=clock)
    held: Counter[str] = Counter()
    ends: list[trio.Event] = []

    async def work(key: str) -> None:
        async with turns.turn(key):
            held[key] += 1
            ends.append(trio.Event())
            await ends[-1].wait()
            held[key] -= 1

    async def end(count: int) -> None:
        for event in ends[:count]:
            event.set()
        del ends[:count]
        await wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work, "greedy")
        await wait_all_tasks_blocked()
        assert held == {"greedy": 2}, "it might not be alone"
        await end(2)
        await end(1)
        clock.now += ALONE_SECONDS
        for _ in range(50):
            nursery.start_soon(work, "greedy")
        await wait_all_tasks_blocked()
        assert held == {"greedy": 8}
        assert len(turns) == 8
        await end(3)
        assert held == {"greedy": 8}
        nursery.start_soon(work, "honest")
        await wait_all_tasks_blocked()
        assert held == {"greedy": 8, "honest": 1}, "the places of others are left for them"
        await end(8)
        assert held == {"greedy": 2, "honest": 1}
        while ends:
            await end(1)
    assert len(turns) == turns.waiting == 0
    assert [turns._admitted, turns._more, turns._behind] == [{}, {}, {}]


async def test_short_turns_of_a_key_that_is_alone_are_many_in_one_pass_of_the_loop() -> None:
    clock = Clock()
    turns: FairTurns[str] = FairTurns(4, 2, places_alone=16, seconds=clock)
    done = passes = 0

    async def work() -> None:
        nonlocal done
        async with turns.turn("alone"):
            await trio.lowlevel.checkpoint()
        done += 1

    await work()
    clock.now += ALONE_SECONDS
    async with trio.open_nursery() as nursery:
        for _ in range(160):
            nursery.start_soon(work)
        while done < 161:
            await trio.lowlevel.checkpoint()
            passes += 1
    assert passes <= 160 / 16 * 3, "a turn is granted in one pass, begins in the next and ends in the one after it"


async def test_those_of_a_key_that_is_alone_may_give_up_at_any_time() -> None:
    clock = Clock()
    turns: FairTurns[str] = FairTurns(4, 2, places_alone=8, seconds=clock)

    async def work() -> None:
        async with turns.turn("alone"):
            await trio.lowlevel.checkpoint()

    await work()
    clock.now += ALONE_SECONDS
    for passes in range(12):
        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(work)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert len(turns) == turns.waiting == 0
        assert [turns._admitted, turns._more, turns._behind] == [{}, {}, {}]


async def test_a_newcomer_waits_for_one_turn_of_each_other_key() -> None:
    clock = Clock()
    turns: FairTurns[str] = FairTurns(1, 1, seconds=clock)
    order: list[str] = []

    async def work(key: str) -> None:
        async with turns.turn(key):
            order.append(key)
            await trio.lowlevel.checkpoint()
            clock.now += 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(work, "greedy")
        while len(order) < 3:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(work, "honest")
    assert order.index("honest") <= 5
    assert len(order) == 21


async def test_a_key_that_has_used_up_its_quantum_lets_other_tasks_run_first() -> None:
    clock = Clock()
    turns: FairTurns[str] = FairTurns(1, 1, seconds=clock)
    steps: list[str] = []

    async def work() -> None:
        for _ in range(5):
            async with turns.turn("a"):
                steps.append("turn")
                clock.now += 1

    async def other() -> None:
        for _ in range(10):
            steps.append("other")
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        nursery.start_soon(other)
    # The scheduler shuffles each batch of tasks, so that two turns may follow each other.
    assert "turn,turn,turn" not in ",".join(steps)


async def test_the_seconds_of_a_turn_are_charged_to_its_key() -> None:
    clock, charged = Clock(), []
    turns: FairTurns[str] = FairTurns(1, 1, lambda key, seconds: charged.append((key, seconds)), seconds=clock)
    async with turns.turn("a"):
        clock.now += 2.5
    with pytest.raises(ValueError, match="of its own"):
        async with turns.turn("b"):
            clock.now += 1
            raise ValueError("of its own")
    assert charged == [("a", 2.5), ("b", 1.0)]
    assert len(turns) == 0


@pytest.mark.parametrize("key", ["same", "other"])
async def test_one_that_gives_up_leaves_its_place_to_the_next(key: str) -> None:
    turns: FairTurns[str] = FairTurns(1, 1)
    done: list[str] = []

    async def work(name: str) -> None:
        async with turns.turn(name):
            done.append(name)
            await trio.lowlevel.checkpoint()

    await turns.enter("same")
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as impatient:
            for _ in range(10):
                impatient.start_soon(work, key)
            await wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        nursery.start_soon(work, "same")
        nursery.start_soon(work, "third")
        await wait_all_tasks_blocked()
        turns.leave("same", 0)
    assert sorted(done) == ["same", "third"]
    assert len(turns) == turns.waiting == 0
    assert not turns._admitted


async def test_one_that_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    turns: FairTurns[str] = FairTurns(1, 1)
    done: list[str] = []

    async def work(name: str) -> None:
        async with turns.turn(name):
            done.append(name)

    await turns.enter("first")
    async with trio.open_nursery() as nursery, trio.open_nursery() as impatient:
        impatient.start_soon(work, "second")
        await wait_all_tasks_blocked()
        nursery.start_soon(work, "third")
        await wait_all_tasks_blocked()
        turns.leave("first", 0)
        impatient.cancel_scope.cancel()
    assert done[-1:] == ["third"]
    assert len(turns) == 0


async def test_a_key_that_has_to_wait_holds_up_only_itself(autojump_clock: trio.testing.MockClock) -> None:
    until = {"greedy": 10.0}
    turns: FairTurns[str] = FairTurns(2, 1, wait=lambda key: max(0.0, until.get(key, 0.0) - trio.current_time()))
    began: list[tuple[str, float]] = []
    start = trio.current_time()
    until["greedy"] += start

    async def work(key: str) -> None:
        async with turns.turn(key):
            began.append((key, trio.current_time() - start))
            if key == "greedy":
                until["greedy"] = trio.current_time() + 3

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(work, "greedy")
        await trio.sleep(1)
        nursery.start_soon(work, "honest")
    assert began == [("honest", 1), ("greedy", 10), ("greedy", 13), ("greedy", 16)]
    assert len(turns) == turns.waiting == 0


async def test_one_that_gives_up_while_its_key_has_to_wait_leaves_nothing_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    is_late = True
    turns: FairTurns[str] = FairTurns(1, 1, wait=lambda key: 5.0 * is_late)

    async def work() -> None:
        async with turns.turn("a"):
            pass

    with trio.move_on_after(3):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(work)
    is_late = False
    await work()
    assert len(turns) == turns.waiting == 0
    assert not turns._admitted
