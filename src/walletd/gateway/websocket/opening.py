"""The opening of a connection, sans I/O: from the first byte to a websocket, or to another HTTP response.

    opening = Opening(policy, turned_away=None)
    rest = opening.receive(data)                        # the bytes after the head of the request
    if opening.response:                                # until then, read more
        await stream.send_all(opening.response)
        opening.handshake                               # None if the response is the end

Anybody can send a request, so it costs little: its bytes, pieces and parts are counted before any of it is parsed, and
the library parses the head once, when it is whole.  It checks the handshake's headers; the policy decides on admission.
Nothing of the request is kept after it: it holds the client's token.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import assert_never

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from walletd.gateway.http.posting import CONTINUE, Posted, is_posted, judge_posted, refused_posting
from walletd.gateway.websocket.handshake import (
    HEAD_TOO_LARGE,
    LINE_TOO_LONG,
    MALFORMED,
    TLS_HELLO,
    Handshake,
    Policy,
    TurnedAway,
    choose_subprotocol,
    judge,
)

MAX_HEAD_BYTES = 8 * 1024
"""The limit on a request line and its headers, as of other servers; a browser's head has less than two kilobytes."""

MAX_HEAD_PARTS = 128
"""The limit on its lines, and on the elements of lists in them: each costs time; a browser's head has about 50."""

MAX_HEAD_PIECES = 128
"""The limit on the reads in which it arrives: even a client that sends each word of it by itself needs fewer."""

SILENT = logging.getLogger("walletd.gateway.websockets_library")
"""At DEBUG the library logs every header and frame, tokens included: this logger must never be that verbose."""

SILENT.setLevel(logging.ERROR)

TLS_RECORD = b"\x16"
"""The first byte of a TLS handshake, and of no method of HTTP."""

log = logging.getLogger(__name__)

_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"[!-~]+ [^ \r\n]+ HTTP/1\.[01]\r\Z")
_SEPARATORS = (b"\n", b",", b";")


class Opening:
    """One connection's request and the response to it."""

    __slots__ = (
        "_has_line",
        "_head",
        "_library",
        "_pieces",
        "_policy",
        "_posted",
        "_turned_away",
        "extensions",
        "handshake",
        "interim",
        "refused",
        "response",
    )

    def __init__(self, policy: Policy, turned_away: TurnedAway | None) -> None:
        self._policy = policy
        self._turned_away = turned_away
        self._library = ServerProtocol(
            select_subprotocol=_select_subprotocol,
            extensions=[ServerPerMessageDeflateFactory()] if policy.compresses else None,
            logger=SILENT,
        )
        self._head = bytearray()
        self._pieces = 0
        self._has_line = False
        """True once the request line is whole and looks like one."""
        self.response = b""
        """Empty until the request is whole, or refused before that."""
        self.handshake: Handshake | None = None
        """Set if this is a websocket now."""
        self.extensions: Sequence[Extension] = ()
        self._posted: Posted | None = None
        """Set while the body of a request to ``/v1/rpc`` comes; ``_head`` is that body then."""
        self.interim = b""
        """To be sent at once: the request may come."""
        self.refused: str | None = None
        """The word for the reason why this is not a websocket; ``page`` for a status page."""

    def receive(self, data: bytes) -> bytes:
        """Take the next bytes of the request and nothing after it; returns the bytes after it."""
        assert not self.response
        if self._posted is not None:
            self._take_body(self._posted, data)
            return b""
        head, known = self._head, len(self._head)
        self._pieces += 1
        if not known and data[:1] == TLS_RECORD:
            self.refuse(TLS_HELLO)
            return b""
        head += data[: MAX_HEAD_BYTES + 1 - known]
        end = head.find(_END_OF_HEAD, max(0, known - len(_END_OF_HEAD) + 1))
        if end < 0:
            self._judge_part(head, known)
            return b""
        del head[end + len(_END_OF_HEAD) :]
        if len(head) > MAX_HEAD_BYTES or sum(map(head.count, _SEPARATORS)) > MAX_HEAD_PARTS:
            self.refuse(HEAD_TOO_LARGE)
        elif self._policy.answers_requests and is_posted(head):
            self._head = bytearray()
            self._begin_body(head, data[len(head) - known :])
            return b""
        else:
            self._library.receive_data(head)
            self._take_request()
        self._head = bytearray()
        return data[len(head) - known :]

    @property
    def head_bytes(self) -> int:
        """The number of bytes kept of a head that is not whole."""
        return len(self._head)

    def _judge_part(self, head: bytearray, known: int) -> None:
        """Refuse what can become no request: too much, in too many pieces, or no request line."""
        if not self._has_line and (end := head.find(b"\n", known)) >= 0:
            self._has_line = _REQUEST_LINE.match(head, 0, end) is not None
            if not self._has_line:
                self.refuse(MALFORMED)
                return
        if len(head) > MAX_HEAD_BYTES:
            self.refuse(HEAD_TOO_LARGE if self._has_line else LINE_TOO_LONG)
        elif self._pieces >= MAX_HEAD_PIECES:
            self.refuse(MALFORMED)

    def refuse(self, refusal: TurnedAway) -> None:
        """Answer with this refusal, whatever was requested."""
        if refusal.is_for_the_operator:
            log.warning("connection refused: %s", refusal.sentence)
        self.refused = refusal.word
        self.response = refusal.response().serialize()

    def _begin_body(self, head: bytearray, rest: bytes) -> None:
        """A request to ``/v1/rpc``: judge it by its head, before its body is read."""
        verdict = judge_posted(head, self._policy, self._turned_away)
        if isinstance(verdict, TurnedAway):
            if verdict.is_for_the_operator:
                log.warning("request refused: %s", verdict.sentence)
            self.refused = verdict.word
            self.response = refused_posting(verdict)
            return
        self._posted = verdict
        if verdict.is_expected and not rest:
            self.interim = CONTINUE
        self._take_body(verdict, rest)

    def _take_body(self, posted: Posted, data: bytes) -> None:
        """Take the next bytes of the body, and nothing after it."""
        self._head += data[: posted.size - len(self._head)]
        if len(self._head) == posted.size:
            self.handshake = replace(posted.handshake, body=bytes(self._head))
            self._head = bytearray()

    def forget(self) -> None:
        """Release the library, whose objects refer to each other, and the head."""
        self._head = bytearray()
        self._library.handshake_exc = self._library.parser_exc = None
        self._library.extensions = []
        self._library.parser.close()

    def _take_request(self) -> None:
        for request in self._library.events_received():
            assert isinstance(request, Request)
            self._answer(request)
        if self._library.handshake_exc is not None and not self.response:
            # Not HTTP, or too long a line.  The library has a response to some of that, and none to the rest.
            self.refused = MALFORMED.word
            self.response = b"".join(self._library.data_to_send()) or MALFORMED.response().serialize()

    def _answer(self, request: Request) -> None:
        verdict = judge(request, self._policy, self._turned_away)
        match verdict:
            case Handshake():
                self._accept(request, verdict)
            case TurnedAway():
                self.refuse(verdict)
            case Response():
                self.refused = "page"
                self.response = verdict.serialize()
            case _:
                assert_never(verdict)

    def _accept(self, request: Request, handshake: Handshake) -> None:
        response = self._library.accept(request)
        self.response = response.serialize()
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self.handshake = handshake
            self.extensions = self._library.extensions
        else:
            self.refused = MALFORMED.word


def _select_subprotocol(library: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)
