"""A real daemon in a folder of its own, and what it says of itself.

daemon = Daemon(directory / "data")
daemon.connect().call("session.ping", {})
daemon.stop()
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

from wire import Connection

ADDRESS = re.compile(r"ws://\S+")
ADMIN_ADDRESS = re.compile(r"(http://\S+)/metrics")


class Daemon:
    """One daemon in a folder of its own, ended by its process id."""

    def __init__(self, data: Path, python: str = sys.executable, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self._python = python
        self._environment = environment or {}
        self.start()

    def start(self) -> float:
        """Start it; the seconds until it serves."""
        began = time.perf_counter()
        command = [self._python, "-m", "walletd", "serve", "--data", str(self.data), "--port", "0"]
        environment = {**os.environ, "WALLETD_ADMIN_PORT": "0", "WALLETD_LOG_LEVEL": "warning", **self._environment}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := ADDRESS.search(line):
                self.address = found.group()
            if found := ADMIN_ADDRESS.search(line):
                self.admin_address = found.group(1)
                return time.perf_counter() - began
        raise SystemExit("the daemon did not start")

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
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """What its metrics say; the sum over all labels."""
        with urlopen(f"{self.admin_address}/metrics") as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def commits(self) -> tuple[float, float]:
        """Commits so far, and entries in them."""
        return self.metric("walletd_journal_group_entries_count"), self.metric("walletd_journal_group_entries_sum")
