"""A load generator's end of a websocket: raw sockets and hand-made frames, so that it is not the bottleneck.

connection = Connection(address, token)
connection.send([request(7, "session.ping", {})])
connection.take()                                  # the payloads that have arrived
"""

import base64
import json
import os
import socket
from typing import Any

READ_BYTES = 262_144
REFUSED_COMMAND = b'"error":{'
"""In the answer of a batch that was accepted: once for each of its commands that was refused."""

_NO_MASK = bytes(4)
TEXT, PING = 0x81, 0x89
"""How a frame of the server begins: whole, and of which kind."""


class Connection:
    """One authenticated websocket.  A mask of zeros is a mask, and costs nothing to apply."""

    def __init__(self, address: str, token: str) -> None:
        host, _, port = address.removeprefix("ws://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._read()
        head, _, rest = received.partition(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        self._incoming = Incoming()
        greeted = self._incoming.feed(rest)
        while not greeted:
            greeted = self._incoming.feed(self._read())

    def send(self, payloads: list[bytes]) -> None:
        """Send text messages in one write."""
        self.socket.sendall(b"".join(map(framed, payloads)))

    def take(self) -> list[bytes]:
        """Wait for something to arrive; the whole messages that are there then."""
        messages = self._incoming.feed(self._read())
        while self._incoming.pings:
            ping = self._incoming.pings.pop()
            self.socket.sendall(b"\x8a%c" % (0x80 | len(ping)) + _NO_MASK + ping)
        return messages

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """One request and its response, for what is not measured."""
        self.send([request(0, method, params)])
        while True:
            for message in answers(self.take()):
                response: dict[str, Any] = json.loads(message)
                if response.get("id") == 0:
                    return response

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _read(self) -> bytes:
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        return data


class Incoming:
    """What arrives from a server, cut into messages: whole, unmasked frames.  ``pings`` are to be answered."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.pings: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take in some bytes; the messages that are whole now."""
        buffer, at, messages = self._buffer, 0, []
        buffer += data
        whole = len(buffer)
        while whole - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if whole < start + size:
                break
            payload = bytes(buffer[start : start + size])
            if buffer[at] == PING:
                self.pings.append(payload)
            elif buffer[at] == TEXT:
                messages.append(payload)
            at = start + size
        del buffer[:at]
        return messages


def answers(messages: list[bytes]) -> list[bytes]:
    """Without what the daemon says unasked, such as a warning."""
    return [message for message in messages if message[17:21] == b'"id"']


def request(number: int, method: str, params: dict[str, Any]) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def framed(payload: bytes) -> bytes:
    """A text frame of a client around the payload."""
    size = len(payload)
    if size < 126:
        header = b"\x81%c" % (0x80 | size)
    elif size < 65_536:
        header = b"\x81\xfe" + size.to_bytes(2, "big")
    else:
        header = b"\x81\xff" + size.to_bytes(8, "big")
    return header + _NO_MASK + payload


def id_of(message: bytes) -> int:
    """The id of a response; walletd writes it behind the version."""
    return int(message[22 : message.index(b",", 22)])


def is_refused(message: bytes) -> bool:
    """Whether a response is an error."""
    return message.startswith(b'"error"', message.index(b",", 22) + 1)
