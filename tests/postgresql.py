"""A PostgreSQL server for the tests: the system's programs, a folder of its own in memory, a unix socket.

    with running() as server:
        url = server.new_database()

PostgreSQL refuses to be root's, so where root tests it runs as ``nobody``.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.interop.programs import missing

PLACES = ("/usr/lib/postgresql", "/usr/pgsql")
START_SECONDS = 60

SETTINGS = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "log_min_messages": "warning",
}


def programs() -> Path:
    """The folder of initdb and postgres; skips the test where there is none."""
    found = sorted(path.parent for place in PLACES for path in Path(place).glob("*/bin/initdb"))
    if found:
        return found[-1]
    if named := shutil.which("initdb"):
        return Path(named).parent
    missing("PostgreSQL", "on Debian, apt-get install postgresql")


class Server:
    """A running server; ``folder`` has its data and its socket."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._user = user
        self._databases = 0
        self._ledgers = 0
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://walletd@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The connection string of an empty database."""
        self._databases += 1
        name = f"d{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_ledger(self) -> str:
        """The name of a ledger that no test has used."""
        self._ledgers += 1
        return f"l{self._ledgers}"

    def set(self, name: str, value: str | None) -> None:
        """Change a setting of the running server, None for its default, and wait until it is in force."""
        self.execute(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")
        wanted = value or ""
        while value is not None and self.execute(f"SHOW {name}") != [(wanted,)]:
            pass

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, *command: str) -> None:
        """Run one of PostgreSQL's programs as the server's user."""
        done = subprocess.run(
            [str(programs() / command[0]), *command[1:]],
            user=self._user,
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def start(self, **settings: str) -> None:
        """Start it, and wait until it accepts connections."""
        given = SETTINGS | {"unix_socket_directories": f"'{self.folder}'"} | settings
        lines = "".join(f"{name} = {value}\n" for name, value in given.items())
        (self.data / "postgresql.auto.conf").write_text(lines)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(programs() / "postgres"), "-D", str(self.data)],
                user=self._user,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        ready = [str(programs() / "pg_isready"), "-q", "-h", str(self.folder), "-t", "1", "-d", "postgres"]
        for _ in range(START_SECONDS * 10):
            assert self.process.poll() is None, (self.folder / "log").read_text()
            if subprocess.run(ready, check=False).returncode == 0:
                return
            self._pause()
        raise AssertionError("PostgreSQL did not start")

    def _pause(self) -> None:
        assert self.process is not None
        try:
            self.process.wait(0.1)
        except subprocess.TimeoutExpired:
            return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT is PostgreSQL's fast shutdown, SIGQUIT its crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


def new_server() -> Server:
    """A server that is not started yet."""
    programs()
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="walletd-pg-", dir=memory if os.access(memory, os.W_OK) else None))
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return Server(folder, user)


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A server while the body runs."""
    server = new_server()
    try:
        server.run(
            "initdb", "--no-sync", "-A", "trust", "-U", "walletd", "-D", str(server.data), "--locale", "C", "-E", "UTF8"
        )
        server.start(**settings)
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
