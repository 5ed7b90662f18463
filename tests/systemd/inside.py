"""What is checked inside a system that systemd runs; ``boot.py`` puts the wheel and the units there and starts it.

Each check is a function; it prints what it saw, and the first that fails is told with its traceback.
"""

import json
import os
import pwd
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECK = Path("/check")
PROGRAM = "/opt/walletd/bin/walletd"
FRAGMENTS = Path("/etc/walletd/conf.d")
DATA = Path("/var/lib/walletd")
PORT = 7878
PATIENCE_SECONDS = 60
TOKEN = "walletd_credential-of-the-check-0123456789"


def sh(*command: str, check: bool = True) -> str:
    """What a command printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def shown(name: str) -> str:
    """A property of the service."""
    return sh("systemctl", "show", "-P", name, "walletd.service")


def wait_until(is_so: Callable[[], bool], what: str) -> float:
    """The seconds until it is so."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < PATIENCE_SECONDS, f"in vain waited for: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun


def journal(*, since: str = "") -> list[dict[str, str]]:
    """The service's lines in systemd's journal."""
    options = ["--since", since] if since else []
    lines = sh("journalctl", "-u", "walletd.service", "-o", "json", "--no-pager", *options).splitlines()
    return [json.loads(line) for line in lines]


def systemd_version() -> int:
    """252 on Debian 12, 257 on Debian 13."""
    return int(sh("systemctl", "--version").split()[1])


def reload() -> str:
    """Read the configuration again; what the status says of it.  Only from 254 on does systemctl itself wait."""
    before = shown("StatusText")
    sh("systemctl", "reload", "walletd.service")
    if systemd_version() < 254:
        wait_until(lambda: shown("StatusText") != before, "another status")
    return shown("StatusText")


def install() -> str:
    """The wheel into /opt/walletd, the account, the folders, and a token among the credentials."""
    sh("python3", "-m", "venv", "/opt/walletd")
    sh("/opt/walletd/bin/pip", "install", "-q", "--no-index", "--find-links", str(CHECK / "wheels"), "walletd")
    sh("systemd-sysusers")
    sh("systemd-tmpfiles", "--create", "walletd.conf")
    Path("/etc/credstore").mkdir(mode=0o700, exist_ok=True)
    Path("/etc/credstore/walletd.token").write_text(TOKEN)
    Path("/etc/credstore/walletd.token").chmod(0o600)
    if systemd_version() < 254:
        drop_in = Path("/etc/systemd/system/walletd.service.d/20-credential.conf")
        drop_in.write_text("[Service]\nLoadCredential=walletd.token:/etc/credstore/walletd.token\n")
    sh("systemctl", "daemon-reload")
    version = sh("systemctl", "--version").splitlines()[0]
    return f"{version}; account {pwd.getpwnam('walletd').pw_uid}; {sh(PROGRAM, '--version')}"


def units_are_sound_and_closed() -> str:
    units = (f"/etc/systemd/system/walletd.{kind}" for kind in ("service", "socket"))
    is_old = systemd_version() < 254  # it complains of what it does not know
    sh("systemd-analyze", "verify", "--man=no", *units, check=not is_old)  # a minimal system has no man
    said = sh("systemd-analyze", "security", "--threshold=15", "walletd.service")
    return said.splitlines()[-1].strip()


def start_is_ready() -> str:
    begun = time.monotonic()
    sh("systemctl", "start", "walletd.service")
    seconds = time.monotonic() - begun
    assert shown("ActiveState") == "active"
    assert shown("StatusText") == "serving"
    assert DATA.stat().st_uid == pwd.getpwnam("walletd").pw_uid
    return f"active and ready after {seconds:.2f} s, status {shown('StatusText')!r}"


def token_comes_from_the_credentials() -> str:
    assert not (DATA / "operator.token").exists()
    with client() as talking:
        talking.define_asset("EUR", 2, command_id="define")
        for wallet in ("alice", "bob"):
            talking.open_wallet(wallet, command_id=f"open-{wallet}")
        talking.pay("@external", "alice", 1_000_000, "EUR", command_id="fund")
    lines = "".join(line.get("MESSAGE") or "" for line in journal())
    assert TOKEN not in lines
    return "the operator's token is the credential walletd.token, and in no line of the journal"


def log_has_priorities() -> str:
    seen = Counter(line["PRIORITY"] for line in journal() if line.get("_COMM") == "walletd")
    assert seen["6"], seen
    messages = [line["MESSAGE"] for line in journal()]
    assert "lifecycle: recovering -> serving" in messages, messages[-20:]
    return f"priorities {dict(seen)}"


def reload_waits_and_is_all_or_nothing() -> str:
    pid = shown("MainPID")
    (FRAGMENTS / "50-check.toml").write_text("max_connections = 4000\nmax_mailbox = 9000\n")
    begun = time.monotonic()
    taken = reload()
    seconds = time.monotonic() - begun
    assert "max_connections 10000 -> 4000" in taken, taken
    assert "needs a restart: max_mailbox" in taken, taken
    (FRAGMENTS / "50-check.toml").write_text("max_connections = 1\nmax_mailbx = 9000\n")
    refused = reload()
    assert "nothing has changed" in refused, refused
    assert "did you mean 'max_mailbox'?" in refused, refused
    (FRAGMENTS / "50-check.toml").unlink()
    reload()
    assert shown("MainPID") == pid
    assert shown("ActiveState") == "active"
    return f"took {seconds * 1000:.0f} ms; said: {taken}"


