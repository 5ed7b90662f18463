"""Hypothesis profiles: how long the random tests run.  ``HYPOTHESIS_PROFILE=soak`` for the long ones."""

import os

from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
