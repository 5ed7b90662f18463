"""The harness of row 15 is checked: each planted bug makes it fail."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.daemon import process
from tests.faults import test_surroundings
from tests.faults import test_surroundings_outside as outside
from tests.faults.planted import BUGS_OF_THE_SURROUNDINGS, PROGRAM
from tests.faults.test_surroundings import live_under_a_wild_clock, live_without_a_thread

THREADS = {
    "the journal's thread is not watched": "the journal's thread hangs",
    "the queries' thread is not watched": "the queries' thread hangs",
    "the projection is not watched": "the projection hangs",
    "the loop is not watched": "the loop hangs",
    "the loop's time is not counted": "the loop spins",
}


CLOCKS = {
    "the clock is believed": "an entry is earlier",
    "a jump of the clock is taken over": "binds all that follows",
}


@pytest.mark.parametrize("bug", CLOCKS)
def test_a_clock_that_is_believed_is_found(tmp_path: Path, seed: int, bug: str) -> None:
    with pytest.raises(AssertionError, match=CLOCKS[bug]):
        live_under_a_wild_clock(tmp_path, [*PROGRAM, bug], random.Random(seed))


@pytest.mark.parametrize("bug", THREADS)
def test_a_thread_that_nobody_watches_is_found(tmp_path: Path, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bug in BUGS_OF_THE_SURROUNDINGS
    monkeypatch.setattr(test_surroundings, "PATIENCE_SECONDS", 8.0)
    with pytest.raises((AssertionError, subprocess.TimeoutExpired)):
        live_without_a_thread(tmp_path, THREADS[bug], bug)


OUTSIDE: dict[str, Callable[[Path, str], None]] = {
    "connections take every descriptor": outside.live_without_descriptors,
    "without a thread there is no work": outside.live_without_threads,
    "a busy file ends the daemon": outside.live_beside_another_program,
    "other programs fold the log": outside.live_beside_another_program,
    "signals are not held back": outside.live_through_early_and_late_signals,
    "a standstill counts as time": outside.live_through_a_standstill,
    "a line waits for its reader": outside.live_with_a_stalled_log,
    "the directory is needed": outside.live_without_a_directory,
}


@pytest.mark.parametrize("bug", OUTSIDE)
def test_a_daemon_that_its_surroundings_end_is_found(tmp_path: Path, bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "REPLY_SECONDS", 5)
    monkeypatch.setattr(process, "START_SECONDS", 30)
    monkeypatch.setattr(outside, "PATIENCE_SECONDS", 20.0)
    with pytest.raises((AssertionError, OSError, WebSocketException, pytest.fail.Exception)):
        OUTSIDE[bug](tmp_path, bug)


def test_every_planted_bug_is_tried() -> None:
    assert {*THREADS, *OUTSIDE, *CLOCKS} == set(BUGS_OF_THE_SURROUNDINGS)
