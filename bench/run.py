"""The benchmark: a real daemon on loopback, its data on disk and synced, and what it does beside an echo and a commit.

    make bench                          # about a minute
    make bench ARGS="--million"         # also a million wallets: memory, and the time to start

Figures of one run belong together: compare the ratios, not the figures of two machines or two days.
"""

import argparse
import json
import os
import platform
import random
import re
import selectors
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from wire import Connection, request

ADDRESS = re.compile(r"ws://\S+")
ADMIN_ADDRESS = re.compile(r"(http://\S+)/metrics")
Make = Callable[[int], bytes]


class Daemon:
    """One daemon in a folder of its own, ended by its process id."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.start()

    def start(self) -> float:
        """Start it; the seconds until it serves."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "walletd", "serve", "--data", str(self.data), "--port", "0"]
        environment = {**os.environ, "WALLETD_ADMIN_PORT": "0", "WALLETD_LOG_LEVEL": "warning"}
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


def closed_loop(daemon: Daemon, clients: int, window: int, total: int, make: Make) -> dict[str, float]:
    """So many clients, each with so many requests unanswered; throughput and latency as the clients see them."""
    selector, sent_at, latencies = selectors.DefaultSelector(), {}, []
    connections = [daemon.connect() for _ in range(clients)]
    number, refused, began, cpu, own = 0, 0, time.perf_counter(), daemon.cpu(), time.process_time()

    def send(connection: Connection, count: int) -> None:
        nonlocal number
        numbers = range(number + 1, number + 1 + count)
        number += count
        now = time.perf_counter()
        sent_at.update(dict.fromkeys(numbers, now))
        connection.send([make(n) for n in numbers])

    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        send(connection, window)
    while len(latencies) < total:
        for key, _ in selector.select():
            messages, now = key.data.take(), time.perf_counter()
            for message in messages:
                refused += b'"error"' in message[:64]
                latencies.append(now - sent_at.pop(int(message.split(b'"id":', 1)[1].split(b",", 1)[0])))
            send(key.data, len(messages))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    latencies.sort()
    return {
        "per_second": len(latencies) / seconds,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "refused": refused,
        "daemon_cpu_us": (daemon.cpu() - cpu) / len(latencies) * 1e6,
        "generator_busy": (time.process_time() - own) / seconds,
    }


