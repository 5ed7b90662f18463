"""The clock of the daemon's deadlines: time that the process did not have is none."""

import pytest
import trio

from walletd.runtime.awake_clock import LONGEST_PASS_SECONDS, AwakeClock


class System:
    """The system's clock, put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def system() -> System:
    return System()


@pytest.fixture
def clock(system: System) -> AwakeClock:
    clock = AwakeClock(system)
    clock.start_clock()
    return clock


def test_a_sleep_that_was_asked_for_counts_whole(clock: AwakeClock, system: System) -> None:
    assert clock.deadline_to_sleep_time(clock.current_time() + 600) == 600
    system.now += 600
    assert clock.current_time() == pytest.approx(600)
    assert clock.stood_seconds == 0


def test_work_counts(clock: AwakeClock, system: System) -> None:
    for _ in range(100):
        system.now += LONGEST_PASS_SECONDS / 2
        clock.current_time()
    assert clock.current_time() == pytest.approx(50 * LONGEST_PASS_SECONDS)
    assert clock.stood_seconds == 0


@pytest.mark.parametrize("asleep", [0.0, 1.0])
def test_a_standstill_counts_for_a_moment_only(clock: AwakeClock, system: System, asleep: float) -> None:
    if asleep:
        clock.deadline_to_sleep_time(asleep)
    system.now += 90
    assert clock.current_time() == pytest.approx(asleep + LONGEST_PASS_SECONDS)
    assert clock.stood_seconds == pytest.approx(90 - asleep - LONGEST_PASS_SECONDS)
    system.now += 1
    assert clock.current_time() == pytest.approx(asleep + LONGEST_PASS_SECONDS + 1)


def test_a_loop_without_deadlines_may_sleep_as_long_as_it_likes(clock: AwakeClock, system: System) -> None:
    clock.deadline_to_sleep_time(float("inf"))
    system.now += 86_400
    assert clock.current_time() == pytest.approx(86_400)
    assert clock.stood_seconds == 0


def test_an_answer_that_came_while_the_process_stood_still_is_in_time() -> None:
    system = System()
    clock = AwakeClock(system)

    async def main() -> str:
        answered = trio.Event()

        async def answer() -> None:
            system.now += 90  # The process is stopped, and the answer comes.
            answered.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            with trio.move_on_after(30):
                await answered.wait()
                await trio.lowlevel.checkpoint()
                return "in time"
        return "too late"

    assert trio.run(main, clock=clock) == "in time"
    assert clock.stood_seconds == pytest.approx(90 - LONGEST_PASS_SECONDS)
