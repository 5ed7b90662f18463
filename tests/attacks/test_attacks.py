"""Hostile clients against a real daemon, an honest one beside them: it is served, memory is bounded, all is counted.

Nothing here measures time: the metrics show that an attack runs, and its answers that the honest client is served.
"""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench.attackers import ATTACKS, COUNTED_BY

from tests.daemon.process import Daemon, furnish, posted, transfer

MEBIBYTE = 1024 * 1024
MOST_MORE_BYTES = 64 * MEBIBYTE
"""By how much the daemon may grow under an attack; ``max_buffered_mebibytes`` is 16 here."""

HONEST_COMMANDS = 300
MOST_COMMANDS = 20_000
"""By then the metrics must show the attack."""

LIMITS = {
    "handshake_seconds": "1",
    "authentication_seconds": "1",
    "write_stall_seconds": "1",
    "compression": "true",
    "max_connections": "500",
    "max_connections_per_address": "100",
    "max_buffered_mebibytes": "16",
    "max_requests_per_second": "2000",
    "max_requests_per_second_of_principal": "20000",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    environment = {f"WALLETD_{name.upper()}": value for name, value in LIMITS.items()}
    with Daemon(tmp_path_factory.mktemp("attacks") / "data", environment=environment) as daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=1_000_000)
            for number in range(300):
                client.call("transfer.post", **transfer(f"bulk-{number}", "alice", "bob", 1, metadata={"n": "x" * 500}))
        yield daemon


@contextmanager
def attacked(daemon: Daemon, name: str) -> Iterator[subprocess.Popen[str]]:
    """The attack goes on until the end of the block."""
    host, _, port = daemon.url.removeprefix("ws://").rpartition(":")
    program = str(Path(__file__).parents[2] / "bench" / "attackers.py")
    attacker = subprocess.Popen(
        [sys.executable, program, name, host, port, daemon.token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    try:
        assert attacker.stdout.readline() == "ready\n"
        yield attacker
        assert attacker.poll() is None, "the attacker gave up"
    finally:
        attacker.stdin.close()
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()


def metrics(daemon: Daemon) -> dict[str, float]:
    with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def memory(daemon: Daemon, what: str) -> int:
    """Bytes: VmRSS, of now; VmHWM, the most since ``forget_the_most``."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) * 1024


def forget_the_most(daemon: Daemon) -> None:
    assert daemon.process is not None
    Path(f"/proc/{daemon.process.pid}/clear_refs").write_text("5")


@pytest.mark.parametrize("name", ATTACKS)
def test_beside_an_attack_every_honest_command_is_answered_and_memory_is_bounded(name: str, daemon: Daemon) -> None:
    before = metrics(daemon)
    forget_the_most(daemon)
    rss = memory(daemon, "VmRSS")
    with daemon.client() as regular, attacked(daemon, name):
        answered, counted = 0, False
        while answered < HONEST_COMMANDS or not counted:
            assert answered < MOST_COMMANDS, f"none of {COUNTED_BY[name]} grows"
            command_id = f"{name}-{answered}"
            assert "sequence" in regular.call("transfer.post", **transfer(command_id, "alice", "bob", 1))
            answered += 1
            if answered % 20 == 0:
                now = metrics(daemon)
                counted = any(now.get(counter, 0) >= before.get(counter, 0) + 1 for counter in COUNTED_BY[name])
                with daemon.client() as newcomer:
                    assert "sequence" in newcomer.call(
                        "transfer.post", **transfer(f"{command_id}-new", "bob", "alice", 1)
                    )
        grown = memory(daemon, "VmHWM") - rss
    assert grown < MOST_MORE_BYTES, f"{grown / MEBIBYTE:.0f} MiB more"
    with daemon.client() as client:
        assert client.call("daemon.audit")["violations"] == []
        assert posted(client, "alice") + posted(client, "bob") == 2_000_000
    assert "Traceback" not in daemon.log()


def test_what_was_shed_was_not_applied(tmp_path: Path) -> None:
    """More payments than a session may ask for in a second: the books show exactly what was not refused."""
    with Daemon(tmp_path / "data", environment={"WALLETD_MAX_REQUESTS_PER_SECOND": "20"}) as daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=1_000_000)
        with daemon.client() as client, daemon.client() as other:
            had = posted(other, "bob")
            requests = [client.send("transfer.post", **transfer(f"shed-{n}", "alice", "bob", 1)) for n in range(55)]
            replies = [client.reply(request) for request in requests]
            shed = [reply["error"]["data"] for reply in replies if "error" in reply]
            assert shed, "more than a second's worth came at once"
            for data in shed:
                assert data["reason"] == "rate_limited"
                assert data["outcome"] == "not_applied"
                assert data["retry_after_ms"] > 0
            assert posted(other, "bob") - had == len(replies) - len(shed)
