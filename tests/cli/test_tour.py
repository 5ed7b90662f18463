"""The tour over the real daemon: serve, pay, be refused, look, watch, verify, and the whole demonstration."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.witness import judge_noted, noting
from tests.daemon.forked import ran

WALLETD = [sys.executable, "-m", "walletd"]


class Tour:
    """A daemon with a data directory of its own, and the command line beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.start()

    def start(self) -> None:
        """Start the daemon, and wait until it has greeted."""
        self.process = subprocess.Popen(
            [*WALLETD, "serve", "--port", "0"], cwd=self.directory, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        greeting = ""
        for line in self.process.stdout:
            greeting += line
            if "Ctrl-C stops" in line:
                break
        self.greeting = greeting
        (self.url,) = set(re.findall(r"ws://127\.0\.0\.1:\d+", greeting))

    def end(self, number: int) -> int:
        """Send the daemon a signal; its exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=120)
        return self.process.returncode

    def walletd(self, *arguments: str, exit_code: int = 0) -> str:
        """stdout of a command that must end with this exit code; stderr where it is not 0."""
        url = [] if arguments[0] in ("verify", "completion") else ["--url", self.url]
        environment = {**os.environ, **noting(self.directory / "frames")}
        ended = ran([*arguments, *url], environment=environment, directory=self.directory)
        assert ended.returncode == exit_code, ended.stderr
        return ended.stderr if exit_code else ended.stdout


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[Tour]:
    tour = Tour(tmp_path)
    yield tour
    if (frames := tmp_path / "frames").exists():
        judge_noted(frames)
    if tour.process.poll() is None:
        tour.end(signal.SIGKILL)


def test_the_tour(tour: Tour) -> None:
    assert (tour.directory / "var/operator.token").stat().st_mode & 0o777 == 0o600
    tour.walletd("asset", "define", "EUR/2", "BTC/8", "ETH/18")
    tour.walletd("wallet", "open", "alice", "bob")
    tour.walletd("pay", "@external", "alice", "100", "EUR")
    paid = tour.walletd("pay", "alice", "bob", "12.50", "EUR", "--command-id", "order-1", "--json")

    assert "87.50 EUR available and needs 500.00" in tour.walletd("pay", "alice", "bob", "500", "EUR", exit_code=1)
    assert "87.50" in tour.walletd("balance", "alice")
    assert json.loads(tour.walletd("balance", "bob", "--json"))["balances"][0]["posted"] == "1250"
    assert "-12.50" in tour.walletd("statement", "alice")
    tour.walletd("status", "--token", "wrong", exit_code=77)
    assert "holds the journal" in tour.walletd("verify", "var", exit_code=75)

    tour.end(signal.SIGKILL)
    tour.walletd("status", exit_code=69)
    tour.start()
    again = json.loads(tour.walletd("pay", "alice", "bob", "12.50", "EUR", "--command-id", "order-1", "--json"))
    assert again.pop("replayed") is True
    assert again == json.loads(paid)
    assert json.loads(tour.walletd("balance", "bob", "--json"))["balances"][0]["posted"] == "1250"

    assert tour.end(signal.SIGTERM) == 0
    sums = json.loads(tour.walletd("verify", "var", "--json"))["sums"]
    assert {"asset": "EUR", "scale": 2, "sum": "0", "in_customer_wallets": "10000"} in sums


def test_the_demonstration_proves_itself_and_leaves_a_sound_journal(tour: Tour) -> None:
    summary = json.loads(tour.walletd("demo", "--operations", "1500", "--wallets", "40", "--seed", "7", "--json"))
    assert summary["operations"] == 1500
    assert {"insufficient_funds", "wallet_not_found", "self_transfer"} <= summary["refused"].keys()
    assert all(proof["holds"] for proof in summary["proofs"])
    assert summary["events_seen"] == summary["events_expected"]

    drawn = tour.walletd("demo", "--operations", "200", "--wallets", "10")
    assert "Every proof holds" in drawn

    assert tour.end(signal.SIGINT) == 0
    found = json.loads(tour.walletd("verify", "var", "--json"))
    assert found["violations"] == []
    assert {row["asset"]: int(row["sum"]) for row in found["sums"]} == {"BTC": 0, "ETH": 0, "EUR": 0}


def test_a_demonstration_on_assets_of_another_scale_says_so(tour: Tour) -> None:
    tour.walletd("asset", "define", "EUR/3")
    assert "EUR/3" in tour.walletd("demo", "--operations", "10", exit_code=64)


def test_watch_sees_a_payment_and_ends_well_with_ctrl_c(tour: Tour) -> None:
    tour.walletd("asset", "define", "EUR/2")
    tour.walletd("wallet", "open", "alice")
    watching = subprocess.Popen(
        [*WALLETD, "watch", "alice", "--url", tour.url],
        cwd=tour.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # The parent may ignore it.
    )
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert "Watching alice" in watching.stderr.readline()
    tour.walletd("pay", "@external", "alice", "100", "EUR")
    assert "@external → alice  100.00 EUR" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, complaints = watching.communicate(timeout=120)
    assert (watching.returncode, complaints) == (0, "")