@contextmanager
def client() -> Iterator[Any]:
    """A client that comes back by itself."""
    from walletd.client import connect_sync

    with connect_sync(f"ws://127.0.0.1:{PORT}", token=TOKEN, deadline_seconds=PATIENCE_SECONDS) as talking:
        yield talking


class Load:
    """Payments without a pause by several threads, and others that knock without a pause."""

    def __init__(self, name: str, payers: int = 8, knockers: int = 4) -> None:
        self.name = name
        self.paid: list[str] = []
        self.failed: list[str] = []
        self.knocks: Counter[str] = Counter()
        self.longest_knock_seconds = 0.0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._pay, args=(number,)) for number in range(payers)]
        self._threads += [threading.Thread(target=self._knock) for _ in range(knockers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.paid) > 200, "payments")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _pay(self, number: int) -> None:
        with client() as talking:
            count = 0
            while not self._over.is_set():
                name = f"{self.name}-{number}-{count}"
                try:
                    talking.pay("alice", "bob", 1, "EUR", command_id=name)
                    self.paid.append(name)
                except Exception as error:
                    self.failed.append(f"{name}: {error!r}")
                count += 1

    def _knock(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            self.knocks[knock()] += 1
            self.longest_knock_seconds = max(self.longest_knock_seconds, time.monotonic() - begun)


def knock() -> str:
    """What comes of a new connection: an HTTP status, or how it failed."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE_SECONDS) as stream:
            stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = stream.recv(1000)
            return answer.split()[1].decode() if answer else "closed"
    except OSError as error:
        return type(error).__name__


def all_paid_is_there(load: Load, before: int) -> int:
    """Every payment that was acknowledged is in the books, once; the head of them."""
    with client() as talking:
        (balance,) = talking.balance("bob", "EUR").balances
        assert int(balance.posted) == before + len(load.paid), (balance.posted, before, len(load.paid))
        for name in load.paid[:: max(1, len(load.paid) // 50)]:
            assert talking.pay("alice", "bob", 1, "EUR", command_id=name).replayed
        audit = talking.audit()
        assert audit.violations == ()
        return int(balance.posted)


def restart_under_load_hands_the_socket_over() -> str:
    sh("systemctl", "stop", "walletd.service")
    sh("systemctl", "start", "walletd.socket", "walletd.service")
    with Load("hand-over") as load:
        for _ in range(3):
            before = len(load.paid)
            sh("systemctl", "restart", "walletd.service")
            wait_until(lambda before=before: len(load.paid) > before + 200, "payments after the restart")  # type: ignore[misc]
    assert not load.failed, load.failed[:3]
    refused = load.knocks["ConnectionRefusedError"]
    assert refused == 0, load.knocks
    assert set(load.knocks) <= {"200", "503"}, load.knocks
    books.append(all_paid_is_there(load, books[-1]))
    return (
        f"3 restarts: {len(load.paid)} payments acknowledged and all there once, 0 failed; {sum(load.knocks.values())} "
        f"new connections {dict(load.knocks)}, {refused} refused, the longest waited {load.longest_knock_seconds:.2f} s"
    )


def a_hung_loop_is_killed_by_the_watchdog_and_comes_back() -> str:
    drop_in = Path("/run/systemd/system/walletd.service.d/check.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=2\n")
    sh("systemctl", "daemon-reload")
    sh("systemctl", "restart", "walletd.service")
    pid, restarts = shown("MainPID"), int(shown("NRestarts"))
    with Load("watchdog") as load:
        os.kill(int(pid), 19)  # SIGSTOP: nothing turns any more
        seconds = wait_until(lambda: shown("MainPID") not in (pid, "0"), "another process")
        wait_until(lambda: shown("StatusText") == "serving", "serving again")
        before = len(load.paid)
        wait_until(lambda: len(load.paid) > before + 200, "payments after the kill")
    assert int(shown("NRestarts")) == restarts + 1
    said = [line["MESSAGE"] for line in journal()]
    assert any("Watchdog timeout" in line for line in said)
    assert any("most recent call first" in line for line in said), "no stacks in the journal"
    assert not load.failed, load.failed[:3]
    books.append(all_paid_is_there(load, books[-1]))
    drop_in.unlink()
    sh("systemctl", "daemon-reload")
    return (
        f"another process after {seconds:.1f} s, stacks in the journal; {len(load.paid)} acknowledged, all there once"
    )


def kill_is_survived() -> str:
    with Load("kill") as load:
        pid = shown("MainPID")
        os.kill(int(pid), 9)
        seconds = wait_until(lambda: shown("MainPID") not in (pid, "0"), "another process")
        before = len(load.paid)
        wait_until(lambda: len(load.paid) > before + 200, "payments after the kill")
    assert not load.failed, load.failed[:3]
    books.append(all_paid_is_there(load, books[-1]))
    return f"another process after {seconds:.1f} s; {len(load.paid)} acknowledged, all there once; {dict(load.knocks)}"


def stop_under_load_ends_well() -> str:
    sh("systemctl", "stop", "walletd.socket", check=False)
    sh("systemctl", "start", "walletd.service")
    with Load("stop") as load:
        begun = time.monotonic()
        sh("systemctl", "stop", "walletd.service")
        seconds = time.monotonic() - begun
        assert shown("Result") == "success", shown("Result")
        assert shown("ExecMainStatus") == "0"
        sh("systemctl", "start", "walletd.service")
        before = len(load.paid)
        wait_until(lambda: len(load.paid) > before + 200, "payments after the stop")
    assert not load.failed, load.failed[:3]
    books.append(all_paid_is_there(load, books[-1]))
    return f"stopped in {seconds:.2f} s with exit code 0; {len(load.paid)} acknowledged, all there once"


def a_wrong_configuration_is_not_tried_again() -> str:
    sh("systemctl", "stop", "walletd.service")
    (FRAGMENTS / "50-check.toml").write_text("prot = 1\n")
    sh("systemctl", "start", "walletd.service", check=False)
    wait_until(lambda: shown("ActiveState") == "failed", "a failed unit")
    assert shown("ExecMainStatus") == "78"
    assert shown("NRestarts") == "0"
    said = journal()[-20:]
    assert any("did you mean 'port'?" in line["MESSAGE"] for line in said), [line["MESSAGE"] for line in said]
    (FRAGMENTS / "50-check.toml").unlink()
    sh("systemctl", "reset-failed", "walletd.service")
    return "exit code 78, no restart, and the line says what to do"


def a_full_disk_degrades_and_heals() -> str:
    small = Path("/run/small")
    small.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=60m,mode=700", "tmpfs", str(small))
    uid = pwd.getpwnam("walletd")
    os.chown(small, uid.pw_uid, uid.pw_gid)
    sh("mount", "--bind", str(small), str(DATA))
    (FRAGMENTS / "50-check.toml").write_text("space_floor_mebibytes = 4\n")
    sh("systemctl", "start", "walletd.service")
    from walletd.client import RequestFailed, connect_sync

    with connect_sync(f"ws://127.0.0.1:{PORT}", token=TOKEN, retry_busy=False) as talking:
        talking.define_asset("EUR", 2)
        talking.open_wallet("alice")
        talking.pay("@external", "alice", 100, "EUR")
        room = os.statvfs(small)
        (small / "filler").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 2 * 1024 * 1024))
        try:
            talking.pay("@external", "alice", 1, "EUR", command_id="when-full")
            failure = None
        except RequestFailed as refused:
            failure = refused
        assert failure is not None, "a full disk took a payment"
        assert (failure.word, failure.outcome.value) == ("unavailable", "not_applied"), failure
        assert failure.facts["retry_after_ms"]
        status, pid = shown("StatusText"), shown("MainPID")
        assert status.startswith("read-only"), status
        assert talking.balance("alice", "EUR").balances[0].posted == "100"
        (small / "filler").unlink()
        seconds = wait_until(lambda: shown("StatusText") == "serving", "serving again")
        assert not talking.pay("@external", "alice", 1, "EUR", command_id="when-full").replayed
        assert shown("MainPID") == pid
    sh("systemctl", "stop", "walletd.service")
    (FRAGMENTS / "50-check.toml").unlink()
    return f"status {status!r}; reads went on, the write was not_applied; serving {seconds:.1f} s after, same process"


def metrics_are_there_in_the_sandbox() -> str:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{PORT + 1}/metrics", timeout=PATIENCE_SECONDS) as page:
        text = page.read().decode()
    memory = re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)
    assert memory is not None
    assert 'walletd_lifecycle_state{walletd_lifecycle_state="serving"} 1.0' in text
    return f"process_resident_memory_bytes {float(memory[1]) / 1024 / 1024:.0f} MiB"


books = [0]

CHECKS = (
    install,
    units_are_sound_and_closed,
    start_is_ready,
    token_comes_from_the_credentials,
    log_has_priorities,
    metrics_are_there_in_the_sandbox,
    reload_waits_and_is_all_or_nothing,
    restart_under_load_hands_the_socket_over,
    a_hung_loop_is_killed_by_the_watchdog_and_comes_back,
    kill_is_survived,
    stop_under_load_ends_well,
    a_wrong_configuration_is_not_tried_again,
    a_full_disk_degrades_and_heals,
)


def main() -> int:
    """Run every check in order; 0 when all passed."""
    for check in CHECKS:
        try:
            print(f"ok      {check.__name__}: {check()}")
        except BaseException:
            print(f"FAILED  {check.__name__}\n{traceback.format_exc()}")
            print(sh("journalctl", "-u", "walletd.service", "-n", "40", "--no-pager", check=False))
            return 1
        if check is install:
            for packages in Path("/opt/walletd/lib").glob("python3*/site-packages"):
                sys.path.insert(0, str(packages))
    (CHECK / "passed").touch()
    print(f"all {len(CHECKS)} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
