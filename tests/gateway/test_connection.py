"""A connection over a stream in memory: batches, back-pressure, and a deadline for everything that a peer can delay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked
from websockets.frames import Opcode

from tests.gateway.wires import (
    Host,
    NotingEndpoint,
    closing,
    frame,
    ping,
    request,
    sent_close,
    sent_frames,
    sent_texts,
    text,
    tick_for_ever,
)
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.connection import Connection
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.gateway.websocket.handshake import FULL
from walletd.vocabulary.sizes import MAX_FRAME_BYTES

KIBIBYTE = 1024


class NotingStream(trio.abc.HalfCloseableStream):
    """A stream that notes each write, and takes one at a time, as a socket does."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self._stream = stream
        self._is_sending = False
        self.writes: list[bytes] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._is_sending
        self._is_sending = True
        self.writes.append(bytes(data))
        await self._stream.send_all(data)
        self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        assert not self._is_sending
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class OneWayStream(trio.abc.Stream):
    """A stream that cannot be closed by halves, as TLS cannot."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


class Peer:
    """The client's end."""

    def __init__(self, stream: trio.abc.Stream, connection: Connection, server_end: NotingStream) -> None:
        self.stream = stream
        self.connection = connection
        self.server_end = server_end

    async def shake(self) -> None:
        await self.stream.send_all(request())
        received = b""
        while not received.endswith(b"\x81\x05hello"):
            received += await self.stream.receive_some()
        assert received.startswith(b"HTTP/1.1 101 ")

    async def until_eof(self) -> bytes:
        received = b""
        async for data in self.stream:
            received += data
        return received


@asynccontextmanager
async def served(host: Host, *, lockstep: bool = False) -> AsyncIterator[Peer]:
    """A connection that runs, and the client's end; left once the connection has ended."""
    near, far = lockstep_stream_pair() if lockstep else memory_stream_pair()
    server_end = NotingStream(far)
    connection = Connection(server_end, host.terms)
    async with trio.open_nursery() as ticking:
        ticking.start_soon(tick_for_ever, connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            yield Peer(near, connection, server_end)
        ticking.cancel_scope.cancel()


# --- messages and batches ------------------------------------------------------------------------------------------


async def test_the_server_speaks_first_then_answers_and_closed_comes_once() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.send_all(text(b"one"))
        assert sent_frames(bytes(await peer.stream.receive_some())) == [(Opcode.TEXT, b"one")]
        await peer.stream.send_all(text(b"two") + closing(1001))
        assert sent_frames(await peer.until_eof()) == [(Opcode.CLOSE, b"\x03\xe9")], "behind a close nothing is sent"
        await peer.stream.aclose()
    assert host.endpoint.noted == ["opened", [b"one"], [b"two"], 1001]
    assert (host.traffic.messages_in, host.traffic.messages_out) == (2, 2)
    assert host.traffic.closes == {1001: 1}


async def test_a_thousand_pipelined_messages_are_answered_in_one_write() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        messages = [b"%d" % number for number in range(1000)]
        peer.server_end.writes.clear()
        await peer.stream.send_all(b"".join(map(text, messages)))
        await wait_all_tasks_blocked()
        (written,) = peer.server_end.writes
        assert sent_texts(written) == messages
        assert host.endpoint.noted == ["opened", messages]
        await peer.stream.aclose()


async def test_what_other_tasks_send_leaves_in_one_write() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        peer.server_end.writes.clear()
        for number in range(100):
            host.endpoint.connection.send(b"%d" % number)
        assert host.endpoint.connection.queued_bytes > 100
        await wait_all_tasks_blocked()
        (written,) = peer.server_end.writes
        assert len(sent_texts(written)) == 100
        assert host.endpoint.connection.queued_bytes == 0
        await peer.stream.aclose()


async def test_bytes_are_counted() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.send_all(text(b"one"))
        await wait_all_tasks_blocked()
        await peer.stream.aclose()
    assert host.traffic.bytes_in == len(request()) + len(text(b"one"))
    assert host.traffic.bytes_out == sum(map(len, peer.server_end.writes))


# --- endings -------------------------------------------------------------------------------------------------------


async def test_a_close_of_ours_comes_behind_what_is_queued_and_waits_for_the_peers() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        host.endpoint.connection.send(b"last")
        host.endpoint.connection.close(4401, "revoked")
        host.endpoint.connection.send(b"dropped")
        host.endpoint.connection.close(1000, "ignored")
        await wait_all_tasks_blocked()
        await peer.stream.send_all(text(b"too late") + closing(4401))
        received = await peer.until_eof()
        assert (sent_texts(received), sent_close(received)) == ([b"last"], 4401)
        await peer.stream.aclose()
    assert host.endpoint.noted == ["opened", 4401]


async def test_a_peer_that_vanishes_is_closed_with_1006() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.aclose()
    assert host.endpoint.noted == ["opened", 1006]
    assert host.traffic.closes == {1006: 1}


async def test_a_peer_that_only_ends_its_half_still_gets_its_answers() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.send_all(text(b"one"))
        assert isinstance(peer.stream, trio.StapledStream)
        await peer.stream.send_eof()
        assert sent_texts(await peer.until_eof()) == [b"one"]
    assert host.endpoint.noted == ["opened", [b"one"], 1006]


async def test_a_cancelled_connection_tells_its_endpoint() -> None:
    host = Host()
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(far, host.terms).run)
        await near.send_all(request())
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert host.endpoint.noted == ["opened", 1006]


