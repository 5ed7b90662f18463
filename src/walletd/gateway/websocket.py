"""The websocket, sans I/O: bytes of the network in, whole text messages out, and what the library does not check.

    frames = FrameProtocol(policy)
    messages = frames.receive(data)                    # every complete text message of this read
    frames.send_text(reply)
    await stream.send_all(frames.data_to_send())       # everything queued, in one piece

Around the Sans-I/O ``ServerProtocol`` of ``websockets``: the policy of the handshake, UTF-8 (RFC 6455, 8.1), text only,
bounds on fragments and on control frames, and plain HTTP for the status pages.

Nearly every frame that a client sends is a whole, short text message.  Those are taken straight from the buffer, five
times as fast as by the library's parser, and nothing is left out: each is masked, within the limit and valid UTF-8.
Any other frame, from its first byte on, is the library's to judge.
"""

import codecs
import enum
import logging
import struct
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, assert_never

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State as LibraryState
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from walletd.gateway.handshake import (
    DRAINING,
    HEAD_TOO_LARGE,
    MALFORMED,
    Handshake,
    Refusal,
    choose_subprotocol,
    is_admitted,
    judge,
)
from walletd.gateway.handshake import Policy as Policy
from walletd.protocol.messages import SUBPROTOCOL

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of a request line and its headers; the library alone would keep a megabyte for a client that is not in yet."""

MAX_FRAGMENTS: Final = 128
"""Per message.  A client has no reason to cut a request of a few hundred bytes at all."""

CONTROL_FRAMES_AT_ONCE: Final = 64
CONTROL_FRAMES_PER_SECOND: Final = 16
"""Pings and pongs; a client that pings every second is far below.  Each ping costs us an answer."""

PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
AUTHENTICATION_FAILED: Final = 4401
UNKNOWN_SUBPROTOCOL: Final = 4406
RATE: Final = 4529

_NOT_UTF8: Final = "text is not valid UTF-8"
_END_OF_HEAD: Final = b"\r\n\r\n"
_WHOLE_TEXT: Final = 0x81
_MASKED: Final = 0x80
_SHORT_HEADERS: Final = tuple(bytes((_WHOLE_TEXT, size)) for size in range(126))

# The library logs every header at DEBUG, tokens included: this logger must never be that verbose.
_SILENT: Final = logging.getLogger("walletd.gateway.websocket")
_SILENT.setLevel(logging.ERROR)


class State(enum.Enum):
    """Where a connection is.  A plain HTTP answer goes from opening to closing."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class FrameProtocol:
    """One connection's frames.  ``turned_away`` answers whoever asks for a websocket, because there is no room."""

    __slots__ = (
        "_clock",
        "_control_at",
        "_control_credit",
        "_decoder",
        "_fragments",
        "_head_bytes",
        "_library",
        "_needed",
        "_owed",
        "_policy",
        "_tail",
        "_turned_away",
        "_writes",
        "handshake",
        "pending_bytes",
        "refused",
        "state",
    )

    def __init__(
        self, policy: Policy, turned_away: Refusal | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._turned_away = turned_away
        self._clock = clock
        self._library = ServerProtocol(
            max_size=policy.max_message_bytes,
            select_subprotocol=_select_subprotocol,
            extensions=[ServerPerMessageDeflateFactory()] if policy.compresses else None,
            logger=_SILENT,
        )
        self._head_bytes = 0
        self._tail = bytearray()
        """While opening, the last bytes of the head; then the beginning of a frame that is not whole yet."""
        self._needed = 0
        """How long the tail must be before it is worth another look."""
        self._owed = 0
        """How many bytes of a frame that the library has begun are still to come."""
        self._fragments: list[bytes] = []
        self._decoder: codecs.IncrementalDecoder | None = None
        self._control_credit = float(CONTROL_FRAMES_AT_ONCE)
        self._control_at = 0.0
        self._writes: list[bytes] = []
        self.state = State.OPENING
        self.handshake: Handshake | None = None
        """Set once the client is let in.  Whoever has read it may forget it: it holds the client's token."""
        self.refused: str | None = None
        """The word for why there is no websocket here."""
        self.pending_bytes = 0
        """How much ``data_to_send`` would return."""

    # --- what is received ------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[bytes]:
        """Take in what was read; the complete text messages in it, each valid UTF-8.

        What comes before a failure or before the peer's close counts; what comes after our own close does not.
        """
        if self.state is State.OPENING:
            data = self._receive_head(data)
        if self._library.eof_sent:
            return []
        was_open = self.state is State.OPEN
        messages: list[bytes] = []
        if data:
            self._receive_frames(data, messages)
        return messages if was_open else []

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        self._library.receive_eof()
        self._collect()

    # --- what is sent ----------------------------------------------------------------------------------------------

    def send_text(self, payload: bytes) -> None:
        """Queue a text message; nothing unless the connection is open: the peer was told that nothing follows."""
        if self.state is not State.OPEN:
            return
        if self._library.extensions:
            self._library.send_text(payload)
            self._collect()
            return
        size = len(payload)
        if size < 126:
            header = _SHORT_HEADERS[size]
        elif size < 65536:
            header = struct.pack("!BBH", _WHOLE_TEXT, 126, size)
        else:
            header = struct.pack("!BBQ", _WHOLE_TEXT, 127, size)
        self._writes.append(header)
        self._writes.append(payload)
        self.pending_bytes += len(header) + size

    def ping(self) -> None:
        """Queue a ping, to see whether the peer is alive."""
        if self.state is State.OPEN:
            self._library.send_ping(b"")
            self._collect()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, behind what is queued; who is not in yet is told that we are draining."""
        if self.state is State.OPENING:
            self._refuse(DRAINING)
        elif self.state is State.OPEN:
            self._library.send_close(code, reason.encode()[:123].decode("utf-8", "ignore"))
        self._collect()

    def data_to_send(self) -> bytes:
        """Everything to be written, in one piece."""
        data = b"".join(self._writes)
        self._writes.clear()
        self.pending_bytes = 0
        return data

    @property
    def is_finished(self) -> bool:
        """Whether everything that will ever be written was handed out: the stream can be ended."""
        return self._library.eof_sent and not self._writes

    @property
    def close_code(self) -> int:
        """The code of whoever closed first; 1006 if the connection ended, or will end, without a word."""
        received, sent = self._library.close_rcvd, self._library.close_sent
        if received is not None and (sent is None or self._library.close_rcvd_then_sent):
            return received.code
        return ABNORMAL if sent is None else sent.code

    # --- frames ----------------------------------------------------------------------------------------------------

    def _receive_frames(self, data: bytes, messages: list[bytes]) -> None:
        if self._owed:
            begun, data = data[: self._owed], data[self._owed :]
            self._owed -= len(begun)
            self._feed_library(begun, messages)
            if self._library.eof_sent:
                return
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return
            data = bytes(self._tail)
            self._tail = bytearray()
        end = self._split(data, messages)
        self._tail += data[end:]

    def _split(self, data: bytes, messages: list[bytes]) -> int:
        """Take whole text messages out of the data and feed the library anything else; how much of it is done with."""
        limit = self._policy.max_message_bytes
        at, size = 0, len(data)
        while size - at >= 2:
            length = data[at + 1] - _MASKED
            payload = at + 6
            if length == 126:
                payload = at + 8
                length = int.from_bytes(data[at + 2 : at + 4], "big")
            elif length == 127:
                payload = at + 14
                length = int.from_bytes(data[at + 2 : at + 10], "big")
            end = payload + length
            if length < 0:
                self._feed_library(data[at:], messages)  # Not masked: the library refuses it at once.
                assert self._library.eof_sent
                return size
            if payload > size:
                self._needed = payload - at
                return at
            if data[at] == _WHOLE_TEXT and length <= limit and not self._fragments:
                if end > size:
                    self._needed = end - at
                    return at
                message = apply_mask(data[payload:end], data[payload - 4 : payload])
                if not (message.isascii() or _is_utf8(message)):
                    self._fail(INVALID_DATA, _NOT_UTF8)
                    return size
                messages.append(message)
            else:
                self._owed = max(0, end - size)
                self._feed_library(data[at:end], messages)
                if self._library.eof_sent:
                    return size
            at = end
        self._needed = 2
        return at

    def _feed_library(self, data: bytes, messages: list[bytes]) -> None:
        self._library.receive_data(data)
        for event in self._library.events_received():
            assert isinstance(event, Frame)
            self._take_frame(event, messages)
        self._collect()

    def _take_frame(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self._take_fragment(frame, messages)
        elif frame.opcode is Opcode.BINARY:
            self._fail(UNSUPPORTED_DATA, "requests are text frames")
        elif frame.opcode is not Opcode.CLOSE and not self._has_control_credit():
            self._fail(RATE, "too many pings")

    def _take_fragment(self, frame: Frame, messages: list[bytes]) -> None:
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            self._decoder.decode(bytes(frame.data), frame.fin)
        except UnicodeDecodeError:
            self._fail(INVALID_DATA, _NOT_UTF8)
            return
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > MAX_FRAGMENTS:
            self._fail(TOO_BIG, f"a message has at most {MAX_FRAGMENTS} fragments")
        elif frame.fin:
            messages.append(b"".join(self._fragments))
            self._fragments.clear()
            self._decoder = None

    def _has_control_credit(self) -> bool:
        now = self._clock()
        earned = (now - self._control_at) * CONTROL_FRAMES_PER_SECOND
        self._control_at = now
        self._control_credit = min(self._control_credit + earned, CONTROL_FRAMES_AT_ONCE) - 1
        return self._control_credit >= 0

    def _fail(self, code: int, reason: str) -> None:
        """Close and look at nothing more (RFC 6455, 7.1.7)."""
        if not self._library.eof_sent:
            self._library.fail(code, reason)
            self._collect()
        self._fragments.clear()

    def _queue(self, data: bytes) -> None:
        self._writes.append(data)
        self.pending_bytes += len(data)

    def _collect(self) -> None:
        """Queue what the library wants written, and follow its state."""
        for data in self._library.data_to_send():
            if data:
                self._queue(data)
        if self._library.state is LibraryState.CLOSED:
            self.state = State.CLOSED
        elif self._library.eof_sent or self._library.state is LibraryState.CLOSING:
            self.state = State.CLOSING
        elif self._library.state is LibraryState.OPEN:
            self.state = State.OPEN

    # --- handshake -------------------------------------------------------------------------------------------------

    def _receive_head(self, data: bytes) -> bytes:
        """Feed the library the request and nothing behind it; what is behind it."""
        known = len(self._tail)
        seen = bytes(self._tail) + data
        end = seen.find(_END_OF_HEAD)
        cut = len(data) if end < 0 else end + len(_END_OF_HEAD) - known
        self._tail = bytearray(seen[-3:] if end < 0 else b"")
        self._head_bytes += cut
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)
        else:
            self._library.receive_data(data[:cut])
            self._take_request()
        self._collect()
        return data[cut:]

    def _take_request(self) -> None:
        for request in self._library.events_received():
            assert isinstance(request, Request)
            self._answer(request)
        if self._library.handshake_exc is not None and self.refused is None:
            # Not HTTP, or too long a line: the library may have ended the stream without a word.
            self.refused = MALFORMED.word
            self._collect()
            if not self.pending_bytes:
                self._queue(MALFORMED.response().serialize())

    def _answer(self, request: Request) -> None:
        verdict = judge(request, self._policy, self._turned_away)
        match verdict:
            case Handshake():
                self._accept(request, verdict)
            case Refusal():
                self._refuse(verdict)
            case Response():
                self.refused = "page"
                self._library.send_response(verdict)
            case _:
                assert_never(verdict)

    def _accept(self, request: Request, handshake: Handshake) -> None:
        response = self._library.accept(request)
        self._library.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self.refused = MALFORMED.word
            return
        self.handshake = handshake
        self._forget_request()
        if choose_subprotocol(handshake.subprotocols) not in (SUBPROTOCOL, None):
            self._library.send_close(UNKNOWN_SUBPROTOCOL, f"this server speaks {SUBPROTOCOL}")
        elif handshake.token is not None and not is_admitted(handshake, self._policy):
            self._library.send_close(AUTHENTICATION_FAILED, "the token is unknown, expired or revoked")

    def _forget_request(self) -> None:
        """Go on with a library that never saw the request: its parser would keep it, and the token in it, for good."""
        self._collect()
        extensions = self._library.extensions
        self._library = ServerProtocol(state=LibraryState.OPEN, max_size=self._policy.max_message_bytes, logger=_SILENT)
        self._library.extensions = extensions

    def _refuse(self, refusal: Refusal) -> None:
        self.refused = refusal.word
        self._library.send_response(refusal.response())


def _select_subprotocol(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    chosen = choose_subprotocol(offered)
    return None if chosen is None else Subprotocol(chosen)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
