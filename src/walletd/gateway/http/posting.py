"""The head of ``POST /v1/rpc``: who asks, how long the request is, and whether it is read at all.

    if is_posted(head):
        match judge_posted(head, policy, turned_away=None):
            case Posted() as posted: ...                # ``posted.size`` bytes follow: the request
            case TurnedAway() as refusal: ...           # refused_posting(refusal) answers it

The body has the length that Content-Length says, and nothing follows it: each request has its own connection.  So a
proxy and the daemon cannot disagree about where a request ends (RFC 9112, 11.2).  Chunked bodies are refused.
"""

import re
from collections.abc import Generator
from http import HTTPStatus
from typing import Any, NamedTuple

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import parse_headers
from websockets.streams import StreamReader

from walletd.gateway.websocket.handshake import (
    DRAINING,
    FULL,
    MALFORMED,
    TOKEN_REFUSED,
    Handshake,
    Policy,
    TurnedAway,
    http_response,
    judge_sender,
    read_handshake,
)
from walletd.protocol.errors import failure
from walletd.protocol.over_http import RPC_PATH
from walletd.vocabulary.reasons import Reason

NO_PLACE = "connections"
"""The word for what is full, as for a websocket."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
JSON_CONTENT = {"Content-Type": "application/json"}

NO_LENGTH = TurnedAway(
    "malformed", HTTPStatus.LENGTH_REQUIRED, "Send the request with a Content-Length; chunked bodies are not accepted."
)
TOO_LARGE = TurnedAway(
    "malformed", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is larger than max_frame_bytes permits."
)
ENCODED = TurnedAway("malformed", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the request without Content-Encoding.")
EXPECTATION = TurnedAway("malformed", HTTPStatus.EXPECTATION_FAILED, "The only expectation known is 100-continue.")

_POSTED = re.compile(rb"POST (?:https?://[^/?#\s]*)?/v1/rpc(?:\?[^\s]*)? HTTP/1\.[01]\r\n", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)
_ONCE = ("Content-Length", "Transfer-Encoding", "Content-Encoding", "Expect")

_REASONS = {
    "host": Reason.FORBIDDEN,
    "origin": Reason.FORBIDDEN,
    TOKEN_REFUSED.word: Reason.AUTHENTICATION_FAILED,
    DRAINING.word: Reason.DRAINING,
    FULL.word: Reason.OVERLOADED,
    "fault": Reason.INTERNAL_ERROR,
}
"""The reason that a program reads, by the word for the counters; a request that is malformed is no request."""


class Posted(NamedTuple):
    """A request that may come."""

    handshake: Handshake
    size: int
    is_expected: bool
    """True if the client waits for 100 Continue."""


def is_posted(head: bytes | bytearray) -> bool:
    """True if this is the head of a request to ``/v1/rpc``."""
    return _POSTED.match(head) is not None


def judge_posted(head: bytes | bytearray, policy: Policy, turned_away: TurnedAway | None) -> Posted | TurnedAway:
    """Tell a request that may come from one that is refused.  ``turned_away`` is for lack of room."""
    try:
        headers = _headers(bytes(head))
    except (InvalidHandshake, ValueError, EOFError):
        return MALFORMED
    for name in _ONCE:
        if len(headers.get_all(name)) > 1:
            return TurnedAway("malformed", HTTPStatus.BAD_REQUEST, f"The header {name} appears more than once.")
    refusal = judge_sender(headers, policy, turned_away)
    if refusal is not None:
        return refusal
    handshake = read_handshake(RPC_PATH, headers)
    if handshake.has_authorization and not (handshake.token and policy.admits(handshake.token)):
        return TOKEN_REFUSED
    return _judge_body(headers, handshake, policy)


def refused_posting(refusal: TurnedAway) -> bytes:
    """The refusal as an HTTP response with a JSON-RPC error."""
    reason = _REASONS.get(refusal.word, Reason.INVALID_REQUEST)
    seconds = int(refusal.headers.get("Retry-After", "0"))
    facts: dict[str, Any] = {"retry_after_ms": seconds * 1000} if seconds else {}
    if reason is Reason.OVERLOADED:
        facts = {"what": NO_PLACE, **facts}
    body = failure(None, reason, facts, message=refusal.sentence)
    return http_response(refusal.status, {**JSON_CONTENT, **refusal.headers}, body).serialize()


def _judge_body(headers: Headers, handshake: Handshake, policy: Policy) -> Posted | TurnedAway:
    length, expect = headers.get("Content-Length", ""), headers.get("Expect")
    if "Transfer-Encoding" in headers or not length:
        return NO_LENGTH
    if _LENGTH.fullmatch(length) is None:
        return MALFORMED
    if int(length) > policy.max_message_bytes:
        return TOO_LARGE
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        return ENCODED
    if expect is not None and expect.lower() != "100-continue":
        return EXPECTATION
    return Posted(handshake, int(length), expect is not None)


def _headers(head: bytes) -> Headers:
    """The headers of a whole head, by the library's parser.  Raises what it raises."""
    reader = StreamReader()
    reader.feed_data(head[head.index(b"\n") + 1 :])
    reader.feed_eof()
    parsing: Generator[None, None, Headers] = parse_headers(reader.read_line)
    try:
        next(parsing)
    except StopIteration as parsed:
        headers: Headers = parsed.value
        return headers
    raise ValueError("the head is not whole")
