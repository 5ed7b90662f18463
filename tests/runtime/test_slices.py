"""Slices: the first at once, one in each pass of the loop from then on, in the fair turns of those who pay."""

from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from walletd.runtime.slices import SLICE_BYTES, Slices


def steps(name: str, count: int, told: list[str]) -> Iterator[int]:
    """Steps that each fill a slice."""
    for number in range(count):
        told.append(f"{name}{number}")
        yield SLICE_BYTES


async def test_work_that_fits_into_one_slice_is_done_at_once_without_a_task() -> None:
    told: list[str] = []

    def small() -> Iterator[int]:
        yield SLICE_BYTES - 1
        told.append("done")

    Slices().work("a", small())
    assert told == ["done"]


async def test_of_longer_work_one_slice_is_done_at_once_and_others_run_between_the_rest(
    nursery: trio.Nursery,
) -> None:
    slices = Slices()
    told: list[str] = []
    await nursery.start(slices.run)
    slices.work("a", steps("a", 5, told))
    assert told == ["a0"]

    async def other() -> None:
        for _ in range(3):
            told.append("other")
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    await wait_all_tasks_blocked()
    assert told.count("other") == 3
    assert "other" not in told[told.index("a4") :]
    assert [one for one in told if one != "other"] == [f"a{number}" for number in range(5)]


async def test_those_who_pay_take_turns_however_much_one_of_them_asks_for(nursery: trio.Nursery) -> None:
    now, charged = 0.0, {"a": 0.0, "b": 0.0}
    told: list[str] = []

    def charge(payer: str, seconds: float) -> None:
        charged[payer] += seconds

    def clock() -> float:
        nonlocal now
        now += 0.01
        return now

    slices = Slices(charge, seconds=clock)
    await nursery.start(slices.run)
    for number in range(5):
        slices.work_later("a", steps(f"a{number}-", 20, told))
    slices.work_later("b", steps("b", 5, told))
    assert told == []
    await wait_all_tasks_blocked()
    until_b_is_done = told[: told.index("b4")]
    assert sum(one.startswith("a") for one in until_b_is_done) <= 12
    assert len(told) == 105
    assert charged["a"] == pytest.approx(105 * 0.01)  # With the step that finds the end.
    assert charged["b"] == pytest.approx(6 * 0.01)


async def test_at_the_end_the_rest_is_dropped_between_two_steps(nursery: trio.Nursery) -> None:
    slices = Slices()
    ended: list[bool] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield SLICE_BYTES
        finally:
            ended.append(True)

    async with trio.open_nursery() as home:
        await home.start(slices.run)
        slices.work("a", endless())
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert not ended
        home.cancel_scope.cancel()
    assert ended
    slices.work("a", endless())
    assert len(ended) == 2
