"""Row 12: cancelled at any step, the daemon leaves what it told, no transaction, no thread and no waiting task."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.cancellation import BUGS
from tests.faults.rows import figure
from tests.faults.tally import tally

SCRIPTS = figure("TEST_SCRIPTS")
FIRST = int(os.environ.get("TEST_SEED") or 0) // 3 * 3
PARTS = 2
PATIENCE_SECONDS = 900
ROOT = Path(__file__).parents[2]


def cancelled_everywhere(script: int, bug: str = "") -> tuple[int, list[str]]:
    """How many steps the script was cancelled at, and what was wrong."""
    command = [sys.executable, "-m", "tests.faults.cancellation", str(script)]
    running = [
        subprocess.Popen(
            [*command, str(part), str(PARTS), *([bug] if bug else [])], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for part in range(PARTS)
    ]
    try:
        found = [json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0]) for process in running]
    finally:
        for process in running:
            process.kill()
    return sum(part["steps"] for part in found), [wrong for part in found for wrong in part["violations"]]


@pytest.mark.timeout(0)
def test_whichever_step_is_cancelled_the_promises_hold() -> None:
    print(f"scripts {FIRST} to {FIRST + SCRIPTS - 1}: repeat with TEST_SEED={FIRST}")
    for script in range(FIRST, FIRST + SCRIPTS):
        steps, violations = cancelled_everywhere(script)
        assert violations == []
        tally(seeds=1, faults=steps)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    _, violations = cancelled_everywhere(BUGS[bug][3], bug)
    assert violations, f"no step shows that {bug}"
