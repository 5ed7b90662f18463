"""Advice about a daemon that could not be reached: what to do about this cause, at this address.

    hint(error, "ws://127.0.0.1:7878")      # "start the daemon with: make run"

An empty string where the sentence says everything already.
"""

import errno
import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from walletd.cli.defaults import DEFAULT_SOCKET, DEFAULT_URL, SERVICE_SOCKET

NOT_THERE = {errno.ECONNREFUSED, errno.ENOENT}
"""A port or a socket at which no program listens."""

ON_THE_WAY = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


def hint(error: BaseException, address: str) -> str:
    """What to do about the error; empty if there is nothing to add."""
    import ssl  # Loaded only where something failed.

    cause = innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ""  # The sentence names --ca.
    if isinstance(cause, ssl.SSLError):
        return "the port may serve without TLS: then write ws:// instead of wss://"
    if isinstance(cause, socket.gaierror):
        return "check the host's name in --url or WALLETD_URL"
    if isinstance(cause, OSError) and cause.errno in NOT_THERE:
        return f"start the daemon with: {_start(address)}" if is_here(address) else _elsewhere(address)
    if isinstance(cause, OSError) and cause.errno in ON_THE_WAY:
        return "check the address, and the firewalls on the way"
    return ""


def innermost(error: BaseException) -> BaseException:
    """The cause of all causes: trio tries every address of a host, and groups their errors."""
    while (inner := error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__) is not None:
        error = inner
    return error


def is_here(address: str) -> bool:
    """True for an address of this machine."""
    if address.startswith("unix:"):
        return True
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _elsewhere(address: str) -> str:
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return f"check that the daemon runs on {parts.hostname} and listens on port {port} for other machines (--host)"


def _start(address: str) -> str:
    """The command that starts a daemon which this address reaches."""
    if address == f"unix:{SERVICE_SOCKET}":
        return "systemctl start walletd"
    flags = "" if address in (DEFAULT_URL, f"unix:{DEFAULT_SOCKET}") else _flags(address)
    if Path("Makefile").exists() and Path("src/walletd").is_dir():
        return f'make run ARGS="{flags}"' if flags else "make run"
    return f"walletd serve {flags}".rstrip()


def _flags(address: str) -> str:
    if address.startswith("unix:"):
        return f"--data {Path(address.removeprefix('unix:')).parent}"
    port = urlsplit(address).port
    return "" if port is None else f"--port {port}"
