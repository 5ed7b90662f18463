"""When a client comes back, and when it does not."""

import pytest

from walletd.client.errors import AuthenticationFailed, ClosedForGood
from walletd.client.reconnection import Backoff, Lost


def test_the_delay_is_drawn_below_a_bound_that_doubles_up_to_ten_seconds() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.after(Lost()) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]
    assert Backoff(lambda: 0.0).after(Lost()) == 0


def test_only_a_hello_brings_the_short_delays_back() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.after(Lost())
    backoff.greeted()
    assert backoff.after(Lost()) == 0.1


def test_a_restart_is_followed_by_a_short_jittered_delay_once() -> None:
    backoff = Backoff(lambda: 0.5)
    assert backoff.after(Lost(1012, "restart")) == 0.25
    assert backoff.after(Lost(1012, "restart")) == 0.1
    assert backoff.after(Lost(1012, "restart")) == 0.2


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1013, 4500, 4508, 4529])
def test_these_codes_say_come_back(code: int) -> None:
    assert isinstance(Backoff(lambda: 0.5).after(Lost(code)), float)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (4400, ClosedForGood),
        (4401, AuthenticationFailed),
        (4403, ClosedForGood),
        (4406, ClosedForGood),
        (4408, AuthenticationFailed),
    ],
)
def test_these_codes_say_do_not_come_back(code: int, error: type[Exception]) -> None:
    assert type(Backoff(lambda: 0.5).after(Lost(code, "because"))) is error


def test_what_many_begin_together_is_spread() -> None:
    assert [round(Backoff(lambda chance=chance: chance).spread(5), 9) for chance in (0.0, 0.5, 1.0)] == [4, 5, 6]  # type: ignore[misc]
