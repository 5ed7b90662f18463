"""PostgreSQL as a ledger of stored procedures (``ledger.sql``), driven by pgbench, from clean data, synced.

    with Postgres(directory, wallets=10_000) as postgres:
        postgres.run("transfer", scenario="64 clients", clients=32, seconds=3)

Debian's package: ``apt-get install postgresql``.  It has a folder of its own, speaks over its unix socket only, and
runs as another user where the benchmark runs as root, which it refuses.  pgbench is in C and has processes of its own.
"""

import math
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bench import processes
from bench.figures import Row, curve, summary

NAME = "PostgreSQL"
ABSENT = "not run: PostgreSQL is not installed (apt-get install postgresql)"
PLACES = Path("/usr/lib/postgresql")
LEDGER = Path(__file__).with_name("ledger.sql")
USER = "postgres"
WARM_UP_SECONDS = 1.0
"""What is not counted, as for walletd: new connections plan their statements then.  Sixty-four of them on a hot row did
a third as much in their first half second as later."""

SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "wal_buffers": "16MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "jit": "off",
}

_ID = "\\set n :n + 1\n\\set asked :run * 1000000000000 + :client_id * 1000000000 + :n * 10\n"
_PAIR = "\\set source random(0, :wallets - 2)\n\\set target (:source + random(1, :wallets - 2)) % (:wallets - 1)\n"
_ARRAYS = (
    "SELECT {function}(array_agg(:asked::bigint * 1000 + i), array_agg(s), array_agg((s + d) % (:wallets - 1)), "
    "array_agg(1::bigint)) FROM (SELECT i, floor(random() * (:wallets - 1))::int AS s, "
    "1 + floor(random() * (:wallets - 2))::int AS d FROM generate_series(1, 1000) AS i) AS chosen;\n"
)


class Script(NamedTuple):
    """What one of pgbench's transactions does; ``commands`` of ours."""

    text: str
    commands: int = 1


SCRIPTS = {
    "transfer": Script(_ID + _PAIR + "SELECT transfer(:asked, :source, :target, 1);\n"),
    "hot": Script(_ID + _PAIR + "SELECT limited_transfer(:asked, :source, :wallets - 1, 1);\n"),
    "each": Script(_ID + _ARRAYS.format(function="transfer_each"), 1000),
    "all": Script(_ID + _ARRAYS.format(function="transfer_all"), 1000),
    "holds": Script(
        _ID
        + _PAIR
        + "SELECT place_hold(:asked, :source, 1);\nSELECT capture_hold(:asked::bigint + 1, :asked, :target);\n",
        2,
    ),
    "balance": Script(_PAIR + "SELECT posted, held, version FROM wallet WHERE id = :source;\n"),
    "statement": Script(_PAIR + "SELECT * FROM posting WHERE wallet = :source ORDER BY version DESC LIMIT 20;\n"),
}
MIXED = (("transfer", 5), ("balance", 4), ("statement", 1))
"""As ``town.Mixed``."""


def programs() -> Path | None:
    """Where PostgreSQL's programs are, the newest of them, or None."""
    places = sorted(PLACES.glob("*/bin/pgbench"), key=lambda path: float(path.parts[-3]))
    if places:
        return places[-1].parent
    if shutil.which("initdb") and (pgbench := shutil.which("pgbench")):
        return Path(pgbench).parent
    return None


class Said(NamedTuple):
    """What pgbench reports at its end, of the whole of its time."""

    transactions: int
    failed: int


def parse(report: str) -> Said:
    """The figures of pgbench's report."""
    done = re.search(r"^number of transactions actually processed: (\d+)", report, re.MULTILINE)
    failed = re.search(r"^number of failed transactions: (\d+)", report, re.MULTILINE)
    ended = re.search(r"^tps = ", report, re.MULTILINE)
    if ended is None or done is None:
        raise ValueError(f"pgbench said something else:\n{report}")
    return Said(int(done[1]), int(failed[1]) if failed else 0)


def latencies(logs: Iterable[str], warm_up: float, seconds: float) -> list[float]:
    """Seconds of each transaction that ended within so many seconds behind the warm-up.

    A line of pgbench's logs has the client, a number, microseconds (a word where it failed), the script, and the time
    of day in seconds and microseconds.  The warm-up begins when the first transaction did.
    """
    lines = [line.split() for log in logs for line in log.splitlines()]
    done = [(int(at) * 10**6 + int(rest), int(took)) for _, _, took, _, at, rest in lines if took.isdigit()]
    first = min((ended - took for ended, took in done), default=0) + round(warm_up * 1e6)
    last = first + round(seconds * 1e6)
    return [took / 1e6 for ended, took in done if first <= ended < last]


