"""What a compaction and a backup cost the clients beside them, and how long a daemon takes to start afterwards.

    .venv/bin/python -m bench.compaction --entries 1000000

One client pays all the time, one command in flight, a hundred times a second; the longest that it waited in each step
is the pause.  Figures of one run belong together.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from bench.daemon import Daemon
from bench.town import Town

PACE_SECONDS = 0.01
CALM_SECONDS = 10.0


class Client:
    """Pays at its pace, and files each latency under what the daemon is doing."""

    def __init__(self, daemon: Daemon, town: Town) -> None:
        self.doing = "calm"
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self._connection = daemon.connect()
        self._make = town.transfers()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(PACE_SECONDS):
            number += 1
            doing, began = self.doing, time.perf_counter()
            self._connection.send([self._make(number, None)])
            answers: list[bytes] = []
            while not answers:  # What is told unasked has no id.
                answers = [message for message in self._connection.take() if b'"id":' in message[:64]]
            assert b'"error"' not in answers[0][:64], answers
            self.latencies[doing].append(time.perf_counter() - began)

    def rows(self) -> dict[str, dict[str, float]]:
        """Milliseconds."""
        return {
            doing: {
                "requests": len(sorted_),
                "p50": round(sorted_[len(sorted_) // 2] * 1000, 2),
                "p99": round(sorted_[len(sorted_) * 99 // 100] * 1000, 2),
                "longest": round(sorted_[-1] * 1000, 2),
            }
            for doing, sorted_ in ((doing, sorted(found)) for doing, found in self.latencies.items())
        }


def compact(daemon: Daemon, client: Client, keep: int) -> dict[str, float]:
    """Compact; the seconds of each step."""
    operator = daemon.connect()
    steps: dict[str, float] = defaultdict(float)
    step = operator.call("daemon.compact", {"keep_entries": keep})["result"]["step"]
    since = time.perf_counter()
    while step != "idle":
        client.doing = step
        time.sleep(0.005)
        seen = operator.call("daemon.status", {})["result"]["compaction"]
        now = time.perf_counter()
        steps[step] += now - since
        step, since = seen["step"], now
    assert "last_failure" not in seen, seen
    client.doing = "after"
    operator.close()
    return {name: round(seconds, 2) for name, seconds in steps.items()}


def walletd(daemon: Daemon, *arguments: str) -> float:
    """Run a command line; its seconds."""
    began = time.perf_counter()
    token = (daemon.data / "operator.token").read_text().strip()
    command = [sys.executable, "-m", "walletd", *arguments, "--url", daemon.address, "--token", token]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - began, 2)


def sizes(data: Path) -> dict[str, float]:
    """Mebibytes."""
    found: dict[str, float] = defaultdict(float)
    for file in data.rglob("*"):
        if file.is_file():
            name = file.name if not file.name.startswith("snapshot") else "snapshot"
            name = "archive" if file.parent != data else name.removesuffix("-wal").removesuffix("-shm")
            found[name] += file.stat().st_size / 2**20
    return {name: round(size, 1) for name, size in found.items() if size >= 0.05}


def fill(daemon: Daemon, town: Town, entries: int) -> int:
    """Have the journal reach so many entries; what the daemon was too busy for is asked for again."""
    while (head := head_of(daemon)) < entries:
        town.ask_all(town.transfers(), max(1000, entries - head))
    return head


def head_of(daemon: Daemon) -> int:
    operator = daemon.connect()
    head = operator.call("daemon.status", {})["result"]["head"]
    operator.close()
    return int(head)


def restart(daemon: Daemon, *without: str) -> float:
    """Kill and start again, maybe without some files; the seconds until it serves."""
    daemon.stop(9)
    for pattern in without:
        for file in daemon.data.glob(pattern):
            file.unlink()
    return round(daemon.start(), 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--keep", type=int, default=5_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-data-", dir=".") as directory:
        daemon = Daemon(Path(directory) / "data")
        town = Town(daemon, 1000)
        found: dict[str, object] = {"entries": fill(daemon, town, given.entries)}
        found["restart before"] = restart(daemon)
        found["size before"] = sizes(daemon.data)
        client = Client(daemon, town)
        time.sleep(CALM_SECONDS)
        client.doing = "backup"
        found["backup seconds"] = walletd(daemon, "backup", str(Path(directory) / "backup"))
        found["backup size"] = sizes(Path(directory) / "backup")
        client.doing = "calm"
        found["compaction seconds"] = compact(daemon, client, given.keep)
        time.sleep(CALM_SECONDS / 2)
        client.stop()
        found["latency"] = client.rows()
        found["size after"] = sizes(daemon.data)
        found["restart after"] = restart(daemon)
        found["restart from the snapshot"] = restart(daemon, "state.db*")
        found["restart from the archive"] = restart(daemon, "state.db*", "snapshot-*")
        daemon.stop()
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
