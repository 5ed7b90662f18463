"""Every seed: nothing shown that is not durable, nothing lost, nothing twice, and in the end everything answered.

``TEST_SEEDS=100000`` runs more of them; ``simulate(seed)`` in tests/simulation/world.py runs the one that failed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.tally import tally
from tests.simulation.survey import FIRST, SEEDS, survey

ROOT = Path(__file__).parents[2]
STEPS = "from tests.simulation.world import simulate; print([simulate(seed).steps for seed in range(10)])"


@pytest.mark.timeout(0)
def test_whatever_goes_wrong_the_promises_hold() -> None:
    found = survey(range(FIRST, FIRST + SEEDS))
    tally(seeds=SEEDS, entries=found.entries, answers=found.answers, lives=found.lives)
    assert found.failures == {}
    assert found.lives > SEEDS


def test_the_same_seed_takes_the_same_steps_in_every_process() -> None:
    def steps(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", STEPS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return run.stdout

    assert steps("1") == steps("2")
