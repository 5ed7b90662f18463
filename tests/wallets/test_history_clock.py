"""The promise of time: what a read has shown of a moment stays true of it, whatever the clock does."""

from datetime import UTC, datetime, timedelta

from walletd.wallets.history_clock import HistoryClock

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Wall:
    """A clock that says what it is told to."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


def test_an_entry_has_the_clocks_time() -> None:
    assert HistoryClock(Wall(NOON), NOON - SECOND).next_entry_time() == NOON


def test_an_entry_is_not_before_the_last_one_where_the_clock_goes_back() -> None:
    wall = Wall(NOON)
    clock = HistoryClock(wall, NOON - SECOND)
    clock.entered(clock.next_entry_time())
    wall.time = NOON - SECOND
    assert clock.next_entry_time() == NOON
    assert clock.moment() == NOON


def test_an_entry_is_later_than_every_moment_that_was_promised() -> None:
    wall = Wall(NOON)
    clock = HistoryClock(wall, NOON - SECOND)
    clock.promise(clock.moment())
    assert clock.next_entry_time() > NOON
    wall.time = NOON - SECOND
    assert clock.next_entry_time() > NOON


def test_a_promise_about_an_earlier_moment_takes_none_back() -> None:
    clock = HistoryClock(Wall(NOON), NOON - SECOND)
    clock.promise(NOON)
    clock.promise(NOON - SECOND)
    assert clock.next_entry_time() > NOON


def test_the_time_of_an_entry_that_was_not_made_binds_nothing() -> None:
    wall = Wall(NOON)
    clock = HistoryClock(wall, NOON - 2 * SECOND)
    assert clock.next_entry_time() == NOON
    wall.time = NOON - SECOND
    assert clock.next_entry_time() == NOON - SECOND
