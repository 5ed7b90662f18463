"""Who is told a token: a program of the right user on this machine, or one behind TLS, but no network in plain text.

    refuse_plain_text(url)                             # before anything is connected
    vet = vetted(url, token_owner)                     # connect(url, token=..., vet=vet)

A program that takes the daemon's port or socket while the daemon is down would be given the operator's token.  So the
user of the program at the other end must be the one who runs the command, root, the owner of the file that the token
came from, who knows it in any case, the service's user, or the owner of the folder in which the socket is.
"""

import ipaddress
import os
import pwd
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from walletd.cli.defaults import SERVICE_USER
from walletd.client import AuthenticationFailed
from walletd.client.opening import Peer, Vet

ROOT_USER = 0
SOCKET_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Every TCP socket of this network namespace, with its user (proc(5))."""

_LISTENING = "0A"
_CREDENTIALS = struct.Struct("3i")
"""Of SO_PEERCRED (unix(7)): process, user, group."""


class NotTold(AuthenticationFailed):
    """The token was kept back."""


class TcpSocket(NamedTuple):
    """A row of a table of sockets."""

    local: tuple[str, int]
    remote: tuple[str, int]
    state: str
    user: int
    inode: int


def refuse_plain_text(url: str) -> None:
    """Raise NotTold if the address is beyond this machine and not behind TLS."""
    if url.startswith("ws://") and not _is_loopback(urlsplit(url).hostname or ""):
        raise NotTold(
            f"the token would cross the network to {url} in plain text, so it was not sent: use wss://, or, if the "
            "network is trusted, --plain-text (or WALLETD_PLAIN_TEXT=true)"
        )


def vetted(url: str, token_owner: int | None) -> Vet:
    """A function that raises NotTold unless the program behind a connection may know the token."""

    def vet(peer: Peer) -> None:
        if not url.startswith(("ws:", "unix:")):
            return
        known = {os.geteuid(), ROOT_USER, token_owner, *_service_user()}
        if peer.family == socket.AF_UNIX:
            known.add(_owner_of_folder(peer))
            users = {_user_at_socket(peer)}
        else:
            users = _users_at_port(peer)
        for user in users - known:
            raise NotTold(
                f"the program at {url} is run by {_named(user)}, so the token was not sent: is the daemon down? If you "
                "trust that user, give --plain-text (or WALLETD_PLAIN_TEXT=true)"
            )

    return vet


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _user_at_socket(peer: Peer) -> int:
    """The user who made the socket listen."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return int(user)


def _owner_of_folder(peer: Peer) -> int | None:
    """The owner of the socket's folder, if no other user can put a socket there."""
    folder = os.stat(Path(os.fsdecode(peer.getpeername())).parent)
    return None if folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else folder.st_uid


def _users_at_port(peer: Peer) -> set[int]:
    """The users of the programs that may be at the other end; empty if it is beyond our network namespace.

    The kernel knows the user of a connection once a program has accepted it; until then, those of the listeners count.
    """
    ours, theirs = _plain_name(peer.getsockname()), _plain_name(peer.getpeername())
    sockets = [row for table in SOCKET_TABLES for row in _sockets_in(table)]
    connections = [row for row in sockets if (row.local, row.remote) == (theirs, ours)]
    if any(row.inode for row in connections) or not connections:
        return {row.user for row in connections if row.inode}
    places = {theirs, *((any_address, theirs[1]) for any_address in ("0.0.0.0", "::"))}
    return {row.user for row in sockets if row.state == _LISTENING and row.local in places}


def _sockets_in(table: Path) -> Iterator[TcpSocket]:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        yield TcpSocket(_address(words[1]), _address(words[2]), words[3], int(words[7]), int(words[9]))


def _address(text: str) -> tuple[str, int]:
    """An address and a port in the kernel's form: words of 32 bits, each as the machine stores it."""
    digits, _, port = text.partition(":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    return _unmapped(address), int(port, 16)


def _plain_name(name: tuple[str, int]) -> tuple[str, int]:
    return _unmapped(ipaddress.ip_address(name[0].partition("%")[0])), name[1]


def _unmapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _service_user() -> Iterator[int]:
    try:
        yield pwd.getpwnam(SERVICE_USER).pw_uid
    except KeyError:
        return


def _named(user: int) -> str:
    try:
        return f"the user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"the user with id {user}"
