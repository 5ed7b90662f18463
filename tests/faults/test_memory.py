"""Row 15, memory: where it runs out, what was acknowledged is there, and every wait ends."""

import contextlib
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.wire import Connection
from websockets.exceptions import WebSocketException

from tests.daemon.process import Client, Daemon, furnish, transfer
from tests.faults.planted import PROGRAM
from tests.faults.tally import tally

PATIENCE_SECONDS = 20.0
HUNGRY = 100
"""Clients that begin a large message and do not end it, where memory is short."""

UNFINISHED = struct.pack("!BBQ", 0x01, 0x80 | 127, 200_000) + bytes(4) + b"x" * 200_000


@pytest.fixture
def impatient_sockets() -> Iterator[None]:
    socket.setdefaulttimeout(PATIENCE_SECONDS / 4)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("impatient_sockets")
def test_without_memory_nothing_acknowledged_is_lost_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    """The address space may grow by some megabytes more; then allocations fail wherever they happen to."""
    answered: set[str] = set()
    daemon = Daemon(tmp_path / "data")
    daemon.program = [*PROGRAM, "impatience"]
    with daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=100_000)
        assert daemon.process is not None
        for room in (4, 1, 0):
            status = Path(f"/proc/{daemon.process.pid}/status").read_text()
            used = int(status.split("VmSize:")[1].split()[0]) * 1024
            resource.prlimit(
                daemon.process.pid, resource.RLIMIT_AS, (used + room * 1024 * 1024, resource.RLIM_INFINITY)
            )
            with contextlib.suppress(OSError, WebSocketException, AssertionError):
                _ask_for_much(daemon, answered, f"r{room}")
            if _has_ended(daemon):
                break
            resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        if daemon.process.poll() is None:
            with daemon.client() as client:
                client.call("transfer.post", **transfer("after", "alice", "bob", 1))
                answered.add("after")
            daemon.kill()
        daemon.start()
        with daemon.client() as client:
            for name in sorted(answered):
                padding: dict[str, Any] = {} if name == "after" else {"metadata": {"n": "x" * 400}}
                assert client.call("transfer.post", **transfer(name, "alice", "bob", 1, **padding))["replayed"], name
            assert client.call("daemon.audit")["violations"] == []
    tally(faults=3, commands=len(answered))


def _has_ended(daemon: Daemon) -> bool:
    """Whether the process is over, or ends: one that does not listen any more must not linger."""
    assert daemon.process is not None
    try:
        daemon.client(open_timeout=PATIENCE_SECONDS).websocket.close()
    except (OSError, WebSocketException, AssertionError):
        assert daemon.process.wait(timeout=PATIENCE_SECONDS) != 0
    return daemon.process.poll() is not None


def _ask_for_much(daemon: Daemon, answered: set[str], tag: str) -> None:
    with contextlib.ExitStack() as others:
        client = others.enter_context(daemon.client(open_timeout=PATIENCE_SECONDS))
        _pay(client, answered, tag, 1000)
        with contextlib.suppress(OSError, AssertionError):
            for _ in range(HUNGRY):
                hungry = Connection(daemon.url, daemon.token)
                others.callback(hungry.close)
                hungry.socket.sendall(UNFINISHED)
        _pay(client, answered, f"{tag}-hungry", 2000)


def _pay(client: Client, answered: set[str], tag: str, count: int) -> None:
    names = [f"{tag}-{number}" for number in range(count)]
    asked = {
        client.send("transfer.post", **transfer(name, "alice", "bob", 1, metadata={"n": "x" * 400})): name
        for name in names
    }
    for request, name in asked.items():
        if "result" in client.reply(request):
            answered.add(name)
