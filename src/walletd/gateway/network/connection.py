"""A connection: the websocket over a trio stream, with a deadline for everything that a peer can delay.

    connection = Connection(stream, terms)
    nursery.start_soon(connection.run)
    connection.tick(trio.current_time())                # once a second, for all deadlines: no timer per connection

The ``inbox`` reads, the ``outbox`` writes.  A peer that does not read is not read from either, and is closed after a
while; a silent one is pinged, and dropped when it does not answer.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

import trio

from walletd.gateway.http.exchange import RpcExchange
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.inbox import inbox_of
from walletd.gateway.network.outbox import Flusher, Outbox
from walletd.gateway.network.places import Places
from walletd.gateway.network.readiness import Payer, Readiness
from walletd.gateway.network.tls import SecureStream
from walletd.gateway.websocket.frames import FrameProtocol, State
from walletd.gateway.websocket.handshake import TOKEN_REFUSED, Handshake, Policy, TurnedAway
from walletd.protocol.close_codes import CloseCode
from walletd.vocabulary.fatal import FATAL

log = logging.getLogger(__name__)


class Endpoint(Protocol):
    """The endpoint of a connection.  Everything is synchronous; ``closed`` is called once, after ``opened``."""

    @property
    def payer(self) -> Payer:
        """The one that pays for what is received; None for a guest."""
        ...

    def opened(self) -> None:
        """The handshake is done."""
        ...

    @property
    def is_busy(self) -> bool:
        """True while a message is not handled yet, so that nothing more should be read."""
        ...

    def received(self, messages: list[bytes]) -> None:
        """All messages of one read, in order."""
        ...

    def drained(self) -> None:
        """Little is queued now, or nothing."""
        ...

    def slow_close(self) -> tuple[int, str]:
        """The peer reads nothing: the code and the reason to close with."""
        ...

    def closed(self, code: int) -> None:
        """The connection is gone; the code is that of the side that closed first, 1006 if neither did."""
        ...


TokenRefused = Callable[[str], None]
"""A peer at this address presented a token that is not valid."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The common terms of all connections of a server."""

    policy: Policy
    deadlines: Deadlines
    bounds: Bounds
    open_endpoint: Callable[["Connection", Handshake], Endpoint]
    traffic: TrafficCounters
    flusher: Flusher
    readiness: Readiness
    places: Places
    token_refused: TokenRefused