class Postgres:
    """A server with the ledger in it, stopped at the end."""

    def __init__(self, directory: Path, wallets: int) -> None:
        found = programs()
        assert found is not None, ABSENT
        self._programs = found
        self._wallets = wallets
        self._directory = directory
        self._data = directory / "postgres"
        self._runs = 0
        self.version = self._call(["postgres", "--version"]).strip()

    def __enter__(self) -> Self:
        self._data.mkdir()
        self._give(self._data)
        self._call(
            ["initdb", "-D", str(self._data), "-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C"], is_its=True
        )
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._data), *settings]
        self._log = (self._directory / "postgres.log").open("wb")
        self._server = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, cwd=self._data, **self._as_its_user()
        )
        while subprocess.run([self._programs / "pg_isready", "-q", *self._where]).returncode != 0:
            if self._server.poll() is not None:
                raise SystemExit("PostgreSQL did not start:\n" + (self._directory / "postgres.log").read_text())
            time.sleep(0.05)
        self._call(
            ["psql", *self._where, "-q", "-v", "ON_ERROR_STOP=1", "-v", f"wallets={self._wallets}", "-f", str(LEDGER)]
        )
        self._call(["psql", *self._where, "-q", "-c", "VACUUM ANALYZE", "-c", "CHECKPOINT"])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.send_signal(signal.SIGINT)
        self._server.wait()
        self._log.close()

    def run(self, what: str, scenario: str, clients: int, seconds: float) -> Row:
        """So many connections, each with one command under way, for so long behind a warm-up."""
        self._runs += 1
        scripts = MIXED if what == "mixed" else ((what, 1),)
        prefix = self._directory / f"pgbench-{self._runs}"
        command = [str(self._programs / "pgbench"), *self._where, "-n", "-M", "prepared"]
        whole = math.ceil(WARM_UP_SECONDS + seconds)
        command += ["-c", str(clients), "-j", str(min(clients, os.cpu_count() or 1)), "-T", str(whole)]
        command += ["-D", "n=0", "-D", f"run={self._runs}", "-D", f"wallets={self._wallets}"]
        command += ["-l", "--log-prefix", str(prefix)]
        for name, weight in scripts:
            file = self._directory / f"{name}.pgbench"
            file.write_text(SCRIPTS[name].text)
            command += ["-f", f"{file}@{weight}"]
        cpu, own, bystanders = self._cpu(), os.times(), processes.Bystanders()
        with subprocess.Popen([*command, USER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as pgbench:
            time.sleep(whole / 2)
            memory = processes.memory([self._server.pid, *processes.children(self._server.pid)])
            report, complaints = pgbench.communicate()
        if pgbench.returncode != 0:
            raise SystemExit(f"pgbench failed:\n{report}{complaints}")
        now, used = os.times(), self._cpu() - cpu
        busy = now.children_user + now.children_system - own.children_user - own.children_system
        others = bystanders.share(used + busy)
        said = parse(report)
        logs = sorted(self._directory.glob(f"{prefix.name}.*"))
        waits = latencies((log.read_text() for log in logs), WARM_UP_SECONDS, seconds)
        for log in logs:
            log.unlink()
        commands = SCRIPTS[scripts[0][0]].commands
        return Row(
            scenario,
            NAME,
            len(waits) * commands / seconds,
            **summary(waits),
            refused=said.failed,
            cpu_us=used / max(1, said.transactions * commands) * 1e6,
            busy=busy / whole,
            others=others,
            memory_mb=memory / 1e6,
            clients=clients,
            curve=curve(waits),
        )

    def refused(self) -> int:
        """How many commands were refused since the start; pgbench does not look at what it is answered."""
        return int(self.ask("SELECT count(refusal) FROM command"))

    def ask(self, query: str) -> str:
        """What a query gives: one line a row."""
        return self._call(["psql", *self._where, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", query]).strip()

    @property
    def _where(self) -> list[str]:
        return ["-h", str(self._data), "-U", USER]

    def _cpu(self) -> float:
        return processes.cpu_of_family(self._server.pid)

    def _give(self, folder: Path) -> None:
        """Let the server's user have the folder, and pass through the one that it is in."""
        if os.geteuid() != 0:
            return
        shutil.chown(folder, USER, USER)
        self._directory.chmod(self._directory.stat().st_mode | 0o011)
        for parent in folder.resolve().parents:
            if parent.stat().st_mode & 0o001 == 0:
                raise SystemExit(f"PostgreSQL's user may not pass through {parent}; give another --directory")

    def _as_its_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        user = pwd.getpwnam(USER)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "umask": 0o077}

    def _call(self, command: list[str], *, is_its: bool = False) -> str:
        program = [str(self._programs / command[0]), *command[1:]]
        user = self._as_its_user() if is_its else {}
        ended: subprocess.CompletedProcess[str] = subprocess.run(
            program, capture_output=True, text=True, cwd="/", **user
        )
        if ended.returncode != 0:
            raise SystemExit(f"{command[0]} failed:\n{ended.stdout}{ended.stderr}")
        return ended.stdout
