"""The audit of a real daemon's start, of which nothing was done before the serving."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, furnish
from tests.state_file import state_file
from walletd.runtime.ending import EXIT_DAMAGED
from walletd.tables.schema import (
    CHANGE_COLUMNS,
)
from walletd.tables.seals import (
    seal,
)

WITHOUT_PATIENCE = """
from walletd.daemon import auditing
from walletd.__main__ import main
auditing.PATIENCE_SECONDS = 0
main()
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that was stopped, and audits its books only beside its next serving."""
    daemon = Daemon(tmp_path / "data")
    with daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=100)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        daemon.program = ["-c", WITHOUT_PATIENCE]
        yield daemon


def test_the_audit_beside_the_serving_ends(daemon: Daemon) -> None:
    daemon.start()
    with daemon.client() as client:
        while "audit passed" not in daemon.log():
            client.call("session.ping")
        assert client.call("daemon.status")["lifecycle"] == "serving"


def test_money_that_was_made_ends_a_daemon_that_serves(daemon: Daemon) -> None:
    with state_file(daemon.data / "state.db") as tables:
        *row, _ = tables.execute(f"SELECT {CHANGE_COLUMNS} FROM balance_change c WHERE wallet = 'alice'").fetchall()[0]
        made = ["101" if value == "100" else value for value in row]
        assert made != row
        tables.execute("UPDATE balance_change SET posted = '101', seal = ? WHERE wallet = 'alice'", (seal(*made),))
    daemon.start()
    assert daemon.wait() == EXIT_DAMAGED
    assert "the books do not add up: posted balances of EUR sum to 0.01 EUR, not to zero" in daemon.log()