async def test_a_fault_in_an_endpoint_closes_its_connection_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.send_all(text(b"fine") + text(b"fault"))
        await peer.stream.send_all(closing(1011))
        received = await peer.until_eof()
        assert (sent_texts(received), sent_close(received)) == ([b"fine"], 1011)
        await peer.stream.aclose()
    assert host.endpoint.noted == ["opened", [b"fine", b"fault"], 1011]
    assert "internal error" in caplog.text


async def test_who_is_turned_away_has_no_endpoint() -> None:
    host = Host()
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(far, host.terms, FULL).run)
        await near.send_all(request())
        received = b"".join([bytes(data) async for data in near])
        assert received.startswith(b"HTTP/1.1 503 ")
        await near.aclose()
    assert host.endpoints == []
    assert host.traffic.refused == {"full": 1}


async def test_the_stream_ends_behind_the_last_write_however_slow_it_is() -> None:
    host = Host()
    near, far = lockstep_stream_pair()
    connection = Connection(NotingStream(far), host.terms, FULL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, request())
        nursery.start_soon(connection.run)
        await wait_all_tasks_blocked()
        connection.close(1012, "")
        await wait_all_tasks_blocked()
        received = b"".join([bytes(data) async for data in near])
        assert received.startswith(b"HTTP/1.1 503 ")
        assert received.endswith(b".\n")
        await near.aclose()


async def test_a_stream_that_has_no_halves_is_closed_whole() -> None:
    host = Host()
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Connection(OneWayStream(far), host.terms).run)
        await near.send_all(request())
        await wait_all_tasks_blocked()
        await near.send_all(closing())
        received = b"".join([bytes(data) async for data in near])
        assert sent_close(received.partition(b"\r\n\r\n")[2]) == 1000
    assert host.endpoint.noted == ["opened", 1000]


