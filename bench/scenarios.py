"""The scenarios: each measures walletd and, where they can do the same, its peers, in one folder and one run."""

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postgres
import sqlite_peer
from loads import bare_commits, closed_loop, open_loop
from openings import million
from postgres import Postgres, best
from town import BATCH, Town, ping
from wire import Connection, request

from daemon import Daemon

WALLETS = 200
ONE, MANY, DEEP = "1 client, 1 in flight", "64 clients, 1 in flight", "64 clients, 16 in flight"
PIPELINE = "1 client, 256 in flight"
HOT = "a hot wallet, payers with velocity limits"
BATCHES = "batches of 1,000"
MIXED = "four reads to a transfer, 64 clients, 16 in flight"
ECHO = "echo, 64 clients, 16 in flight"
CLIENT_COUNTS = (8, 16, 32, 64)

Results = dict[str, Any]


class Bench:
    """One run: where the data is, how long each part takes, and which Python runs the daemon."""

    def __init__(self, directory: Path, scale: float, python: str, seconds: float) -> None:
        self.directory = directory
        self.scale = scale
        self.python = python
        self.seconds = seconds

    def daemon(self, name: str) -> Daemon:
        """A fresh daemon."""
        return Daemon(self.directory / name, self.python)

    def count(self, number: int) -> int:
        """So many requests, at this run's scale."""
        return max(64, int(number * self.scale))


def transfers(bench: Bench) -> Results:
    """Transfers under four loads, a hot wallet, batches, reads in between; and what the same gateway echoes."""
    daemon = bench.daemon("transfers")
    town = Town(daemon, WALLETS)
    rows: Results = {}
    for name, clients, window, total in (
        (ONE, 1, 1, 3000),
        (PIPELINE, 1, 256, 40_000),
        (MANY, 64, 1, 20_000),
        (DEEP, 64, 16, 60_000),
    ):
        rows[name] = closed_loop(daemon, clients, window, bench.count(total), town.transfers())
    rows[ECHO] = closed_loop(daemon, 64, 16, bench.count(60_000), ping)
    rows[MIXED] = closed_loop(daemon, 64, 16, bench.count(60_000), town.mixed())
    batches = closed_loop(daemon, 4, 1, max(8, int(60 * bench.scale)), town.batches())
    rows[BATCHES] = {**batches, "per_second": batches["per_second"] * BATCH}
    town.limit_velocity()
    rows[HOT] = closed_loop(daemon, 64, 16, bench.count(40_000), town.transfers(town.wallets[0]))
    entries = daemon.commits()[1]
    size = (daemon.data / "journal.db").stat().st_size
    daemon.stop()
    return {"walletd": rows, "bytes_per_entry": size / entries, "bare_commit_p50_ms": bare_commits(bench.directory)}


def peers(bench: Bench) -> Results:
    """The same transfers by PostgreSQL, at the client count at which it does most, and by SQLite in-process."""
    found: Results = {
        "sqlite": {
            ONE: sqlite_peer.run(bench.directory, WALLETS, bench.seconds),
            BATCHES: sqlite_peer.run(bench.directory, WALLETS, bench.seconds, BATCH),
        }
    }
    if postgres.programs() is None:
        return {**found, "postgres": postgres.ABSENT}
    with Postgres(bench.directory, WALLETS) as server:
        at_best = best(server, "transfer", CLIENT_COUNTS, bench.seconds)
        found["postgres"] = {
            ONE: server.run("transfer", 1, bench.seconds),
            MANY: at_best,
            DEEP: at_best,
            HOT: best(server, "hot", CLIENT_COUNTS, bench.seconds),
            BATCHES: best(server, "batch", (1, 2, 4), bench.seconds),
        }
    return found


