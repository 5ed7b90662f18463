"""Starting and stopping: one line that says what to do, the right exit code, nothing lost."""

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, furnish, posted, run_to_its_end, transfer


def one_line(stderr: str) -> str:
    """What was said about the failure: exactly one line, and no traceback."""
    assert "Traceback" not in stderr
    (line,) = [line for line in stderr.splitlines() if " INFO " not in line]
    return line


def test_the_token_is_made_at_the_first_start_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        first = daemon.token
        assert stat.S_IMODE((daemon.data / "operator.token").stat().st_mode) == 0o600
        assert stat.S_IMODE(daemon.data.stat().st_mode) == 0o700
        daemon.kill()
        daemon.start()
        assert daemon.token == first
        assert first not in daemon.log()


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "operator.token").write_text("secret\n")
    (data / "operator.token").chmod(0o644)
    code, stderr = run_to_its_end(data)
    assert code == 78
    assert "chmod 600" in one_line(stderr)
    assert "secret" not in stderr


def test_whatever_the_umask_is_others_can_read_nothing_of_a_daemons_folder(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data")
    daemon.popen["umask"] = 0
    with daemon, daemon.client() as client:
        furnish(client, "alice", amount=5)
        daemon.signal(signal.SIGUSR1)
        while not list(daemon.data.glob("reports/*.txt")):
            client.call("session.ping")
        modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in daemon.data.rglob("*")}
        assert {mode & 0o077 for mode in modes.values()} == {0}, modes
        assert {"journal.db", "journal.db-wal", "state.db", "state.db-wal"} <= {path.name for path in modes}


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    (data / "operator.token").write_text("planted\n")
    (data / "operator.token").chmod(0o600)
    code, stderr = run_to_its_end(data)
    assert code == 78
    assert f"others can write {data}: run: chmod go-w {data}" in one_line(stderr)


def test_a_second_daemon_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        code, stderr = run_to_its_end(daemon.data)
        assert code == 75
        assert "Stop the other walletd" in one_line(stderr)
        with daemon.client() as client:
            client.call("session.ping")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        port = daemon.url.rpartition(":")[2]
        code, stderr = run_to_its_end(tmp_path / "other", "--port", port)
        assert code == 69
        assert f"127.0.0.1:{port}" in one_line(stderr)
        assert "--port" in stderr
        assert not (tmp_path / "other").exists(), "a taken port is found before the journal is opened"
        admin = daemon.admin_url.rpartition(":")[2]
        code, stderr = run_to_its_end(tmp_path / "other", environment={"WALLETD_ADMIN_PORT": admin})
        assert code == 69
        assert "admin_port" in one_line(stderr)
        assert not (tmp_path / "other").exists()


def test_a_unix_socket_in_use_is_named_before_the_journal_is_opened(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Daemon(tmp_path / "data", environment={"WALLETD_UNIX_SOCKET": path}):
        code, stderr = run_to_its_end(tmp_path / "other", environment={"WALLETD_UNIX_SOCKET": path})
        assert code == 69
        assert path in one_line(stderr)
        assert not (tmp_path / "other").exists()


def test_a_second_daemon_on_the_same_data_and_port_is_told_of_the_data(tmp_path: Path) -> None:
    """The port is taken, too, but another port would be the wrong advice."""
    with Daemon(tmp_path / "data") as daemon:
        code, stderr = run_to_its_end(daemon.data, "--port", daemon.url.rpartition(":")[2])
        assert code == 75
        assert "Stop the other walletd" in one_line(stderr)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("prot = 7878", "did you mean 'port'?"),
        ("port = 700000", "port"),
        ("port = 'x'", "port"),
        ("port = ", "TOML"),
        ("log_level = 'loud'", "log_level"),
    ],
)
def test_a_wrong_configuration_says_what_and_where(tmp_path: Path, setting: str, words: str) -> None:
    file = tmp_path / "walletd.toml"
    file.write_text(setting)
    code, stderr = run_to_its_end(tmp_path / "data", "--config", str(file))
    assert code == 78
    assert words in one_line(stderr)
    assert str(file) in stderr


def test_a_wrong_environment_variable_says_so(tmp_path: Path) -> None:
    code, stderr = run_to_its_end(tmp_path / "data", environment={"WALLETD_DRAIN_SECONDS": "soon"})
    assert code == 78
    assert "drain_seconds" in one_line(stderr)


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, stderr = run_to_its_end(tmp_path / "file" / "data")
    assert code in (74, 78)
    assert "data" in one_line(stderr)


