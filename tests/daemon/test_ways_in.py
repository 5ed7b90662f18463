"""TLS, clients' certificates and the unix socket, with a real daemon, the library and the command line."""

import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.daemon.process import Daemon, run_to_its_end
from tests.gateway.authorities import Authority
from walletd.client import NotReachable, connect, connect_sync


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line, in an environment that says nothing of a daemon."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("WALLETD_")}
    words = (sys.executable, "-m", "walletd", *words)
    return subprocess.run(words, capture_output=True, text=True, check=False, env={**plain, **environment})


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
        assert not path.exists()
        gone = command("status", "--url", url, "--token", "t")
        assert gone.returncode == 69
        assert "Traceback" not in gone.stderr


def test_plain_text_beyond_loopback_is_warned_of(tmp_path: Path) -> None:
    with Daemon(tmp_path / "data", "--host", "0.0.0.0") as daemon:
        assert "without TLS" in daemon.log()
