"""Loads: requests in a closed loop, to see how many are done; and in an open one, to see how long each waits.

A refused request is counted, and is no throughput.
"""

import selectors
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from town import Make
from wire import Connection

from daemon import Daemon


def closed_loop(daemon: Daemon, clients: int, window: int, total: int, make: Make) -> dict[str, Any]:
    """So many clients, each with so many requests unanswered; throughput and latency as the clients see them."""
    selector, sent_at, latencies = selectors.DefaultSelector(), {}, []
    connections = [daemon.connect() for _ in range(clients)]
    commits, entries = daemon.commits()
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
                latencies.append(now - sent_at.pop(_id_of(message)))
            send(key.data, len(messages))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    commits, entries = (after - before for after, before in zip(daemon.commits(), (commits, entries), strict=True))
    answered = len(latencies) - refused
    return {
        "per_second": answered / seconds,
        **percentiles(latencies),
        "refused": refused,
        "commits_per_second": commits / seconds,
        "entries_per_commit": entries / max(1, commits),
        "daemon_cpu_us": (daemon.cpu() - cpu) / len(latencies) * 1e6,
        "generator_busy": (time.process_time() - own) / seconds,
    }


def open_loop(daemon: Daemon, clients: int, rate: float, seconds: float, make: Make) -> dict[str, Any]:
    """Requests at their own times, whether the ones before were answered or not.

    A latency counts from the moment at which the request was meant to be sent: a load generator that is held up does
    not hide what a client would have waited (coordinated omission).
    """
    selector = selectors.DefaultSelector()
    connections = [daemon.connect() for _ in range(clients)]
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    meant: dict[int, float] = {}
    accepted: list[float] = []
    refused = sent = 0
    total, began = int(rate * seconds), time.perf_counter()
    while len(accepted) + refused < total:
        due = min(total, int((time.perf_counter() - began) * rate))
        waiting: dict[Connection, list[bytes]] = {}
        while sent < due:
            sent += 1
            meant[sent] = began + sent / rate
            waiting.setdefault(connections[sent % clients], []).append(make(sent))
        for connection, requests in waiting.items():
            connection.send(requests)
        for key, _ in selector.select(timeout=0.001):
            messages, now = key.data.take(), time.perf_counter()
            for message in messages:
                intended = meant.pop(_id_of(message))
                if b'"error"' in message[:64]:
                    refused += 1
                else:
                    accepted.append(now - intended)
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return {"offered": rate, "per_second": len(accepted) / took, "refused": refused, **percentiles(accepted)}


def percentiles(latencies: Iterable[float]) -> dict[str, float]:
    """Milliseconds at the median, the 99th and the 99.9th percentile; seconds come in."""
    ordered = sorted(latencies)
    parts = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for name, part in parts.items()}


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


def _id_of(message: bytes) -> int:
    return int(message.split(b'"id":', 1)[1].split(b",", 1)[0])
