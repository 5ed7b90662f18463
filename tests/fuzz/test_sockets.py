"""Malformed input over real connections: a real daemon answers each, closes with the right code, and serves on.

A tenth of what is tried in memory; most of it requests, of which many share a connection, the rest frames, for each
of which a connection is made.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import trio
from websockets.frames import Opcode

from tests.contract.witness import published
from tests.daemon.process import Client, Daemon, furnish, posted, transfer
from tests.fuzz import inputs
from tests.fuzz.oracle import PINGS_AT_ONCE, Reading, read
from tests.fuzz.search import INPUTS, SEED
from tests.gateway.wires import request as handshake
from tests.gateway.wires import sent_frames, text

ON_SOCKETS = INPUTS // 10
FRAMES = ON_SOCKETS // 8
REQUESTS = ON_SOCKETS - FRAMES
AT_ONCE = 40
WORKERS = 4
LIMIT = 256 * 1024
PATIENCE_SECONDS = 60


class Raw:
    """A connection whose client is a stranger to the protocol."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.received = b""

    @classmethod
    async def open(cls, daemon: Daemon) -> "Raw":
        """A websocket that has heard hello."""
        port = int(daemon.url.rpartition(":")[2])
        raw = cls(await trio.open_tcp_stream("127.0.0.1", port))
        await raw.stream.send_all(handshake({"Host": "127.0.0.1", "Authorization": f"Bearer {daemon.token}"}))
        while b"\r\n\r\n" not in raw.received:
            assert await raw.read()
        head, _, raw.received = raw.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        await raw.frames_until(lambda frames: len(frames) >= 1)  # hello, and perhaps a notice
        raw.received = b""
        return raw

    async def read(self) -> bool:
        """One read; False at the end."""
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            return False
        self.received += data
        return bool(data)

    async def frames_until(self, is_enough: Any) -> list[tuple[Opcode, bytes]]:
        """What was received, frame by frame, once that is enough or the end."""
        with trio.fail_after(PATIENCE_SECONDS):
            while not is_enough(whole_frames(self.received)) and await self.read():
                pass
        return whole_frames(self.received)


def whole_frames(data: bytes) -> list[tuple[Opcode, bytes]]:
    """The frames of a server, without the last one where it is not whole."""
    end = 0
    while len(data) - end >= 2:
        more = {126: 2, 127: 8}.get(data[end + 1], 0)
        if len(data) < end + 2 + more:
            break
        size = int.from_bytes(data[end + 2 : end + 2 + more], "big") if more else data[end + 1]
        if len(data) < end + 2 + more + size:
            break
        end += 2 + more + size
    return sent_frames(data[:end])


async def try_requests(daemon: Daemon, texts: list[bytes]) -> int:
    """Send texts at once over one connection: each is answered once, as the contract has it; how many were."""
    raw = await Raw.open(daemon)
    await raw.stream.send_all(b"".join(map(text, texts)))
    frames = await raw.frames_until(lambda frames: len(_answers(frames)) >= len(texts))
    answers = _answers(frames)
    assert len(answers) == len(texts), (len(answers), len(texts), frames[-1:])
    for answer in answers:
        if "error" in answer:
            assert not published().faults("error", answer), answer
            assert answer["error"]["data"]["reason"] != "internal_error", answer
    await raw.stream.aclose()
    return len(answers)


def _answers(frames: list[tuple[Opcode, bytes]]) -> list[dict[str, Any]]:
    messages = [json.loads(payload) for opcode, payload in frames if opcode is Opcode.TEXT]
    return [message for message in messages if "method" not in message]


async def try_frames(daemon: Daemon, data: bytes) -> None:
    """Send bytes and then nothing: the daemon reads them as the RFC does, and answers whatever text was whole."""
    expected = read(data, LIMIT)
    if _depends_on_the_clock(data):
        return
    raw = await Raw.open(daemon)
    try:
        await raw.stream.send_all(data)
    except trio.BrokenResourceError:
        assert expected.closed is not None
    if expected.closed is None:
        frames = await raw.frames_until(lambda frames: len(_answers(frames)) >= len(expected.messages))
        assert len(_answers(frames)) == len(expected.messages), data
        assert all(opcode is not Opcode.CLOSE for opcode, _ in frames), data
    else:
        frames = await raw.frames_until(lambda frames: any(opcode is Opcode.CLOSE for opcode, _ in frames))
        codes = [payload[:2] for opcode, payload in frames if opcode is Opcode.CLOSE]
        assert codes == [expected.closed[:2]], f"{data!r}: {codes}, where it ought to be {expected.code}"
    await trio.aclose_forcefully(raw.stream)


def _depends_on_the_clock(data: bytes) -> bool:
    """Whether pings come as fast as the daemon's clock just lets them."""
    reading: Reading = read(data, LIMIT)
    return (
        reading.code == 4529 or len(reading.pongs) > PINGS_AT_ONCE // 2 or b"daemon.drain" in b"".join(reading.messages)
    )


@pytest.mark.timeout(0)
async def test_a_daemon_outlives_whatever_is_sent_to_it(tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} sockets")
    environment = {"WALLETD_MAX_CONNECTIONS_PER_ADDRESS": "5000"}
    with Daemon(tmp_path / "data", environment=environment) as daemon, daemon.client() as honest:
        furnish(honest, "honest", "shop", amount=1_000_000)
        answered = [0, 0]

        def texts(number: int) -> list[bytes]:
            made: list[bytes] = []
            while len(made) < AT_ONCE:
                text = inputs.with_its_own_id(inputs.request(chance), number + len(made))
                if _is_utf8(text) and not _is_the_operators(text):
                    made.append(text)
            return made

        async def work(worker: int) -> None:
            for number in range(worker * AT_ONCE, REQUESTS, WORKERS * AT_ONCE):
                count = await try_requests(daemon, texts(number))
                answered[0] += count
                if not worker:  # An honest client is served meanwhile, and reads what it is told of compactions.
                    await trio.to_thread.run_sync(honest.call, "session.ping")
            for _ in range(worker, FRAMES, WORKERS):
                await try_frames(daemon, inputs.frames(chance))
                answered[1] += 1

        async with trio.open_nursery() as nursery:
            for worker in range(WORKERS):
                nursery.start_soon(work, worker)
        assert answered[0] >= REQUESTS, f"seed {SEED!r}"
        assert answered[1] == FRAMES
        assert_it_serves(honest)
        log = daemon.log()
        assert "Traceback" not in log, log[-3000:]
        assert "fault" not in log, log[-3000:]


def assert_it_serves(honest: Client) -> None:
    """An honest client finds everything as it left it, and the books in order."""
    honest.call("transfer.post", **transfer("honest", "honest", "shop", 1))
    assert posted(honest, "honest") == 1_000_000 - 1
    assert posted(honest, "shop") == 1_000_000 + 1
    assert honest.call("daemon.audit")["violations"] == []


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return len(text) < LIMIT


def _is_the_operators(text: bytes) -> bool:
    """Whether it might have the daemon end, or say less."""
    return any(name in text for name in (b"daemon.drain", b"daemon.log_level", b"daemon.report"))
