"""Several daemons on one ledger in PostgreSQL: one leads, the other follows and takes over, and nothing is lost."""

import re
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


SERVES = re.compile(r"reads and streams are served at (\S+)")


def at_follower(daemon: Daemon) -> Client:
    """A client of a node that follows."""
    wait_for(daemon, "reads and streams are served")
    daemon.url = SERVES.findall(daemon.log())[-1]
    return daemon.client()


def shown(client: Client, sequence: int) -> dict[str, Any]:
    """Alice's balances at a node that follows, once it shows this entry."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.ask("balance.get", wallet="alice", at_least=sequence)
        if "result" in answer:
            return dict(answer["result"])
        assert answer["error"]["data"]["reason"] == "not_reached", answer
        assert time.monotonic() < give_up, answer


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
    with daemon.client() as client, at_follower(follower) as reading:
        begin(client)
        shown(reading, pay(client, "one")["sequence"])
        server.stop(signal.SIGQUIT)
        waiting = client.send(
            "transfer.post",
            command_id="two",
            postings=[{"from": "@external", "to": "alice", "asset": "EUR", "amount": "100"}],
        )
        server.start()
        paid = client.reply(waiting)["result"]
        assert posted(client) == "200"
        assert shown(reading, paid["sequence"])["balances"][0]["posted"] == "200"
        client.call("daemon.compact", keep_entries=1)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    follower.served()
    with follower.client() as client:
        assert posted(client) == "200"


def test_a_follower_serves_what_the_leader_writes_and_goes_on_with_its_sessions_when_it_leads(
    nodes: tuple[Daemon, Daemon],
) -> None:
    leader, follower = nodes
    leader.environment["WALLETD_LEASE_SECONDS"] = "25"
    leader.start()
    follower.launch()
    with leader.client() as writing, at_follower(follower) as reading:
        node = reading.hello["node"]
        assert (reading.hello["lifecycle"], node["role"], node["leader"]) == ("following", "follower", leader.url)
        begin(writing)
        stream = reading.call("stream.subscribe", wallets=["alice"], after=0)
        paid = pay(writing, "one")
        seen = shown(reading, paid["sequence"])
        assert (seen["balances"][0]["posted"], seen["sequence"], seen["time"]) == (
            "100",
            paid["sequence"],
            paid["time"],
        )
        again = reading.call("balance.get", wallet="alice", as_of=seen["time"])
        assert again["balances"] == seen["balances"]
        assert reading.call("wallet.get", wallet="alice", at_least=paid["sequence"])["sequence"] == paid["sequence"]
        lines = reading.call("statement.get", wallet="alice", at_least=paid["sequence"])["lines"]
        assert [line["posted"] for line in lines] == ["100"]
        entry = writing.call("entry.get", sequence=paid["sequence"])
        assert reading.call("entry.get", sequence=paid["sequence"]) == entry
        assert reading.call("entry.get", command_id="one") == entry
        assert reading.next_pushed("stream.event")["sequence"] == paid["sequence"] - 1
        assert reading.next_pushed("stream.event")["sequence"] == paid["sequence"]

        refused = reading.refused("transfer.post", command_id="two", postings=[])
        assert refused["data"]["reason"] == "invalid_params"
        late = {
            "command_id": "two",
            "postings": [{"from": "@external", "to": "alice", "asset": "EUR", "amount": "100"}],
        }
        for dry_run in (False, True):
            refused = reading.refused("transfer.post", **late, dry_run=dry_run)["data"]
            assert (refused["reason"], refused["outcome"]) == ("unavailable", "not_applied")
            assert refused["leader"] == leader.url
        assert pay(reading, "one") == {**paid, "replayed": True}
        late_read = reading.refused("balance.get", wallet="alice", at_least=paid["sequence"] + 1)["data"]
        assert (late_read["reason"], late_read["leader"]) == ("not_reached", leader.url)
        status = reading.call("daemon.status")["ledger"]
        assert (status["role"], status["term"], status["lag_entries"]) == ("follower", 1, 0)

        leader.signal(signal.SIGTERM)
        assert leader.wait() == 0
        follower.served()
        pay(reading, "two")
        assert posted(reading) == "200"
        event = reading.next_pushed("stream.event")
        assert (event["previous_sequence"], event["subscription"]) == (paid["sequence"], stream["subscription"])
        status = reading.call("daemon.status")["ledger"]
        assert (status["role"], status["term"]) == ("leader", 2)
