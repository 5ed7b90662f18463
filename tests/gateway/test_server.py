"""The server: real clients over loopback, caps, and how everybody leaves."""

import errno
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync
from websockets.trio.client import connect
from websockets.typing import Subprotocol

from tests.gateway.wires import Host, page, policy, request, sent_close, text
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer, ListenFailed, _counted_as, _peer
from walletd.gateway.pages.status import StatusPages
from walletd.vocabulary.states import DaemonState

CHANCE = random.Random(7)
ROOM = Caps(connections=100, connections_per_address=100, guests=100)


def gateway(host: Host, caps: Caps = ROOM, port: int = 0, address: str = "127.0.0.1") -> GatewayServer:
    return GatewayServer(
        address, port, policy(max_message_bytes=1024 * 1024), Deadlines(), Bounds(), caps, host.open_endpoint
    )


@asynccontextmanager
async def serving(server: GatewayServer) -> AsyncIterator[str]:
    """The server, running; its address."""
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(server.serve)
        yield address
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.001)


async def http(address: str, data: bytes) -> bytes:
    name, _, port = address.rpartition(":")
    stream = await trio.open_tcp_stream(name, int(port))
    async with stream:
        await stream.send_all(data)
        return b"".join([bytes(piece) async for piece in stream])


# --- real clients --------------------------------------------------------------------------------------------------


async def test_the_trio_client_is_served() -> None:
    host = Host()
    server = gateway(host)
    async with serving(server) as address:
        async with connect(f"ws://{address}/", subprotocols=[Subprotocol("walletd.v1")]) as client:
            assert client.subprotocol == "walletd.v1"
            assert await client.recv() == "hello"
            for message in ("one", "zwölf", "x" * 100_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "three ", "fragments"])
            assert await client.recv() == "in three fragments"
            await client.ping()
            assert len(server) == 1
        await until(lambda: len(server) == 0)
    assert host.endpoint.noted[-1] == 1000
    assert (server.traffic.accepted, server.traffic.open, server.traffic.closes) == (1, 0, {1000: 1})


async def test_the_sync_client_is_served() -> None:
    host = Host()

    def talk(address: str) -> list[str | bytes]:
        with connect_sync(f"ws://{address}/") as client:
            client.send("one")
            return [client.recv(), client.recv()]

    async with serving(gateway(host)) as address:
        assert await trio.to_thread.run_sync(talk, address) == ["hello", "one"]


async def test_refused_clients_see_why() -> None:
    server = gateway(Host())
    async with serving(server) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}/", additional_headers={"Authorization": "Bearer no"}):
                pass
        assert refused.value.response.status_code == 401
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}/", additional_headers={"Origin": "https://evil.example"}):
                pass
        assert refused.value.response.status_code == 403
        async with connect(f"ws://{address}/", subprotocols=[Subprotocol("other")]) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4406
        await until(lambda: len(server) == 0)
    assert server.traffic.refused == {"token": 1, "origin": 1}
    assert server.traffic.closes == {4406: 1}


