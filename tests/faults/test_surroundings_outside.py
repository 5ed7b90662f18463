"""Row 15, what surrounds the process ends: descriptors, threads, a locked file, time, the log's reader, the directory.

None of it may end the daemon: it waits, does without, or says that it cannot now, and serves again when it can.
"""

import contextlib
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.process import START_SECONDS, Client, Daemon, bare_environment, free_port, furnish, posted, transfer
from tests.faults.planted import PROGRAM
from tests.faults.tally import missing, tally
from tests.faults.test_surroundings import LIBRARIES, PATIENCE_SECONDS

FEW_DESCRIPTORS = 256
LEAST_DESCRIPTORS = 128
EXIT_CONFIGURATION = 78
EXIT_SOFTWARE = 70
KEPT = 5
"""Entries that a compaction leaves in journal.db."""


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
        return str(answer.read().decode())


def until(daemon: Daemon, client: Client, is_so: Callable[[], bool]) -> None:
    """Go on asking until it is so; the daemon must live and answer meanwhile."""
    process = daemon.process
    assert process is not None
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if is_so():
            return
        client.call("session.ping")
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the daemon ended with {process.wait(timeout=0.01)}: {daemon.log()[-2000:]}")
    raise AssertionError(f"it never came to that: {daemon.log()[-2000:]}")


def compactions(client: Client, how: str) -> int:
    return int(client.call("daemon.status")["compaction"].get(how, 0))


def compacted(daemon: Daemon, client: Client) -> None:
    """Have all but the newest entries archived."""
    runs = compactions(client, "runs")
    client.call("daemon.compact", keep_entries=KEPT)
    until(daemon, client, lambda: compactions(client, "runs") > runs)


def pay(client: Client, first: int, number: int) -> None:
    for name in range(first, first + number):
        client.call("transfer.post", **transfer(f"c{name}", "alice", "bob", 1))


def goes_on(daemon: Daemon, client: Client, paid: int) -> None:
    """It serves everybody, its books are right, and it ends as it should."""
    assert posted(client, "bob") == 1000 + paid
    assert client.call("daemon.audit")["violations"] == []
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.log()[-2000:]


# --- descriptors -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def idle_connections(url: str, number: int) -> Iterator[None]:
    """Connections that say nothing, as many as the daemon lets come."""
    host, _, port = url.partition("://")[2].rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS))
        yield


def live_without_descriptors(folder: Path, bug: str = "", limit: int = FEW_DESCRIPTORS) -> None:
    """More connections come than there are descriptors: old entries are read, and a compaction runs, all the same."""
    daemon = Daemon(folder / "data", environment={"WALLETD_HANDSHAKE_SECONDS": "600"})
    daemon.program = [*PROGRAM, bug]
    few = (limit, limit)
    daemon.popen["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few)
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        pay(client, 0, 20)
        compacted(daemon, client)
        with idle_connections(daemon.url, 2 * limit):
            pay(client, 20, 20)
            assert client.call("entry.get", sequence=2)["entry"]["sequence"] == 2
            compacted(daemon, client)
            assert client.call("entry.get", sequence=20)["entry"]["sequence"] == 20
            assert "true" in page(f"{daemon.admin_url}/healthz")
            assert "walletd_connections " in page(f"{daemon.admin_url}/metrics")
            client.call("daemon.report")
        assert f"max_connections is 10000, but {limit} open files are permitted" in daemon.log()
        goes_on(daemon, client, 40)
    tally(faults=1)


@pytest.mark.parametrize("limit", [LEAST_DESCRIPTORS, FEW_DESCRIPTORS])
def test_connections_leave_the_descriptors_that_the_daemon_needs(tmp_path: Path, limit: int) -> None:
    live_without_descriptors(tmp_path, limit=limit)


@pytest.mark.parametrize("limit", [6, 10, 20, 60, LEAST_DESCRIPTORS - 1])
@pytest.mark.parametrize("command", ["serve", "status"])
def test_too_few_descriptors_are_refused_in_one_line(tmp_path: Path, command: str, limit: int) -> None:
    arguments = ["serve", "--data", str(tmp_path / "data"), "--port", "0"]
    away = ["status", "--url", f"ws://127.0.0.1:{free_port()}"]
    ended = subprocess.run(
        [sys.executable, "-m", "walletd", *(arguments if command == "serve" else away)],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        env={**bare_environment(), "WALLETD_ADMIN_PORT": "0"},
    )
    assert ended.returncode in ({EXIT_CONFIGURATION} if command == "serve" else {69, 74, EXIT_CONFIGURATION})
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    if command == "serve":
        assert "ulimit -n" in ended.stderr


def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    daemon.popen["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
    with daemon:
        assert daemon.process is not None
        assert resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE) == (4096, 4096)


def test_with_no_descriptor_at_all_an_old_entry_waits_and_a_compaction_is_for_later(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        pay(client, 0, 20)
        compacted(daemon, client)
        assert daemon.process is not None
        pid = daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, before_hard(pid)))
        asked = client.send("entry.get", sequence=2)
        client.call("daemon.compact", keep_entries=KEPT)
        pay(client, 20, 20)
        until(daemon, client, lambda: "cannot read the archive" in daemon.log())
        client.call("daemon.compact", keep_entries=KEPT)
        until(daemon, client, lambda: compactions(client, "failures") > 0)
        client.call("daemon.report")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert client.reply(asked)["result"]["entry"]["sequence"] == 2
        compacted(daemon, client)
        goes_on(daemon, client, 40)
    tally(faults=2)


