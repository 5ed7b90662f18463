"""The outgoing half of a connection: the frames queued for a peer, and the ways to write them.

    outbox = Outbox(stream, frames, bounds, traffic, flusher, owner)
    nursery.start_soon(outbox.run)
    outbox.send(payload)                                # only queues; False if the peer has let too much pile up

All messages queued in one pass of the event loop are written in one piece:

- corked, while the owner handles a read: the owner flushes when it is done;
- on a plain socket the server's one flusher passes the queues of all peers to the kernel, as far as that accepts them
  at once; the task ``run`` writes only the rest;
- on any other stream ``run`` writes everything.

Waiting holds no data: the outbox of an idle connection is empty.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from walletd.gateway.http.exchange import RpcExchange
from walletd.gateway.network.bounds import Bounds
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.socket_stream import SocketStream
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.vocabulary.sizes import MAX_FRAME_BYTES

WRITE_BYTES = 65536
"""The bytes written at a time: a slow reader's progress is visible at each of these."""

log = logging.getLogger(__name__)


class Owner(Protocol):
    """The connection that an outbox belongs to."""

    def written(self, queued_bytes: int) -> None:
        """The peer accepted something; this much is left."""
        ...

    def abort(self) -> None:
        """The peer is gone."""
        ...


class Flusher:
    """Writes for all the connections that have something to send, in the pass of one task instead of one for each."""

    def __init__(self, is_silenced: Callable[[], bool] | None = None) -> None:
        """``is_silenced`` says whether nothing may be sent any more, whatever is queued; None: that never happens."""
        self.is_silenced = is_silenced
        self._waiting: list[Outbox] = []
        self._wake = trio.Event()

    def add(self, outbox: "Outbox") -> None:
        """Flush the outbox once the task that runs now has queued everything."""
        self._waiting.append(outbox)
        self._wake.set()

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            self.flush()

    def flush(self) -> None:
        """Flush now, when nothing else is to be sent in this pass."""
        waiting, self._waiting = self._waiting, []
        for outbox in waiting:
            try:
                outbox.flush()
            except Exception:
                log.exception("connection closed after an internal error")
                outbox.abort()


class Outbox:
    """The queue for one peer.  ``is_corked``: the owner flushes by itself, so that a message need not cause it."""

    __slots__ = (
        "_bounds",
        "_flusher",
        "_frames",
        "_is_flushed_soon",
        "_oversize",
        "_owner",
        "_stream",
        "_traffic",
        "_wake",
        "is_corked",
        "last_progress",
        "unsent",
        "writing",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        frames: FrameProtocol,
        bounds: Bounds,
        traffic: TrafficCounters,
        flusher: Flusher,
        owner: Owner,
    ) -> None:
        self._stream = stream
        self._frames: FrameProtocol | RpcExchange = frames
        self._bounds = bounds
        self._traffic = traffic
        self._flusher = flusher
        self._owner: Owner | None = owner
        self._wake = trio.Event()
        self._is_flushed_soon = False
        self._oversize = 0
        """The largest queued message, if it is an entry of an earlier version that no bound covers."""
        self.is_corked = False
        self.unsent = b""
        """The bytes that ``flush`` took from the queue and the kernel did not accept."""
        self.writing = 0
        """The bytes being written; unless 0, one of the connection's two tasks is writing."""
        self.last_progress = trio.current_time()
        """The time when the peer last accepted something."""

    def __repr__(self) -> str:
        state = "writing" if self.writing else "stalled" if self.unsent else "idle" if self.is_empty else "queued"
        return f"<Outbox {state}, {self.queued_bytes} bytes>"

    @property
    def is_empty(self) -> bool:
        """True if nothing waits to be written."""
        return not (self.unsent or self._frames.pending_bytes)

    @property
    def in_hand_bytes(self) -> int:
        """The bytes taken from the queue and not handed to the network yet."""
        return len(self.unsent) + self.writing

    @property
    def queued_bytes(self) -> int:
        """The bytes queued and not handed to the network yet."""
        return self._frames.pending_bytes + len(self.unsent) + self.writing

    @property
    def is_full(self) -> bool:
        """True if so much is queued that the peer should not be read from."""
        return self.queued_bytes > self._bounds.high

    def send(self, payload: bytes) -> bool:
        """Queue one text message.  Returns False if more is queued than a peer that reads ever has."""
        self._frames.send_text(payload)
        self._traffic.messages_out += 1
        if not (self.is_corked or self.writing or self._is_flushed_soon):
            if isinstance(self._stream, SocketStream):
                self._is_flushed_soon = True
                self._flusher.add(self)
            else:
                self._wake.set()
        if len(payload) > MAX_FRAME_BYTES:
            self._oversize = max(self._oversize, len(payload))
        return self._frames.pending_bytes - self._oversize <= self._bounds.most

    def write_from(self, exchange: RpcExchange) -> None:
        """Write the response of a request over HTTP instead of frames."""
        self._frames = exchange

    def wake(self) -> None:
        """Have ``run`` look at the queue, and at whether the connection is over."""
        self._wake.set()

    def abort(self) -> None:
        """The peer is gone."""
        if self._owner is not None:
            self._owner.abort()

    def forget(self) -> None:
        """The connection is over: drop the reference to its owner, so that both are freed by reference count."""
        self._owner = None

    def flush(self) -> None:
        """Write the queue, as far as the kernel accepts it at once; ``run`` writes the rest."""
        self._is_flushed_soon = False
        if self.writing or self.unsent or not isinstance(self._stream, SocketStream):
            self._wake.set()
            return
        data = self._frames.data_to_send()
        if not data:
            return
        if self._flusher.is_silenced is not None and self._flusher.is_silenced():
            self.abort()
            return
        try:
            sent = self._stream.send_now(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.abort()
            return
        self.unsent = data[sent:]
        self._count_written(sent)
        if self.unsent or self._frames.is_finished:
            self._wake.set()

    def flush_after_read(self) -> None:
        """Write what a read caused; ``run`` ends the stream if it was the last."""
        if self._frames.pending_bytes and not self.writing:
            self.flush()
        elif self._frames.is_finished:
            self._wake.set()

    async def run(self) -> None:
        """Write until the last frame is written, then end the stream."""
        try:
            while self.writing or self.unsent or not self._frames.is_finished:
                await self._wake.wait()
                self._wake = trio.Event()
                if not self.writing:
                    await self.write_out()
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            else:
                await self._stream.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.abort()

    async def write_out(self) -> None:
        """Write the queue, and messages queued meanwhile.  Raises the stream's errors."""
        while self.unsent or self._frames.pending_bytes:
            data, self.unsent = self.unsent + self._frames.data_to_send(), b""
            await self._write_in_pieces(data)
        if self._frames.is_finished:
            self._wake.set()

    async def _write_in_pieces(self, data: bytes) -> None:
        assert not self.writing
        self.writing = len(data)
        self.last_progress = trio.current_time()
        for start in range(0, len(data), WRITE_BYTES):
            if self._flusher.is_silenced is not None and self._flusher.is_silenced():
                raise trio.ClosedResourceError("nothing may be sent any more")
            piece = data if len(data) <= WRITE_BYTES else memoryview(data)[start : start + WRITE_BYTES]
            await self._stream.send_all(piece)
            self.writing -= len(piece)
            self._count_written(len(piece))

    def _count_written(self, count: int) -> None:
        self._traffic.bytes_out += count
        self.last_progress = trio.current_time()
        queued = self.queued_bytes
        if queued <= self._bounds.low:
            self._oversize = 0
        if self._owner is not None:
            self._owner.written(queued)
