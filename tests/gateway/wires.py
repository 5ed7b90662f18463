"""What the gateway's tests share: a policy, requests and frames of clients, and an endpoint that notes all."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import trio
from websockets.frames import Close, Frame, Opcode

from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.connection import Connection, Endpoint, Terms
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.outbox import Flusher
from walletd.gateway.network.places import Caps, Places
from walletd.gateway.network.readiness import NO_PASSES, Readiness
from walletd.gateway.websocket.frames import FrameProtocol, State
from walletd.gateway.websocket.handshake import LOOPBACK_HOSTS, Handshake, Policy

TOKEN = "let-me-in"
LIMIT = 4096


def page(path: str) -> tuple[int, Mapping[str, str], bytes] | None:
    pages = {"/healthz": (200, b'{"alive":true}'), "/readyz": (503, b'{"ready":false}')}
    found = pages.get(path)
    return None if found is None else (found[0], {"Content-Type": "application/json"}, found[1])


def policy(*, is_draining: bool = False, compresses: bool = False, max_message_bytes: int = LIMIT) -> Policy:
    return Policy(
        allowed_hosts=LOOPBACK_HOSTS | {"wallets.example"},
        allowed_origins=frozenset({"https://shop.example"}),
        max_message_bytes=max_message_bytes,
        page=page,
        admits=lambda token: token == TOKEN,
        is_draining=lambda: is_draining,
        compresses=compresses,
        answers_requests=True,
    )


def request(headers: Mapping[str, str | None] = {}, line: str = "GET / HTTP/1.1") -> bytes:
    """A websocket handshake; a header given as None is left out."""
    fields: dict[str, str | None] = {
        "Host": "localhost:7878",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": base64.b64encode(b"sixteen bytes ok").decode(),
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def bearer(token: str) -> str:
    """A token as a browser carries it."""
    return "walletd.bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


def text(data: bytes) -> bytes:
    return frame(Opcode.TEXT, data)


def ping(data: bytes = b"") -> bytes:
    return frame(Opcode.PING, data)


def closing(code: int = 1000) -> bytes:
    return frame(Opcode.CLOSE, Close(code, "").serialize())


def opened(clock: Callable[[], float] = lambda: 0.0, **words: Any) -> FrameProtocol:
    """A protocol whose handshake is done."""
    frames = FrameProtocol(policy(**words), clock=clock)
    assert frames.receive(request()) == []
    assert frames.data_to_send().startswith(b"HTTP/1.1 101 ")
    assert frames.state is State.OPEN
    return frames


def sent_frames(data: bytes) -> list[tuple[Opcode, bytes]]:
    """What a server wrote, frame by frame."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        found.append((Opcode(data[0] & 0x0F), data[start : start + size]))
        data = data[start + size :]
    return found


def sent_texts(data: bytes) -> list[bytes]:
    return [payload for opcode, payload in sent_frames(data) if opcode is Opcode.TEXT]


def sent_close(data: bytes) -> int | None:
    """The code of the close frame in what a server wrote."""
    codes = [int.from_bytes(payload[:2], "big") for opcode, payload in sent_frames(data) if opcode is Opcode.CLOSE]
    assert len(codes) <= 1
    return codes[0] if codes else None


class NotingEndpoint:
    """Echoes, and notes what it was told."""

    payer = None
    is_busy = False

    def __init__(self, connection: Connection, handshake: Handshake) -> None:
        self.connection = connection
        self.handshake = handshake
        self.noted: list[object] = []
        self.times_drained = 0

    def opened(self) -> None:
        self.noted.append("opened")
        assert self.connection.take_place("someone", has_reserve=False) is None
        self.connection.send(b"hello")

    def received(self, messages: list[bytes]) -> None:
        self.noted.append(messages)
        for message in messages:
            if message == b"fault":
                raise ValueError("a fault of ours")
            self.connection.send(message)

    def drained(self) -> None:
        self.times_drained += 1

    def slow_close(self) -> tuple[int, str]:
        return 4508, "slow consumer; last sequence 7"

    def closed(self, code: int) -> None:
        self.noted.append(code)


class Host:
    """Terms for connections whose endpoints note all."""

    def __init__(self, deadlines: Deadlines | None = None, bounds: Bounds | None = None) -> None:
        self.endpoints: list[NotingEndpoint] = []
        self.traffic = TrafficCounters()
        self.terms = Terms(
            policy(max_message_bytes=1024 * 1024),
            deadlines or Deadlines(),
            bounds or Bounds(),
            self.open_endpoint,
            self.traffic,
            Flusher(),
            Readiness(NO_PASSES),
            Places(Caps(100, 100, 100), self.traffic),
            lambda peer: None,
        )

    def open_endpoint(self, connection: Connection, handshake: Handshake) -> Endpoint:
        self.endpoints.append(NotingEndpoint(connection, handshake))
        return self.endpoints[-1]

    @property
    def endpoint(self) -> NotingEndpoint:
        (endpoint,) = self.endpoints
        return endpoint


async def tick_for_ever(connection: Connection) -> None:
    """What a server does for its connections."""
    while True:
        await trio.sleep(1)
        connection.tick(trio.current_time())
