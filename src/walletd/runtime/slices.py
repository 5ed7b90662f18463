"""Slices: long work of the event loop, done a piece at a time in the fair turns of those who asked for it.

    slices = Slices(budgets.charge_processor, budgets.processor_wait)
    nursery.start_soon(slices.run)
    slices.work(account, steps)                        # the first slice at once, the rest in its turns

``steps`` does a few microseconds of work at a time and yields what each cost, in bytes of JSON or something like them.
A slice is counted, not timed, so that a run can be repeated.  One slice is done in each pass of the event loop, by
deficit round robin over those who pay: everything else has the loop in between.
"""

from collections.abc import Callable, Hashable, Iterator
from time import perf_counter
from typing import Any

import trio

from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.task_home import TaskHome

SLICE_BYTES = 8_192
"""The steps of one slice: 50 payments of a batch, which take about a millisecond to decode, or to decide."""

Steps = Iterator[int]
"""Work that gives the loop back between its steps; each says what it cost, in bytes of JSON.  It raises nothing."""


class Slices:
    """Work that is longer than one slice, and its turns."""

    __slots__ = ("_tasks", "_turns")

    def __init__(
        self,
        charge: Callable[[Any, float], None] = lambda payer, seconds: None,
        wait: Callable[[Any], float] = lambda payer: 0.0,
        *,
        seconds: Callable[[], float] = perf_counter,
    ) -> None:
        """``charge`` and ``wait`` as those of ``FairTurns``; ``seconds`` measures what is charged."""
        self._turns: FairTurns[Any] = FairTurns(1, 1, charge, wait, seconds=seconds)
        self._tasks = TaskHome()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; work that is not done by then is dropped between two steps."""
        await self._tasks.run(task_status)

    def work(self, payer: Hashable, steps: Steps) -> None:
        """Do the steps: one slice now, which the caller pays for, and the rest in turns of this payer."""
        if not _is_done_after_a_slice(steps):
            self._tasks.start_soon(self._go_on, payer, steps)

    def work_later(self, payer: Hashable, steps: Steps) -> None:
        """The same, but nothing of it now."""
        self._tasks.start_soon(self._go_on, payer, steps)

    async def _go_on(self, payer: Hashable, steps: Steps) -> None:
        is_done = False
        while not is_done:
            await trio.lowlevel.checkpoint()
            async with self._turns.turn(payer):
                is_done = _is_done_after_a_slice(steps)


def _is_done_after_a_slice(steps: Steps) -> bool:
    left = SLICE_BYTES
    for cost in steps:
        left -= cost
        if left <= 0:
            return False
    return True