def holds(bench: Bench) -> Results:
    """Holds placed, and then captured whole."""
    daemon = bench.daemon("holds")
    town = Town(daemon, WALLETS)
    placed: dict[int, tuple[str, int]] = {}
    count = bench.count(20_000)

    def place(number: int) -> bytes:
        wallet = town.wallets[number % WALLETS]
        params = {"command_id": f"place-{number}", "wallet": wallet, "asset": "EUR", "amount": "1"}
        return request(number, "hold.place", params)

    first = closed_loop(daemon, 16, 16, count, place)
    connection = daemon.connect()
    for wallet in town.wallets:
        page = connection.call("hold.list", {"wallet": wallet, "limit": 100})
        for hold in page["result"]["holds"]:
            placed[len(placed) + 1] = wallet, hold["hold"]
    connection.close()

    def capture(number: int) -> bytes:
        wallet, hold = placed.get(number, (town.wallets[1], "h0"))
        parts = [{"to": town.wallets[0], "amount": "1"}]
        return request(
            number, "hold.capture", {"command_id": f"take-{number}", "wallet": wallet, "hold": hold, "parts": parts}
        )

    second = closed_loop(daemon, 16, 16, max(16, len(placed) - 256), capture)
    daemon.stop()
    return {"walletd": {"hold.place, 16 × 16": first, "hold.capture, 16 × 16": second}}


def subscribers(bench: Bench) -> Results:
    """A thousand subscribers to one busy wallet: events a second, all of them counted where they arrive."""
    daemon = bench.daemon("subscribers")
    town = Town(daemon, 10)
    streams = [daemon.connect() for _ in range(1000)]
    for stream in streams:
        stream.call("stream.subscribe", {"wallets": [town.wallets[0]]})
    paying, make = daemon.connect(), town.transfers(town.wallets[0])
    count = bench.count(1000)
    events, began = 0, time.perf_counter()
    paying.send([make(number) for number in range(1, count + 1)])
    for stream in streams:
        got = 0
        while got < count:
            got += sum(b'"stream.event"' in message[:64] for message in stream.take())
        events += got
    seconds = time.perf_counter() - began
    encoded = daemon.metric("walletd_stream_events_total")
    for stream in [*streams, paying]:
        stream.close()
    daemon.stop()
    return {"events_per_second": events / seconds, "events": events, "counted_by_the_daemon": encoded}


def idle(bench: Bench, count: int = 10_000) -> Results:
    """Bytes of memory for each connection that says nothing."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the daemon gets it, too
    count = min(count, hard - 1000)
    allowed = str(count + 100)
    limits = {"WALLETD_MAX_CONNECTIONS": allowed, "WALLETD_MAX_CONNECTIONS_PER_ADDRESS": allowed}
    daemon = Daemon(bench.directory / "idle", bench.python, limits)
    first = [daemon.connect() for _ in range(50)]
    before = daemon.memory()
    more: list[Connection] = [daemon.connect() for _ in range(count)]
    used = (daemon.memory() - before) / count
    for connection in first + more:
        connection.close()
    daemon.stop()
    return {"connections": count, "bytes_per_idle_connection": used}


def overload(bench: Bench) -> Results:
    """At 80 % and at twice of what it does at most: what is accepted, and how long that waits."""
    daemon = bench.daemon("overload")
    town = Town(daemon, WALLETS)
    peak = closed_loop(daemon, 64, 16, bench.count(60_000), town.transfers())["per_second"]
    seconds = max(2.0, 8 * bench.scale)
    calm = open_loop(daemon, 64, 0.8 * peak, seconds, town.transfers())
    twice = open_loop(daemon, 64, 2 * peak, seconds, town.transfers())
    daemon.stop()
    return {"peak_per_second": peak, "at_80_percent": calm, "at_200_percent": twice}


def many_wallets(bench: Bench, count: int) -> Results:
    """So many wallets opened: memory, and the time to start afterwards."""
    return million(bench.daemon("many"), count)


def starts(bench: Bench, entries: int) -> Results:
    """The time to start with a journal of so many transfers: after a clean stop, and after a kill."""
    daemon = bench.daemon("starts")
    town = Town(daemon, WALLETS)
    made = 0
    while made < entries:
        batches = min(500, -(-(entries - made) // BATCH))
        closed_loop(daemon, 4, 1, batches, town.batches())
        made += batches * BATCH
    daemon.stop()
    found: Results = {"transfers": made, "journal_bytes": (daemon.data / "journal.db").stat().st_size}
    found["start_after_clean_stop_s"] = daemon.start()
    daemon.stop(signal.SIGKILL)
    found["start_after_kill_s"] = daemon.start()
    daemon.stop()
    return found


SCENARIOS: dict[str, Callable[[Bench], Results]] = {
    "transfers": transfers,
    "peers": peers,
    "holds": holds,
    "subscribers": subscribers,
    "idle": idle,
    "overload": overload,
}
