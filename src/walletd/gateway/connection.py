"""A connection: the websocket over a trio stream, with a deadline for everything that a peer can delay.

One task reads, one writes.  ``send`` only queues: however many messages are queued before the writing task runs, it
wakes up once and writes them in one piece.  A peer that does not read is not read from either, and is closed after a
while; one that says nothing is pinged, and given up when it does not answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from walletd.gateway.handshake import Handshake
from walletd.gateway.websocket import FrameProtocol, Policy

READ_BYTES = 65536
WRITE_BYTES = 65536
"""Written at a time: the progress of a slow reader is seen at each of these."""


@dataclass(frozen=True)
class Deadlines:
    """How long a peer may take.  Seconds."""

    handshake_seconds: float = 10
    write_stall_seconds: float = 30
    close_seconds: float = 5
    ping_seconds: float = 20


@dataclass(frozen=True)
class Bounds:
    """How much may be queued for a peer, in bytes: above ``high`` it is not read from, below ``low`` events go on."""

    high: int = 1024 * 1024
    low: int = 64 * 1024


class Endpoint(Protocol):
    """Who speaks on a connection.  Everything is synchronous; ``closed`` is called once, after ``opened``."""

    def opened(self) -> None:
        """The handshake is done."""
        ...

    def received(self, messages: list[bytes]) -> None:
        """All messages of one read."""
        ...

    def drained(self) -> None:
        """Little is queued now."""
        ...

    def slow_close(self) -> tuple[int, str]:
        """The peer reads nothing: the code and the reason to close with."""
        ...

    def closed(self, code: int | None) -> None:
        """The connection is gone."""
        ...


class Connection:
    """One peer, from its first byte to its last."""

    __slots__ = (
        "_bounds",
        "_deadlines",
        "_endpoint",
        "_frames",
        "_is_pinged",
        "_open_endpoint",
        "_queued",
        "_read_on",
        "_scope",
        "_stream",
        "_wake",
        "_writing",
        "_written_at",
        "close_code",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        policy: Policy,
        deadlines: Deadlines,
        bounds: Bounds,
        open_endpoint: Callable[["Connection", Handshake], Endpoint],
    ) -> None:
        self._stream = stream
        self._frames = FrameProtocol(policy)
        self._deadlines = deadlines
        self._bounds = bounds
        self._open_endpoint = open_endpoint
        self._endpoint: Endpoint | None = None
        self._scope = trio.CancelScope()
        self._wake = trio.Event()
        self._read_on: trio.Event | None = None
        self._queued = 0
        self._writing = 0
        self._written_at = 0.0
        self._is_pinged = False
        self.close_code: int | None = None
        """With which code we closed; None where the peer did or the network."""

    # --- for the endpoint ------------------------------------------------------------------------------------------

    @property
    def queued_bytes(self) -> int:
        """How much is queued and not handed to the network yet."""
        return self._queued + self._writing

    def send(self, payload: bytes) -> None:
        """Queue one text message."""
        self._frames.send_text(payload)
        self._queued += len(payload)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close behind what is queued; the peer has some seconds to take it and to answer."""
        if self._frames.is_open:
            self._frames.close(code, reason)
            self._end_soon(code)

    def abort(self) -> None:
        """Give the connection up at once."""
        self._scope.cancel()

    # --- the life of a connection ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the peer until either side is done."""
        try:
            with self._scope:
                self._scope.deadline = trio.current_time() + self._deadlines.handshake_seconds
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    self._wake.set()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            if self._endpoint is not None:
                self._endpoint.closed(self.close_code or self._frames.received_close)
            await trio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        while True:
            data = await self._read_some()
            if data is None:
                continue
            if not data:
                self._frames.receive_eof()
                return
            self._is_pinged = False
            messages = self._frames.receive(data)
            if self._writing:
                self._queued += len(data)  # An upper bound of the pongs that this read gave rise to.
            if self._endpoint is None and self._frames.handshake is not None:
                self._open(self._frames.handshake)
            if messages and self._endpoint is not None:
                self._endpoint.received(messages)
            self._wake.set()
            if self._frames.is_ending:
                self._end_soon(None)

    def _open(self, handshake: Handshake) -> None:
        if self._frames.is_open:
            self._scope.deadline = float("inf")
            self._endpoint = self._open_endpoint(self, handshake)
            self._endpoint.opened()

    async def _read_some(self) -> bytes | None:
        """What the peer sent; None where a timer went off first, or a peer that does not read must wait."""
        tick = min(self._deadlines.ping_seconds, self._deadlines.write_stall_seconds / 2)
        with trio.move_on_after(tick):
            if self.queued_bytes > self._bounds.high:
                self._read_on = trio.Event()
                await self._read_on.wait()
                return None
            return bytes(await self._stream.receive_some(READ_BYTES))
        self._tick()
        return None

    def _tick(self) -> None:
        """Nothing came for a while: see whether the peer is alive and reads."""
        if self._endpoint is None or not self._frames.is_open:
            return
        now = trio.current_time()
        if self._writing:
            if now - self._written_at >= self._deadlines.write_stall_seconds:
                self.close(*self._endpoint.slow_close())
        elif self._is_pinged:
            self.close_code = 1011
            self.abort()
        else:
            self._is_pinged = True
            self._frames.ping()
            self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            data = memoryview(self._frames.data_to_send())
            self._queued = 0
            self._written_at = trio.current_time()
            for start in range(0, len(data), WRITE_BYTES):
                self._writing = len(data) - start
                await self._stream.send_all(data[start : start + WRITE_BYTES])
                self._written_at = trio.current_time()
            self._writing = 0
            self._after_write()
            if self._frames.is_ending and not self._wake.is_set():
                await self._send_eof()
                return

    def _after_write(self) -> None:
        if self._read_on is not None and self.queued_bytes <= self._bounds.high:
            self._read_on.set()
            self._read_on = None
        if self._endpoint is not None and self.queued_bytes <= self._bounds.low:
            self._endpoint.drained()

    async def _send_eof(self) -> None:
        """Everything is said.  The reading task ends when the peer's end comes, or at the deadline."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()

    def _end_soon(self, code: int | None) -> None:
        self.close_code = self.close_code or code
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + self._deadlines.close_seconds)
        self._wake.set()
