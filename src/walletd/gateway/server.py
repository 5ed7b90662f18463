"""The gateway's server: the listening socket, how many may come, and how everybody leaves.

server = GatewayServer(host, port, policy, deadlines, bounds, caps, open_endpoint)
addresses = await nursery.start(server.serve)
await server.drain(seconds, chance)
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import trio

from walletd.gateway.connection import Bounds, Connection, Deadlines, Endpoint
from walletd.gateway.handshake import Handshake
from walletd.gateway.websocket import Policy

SERVICE_RESTART = 1012
JITTER_SECONDS_PER_CONNECTION = 0.002
MAX_JITTER_SECONDS = 2.0
BACKLOG = 1024

_WHY = b"There are too many connections now.\n"
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_WHY), _WHY)
)


class ListenFailed(Exception):
    """The address cannot be listened on; the message says which and what to do."""


@dataclass(frozen=True)
class Caps:
    """How many connections may be open: in all, and from one address."""

    connections: int
    connections_per_address: int


class GatewayServer:
    """Accepts connections and runs each of them."""

    def __init__(
        self,
        host: str,
        port: int,
        policy: Policy,
        deadlines: Deadlines,
        bounds: Bounds,
        caps: Caps,
        open_endpoint: Callable[[Connection, Handshake], Endpoint],
    ) -> None:
        self._host = host
        self._port = port
        self._policy = policy
        self._deadlines = deadlines
        self._bounds = bounds
        self._caps = caps
        self._open_endpoint = open_endpoint
        self._connections: set[Connection] = set()
        self._per_address: dict[str, int] = {}
        self._listening = trio.CancelScope()
        self._emptied = trio.Event()
        self.accepted = 0
        self.refused_full = 0

    def __len__(self) -> int:
        return len(self._connections)

    async def serve(self, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until drained or cancelled; starts with the addresses, as ``host:port``.

        Raises ListenFailed.
        """
        try:
            listeners = await trio.open_tcp_listeners(self._port, host=self._host, backlog=BACKLOG)
        except OSError as error:
            raise ListenFailed(
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}; "
                "stop what uses the port, or take another with --port"
            ) from error
        async with trio.open_nursery() as connections:
            task_status.started([_address(listener.socket.getsockname()) for listener in listeners])
            with self._listening:
                await trio.serve_listeners(self._accept, listeners, handler_nursery=connections)

    async def drain(self, seconds: float, chance: random.Random) -> None:
        """Let nobody in any more, close everybody, spread over a moment, and give up on who is left at the end."""
        self._listening.cancel()
        window = min(MAX_JITTER_SECONDS, JITTER_SECONDS_PER_CONNECTION * len(self._connections), seconds / 2)
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for connection in list(self._connections):
                    nursery.start_soon(_close_later, connection, chance.uniform(0, window))
            while self._connections:
                self._emptied = trio.Event()
                await self._emptied.wait()
        for connection in list(self._connections):
            connection.abort()

    async def _accept(self, stream: trio.SocketStream) -> None:
        self.accepted += 1
        address = _peer(stream)
        if not self._has_room(address):
            self.refused_full += 1
            await _refuse(stream)
            return
        connection = Connection(stream, self._policy, self._deadlines, self._bounds, self._open_endpoint)
        self._connections.add(connection)
        self._per_address[address] = self._per_address.get(address, 0) + 1
        try:
            await connection.run()
        finally:
            self._leave(connection, address)

    def _has_room(self, address: str) -> bool:
        return (
            len(self._connections) < self._caps.connections
            and self._per_address.get(address, 0) < self._caps.connections_per_address
        )

    def _leave(self, connection: Connection, address: str) -> None:
        self._connections.discard(connection)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        if not self._connections:
            self._emptied.set()


async def _close_later(connection: Connection, seconds: float) -> None:
    await trio.sleep(seconds)
    connection.close(SERVICE_RESTART, "the daemon restarts; come back in a moment")


async def _refuse(stream: trio.SocketStream) -> None:
    with trio.move_on_after(1):
        try:
            await stream.send_all(FULL)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass
    await trio.aclose_forcefully(stream)


def _peer(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""


def _address(name: tuple[object, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
