"""Hostile clients, each a process of its own: what the daemon must stand while others are served.

    python bench/attackers.py slow_loris 127.0.0.1 7878 TOKEN      # goes on until its stdin ends

They come from 127.0.0.2, so that the daemon counts them as another address than the honest clients.
"""

import base64
import contextlib
import json
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

SOURCE = ("127.0.0.2", 0)
PATIENCE_SECONDS = 0.05
MASK = bytes(4)


class Target(NamedTuple):
    """Where the daemon is, and a token that it takes."""

    host: str
    port: int
    token: str

    def knock(self) -> socket.socket:
        """A connection that says nothing yet."""
        return socket.create_connection((self.host, self.port), timeout=10, source_address=SOURCE)

    def enter(self, *, is_guest: bool = False, deflates: bool = False) -> socket.socket:
        """An open websocket.  Raises OSError where the daemon does not let us in."""
        lines = [
            "GET / HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if not is_guest:
            lines.append(f"Authorization: Bearer {self.token}")
        if deflates:
            lines.append("Sec-WebSocket-Extensions: permessage-deflate")
        peer = self.knock()
        peer.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = peer.recv(4096)
            if not data:
                raise ConnectionError("the daemon hung up")
            head += data
        if b" 101 " not in head.partition(b"\r\n")[0]:
            peer.close()
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        return peer


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """One masked frame; a mask of zeros is a mask."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, 0x80 | size) + MASK + payload
    if size < 65536:
        return struct.pack("!BBH", first, 0xFE, size) + MASK + payload
    return struct.pack("!BBQ", first, 0xFF, size) + MASK + payload


def request(number: int, method: str, **params: object) -> bytes:
    """A request as a frame."""
    document = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return frame(json.dumps(document).encode())


def pour(peer: socket.socket, data: bytes, times: int) -> None:
    """Send as long as the daemon takes it, and look away from what it says; never waits long."""
    peer.settimeout(1)
    for _ in range(times):
        peer.sendall(data)
        while select.select([peer], [], [], 0)[0]:
            if not peer.recv(65536):
                return


# --- the attacks: each yields after a wave, and is begun anew when the daemon cuts it off ---------------------------


def slow_loris(target: Target) -> Iterator[None]:
    """Handshakes that come one byte at a time and never end."""
    peers = [target.knock() for _ in range(100)]
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 5000
    for at in range(len(head)):
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send(head[at : at + 1])
        time.sleep(PATIENCE_SECONDS)
        yield


def slow_posts(target: Target) -> Iterator[None]:
    """Requests over HTTP whose announced body comes one byte at a time and never ends."""
    head = f"POST /v1/rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {target.token}\r\nContent-Length: 200000"
    peers = [target.knock() for _ in range(100)]
    for peer in peers:
        peer.sendall(head.encode() + b"\r\n\r\n" + b" " * 100_000)
    for _ in range(5000):
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.send(b" ")
        time.sleep(PATIENCE_SECONDS)
        yield


def connection_flood(target: Target) -> Iterator[None]:
    """As many connections as there are, each asking for a websocket, kept or thrown away."""
    kept = []
    for number in range(400):
        with contextlib.suppress(OSError):
            peer = target.enter(is_guest=True)
            if number % 2:
                kept.append(peer)
            else:
                peer.close()
        yield


def half_open(target: Target) -> Iterator[None]:
    """Connections that say nothing, or end their half at once."""
    peers = []
    for number in range(300):
        peer = target.knock()
        if number % 2:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
        peers.append(peer)
        yield


def ping_flood(target: Target) -> Iterator[None]:
    """Pings as fast as they go."""
    pour(target.enter(), frame(b"p" * 125, 0x89) * 500, 50)
    yield


def fragment_flood(target: Target) -> Iterator[None]:
    """A message that goes on for ever in empty frames."""
    peer = target.enter()
    peer.sendall(frame(b"", 0x01))
    pour(peer, frame(b"", 0x00) * 2000, 50)
    yield


def tebibyte_header(target: Target) -> Iterator[None]:
    """A frame that announces a tebibyte."""
    peer = target.enter()
    peer.sendall(struct.pack("!BBQ", 0x81, 0xFF, 2**40) + MASK)
    pour(peer, b"x" * 65536, 50)
    yield


def deflate_bomb(target: Target) -> Iterator[None]:
    """A few hundred kilobytes that unfold to 200 MB."""
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(deflate.compress(bytes(1_000_000)) for _ in range(200)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    while True:
        pour(target.enter(deflates=True), frame(bomb[:-4], 0xC1), 1)
        yield


BOMBS = [
    b"[" * 100_000,
    b'{"a":' * 40_000,
    b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
    b'{"jsonrpc":"2.0","id":' + b"9" * 100_000 + b',"method":"session.ping"}',
    b'{"jsonrpc":"2.0","id":1e999999999,"method":"session.ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{'
    + b",".join(b'"k%d":0' % n for n in range(15_000))
    + b"}}",
    b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 250_000 + b'"}',
    b'{"jsonrpc":"2.0","id":1,"method":"transfer.post","params":{"command_id":"x","postings":['
    + b",".join([b'{"from":"a","to":"b","asset":"EUR","amount":"' + b"9" * 900 + b'"}'] * 200)
    + b"]}}",
    b'"' + b"\\u0000" * 40_000 + b'"',
]


def json_bombs(target: Target) -> Iterator[None]:
    """Documents that are deep, long or wide, from somebody with a token."""
    peer = target.enter()
    while True:
        for bomb in BOMBS:
            pour(peer, frame(bomb), 2)
            yield


def never_reads(target: Target) -> Iterator[None]:
    """Asks for every page and every event, and reads nothing."""
    peers = []
    for _ in range(20):
        peer = target.enter()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE_SECONDS)
        peers.append(peer)
    pages = request(1, "stream.subscribe", all=True, after=0) + request(2, "entry.list", limit=100) * 200
    while True:
        for peer in peers:
            with contextlib.suppress(TimeoutError):
                peer.sendall(pages)
            yield


def unfinished_messages(target: Target) -> Iterator[None]:
    """Messages of nearly the largest size, whose last byte never comes."""
    peers, whole = [], frame(b" " * 250_000)
    for _ in range(400):
        peer = target.enter(is_guest=True)
        peer.sendall(whole[:-1])
        peers.append(peer)
        yield


def request_flood(target: Target) -> Iterator[None]:
    """Requests as fast as they go, whatever the answers say."""
    peer = target.enter()
    many = request(1, "session.ping") * 200
    while True:
        pour(peer, many, 1)
        yield


def guessed_tokens(target: Target) -> Iterator[None]:
    """Tokens tried one after the other."""
    peer = target.enter(is_guest=True)
    while True:
        pour(peer, request(1, "session.authenticate", token="walletd_" + os.urandom(8).hex()) * 50, 1)
        yield


ATTACKS: dict[str, Callable[[Target], Iterator[None]]] = {
    attack.__name__: attack
    for attack in (
        slow_loris,
        slow_posts,
        connection_flood,
        half_open,
        ping_flood,
        fragment_flood,
        tebibyte_header,
        deflate_bomb,
        json_bombs,
        never_reads,
        unfinished_messages,
        request_flood,
        guessed_tokens,
    )
}

COUNTED_BY: dict[str, tuple[str, ...]] = {
    "slow_loris": ('walletd_connections_refused_total{reason="handshake_timeout"}',),
    "slow_posts": ('walletd_connections_refused_total{reason="handshake_timeout"}',),
    "connection_flood": ("walletd_guests_dropped_total", 'walletd_connections_refused_total{reason="full"}'),
    "half_open": ('walletd_connections_refused_total{reason="gone"}',),
    "ping_flood": ('walletd_connections_closed_total{close_code="4529"}',),
    "fragment_flood": ('walletd_connections_closed_total{close_code="1009"}',),
    "tebibyte_header": ('walletd_connections_closed_total{close_code="1009"}',),
    "deflate_bomb": ('walletd_connections_closed_total{close_code="1009"}',),
    "json_bombs": ("walletd_messages_received_total",),
    "never_reads": (
        'walletd_connections_closed_total{close_code="4508"}',
        'walletd_connections_closed_total{close_code="1013"}',
    ),
    "unfinished_messages": ("walletd_connections_cut_off_total",),
    "request_flood": ("walletd_requests_rate_limited_total", "walletd_rate_warnings_total"),
    "guessed_tokens": ("walletd_requests_rate_limited_total",),
}
"""Where the metrics show it: one of these grows."""


def main() -> None:
    """Attack until stdin ends."""
    name, host, port, token = sys.argv[1:]
    target = Target(host, int(port), token)
    print("ready", flush=True)
    while True:
        with contextlib.suppress(OSError):
            for _ in ATTACKS[name](target):
                if select.select([sys.stdin], [], [], 0)[0]:
                    return
        if select.select([sys.stdin], [], [], PATIENCE_SECONDS)[0]:
            return


if __name__ == "__main__":
    main()
