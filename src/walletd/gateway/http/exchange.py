"""One request and its response over HTTP, in the place of a websocket's frames.

    exchange = RpcExchange(body, counted=Counter())
    endpoint.received([exchange.take_request()])
    exchange.send_text(reply)                           # becomes the HTTP response; notifications are dropped
    await stream.send_all(exchange.data_to_send())      # then the stream ends

A response says what became of the request.  If the connection has to end before the session has answered, there is
none: the client must repeat the command with the same command id, as after any connection that was lost.
"""

from collections import Counter
from http import HTTPStatus
from typing import Any

import msgspec

from walletd.gateway.http.posting import JSON_CONTENT
from walletd.gateway.websocket.frames import State
from walletd.gateway.websocket.handshake import Handshake, http_response
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.errors import failure
from walletd.protocol.over_http import ALL_STATUSES, status_of
from walletd.vocabulary.reasons import Reason

HTTP_STATUSES = ("none", *map(int, ALL_STATUSES))
"""Of every response, for the counters; none: the connection ended without one."""

_ENDS: dict[int, Reason] = {
    CloseCode.AUTHENTICATION_FAILED: Reason.AUTHENTICATION_FAILED,
    CloseCode.INTERNAL_ERROR: Reason.INTERNAL_ERROR,
    CloseCode.NO_PLACE: Reason.OVERLOADED,
}
"""The reasons for closing before the request was handed on; otherwise the daemon is stopping."""


class _Data(msgspec.Struct):
    reason: str = ""
    retry_after_ms: int = 0


class _Error(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


class _Sent(msgspec.Struct):
    """The part of a message that decides what becomes of it."""

    method: str | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Sent).decode


class RpcExchange:
    """The request, until it is taken; then its response.  ``counted`` counts by status; 0: there was no response."""

    __slots__ = (
        "_counted",
        "_is_over",
        "_request",
        "_writes",
        "handshake",
        "pending_bytes",
        "refused",
        "state",
        "status",
    )

    def __init__(self, request: bytes, counted: Counter[int]) -> None:
        self._counted = counted
        self._request: bytes | None = request
        self._writes = b""
        self._is_over = False
        """True if nothing more will be written after the queued bytes."""
        self.handshake: Handshake | None = None
        self.refused: str | None = None
        self.state = State.OPEN
        self.pending_bytes = 0
        self.status = 0
        """The status of the response; 0 without one."""

    def take_request(self) -> bytes:
        """The request; from now on, only its answer is a response."""
        assert self._request is not None
        request, self._request = self._request, None
        return request

    # --- as of a websocket's frames --------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[bytes]:
        """What follows the request is ignored: each request has its own connection."""
        return []

    def receive_eof(self) -> None:
        """The client may end its half: the response still goes out."""

    def send_text(self, payload: bytes) -> None:
        """Make the response of it, unless it is a notification, or there is a response already."""
        if self._is_over:
            return
        sent = _decode(payload)
        if sent.method is None:
            self._respond(sent.error, payload)

    def ping(self) -> None:
        """HTTP has no pings."""

    def close(self, code: int, reason: str) -> None:
        """End without a response, unless the request was not handed on yet: then say that nothing was done."""
        if self._request is not None:
            why = _ENDS.get(code, Reason.DRAINING)
            facts: dict[str, Any] = {"what": "connections", "retry_after_ms": 1000} if why is Reason.OVERLOADED else {}
            self._request = None
            self.send_text(failure(None, why, facts))
        self._end()

    def queue(self, data: bytes) -> None:
        """Bytes from before the request was whole."""
        self._writes += data
        self.pending_bytes = len(self._writes)

    def data_to_send(self) -> bytes:
        """All bytes to write, in one piece."""
        data, self._writes, self.pending_bytes = self._writes, b"", 0
        return data

    @property
    def held_bytes(self) -> int:
        """The number of bytes kept for this peer."""
        return self.pending_bytes + len(self._request or b"")

    @property
    def is_finished(self) -> bool:
        """True if all bytes that will ever be written were taken: the stream can be ended."""
        return self._is_over and not self._writes

    @property
    def close_code(self) -> int:
        """As of a websocket: 1000 after a response, 1006 without one."""
        return CloseCode.NORMAL if self.status else 1006

    def forget(self) -> None:
        """The connection is over: release everything."""
        self._writes, self._request = b"", None
        self._end()
        if not self.status:
            self._counted[0] += 1

    def _respond(self, error: _Error | None, payload: bytes) -> None:
        status, headers = HTTPStatus.OK, dict(JSON_CONTENT)
        if error is not None:
            status = status_of(error.data.reason)
            if error.data.retry_after_ms:
                headers["Retry-After"] = str(-(-error.data.retry_after_ms // 1000))
            if status is HTTPStatus.UNAUTHORIZED:
                headers["WWW-Authenticate"] = "Bearer"
        self.status = int(status)
        self._counted[self.status] += 1
        self.queue(http_response(status, headers, payload).serialize())
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self.state = State.CLOSING