def test_assertions_cannot_be_switched_off() -> None:
    ended = subprocess.run(
        [sys.executable, "-O", "-m", "walletd", "serve"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 64
    assert "-O" in ended.stderr


def test_a_damaged_journal_is_never_served(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", amount=1000)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    journal = daemon.data / "journal.db"
    whole = journal.read_bytes()
    at = whole.index(b'"amount":"1000"') + len(b'"amount":"')
    journal.write_bytes(whole[:at] + b"9" + whole[at + 1 :])
    for file in daemon.data.glob("state.db*"):
        file.unlink()
    code, stderr = run_to_its_end(daemon.data)
    assert code == 65
    assert "digest" in one_line(stderr)


def test_a_damaged_row_of_the_read_tables_is_never_served_and_they_are_built_anew(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", amount=1000)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        tables = daemon.data / "state.db"
        whole = tables.read_bytes()
        damaged = whole.replace(b"10000[[", b"90000[[")  # Posted, held, and the lines of the only change.
        assert damaged != whole
        tables.write_bytes(damaged)
        code, stderr = run_to_its_end(daemon.data)
        assert code == 70
        assert "state.db is damaged" in one_line(stderr)
        daemon.start()
        with daemon.client() as again:
            assert posted(again, "alice") == 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_answers_or_can_be_repeated_and_loses_nothing(tmp_path: Path, number: int) -> None:
    daemon = Daemon(tmp_path / "data")
    with daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=100_000)
        sent = {client.send("transfer.post", **transfer(f"t-{n}", "alice", "bob", 1)): f"t-{n}" for n in range(2000)}
        first = next(iter(sent))
        client.reply(first)
        daemon.signal(number)
        assert client.close_code() == 1012
        answered = {sent[request_id]: reply for request_id, reply in client.arrived().items() if request_id in sent}
        assert daemon.wait() == 0
        applied = {name: reply["result"] for name, reply in answered.items() if "result" in reply}
        refused = {reply["error"]["data"]["reason"] for reply in answered.values() if "error" in reply}
        assert refused <= {"draining"}
        daemon.start()
        with daemon.client() as again:
            for name, result in applied.items():
                repeated = again.call("transfer.post", **transfer(name, "alice", "bob", 1))
                assert repeated.pop("replayed")
                assert repeated == result
            rest = set(sent.values()) - set(applied) - {sent[first]}
            asked = [again.send("transfer.post", **transfer(name, "alice", "bob", 1)) for name in sorted(rest)]
            assert all("result" in again.reply(request_id) for request_id in asked)
            assert posted(again, "bob") == 102_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_at_any_moment_of_the_start_is_clean(tmp_path: Path, number: int) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "alice", "bob", amount=100_000)
        sent = [client.send("transfer.post", **transfer(f"t-{n}", "alice", "bob", 1)) for n in range(3000)]
        assert all("result" in client.reply(request_id) for request_id in sent)
        daemon.kill()
        chance = random.Random(number)
        for _ in range(6):
            for file in daemon.data.glob("state.db*"):
                file.unlink()
            seen = len(daemon.log())
            process = daemon.launch()
            while "starting -> recovering" not in daemon.log()[seen:]:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=chance.uniform(0.001, 0.05))
            daemon.signal(number)
            assert daemon.wait() == 0
        daemon.start()
        with daemon.client() as again:
            assert posted(again, "bob") == 103_000


def test_the_metrics_tell_what_happened_and_name_no_wallet(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        furnish(client, "secretive-wallet", amount=1000)
        client.refused("transfer.post", **transfer("too-much", "secretive-wallet", "@external", 1001))
        client.call("transfer.post", **transfer("fund-secretive-wallet", "@external", "secretive-wallet", 1000))
        with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=60) as page:
            metrics = page.read().decode()
        assert 'walletd_commands_total{method="transfer.post",outcome="applied",reason=""} 1.0' in metrics
        assert (
            'walletd_commands_total{method="transfer.post",outcome="refused",reason="insufficient_funds"} 1.0'
            in metrics
        )
        assert "walletd_command_replays_total 1.0" in metrics
        assert 'walletd_lifecycle_state{walletd_lifecycle_state="serving"} 1.0' in metrics
        assert "walletd_connections 1.0" in metrics
        assert "process_resident_memory_bytes" in metrics
        assert "secretive" not in metrics
        with urllib.request.urlopen(f"{daemon.admin_url}/readyz", timeout=60) as page:
            assert page.status == 200


def test_the_status_pages_tell_life_and_readiness(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon:
        pages = daemon.url.replace("ws://", "http://")
        with urllib.request.urlopen(f"{pages}/readyz", timeout=60) as page:
            assert json.load(page) == {"ready": True, "lifecycle": "serving"}
        with urllib.request.urlopen(f"{pages}/healthz", timeout=60) as page:
            assert json.load(page) == {"alive": True}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{pages}/", timeout=60)
        assert refused.value.code == 426
        with pytest.raises(urllib.error.HTTPError) as foreign:
            urllib.request.urlopen(urllib.request.Request(f"{pages}/", headers=UPGRADE), timeout=60)
        assert foreign.value.code == 403


UPGRADE = {"Host": "evil.example", "Upgrade": "websocket", "Connection": "Upgrade"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small file system")
def test_a_full_disk_refuses_writes_and_serves_again_without_a_restart(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(mounted)], check=True)
    try:
        _fill_and_free(mounted)
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


def _fill_and_free(mounted: Path) -> None:
    environment = {"WALLETD_SPACE_FLOOR_MEBIBYTES": "4"}
    with Daemon(mounted / "data", environment=environment) as daemon, daemon.client() as client:
        furnish(client, "alice", amount=1000)
        free = os.statvfs(mounted)
        (mounted / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - 2 * 1024 * 1024))
        error = client.refused("transfer.post", **transfer("full", "@external", "alice", 1))
        assert error["data"]["reason"] == "unavailable"
        assert error["data"]["outcome"] == "not_applied"
        assert client.next_pushed("lifecycle")["lifecycle"] == "degraded"
        assert posted(client, "alice") == 1000
        with pytest.raises(urllib.error.HTTPError) as page:
            urllib.request.urlopen(daemon.url.replace("ws://", "http://") + "/readyz", timeout=60)
        assert page.value.code == 503
        (mounted / "filler").unlink()
        assert client.next_pushed("lifecycle")["lifecycle"] == "serving"
        assert "replayed" not in client.call("transfer.post", **transfer("full", "@external", "alice", 1))
        assert posted(client, "alice") == 1001
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
