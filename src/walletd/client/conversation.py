"""The client, sans I/O: requests and frames go in, frames to send and settled exchanges come out.

    exchange = conversation.begin(request, settle)  # settle(exchange) is called once, when it is over
    frames = conversation.outgoing(now)             # the frames to send now, in one piece
    conversation.receive(frame, now)                # one text message of the daemon
    conversation.lost()                             # the connection broke: what is unanswered is sent again on the next

Nothing here waits, reads a clock or knows of sockets; time and randomness are passed in.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from walletd.client.errors import (
    AuthenticationFailed,
    ClientError,
    RequestFailed,
    UnreadableAnswer,
    failure_of,
)
from walletd.client.exchange import BUSY, Exchange, decides, is_passing, too_large
from walletd.client.nodes import Nodes
from walletd.client.requests import Answer, Request, authenticate, given, read
from walletd.client.results import Applied, Event
from walletd.client.streams import IncomingEvent, Stream, Verdict
from walletd.protocol.envelope import Hello, LifecycleNotice
from walletd.protocol.messages import Cursor, StreamHeartbeat, Subscribed, Unsubscribed
from walletd.vocabulary.reasons import Outcome, Reason
from walletd.vocabulary.states import DaemonState

FIRST_BUSY_SECONDS = 0.05
MAX_BUSY_SECONDS = 5.0


class _Incoming(msgspec.Struct):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: "_Error | None" = None
    method: str | None = None
    params: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct):
    code: int
    message: str = ""
    data: dict[str, Any] = {}


_decode_incoming = msgspec.json.Decoder(_Incoming).decode
_decode_arrival = msgspec.json.Decoder(IncomingEvent).decode
_decode_heartbeat = msgspec.json.Decoder(StreamHeartbeat).decode


class Conversation:
    """All exchanges and streams of one client."""

    def __init__(
        self,
        *,
        random: Callable[[], float],
        retry_busy: bool = True,
        token: str | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        self._random = random
        self._retry_busy = retry_busy
        self._token = token
        self._nodes = Nodes([""]) if nodes is None else nodes
        self._introduction: bytes | None = None
        self._last_id = 0
        self._waiting: OrderedDict[int, Exchange[Any]] = OrderedDict()
        self._in_flight: dict[int, Exchange[Any]] = {}
        self._delayed: list[tuple[float, int, Exchange[Any]]] = []
        self._subscribed: dict[int, Stream] = {}
        self._streams: set[Stream] = set()
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
        self.hello: Hello | None = None
        self.is_greeted = False
        """True if the present connection has received its hello and is authenticated; no request is sent before."""
        self.stopped: ClientError | None = None

    # --- requests --------------------------------------------------------------------------------------------------

    def begin(self, request: Request[Answer], settle: Callable[[Exchange[Any]], None]) -> Exchange[Answer]:
        """Queue a request.  Raises the client's error once it has stopped."""
        if self.stopped is not None:
            raise self.stopped.with_traceback(None)
        self._last_id += 1
        exchange = Exchange(self._last_id, request, settle)
        self._waiting[exchange.id] = exchange
        return exchange

    def abandon(self, exchange: Exchange[Any]) -> None:
        """Note that its caller has gone: it is not sent again, and a late answer is dropped."""
        exchange.is_abandoned = True
        self._waiting.pop(exchange.id, None)

    def outgoing(self, now: float) -> list[bytes]:
        """The frames to send now, as many as the daemon accepts unanswered."""
        if self._introduction is not None:
            introduction, self._introduction = self._introduction, None
            return [introduction]
        if not self.is_greeted or self.stopped is not None:
            return []
        assert self.hello is not None
        while self._delayed and self._delayed[0][0] <= now:
            _, exchange_id, exchange = heapq.heappop(self._delayed)
            if not exchange.is_abandoned:
                self._waiting[exchange_id] = exchange
        limits, frames = self.hello.limits, []
        while self._waiting and len(self._in_flight) < limits.max_in_flight:
            _, exchange = self._waiting.popitem(last=False)
            if len(exchange.frame) > limits.max_frame_bytes:
                self._settle(exchange, error=too_large(exchange, limits.max_frame_bytes))
                continue
            exchange.is_in_flight = True
            self._in_flight[exchange.id] = exchange
            frames.append(exchange.frame)
        return frames

    @property
    def is_awaited(self) -> bool:
        """True if the daemon owes an answer."""
        return bool(self._in_flight)

    @property
    def next_due(self) -> float:
        """The time at which ``outgoing`` has something to send by itself."""
        return self._delayed[0][0] if self._delayed else float("inf")

    # --- connections -----------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """Note that the connection is gone.  Unanswered requests are first in line again, in their order.

        What a busy daemon was to be asked again later is asked at once if the next connection is to another node.
        """
        self.is_greeted = False
        self._introduction = None
        unanswered = list(self._in_flight.values())
        self._in_flight.clear()
        self._subscribed.clear()
        again: list[Exchange[Any]] = []
        if self._nodes.are_several:
            again += [exchange for _, _, exchange in self._delayed if not exchange.is_abandoned]
            self._delayed.clear()
        for exchange in unanswered:
            exchange.is_in_flight = False
            exchange.in_doubt = exchange.request.changes
            if exchange.is_abandoned:
                continue
            if exchange.request.repeats:
                again.append(exchange)
            else:
                self._settle(exchange, error=exchange.overdue(0))
        for exchange in sorted(again, key=lambda exchange: exchange.id, reverse=True):
            self._waiting[exchange.id] = exchange
            self._waiting.move_to_end(exchange.id, last=False)
        for stream in self._streams:
            if stream.subscription is not None:
                stream.subscription = None
                self._subscribe(stream)

    def stop(self, error: ClientError) -> None:
        """Stop for good: everything unfinished ends with the error, or with its outcome unknown."""
        self.is_greeted = False
        self._introduction = None
        self.stopped = self.stopped or error
        unfinished = [
            *self._in_flight.values(),
            *self._waiting.values(),
            *(exchange for _, _, exchange in self._delayed),
        ]
        self._in_flight.clear()
        self._waiting.clear()
        self._delayed.clear()
        for exchange in unfinished:
            unknown = exchange.request.changes and (exchange.in_doubt or exchange.is_in_flight)
            self._settle(exchange, error=exchange.overdue(0) if unknown else error)
        for stream in self._streams:
            stream.fail(error)
        self._streams.clear()
        self._subscribed.clear()

    # --- what the daemon says --------------------------------------------------------------------------------------

    def receive(self, frame: bytes, now: float) -> None:
        """Read one text message.  Messages that are unreadable or unexpected are ignored, and so is what a daemon says
        after it has said that another leads: its reads may lack what this client was told.
        """
        if self._nodes.is_astray:
            return
        try:
            incoming = _decode_incoming(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if incoming.method is not None:
            self._notified(incoming.method, incoming.params)
            return
        exchange = self._in_flight.pop(incoming.id, None) if isinstance(incoming.id, int) else None
        if exchange is None:
            return
        exchange.is_in_flight = False
        if incoming.error is not None:
            self._failed(exchange, incoming.error, now)
        else:
            self._succeeded(exchange, incoming.result)

    def _succeeded(self, exchange: Exchange[Any], result: msgspec.Raw) -> None:
        decoder = self._decoders.get(exchange.request.result)
        if decoder is None:
            decoder = self._decoders[exchange.request.result] = msgspec.json.Decoder(exchange.request.result)
        try:
            answer = decoder.decode(result)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            sentence = f"{exchange.request.method} succeeded; its result cannot be read: {error}"
            self._settle(exchange, error=UnreadableAnswer(sentence))
            return
        if isinstance(answer, Applied):
            msgspec.structs.force_setattr(answer, "command_id", exchange.request.command_id)
        self._settle(exchange, result=answer)

    def _failed(self, exchange: Exchange[Any], answer: _Error, now: float) -> None:
        failure = failure_of(answer.code, answer.message, answer.data, exchange.request.command_id)
        if decides(failure):
            exchange.in_doubt = False
        elif failure.outcome is Outcome.UNKNOWN:
            exchange.in_doubt = exchange.request.changes
        exchange.last_failure = failure
        is_elsewhere = self._leads_elsewhere(failure)
        if (self._retry_busy or is_elsewhere) and not exchange.is_abandoned and is_passing(failure):
            heapq.heappush(self._delayed, (now + self._busy_delay(exchange, failure), exchange.id, exchange))
            exchange.failures += 1
        elif exchange.in_doubt:
            unknown = exchange.overdue(0)
            unknown.__cause__ = failure
            self._settle(exchange, error=unknown)
        else:
            self._settle(exchange, error=failure)

    def _leads_elsewhere(self, failure: RequestFailed) -> bool:
        """True if this daemon does not answer because it follows another, and there is another to ask."""
        if failure.reason is Reason.UNAVAILABLE and "leader" in failure.facts:
            self._nodes.not_leading(failure.facts["leader"])
        return self._nodes.is_astray

    def _busy_delay(self, exchange: Exchange[Any], failure: RequestFailed) -> float:
        """The requested delay and up to half as much again, so that clients told the same do not return together;
        longer if the daemon was busy several times.
        """
        asked_for = failure.retry_after_seconds or 0.0
        spread: float = min(MAX_BUSY_SECONDS, FIRST_BUSY_SECONDS * 2.0 ** min(exchange.failures, 32))
        return asked_for + self._random() * max(spread, asked_for / 2)

    def _settle(self, exchange: Exchange[Any], *, result: Any = None, error: Exception | None = None) -> None:
        assert not exchange.is_over
        exchange.is_over = True
        exchange.result = result
        exchange.error = error
        if not exchange.is_abandoned:
            exchange.settle(exchange)

    def _notified(self, method: str, params: msgspec.Raw) -> None:
        try:
            match method:
                case "stream.event":
                    self._arrived(_decode_arrival(params))
                case "stream.heartbeat":
                    heartbeat = _decode_heartbeat(params)
                    stream = self._subscribed.get(heartbeat.subscription)
                    if stream is not None:
                        stream.heartbeat(heartbeat.epoch, heartbeat.head)
                case "hello":
                    self._greeted(msgspec.json.decode(params, type=Hello))
                case "lifecycle" if self.hello is not None:
                    notice = msgspec.json.decode(params, type=LifecycleNotice)
                    self.hello = msgspec.structs.replace(self.hello, lifecycle=notice.lifecycle)
                    if notice.lifecycle is DaemonState.FOLLOWING:
                        self._nodes.not_leading()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return

    def _greeted(self, hello: Hello) -> None:
        self.hello = hello
        if hello.lifecycle is DaemonState.FOLLOWING:
            self._nodes.not_leading(None if hello.node is None else hello.node.leader)
        if not hello.auth.required:
            self.is_greeted = True
        elif self._token is None:
            self.stop(AuthenticationFailed("the daemon needs a token"))
        else:
            self._introduce(self._token)

    def _introduce(self, token: str) -> None:
        """Authenticate with the first request, because something on the way removed the header that carried the
        token.
        """

        def settle(exchange: Exchange[Any]) -> None:
            if exchange.error is None:
                self.is_greeted = True
            elif isinstance(exchange.error, RequestFailed) and exchange.error.reason not in BUSY:
                self.stop(AuthenticationFailed(f"the daemon does not accept the token: {exchange.error}"))

        self._last_id += 1
        exchange = Exchange(self._last_id, authenticate(token), settle)
        exchange.is_in_flight = True
        self._in_flight[exchange.id] = exchange
        self._introduction = exchange.frame

    # --- streams ---------------------------------------------------------------------------------------------------

    def open_stream(
        self, watched: Mapping[str, Any], after: Cursor | Literal[0] | None, snapshot: bool, wake: Callable[[], None]
    ) -> Stream:
        """Begin a stream; ``wake`` is called whenever there may be news for its reader."""
        if self.stopped is not None:
            raise self.stopped.with_traceback(None)
        stream = Stream(given(**watched), after, snapshot, wake)
        self._streams.add(stream)
        self._subscribe(stream)
        return stream

    def next_event(self, stream: Stream) -> Event | None:
        """The next event, or None if the reader has to wait.  A stream that was full is resumed in time."""
        event = stream.next()
        if stream.is_thirsty:
            self._subscribe(stream)
        return event

    def close_stream(self, stream: Stream) -> None:
        """Note that its reader has gone."""
        stream.close()
        self._streams.discard(stream)
        self._unsubscribe(stream)

    def _subscribe(self, stream: Stream) -> None:
        stream.subscription = None
        stream.is_paused = False

        def settle(exchange: Exchange[Any]) -> None:
            if isinstance(exchange.error, ClientError):
                stream.fail(exchange.error)
                return
            answer: Subscribed = exchange.outcome()
            stream.subscribed(answer)
            self._subscribed[answer.subscription] = stream
            if stream.is_closed:
                self._unsubscribe(stream)

        self.begin(read("stream.subscribe", Subscribed, **stream.params()), settle)

    def _unsubscribe(self, stream: Stream) -> None:
        subscription, stream.subscription = stream.subscription, None
        if subscription is None or self._subscribed.pop(subscription, None) is None:
            return
        farewell = read("stream.unsubscribe", Unsubscribed, subscription=subscription)
        self.begin(farewell._replace(repeats=False), lambda exchange: None)

    def _arrived(self, arrival: IncomingEvent) -> None:
        stream = self._subscribed.get(arrival.subscription)
        if stream is None:
            return
        match stream.take(arrival):
            case Verdict.KEPT | Verdict.DOUBLE:
                return
            case Verdict.FULL:
                self._unsubscribe(stream)
            case Verdict.GAP:
                self._unsubscribe(stream)
                if stream.error is None:
                    self._subscribe(stream)
