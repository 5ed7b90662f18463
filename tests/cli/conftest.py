"""The command line over a stand-in for the daemon, and its environment without the machine's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.standin import StandIn
from walletd.__main__ import run


class Ended(NamedTuple):
    """What a command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """stdout as one JSON document."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Walletd = Callable[..., Ended]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no token file but those that a test makes."""
    for name in (
        "WALLETD_URL",
        "WALLETD_TOKEN",
        "WALLETD_TOKEN_FILE",
        "WALLETD_CONFIG",
        "WALLETD_PLAIN_TEXT",
        "CREDENTIALS_DIRECTORY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("walletd.cli.connection.SERVICE_TOKEN_FILE", tmp_path / "service/operator.token")
    monkeypatch.setattr("walletd.cli.connection.SERVICE_SOCKET", tmp_path / "service/walletd.sock")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Who answers instead of a daemon."""
    daemon = StandIn()
    monkeypatch.setattr("walletd.cli.connection.connect_blocking", daemon.connect_blocking)
    monkeypatch.setattr("walletd.cli.live.connect", daemon.connect)
    return daemon


@pytest.fixture
def walletd(capsys: pytest.CaptureFixture[str]) -> Walletd:
    """Run a command line and see how it ended."""

    def run_it(*arguments: str) -> Ended:
        capsys.readouterr()
        exit_code = run(list(arguments))
        return Ended(exit_code, *capsys.readouterr())

    return run_it
