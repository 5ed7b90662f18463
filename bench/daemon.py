"""A real daemon in a folder of its own, and what it and the kernel say of it.

with Daemon(directory / "walletd") as daemon:
    daemon.connect().call("session.ping", {})
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import processes
from bench.wire import Connection

ADDRESS = re.compile(r"ws://\S+")
ADMIN_ADDRESS = re.compile(r"(http://\S+)/metrics")


class Installation:
    """Which walletd is run: an interpreter and, for sources elsewhere, where they are."""

    def __init__(self, python: str = sys.executable, sources: Path | None = None) -> None:
        self.python = python
        self.environment = {} if sources is None else {"PYTHONPATH": str(sources)}


class Daemon:
    """One daemon, ended by its process id."""

    def __init__(
        self, data: Path, installation: Installation | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}.log")
        """What it logs: each session has two lines in the audit log, which would drown the figures."""
        self._installation = installation or Installation()
        self._settings = {f"WALLETD_{name.upper()}": str(value) for name, value in (settings or {}).items()}
        self.start_seconds = self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM if error is None else signal.SIGKILL)

    def start(self) -> float:
        """Start it; the seconds until it serves, its interpreter's own included."""
        began = time.perf_counter()
        command = [self._installation.python, "-m", "walletd", "serve", "--data", str(self.data), "--port", "0"]
        environment = {**os.environ, "WALLETD_ADMIN_PORT": "0", "WALLETD_LOG_LEVEL": "warning"}
        environment |= self._settings | self._installation.environment
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := ADDRESS.search(line):
                self.address = found.group()
            if found := ADMIN_ADDRESS.search(line):
                self.admin_address = found.group(1)
                return time.perf_counter() - began
        raise SystemExit(f"the daemon did not start:\n{self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait."""
        self.process.send_signal(number)
        self.process.wait()

    @property
    def token(self) -> str:
        """The operator's."""
        return (self.data / "operator.token").read_text().strip()

    def connect(self) -> Connection:
        """An authenticated connection."""
        return Connection(self.address, self.token)

    def memory(self) -> int:
        """Resident bytes."""
        return processes.memory([self.process.pid])

    def cpu(self) -> float:
        """Seconds of processor time so far, of all threads."""
        return processes.cpu(self.process.pid)

    def metrics(self) -> dict[str, float]:
        """Every value of the metrics page, by its name with its labels."""
        with urllib.request.urlopen(f"{self.admin_address}/metrics", timeout=60) as page:
            lines = page.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def file_bytes(self, *names: str) -> int:
        """How long these files of its folder are together."""
        return sum((self.data / name).stat().st_size for name in names if (self.data / name).exists())
