"""TLS, clients' certificates and the unix socket, with a real daemon, the library and the command line."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trio

from tests.daemon.forked import ran
from tests.daemon.process import Daemon, run_to_its_end
from tests.gateway.authorities import Authority
from walletd.client import NotReachable, connect, connect_sync


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line, in an environment that says nothing of a daemon."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WALLETD_")}
    return ran(words, environment={**plain, **environment})


def tls(authority: Authority, **more: str) -> dict[str, str]:
    return {"WALLETD_TLS_CERTIFICATE": str(authority.sign("server", "127.0.0.1")), **more}


def test_the_library_and_the_command_line_come_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Daemon(tmp_path / "data", environment=tls(authority)) as daemon:
        assert daemon.url.startswith("wss://")
        context = ssl.create_default_context(cafile=authority.file)
        with connect_sync(daemon.url, token=daemon.token, tls=context) as client:
            client.open_wallet("alice")
        listed = command(
            "wallet", "get", "alice", "--url", daemon.url, "--token", daemon.token, "--ca", str(authority.file)
        )
        assert listed.returncode == 0, listed.stderr
        listed = command("status", WALLETD_URL=daemon.url, WALLETD_TOKEN=daemon.token, WALLETD_CA=str(authority.file))
        assert listed.returncode == 0, listed.stderr
        strange = command("status", "--url", daemon.url, "--token", daemon.token)
        assert strange.returncode == 69
        assert "its certificate is not trusted" in strange.stderr
        assert "--ca" in strange.stderr
        missing = command("status", "--url", daemon.url, "--ca", "missing.pem")
        assert "cannot read the authority missing.pem: No such file" in missing.stderr
        plain = command("status", "--url", daemon.url.replace("wss", "ws"), "--token", daemon.token)
        assert plain.returncode == 69
        assert "Traceback" not in plain.stderr + strange.stderr + missing.stderr


def test_a_certificate_stands_for_a_principal_and_a_token_goes_before_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "walletd.toml").write_text(
        f'tls_client_authority = "{authority.file}"\n[certificate_principals]\n"cn:back office" = "operator"\n'
        '"cn:nobody" = "unknown"\n'
    )
    arguments = ("--config", str(tmp_path / "walletd.toml"))
    with Daemon(tmp_path / "data", *arguments, environment=tls(authority)) as daemon:
        common = ("status", "--json", "--url", daemon.url, "--ca", str(authority.file))
        for name, code in (("back office", 0), ("nobody", 77), ("somebody else", 77)):
            mine = authority.sign(name, "x.example", common_name=name)
            shown = command(*common, "--certificate", str(mine))
            assert shown.returncode == code, (name, shown.stderr)
        wrong = command(*common, "--certificate", str(mine), "--token", "walletd_no")
        assert wrong.returncode == 77


def test_hangup_takes_up_the_new_certificate_and_drops_nobody(tmp_path: Path) -> None:
    authority, successor = Authority(tmp_path), Authority(tmp_path, "successor")
    with Daemon(tmp_path / "data", environment=tls(authority)) as daemon:

        async def main() -> None:
            old = ssl.create_default_context(cafile=authority.file)
            new = ssl.create_default_context(cafile=successor.file)
            async with connect(daemon.url, token=daemon.token, tls=old) as client:
                connection = client.hello.connection
                (tmp_path / "server.pem").write_text("broken")
                daemon.signal(signal.SIGHUP)
                while "keeping the previous certificate" not in daemon.log():
                    await client.ping()
                successor.sign("server", "127.0.0.1")
                daemon.signal(signal.SIGHUP)
                while "new connections use the certificate" not in daemon.log():
                    await client.ping()
                async with connect(daemon.url, token=daemon.token, tls=new) as another:
                    await another.ping()
                with pytest.raises(NotReachable, match="not trusted"):
                    async with connect(daemon.url, token=daemon.token, tls=old):
                        pass
                await client.ping()
                assert client.hello.connection == connection

        trio.run(main)


def test_a_hangup_without_tls_does_no_harm(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data") as daemon, daemon.client() as client:
        daemon.signal(signal.SIGHUP)
        client.call("session.ping")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


WRONG = [
    ({"WALLETD_TLS_CERTIFICATE": "missing.pem"}, "missing.pem: No such file or directory"),
    ({"WALLETD_TLS_KEY": "key.pem"}, "tls_key is set but tls_certificate is not"),
    ({"WALLETD_TLS_CLIENT_AUTHORITY": "ca.pem"}, "tls_client_authority is set but tls_certificate is not"),
    ({"WALLETD_UNIX_SOCKET_MODE": "rw"}, "unix_socket_mode"),
]


@pytest.mark.parametrize(("environment", "sentence"), WRONG)
def test_what_cannot_be_served_is_refused_at_the_start(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    code, said = run_to_its_end(tmp_path / "data", environment=environment)
    assert code == 78
    assert sentence in said
    assert "Traceback" not in said


def test_a_table_of_principals_needs_an_authority(tmp_path: Path) -> None:
    for line, sentence in (
        ('certificate_principals = { "cn:a" = "a" }', "needs tls_client_authority"),
        ('certificate_principals = { "a" = "a" }', "certificate_principals"),
        ('certificate_principals = { "cn:a" = "@walletd" }', "certificate_principals"),
    ):
        (tmp_path / "walletd.toml").write_text(line)
        code, said = run_to_its_end(tmp_path / "data", "--config", str(tmp_path / "walletd.toml"))
        assert (code, sentence in said) == (78, True), said


def test_a_unix_socket_in_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    path.write_text("precious")
    code, said = run_to_its_end(tmp_path / "data", environment={"WALLETD_UNIX_SOCKET": str(path)})
    assert code == 69
    assert "the path exists and is not a socket" in said


def test_the_library_and_the_command_line_come_over_the_unix_socket_also_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    url = f"unix:{path}"
    with Daemon(tmp_path / "data", environment={"WALLETD_UNIX_SOCKET": str(path)}) as daemon:
        assert oct(path.stat().st_mode & 0o777) == "0o600"
        with connect_sync(url, token=daemon.token) as client:
            client.open_wallet("alice")
            daemon.kill()
            daemon.start()
            client.open_wallet("bob")
        shown = command("wallet", "get", "bob", "--url", url, "--token", daemon.token, "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert path.is_socket(), "clients turn to no other place"
        gone = command("status", "--url", url, "--token", "t")
        assert gone.returncode == 69
        assert "Traceback" not in gone.stderr


def test_plain_text_beyond_loopback_needs_a_setting_and_is_warned_of(tmp_path: Path) -> None:
    code, said = run_to_its_end(tmp_path / "data", "--host", "0.0.0.0")
    assert code == 78
    assert "plain_text = true" in said
    assert not (tmp_path / "data").exists()
    with Daemon(tmp_path / "data", "--host", "0.0.0.0", environment={"WALLETD_PLAIN_TEXT": "true"}) as daemon:
        assert "without TLS" in daemon.log()
    authority = Authority(tmp_path)
    with Daemon(tmp_path / "data", "--host", "0.0.0.0", environment=tls(authority)) as daemon:
        assert "without TLS" not in daemon.log().rpartition("starting")[2]


def test_the_command_line_finds_the_socket_of_a_daemon_here(tmp_path: Path) -> None:
    """Also while another program has the daemon's port."""
    with Daemon(tmp_path / "var") as daemon:
        shown = subprocess.run(
            [sys.executable, "-m", "walletd", "status"], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert shown.returncode == 0, shown.stderr
        assert "at unix:var/walletd.sock" in shown.stdout
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        gone = subprocess.run(
            [sys.executable, "-m", "walletd", "status"], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert gone.returncode == 69
        assert "unix:var/walletd.sock" in gone.stderr


def test_where_the_folder_takes_no_socket_the_daemon_serves_without_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir(mode=0o700)
    with Daemon(deep / "data") as daemon, daemon.client() as client:
        client.call("session.ping")
        assert "serving without a unix socket" in daemon.log()


def test_operators_can_have_a_unix_socket_and_no_port(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    environment = {"WALLETD_ADMIN_UNIX_SOCKET": str(path), "WALLETD_ADMIN_PORT": ""}
    daemon = Daemon(tmp_path / "data", environment=environment)
    daemon.launch()
    try:
        process = daemon.process
        assert process is not None
        assert process.stdout is not None
        metrics = next(line for line in process.stdout if "metrics" in line)
        assert f"curl --unix-socket {path} http://localhost/metrics" in metrics
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(path))
            asking.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in asking.recv(4096)
        assert "listening for operators at unix:" in daemon.log()
    finally:
        daemon.kill()


def status_for(url: str, host: str) -> int:
    """The status of the page if it is requested under this name."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host})) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:1", 200), ("localhost", 200), ("[::1]:9", 200), ("metrics.example:80", 200), ("evil.example", 403)],
)
def test_operators_are_served_under_allowed_names_only(tmp_path: Path, host: str, status: int) -> None:
    """A page of another site that has its name resolve to this address reads nothing."""
    with Daemon(tmp_path / "data", environment={"WALLETD_ALLOWED_HOSTS": "metrics.example"}) as daemon:
        for path in ("/metrics", "/healthz", "/readyz"):
            assert status_for(f"{daemon.admin_url}{path}", host) == status, path


def test_where_operators_are_served_at_every_address_each_literal_one_is_allowed(tmp_path: Path) -> None:
    """As the kubelet asks, by the address of the pod; a page of another site has a name."""
    with Daemon(tmp_path / "data", environment={"WALLETD_ADMIN_HOST": "0.0.0.0"}) as daemon:
        port = daemon.admin_url.rpartition(":")[2]
        for host, status in (("10.1.2.3:7879", 200), ("pod.example", 403)):
            assert status_for(f"http://127.0.0.1:{port}/readyz", host) == status, host
