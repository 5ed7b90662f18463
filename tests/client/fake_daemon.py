"""A daemon of a few lines, for the client to talk to: it notes what it is sent and answers as the test says.

    daemon.answers["wallet.get"] = lambda link, request: link.reply(request, {...})
    await daemon.received(2)                    # two requests have come in, over all connections
    daemon.links[-1].close(1012, "restart")

It stands on the Sans-I/O ``websockets.server.ServerProtocol``, over memory streams or over real sockets.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import trio
from trio.testing import memory_stream_pair
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

Answer = Callable[["FakeLink", dict[str, Any]], None]

TIME = "2030-01-31T12:00:00Z"


def hello(**changes: Any) -> dict[str, Any]:
    """The daemon's first words."""
    return {
        "protocol": "1",
        "server_version": "0.1.0",
        "instance": "fake",
        "epoch": 1,
        "lifecycle": "serving",
        "connection": "c1",
        "auth": {"required": False, "methods": []},
        "limits": {"max_frame_bytes": 65536, "max_in_flight": 100, "max_subscriptions": 10},
        "features": [],
        "heartbeat_ms": 10000,
        "a_field_of_a_later_version": True,
        **changes,
    }


def applied(sequence: int, **changes: Any) -> dict[str, Any]:
    """The result of a command."""
    return {"sequence": sequence, "time": TIME, "entry_hash": "00", "balances": [], "later": 1, **changes}


def entry(sequence: int) -> dict[str, Any]:
    """A journal entry: a wallet was opened."""
    command = {"method": "wallet.open", "command_id": f"c{sequence}", "wallet": f"w{sequence}"}
    return {"sequence": sequence, "time": TIME, "principal": "operator", "command": command, "effects": {}}


class FakeLink:
    """One connection, as the fake daemon holds it."""

    def __init__(self, daemon: "FakeDaemon", stream: trio.abc.Stream) -> None:
        self.daemon = daemon
        self.authorization: str | None = None
        self.reads = 0
        self._stream = stream
        self._protocol = ServerProtocol(subprotocols=["walletd.v1"])  # type: ignore[list-item]
        self._work = trio.Event()
        self._is_dropped = False
        self.is_silent = False

    def send(self, message: dict[str, Any]) -> None:
        """One message of the daemon."""
        self._protocol.send_text(msgspec.json.encode({"jsonrpc": "2.0", **message}))
        self._work.set()

    def reply(self, request: dict[str, Any], result: Any) -> None:
        """The request succeeded."""
        self.send({"id": request["id"], "result": result})

    def fail(self, request: dict[str, Any], code: int, reason: str, **data: Any) -> None:
        """The request failed."""
        data = {"reason": reason, "outcome": "not_applied", "retry": "never", **data}
        self.send({"id": request["id"], "error": {"code": code, "message": f"{reason}!", "data": data}})

    def event(self, subscription: int, sequence: int, previous: int, epoch: int = 1) -> None:
        """An event of a stream."""
        params = {
            "subscription": subscription,
            "epoch": epoch,
            "sequence": sequence,
            "previous_sequence": previous,
            "entry": entry(sequence),
        }
        self.send({"method": "stream.event", "params": params})

    def close(self, code: int, reason: str = "") -> None:
        """Close with a close frame."""
        self._protocol.send_close(code, reason)
        self._work.set()

    def fall_silent(self) -> None:
        """Die unnoticed, as behind a firewall that forgot the connection: nothing is heard, said or closed any more."""
        self.is_silent = True

    def drop(self) -> None:
        """Vanish without a word."""
        self._is_dropped = True
        self._work.set()

    async def serve(self) -> None:
        """Until either side ends it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                while not self._is_dropped:
                    self._work = trio.Event()
                    for piece in self._protocol.data_to_send():
                        if piece:
                            await self._stream.send_all(piece)
                        else:
                            self._is_dropped = True
                    if not self._is_dropped:
                        await self._work.wait()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        while data := await self._stream.receive_some():
            self.reads += 1
            if self.is_silent:
                continue
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._admit(event)
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    self.daemon.heard(self, msgspec.json.decode(event.data))
            self._work.set()
        self.drop()

    def _admit(self, request: Request) -> None:
        self.authorization = request.headers.get("Authorization")
        if self.daemon.http_status is not None:
            self._protocol.send_response(self._protocol.reject(self.daemon.http_status, "not you"))
            return
        self._protocol.send_response(self._protocol.accept(request))
        if self.daemon.close_at_once is not None:
            self.close(*self.daemon.close_at_once)
        elif self.daemon.hello is not None:
            self.send({"method": "hello", "params": self.daemon.hello})


class FakeDaemon:
    """All connections, all requests, and how they are answered."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.links: list[FakeLink] = []
        self.requests: list[dict[str, Any]] = []
        self.answers: dict[str, Answer] = {}
        self.hello: dict[str, Any] | None = hello()
        self.http_status: int | None = None
        self.close_at_once: tuple[int, str] | None = None
        self.is_down = False
        self.swallows = False
        """Whether attempts to connect are neither answered nor refused."""
        self._news = trio.Event()

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Connect over a memory stream."""
        await trio.lowlevel.checkpoint()
        if self.swallows:
            await trio.sleep_forever()
        if self.is_down:
            raise ConnectionRefusedError("no daemon listens")
        near, far = memory_stream_pair()
        self.nursery.start_soon(self.serve, far)
        return near

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection."""
        link = FakeLink(self, stream)
        self.links.append(link)
        self._news.set()
        await link.serve()

    async def listen(self) -> str:
        """Listen on loopback; returns the address."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.nursery.start_soon(trio.serve_listeners, self.serve, listeners)
        return f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    async def received(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many requests have come in; all of them."""
        while len(self.requests) < count:
            self._news = trio.Event()
            await self._news.wait()
        return self.requests

    def heard(self, link: FakeLink, request: dict[str, Any]) -> None:
        """A request came in."""
        self.requests.append(request)
        self._news.set()
        answer = self.answers.get(request["method"])
        if answer is not None:
            answer(link, request)
