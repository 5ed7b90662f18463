"""The websocket, sans I/O: bytes of the network in, whole text messages out, and the checks that the library lacks.

    frames = FrameProtocol(policy)
    messages = frames.receive(data)                    # every complete text message of this read
    frames.send_text(reply)
    await stream.send_all(frames.data_to_send())       # everything queued, in one piece

Around the Sans-I/O ``ServerProtocol`` of ``websockets``: the policy of the handshake, UTF-8 (RFC 6455, 8.1), text only,
bounds on fragments and on control frames, and plain HTTP for the status pages.

Nearly every frame of a client is a whole, short text message.  Those are taken straight from the buffer, five times as
fast as by the library's parser, with all checks: each is masked, within the limit and valid UTF-8.  The library judges
any other frame, from its first byte on.
"""

import enum
import struct
import time
from collections.abc import Callable
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.protocol import State as LibraryState

from walletd.gateway.websocket.fragments import FragmentedText, TooManyFragments
from walletd.gateway.websocket.handshake import (
    DRAINING,
    FAULT,
    Handshake,
    Policy,
    TurnedAway,
    choose_subprotocol,
    is_admitted,
)
from walletd.gateway.websocket.opening import SILENT, Opening
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.messages import SUBPROTOCOL

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

CONTROL_BURST_SECONDS: Final = 4
"""The seconds' worth of pings and pongs that may come at once.  Each ping costs us an answer."""

ABNORMAL: Final = 1006

_NOT_UTF8: Final = "text is not valid UTF-8"
_WHOLE_TEXT: Final = 0x81
_MASKED: Final = 0x80
_LONG_HEADER: Final = bytes((_WHOLE_TEXT, 126))
_SHORT_HEADERS: Final = tuple(bytes((_WHOLE_TEXT, size)) for size in range(126))


