"""Operating a running daemon: reload, log levels, drain, reports, and systemd's notify socket."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.daemon.forked import ran
from tests.daemon.process import Daemon, furnish, posted, run_to_its_end, transfer

PATIENCE_SECONDS = 120


class NotifySocket:
    """The socket on which systemd would listen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(PATIENCE_SECONDS)
        self.told: list[dict[str, str]] = []

    def until(self, name: str, value: str | None = None) -> dict[str, str]:
        """The next datagram with this field."""
        while True:
            fields = dict(line.split("=", 1) for line in self._socket.recv(65536).decode().splitlines())
            self.told.append(fields)
            if name in fields and value in (None, fields[name]):
                return fields

    def close(self) -> None:
        """Nothing listens any more."""
        self._socket.close()
        self.path.unlink()


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[NotifySocket]:
    """systemd's ear."""
    listening = NotifySocket(tmp_path / "notify")
    yield listening
    with contextlib.suppress(FileNotFoundError):
        listening.close()


@pytest.fixture
def configured(tmp_path: Path, notify: NotifySocket) -> Iterator[tuple[Daemon, Path]]:
    """A daemon with a configuration file, under a service manager."""
    file = tmp_path / "walletd.toml"
    file.write_text("max_connections = 50\n")
    environment = {"NOTIFY_SOCKET": str(notify.path), "WATCHDOG_USEC": "300000"}
    with Daemon(tmp_path / "data", "--config", str(file), environment=environment) as daemon:
        yield daemon, file


def metrics(daemon: Daemon) -> str:
    with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=PATIENCE_SECONDS) as page:
        return str(page.read().decode())


def test_the_service_manager_is_told_of_the_whole_life(configured: tuple[Daemon, Path], notify: NotifySocket) -> None:
    daemon, _ = configured
    ready = notify.until("READY")
    assert ready == {"READY": "1", "STATUS": "serving"}
    states = [fields["STATUS"].partition(",")[0] for fields in notify.told if "STATUS" in fields]
    assert list(dict.fromkeys(states)) == ["starting", "recovering: reading the journal", "serving"]
    assert all("EXTEND_TIMEOUT_USEC" in fields for fields in notify.told[:-1])
    notify.until("WATCHDOG")
    notify.until("WATCHDOG")
    daemon.signal(signal.SIGTERM)
    assert notify.until("STOPPING")["EXTEND_TIMEOUT_USEC"] == "30000000"
    assert notify.until("EXTEND_TIMEOUT_USEC") == {"EXTEND_TIMEOUT_USEC": "50000000"}
    assert notify.until("STATUS", "stopped")
    assert daemon.wait() == 0


def test_a_daemon_that_cannot_start_says_why_in_its_status(tmp_path: Path, notify: NotifySocket) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "operator.token").write_text("")
    code, _ = run_to_its_end(tmp_path / "data", environment={"NOTIFY_SOCKET": str(notify.path)})
    assert code == 78
    told = notify.until("EXIT_STATUS")
    assert told["EXIT_STATUS"] == "78"
    assert "operator.token" in told["STATUS"]


def test_a_notify_socket_that_goes_away_is_said_once_and_done_without(
    configured: tuple[Daemon, Path], notify: NotifySocket
) -> None:
    daemon, _ = configured
    notify.until("WATCHDOG")
    notify.close()
    with daemon.client() as client:
        furnish(client, "alice", amount=5)
        client.call("daemon.log_level", level="info")
        while "cannot notify systemd" not in daemon.log():
            client.call("session.ping")
        assert posted(client, "alice") == 5
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert daemon.log().count("cannot notify systemd") == 1


