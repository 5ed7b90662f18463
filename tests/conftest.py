"""Hypothesis profiles: how long the random tests run.  ``HYPOTHESIS_PROFILE=soak`` for the long ones.

Tests that reach into the code (plant a bug, patch a method, look into slots) are marked ``interpreted``: they are
skipped where the modules are compiled.
"""

import os

import pytest
from hypothesis import settings

from walletd.ledger import rules

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

IS_COMPILED = not rules.__file__.endswith(".py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the interpreted modules, where there are none."""
    if IS_COMPILED:
        skip = pytest.mark.skip(reason="reaches into a module that is compiled here")
        for item in items:
            if item.get_closest_marker("interpreted"):
                item.add_marker(skip)