class State(enum.Enum):
    """The state of a connection.  A plain HTTP answer goes from opening to closing."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class FrameProtocol:
    """One connection's frames.  ``turned_away`` answers a request for a websocket when there is no room."""

    __slots__ = (
        "_clock",
        "_code",
        "_control_at",
        "_control_credit",
        "_is_over",
        "_lent",
        "_library",
        "_needed",
        "_opening",
        "_owed",
        "_policy",
        "_tail",
        "_text",
        "_writes",
        "handshake",
        "pending_bytes",
        "refused",
        "state",
    )

    def __init__(
        self, policy: Policy, turned_away: TurnedAway | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._opening: Opening | None = Opening(policy, turned_away)
        self._library: Protocol | None = None
        """Present once this is a websocket."""
        self._tail = bytearray()
        """The beginning of an incomplete frame."""
        self._needed = 0
        """The length that the tail must reach before it is worth another look."""
        self._owed = 0
        """The number of bytes still to come of a frame that the library has begun."""
        self._lent = 0
        """The number of bytes of it that the library has."""
        self._text: FragmentedText | None = None
        self._control_credit = float(policy.pings_per_second * CONTROL_BURST_SECONDS)
        self._control_at = 0.0
        self._writes: list[bytes] = []
        self._code = ABNORMAL
        self._is_over = False
        """True if later bytes are ignored, and the stream ends after the queued bytes."""
        self.state = State.OPENING
        self.handshake: Handshake | None = None
        """Set once the client is admitted.  Its reader may forget it: it holds the client's token."""
        self.refused: str | None = None
        """The word for the reason why there is no websocket here."""
        self.pending_bytes = 0
        """The number of bytes that ``data_to_send`` would return."""

    # --- what is received ------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[bytes]:
        """Process the bytes of a read; returns the complete text messages in it, each valid UTF-8.

        Messages before a failure or before the peer's close count; those after our own close do not.
        """
        if self._opening is not None:
            data = self._open(self._opening, data)
        if self._is_over:
            return []
        was_open = self.state is State.OPEN
        messages: list[bytes] = []
        if data:
            self._receive_frames(data, messages)
        return messages if was_open else []

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        if self._library is not None:
            self._library.receive_eof()
            self._collect()
        else:
            self.refused = self.refused or "gone"
            self._end()
            self.state = State.CLOSED

    # --- what is sent ----------------------------------------------------------------------------------------------

    def send_text(self, payload: bytes) -> None:
        """Queue a text message; does nothing unless the connection is open: the peer was told that nothing follows."""
        if self.state is not State.OPEN:
            return
        assert self._library is not None
        if self._library.extensions:
            self._library.send_text(payload)
            self._collect()
            return
        size = len(payload)
        if size < 126:
            header = _SHORT_HEADERS[size]
        elif size < 65536:
            header = _LONG_HEADER + size.to_bytes(2, "big")
        else:
            header = struct.pack("!BBQ", _WHOLE_TEXT, 127, size)
        self._writes.append(header)
        self._writes.append(payload)
        self.pending_bytes += len(header) + size

    def ping(self) -> None:
        """Queue a ping, to see whether the peer is alive."""
        if self._library is not None and self.state is State.OPEN:
            self._library.send_ping(b"")
            self._collect()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake, after the queued frames; a client that is not admitted yet is told that the
        daemon is draining, or that an internal error occurred.
        """
        if self._opening is not None:
            self._opening.refuse(FAULT if code == CloseCode.INTERNAL_ERROR else DRAINING)
            self._answer(self._opening)
        elif self._library is not None and self.state is State.OPEN:
            self._library.send_close(code, reason.encode()[:123].decode("utf-8", "ignore"))
            self._collect()

    def data_to_send(self) -> bytes:
        """All bytes to write, in one piece."""
        data = b"".join(self._writes)
        self._writes.clear()
        self.pending_bytes = 0
        return data

    @property
    def held_bytes(self) -> int:
        """The number of bytes kept for this peer: those to write, and those of an incomplete message."""
        text = 0 if self._text is None else self._text.size
        head = 0 if self._opening is None else self._opening.head_bytes
        return self.pending_bytes + len(self._tail) + self._lent + text + head

    @property
    def is_finished(self) -> bool:
        """True if all bytes that will ever be written were taken: the stream can be ended."""
        return self._is_over and not self._writes

    @property
    def close_code(self) -> int:
        """The code of the side that closed first; 1006 if the connection ended, or will end, without one."""
        if self._library is None:
            return self._code
        received, sent = self._library.close_rcvd, self._library.close_sent
        if received is not None and (sent is None or self._library.close_rcvd_then_sent):
            return received.code
        return ABNORMAL if sent is None else sent.code

    def forget(self) -> None:
        """The connection is over: release everything at once.

        The library's objects refer to each other, and its exceptions to the bytes being read; cycles are searched for
        rarely, and a flood of deflate bombs would leave hundreds of megabytes until then.
        """
        library, self._code = self._library, self.close_code
        self._end()
        if library is not None:
            library.parser_exc = None
            library.parser.close()
            library.extensions = []
            self._library = None

    # --- frames ----------------------------------------------------------------------------------------------------

    def _receive_frames(self, data: bytes, messages: list[bytes]) -> None:
        if self._owed:
            begun, data = data[: self._owed], data[self._owed :]
            self._owed -= len(begun)
            self._lent = self._lent + len(begun) if self._owed else 0
            self._feed_library(begun, messages)
            if self._is_over:
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
        """Take whole text messages out of the data and feed the library anything else; returns the number of bytes
        processed.
        """
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
                assert self._is_over
                return size
            if payload > size:
                self._needed = payload - at
                return at
            if data[at] == _WHOLE_TEXT and length <= limit and self._text is None:
                if end > size:
                    self._needed = end - at
                    return at
                message = apply_mask(data[payload:end], data[payload - 4 : payload])
                if not (message.isascii() or _is_utf8(message)):
                    self._fail(CloseCode.INVALID_DATA, _NOT_UTF8)
                    return size
                messages.append(message)
            else:
                self._owed = max(0, end - size)
                self._lent = size - at if self._owed else 0
                self._feed_library(data[at:end], messages)
                if self._is_over:
                    return size
            at = end
        self._needed = 2
        return at

    def _feed_library(self, data: bytes, messages: list[bytes]) -> None:
        assert self._library is not None
        self._library.receive_data(data)
        for event in self._library.events_received():
            assert isinstance(event, Frame)
            self._take_frame(event, messages)
        self._collect()

    def _take_frame(self, frame: Frame, messages: list[bytes]) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self._take_fragment(frame, messages)
        elif frame.opcode is Opcode.BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "requests are text frames")
        elif frame.opcode is not Opcode.CLOSE and not self._has_control_credit():
            self._fail(CloseCode.RATE, "too many pings")

    def _take_fragment(self, frame: Frame, messages: list[bytes]) -> None:
        text = self._text or FragmentedText(self._policy.max_fragments)
        try:
            message = text.add(bytes(frame.data), frame.fin)
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, _NOT_UTF8)
        except TooManyFragments:
            self._fail(CloseCode.TOO_BIG, f"a message has at most {self._policy.max_fragments} fragments")
        else:
            self._text = text if message is None else None
            if message is not None:
                messages.append(message)

    def _has_control_credit(self) -> bool:
        now = self._clock()
        rate = self._policy.pings_per_second
        earned = (now - self._control_at) * rate
        self._control_at = now
        self._control_credit = min(self._control_credit + earned, rate * CONTROL_BURST_SECONDS) - 1
        return self._control_credit >= 0

    def _fail(self, code: int, reason: str) -> None:
        """Close and look at nothing more (RFC 6455, 7.1.7)."""
        assert self._library is not None
        if not self._library.eof_sent:
            self._library.fail(code, reason)
            self._collect()

    def _collect(self) -> None:
        """Queue the bytes that the library wants written, and follow its state."""
        assert self._library is not None
        for data in self._library.data_to_send():
            self._queue(data)
        if self._library.eof_sent:
            self._end()
        if self._library.state is LibraryState.CLOSING:
            self.state = State.CLOSING
        elif self._library.state is LibraryState.CLOSED:
            self.state = State.CLOSED

    def _queue(self, data: bytes) -> None:
        if data:
            self._writes.append(data)
            self.pending_bytes += len(data)

    def _end(self) -> None:
        self._is_over = True
        if self._opening is not None:
            self._opening.forget()
        self._opening = None
        self._text = None
        self._tail = bytearray()

    # --- opening ---------------------------------------------------------------------------------------------------

    def _open(self, opening: Opening, data: bytes) -> bytes:
        rest = opening.receive(data)
        if opening.response:
            self._answer(opening)
        elif opening.interim or opening.handshake is not None:
            self._take_posted(opening)
        return rest

    def _take_posted(self, opening: Opening) -> None:
        """A request over plain HTTP: once it is whole, its reader takes it from the handshake, and these frames end."""
        self._queue(opening.interim)
        opening.interim = b""
        if opening.handshake is not None:
            self.handshake = opening.handshake
            self._end()

    def _answer(self, opening: Opening) -> None:
        self._queue(opening.response)
        self._opening = None
        if opening.handshake is None:
            opening.forget()
            self.refused = opening.refused
            self.state = State.CLOSING
            self._end()
            return
        self._library = Protocol(
            Side.SERVER, state=LibraryState.OPEN, max_size=self._policy.max_message_bytes, logger=SILENT
        )
        self._library.extensions = list(opening.extensions)
        opening.forget()
        self.handshake = opening.handshake
        self.state = State.OPEN
        self._greet(opening.handshake)

    def _greet(self, handshake: Handshake) -> None:
        """Close at once in cases where a browser sees only a close code, not an HTTP status."""
        if choose_subprotocol(handshake.subprotocols) not in (SUBPROTOCOL, None):
            self.close(CloseCode.UNKNOWN_SUBPROTOCOL, f"this server speaks {SUBPROTOCOL}")
        elif handshake.token is not None and not is_admitted(handshake, self._policy):
            self.close(CloseCode.AUTHENTICATION_FAILED, "the token is unknown, expired or revoked")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
