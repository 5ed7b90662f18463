"""Guests of a real daemon, which have no token, never shut out a client that has one."""

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon.process import Daemon

LIMITS = {"max_connections": "60", "max_connections_of_guests": "20", "max_connections_per_address": "40"}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    environment = {f"WALLETD_{name.upper()}": value for name, value in LIMITS.items()}
    with Daemon(tmp_path / "data", environment=environment) as daemon:
        yield daemon


def knock(url: str, source: str) -> socket.socket:
    host, _, port = url.rpartition("//")[2].rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60, source_address=(source, 0))


def test_three_addresses_without_a_token_do_not_shut_out_the_operator(daemon: Daemon) -> None:
    with ExitStack() as idle:
        for number in range(120):
            idle.enter_context(knock(daemon.url, f"127.0.0.{2 + number % 3}"))
        for _ in range(7):
            with daemon.client() as operator:
                status = operator.call("daemon.status")
        assert status["guests"] <= 20
        assert status["guests_dropped"] >= 100


def test_connections_that_say_nothing_do_not_keep_prometheus_out(daemon: Daemon) -> None:
    with ExitStack() as idle:
        for _ in range(130):
            idle.enter_context(knock(daemon.admin_url, "127.0.0.1"))
        for _ in range(3):
            with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=60) as page:
                assert b"walletd_guests_dropped_total" in page.read()