def test_a_daemon_whose_notify_socket_was_never_there_serves(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", environment={"NOTIFY_SOCKET": str(tmp_path / "nothing")}) as daemon:
        with daemon.client() as client:
            furnish(client, "alice", amount=5)
        assert "cannot notify systemd" in daemon.log()


def test_a_reload_takes_over_what_it_can_and_names_what_needs_a_restart(
    configured: tuple[Daemon, Path], notify: NotifySocket
) -> None:
    daemon, file = configured
    notify.until("READY")
    file.write_text("max_connections = 1\nmax_mailbox = 7\nlog_levels = { journal = 'debug' }\n")
    with daemon.client() as client:
        daemon.signal(signal.SIGHUP)
        assert int(notify.until("RELOADING", "1")["MONOTONIC_USEC"]) > 0
        status = notify.until("READY")["STATUS"]
        assert "max_connections 50 -> 1" in status
        assert "needs a restart: max_mailbox" in status
        assert status in daemon.log() or status.partition("; ")[2] in daemon.log()
        with pytest.raises((InvalidStatus, ConnectionClosed)) as refused:
            daemon.client()
        assert "503" in str(refused.value)
        levels = client.call("daemon.log_level", level="info")["levels"]
        assert levels["journal"] == "debug"
        assert levels["gateway"] == "info"
    assert "walletd_config_last_reload_successful 1.0" in metrics(daemon)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("max_connectoins = 1", "did you mean 'max_connections'?"),
        ("drain_seconds = -1", "drain_seconds"),
        ("log_levels = { jornal = 'debug' }", "jornal"),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_reload_with_anything_wrong_changes_nothing(
    configured: tuple[Daemon, Path], notify: NotifySocket, wrong: str, words: str
) -> None:
    daemon, file = configured
    notify.until("READY")
    file.write_text(f"log_level = 'debug'\nmax_connections = 1\n{wrong}\n")
    daemon.signal(signal.SIGHUP)
    notify.until("RELOADING")
    status = notify.until("READY")["STATUS"]
    assert "nothing has changed" in status
    assert words in status
    with daemon.client() as client, daemon.client():
        assert client.call("daemon.log_level", level="info", component="journal")["levels"]["gateway"] == "info"
    assert "walletd_config_last_reload_successful 0.0" in metrics(daemon)
    file.write_text("max_connections = 60\n")
    daemon.signal(signal.SIGHUP)
    notify.until("RELOADING")
    assert "max_connections 50 -> 60" in notify.until("READY")["STATUS"]


def test_a_log_level_changes_while_the_daemon_runs_and_lines_name_connection_and_command(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", environment={"WALLETD_LOG_FORMAT": "json"}) as daemon, daemon.client() as client:
        furnish(client, "alice")
        changed = client.call("daemon.log_level", level="debug", component="gateway")
        assert (changed["levels"]["gateway"], changed["levels"]["journal"]) == ("debug", "info")
        assert client.call("daemon.log_level") == changed
        client.call("transfer.post", **transfer("seen", "@external", "alice", 5))
        client.call("daemon.log_level", level="info", component="gateway")
        client.call("transfer.post", **transfer("unseen", "@external", "alice", 5))
        error = client.refused("daemon.log_level", level="debug", component="gatway")
        assert error["data"]["reason"] == "invalid_params"
        assert error["data"]["field"] == "component"
        lines = [json.loads(line) for line in daemon.log().splitlines()]
        (line,) = [line for line in lines if line.get("command_id") == "seen"]
        assert line["connection"] == client.hello["connection"]
        assert line["level"] == "debug"
        assert "unseen" not in daemon.log()


def test_a_drain_by_method_answers_what_is_under_way_and_ends_well(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client, daemon.client() as other:
        furnish(client, "alice", "bob", amount=1000)
        sent = [client.send("transfer.post", **transfer(f"t-{n}", "alice", "bob", 1)) for n in range(300)]
        drain = client.send("daemon.drain")
        after = client.send("transfer.post", **transfer("late", "alice", "bob", 1))
        assert client.reply(drain)["result"]["sessions"] == 2
        assert all("result" in client.reply(request_id) for request_id in sent)
        late = client.reply(after)
        assert "result" in late or late["error"]["data"]["reason"] == "draining"
        assert client.next_pushed("lifecycle") == {"lifecycle": "draining", "retry_after_ms": 1000}
        assert other.next_pushed("lifecycle")["lifecycle"] == "draining"
        assert {client.close_code(), other.close_code()} == {1012}
        assert daemon.wait() == 0
        assert "stopping on daemon.drain" in daemon.log()


@contextlib.contextmanager
def one_who_does_not_leave(daemon: Daemon) -> Iterator[None]:
    """A connection whose peer neither reads nor answers to a close."""
    host, port = daemon.url.removeprefix("ws://").split(":")
    with socket.create_connection((host, int(port))) as stream:
        upgrade = (
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {daemon.token}\r\n\r\n"
        )
        stream.sendall(upgrade.encode())
        assert b"101" in stream.recv(100)
        yield


def test_a_second_signal_hastens_the_end(tmp_path: Path) -> None:
    environment = {"WALLETD_DRAIN_SECONDS": "3600"}
    with Daemon(tmp_path / "data", environment=environment) as daemon, one_who_does_not_leave(daemon):
        daemon.signal(signal.SIGTERM)
        while "-> draining" not in daemon.log():
            assert daemon.process is not None
            assert daemon.process.poll() is None
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "hurrying on SIGTERM" in daemon.log()


def test_a_deadline_ends_the_drain(tmp_path: Path) -> None:
    environment = {"WALLETD_DRAIN_SECONDS": "0.5"}
    with Daemon(tmp_path / "data", environment=environment) as daemon, one_who_does_not_leave(daemon):
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def test_a_report_shows_the_inside_and_no_secret_no_wallet_no_amount(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "secretive-wallet", amount=987654321)
        made = client.call("daemon.report")
        report = made["report"]
        file = Path(made["file"])
        assert file.read_text() == report
        assert file.parent == daemon.data / "reports"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        for part in ("lifecycle", "queues", "last entries", "configuration", "process", "versions", "threads", "tasks"):
            assert f"\n== {part}\n" in report
        assert "transfer.post  applied" in report
        assert "max_connections" in report
        tasks = report.partition("== tasks\n")[2]
        assert "walletd/journal/writer.py" in tasks
        assert "tables/projector.py" in tasks
        assert "could not be read" not in report
        for private in (daemon.token, "secretive", "987654321"):
            assert private not in report
        assert str(file) in daemon.log()


def test_a_signal_leaves_a_report_and_the_daemon_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        daemon.signal(signal.SIGUSR1)
        while "report written to" not in daemon.log():
            client.call("session.ping")
        (file,) = (daemon.data / "reports").iterdir()
        assert "requested with SIGUSR1" in file.read_text()
        daemon.signal(signal.SIGQUIT)
        while "most recent call first" not in daemon.log():
            client.call("session.ping")


def test_only_the_newest_reports_are_kept(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        names = [Path(client.call("daemon.report")["file"]).name for _ in range(25)]
        kept = {file.name for file in (daemon.data / "reports").iterdir()}
        assert len(kept) == 20
        assert names[-1] in kept


def test_the_token_is_nowhere_in_the_log_at_any_level(tmp_path: Path) -> None:
    canary = "walletd_CANARYcanaryCANARYcanaryCANARYcanary"
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "operator.token").write_text(canary)
    (tmp_path / "data" / "operator.token").chmod(0o600)
    with Daemon(tmp_path / "data", "--log-level", "debug") as daemon:
        carriers: tuple[dict[str, Any], ...] = (
            {"additional_headers": {"Authorization": f"Bearer {canary}"}},
            {
                "additional_headers": {},
                "subprotocols": ["walletd.v1", daemon.bearer_subprotocol()],
            },
        )
        for carrier in carriers:
            with daemon.client(**carrier) as client:
                client.call("session.authenticate", token=canary)
                client.refused("session.authenticate", token=canary + "x")
                client.refused("wallet.open", command_id=canary, wallet=f"{canary}!", metadata={"token": canary})
                client.raw(f'{{"jsonrpc":"2.0","id":1,"method":"{canary}","params":{{"token":"{canary}"}}')
                assert canary not in client.call("daemon.report")["report"]
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        written = [daemon.log(), *(file.read_text() for file in (daemon.data / "reports").iterdir())]
        for secret in ("CANARY", daemon.bearer_subprotocol().rpartition(".")[2]):
            assert all(secret not in text for text in written)


@contextlib.contextmanager
def not_to_be_written(folder: Path) -> Iterator[None]:
    """The folder, which this user may not write: for root, who may everywhere, a file system that is read only."""
    folder.mkdir(mode=0o500)
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_data_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with not_to_be_written(data):
        code, stderr = run_to_its_end(data)
    assert code in (74, 78)
    assert str(data) in stderr
    assert "Traceback" not in stderr


def test_a_data_folder_that_goes_away_stops_writes_and_comes_back_without_a_restart(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", amount=1000)
        daemon.data.rename(tmp_path / "elsewhere")
        error = client.refused("transfer.post", **transfer("away", "@external", "alice", 1))
        assert (error["data"]["reason"], error["data"]["outcome"]) == ("unavailable", "not_applied")
        assert error["data"]["retry_after_ms"] > 0
        assert "journal.db" in error["data"]["why"]
        assert client.next_pushed("lifecycle")["lifecycle"] == "degraded"
        assert posted(client, "alice") == 1000
        daemon.data.mkdir(mode=0o700)
        assert client.refused("transfer.post", **transfer("away", "@external", "alice", 1))
        daemon.data.rmdir()
        (tmp_path / "elsewhere").rename(daemon.data)
        assert client.next_pushed("lifecycle")["lifecycle"] == "serving"
        assert "replayed" not in client.call("transfer.post", **transfer("away", "@external", "alice", 1))
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        daemon.start()
        with daemon.client() as again:
            assert posted(again, "alice") == 1001


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_a_journal_that_is_removed_or_replaced_takes_no_more_money(tmp_path: Path, name: str) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", amount=1000)
        file = daemon.data / name
        file.rename(tmp_path / "kept")
        file.write_bytes((tmp_path / "kept").read_bytes())
        error = client.refused("transfer.post", **transfer("away", "@external", "alice", 1))
        assert (error["data"]["reason"], error["data"]["outcome"]) == ("unavailable", "not_applied")
        (tmp_path / "kept").rename(file)
        client.next_pushed("lifecycle")
        assert client.next_pushed("lifecycle")["lifecycle"] == "serving"
        client.call("transfer.post", **transfer("away", "@external", "alice", 1))
        assert posted(client, "alice") == 1001


def test_the_command_line_operates_a_running_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:

        def walletd(*arguments: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "WALLETD_URL": daemon.url, "WALLETD_TOKEN": daemon.token}
            return ran(arguments, environment=environment)

        kept = tmp_path / "report.txt"
        made = walletd("report", "--output", str(kept))
        assert made.returncode == 0, made.stderr
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "== tasks" in kept.read_text()
        assert walletd("report", "--output", str(kept)).returncode != 0
        levels = walletd("log-level", "debug", "journal", "--json")
        assert json.loads(levels.stdout)["levels"]["journal"] == "debug"
        wrong = walletd("log-level", "debug", "jornal")
        assert wrong.returncode == 64
        assert "there is no component 'jornal'" in wrong.stderr
        assert walletd("drain").returncode == 0
        assert daemon.wait() == 0
