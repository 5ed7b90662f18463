"""Plays a case against the daemon's own frame adapter, in memory and in virtual time.

    verdict = play(case_class, policy)                 # OK, NON-STRICT, INFORMATIONAL, or what is wrong

The player is the client that Autobahn would be, with the names by which its cases call it; the adapter echoes.
"""

import heapq
import itertools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.conformance.cases import PerMessageDeflateOffer, Protocol, octets
from tests.gateway.wires import request
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.gateway.websocket.handshake import Policy

MASK = b"\x37\xfa\x21\x3d"
MOST = 256 * 1024 * 1024


class Verdict(NamedTuple):
    """Autobahn's words for what happened and for how it ended, and the code with which the adapter closed."""

    behavior: str
    close: str
    close_code: int | None
    why: str

    @property
    def is_good(self) -> bool:
        """Whether nothing is to be said against it."""
        fine = {"OK", "INFORMATIONAL"}
        return self.behavior in fine and self.close in fine


class Player(Protocol):
    """The client's end: what cases call ``self.p``."""

    def __init__(self, policy: Policy) -> None:
        self._now = 0.0
        self._frames = FrameProtocol(policy, clock=lambda: self._now)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._buffer = bytearray()
        self._message: list[bytes] = []
        self._deflate: Any = None
        self.perMessageCompressionOffers: list[PerMessageDeflateOffer] = []
        self.perMessageCompressionAccept: Any = None
        self.factory = type("Factory", (), {"isServer": False})
        self.state = Protocol.STATE_CONNECTING
        self.autoFragmentSize = 0
        self.createWirelog = False
        self.trafficStats = None
        self.connectionWasOpen = self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.localCloseReason: Any = None
        self.remoteCloseCode: int | None = None
        self.case: Any = None

    # --- for the one who plays -------------------------------------------------------------------------------------

    def play(self) -> None:
        """From the handshake to the end of the connection."""
        self._shake_hands()
        self.state = Protocol.STATE_OPEN
        self.connectionWasOpen = True
        self.case.onOpen()
        while self.state != Protocol.STATE_CLOSED and self._agenda:
            self._now, _, act = heapq.heappop(self._agenda)
            act()
        assert self.state == Protocol.STATE_CLOSED, "nothing more would happen, and the connection is open"
        self.case.onConnectionLost(self.failedByMe)

    def _shake_hands(self) -> None:
        offers = self.perMessageCompressionOffers
        factories = [
            ClientPerMessageDeflateFactory(
                server_no_context_takeover=offer.requestNoContextTakeover,
                server_max_window_bits=offer.requestMaxWindowBits or None,
            )
            for offer in offers
        ]
        params = ", ".join(
            "; ".join(["permessage-deflate", *(f"{name}={value}" if value else name for name, value in one)])
            for one in (factory.get_request_params() for factory in factories)
        )
        assert self._frames.receive(request({"Sec-WebSocket-Extensions": params} if offers else {})) == []
        head = self._frames.data_to_send().decode("latin-1")
        assert " 101 " in head.splitlines()[0], head
        for line in head.splitlines():
            name, _, value = line.partition(": ")
            if name == "Sec-WebSocket-Extensions":
                words = [word.strip().partition("=") for word in value.split(";")[1:]]
                self._deflate = self._accept(factories, [(word[0], word[2] or None) for word in words])

    @staticmethod
    def _accept(factories: list[ClientPerMessageDeflateFactory], params: list[tuple[str, str | None]]) -> Any:
        """The first offer that the answer fits."""
        for factory in factories[:-1]:
            try:
                return factory.process_response_params(params, [])
            except Exception:
                continue
        return factories[-1].process_response_params(params, [])

    def _later(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self._now + delay, next(self._numbers), act))

    # --- what cases do ---------------------------------------------------------------------------------------------

    @property
    def _perMessageCompress(self) -> Any:
        return self._deflate

    def enableWirelog(self, enable: bool) -> None:
        """Nothing is logged."""

    def continueLater(self, delay: float, act: Callable[[], None], tag: Any = None) -> None:
        self._later(delay, lambda: act() if self.state != Protocol.STATE_CLOSED else None)

    def killAfter(self, delay: float) -> None:
        self._later(delay, self._kill)

    def closeAfter(self, delay: float) -> None:
        self._later(delay, self.sendClose)
        self._later(delay + 1, self._kill)

    def _kill(self) -> None:
        """The patience of the fuzzer is at its end."""
        if self.state != Protocol.STATE_CLOSED:
            self.closedByMe = self.closedByMe or self.state == Protocol.STATE_OPEN
            self.failedByMe = self.droppedByMe = True
            self.state = Protocol.STATE_CLOSED

    def sendClose(self, code: int | None = None, reason: str = "") -> None:
        if self.state == Protocol.STATE_OPEN:
            self.sendCloseFrame(code, reason)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: str | bytes = "") -> None:
        if self.state == Protocol.STATE_OPEN:
            self.state = Protocol.STATE_CLOSING
            self.closedByMe = True
        self.localCloseReason = reasonUtf8
        payload = b"" if code is None else struct.pack("!H", code) + octets(reasonUtf8)
        self.sendFrame(8, payload=payload)

    def sendMessage(self, payload: str | bytes, isBinary: bool = False, fragmentSize: int | None = None) -> None:
        data, opcode = octets(payload), 2 if isBinary else 1
        size = fragmentSize or self.autoFragmentSize or len(data) or 1
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            if self._deflate is None:
                self.sendFrame(opcode if number == 0 else 0, is_last, piece)
            else:
                frame = Frame(Opcode(opcode if number == 0 else 0), piece, is_last)
                self._send(frame.serialize(mask=True, extensions=[self._deflate]))

    def sendFrame(
        self,
        opcode: int,
        fin: bool = True,
        payload: str | bytes = "",
        rsv: int = 0,
        payload_len: int | None = None,
        chopsize: int | None = None,
        sync: bool = False,
    ) -> None:
        data = octets(payload)
        if payload_len is not None:
            data = (data * (payload_len // max(1, len(data)) + 1))[:payload_len]
        self._send(self._header(opcode, fin, rsv, len(data)) + _masked(data), chopsize)

    def beginMessage(self) -> None:
        self._sent_of_frame = 0

    def beginMessageFrame(self, length: int) -> None:
        self._send(self._header(1, True, 0, length))

    def sendMessageFrameData(self, payload: str) -> None:
        at = self._sent_of_frame % 4
        self._sent_of_frame += len(payload)
        self._send(_masked(bytes(at) + octets(payload))[at:])

    def endMessage(self) -> None:
        """The frame was the only one, and final."""

    @staticmethod
    def _header(opcode: int, fin: bool, rsv: int, size: int) -> bytes:
        first = (0x80 if fin else 0) | rsv << 4 | opcode
        if size < 126:
            return struct.pack("!BB", first, 0x80 | size) + MASK
        if size < 65536:
            return struct.pack("!BBH", first, 0xFE, size) + MASK
        return struct.pack("!BBQ", first, 0xFF, size) + MASK

    # --- the network -----------------------------------------------------------------------------------------------

    def _send(self, data: bytes, chopsize: int | None = None) -> None:
        """What is sent arrives at once; what comes back, too, but behind what the case does now."""
        for at in range(0, len(data), chopsize or len(data) or 1):
            if self.state == Protocol.STATE_CLOSED:
                return
            for message in self._frames.receive(data[at : at + (chopsize or len(data))]):
                self._frames.send_text(message)
        answer, is_over = self._frames.data_to_send(), self._frames.is_finished
        if answer or is_over:
            self._later(0, lambda: self._receive(answer, is_over))

    def _receive(self, data: bytes, is_over: bool) -> None:
        self._buffer += data
        while (frame := self._next_frame()) is not None and self.state != Protocol.STATE_CLOSED:
            self._take(frame)
        if is_over and self.state != Protocol.STATE_CLOSED:
            self.wasClean = self.remoteClosed and self.state == Protocol.STATE_CLOSING
            self.state = Protocol.STATE_CLOSED

    remoteClosed = False

    def _take(self, frame: Frame) -> None:
        payload = bytes(frame.data)
        if frame.opcode is Opcode.CLOSE:
            self.remoteClosed = True
            if payload:
                self.remoteCloseCode = int.from_bytes(payload[:2], "big")
            if self.state == Protocol.STATE_OPEN:
                self.state = Protocol.STATE_CLOSING
                self.sendFrame(8, payload=payload[:2])
        elif frame.opcode is Opcode.PONG:
            self.case.onPong(payload.decode("latin-1"))
        elif frame.opcode is Opcode.PING:
            self.sendFrame(10, payload=payload)
        else:
            assert frame.fin, "the adapter never cuts a message"
            is_compressed_case = self._deflate is not None
            self.case.onMessage(payload if is_compressed_case else payload.decode("latin-1"), False)

    def _next_frame(self) -> Frame | None:
        data = self._buffer
        if len(data) < 2:
            return None
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + size:
            return None
        first, payload = data[0], bytes(data[start : start + size])
        del data[: start + size]
        frame = Frame(Opcode(first & 15), payload, bool(first & 0x80), bool(first & 0x40))
        return frame if self._deflate is None else self._deflate.decode(frame, max_size=MOST)


def play(case_class: type, policy: Policy, **overrides: Any) -> Verdict:
    """Play one case; ``overrides`` are attributes of the case, such as COUNT."""
    player = Player(policy)
    case = case_class(player)
    for name, value in overrides.items():
        setattr(case, name, value)
    case.compare = lambda one, other: one == other  # Not by their pickles, in which equal things may differ.
    player.case = case
    player.play()
    return Verdict(case.behavior, case.behaviorClose, player.remoteCloseCode, case.result)


def _masked(data: bytes) -> bytes:
    key = int.from_bytes((MASK * (len(data) // 4 + 1))[: len(data)], "big")
    return (int.from_bytes(data, "big") ^ key).to_bytes(len(data), "big")
