"""A ledger larger than every cache and every bound: it lives, answers as before, and nothing it sends is too large."""

from pathlib import Path

import pytest

from tests.faults.bounds import not_crossed
from tests.faults.rows import figure
from tests.faults.size import Life
from tests.faults.small import BUGS
from tests.faults.tally import tally

ENTRIES = figure("TEST_SMALL_ENTRIES")
ENTRIES_AT_DEFAULTS = figure("TEST_ENTRIES")
LARGEST_READER_CACHE = 16 * 1024
ENTRIES_TO_FIND_A_BUG = 1_500


@pytest.mark.interpreted
@pytest.mark.timeout(600)
def test_a_life_across_every_bound_made_small(tmp_path: Path, seed: int) -> None:
    with Life(tmp_path, seed, ENTRIES, is_small=True) as life:
        life.whole()
    print(life.seconds)
    tally(**{name.replace(" ", "_"): count for name, count in life.measures.items()})
    assert not_crossed(life.measures) == []


@pytest.mark.timeout(600 + ENTRIES_AT_DEFAULTS // 200)
def test_a_life_at_true_defaults(tmp_path: Path, seed: int) -> None:
    with Life(tmp_path, seed, ENTRIES_AT_DEFAULTS, is_small=False) as life:
        life.whole()
    print(life.seconds)
    tally(**{f"{name.replace(' ', '_')}_at_defaults": count for name, count in life.measures.items()})
    assert life.measures["KiB of read tables"] > LARGEST_READER_CACHE, "no cache is crossed at true defaults"


@pytest.mark.interpreted
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(tmp_path: Path, seed: int, bug: str) -> None:
    with (
        pytest.raises(AssertionError, match=BUGS[bug][1]),
        Life(tmp_path, seed, ENTRIES_TO_FIND_A_BUG, is_small=True, bug=bug) as life,
    ):
        life.whole()
