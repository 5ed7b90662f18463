"""A listener on a unix socket: for programs on the same machine, without a network.

    listener = UnixSocket(Path("/run/walletd/walletd.sock"), 0o600).open()

The file's mode and its folder decide which programs may connect.  It stays when the daemon ends, so that clients do not
turn to another place, where another program may have taken its address; the next start replaces it.  A socket in use,
and a file that is not a socket, are left alone.
"""

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

import trio

BACKLOG = 1024

NOBODY_LISTENS = frozenset({errno.ECONNREFUSED, errno.ENOENT})


class UnixSocketFailed(Exception):
    """Listening on the path failed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """The path to listen on, and the mode of the file."""

    path: Path
    mode: int = 0o600
    is_needed: bool = True
    """False for the default one: where no socket can be, the daemon serves without it."""

    def open(self) -> trio.SocketListener:
        """Listen.  Raises UnixSocketFailed."""
        self.make_room()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(self.path))
            os.chmod(self.path, self.mode)  # Before it listens: at no moment can others get in.
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            raise UnixSocketFailed(f"cannot listen on {self.path}: {error.strerror or error}") from error
        return trio.SocketListener(trio.socket.from_stdlib_socket(listening))

    def make_room(self) -> None:
        """Remove the socket of a daemon that has ended.  Raises UnixSocketFailed if anything else is here."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UnixSocketFailed(f"cannot listen on {self.path}: {error.strerror}") from error
        if not stat.S_ISSOCK(status.st_mode):
            raise UnixSocketFailed(
                f"cannot listen on {self.path}: the path exists and is not a socket; move that file away"
            )
        if not _is_dead_socket(self.path):
            raise UnixSocketFailed(f"cannot listen on {self.path}: the socket is in use, perhaps by another walletd")
        self.path.unlink()


def _is_dead_socket(path: Path) -> bool:
    """True if nothing would answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
        knocking.setblocking(False)
        return knocking.connect_ex(str(path)) in NOBODY_LISTENS
