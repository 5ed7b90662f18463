"""What takes long is not done by the event loop, and is tried again; what took long once is not what takes long."""

import pytest

from walletd.runtime import blocking_calls
from walletd.runtime.blocking_calls import CALLS_IN_THREAD, SLOW_SECONDS, OnLoop


class Timed:
    """Calls that take as long as they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, slow_seconds: float | None = None) -> None:
        self.now = 0.0
        self.on_loop = OnLoop(slow_seconds)
        monkeypatch.setattr(blocking_calls, "perf_counter", lambda: self.now)

    def call(self, seconds: float) -> bool:
        """Whether the event loop made it."""
        if not self.on_loop.is_due():
            return False
        with self.on_loop:
            self.now += seconds
        return True


def test_what_is_fast_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    assert all(timed.call(SLOW_SECONDS * 0.9) for _ in range(200))


def test_what_is_slow_has_a_thread_but_for_a_try_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    made = [timed.call(SLOW_SECONDS * 2) for _ in range(10 + 5 * (CALLS_IN_THREAD + 1))]
    assert made[0]
    assert sum(made[-5 * (CALLS_IN_THREAD + 1) :]) == 5


def test_what_is_fast_again_is_done_at_once_again(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    while timed.call(SLOW_SECONDS * 2):
        pass
    for _ in range(3 * (CALLS_IN_THREAD + 1)):
        timed.call(0.0)
    assert all(timed.call(0.0) for _ in range(200))


def test_a_hiccup_is_not_a_slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch)
    for _ in range(20):
        assert timed.call(0.0001)
    assert timed.call(SLOW_SECONDS * 9)
    assert all(timed.call(0.0001) for _ in range(20))


def test_a_call_that_fails_counts_like_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch, slow_seconds=1.0)
    assert timed.on_loop.is_due()
    with pytest.raises(ValueError, match="no"), timed.on_loop:
        timed.now += 11.0
        raise ValueError("no")
    assert not timed.on_loop.is_due()
