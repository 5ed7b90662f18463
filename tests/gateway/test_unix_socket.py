"""The unix socket: who gets in, and what is done with what lies there already."""

import os
import socket
import stat
from pathlib import Path

import pytest
import trio
from websockets.sync.client import unix_connect

from tests.gateway.test_server import serving
from tests.gateway.wires import Host, policy
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer, ListenFailed
from walletd.gateway.network.unix_socket import UnixSocket


def gateway(host: Host, path: Path, mode: int = 0o600, most: int = 100) -> GatewayServer:
    caps = Caps(most, 1, most)
    door = UnixSocket(path, mode)
    return GatewayServer("127.0.0.1", 0, policy(), Deadlines(), Bounds(), caps, host.open_endpoint, unix_socket=door)


def greeted(path: Path) -> str | bytes:
    with unix_connect(str(path), "ws://localhost/") as client:
        return client.recv(timeout=60)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_the_socket_has_its_mode_whatever_the_umask_is_and_stays_when_the_server_goes(
    mode: int, tmp_path: Path
) -> None:
    path = tmp_path / "walletd.sock"
    before = os.umask(0o027)
    try:
        async with serving(gateway(Host(), path, mode)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert await trio.to_thread.run_sync(greeted, path) == "hello"
    finally:
        os.umask(before)
    assert path.is_socket(), "clients turn to no other place"
    with pytest.raises(ConnectionRefusedError):
        await trio.to_thread.run_sync(greeted, path)


async def test_connections_over_it_count_in_all_and_for_no_address(tmp_path: Path) -> None:
    host = Host()
    server = gateway(host, tmp_path / "s")
    async with serving(server):
        streams = [await trio.open_unix_socket(str(tmp_path / "s")) for _ in range(3)]
        for stream in streams:
            await stream.send_all(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyBvaw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert b" 101 " in await stream.receive_some()
        assert len(server) == 3
        for stream in streams:
            await stream.aclose()


async def test_what_a_killed_daemon_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    async with serving(gateway(Host(), path)):
        assert await trio.to_thread.run_sync(greeted, path) == "hello"


async def start(server: GatewayServer) -> None:
    """Raises what hinders the server, out of its group."""
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def test_a_socket_on_which_somebody_listens_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    async with serving(gateway(Host(), path)):
        with pytest.raises(ListenFailed, match="the socket is in use, perhaps by another walletd"):
            await start(gateway(Host(), path))
        assert await trio.to_thread.run_sync(greeted, path) == "hello"


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    path.write_text("precious")
    with pytest.raises(ListenFailed, match="not a socket; move that file away"):
        await start(gateway(Host(), path))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("path", ["missing/walletd.sock", "x" * 200])
async def test_a_path_that_cannot_be_is_named(path: str, tmp_path: Path) -> None:
    with pytest.raises(ListenFailed, match="cannot listen on"):
        await start(gateway(Host(), tmp_path / path))


async def test_a_successors_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "walletd.sock"
    async with serving(gateway(Host(), path)):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
        successor.listen()
    assert path.exists()
    successor.close()
