"""The ledger's clock: a bad reading does not carry it away, it never falls back, and it does not stand still."""

import logging
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from walletd.wallets import clock_file
from walletd.wallets.clock_file import accept, begin_here, boot_id, read_seen, take_word, write_seen
from walletd.wallets.ledger_clock import (
    EARLIEST,
    MOST_AT_ONCE_SECONDS,
    SECOND,
    Beginning,
    ClockUnbelievable,
    LedgerClock,
    Seen,
    begin,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86_400
YEAR = 365 * DAY
WEEK = timedelta(days=7)


class Machine:
    """A machine whose true time goes on as it is told, and whose wall clock is off by ``error`` seconds."""

    def __init__(self, time: datetime = NOON) -> None:
        self.micros = (time - EPOCH) // timedelta(microseconds=1)
        self.uncounted = 0
        self.error = 0

    def wall(self) -> int:
        return self.micros + self.error * SECOND

    def steady(self) -> int:
        return self.micros - self.uncounted - 1_000_000_000_000

    @property
    def time(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.micros)

    def clock(self) -> LedgerClock:
        """One that has agreed with the wall clock for a minute."""
        clock = LedgerClock(self.wall, self.steady)
        self.passes(MINUTE)
        clock()
        return clock

    def passes(self, seconds: float) -> None:
        self.micros += round(seconds * SECOND)

    def is_paused(self, seconds: int) -> None:
        """No clock of the machine counts this; then NTP puts its wall clock right."""
        self.micros += seconds * SECOND
        self.uncounted += seconds * SECOND


def seconds_apart(clock: LedgerClock, machine: Machine) -> float:
    """How far the ledger's time is ahead of the true one."""
    return (clock() - machine.time).total_seconds()


@pytest.mark.parametrize("step", [0, 1, 9])
def test_a_step_of_ntp_is_taken_over_at_once(step: int) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.error = step
    assert seconds_apart(clock, machine) == step


def test_a_machine_that_was_suspended_goes_on_at_once() -> None:
    """CLOCK_BOOTTIME counted what passed."""
    machine = Machine()
    clock = machine.clock()
    machine.passes(8 * HOUR)
    assert seconds_apart(clock, machine) == 0
    assert clock.jumps == {"ahead": 0, "back": 0}


@pytest.mark.parametrize("looks_per_second", [1, 1000])
def test_a_clock_a_year_ahead_for_a_minute_carries_the_ledger_away_by_no_more_than_that(looks_per_second: int) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.error = YEAR
    clock()
    for _ in range(MINUTE * looks_per_second):
        machine.passes(1 / looks_per_second)
        clock()
    assert seconds_apart(clock, machine) == MINUTE + MOST_AT_ONCE_SECONDS
    machine.error = 0
    seen = [clock()]
    while seconds_apart(clock, machine) > 0:
        machine.passes(1)
        seen.append(clock())
        assert timedelta(seconds=0.5) <= seen[-1] - seen[-2] <= timedelta(seconds=1), "it goes on, at half its speed"
    assert len(seen) <= 2 * (MINUTE + MOST_AT_ONCE_SECONDS) + 1
    assert clock.jumps == {"ahead": 1, "back": 1}


def test_a_machine_that_was_paused_catches_up_in_as_long_as_it_was_paused() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.is_paused(3 * HOUR)
    assert seconds_apart(clock, machine) == MOST_AT_ONCE_SECONDS - 3 * HOUR
    assert clock.is_apart
    machine.passes(HOUR)
    assert seconds_apart(clock, machine) == MOST_AT_ONCE_SECONDS - 2 * HOUR
    machine.passes(2 * HOUR)
    assert seconds_apart(clock, machine) == 0
    assert not clock.is_apart


def test_by_an_operators_word_it_is_there_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.is_paused(3 * HOUR)
    clock()
    clock.accept()
    assert seconds_apart(clock, machine) == 0
    machine.error = -HOUR
    before = clock()
    clock.accept()
    assert clock() >= before, "time does not fall back by anybody's word"


def test_a_clock_that_goes_back_makes_the_time_slow_and_not_stand_still() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.error = -HOUR
    started = clock()
    machine.passes(HOUR)
    assert clock() - started == timedelta(minutes=30)
    machine.passes(HOUR)
    assert seconds_apart(clock, machine) == -HOUR, "they have met"


def test_whatever_the_clock_says_the_time_never_falls_back_and_gains_no_more_than_passes(
    chance: random.Random,
) -> None:
    machine = Machine()
    clock = machine.clock()
    started, last = machine.time, clock()
    for _ in range(5000):
        machine.passes(chance.choice([0, 0, 1e-6, 4e-4, 0.01, 1, 30, 600]))
        if chance.random() < 0.2:
            machine.error = chance.choice([0, 0, 1, -1, 5, -HOUR, HOUR, DAY, -DAY, -20 * YEAR, 20 * YEAR])
        now = clock()
        assert now >= last
        assert now - started <= 2 * (machine.time - started) + timedelta(seconds=MOST_AT_ONCE_SECONDS)
        assert now - started >= (machine.time - started) / 2 - timedelta(microseconds=5000)
        last = now


def test_a_jump_is_said_once_with_what_to_do_and_its_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = machine.clock()
    with caplog.at_level(logging.INFO, "walletd.daemon"):
        machine.error = HOUR
        for _ in range(100):
            clock()
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "jumped ahead by 1:00:00" in record.getMessage()
        assert "walletd clock FOLDER --accept" in record.getMessage()
        caplog.clear()
        machine.passes(HOUR)
        clock()
        assert [record.getMessage() for record in caplog.records] == [
            "this machine's clock and the ledger's time agree again"
        ]


# --- at a start ------------------------------------------------------------------------------------------------------

LAST = NOON - timedelta(hours=2)
SEEN = Seen(NOON - timedelta(hours=1), 1_000 * SECOND, "boot 1")


def started(wall: datetime, *, steady: int = 4_600 * SECOND, boot: str = "boot 1", **more: object) -> Beginning:
    asked = {"last": LAST, "seen": SEEN, "max_gap": WEEK, "accepted": False, **more}
    return begin(wall, steady, boot, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("wall", [NOON, NOON + timedelta(days=400), NOON - timedelta(days=400)])
def test_in_the_same_boot_the_steady_clock_vouches_for_the_time_whatever_the_wall_clock_says(wall: datetime) -> None:
    assert started(wall) == Beginning(NOON)


def test_in_the_same_boot_too_it_never_begins_before_the_last_entry() -> None:
    later = NOON + timedelta(minutes=1)
    assert started(NOON, last=later) == Beginning(later)


@pytest.mark.parametrize("off", [timedelta(0), timedelta(hours=5), WEEK - timedelta(hours=2)])
def test_after_a_reboot_the_wall_clock_is_believed_while_it_is_not_far_ahead(off: timedelta) -> None:
    assert started(NOON + off, boot="boot 2") == Beginning(NOON + off)


def test_after_a_reboot_a_clock_far_ahead_is_not_believed_without_a_word() -> None:
    wall = NOON + timedelta(days=365)
    with pytest.raises(ClockUnbelievable, match=r"365 days, 1:00:00 ahead .* walletd clock FOLDER --accept"):
        started(wall, boot="boot 2")
    assert started(wall, boot="boot 2", accepted=True) == Beginning(wall)


def test_a_folder_that_says_nothing_of_the_clock_believes_it_aloud(caplog: pytest.LogCaptureFixture) -> None:
    """A journal that was restored, or that an older version wrote."""
    wall = NOON + timedelta(days=365)
    assert started(wall, seen=None) == Beginning(wall)
    assert "ahead of the journal's last entry; accepting it" in caplog.text


def test_a_clock_behind_the_journal_is_said_and_believed_again_once_it_can_be_right(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.error = -50 * YEAR
    beginning = started(EPOCH + timedelta(microseconds=machine.wall()), boot="boot 2")
    assert beginning.time == SEEN.time
    assert "behind the journal" in caplog.text
    clock = LedgerClock(machine.wall, machine.steady, beginning)
    machine.passes(20)
    assert clock() == SEEN.time + timedelta(seconds=10)
    machine.error = YEAR
    machine.passes(20)
    assert clock() <= SEEN.time + timedelta(seconds=60), "that is not right either"
    machine.error = 0
    machine.passes(20)
    assert seconds_apart(clock, machine) == 0


def test_a_first_start_in_1970_takes_over_the_true_time_when_it_comes() -> None:
    machine = Machine()
    machine.error = -((machine.time - EPOCH) // timedelta(seconds=1))
    wall = EPOCH + timedelta(microseconds=machine.wall())
    clock = LedgerClock(machine.wall, machine.steady, begin(wall, 0, "", EPOCH, None, WEEK, False))
    assert clock() == wall < EARLIEST
    machine.error = 0
    assert seconds_apart(clock, machine) == 0


# --- what is left in the folder --------------------------------------------------------------------------------------


def test_what_the_clock_said_is_read_by_the_next_start(tmp_path: Path) -> None:
    machine = Machine()
    clock = begin_here(tmp_path, EPOCH, 7, machine.wall, machine.steady)
    machine.error = YEAR
    machine.passes(100)
    write_seen(tmp_path, clock.seen(boot_id()))
    machine.passes(100)
    again = begin_here(tmp_path, EPOCH, 7, machine.wall, machine.steady)
    assert seconds_apart(again, machine) == MOST_AT_ONCE_SECONDS
    assert again.jumps["ahead"] == 1, "a start says it, too"


def test_where_the_platform_names_no_boot_no_two_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_file, "BOOT_ID", tmp_path / "none")
    machine = Machine()
    write_seen(tmp_path, machine.clock().seen(boot_id()))
    machine.passes(30 * DAY)
    with pytest.raises(ClockUnbelievable):
        begin_here(tmp_path, EPOCH, 7, machine.wall, machine.steady)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"time":1}', b"\x00" * 80])
def test_a_file_that_says_nothing_is_as_if_there_were_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clock.json").write_bytes(content)
    assert read_seen(tmp_path) is None


def test_a_word_counts_once_and_for_the_reading_that_it_was_given_of(tmp_path: Path) -> None:
    machine = Machine()
    assert not take_word(tmp_path, machine.wall)
    assert accept(tmp_path, machine.wall) == machine.time
    machine.passes(MINUTE)
    assert take_word(tmp_path, machine.wall)
    assert not take_word(tmp_path, machine.wall)
    for error in (-HOUR, DAY):
        accept(tmp_path, machine.wall)
        machine.error = error
        assert not take_word(tmp_path, machine.wall), "the clock was set since"
        machine.error = 0


def test_by_a_word_a_start_believes_a_clock_that_is_far_ahead(tmp_path: Path) -> None:
    machine = Machine()
    write_seen(tmp_path, Seen(NOON, 0, "boot 1"))
    machine.passes(YEAR)
    with pytest.raises(ClockUnbelievable):
        begin_here(tmp_path, NOON, 7, machine.wall, machine.steady)
    accept(tmp_path, machine.wall)
    assert seconds_apart(begin_here(tmp_path, NOON, 7, machine.wall, machine.steady), machine) == 0
