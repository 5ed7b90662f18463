"""A load generator's end of a websocket: raw sockets and hand-made frames, so that it is not the bottleneck.

connection = Connection(address, token)
connection.send([request(7, "session.ping", {})])
connection.take()                                  # the payloads that have arrived
"""

import base64
import json
import os
import socket
import struct
from typing import Any

READ_BYTES = 262_144


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
        self._buffer = bytearray(rest)
        while not self.take_buffered():
            self._buffer += self._read()

    def send(self, payloads: list[bytes]) -> None:
        """Send text messages in one write."""
        self.socket.sendall(b"".join(_framed(payload) for payload in payloads))

    def take(self) -> list[bytes]:
        """Wait for something to arrive; the whole messages that are there then."""
        self._buffer += self._read()
        return self.take_buffered()

    def take_buffered(self) -> list[bytes]:
        """The whole messages that have arrived already."""
        buffer, at, messages = self._buffer, 0, []
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            messages.append(bytes(buffer[start : start + size]))
            at = start + size
        del buffer[:at]
        return messages

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """One request and its response, for what is not measured."""
        self.send([request(0, method, params)])
        while True:
            for message in self.take():
                if not message.startswith(b"{"):
                    continue  # A ping.
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


def request(number: int, method: str, params: dict[str, Any]) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def _framed(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", 0x81, 0x80 | size)
    elif size < 65_536:
        header = struct.pack("!BBH", 0x81, 0xFE, size)
    else:
        header = struct.pack("!BBQ", 0x81, 0xFF, size)
    return header + bytes(4) + payload