def bare_commits(directory: Path, count: int = 500) -> float:
    """Milliseconds, at the median, of a bare SQLite commit of one entry with synchronous=FULL, in the same folder."""
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entry (sequence INTEGER PRIMARY KEY, body BLOB)")
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.execute("INSERT INTO entry (body) VALUES (?)", (b"x" * 450,))
        times.append(time.perf_counter() - began)
    connection.close()
    return sorted(times)[count // 2] * 1000


class Town:
    """Wallets with money, and transfers between them."""

    def __init__(self, daemon: Daemon, wallets: int) -> None:
        self.chance = random.Random(7)
        self.wallets = [f"bench.{n}" for n in range(wallets)]
        self.run = 0
        connection = daemon.connect()
        connection.call("asset.define", {"command_id": "eur", "asset": "EUR", "scale": 2})
        for wallet in self.wallets:
            connection.call("wallet.open", {"command_id": f"open-{wallet}", "wallet": wallet})
            connection.call("transfer.post", self._pay(f"fund-{wallet}", "@external", wallet, 10**9))
        connection.close()

    def transfers(self, to: str | None = None) -> Make:
        """Payments between two wallets by chance, or to one that everybody pays."""
        self.run += 1
        run = self.run

        def make(number: int) -> bytes:
            source, other = self.chance.sample(self.wallets[1:], 2)
            return request(number, "transfer.post", self._pay(f"{run}-{number}", source, to or other, 1))

        return make

    @staticmethod
    def _pay(command_id: str, source: str, to: str, amount: int) -> dict[str, Any]:
        return {
            "command_id": command_id,
            "postings": [{"from": source, "to": to, "asset": "EUR", "amount": str(amount)}],
        }


def ping(number: int) -> bytes:
    """What the gateway answers without the journal: the echo beside which commands are measured."""
    return request(number, "session.ping", {})


def speed(directory: Path, scale: float) -> dict[str, Any]:
    """Commands beside echoes, load by load, in one run."""
    daemon = Daemon(directory / "speed")
    town = Town(daemon, 200)
    loads = [("1 client, 1 in flight", 1, 1, 1500), ("1 client, 256 in flight", 1, 256, 20_000)]
    loads += [("64 clients, 1 in flight", 64, 1, 10_000), ("64 clients, 16 in flight", 64, 16, 20_000)]
    rows: dict[str, Any] = {}
    for name, clients, window, total in loads:
        count = int(total * scale)
        rows[name] = {
            "echo": closed_loop(daemon, clients, window, count, ping),
            "transfer": closed_loop(daemon, clients, window, count, town.transfers()),
        }
    hot = town.transfers(town.wallets[0])
    rows["64 clients, 16 in flight, one hot wallet"] = {
        "transfer": closed_loop(daemon, 64, 16, int(20_000 * scale), hot)
    }
    commit = bare_commits(directory)
    daemon.stop()
    return {"loads": rows, "bare_commit_p50_ms": commit}


def idle_connections(directory: Path, count: int = 2000) -> float:
    """Bytes of memory for each connection that says nothing."""
    daemon = Daemon(directory / "idle")
    first = [daemon.connect() for _ in range(50)]
    before = daemon.memory()
    more = [daemon.connect() for _ in range(count)]
    used = (daemon.memory() - before) / count
    for connection in first + more:
        connection.close()
    daemon.stop()
    return used


def million(directory: Path, count: int) -> dict[str, Any]:
    """Open so many wallets; memory meanwhile, and the time to start afterwards."""
    daemon = Daemon(directory / "million")
    connection = daemon.connect()
    before, opened, sent = daemon.memory(), 0, 0
    began = time.perf_counter()
    at_warm = 0
    while opened < count:
        if sent < count and sent - opened < 2000:
            numbers = range(sent, min(sent + 500, count))
            sent = numbers[-1] + 1
            connection.send([_opening(n) for n in numbers])
        for message in connection.take():
            if b'"result"' in message:
                opened += 1
            else:  # Overloaded: nothing was decided, so the same command is sent again.
                connection.send([_opening(int(json.loads(message)["id"]))])
        if not at_warm and opened >= 20_000:
            at_warm = daemon.memory()
    seconds = time.perf_counter() - began
    after = daemon.memory()
    connection.close()
    results = {
        "wallets": count,
        "opened_per_second": count / seconds,
        "bytes_per_warm_wallet": (at_warm - before) / 20_000,
        "memory_mb": after / 1e6,
        "bytes_on_disk_per_entry": (daemon.data / "journal.db").stat().st_size / count,
    }
    daemon.stop()
    results["start_after_clean_stop_s"] = daemon.start()
    daemon.stop(signal.SIGKILL)
    results["start_after_kill_s"] = daemon.start()
    daemon.stop()
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    results["start_with_rebuild_s"] = daemon.start()
    daemon.stop()
    return results


def _opening(number: int) -> bytes:
    return request(number, "wallet.open", {"command_id": f"o-{number}", "wallet": f"w{number}"})


def main() -> None:
    """Run, print, and keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", type=int, nargs="?", const=1_000_000, help="open so many wallets, too")
    parser.add_argument("--scale", type=float, default=1.0, help="how many requests, against the default")
    parser.add_argument("--directory", type=Path, help="where the data is put meanwhile; a disk, not memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory or Path.cwd(), prefix="bench-data-") as name:
        directory = Path(name)
        results: dict[str, Any] = {
            "machine": f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, "
            f"SQLite {sqlite3.sqlite_version}",
            **speed(directory, options.scale),
            "bytes_per_idle_connection": idle_connections(directory),
        }
        if options.million:
            results["million"] = million(directory, options.million)
    show(results)
    kept = Path(__file__).parent / "results"
    kept.mkdir(exist_ok=True)
    (kept / time.strftime("%Y%m%d-%H%M%S.json")).write_text(json.dumps(results, indent=2))


def show(results: dict[str, Any]) -> None:
    """The figures as a table."""
    print(results["machine"])
    print(
        f"\n{'load':<42}{'what':<10}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU µs':>9}"
        f"{'generator':>11}{'refused':>9}"
    )
    for load, rows in results["loads"].items():
        for what, row in rows.items():
            figures = (
                f"{row['per_second']:>12,.0f}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}{row['daemon_cpu_us']:>9.0f}"
            )
            print(f"{load:<42}{what:<10}{figures}{row['generator_busy']:>10.0%}{row['refused']:>9,}")
    alone = results["loads"]["1 client, 1 in flight"]["transfer"]["p50_ms"]
    commit = results["bare_commit_p50_ms"]
    print(f"\nbare SQLite FULL commit, p50: {commit:.2f} ms; a transfer alone takes {alone / commit:.1f} times as long")
    print(f"idle connection: {results['bytes_per_idle_connection'] / 1024:.1f} KiB")
    for name, value in results.get("million", {}).items():
        print(f"{name}: {value:,.1f}")


if __name__ == "__main__":
    main()
