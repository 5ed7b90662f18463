"""Two calls side by side: while a thread writes, the event loop prepares what is to be written next.

next_ones = await side_by_side(write_these, prepare_the_next)
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def side_by_side(one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[T]]) -> T:
    """What ``other`` returns, once both are over.  What they raise comes as it is; where both do, what ``one`` did."""
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
