"""What tests do to a journal from outside: command lines, load, and a look at what is at rest."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from tests.daemon.forked import ran
from tests.daemon.process import Daemon, transfer
from walletd.journal.offline import open_offline
from walletd.journal.segment import records
from walletd.journal.verification import verified


def walletd(*arguments: str, daemon: Daemon | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line, connected to the daemon if one is given."""
    return ran(arguments, environment=environment_of(daemon))


def environment_of(daemon: Daemon | None) -> dict[str, str]:
    """The environment in which a command line finds the daemon."""
    return {**os.environ, **({} if daemon is None else {"WALLETD_URL": daemon.url, "WALLETD_TOKEN": daemon.token})}


def done(*arguments: str, daemon: Daemon | None = None) -> str:
    """stdout of a command that must succeed."""
    ended = walletd(*arguments, daemon=daemon)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


def journal_of(path: Path) -> list[bytes]:
    """Every record of a journal at rest, or of a backup, proved.  Raises JournalFailure."""
    segments = list(open_offline(path).segments())
    for _ in verified(segments):
        pass
    return [line for segment in segments for line in records(segment)]


def restored(source: Path, data: Path, token: str, *arguments: str) -> Path:
    """A data directory from this backup, with the operator's token of the daemon that it is of."""
    done("restore", str(source), str(data), "--yes", *arguments)
    file = data / "operator.token"
    file.touch(0o600)
    file.write_text(token)
    return data


class Load:
    """Clients that pay all the time, until they are told to stop or the daemon dies."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._stopped = threading.Event()
        self._paid = threading.Semaphore(0)
        self._made = 0
        self._thread = threading.Thread(target=self._pay)

    def __enter__(self) -> Callable[[int], None]:
        self._thread.start()
        return self._wait

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def _wait(self, payments: int) -> None:
        for _ in range(payments):
            assert self._paid.acquire(timeout=60)

    def _pay(self) -> None:
        try:
            with self._daemon.client() as client:
                while not self._stopped.is_set():
                    ids = [client.send("transfer.post", **self._next()) for _ in range(64)]
                    for request_id in ids:
                        assert "result" in client.reply(request_id)
                        self._paid.release()
        except (ConnectionClosed, OSError):
            return

    def _next(self) -> dict[str, Any]:
        self._made += 1
        return transfer(f"load-{os.urandom(8).hex()}", "@external", f"w{self._made % 8}", 1)
