"""Backup, restore and upgrade under load, killed in the middle: nothing is lost, and every answer is the same."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.dying import BUGS
from tests.faults.restores import Lives
from tests.faults.rows import figure
from tests.faults.tally import tally

CYCLES = figure("TEST_CYCLES")
CYCLES_OF_A_JOURNAL = 5
"""A cycle takes as long as its journal: after so many another one is begun."""

CYCLES_TO_SEE_ALL = 10
CYCLES_TO_FIND_A_BUG = 12


@pytest.mark.timeout(60 + 60 * CYCLES)
def test_whatever_is_killed_a_restore_brings_back_a_prefix_and_every_answer(tmp_path: Path, seed: int) -> None:
    seen: Counter[str] = Counter()
    for first in range(0, CYCLES, CYCLES_OF_A_JOURNAL):
        directory = tmp_path / f"from-{first}"
        directory.mkdir()
        with Lives(directory, seed + first) as lives:
            for _ in range(min(CYCLES_OF_A_JOURNAL, CYCLES - first)):
                lives.cycle()
        seen += lives.seen
    tally(cycles=CYCLES, **{what.replace(" ", "_"): count for what, count in sorted(seen.items())})
    assert seen["restores of all compared"] + seen["restores to a point compared"] == CYCLES
    if CYCLES >= CYCLES_TO_SEE_ALL:
        for what in ("backups killed", "compactions killed", "compactions finished", "restores killed", "lived on"):
            assert seen[what], f"{what}: never, so that nothing is known about it"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(tmp_path: Path, seed: int, bug: str) -> None:
    with pytest.raises(AssertionError, match=BUGS[bug][1]), Lives(tmp_path, seed, bug) as lives:
        for _ in range(CYCLES_TO_FIND_A_BUG):
            lives.cycle()