def before_hard(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]


# --- threads ---------------------------------------------------------------------------------------------------------


def live_without_threads(folder: Path, bug: str = "") -> None:
    """No thread can be started: what one would have done is done all the same, or later."""
    strikes = folder / "strikes"
    daemon = Daemon(folder / "data", environment={"TEST_INJURY": str(strikes)})
    daemon.program = [*PROGRAM, f"no thread can be started,{bug}"]
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        pay(client, 0, 20)
        compacted(daemon, client)
        strikes.touch()
        pay(client, 20, 20)
        assert client.call("entry.get", sequence=2)["entry"]["sequence"] == 2
        assert client.call("statement.get", wallet="bob", asset="EUR", counterparty="alice")
        assert "cannot start a thread" in daemon.log()
        client.call("daemon.compact", keep_entries=KEPT)
        until(daemon, client, lambda: compactions(client, "failures") > 0)
        strikes.unlink()
        compacted(daemon, client)
        goes_on(daemon, client, 40)
    tally(faults=1)


def test_without_a_further_thread_everything_is_done_all_the_same(tmp_path: Path) -> None:
    live_without_threads(tmp_path)


def test_a_start_without_threads_ends_in_one_line(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    daemon.program = [*PROGRAM, "no thread from the start"]
    daemon.launch()
    assert daemon.wait() == EXIT_SOFTWARE
    said = daemon.log()
    assert "Traceback" not in said
    assert "cannot start a thread" in said


# --- signals ---------------------------------------------------------------------------------------------------------


def live_through_early_and_late_signals(folder: Path, bug: str = "") -> None:
    """SIGHUP and SIGUSR1 while it starts are heeded once it can, and while it ends they do nothing."""
    daemon = Daemon(folder / "data")
    daemon.program = [*PROGRAM, f"signals at both ends,{bug}"]
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        pay(client, 0, 20)
        until(daemon, client, lambda: "the configuration was reloaded" in daemon.log())
        until(daemon, client, lambda: "requested with SIGUSR1" in daemon.log())
        goes_on(daemon, client, 20)
    tally(faults=4)


def test_signals_while_it_starts_and_ends_end_nothing(tmp_path: Path) -> None:
    live_through_early_and_late_signals(tmp_path)


# --- another program at state.db -------------------------------------------------------------------------------------


def live_beside_another_program(folder: Path, bug: str = "") -> None:
    """Another program has the lock of the read tables from before the start on: they stand, the journal goes on, and
    they catch up later.  While the daemon has the lock, other programs read, and are refused everything else."""
    daemon = Daemon(folder / "data")
    daemon.program = [*PROGRAM, f"busy soon,{bug}"]
    with daemon, contextlib.ExitStack() as stack:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=1000)
            client.call("wallet.list")
        other = sqlite3.connect(daemon.data / "state.db", isolation_level=None, timeout=0)
        stack.enter_context(contextlib.closing(other))
        assert other.execute("SELECT count(*) FROM wallet").fetchall() == [(3,)]
        daemon.kill()
        other.execute("BEGIN IMMEDIATE")
        daemon.start()
        with daemon.client() as client:
            pay(client, 0, 20)
            until(daemon, client, lambda: "another program has state.db locked" in daemon.log())
            pay(client, 20, 20)
            assert client.refused("wallet.list")["data"]["reason"] == "unavailable"
            daemon.kill()
        process = daemon.launch()
        while "recovery is waiting" not in daemon.log():
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"it ended with {process.wait(timeout=0.01)}: {daemon.log()[-2000:]}")
        other.execute("ROLLBACK")
        daemon.served()
        with daemon.client() as client:
            pay(client, 40, 20)
            client.call("wallet.list")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
                ((is_busy, *_),) = other.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
                assert is_busy == 1
                pay(client, 60, 1)
                assert other.execute("SELECT count(*) FROM wallet").fetchall() == [(3,)]
            goes_on(daemon, client, 61)
    tally(faults=7, kills=2)


