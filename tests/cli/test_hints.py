"""The advice about a daemon that cannot be reached fits the cause and the address."""

import errno
import os
import socket
import ssl
from pathlib import Path

import pytest

from walletd.cli.defaults import SERVICE_SOCKET
from walletd.cli.hints import hint
from walletd.client import NotReachable

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
ABSENT = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
HERE = "ws://127.0.0.1:7878"


def caused_by(cause: BaseException | None) -> NotReachable:
    error = NotReachable("it cannot be reached")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "address", "advice"),
    [
        (REFUSED, HERE, "start the daemon with: walletd serve"),
        (REFUSED, "ws://localhost:7911", "start the daemon with: walletd serve --port 7911"),
        (ExceptionGroup("all addresses", [REFUSED]), HERE, "start the daemon with: walletd serve"),
        (ABSENT, "unix:/srv/money/walletd.sock", "start the daemon with: walletd serve --data /srv/money"),
        (ABSENT, f"unix:{SERVICE_SOCKET}", "start the daemon with: systemctl start walletd"),
        (REFUSED, "wss://money.test", "check that the daemon runs on money.test and listens on port 443 for other"),
        (OSError(errno.EHOSTUNREACH, "no route"), "ws://10.0.0.9:7878", "check the address, and the firewalls"),
        (socket.gaierror(-2, "unknown"), "ws://money.test:7878", "check the host's name in --url or WALLETD_URL"),
        (ssl.SSLError(1, "wrong version number"), "wss://127.0.0.1:7878", "write ws:// instead of wss://"),
        (ssl.SSLCertVerificationError(1, "not trusted"), "wss://127.0.0.1:7878", ""),
        (None, HERE, ""),
    ],
)
def test_the_advice_fits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: BaseException | None, address: str, advice: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint(caused_by(cause), address).startswith(advice) or advice in hint(caused_by(cause), address)
    assert bool(hint(caused_by(cause), address)) is bool(advice)


def test_in_a_clone_make_starts_the_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("src/walletd").mkdir(parents=True)
    Path("Makefile").touch()
    assert hint(caused_by(REFUSED), HERE) == "start the daemon with: make run"
    assert hint(caused_by(REFUSED), "ws://127.0.0.1:80") == 'start the daemon with: make run ARGS="--port 80"'
