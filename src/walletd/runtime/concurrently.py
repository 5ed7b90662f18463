"""Two calls at the same time: while a thread writes, the event loop prepares the next write.

next_ones = await concurrently(write_these, prepare_the_next)
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def concurrently(one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[T]]) -> T:
    """The result of ``other``, once both are over.  Their exceptions are raised as they are; if both raise, that of
    ``one``.
    """
    failures: dict[object, Exception] = {}

    async def run_one() -> None:
        try:
            await one()
        except Exception as failure:
            failures[one] = failure

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_one)
        try:
            result = await other()
        except Exception as failure:
            failures[other] = failure
    for call in (one, other):
        if call in failures:
            raise failures[call]
    return result
