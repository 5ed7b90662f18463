"""Rows 7 and 8: what many clients were told, on a good network, on a bad one and over kills, has one order."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, free_port, furnish
from tests.faults.claims import violations
from tests.faults.rows import figure
from tests.faults.swarm import FUNDS, WALLETS, Swarm
from tests.faults.tally import tally

OPERATIONS = figure("TEST_OPERATIONS")
BREAKS = figure("TEST_BREAKS")
KILLS = 6
ROOT = Path(__file__).parents[2]
LIMITS = {"WALLETD_MAX_CONNECTIONS_PER_ADDRESS": "1000"}


def forked(folder: Path) -> Daemon:
    """What a daemon is like at its beginning is not what is tested."""
    daemon = Daemon(folder / "data", environment=LIMITS)
    daemon.is_forked = True
    return daemon


def judge(swarm: Swarm) -> None:
    """The history has one order, and every client got its own answers only."""
    assert swarm.strange[:3] == []
    funds, versions = dict.fromkeys(WALLETS, FUNDS), dict.fromkeys(WALLETS, 2)
    assert list(violations(swarm.transfers, swarm.readings, funds, versions))[:3] == []
    refused = sum(transfer.available is not None for transfer in swarm.transfers)
    tally(
        commands=len(swarm.transfers),
        refused=refused,
        replayed=swarm.replayed,
        readings=len(swarm.readings),
        broken_connections=swarm.breaks,
    )
    assert refused
    assert swarm.readings


@pytest.mark.timeout(0)
def test_sixty_four_clients_see_one_order(tmp_path: Path, seed: int) -> None:
    with forked(tmp_path) as daemon:
        with daemon.client() as client:
            furnish(client, *WALLETS, amount=FUNDS)
        swarm = Swarm(daemon.url, daemon.token, random.Random(seed), clients=64, window=8)
        swarm.run(until=lambda: swarm.answered >= OPERATIONS)
        swarm.settle()
    judge(swarm)
    assert swarm.breaks == 0


@contextmanager
def bad_network(port: int, seed: int) -> Iterator[int]:
    """The port of a proxy in front of this port."""
    proxy = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.proxy", str(port), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert proxy.stdout is not None
    yield int(proxy.stdout.readline())
    said, _ = proxy.communicate()
    print(f"the network: {said.strip()}")


@pytest.mark.timeout(0)
def test_a_bad_network_changes_no_outcome(tmp_path: Path, seed: int) -> None:
    with forked(tmp_path) as daemon:
        with daemon.client() as client:
            furnish(client, *WALLETS, amount=FUNDS)
        with bad_network(int(daemon.url.rpartition(":")[2]), seed) as port:
            swarm = Swarm(f"ws://127.0.0.1:{port}", daemon.token, random.Random(seed), clients=16, window=8)
            swarm.run(until=lambda: swarm.breaks >= BREAKS)
            swarm.address = daemon.url
            swarm.settle()
        with daemon.client() as client:
            assert client.call("daemon.audit")["violations"] == []
    judge(swarm)
    assert swarm.replayed, "some answers were lost, and given again"


def test_kills_change_no_order(tmp_path: Path, seed: int) -> None:
    """The daemon is killed and started again under the clients, on the same port."""
    chance = random.Random(seed)
    daemon = forked(tmp_path)
    daemon.arguments = ("--port", str(free_port()))
    with daemon:
        with daemon.client() as client:
            furnish(client, *WALLETS, amount=FUNDS)
        swarm = Swarm(daemon.url, daemon.token, chance, clients=32, window=8)
        for _ in range(KILLS):
            upto = swarm.answered + chance.randint(200, 4000)
            swarm.run(until=partial(swarm.has_answered, upto))
            killer = threading.Thread(target=daemon.kill)
            killer.start()
            before = swarm.breaks
            swarm.run(until=partial(swarm.has_broken_since, before))
            killer.join()
            daemon.start()
        swarm.settle()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    judge(swarm)
    tally(kills=KILLS)
