"""Row 15: what surrounds the process misbehaves: the clock, descriptors, memory, a second daemon, its own threads.

Order and ids are unaffected; what cannot be done is refused clearly; every wait for a thread that is gone ends.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from tests.daemon.process import Client, Daemon, furnish, posted, run_to_its_end, transfer
from tests.faults.planted import PROGRAM
from tests.faults.tally import missing, tally

LIBRARIES = [Path(folder) / "faketime/libfaketimeMT.so.1" for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib")]
ROOT = Path(__file__).parents[2]
DAY = 86_400
PATIENCE_SECONDS = 60.0
EXIT_LOCKED = 75
EXIT_INPUT_OUTPUT = 74
MOST_AT_ONCE_SECONDS = 10
EXIT_UNCERTAIN = 70
SPARED_BY_CLIENTS = 56
"""File descriptors that no client gets: the daemon and its operators have them."""


# --- the clock -------------------------------------------------------------------------------------------------------


class Clock:
    """The wall clock of a daemon: put forward and back while it runs.  Its monotonic clock goes on."""

    def __init__(self, folder: Path) -> None:
        found = [library for library in [*LIBRARIES, *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]]
        there = [library for library in found if library.exists()]
        if not there:
            missing("libfaketime", "on Debian, apt-get install faketime")
        self._file = folder / "clock"
        self.put(0)
        self.environment = {
            "LD_PRELOAD": str(there[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def put(self, seconds: int) -> None:
        """So far from the true time."""
        self._file.write_text(f"{seconds:+d}\n")


def entries_of(client: Client) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    while page := client.call("entry.list", after=len(entries), limit=500)["entries"]:
        entries += page
    return entries


def live_under_a_wild_clock(folder: Path, program: list[str], chance: random.Random) -> None:
    """Commands and repetitions while the clock jumps, and a restart in the past: order, times and answers hold."""
    clock = Clock(folder)
    daemon = Daemon(folder / "data", environment=clock.environment)
    daemon.program = program
    began = datetime.now(UTC)
    answers: dict[str, dict[str, object]] = {}
    with daemon:
        with daemon.client() as client:
            furnish(client, "alice", "bob", amount=10_000)
        for life in range(3):
            with daemon.client() as client:
                for number in range(40):
                    if number % 4 == 0:
                        clock.put(chance.choice([0, -1, 1, -DAY, DAY, -400 * DAY, 400 * DAY]))
                    name = f"c{life}-{number}"
                    answers[name] = client.call("transfer.post", **transfer(name, "alice", "bob", 1))
                for name in chance.sample(sorted(answers), 20):
                    again = client.call("transfer.post", **transfer(name, "alice", "bob", 1))
                    assert again.pop("replayed") is True
                    assert again == answers[name]
            clock.put(-30 * DAY)
            daemon.kill()
            daemon.start()
        with daemon.client() as client:
            entries = entries_of(client)
            assert posted(client, "bob") == 10_000 + len(answers)
            assert client.call("daemon.audit")["violations"] == []
    times = [datetime.fromisoformat(str(entry["entry"]["time"])) for entry in entries]
    assert times == sorted(times), "an entry is earlier than the one before it"
    ended = datetime.now(UTC)
    bound = ended + (ended - began) + timedelta(seconds=MOST_AT_ONCE_SECONDS)
    assert times[-1] <= bound, "a clock that was ahead binds all that follows"
    assert [entry["entry"]["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    tally(faults=30, kills=3, commands=len(answers))


def test_a_clock_that_jumps_changes_no_order_and_no_answer(tmp_path: Path, seed: int) -> None:
    live_under_a_wild_clock(tmp_path, ["-m", "walletd"], random.Random(seed))


def test_a_hold_ends_by_a_clock_that_was_put_forward_only_when_an_operator_says_that_it_is_right(
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path)
    with Daemon(tmp_path / "data", environment=clock.environment) as daemon, daemon.client() as client:
        furnish(client, "alice", amount=100)
        until = (datetime.now().astimezone() + timedelta(seconds=DAY)).isoformat()
        place = {"wallet": "alice", "asset": "EUR", "amount": "100", "expires_at": until}
        hold = client.call("hold.place", command_id="h", **place)["hold"]
        assert client.refused("transfer.post", **transfer("early", "alice", "@external", 1))["data"]["reason"] == (
            "insufficient_funds"
        )
        clock.put(2 * DAY)
        assert client.call("hold.get", wallet="alice", hold=hold)["state"] == "open"
        before = client.call("session.ping")["time"]
        assert datetime.fromisoformat(before) < datetime.now(UTC) + timedelta(hours=1)
        while 'walletd_clock_jumps_total{direction="ahead"} 1.0' not in metrics(daemon):
            client.call("session.ping")
        assert "jumped ahead by 2 days" in daemon.log()
        assert accept(daemon, clock)["ahead_seconds"] > DAY
        while client.call("hold.get", wallet="alice", hold=hold)["state"] == "open":
            client.call("session.ping")
        assert client.call("session.ping")["time"] > until
        client.call("transfer.post", **transfer("late", "alice", "@external", 100))
        assert client.call("daemon.audit")["violations"] == []
    tally(faults=1)


def test_a_start_far_ahead_of_what_was_seen_last_is_refused_and_a_word_lets_it_in(tmp_path: Path) -> None:
    """As after a reboot, for in the same boot the steady clock vouches for the time."""
    clock = Clock(tmp_path)
    daemon = Daemon(tmp_path / "data", environment=clock.environment)
    with daemon, daemon.client() as client:
        furnish(client, "alice", amount=100)
    seen = daemon.data / "clock.json"
    reboot(seen)
    clock.put(400 * DAY)
    code, said = run_to_its_end(daemon.data, environment=clock.environment)
    assert code == EXIT_INPUT_OUTPUT
    assert "walletd clock FOLDER --accept" in said
    clock.put(0)
    with daemon, daemon.client() as client:
        client.call("transfer.post", **transfer("as-before", "alice", "@external", 1))
    reboot(seen)
    clock.put(400 * DAY)
    accept(daemon, clock)
    with daemon, daemon.client() as client:
        client.call("transfer.post", **transfer("a-year-later", "alice", "@external", 1))
        assert datetime.fromisoformat(client.call("session.ping")["time"]) > datetime.now(UTC) + timedelta(days=399)
        assert client.call("daemon.audit")["violations"] == []
    tally(faults=2)


def test_a_start_in_1970_goes_on_from_the_journal_and_takes_over_the_true_time(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    daemon = Daemon(tmp_path / "data", environment=clock.environment)
    with daemon, daemon.client() as client:
        furnish(client, "alice", amount=100)
    reboot(daemon.data / "clock.json")
    clock.put(-20_000 * DAY)
    with daemon, daemon.client() as client:
        first = client.call("transfer.post", **transfer("in-1970", "alice", "@external", 1))
        assert abs(datetime.fromisoformat(first["time"]) - datetime.now(UTC)) < timedelta(hours=1)
        assert "behind the journal" in daemon.log()
        clock.put(0)
        then = datetime.now(UTC)
        assert datetime.fromisoformat(client.call("session.ping")["time"]) >= then
        client.call("transfer.post", **transfer("today", "alice", "@external", 1))
        assert client.call("daemon.audit")["violations"] == []
    tally(faults=2)


def reboot(seen: Path) -> None:
    """Have the next start take itself for the first of another boot of the machine."""
    told = json.loads(seen.read_text())
    seen.write_text(json.dumps([*told[:2], "another boot"]))


def accept(daemon: Daemon, clock: Clock) -> dict[str, Any]:
    """An operator's word that the clock is right."""
    command = [sys.executable, "-m", "walletd", "clock", str(daemon.data), "--accept", "--json"]
    environment = {**os.environ, **clock.environment}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return dict(json.loads(ended.stdout))


