"""Several daemons on one ledger in PostgreSQL: one leads, the other follows and takes over, and nothing is lost."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests import postgresql
from tests.daemon.process import Client, Daemon

PATIENCE_SECONDS = 60
TOKEN = "a-token-that-all-nodes-share-0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


@pytest.fixture
def nodes(server: postgresql.Server, tmp_path: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Two daemons that are not started yet."""
    ledger = server.new_ledger()
    settings = {"WALLETD_ALLOW_UNREPLICATED": "true", "WALLETD_LEASE_SECONDS": "2"}
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir(mode=0o700)
        token = tmp_path / name / "operator.token"
        token.touch(mode=0o600)
        token.write_text(TOKEN + "\n")
        flags = ("--postgresql", server.url(), "--ledger", ledger)
        both.append(Daemon(tmp_path / name, *flags, environment=settings))
    try:
        yield both[0], both[1]
    finally:
        for daemon in both:
            if daemon.process is not None:
                daemon.signal(signal.SIGCONT)
                daemon.kill()


def wait_for(daemon: Daemon, line: str) -> None:
    """Wait until the daemon has logged it."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while line not in daemon.log():
        assert time.monotonic() < give_up, daemon.log()
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.log()


def begin(client: Client) -> None:
    client.call("asset.define", command_id="e", asset="EUR", scale=2)
    client.call("wallet.open", command_id="alice", wallet="alice")


def pay(client: Client, command_id: str, amount: int = 100) -> dict[str, Any]:
    postings = [{"from": "@external", "to": "alice", "asset": "EUR", "amount": str(amount)}]
    return client.call("transfer.post", command_id=command_id, postings=postings)


def posted(client: Client) -> str:
    return str(client.call("wallet.get", wallet="alice")["balances"][0]["posted"])


def test_a_follower_takes_over_when_the_leader_is_killed(nodes: tuple[Daemon, Daemon]) -> None:
    leader, follower = nodes
    leader.start()
    follower.launch()
    with leader.client() as client:
        begin(client)
        paid = pay(client, "one")
        wait_for(follower, "starting -> following")
        leader.kill()
    follower.served()
    with follower.client() as client:
        assert client.hello["epoch"] == 1
        again = pay(client, "one")
        assert (again["sequence"], again["replayed"]) == (paid["sequence"], True)
        pay(client, "two")
        assert posted(client) == "200"
        status = client.call("daemon.status")
        assert (status["ledger"]["term"], status["ledger"]["replicated"]) == (2, False)
        node = client.hello["node"]
        assert (node["role"], node["term"]) == ("leader", 2)
        assert node["leader"].startswith("ws://127.0.0.1:")


def test_a_leader_that_stops_hands_over_at_once(nodes: tuple[Daemon, Daemon]) -> None:
    leader, follower = nodes
    leader.environment["WALLETD_LEASE_SECONDS"] = "25"
    leader.start()
    follower.launch()
    with leader.client() as client:
        begin(client)
        pay(client, "one")
    wait_for(follower, "starting -> following")
    leader.signal(signal.SIGTERM)
    assert leader.wait() == 0
    follower.served()
    assert "rebuilt" not in follower.log()
    with follower.client() as client:
        assert posted(client) == "100"


def test_a_leader_that_was_stopped_answers_nothing_when_it_wakes_and_follows(nodes: tuple[Daemon, Daemon]) -> None:
    leader, follower = nodes
    leader.start()
    follower.launch()
    with leader.client() as stale, leader.client() as writing:
        begin(stale)
        pay(stale, "one")
        wait_for(follower, "starting -> following")
        leader.signal(signal.SIGSTOP)
        asked = stale.send("wallet.get", wallet="alice")
        tried = writing.send("wallet.freeze", command_id="late", wallet="alice", side="debits")
        follower.served()
        with follower.client() as client:
            pay(client, "two")
            leader.signal(signal.SIGCONT)
            for late, request in ((stale, asked), (writing, tried)):
                with pytest.raises(ConnectionClosed):
                    late.reply(request)
            wait_for(leader, "serving -> following")
            assert posted(client) == "200"
            assert client.call("wallet.get", wallet="alice")["status"] == "open"
    follower.signal(signal.SIGTERM)
    assert follower.wait() == 0
    leader.served()
    with leader.client() as client:
        assert posted(client) == "200"


def test_a_restarted_database_is_waited_for(nodes: tuple[Daemon, Daemon], server: postgresql.Server) -> None:
    daemon, follower = nodes
    daemon.environment["WALLETD_LEASE_SECONDS"] = "25"
    daemon.start()
    follower.launch()
    wait_for(follower, "starting -> following")
    with daemon.client() as client:
        begin(client)
        pay(client, "one")
        server.stop(signal.SIGQUIT)
        waiting = client.send(
            "transfer.post",
            command_id="two",
            postings=[{"from": "@external", "to": "alice", "asset": "EUR", "amount": "100"}],
        )
        server.start()
        assert "result" in client.reply(waiting)
        assert posted(client) == "200"
        client.call("daemon.compact", keep_entries=1)
    wait_for(follower, "trying again")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    follower.served()
    with follower.client() as client:
        assert posted(client) == "200"
