"""The opening of a connection, sans I/O: from the first byte to a websocket, or to another HTTP response.

    opening = Opening(policy, turned_away=None)
    rest = opening.receive(data)                        # the bytes after the head of the request
    if opening.response:                                # until then, read more
        await stream.send_all(opening.response)
        opening.handshake                               # None if the response is the end

The library parses the head and checks the handshake's headers; the policy decides on admission.  Nothing of the request
is kept after it: it holds the client's token.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import assert_never

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from walletd.gateway.websocket.handshake import (
    HEAD_TOO_LARGE,
    MALFORMED,
    TLS_HELLO,
    Handshake,
    Policy,
    TurnedAway,
    choose_subprotocol,
    judge,
)

MAX_HEAD_BYTES = 32 * 1024
"""The limit on a request line and its headers; the library alone would keep a megabyte for a client that is not
admitted.
"""

SILENT = logging.getLogger("walletd.gateway.websockets_library")
"""At DEBUG the library logs every header and frame, tokens included: this logger must never be that verbose."""

SILENT.setLevel(logging.ERROR)

TLS_RECORD = b"\x16"
"""The first byte of a TLS handshake, and of no method of HTTP."""

log = logging.getLogger(__name__)

_END_OF_HEAD = b"\r\n\r\n"


class Opening:
    """One connection's request and the response to it."""

    __slots__ = (
        "_library",
        "_policy",
        "_tail",
        "_turned_away",
        "extensions",
        "handshake",
        "head_bytes",
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
        self.head_bytes = 0
        self._tail = b""
        """The last bytes of the head so far: its end may come in two pieces."""
        self.response = b""
        """Empty until the request is whole, or refused before that."""
        self.handshake: Handshake | None = None
        """Set if this is a websocket now."""
        self.extensions: Sequence[Extension] = ()
        self.refused: str | None = None
        """The word for the reason why this is not a websocket; ``page`` for a status page."""

    def receive(self, data: bytes) -> bytes:
        """Feed the library the request and nothing after it; returns the bytes after it."""
        assert not self.response
        if not self.head_bytes and data[:1] == TLS_RECORD:
            self.head_bytes = len(data)
            self.refuse(TLS_HELLO)
            return b""
        known = len(self._tail)
        seen = self._tail + data
        end = seen.find(_END_OF_HEAD)
        cut = len(data) if end < 0 else end + len(_END_OF_HEAD) - known
        self._tail = seen[-len(_END_OF_HEAD) + 1 :]
        self.head_bytes += cut
        if self.head_bytes > MAX_HEAD_BYTES:
            self.refuse(HEAD_TOO_LARGE)
        else:
            self._library.receive_data(data[:cut])
            self._take_request()
        return data[cut:]

    def refuse(self, refusal: TurnedAway) -> None:
        """Answer with this refusal, whatever was requested."""
        if refusal.is_for_the_operator:
            log.warning("connection refused: %s", refusal.sentence)
        self.refused = refusal.word
        self.response = refusal.response().serialize()

    def forget(self) -> None:
        """Release the library, whose objects refer to each other."""
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