class Connection:
    """One peer, from its first byte to its last.  ``turned_away``: it is answered, but not admitted."""

    __slots__ = (
        "_begun_at",
        "_closing_at",
        "_endpoint",
        "_frames",
        "_heard_at",
        "_inbox",
        "_outbox",
        "_pinged_at",
        "_scope",
        "_stream",
        "_terms",
        "peer",
    )

    def __init__(
        self, stream: trio.abc.Stream, terms: Terms, turned_away: TurnedAway | None = None, peer: str = ""
    ) -> None:
        self.peer = peer
        """The address of the other end."""
        self._stream = stream
        self._terms = terms
        self._frames: FrameProtocol | RpcExchange = FrameProtocol(terms.policy, turned_away, trio.current_time)
        self._endpoint: Endpoint | None = None
        self._scope: trio.CancelScope | None = None
        self._outbox = Outbox(stream, self._frames, terms.bounds, terms.traffic, terms.flusher, self)
        self._inbox = inbox_of(stream, terms.readiness, self._outbox, self)
        self._begun_at = self._heard_at = trio.current_time()
        self._pinged_at = inf
        self._closing_at = inf

    def __repr__(self) -> str:
        return f"<Connection {self._frames.state.value}, {self._outbox!r}>"

    # --- for the endpoint ------------------------------------------------------------------------------------------

    @property
    def certified(self) -> str | None:
        """The principal of the client's certificate, if it presented one."""
        return self._stream.principal if isinstance(self._stream, SecureStream) else None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the client's certificate, if it presented one; empty otherwise."""
        return self._stream.fingerprint if isinstance(self._stream, SecureStream) else ""

    @property
    def queued_bytes(self) -> int:
        """The bytes queued and not handed to the network yet."""
        return self._outbox.queued_bytes

    @property
    def held_bytes(self) -> int:
        """The bytes kept for this peer, in both directions."""
        return self._frames.held_bytes + self._outbox.in_hand_bytes

    def take_place(self, principal: str, *, has_reserve: bool, most: int = 0) -> str | None:
        """The client has authenticated: its connection is no guest any more.  Otherwise the word for what is full.

        ``most``: the connections that it may have; 0: no limit.
        ``has_reserve``: it may take one of the last places, which are reserved for operators.
        """
        return self._terms.places.admit(self, principal, has_reserve=has_reserve, most=most)

    def send(self, payload: bytes) -> None:
        """Queue one text message; does nothing once the connection is closing."""
        if self._frames.state is State.OPEN and not self._outbox.send(payload):
            self._close_as_slow()

    def close(self, code: int, reason: str) -> None:
        """Close after the queued frames; the peer has some seconds to accept them and to answer."""
        self._frames.close(code, reason)
        self._outbox.wake()

    def read_on(self) -> None:
        """The endpoint is busy no more: read from the peer again."""
        self._inbox.go_on()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._scope is not None:
            self._scope.cancel()

    # --- the life of a connection ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the peer until either side is done.  Raises FATAL failures."""
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._outbox.run)
                if await self._is_secured():
                    await self._inbox.run()
        finally:
            try:
                await trio.aclose_forcefully(self._stream)
            finally:
                self._end()

    def tick(self, now: float) -> None:
        """Check every deadline."""
        deadlines = self._terms.deadlines
        if isinstance(self._frames, RpcExchange):
            self._tick_exchange(self._frames, now, deadlines)
            return
        match self._frames.state:
            case State.OPENING:
                if now - self._begun_at >= deadlines.handshake_seconds:
                    self._terms.traffic.refused["handshake_timeout"] += 1
                    self.abort()
            case State.OPEN:
                if self._outbox.writing and now - self._outbox.last_progress >= deadlines.write_stall_seconds:
                    self._close_as_slow()
                else:
                    self._tick_liveness(now, deadlines)
            case State.CLOSING | State.CLOSED:
                self._closing_at = min(self._closing_at, now)
                if now - self._closing_at >= deadlines.close_seconds:
                    self.abort()

    def _tick_exchange(self, exchange: RpcExchange, now: float, deadlines: Deadlines) -> None:
        """The response has the time of a write, and the peer a moment to take note of its end.  The answer itself comes
        when it comes: each call ends.
        """
        if self._outbox.in_hand_bytes:
            if now - self._outbox.last_progress >= deadlines.write_stall_seconds:
                self.abort()
        elif exchange.is_finished:  # And all of it was accepted.
            self._closing_at = min(self._closing_at, now)
            if now - self._closing_at >= deadlines.close_seconds:
                self.abort()

    def _tick_liveness(self, now: float, deadlines: Deadlines) -> None:
        if self._outbox.writing or self._inbox.is_held:
            self._pinged_at = inf  # Our ping, or its answer, waits in a queue: progress is the sign of life now.
            return
        if self._pinged_at <= self._heard_at:
            self._pinged_at = inf
        if now - self._pinged_at >= deadlines.ping_timeout_seconds:
            self.close(CloseCode.INTERNAL_ERROR, "no answer to a ping")
        elif self._pinged_at == inf and now - self._heard_at >= deadlines.ping_seconds:
            self._pinged_at = now
            self._frames.ping()
            self._outbox.wake()

    async def _is_secured(self) -> bool:
        """Perform the handshake of TLS, if there is one; its time is part of that for the whole handshake."""
        if isinstance(self._stream, SecureStream):
            try:
                await self._stream.shake_hands()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._terms.traffic.refused["tls"] += 1
                self.abort()
                return False
        return True

    # --- for the inbox ---------------------------------------------------------------------------------------------

    def payer(self) -> Payer:
        """The principal that pays for what is read; None for a guest."""
        return None if self._endpoint is None else self._endpoint.payer

    @property
    def is_busy(self) -> bool:
        """True while the endpoint handles a long message."""
        return self._endpoint is not None and self._endpoint.is_busy

    def take(self, data: bytes | bytearray) -> bool:
        """Handle the bytes of one read; returns whether there may be more to read."""
        if not data:
            self._frames.receive_eof()
            self._outbox.wake()
            return False
        self._heard_at = trio.current_time()
        self._terms.traffic.bytes_in += len(data)
        self._outbox.is_corked = True
        try:
            self._hand_on(self._frames.receive(bytes(data)))
        except FATAL:
            raise
        except Exception:
            log.exception("connection closed after an internal error")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        self._outbox.is_corked = False
        return True

    def _hand_on(self, messages: list[bytes]) -> None:
        self._terms.traffic.messages_in += len(messages)
        if self._frames.handshake is not None:
            self._open(self._frames.handshake)
        if messages and self._endpoint is not None:
            self._endpoint.received(messages)

    def _open(self, handshake: Handshake) -> None:
        self._frames.handshake = None
        if handshake.body is not None:
            self._exchange(handshake, handshake.body)
        elif self._frames.state is State.OPEN:
            self._endpoint = self._terms.open_endpoint(self, handshake)
            self._endpoint.opened()
        elif self._frames.close_code == CloseCode.AUTHENTICATION_FAILED:
            self._terms.token_refused(self.peer)

    def _exchange(self, handshake: Handshake, body: bytes) -> None:
        """Answer one request over HTTP: from now on, this is no websocket."""
        exchange = RpcExchange(body, self._terms.traffic.exchanges)
        exchange.queue(self._frames.data_to_send())
        self._frames.forget()
        self._frames = exchange
        self._outbox.write_from(exchange)
        self._terms.traffic.messages_in += 1
        self._endpoint = self._terms.open_endpoint(self, replace(handshake, body=b""))
        self._endpoint.opened()
        if exchange.state is State.OPEN:
            self._endpoint.received([exchange.take_request()])

    # --- for the outbox --------------------------------------------------------------------------------------------

    def written(self, queued_bytes: int) -> None:
        """The peer took something: read from it again, and tell the endpoint, as soon as little enough is queued."""
        if queued_bytes <= self._terms.bounds.high:
            self._inbox.go_on()
        if queued_bytes <= self._terms.bounds.low and self._endpoint is not None:
            self._endpoint.drained()

    # --- ending ----------------------------------------------------------------------------------------------------

    def _close_as_slow(self) -> None:
        if self._endpoint is not None and self._frames.state is State.OPEN:
            self.close(*self._endpoint.slow_close())

    def _end(self) -> None:
        traffic = self._terms.traffic
        if self._frames.refused is not None:
            traffic.refused[self._frames.refused] += 1
            if self._frames.refused == TOKEN_REFUSED.word:
                self._terms.token_refused(self.peer)
        elif isinstance(self._frames, FrameProtocol) and self._frames.state is not State.OPENING:
            traffic.count_close(self._frames.close_code)
        self._frames.forget()
        self._inbox.forget()
        self._outbox.forget()
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            endpoint.closed(self._frames.close_code)
