"""SQLite in-process as a ledger, what an application does that keeps its wallets in a file of its own.

    peer = SqlitePeer(directory, wallets=10_000)
    peer.run("transfer", seconds=2)

One connection, WAL, ``synchronous=FULL``, one transaction a transfer; the same checks and rows as the PostgreSQL one.
"""

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import Row, curve, summary
from bench.processes import Bystanders

NAME = "SQLite"
SCHEMA = """
CREATE TABLE wallet (id INTEGER PRIMARY KEY, posted INTEGER NOT NULL, held INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE command (id INTEGER PRIMARY KEY, outcome TEXT NOT NULL);
CREATE TABLE posting (
    wallet INTEGER NOT NULL, version INTEGER NOT NULL, command INTEGER NOT NULL, amount INTEGER NOT NULL,
    posted_after INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (wallet, version)
) WITHOUT ROWID;
CREATE TABLE outflow (
    wallet INTEGER, minute INTEGER, amount INTEGER NOT NULL, PRIMARY KEY (wallet, minute)
) WITHOUT ROWID;
CREATE TABLE hold (id INTEGER PRIMARY KEY, wallet INTEGER NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL);
"""
MOST_OUT = 10**12
LOG_BYTES = 8 * 1024 * 1024


class SqlitePeer:
    """A ledger in one file."""

    def __init__(self, directory: Path, wallets: int) -> None:
        self._wallets = wallets
        self._chance = random.Random(7)
        self._command = 0
        self._connection = sqlite3.connect(directory / "peer.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(SCHEMA)
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO wallet VALUES (?, 1000000000000, 0, 0)", ((n,) for n in range(wallets))
        )
        self._connection.execute("COMMIT")
        lengthen_log(self._connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def money(self) -> int:
        """In all wallets."""
        return int(self._connection.execute("SELECT sum(posted) FROM wallet").fetchone()[0])

    def commands(self) -> int:
        """How many have been done."""
        return int(self._connection.execute("SELECT count(*) FROM command").fetchone()[0])

    def run(self, scenario: str, what: str, seconds: float) -> Row:
        """Do one thing after the other for so long."""
        act, commands = self._acts()[what]
        latencies, bystanders = [], Bystanders()
        own, began = time.process_time(), time.perf_counter()
        now = began
        while now - began < seconds:
            act()
            done = time.perf_counter()
            latencies.append(done - now)
            now = done
        took, used = now - began, time.process_time() - own
        count = len(latencies) * commands
        return Row(
            scenario,
            NAME,
            count / took,
            **summary(latencies),
            cpu_us=used / count * 1e6,
            others=bystanders.share(used),
            clients=1,
            curve=curve(latencies),
        )

    def _acts(self) -> dict[str, tuple[Callable[[], None], int]]:
        return {
            "transfer": (lambda: self._in_one(self._transfer, *self._pair()), 1),
            "hot": (lambda: self._in_one(self._transfer, self._pair()[0], self._wallets - 1, limited=True), 1),
            "batch": (lambda: self._in_one(self._batch), 1000),
            "holds": (self._hold_and_capture, 2),
        }

    def _pair(self) -> tuple[int, int]:
        one, other = self._chance.sample(range(self._wallets - 1), 2)
        return one, other

    def _in_one(self, act: Callable[..., None], *arguments: int, **named: bool) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        act(*arguments, **named)
        self._connection.execute("COMMIT")

    def _batch(self) -> None:
        for _ in range(1000):
            self._transfer(*self._pair())

    def _transfer(self, source: int, to: int, limited: bool = False) -> None:
        self._use_command()
        if limited:
            self._count_outflow(source)
        self._move(source, to, 0)

    def _hold_and_capture(self) -> None:
        source, to = self._pair()
        self._in_one(self._place, source)
        self._in_one(self._capture, self._command, source, to)

    def _place(self, source: int) -> None:
        execute = self._connection.execute
        self._use_command()
        changed = execute("UPDATE wallet SET held = held + 1 WHERE id = ? AND posted - held >= 1", (source,))
        assert changed.rowcount == 1
        execute("INSERT INTO hold VALUES (?, ?, 1, 'open')", (self._command, source))

    def _capture(self, hold: int, source: int, to: int) -> None:
        changed = self._connection.execute(
            "UPDATE hold SET state = 'captured' WHERE id = ? AND state = 'open'", (hold,)
        )
        assert changed.rowcount == 1
        self._use_command()
        self._move(source, to, 1)

    def _move(self, source: int, to: int, held: int) -> None:
        execute, at = self._connection.execute, time.time_ns()
        spent = execute(
            "UPDATE wallet SET posted = posted - 1, held = held - ?1, version = version + 1"
            " WHERE id = ?2 AND posted - held + ?1 >= 1 RETURNING version, posted",
            (held, source),
        ).fetchone()
        assert spent is not None
        got = execute(
            "UPDATE wallet SET posted = posted + 1, version = version + 1 WHERE id = ? RETURNING version, posted", (to,)
        ).fetchone()
        execute(
            "INSERT INTO posting VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)",
            (source, spent[0], self._command, -1, spent[1], at, to, got[0], self._command, 1, got[1], at),
        )

    def _use_command(self) -> None:
        self._command += 1
        self._connection.execute("INSERT INTO command VALUES (?, 'applied')", (self._command,))

    def _count_outflow(self, source: int) -> None:
        minute = int(time.time() // 60)
        (gone,) = self._connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM outflow WHERE wallet = ? AND minute > ?", (source, minute - 60)
        ).fetchone()
        assert gone + 1 <= MOST_OUT
        self._connection.execute(
            "INSERT INTO outflow VALUES (?, ?, 1) ON CONFLICT (wallet, minute) DO UPDATE SET amount = amount + 1",
            (source, minute),
        )


def lengthen_log(connection: sqlite3.Connection) -> None:
    """Have the log's file as long as it will be: a commit that lengthens it is twice as dear, and not what lasts."""
    connection.execute("CREATE TABLE IF NOT EXISTS filler (body BLOB)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (LOG_BYTES,))
    connection.execute("DELETE FROM filler")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def bare_commits(directory: Path, count: int = 500) -> list[float]:
    """Seconds of bare commits of one entry each with ``synchronous=FULL``, in the same folder."""
    connection = sqlite3.connect(directory / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS entry (sequence INTEGER PRIMARY KEY, body BLOB)")
    lengthen_log(connection)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.execute("INSERT INTO entry (body) VALUES (?)", (b"x" * 450,))
        times.append(time.perf_counter() - began)
    connection.close()
    return times
