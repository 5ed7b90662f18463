"""Hypothesis profiles: how long the random tests run.  ``HYPOTHESIS_PROFILE=soak`` for the long ones.

Tests that reach into the code (plant a bug, patch a method, look into slots) are marked ``interpreted``: they are
skipped where the modules are compiled.
"""

import os
from itertools import islice

import pytest
from hypothesis import settings

from walletd.ledger import rules

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

IS_COMPILED = not rules.__file__.endswith(".py")


def _dealt(items: list[pytest.Item], hands: int) -> list[pytest.Item]:
    """The long tests, which have time limits of their own, at the beginning of each worker's share of all.

    pytest-xdist cuts the list into as many pieces as there are workers, and whoever is done takes from the end of one.
    """
    long = [item for item in items if item.get_closest_marker("timeout")]
    short = iter([item for item in items if not item.get_closest_marker("timeout")])
    dealt: list[pytest.Item] = []
    for number in range(hands):
        hand = long[number::hands]
        dealt += [*hand, *islice(short, max(0, len(items) // hands - len(hand)))]
    return [*dealt, *short]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the interpreted modules, where there are none, and let no worker be left with what takes long."""
    items[:] = _dealt(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    if IS_COMPILED:
        skip = pytest.mark.skip(reason="reaches into a module that is compiled here")
        for item in items:
            if item.get_closest_marker("interpreted"):
                item.add_marker(skip)
