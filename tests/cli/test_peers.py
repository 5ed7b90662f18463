"""Who is told a token: a program of the right user, or one behind TLS."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.cli.conftest import Walletd
from tests.cli.standin import StandIn
from walletd.cli import peers
from walletd.cli.peers import NotTold, refuse_plain_text, vetted

STRANGER = 65534
"""nobody"""


@pytest.mark.parametrize(
    "url",
    ["ws://10.0.0.1:7878", "ws://walletd:7878", "ws://[fe80::1]:7878", "ws://127.0.0.1.example:1", "ws://0.0.0.0:1"],
)
def test_a_token_crosses_no_network_in_plain_text(url: str, walletd: Walletd, daemon: StandIn) -> None:
    with pytest.raises(NotTold, match="in plain text"):
        refuse_plain_text(url)
    ended = walletd("status", "--url", url, "--token", "walletd_secret")
    assert ended.exit_code == 77
    assert "--plain-text" in ended.err
    assert "walletd_secret" not in ended.err
    assert ended.err.count("\n") == 1
    assert daemon.connected_with == {}


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:1", "ws://[::1]:1", "ws://localhost:1", "wss://far.example", "unix:/x"]
)
def test_loopback_tls_and_the_unix_socket_need_no_word(url: str, walletd: Walletd, daemon: StandIn) -> None:
    walletd("status", "--url", url, "--token", "t")
    assert daemon.connected_with["url"] == url


def test_one_flag_or_one_variable_permits_plain_text(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "ws://10.0.0.1:7878"
    walletd("status", "--url", url, "--token", "t", "--plain-text")
    assert daemon.connected_with["url"] == url
    daemon.connected_with = {}
    monkeypatch.setenv("WALLETD_PLAIN_TEXT", "true")
    walletd("status", "--url", url, "--token", "t")
    assert daemon.connected_with["url"] == url


def test_without_a_token_there_is_nothing_to_hide(walletd: Walletd, daemon: StandIn) -> None:
    walletd("status", "--url", "ws://10.0.0.1:7878")
    assert daemon.connected_with["token"] is None


def listening(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.listen()
    return bound


def test_the_socket_of_a_daemon_here_goes_before_the_port(walletd: Walletd, daemon: StandIn) -> None:
    """It stays when the daemon ends: the token then goes nowhere, whatever listens on the port."""
    Path("var").mkdir()
    listening(Path("var/walletd.sock")).close()
    walletd("status")
    assert daemon.connected_with["url"] == "unix:var/walletd.sock"
    Path("var/walletd.sock").unlink()
    Path("service").mkdir()
    listening(Path("service/walletd.sock")).close()
    walletd("status")
    assert daemon.connected_with["url"] == f"unix:{Path('service/walletd.sock').absolute()}"
    Path("service/walletd.sock").unlink()
    walletd("status")
    assert daemon.connected_with["url"] == "ws://127.0.0.1:7878"


def test_a_token_that_was_only_found_here_must_be_ours(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("var").mkdir()
    Path("var/operator.token").write_text("planted\n")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr("walletd.cli.connection.ROOT_USER", 4243)
    ended = walletd("status")
    assert ended.exit_code == 77
    assert "may have planted it" in ended.err
    walletd("status", "--token-file", "var/operator.token")
    assert daemon.connected_with["token"] == "planted"
    Path("var/operator.token").rename("mine")
    Path("var/operator.token").symlink_to(Path("mine").absolute())
    assert walletd("status").exit_code == 77


def test_a_token_can_come_through_standard_input(tmp_path: Path) -> None:
    """So it stands neither among the arguments nor in a file."""
    script = (
        "import sys; from tests.cli.standin import StandIn; import walletd.cli.connection as c; d = StandIn();"
        "c.connect_blocking = d.connect_blocking; from walletd.__main__ import run;"
        "run(['status', '--token-file', '-']);"
        "sys.stderr.write(d.connected_with['token'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], input="walletd_piped\n", capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert said.stderr.endswith("walletd_piped"), said.stderr


@contextmanager
def stranger(listen: Callable[[], socket.socket]) -> Iterator[None]:
    """Another user's program that accepts connections at this address.  Needs root."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            listener = listen()
            os.write(writing, b"!")
            while True:
                listener.accept()
        finally:
            os._exit(1)
    try:
        os.close(writing)
        assert os.read(reading, 1) == b"!"
        yield
    finally:
        os.close(reading)
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which every user may put a socket, as /tmp is."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


def test_a_socket_that_another_user_put_there_is_told_nothing(open_folder: Path, walletd: Walletd) -> None:
    path = open_folder / "walletd.sock"
    with stranger(lambda: listening(path)):
        ended = walletd("status", "--url", f"unix:{path}", "--token", "walletd_secret", "--json")
        assert ended.exit_code == 77
        assert ended.document["error"]["reason"] == "token_not_sent"
        assert f"is run by the user {pwd.getpwuid(STRANGER).pw_name}" in ended.err
        open_folder.chmod(0o755)
        os.chown(open_folder, STRANGER, -1)
        trio.run(_connected, f"unix:{path}", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_another_user_took_is_told_nothing(host: str, walletd: Walletd) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        port = free.getsockname()[1]

    def listen() -> socket.socket:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)

    url = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"
    with stranger(listen):
        ended = walletd("status", "--url", url, "--token", "walletd_secret")
        assert ended.exit_code == 77
        assert "is the daemon down?" in ended.err
        trio.run(_connected, url, STRANGER)


async def _connected(url: str, owner: int | None) -> None:
    """Raises NotTold unless a token of this owner may be sent there."""
    if url.startswith("unix:"):
        stream = await trio.open_unix_socket(url.removeprefix("unix:"))
    else:
        host, _, port = url.removeprefix("ws://").rpartition(":")
        stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    async with stream:
        vetted(url, owner)(stream.socket)


def test_a_program_of_ours_is_told_it(tmp_path: Path) -> None:
    with listening(tmp_path / "s"), socket.create_server(("127.0.0.1", 0)) as taken:
        trio.run(_connected, f"unix:{tmp_path / 's'}", None)
        trio.run(_connected, f"ws://127.0.0.1:{taken.getsockname()[1]}", None)


def test_where_the_system_shows_no_sockets_the_address_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "SOCKET_TABLES", (tmp_path / "none",))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        trio.run(_connected, f"ws://127.0.0.1:{taken.getsockname()[1]}", None)