def test_another_program_at_the_read_tables_is_waited_for(tmp_path: Path) -> None:
    live_beside_another_program(tmp_path)


# --- time that the process did not have ------------------------------------------------------------------------------


class Standstill:
    """The monotonic clock jumps, as it has when a process is continued or a machine resumed."""

    def __init__(self, folder: Path) -> None:
        there = [library for library in LIBRARIES if library.exists()]
        if not there:
            missing("libfaketime", "on Debian, apt-get install faketime")
        self._file = folder / "clock"
        self._file.write_text("+0\n")
        self.environment = {
            "LD_PRELOAD": str(there[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
        }

    def last(self, seconds: int) -> None:
        self._file.write_text(f"+{seconds}\n")


def live_through_a_standstill(folder: Path, bug: str = "") -> None:
    """The process is stopped for a minute and a half while a commit is under way: the commit is waited for."""
    strikes, clock = folder / "strikes", Standstill(folder)
    daemon = Daemon(folder / "data", environment={"TEST_INJURY": str(strikes), **clock.environment})
    daemon.program = [*PROGRAM, f"the journal's thread waits,{bug}"]
    with daemon, daemon.client() as client, daemon.client() as other:
        furnish(client, "alice", "bob", amount=1000)
        strikes.touch()
        asked = client.send("transfer.post", **transfer("c0", "alice", "bob", 1))
        other.call("session.ping")
        daemon.signal(signal.SIGSTOP)
        clock.last(90)
        daemon.signal(signal.SIGCONT)
        until(daemon, other, lambda: "walletd stood still for" in daemon.log())
        strikes.unlink()
        assert "result" in client.reply(asked)
        goes_on(daemon, client, 1)
    tally(faults=1)


def test_a_process_that_was_stopped_does_not_take_itself_for_a_hung_disk(tmp_path: Path) -> None:
    live_through_a_standstill(tmp_path)


# --- who reads the log -----------------------------------------------------------------------------------------------


def live_with_a_stalled_log(folder: Path, bug: str = "") -> None:
    """Stderr is a pipe whose reader stalls: everybody is served, lines are lost and counted, and the end is an end."""
    reading, writing = os.pipe()
    daemon = Daemon(folder / "data", environment={"WALLETD_LOG_LEVEL": "debug"})
    daemon.program = [*PROGRAM, f"a short log,{bug}"]
    daemon.popen["stderr"] = writing
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        stuff(writing)
        log_something(client, 20)
        pay(client, 0, 20)
        assert "true" in page(f"{daemon.admin_url}/readyz")
        assert lost_lines(daemon) > 0
        daemon.signal(signal.SIGQUIT)
        assert posted(client, "bob") == 1020
        said = b""
        while b"log lines were lost" not in said:
            said += os.read(reading, 65536)
        stuff(writing)
        log_something(client, 20)
        pay(client, 20, 20)
        goes_on(daemon, client, 40)
    os.close(reading)
    os.close(writing)
    tally(faults=2)


def stuff(pipe: int) -> None:
    """Leave no room in the pipe, whose other writers go on blocking."""
    own = os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(own, bytes(4096))
    os.close(own)


def log_something(client: Client, lines: int) -> None:
    """Each change of a level is a line in the log."""
    for _ in range(lines):
        client.call("daemon.log_level", component="gateway", level="debug")


def lost_lines(daemon: Daemon) -> float:
    metrics = page(f"{daemon.admin_url}/metrics").splitlines()
    (line,) = [line for line in metrics if line.startswith("walletd_log_lines_lost_total ")]
    return float(line.split()[1])


def test_a_log_that_is_not_read_stops_no_one(tmp_path: Path) -> None:
    live_with_a_stalled_log(tmp_path)


def live_with_broken_streams(folder: Path, bug: str = "") -> None:
    """Stdout is full, and the reader of stderr goes away while it serves: that is no reason to end."""
    reading, writing = os.pipe()
    daemon = Daemon(folder / "data", "--port", str(port := free_port()))
    daemon.program = [*PROGRAM, bug]
    with open("/dev/full", "w") as full:
        daemon.popen |= {"stdout": full, "stderr": writing}
        process = daemon.launch()
    os.close(writing)
    try:
        said = b""
        while b"-> serving" not in said:
            more = os.read(reading, 65536)
            assert more, f"it ended with {process.wait()}: {said.decode()}"
            said += more
        os.close(reading)
        daemon.url = f"ws://127.0.0.1:{port}"
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=1000)
            pay(client, 0, 20)
            log_something(client, 20)
            daemon.signal(signal.SIGHUP)
            daemon.signal(signal.SIGUSR1)
            daemon.signal(signal.SIGQUIT)
            assert posted(client, "bob") == 1020
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 0
    finally:
        daemon.kill()
    tally(faults=2)


def test_streams_that_are_full_or_closed_end_nothing(tmp_path: Path) -> None:
    live_with_broken_streams(tmp_path)


def test_streams_that_were_closed_from_the_start_get_no_file_in_their_place(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data", "--port", str(port := free_port()))

    def close_all() -> None:
        for descriptor in (0, 1, 2):
            os.close(descriptor)

    daemon.popen |= {"stdout": None, "stderr": None, "preexec_fn": close_all}
    process = daemon.launch()
    try:
        daemon.url = f"ws://127.0.0.1:{port}"
        while not reachable(port):
            assert process.poll() is None
        with daemon.client() as client:
            for descriptor in (0, 1, 2):
                assert os.readlink(f"/proc/{process.pid}/fd/{descriptor}") == "/dev/null"
            furnish(client, "alice", "bob", amount=1000)
            pay(client, 0, 20)
            goes_on_silently(daemon, client)
    finally:
        daemon.kill()
    tally(faults=1)


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True


def goes_on_silently(daemon: Daemon, client: Client) -> None:
    assert posted(client, "bob") == 1020
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0


# --- the working directory -------------------------------------------------------------------------------------------


def live_without_a_directory(folder: Path, bug: str = "") -> None:
    """The directory that it was started in is removed, and its data were elsewhere: nothing needs it."""
    started_in = folder / "started"
    started_in.mkdir()
    daemon = Daemon(Path("../data"))
    daemon.program = [*PROGRAM, bug]
    daemon.popen["cwd"] = started_in
    daemon.popen["env"] = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "WALLETD_ADMIN_PORT": "0"}
    daemon.popen["stderr"] = log = (folder / "data.log").open("a+")
    with daemon:
        daemon.data = folder / "data"
        started_in.rmdir()
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=1000)
            pay(client, 0, 20)
            daemon.signal(signal.SIGHUP)
            until(daemon, client, lambda: "the configuration was reloaded" in daemon.log())
            compacted(daemon, client)
            assert client.call("entry.get", sequence=2)["entry"]["sequence"] == 2
            assert Path(str(client.call("daemon.report")["file"])).is_relative_to(folder / "data")
            goes_on(daemon, client, 20)
    log.close()
    tally(faults=1)


def test_the_directory_that_it_was_started_in_may_be_removed(tmp_path: Path) -> None:
    live_without_a_directory(tmp_path)
