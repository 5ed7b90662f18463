"""Rows 3 and 4, of the journal: whichever write or sync fails, or is the last, what was told is there, and no more.

What was said to be rolled back does not come back, not even after a restart.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.io_errors import BUGS, EXIT_DEGRADED, EXIT_REFUSED
from tests.faults.recording import Recorder
from tests.faults.rows import figure
from tests.faults.tally import tally
from walletd.runtime.ending import EXIT_SOFTWARE

FAULTS = figure("TEST_FAULTS")
KILLS = figure("TEST_JOURNAL_KILLS")
LIVES_PER_BUG = 300
PARTS = 2
ROOT = Path(__file__).parents[2]


def live_through_faults(
    recorder: Recorder, folder: Path, seed: int, faults: int, kills: int, bug: str = ""
) -> tuple[dict[str, int], list[str]]:
    """So many lives in some processes: how they ended, and what was wrong."""
    running = []
    for part in range(PARTS):
        files = folder / f"part-{part}"
        files.mkdir()
        arguments = [str(files), str(seed + part), str(faults // PARTS), str(kills // PARTS), *([bug] if bug else [])]
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.io_errors", *arguments],
                env={**os.environ, **recorder.environment(files)},
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
        )
    reports: list[dict[str, Any]] = [json.loads(process.communicate()[0]) for process in running]
    ends: dict[str, int] = {}
    for report in reports:
        for end, count in report["ends"].items():
            ends[end] = ends.get(end, 0) + count
    return ends, [wrong for report in reports for wrong in report["violations"]]


@pytest.mark.timeout(0)
def test_whatever_fails_what_was_told_is_there_and_no_more(recorder: Recorder, memory_path: Path, seed: int) -> None:
    ends, violations = live_through_faults(recorder, memory_path, seed, FAULTS, 0)
    print(f"ended with: {ends}")
    assert violations == []
    assert sum(ends.values()) == FAULTS // PARTS * PARTS
    for end in (EXIT_SOFTWARE, EXIT_REFUSED, EXIT_DEGRADED, 0):
        assert ends.get(str(end)), f"no life ended with {end}: {ends}"
    tally(faults=sum(ends.values()))


@pytest.mark.timeout(0)
def test_whatever_dies_what_was_told_is_there(recorder: Recorder, memory_path: Path, seed: int) -> None:
    ends, violations = live_through_faults(recorder, memory_path, seed, 0, KILLS)
    print(f"ended with: {ends}")
    assert violations == []
    assert sum(ends.values()) == KILLS // PARTS * PARTS
    assert ends["-9"] > KILLS // 2
    tally(kills=ends["-9"])


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(recorder: Recorder, memory_path: Path, seed: int, bug: str) -> None:
    _, violations = live_through_faults(recorder, memory_path, seed, LIVES_PER_BUG, 0, bug)
    assert violations, f"no fault shows that {bug}"
