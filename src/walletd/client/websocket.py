"""The client's end of a websocket, without a socket: bytes come in and text messages come out.

    websocket.request(token)
    sent = websocket.outgoing()
    websocket.feed(received)                # b"" is the end
    messages = websocket.messages()

The protocol itself is ``websockets.client.ClientProtocol``; whose socket carries the bytes is for others to say.
"""

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import CONNECTING, OPEN
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from walletd.client.errors import NotReachable
from walletd.client.opening import handshake_error
from walletd.client.reconnection import ABNORMAL_CLOSURE, Lost
from walletd.protocol.messages import SUBPROTOCOL

MAX_MESSAGE_BYTES = 1024 * 1024 * 1024
"""Enough for the largest entry that an earlier version can have journaled; entries of this version are below a
mebibyte.
"""

READ_BYTES = 256 * 1024


class Hangup(Exception):
    """The connection is over; ``lost`` describes the end."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(f"{lost.code} {lost.reason}".rstrip())
        self.lost = lost


class Websocket:
    """The state of one connection."""

    def __init__(self, uri: WebSocketURI) -> None:
        self._protocol = ClientProtocol(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_MESSAGE_BYTES)
        self._fragments: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """True between the handshake and the end."""
        return self._protocol.state is OPEN

    def request(self, token: str | None) -> None:
        """Begin the opening handshake."""
        request = self._protocol.connect()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)

    def has_shaken_hands(self, data: bytes | bytearray) -> bool:
        """Take what was received; True once the handshake is done.  Raises AuthenticationFailed or NotReachable."""
        self.feed(data)
        if self._protocol.handshake_exc is not None:
            raise handshake_error(self._protocol.handshake_exc)
        if self._protocol.state is not CONNECTING:  # The server may have closed it in the same breath.
            return True
        if not data:
            raise NotReachable("the connection was closed before the websocket handshake was done")
        return False

    def feed(self, data: bytes | bytearray) -> None:
        """Take what was received; nothing is the end."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()

    def write(self, frames: list[bytes]) -> None:
        """Send these text messages.  Raises Hangup."""
        self.check_open()
        for frame in frames:
            self._protocol.send_text(frame)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._protocol.send_ping(b"")

    def say_goodbye(self) -> None:
        """Begin the closing handshake, if there is something to close."""
        if self.is_open:
            self._protocol.send_close(1000)

    @property
    def has_outgoing(self) -> bool:
        """True if there are bytes to send."""
        return bool(self._protocol.writes)

    def outgoing(self) -> bytes:
        """The bytes to send now."""
        return b"".join(self._protocol.data_to_send())

    def check_open(self) -> None:
        """Raise Hangup, with what the daemon said, unless the connection is open."""
        if not self.is_open:
            received = self._protocol.close_rcvd
            raise Hangup(Lost(received.code, received.reason) if received is not None else Lost(ABNORMAL_CLOSURE, ""))

    def messages(self) -> list[bytes]:
        """The text messages that are complete."""
        messages = []
        for event in self._protocol.events_received():
            if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.CONT):
                continue
            if event.fin and not self._fragments:
                messages.append(bytes(event.data))
                continue
            self._fragments.append(bytes(event.data))
            if event.fin:
                messages.append(b"".join(self._fragments))
                self._fragments.clear()
        return messages
