"""Hypothesis profiles: how long the random tests run.  ``HYPOTHESIS_PROFILE=soak`` for the long ones.

Tests that reach into the code (plant a bug, patch a method, look into slots) are marked ``interpreted``: they are
skipped where the modules are compiled.
"""

import math
import os

import pytest
from hypothesis import settings

from walletd.ledger import rules

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

USUAL_LIMIT_SECONDS = 120
"""As in pyproject.toml: a test that is given more takes long."""

IS_COMPILED = not rules.__file__.endswith(".py")


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