async def test_status_pages_are_plain_http() -> None:
    async with serving(gateway(Host())) as address:
        response = await http(address, f"GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert response.endswith(b"\r\n\r\n" + page("/healthz")[2])  # type: ignore[index]


async def test_a_page_that_fails_is_a_fault_of_the_daemon_and_not_its_end(caplog: pytest.LogCaptureFixture) -> None:
    def broken(path: str) -> None:
        raise ValueError("no such file")

    server = GatewayServer(
        "127.0.0.1", 0, replace(policy(), page=broken), Deadlines(), Bounds(), ROOM, Host().open_endpoint
    )
    async with serving(server) as address:
        response = await http(address, f"GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        assert response.startswith(b"HTTP/1.1 500 ")
        assert b"Internal error in the daemon" in response
        assert b"about to stop" not in response
        assert b"Retry-After" not in response
        await until(lambda: len(server) == 0)
    assert server.traffic.refused == {"fault": 1}
    assert "connection closed after an internal error" in caplog.text


async def test_a_client_that_is_too_large_reads_1009_although_it_goes_on_sending() -> None:
    async with serving(gateway(Host())) as address:
        name, _, port = address.rpartition(":")
        stream = await trio.open_tcp_stream(name, int(port))
        received = b""
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, request() + text(b"x" * 4 * 1024 * 1024))
            async for data in stream:
                received += data
        assert sent_close(received.partition(b"\r\n\r\n")[2]) == 1009


# --- caps ----------------------------------------------------------------------------------------------------------


async def test_a_full_server_says_so_over_http_and_has_room_again_later() -> None:
    server = gateway(Host(), Caps(connections=2, connections_per_address=100, guests=2))
    async with serving(server) as address:
        async with connect(f"ws://{address}/"), connect(f"ws://{address}/"):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://{address}/"):
                    pass
            assert refused.value.response.status_code == 503
            assert "Retry-After" in refused.value.response.headers
            assert (await http(address, b"GET /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200")
        await until(lambda: len(server) == 0)
        async with connect(f"ws://{address}/") as client:
            assert await client.recv() == "hello"
    assert server.traffic.refused == {"full": 1, "page": 1}


async def test_one_address_has_its_own_cap() -> None:
    server = gateway(Host(), Caps(connections=100, connections_per_address=1, guests=100))
    async with serving(server) as address:
        async with connect(f"ws://{address}/"):
            with pytest.raises(InvalidStatus):
                async with connect(f"ws://{address}/"):
                    pass
            near, far = memory_stream_pair()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.serve_stream, far, "192.0.2.7")
                await near.send_all(request())
                assert (await near.receive_some()).startswith(b"HTTP/1.1 101")
                await near.aclose()
        for _ in range(2):
            await until(lambda: len(server) == 0)
            async with connect(f"ws://{address}/") as client:
                assert await client.recv() == "hello"
    assert server.traffic.refused == {"full": 1}


async def test_a_flood_beyond_the_cap_is_cut_off_unheard() -> None:
    server = gateway(Host(), Caps(connections=1, connections_per_address=1000, guests=1))
    ends = []
    async with trio.open_nursery() as nursery:
        stays, far = memory_stream_pair()
        nursery.start_soon(server.serve_stream, far)
        await stays.send_all(request())
        await wait_all_tasks_blocked()
        for _ in range(100):
            near, far = memory_stream_pair()
            ends.append(near)
            nursery.start_soon(server.serve_stream, far)
        await wait_all_tasks_blocked()
        assert len(server) == 1 + 64
        assert server.traffic.refused == {"flood": 36}
        nursery.cancel_scope.cancel()
    assert server.traffic.open == 0


async def test_an_address_of_ipv6_is_its_network() -> None:
    class Peer:
        def __init__(self, address: str) -> None:
            self.socket = self
            self.address = address

        def getpeername(self) -> tuple[str, int]:
            if not self.address:
                raise OSError(errno.ENOTCONN, "gone")
            return (self.address, 1)

    peers = ["192.0.2.7", "2001:db8:1:2:3:4:5:6", "fe80::1%eth0", "::ffff:192.0.2.7", ""]
    assert [_counted_as(_peer(Peer(address))) for address in peers] == [  # type: ignore[arg-type]
        "192.0.2.7",
        "2001:db8:1:2::/64",
        "fe80::/64",
        "192.0.2.7",
        "gone",
    ]


async def test_the_server_survives_being_out_of_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    server = gateway(Host())
    accept: Callable[[trio.SocketListener], Awaitable[trio.SocketStream]] = trio.SocketListener.accept
    failures = iter([errno.EMFILE, errno.ENFILE])

    async def accept_with_failures(listener: trio.SocketListener) -> trio.SocketStream:
        for failure in failures:
            raise OSError(failure, "too many open files")
        return await accept(listener)

    monkeypatch.setattr(trio.SocketListener, "accept", accept_with_failures)
    async with serving(server) as address, connect(f"ws://{address}/") as client:
        assert await client.recv() == "hello"
    assert server.traffic.accept_failures == 2


async def test_a_fault_of_one_connection_is_not_the_servers(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Host):
        def open_endpoint(self, connection: object, handshake: object) -> object:  # type: ignore[override]
            endpoint = super().open_endpoint(connection, handshake)  # type: ignore[arg-type]
            endpoint.closed = lambda code: 1 / 0  # type: ignore[method-assign, assignment]
            return endpoint

    server = gateway(Broken())
    async with serving(server) as address:
        async with connect(f"ws://{address}/"):
            pass
        await until(lambda: len(server) == 0)
        async with connect(f"ws://{address}/") as client:
            assert await client.recv() == "hello"
    assert "ZeroDivisionError" in caplog.text


# --- listening -----------------------------------------------------------------------------------------------------


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    async with serving(gateway(Host())) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(ListenFailed, match=f"cannot listen on 127.0.0.1:{port}: .*another walletd.*--port"):
            await gateway(Host(), port=port).serve()


async def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ListenFailed, match=r"192\.0\.2\.1:0: no interface of this machine"):
        await gateway(Host(), address="192.0.2.1").serve()


