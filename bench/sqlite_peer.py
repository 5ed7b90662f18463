"""SQLite in this process as a ledger: one transaction a transfer, synced; no network, no other client."""

import random
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE wallet (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE transfer (id INTEGER PRIMARY KEY, command_id TEXT NOT NULL UNIQUE, time REAL NOT NULL);
CREATE TABLE posting (transfer INTEGER NOT NULL, wallet INTEGER NOT NULL, amount INTEGER NOT NULL, balance INTEGER);
"""


def run(directory: Path, wallets: int, seconds: float, size: int = 1) -> dict[str, Any]:
    """Transfers one after the other, ``size`` of them in each transaction."""
    connection = sqlite3.connect(directory / f"peer-{size}.db", isolation_level=None)
    connection.executescript(SCHEMA)
    connection.executemany("INSERT INTO wallet VALUES (?, 1000000000000, 0)", [(n,) for n in range(wallets)])
    chance, times, began = random.Random(7), [], time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(size):
            _pay(connection, *chance.sample(range(wallets), 2))
        connection.execute("COMMIT")
        times.append((time.perf_counter() - start) * 1000)
    total = time.perf_counter() - began
    connection.close()
    times.sort()
    return {
        "per_second": len(times) * size / total,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "p999_ms": times[len(times) * 999 // 1000],
    }


def _pay(connection: sqlite3.Connection, source: int, to: int) -> None:
    made = connection.execute(
        "INSERT OR IGNORE INTO transfer (command_id, time) VALUES (?, ?) RETURNING id", (uuid.uuid4().hex, time.time())
    ).fetchone()
    change = "UPDATE wallet SET balance = balance + ?, version = version + 1 WHERE id = ? RETURNING balance"
    (left,) = connection.execute(change, (-1, source)).fetchone()
    assert made is not None
    assert left >= 0
    (got,) = connection.execute(change, (1, to)).fetchone()
    connection.execute("INSERT INTO posting VALUES (?, ?, -1, ?), (?, ?, 1, ?)", (*made, source, left, *made, to, got))
