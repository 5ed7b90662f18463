"""Many seeds over all processors.

    survey(range(1000))                        # {seed: what is wrong}, empty where nothing is
    python -m tests.simulation.survey 1000 5000

How many seeds the tests run is set by ``TEST_SEEDS``, the first of them by ``TEST_SEED``.
"""

import logging
import multiprocessing
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.faults.rows import figure
from tests.simulation.world import Failed, simulate

SEEDS = figure("TEST_SEEDS")
FIRST = int(os.environ.get("TEST_SEED") or 0)
"""The first of them: where a soak goes on."""
SEEDS_PER_BUG = 2_000
"""A bug that no seed of them sees has survived; all but one are seen within a sixth of what CI runs."""
CHUNK = 20


class Survey(NamedTuple):
    """What many runs came to: what is wrong by seed, and how much they did."""

    failures: dict[int, str]
    entries: int
    answers: int
    lives: int


def survey(seeds: Iterable[int]) -> Survey:
    """Run these seeds, as many at once as there are processors."""
    todo = list(seeds)
    chunks = [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(survey_here, chunks))
    failures = {seed: sentence for part in parts for seed, sentence in part.failures.items()}
    return Survey(
        failures,
        entries=sum(part.entries for part in parts),
        answers=sum(part.answers for part in parts),
        lives=sum(part.lives for part in parts),
    )


def survey_here(seeds: Iterable[int]) -> Survey:
    """Run these seeds in this process, one after the other."""
    logging.disable(logging.CRITICAL)
    failures, entries, answers, lives = {}, 0, 0, 0
    try:
        for seed in seeds:
            try:
                report = simulate(seed)
            except Failed as failed:
                failures[seed] = str(failed)
            else:
                entries += report.entries
                answers += report.answers
                lives += report.lives
    finally:
        logging.disable(logging.NOTSET)
    return Survey(failures, entries, answers, lives)


if __name__ == "__main__":
    found = survey(range(int(sys.argv[1]), int(sys.argv[2])))
    for sentence in found.failures.values():
        print(sentence)
    print(f"{len(found.failures)} failed; {found.entries} entries, {found.answers} answers, {found.lives} lives")
