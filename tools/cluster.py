"""``make cluster``: a PostgreSQL with a synchronous standby and three nodes of walletd, all under ./var/cluster.

    python tools/cluster.py FOLDER NODES

Everything listens on the loopback interface or on unix sockets and ends with Ctrl-C; the folder stays, and the next
start goes on from it.  It prints what to try.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

FIRST_PORT = 7890
START_SECONDS = 60

Process = subprocess.Popen[bytes]


def main(folder: Path, nodes: int) -> int:
    """Start everything, say what to try, and wait for Ctrl-C."""
    programs = postgresql()
    if programs is None:
        sys.stderr.write("walletd: PostgreSQL is not there; on Debian: apt-get install postgresql\n")
        return 69
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    user = "nobody" if os.geteuid() == 0 else None
    running: list[Process] = []
    try:
        running += databases(programs, folder / "postgresql", user)
        token = secrets.token_urlsafe(32)
        for number in range(nodes):
            running.append(node(folder, number, token))
        describe(folder, running, nodes)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGINT)
            process.wait()


def postgresql() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def databases(programs: Path, folder: Path, user: str | None) -> list[Process]:
    """The primary and its standby; made at the first start."""
    primary, standby = folder / "primary", folder / "standby"
    folder.mkdir(exist_ok=True)
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        for parent in folder.parents:
            if not parent.stat().st_mode & 0o001:
                sys.exit(
                    f"walletd: {parent} is closed to {user}, whom PostgreSQL runs as; name another: FOLDER=/srv/cluster"
                )

    def run(name: str, *arguments: str) -> None:
        subprocess.run([str(programs / name), *arguments], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def start(data: Path, port: int, *settings: str) -> Process:
        given = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", *settings]
        options = [word for setting in given for word in ("-c", setting)]
        log = (folder / f"{data.name}.log").open("ab")
        command = [str(programs / "postgres"), "-D", str(data), *options]
        process = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
        ready = [str(programs / "pg_isready"), "-q", "-h", str(folder), "-p", str(port)]
        for _ in range(START_SECONDS * 10):
            if subprocess.run(ready, check=False).returncode == 0:
                return process
            time.sleep(0.1)
        sys.exit(f"walletd: PostgreSQL does not start; see {folder / data.name}.log")

    ports = FIRST_PORT + 100, FIRST_PORT + 101
    if not primary.exists():
        run("initdb", "-A", "trust", "-U", "walletd", "-E", "UTF8", "-D", str(primary))
    is_new = not standby.exists()
    if not is_new and not (standby / "standby.signal").exists():
        sys.exit(f"walletd: the standby was promoted, and the old primary must not come back: remove {folder.parent}")
    first = start(primary, ports[0], f"synchronous_standby_names={'' if is_new else 'standby'}")
    if is_new:
        run("pg_basebackup", "-h", str(folder), "-p", str(ports[0]), "-U", "walletd", "-D", str(standby), "-R")
    source = f"primary_conninfo=host={folder} port={ports[0]} user=walletd application_name=standby"
    second = start(standby, ports[1], source)
    if is_new:
        first.send_signal(signal.SIGINT)
        first.wait()
        first = start(primary, ports[0], "synchronous_standby_names=standby")
    return [first, second]


def url_of(folder: Path) -> str:
    """The connection string of the primary, whichever of the two that is."""
    ports = f"{FIRST_PORT + 100},{FIRST_PORT + 101}"
    return f"postgresql://walletd@/postgres?host=127.0.0.1,127.0.0.1&port={ports}"


def node(folder: Path, number: int, token: str) -> Process:
    """A walletd on its own data folder; all have the token of the first start."""
    data = folder / f"node-{number + 1}"
    data.mkdir(mode=0o700, exist_ok=True)
    shared = folder / "operator.token"
    if not shared.exists():
        shared.touch(mode=0o600)
        shared.write_text(token + "\n")
    port = str(FIRST_PORT + 2 * number)
    environment = {**os.environ, "WALLETD_OPERATOR_TOKEN_FILE": str(shared), "WALLETD_LEASE_SECONDS": "3"}
    words = ("serve", "--data", str(data), "--port", port, "--postgresql", url_of(folder))
    log = (folder / f"{data.name}.log").open("ab")
    return subprocess.Popen([sys.executable, "-m", "walletd", *words], env=environment, stdout=log, stderr=log)


def describe(folder: Path, running: list[Process], nodes: int) -> None:
    """Say what runs and what to try."""
    primary, standby, *daemons = running
    lines = [f"PostgreSQL   primary (process {primary.pid}), synchronous standby (process {standby.pid})"]
    for number, daemon in enumerate(daemons[:nodes]):
        port = FIRST_PORT + 2 * number
        ready = f"http://127.0.0.1:{port + 1}/readyz"
        log = f"{folder}/node-{number + 1}.log"
        lines.append(f"node {number + 1}       ws://127.0.0.1:{port} (process {daemon.pid}), {ready}, {log}")
    lines += [
        "",
        'Try in a second terminal; one node leads, the others say "following" at /readyz:',
        f"  export WALLETD_TOKEN_FILE={folder}/operator.token",
        f"  export WALLETD_URL={','.join(f'ws://127.0.0.1:{FIRST_PORT + 2 * number}' for number in range(nodes))}",
        "  walletd demo --seconds 60             # goes on whatever you kill; at the end: the longest wait, and proofs",
        f"  kill -9 {daemons[0].pid}                  # the leader: after three seconds another leads",
        "  walletd status",
        f"  kill -9 {primary.pid}                  # the primary, then promote the standby:",
        f"  psql -h 127.0.0.1 -p {FIRST_PORT + 101} -U walletd postgres -c 'SELECT pg_promote()'",
        "",
        "Ctrl-C ends all of them.",
    ]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
