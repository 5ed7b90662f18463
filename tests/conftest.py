"""What all tests share: where chance begins, in which order they run, and a line for each folder at the end.

Random tests begin with one seed, which they print, so that a run does not fail by chance and a failure is seen again.
``TEST_SEED=7`` begins elsewhere; a soak (`make soak`) does so in each turn.  ``HYPOTHESIS_PROFILE=soak`` tries more.

Tests that reach into the code (plant a bug, patch a method, look into slots) are marked ``interpreted``: they are
skipped where the modules are compiled.
"""

import math
import os
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import settings

from walletd.ledger import rules

SEED = "TEST_SEED"
"""The variable of the environment that says where chance begins."""

IS_FIXED = SEED not in os.environ
settings.register_profile("default", deadline=None, print_blob=True, derandomize=IS_FIXED)
settings.register_profile("soak", deadline=None, print_blob=True, derandomize=IS_FIXED, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

USUAL_LIMIT_SECONDS = 300
"""As in pyproject.toml: a test that is given more takes long."""

IS_COMPILED = not rules.__file__.endswith(".py")


@pytest.fixture
def seed() -> int:
    """Where chance begins: the same number in every run that is not given another."""
    number = int(os.environ.get(SEED) or 1)
    print(f"seed {number}: repeat with {SEED}={number}")
    return number


@pytest.fixture
def chance(seed: int) -> random.Random:
    """A source of chance that begins with the seed."""
    return random.Random(seed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the interpreted modules, where there are none; begin with what takes long."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers)
    if IS_COMPILED:
        skip = pytest.mark.skip(reason="reaches into a module that is compiled here")
        for item in items:
            if item.get_closest_marker("interpreted"):
                item.add_marker(skip)


def dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """The tests that may take longest in front of each worker's share: a long one that comes last runs alone.

    A worker begins with its share of the list, one after the other, and takes from others when it is done.
    """
    long = sorted((item for item in items if _limit(item) > USUAL_LIMIT_SECONDS), key=_limit, reverse=True)
    short = [item for item in items if _limit(item) <= USUAL_LIMIT_SECONDS]
    order: list[pytest.Item] = []
    for worker in range(workers):
        share = (len(items) - len(order)) // (workers - worker)
        mine = long[worker::workers]
        rest = max(0, share - len(mine))
        order += mine + short[:rest]
        del short[:rest]
    return order + short


def _limit(item: pytest.Item) -> float:
    """How many seconds a test may take; 0 is without a limit."""
    limit = item.get_closest_marker("timeout")
    return USUAL_LIMIT_SECONDS if limit is None else limit.args[0] or math.inf


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of each folder how many tests ran and how long they took: of all processes together."""
    counts: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = "/".join(report.nodeid.split("/")[:2])
                counts[folder] += report.when == "call" or report.outcome != "passed"
                seconds[folder] += report.duration
    if len(counts) > 1 and terminalreporter.verbosity >= 0:
        terminalreporter.section("tests and seconds of each folder")
        for folder, spent in sorted(seconds.items(), key=lambda one: -one[1]):
            terminalreporter.write_line(f"{counts[folder]:6} {spent:6.0f} s  {folder}")