async def test_a_name_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*arguments: object, **words: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", fails)
    with pytest.raises(ListenFailed, match="the name 'nowhere' has no address"):
        await gateway(Host(), address="nowhere").serve()


# --- draining ------------------------------------------------------------------------------------------------------


async def test_draining_closes_everybody_with_1012_and_ends_the_server() -> None:
    host = Host()
    server = gateway(host)
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(server.serve)
        async with connect(f"ws://{address}/") as one, connect(f"ws://{address}/") as two:
            for client in (one, two):
                assert await client.recv() == "hello"
            assert await server.drain(5, CHANCE) == 0
            for client in (one, two):
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1012
    assert [endpoint.noted[-1] for endpoint in host.endpoints] == [1012, 1012]
    assert server.traffic.closes == {1012: 2}


async def test_while_draining_who_knocks_is_told_503_and_pages_are_answered(autojump_clock: MockClock) -> None:
    server = gateway(Host())
    stays, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, far)
        await stays.send_all(request())
        await wait_all_tasks_blocked()
        nursery.start_soon(server.drain, 10, CHANCE)
        await trio.sleep(1)
        for data, status in ((request(), 503), (b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200)):
            near, far = memory_stream_pair()
            nursery.start_soon(server.serve_stream, far)
            await near.send_all(data)
            assert (await near.receive_some()).startswith(b"HTTP/1.1 %d " % status)
            await near.aclose()
        await stays.aclose()


async def test_closes_are_spread_and_who_does_not_leave_is_cut_off(autojump_clock: MockClock) -> None:
    host = Host()
    server = gateway(host, Caps(5000, 5000, 5000))
    ends = []
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        for _ in range(1000):
            near, far = memory_stream_pair()
            ends.append(near)
            nursery.start_soon(server.serve_stream, far)
            await near.send_all(request())
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        async with trio.open_nursery() as draining:
            cut_off: list[int] = []
            draining.start_soon(drain, server, 4, cut_off)
            await trio.sleep(1)
            closing_now = [end for end in host.endpoints if end.connection._frames.state.value == "closing"]
            assert 300 < len(closing_now) < 700, "half of them, after half of the window"
        assert cut_off == [1000]
        assert trio.current_time() - begun == 4
    assert len(server) == 0
    assert {endpoint.noted[-1] for endpoint in host.endpoints} == {1012}


async def drain(server: GatewayServer, seconds: float, cut_off: list[int]) -> None:
    cut_off.append(await server.drain(seconds, random.Random(3)))


