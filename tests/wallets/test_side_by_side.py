"""Two calls side by side: both are over in the end, and what they raise comes as it is."""

from typing import Any, NoReturn

import pytest
import trio

from walletd.runtime.concurrently import concurrently


def taking(seconds: float, over: list[str], name: str, error: Exception | None = None) -> Any:
    """A call that takes so long."""

    async def call() -> str:
        await trio.sleep(seconds)
        over.append(name)
        if error is not None:
            raise error
        return name

    return call


async def test_both_run_at_the_same_time_and_the_second_ones_result_is_returned(autojump_clock: Any) -> None:
    over: list[str] = []
    began = trio.current_time()
    assert await concurrently(taking(2, over, "one"), taking(1, over, "other")) == "other"
    assert trio.current_time() - began == pytest.approx(2)
    assert over == ["other", "one"]


@pytest.mark.parametrize("seconds", [1, 3])
async def test_what_one_raises_waits_for_the_other_and_goes_before_what_that_raises(
    autojump_clock: Any, seconds: float
) -> None:
    over: list[str] = []
    with pytest.raises(OSError, match="one"):
        await concurrently(taking(2, over, "one", OSError("one")), taking(seconds, over, "other", ValueError("other")))
    assert sorted(over) == ["one", "other"]
    with pytest.raises(ValueError, match="other"):
        await concurrently(taking(2, over, "one"), taking(seconds, over, "other", ValueError("other")))
    assert len(over) == 4


async def test_a_cancellation_reaches_both(autojump_clock: Any) -> None:
    cancelled: list[str] = []

    def for_ever(name: str) -> Any:
        async def call() -> NoReturn:
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(name)

        return call

    with trio.move_on_after(1) as scope:
        await concurrently(for_ever("one"), for_ever("other"))
    assert scope.cancelled_caught
    assert sorted(cancelled) == ["one", "other"]