# --- deadlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n"])
async def test_a_slow_handshake_is_cut_off(said: bytes, autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.stream.send_all(said)
        assert await peer.until_eof() == b""
    assert 10 <= trio.current_time() <= 12
    assert host.traffic.refused == {"handshake_timeout": 1}


async def test_a_handshake_one_byte_at_a_time_does_not_win_time(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        cut_off = False
        for byte in request():
            try:
                await peer.stream.send_all(bytes([byte]))
            except trio.BrokenResourceError:
                cut_off = True
                break
            await trio.sleep(0.9)
        assert cut_off
    assert trio.current_time() <= 13
    assert host.endpoints == []


async def test_an_idle_peer_is_pinged_and_one_that_answers_stays(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        for _ in range(10):
            assert sent_frames(bytes(await peer.stream.receive_some())) == [(Opcode.PING, b"")]
            await peer.stream.send_all(frame(Opcode.PONG))
        assert trio.current_time() >= 200
        await peer.stream.aclose()


async def test_a_ping_that_is_followed_by_a_long_write_has_all_its_time_behind_it(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        assert sent_frames(bytes(await peer.stream.receive_some())) == [(Opcode.PING, b"")]
        host.endpoint.connection.send(b"x")
        await trio.sleep(25)
        assert sent_texts(bytes(await peer.stream.receive_some())) == [b"x"]
        assert sent_frames(bytes(await peer.stream.receive_some())) == [(Opcode.PING, b"")], "another one"
        await peer.stream.aclose()


async def test_a_silent_peer_is_given_up(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        received = await peer.until_eof()
        assert sent_frames(received)[0] == (Opcode.PING, b"")
        assert sent_close(received) == 1011
    assert 40 <= trio.current_time() <= 50
    assert host.endpoint.noted == ["opened", 1011]


async def test_a_peer_that_is_heard_is_not_pinged(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        for _ in range(10):
            await trio.sleep(15)
            await peer.stream.send_all(ping(b"me"))
            assert sent_frames(bytes(await peer.stream.receive_some())) == [(Opcode.PONG, b"me")]
        await peer.stream.aclose()


async def test_a_peer_that_does_not_answer_our_close_is_cut_off(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        host.endpoint.connection.close(1012, "restart")
        assert sent_close(await peer.until_eof()) == 1012
        assert 5 <= trio.current_time() <= 7
    assert host.endpoint.noted == ["opened", 1012]


async def test_a_peer_that_never_reads_is_closed_by_the_endpoints_code_and_cut_off(autojump_clock: MockClock) -> None:
    host = Host()
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        host.endpoint.connection.send(b"x" * 1000)
    assert 30 <= trio.current_time() <= 37
    assert host.endpoint.noted == ["opened", 4508]
    assert host.traffic.closes == {4508: 1}


async def test_a_peer_that_reads_slowly_but_steadily_stays(autojump_clock: MockClock) -> None:
    host = Host(bounds=Bounds(high=64 * 1024 * KIBIBYTE))
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        payload = b"x" * 1000 * KIBIBYTE
        host.endpoint.connection.send(payload)
        received = b""
        while len(received) < 10 + len(payload):
            await trio.sleep(1)
            received += await peer.stream.receive_some(4 * KIBIBYTE)
        assert trio.current_time() > 200
        assert sent_texts(received) == [payload]
        assert host.endpoint.times_drained <= 2, "only when little is queued"
        host.endpoint.connection.abort()
    assert host.endpoint.noted == ["opened", 1006]


# --- back-pressure -------------------------------------------------------------------------------------------------


async def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    host = Host(bounds=Bounds(high=10 * KIBIBYTE, low=KIBIBYTE))
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        await wait_all_tasks_blocked()
        host.endpoint.connection.send(b"x" * 11 * KIBIBYTE)
        with trio.move_on_after(0.1):
            for _ in range(1000):
                await peer.stream.send_all(text(b"y" * KIBIBYTE))
        assert host.endpoint.connection.queued_bytes < 30 * KIBIBYTE
        assert host.endpoint.times_drained == 1, "after hello"
        host.endpoint.connection.abort()


async def test_a_peer_that_reads_again_is_read_from_again_and_the_endpoint_is_told() -> None:
    host = Host(bounds=Bounds(high=10 * KIBIBYTE, low=KIBIBYTE))
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        host.endpoint.connection.send(b"x" * 11 * KIBIBYTE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream.send_all, text(b"one") + text(b"two"))
            received = b""
            while not received.endswith(b"two"):
                received += await peer.stream.receive_some()
        assert sent_texts(received) == [b"x" * 11 * KIBIBYTE, b"one", b"two"]
        await wait_all_tasks_blocked()
        assert host.endpoint.times_drained >= 2
        await peer.stream.aclose()
    assert host.endpoint.connection.queued_bytes == 0


async def test_an_endpoint_that_sends_without_measure_is_closed_as_slow() -> None:
    host = Host(bounds=Bounds(most=100 * KIBIBYTE))
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        for _ in range(1000):
            host.endpoint.connection.send(b"x" * KIBIBYTE)
        assert host.endpoint.connection.queued_bytes < 110 * KIBIBYTE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream.send_all, closing(4508))
            assert sent_close(await peer.until_eof()) == 4508
        await peer.stream.aclose()


async def test_one_message_that_is_larger_than_any_bound_is_sent_and_what_comes_behind_it_is_measured() -> None:
    host = Host(bounds=Bounds(most=100 * KIBIBYTE, low=KIBIBYTE))
    large = b"x" * (MAX_FRAME_BYTES + 1)
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        for _ in range(2):
            host.endpoint.connection.send(large)
            host.endpoint.connection.send(b"one")
            received = b""
            while not sent_texts(received)[1:]:
                received += await peer.stream.receive_some()
            assert sent_texts(received) == [large, b"one"]
            await wait_all_tasks_blocked()
        for _ in range(1000):
            host.endpoint.connection.send(b"x" * KIBIBYTE)
        assert host.endpoint.connection.queued_bytes < 110 * KIBIBYTE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream.send_all, closing(4508))
            assert sent_close(await peer.until_eof()) == 4508
        await peer.stream.aclose()


async def test_an_idle_connection_keeps_nothing_of_what_it_read_and_wrote() -> None:
    host = Host()
    async with served(host) as peer:
        await peer.shake()
        await peer.stream.send_all(text(b"x" * 200 * KIBIBYTE))
        await wait_all_tasks_blocked()
        assert len(sent_texts(bytes(await peer.stream.receive_some(1024 * KIBIBYTE)))) == 1
        assert isinstance(host.endpoint, NotingEndpoint)
        frames = host.endpoint.connection._frames
        assert isinstance(frames, FrameProtocol)
        assert (len(frames._tail), len(frames._writes), frames.pending_bytes) == (0, 0, 0)
        await peer.stream.aclose()


async def test_deadlines_are_the_hosts_to_set(autojump_clock: MockClock) -> None:
    host = Host(deadlines=Deadlines(handshake_seconds=2))
    async with served(host) as peer:
        assert await peer.until_eof() == b""
    assert trio.current_time() <= 4


async def test_a_connection_shows_its_state_and_what_is_queued() -> None:
    host = Host()
    async with served(host, lockstep=True) as peer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
        connection = host.endpoint.connection
        await wait_all_tasks_blocked()
        assert repr(connection) == "<Connection open, <Outbox idle, 0 bytes>>"
        connection.send(b"one")
        assert repr(connection) == "<Connection open, <Outbox queued, 5 bytes>>"
        await wait_all_tasks_blocked()
        assert repr(connection) == "<Connection open, <Outbox writing, 5 bytes>>"
        await peer.stream.receive_some()
        await peer.stream.aclose()