async def test_draining_ends_when_the_last_has_left_whoever_still_knocks(autojump_clock: MockClock) -> None:
    server = gateway(Host())
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            near, far = memory_stream_pair()
            nursery.start_soon(server.serve_stream, far)
            await near.send_all(request())
            nursery.start_soon(leave_after, near, 2.5)
        await wait_all_tasks_blocked()
        nursery.start_soon(knock_after, server, 1.0)
        assert await server.drain(60, CHANCE) == 0
        assert trio.current_time() == 2.5
        nursery.cancel_scope.cancel()


async def leave_after(stream: trio.abc.AsyncResource, seconds: float) -> None:
    await trio.sleep(seconds)
    await stream.aclose()


async def knock_after(server: GatewayServer, seconds: float) -> None:
    await trio.sleep(seconds)
    _, far = memory_stream_pair()
    await server.serve_stream(far)


async def test_an_empty_server_drains_at_once(autojump_clock: MockClock) -> None:
    server = gateway(Host())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        assert await server.drain(60, CHANCE) == 0
    assert trio.current_time() == 0


# --- status pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", DaemonState)
def test_a_process_lives_in_every_state_and_is_ready_when_it_serves(state: DaemonState) -> None:
    pages = StatusPages(lambda: state)
    health, ready = pages.page("/healthz"), pages.page("/readyz")
    assert health is not None
    assert ready is not None
    assert health[0] == 200
    serves = state in (DaemonState.SERVING, DaemonState.COMPACTING)
    assert ready[0] == (200 if serves else 503)
    progress = b',"done":0,"whole":0' if state is DaemonState.RECOVERING else b""
    said = b"true" if serves else b"false", state.value.encode(), progress
    assert ready[2] == b'{"ready":%s,"lifecycle":"%s"%s}' % said
    assert pages.page("/") is None


async def test_a_socket_that_was_inherited_keeps_who_knocks_for_the_next_server() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as held:
        for _ in range(2):
            host = Host()
            server = GatewayServer(
                *("unused", 1, policy(), Deadlines(), Bounds(), ROOM, host.open_endpoint), inherited=[held.dup()]
            )
            async with trio.open_nursery() as nursery:
                (address,) = await nursery.start(server.serve)
                assert address == f"127.0.0.1:{held.getsockname()[1]}"
                async with connect(f"ws://{address}/") as client:
                    assert await client.recv() == "hello"
                    await server.drain(5, CHANCE)
        knocking = await trio.open_tcp_stream(*held.getsockname())
        async with knocking:
            await knocking.send_all(request())
            host = Host()
            server = GatewayServer(
                *("unused", 1, policy(), Deadlines(), Bounds(), ROOM, host.open_endpoint), inherited=[held.dup()]
            )
            async with serving(server):
                assert b"101" in await knocking.receive_some()


async def test_a_drain_in_a_hurry_tells_everybody_at_once_and_waits_no_longer_than_a_moment(
    autojump_clock: MockClock,
) -> None:
    host = Host()
    server = gateway(host, Caps(5000, 5000, 5000))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve)
        ends = []
        for _ in range(1000):
            near, far = memory_stream_pair()
            ends.append(near)
            nursery.start_soon(server.serve_stream, far)
            await near.send_all(request())
        await wait_all_tasks_blocked()
        begun = trio.current_time()
        async with trio.open_nursery() as draining:
            cut_off: list[int] = []
            draining.start_soon(drain, server, 3600, cut_off)
            await trio.sleep(0.1)
            server.hurry()
        assert cut_off == [1000]
        assert trio.current_time() - begun < 1
    assert {endpoint.noted[-1] for endpoint in host.endpoints} == {1012}


async def test_other_terms_hold_for_whoever_comes_from_now_on() -> None:
    server = gateway(Host())
    async with serving(server) as address, connect(f"ws://{address}/") as first:
        assert await first.recv() == "hello"
        server.amend(policy(), Deadlines(), Caps(1, 1, 1))
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://{address}/"):
                pass
        assert refused.value.response.status_code == 503
        await first.send("still here")
        assert await first.recv() == "still here"
