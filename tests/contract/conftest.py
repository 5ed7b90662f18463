"""Daemons are forked: what is tested is what they say, not how they begin."""

import pytest

from tests.daemon.process import Daemon


@pytest.fixture(autouse=True)
def forked_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these tests."""
    monkeypatch.setattr(Daemon, "is_forked", True)
