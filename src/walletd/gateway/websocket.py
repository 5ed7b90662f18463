"""The websocket, sans I/O: bytes of the network in, whole text messages out, and what the library does not check.

    frames = FrameProtocol(policy)
    messages = frames.receive(data)                    # every complete text message of this read
    frames.send_text(reply)
    await stream.send_all(frames.data_to_send())

Around the Sans-I/O ``ServerProtocol`` of ``websockets``: the policy of the handshake, UTF-8 (RFC 6455, 8.1), text only,
bounds on a message's size and fragments and on pings, and plain HTTP for the status pages.
"""

import codecs
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from walletd.gateway.handshake import Handshake, read_handshake, refused_host, refused_origin
from walletd.protocol.messages import SUBPROTOCOL

MAX_FRAGMENTS = 128
"""Per message.  A client has no reason to cut a request of a few hundred bytes at all."""

MAX_PINGS_PER_READ = 64
"""In what one read of the socket brought.  Each is answered: a flood of them costs us as much as it costs them."""

PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
INVALID_DATA = 1007
TOO_BIG = 1009
UNKNOWN_SUBPROTOCOL = 4406
AUTHENTICATION_FAILED = 4401
RATE = 4529

_SILENT = logging.getLogger("walletd.gateway.websocket")
_SILENT.setLevel(logging.ERROR)

_NO_HEADERS: Mapping[str, str] = {}

Page = Callable[[str], tuple[int, bytes] | None]


@dataclass(frozen=True)
class Policy:
    """How connections are let in: values for all of them.

    ``page`` gives the status pages of plain HTTP; ``admits`` says whether a token is in force; ``is_draining`` whether
    nobody is let in any more.
    """

    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    max_message_bytes: int
    page: Page
    admits: Callable[[str], bool]
    is_draining: Callable[[], bool]


class FrameProtocol:
    """One connection's frames.  ``handshake`` is set once the connection is a websocket."""

    __slots__ = ("_decoder", "_fragments", "_library", "_policy", "handshake", "received_close")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._library = ServerProtocol(
            max_size=policy.max_message_bytes, select_subprotocol=_select_subprotocol, logger=_SILENT
        )
        self._fragments: list[bytes] = []
        self._decoder: codecs.IncrementalDecoder | None = None
        self.handshake: Handshake | None = None
        self.received_close: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._library.state is State.OPEN

    @property
    def is_ending(self) -> bool:
        """Whether the network connection is to be closed once everything is written."""
        return self._library.state is State.CLOSED or self._library.close_expected()

    def receive(self, data: bytes) -> list[bytes]:
        """Take in what was read; the complete text messages in it, each valid UTF-8."""
        self._library.receive_data(data)
        messages: list[bytes] = []
        pings = 0
        for event in self._library.events_received():
            if isinstance(event, Request):
                self._answer_handshake(event)
            elif isinstance(event, Frame):
                pings += event.opcode is Opcode.PING
                if self.is_open:
                    self._take_frame(event, messages)
        if pings > MAX_PINGS_PER_READ:
            self.close(RATE, "too many pings")
        if self._library.close_rcvd is not None:
            self.received_close = self._library.close_rcvd.code
        return messages

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        self._library.receive_eof()

    def send_text(self, payload: bytes) -> None:
        """Queue a text message; nothing once the connection is closing."""
        if self.is_open:
            self._library.send_text(payload)

    def ping(self) -> None:
        """Queue a ping, to see whether the peer is alive."""
        if self.is_open:
            self._library.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake."""
        if self.is_open:
            self._library.send_close(code, reason.encode()[:123].decode("utf-8", "ignore"))

    def data_to_send(self) -> bytes:
        """Everything to be written, in one piece.  The end of the stream is ``is_ending``'s to tell."""
        return b"".join(self._library.data_to_send())

    # --- messages --------------------------------------------------------------------------------------------------

    def _take_frame(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            if _is_utf8(frame.data):
                messages.append(bytes(frame.data))
            else:
                self.close(INVALID_DATA, "text is not valid UTF-8")
        elif frame.opcode is Opcode.TEXT:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
            self._take_fragment(frame, messages)
        elif frame.opcode is Opcode.CONT:
            self._take_fragment(frame, messages)
        elif frame.opcode is Opcode.BINARY:
            self.close(UNSUPPORTED_DATA, "requests are text frames")

    def _take_fragment(self, frame: Frame, messages: list[bytes]) -> None:
        assert self._decoder is not None
        try:
            self._decoder.decode(frame.data, frame.fin)
        except UnicodeDecodeError:
            self.close(INVALID_DATA, "text is not valid UTF-8")
            return
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > MAX_FRAGMENTS:
            self._fragments.clear()
            self.close(TOO_BIG, f"a message has at most {MAX_FRAGMENTS} fragments")
        elif frame.fin:
            messages.append(b"".join(self._fragments))
            self._fragments.clear()

    # --- handshake -------------------------------------------------------------------------------------------------

    def _answer_handshake(self, request: Request) -> None:
        response = self._refusal(request) or self._library.accept(request)
        self._library.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return
        self.handshake = read_handshake(request)
        if self.handshake.offers_only_unknown(SUBPROTOCOL):
            self.close(UNKNOWN_SUBPROTOCOL, f"this server speaks {SUBPROTOCOL}")
        elif self.handshake.token is not None and not self._policy.admits(self.handshake.token):
            self.close(AUTHENTICATION_FAILED, "the token is unknown, expired or revoked")

    def _refusal(self, request: Request) -> Response | None:
        """The HTTP response that ends it before it is a websocket; None where it may become one."""
        path = request.path.partition("?")[0]
        page = self._policy.page(path)
        if page is not None and request.method in ("GET", "HEAD"):
            status, body = page
            return _http(status, body, "application/json", is_head=request.method == "HEAD")
        if "Upgrade" not in request.headers:
            advice = b"This is a websocket: connect with a websocket client, such as `python -m websockets URL`.\n"
            return _http(HTTPStatus.UPGRADE_REQUIRED, advice, extra={"Upgrade": "websocket"})
        if self._policy.is_draining():
            return _http(HTTPStatus.SERVICE_UNAVAILABLE, b"The daemon is about to stop.\n", extra={"Retry-After": "1"})
        if refused := refused_host(request, self._policy.allowed_hosts):
            return _http(HTTPStatus.FORBIDDEN, f"Host {refused!r} is not allowed here.\n".encode())
        if refused := refused_origin(request, self._policy.allowed_origins):
            return _http(HTTPStatus.FORBIDDEN, f"Origin {refused!r} is not allowed here.\n".encode())
        handshake = read_handshake(request)
        if handshake.has_authorization and not (handshake.token and self._policy.admits(handshake.token)):
            return _http(HTTPStatus.UNAUTHORIZED, b"The token is unknown.\n", extra={"WWW-Authenticate": "Bearer"})
        return None


def _select_subprotocol(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours, where it is offered.  A token that is carried as a subprotocol is never echoed."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def _http(
    status: int,
    body: bytes,
    content_type: str = "text/plain",
    *,
    is_head: bool = False,
    extra: Mapping[str, str] = _NO_HEADERS,
) -> Response:
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
            **extra,
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, b"" if is_head else body)


def _is_utf8(data: bytes | bytearray | memoryview) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