def metrics(daemon: Daemon) -> str:
    with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


# --- descriptors and memory ------------------------------------------------------------------------------------------


def test_without_descriptors_those_who_are_there_are_served_and_others_when_there_are_some(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        assert daemon.process is not None
        pid = daemon.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        few = used + SPARED_BY_CLIENTS + 4
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        let_in: list[Client] = []
        turned_away = 0
        for number in range(40):
            try:
                let_in.append(daemon.client(open_timeout=0.3))
            except (OSError, WebSocketException, TimeoutError):
                turned_away += 1
            client.call("transfer.post", **transfer(f"c{number}", "alice", "bob", 1))
        assert let_in
        assert turned_away >= 30
        for other in let_in:
            other.websocket.close()
        with daemon.client(open_timeout=PATIENCE_SECONDS) as late:
            assert posted(late, "bob") == 1040
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    tally(faults=turned_away)


# --- a second daemon -------------------------------------------------------------------------------------------------


def test_a_second_daemon_and_a_second_reader_change_nothing_for_the_first(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=1000)
        for number in range(3):
            code, said = run_to_its_end(daemon.data)
            assert code == EXIT_LOCKED
            assert daemon.process is not None
            assert f"held by process {daemon.process.pid}" in said
            client.call("transfer.post", **transfer(f"c{number}", "alice", "bob", 1))
        command = [sys.executable, "-m", "walletd", "verify", str(daemon.data)]
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
        assert posted(client, "bob") == 1003
        daemon.kill()
    copied = tmp_path / "copied"
    shutil.copytree(daemon.data, copied, ignore=shutil.ignore_patterns("*.sock"))
    with Daemon(copied) as other, other.client() as client:
        assert posted(client, "bob") == 1003
    tally(faults=4, kills=1)


# --- threads that are gone -------------------------------------------------------------------------------------------

GONE = {
    "the journal's thread dies": ("transfer.post", transfer("t", "alice", "bob", 1)),
    "the journal's thread hangs": ("transfer.post", transfer("t", "alice", "bob", 1)),
    "a commit hangs": ("transfer.post", transfer("t", "alice", "bob", 1)),
    "the queries' thread hangs": ("hold.list", {"wallet": "alice"}),
    "a look at the read tables hangs": ("statement.get", {"wallet": "alice"}),
    "the loop hangs": ("transfer.post", transfer("t", "alice", "bob", 1)),
    "the loop spins": ("transfer.post", transfer("t", "alice", "bob", 1)),
    "the projection hangs": ("transfer.post", transfer("t", "alice", "bob", 1)),
}
"""What is asked for while it is gone."""


def live_without_a_thread(folder: Path, injury: str, bug: str = "") -> None:
    """The daemon ends itself with the code for it, the client is not left waiting, and a restart has everything."""
    strikes = folder / "strikes"
    daemon = Daemon(folder / "data", environment={"TEST_INJURY": str(strikes)})
    daemon.program = [*PROGRAM, f"impatience,{injury},{bug}"]
    method, params = GONE[injury]
    with daemon:
        with daemon.client() as client, _hung_up():
            furnish(client, "alice", "bob", amount=1000)
            strikes.touch()
            client.send(method, **params)
            assert daemon.process is not None
            with _ended_if_it_hangs(daemon):
                assert daemon.process.wait(timeout=PATIENCE_SECONDS) in {EXIT_UNCERTAIN, -signal.SIGPROF}
        strikes.unlink()
        assert any(said in daemon.log() for said in ("not answered", "the event loop stands", "in submit"))
        daemon.program = ["-m", "walletd"]  # Impatience would end it where others have the processor for a while.
        daemon.start()
        with daemon.client() as client:
            client.call("transfer.post", **transfer("t", "alice", "bob", 1))
            assert posted(client, "bob") == 1001
            assert client.call("daemon.audit")["violations"] == []
    tally(faults=1)


@contextlib.contextmanager
def _ended_if_it_hangs(daemon: Daemon) -> Iterator[None]:
    """What does not end by itself would not answer the close of a connection either."""
    try:
        yield
    except subprocess.TimeoutExpired:
        daemon.kill()
        raise


@contextlib.contextmanager
def _hung_up() -> Iterator[None]:
    """The other side is gone when the connection is closed."""
    with contextlib.suppress(WebSocketException, OSError):
        yield


@pytest.mark.parametrize("injury", GONE)
def test_a_thread_that_is_gone_ends_the_process_and_no_one_waits(tmp_path: Path, injury: str) -> None:
    live_without_a_thread(tmp_path, injury)


def test_a_thread_that_is_left_does_not_keep_the_process(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    daemon.program = [*PROGRAM, "a thread is left"]
    with daemon:
        assert daemon.process is not None
        daemon.process.terminate()
        assert daemon.process.wait(timeout=PATIENCE_SECONDS) == 0
    tally(faults=1)


def test_an_end_without_memory_does_not_keep_the_process(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    daemon.program = [*PROGRAM, "impatience,no memory at the end"]
    with daemon:
        assert daemon.process is not None
        daemon.process.terminate()
        assert daemon.process.wait(timeout=PATIENCE_SECONDS) == 70
    tally(faults=1)
