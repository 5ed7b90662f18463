"""A websocket over a trio stream: text messages of the daemon come in together, frames go out in one piece.

    wire = await open_wire(url, token, dial, tls=None)
    await wire.send(frames)
    messages = await wire.receive()         # everything that one read brought; raises Hangup at the end

The protocol itself is ``websockets.client.ClientProtocol``, which knows no sockets; nothing here has a task.
"""

import ssl
from collections.abc import Awaitable, Callable

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CONNECTING, OPEN, Event
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from walletd.client.errors import AuthenticationFailed, NotAnAddress, NotReachable
from walletd.client.reconnection import ABNORMAL_CLOSURE, Lost
from walletd.protocol.messages import SUBPROTOCOL

MAX_MESSAGE_BYTES = 1024 * 1024 * 1024
"""Enough for the largest entry that an earlier version can have journaled; entries of this version are below a
mebibyte.
"""

READ_BYTES = 256 * 1024

SILENCE_SECONDS = 20.0
"""The silence after which the daemon is pinged; after the same time again the connection counts as dead.

While a request is unanswered, the caller's patience takes its place, so that a dead connection is found within the
deadline of the call.
"""

UNIX_SCHEME = "unix:"

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to a host and a port; TLS, if the address asks for it, goes on top."""

Vet = Callable[[trio.SocketStream], None]
"""Raises if nothing may be sent over this connection, which is a socket's."""


def anyone(stream: trio.SocketStream) -> None:
    """Send to any program at the address."""


class Hangup(Exception):
    """The connection is over; ``lost`` describes the end."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(f"{lost.code} {lost.reason}".rstrip())
        self.lost = lost


class Wire:
    """An open connection.  One task may receive and one may send at the same time."""

    def __init__(self, stream: trio.abc.Stream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._fragments: list[bytes] = []
        self._sending = trio.Lock()
        self._patience = SILENCE_SECONDS
        self._is_silent = False
        self._is_awaited = False
        self._silence: trio.CancelScope | None = None

    async def shake_hands(self, token: str | None) -> None:
        """The opening handshake.  Raises AuthenticationFailed or NotReachable."""
        request = self._protocol.connect()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        await self._flush()
        while True:
            data = await self._stream.receive_some(READ_BYTES)
            self._feed(data)
            if self._protocol.handshake_exc is not None:
                raise handshake_error(self._protocol.handshake_exc)
            if self._protocol.state is not CONNECTING:  # The server may have closed it in the same breath.
                return
            if not data:
                raise NotReachable("the connection was closed before the websocket handshake was done")

    async def receive(self, patience: float = SILENCE_SECONDS, is_awaited: bool = False) -> list[bytes]:
        """All text messages that have arrived, at least one read's worth.  Raises Hangup.

        If an answer ``is_awaited``, or a request is sent meanwhile, silence is tolerated for ``patience`` seconds.
        """
        self._patience, self._is_awaited = patience, is_awaited
        messages = self._messages(self._protocol.events_received())
        if messages:
            return messages
        if self._protocol.state is not OPEN:
            raise Hangup(self._lost())
        data = await self._read()
        if data is None:
            await self._ask_for_a_sign_of_life()
            return []
        self._is_silent = False
        self._feed(data)
        if self._protocol.writes:
            await self._flush()
        return self._messages(self._protocol.events_received())

    async def send(self, frames: list[bytes]) -> None:
        """Send these text messages in one piece.  Raises Hangup."""
        if self._protocol.state is not OPEN:
            raise Hangup(self._lost())
        for frame in frames:
            self._protocol.send_text(frame)
        self._is_awaited = True
        if self._silence is not None:
            self._silence.deadline = min(self._silence.deadline, trio.current_time() + self._patience)
        await self._flush()

    async def close(self, seconds: float) -> None:
        """Close the connection gracefully within the given time; never raises if the connection is already gone."""
        with trio.move_on_after(seconds, shield=True):
            try:
                if self._protocol.state is OPEN:
                    self._protocol.send_close(1000)
                    await self._flush()
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, Hangup):
                pass
        await trio.aclose_forcefully(self._stream)

    async def _read(self) -> bytes | bytearray | None:
        """The bytes of one read; None if nothing arrived for a while."""
        with trio.move_on_after(self._patience if self._is_awaited else SILENCE_SECONDS) as self._silence:
            return await self._stream.receive_some(READ_BYTES)
        return None

    async def _ask_for_a_sign_of_life(self) -> None:
        if self._is_silent:
            raise Hangup(Lost(ABNORMAL_CLOSURE, "the daemon did not answer pings"))
        self._is_silent = True
        # A long message may be on its way, and take its time: the ping waits behind it.
        with trio.move_on_after(SILENCE_SECONDS) as waiting:
            self._protocol.send_ping(b"")
            await self._flush()
        if waiting.cancelled_caught:
            raise Hangup(Lost(ABNORMAL_CLOSURE, "the daemon does not read what is sent"))

    def _feed(self, data: bytes | bytearray) -> None:
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()

    async def _flush(self) -> None:
        async with self._sending:
            pieces = self._protocol.data_to_send()
            if data := b"".join(pieces):
                await self._stream.send_all(data)

    def _messages(self, events: list[Event]) -> list[bytes]:
        messages = []
        for event in events:
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

    def _lost(self) -> Lost:
        received = self._protocol.close_rcvd
        return Lost(received.code, received.reason) if received is not None else Lost(ABNORMAL_CLOSURE, "")


async def open_wire(url: str, token: str | None, dial: Dial, tls: ssl.SSLContext | None, vet: Vet = anyone) -> Wire:
    """Connect and shake hands.  Raises AuthenticationFailed, NotReachable, or OSError from the network."""
    uri, path = parse_address(url)
    check_token(token)
    stream: trio.abc.Stream = await dial(uri.host, uri.port) if path is None else await trio.open_unix_socket(path)
    try:
        if isinstance(stream, trio.SocketStream):
            vet(stream)
        if uri.secure:
            context = tls or ssl.create_default_context()
            secured = trio.SSLStream(stream, context, server_hostname=uri.host, https_compatible=True)
            await secured.do_handshake()
            stream = secured
        protocol = ClientProtocol(uri, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_MESSAGE_BYTES)
        wire = Wire(stream, protocol)
        await wire.shake_hands(token)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return wire


def check_token(token: str | None) -> None:
    """Raise AuthenticationFailed for a token that no header can carry."""
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token and token):
        raise AuthenticationFailed("the token is empty or contains characters that tokens cannot have, such as a space")


def parse_address(url: str) -> tuple[WebSocketURI, str | None]:
    """The address, and the path of the unix socket if it is ``unix:/path``."""
    if url.startswith(UNIX_SCHEME) and len(url) > len(UNIX_SCHEME):
        return parse_uri("ws://localhost"), url.removeprefix(UNIX_SCHEME).removeprefix("//")
    try:
        return parse_uri(url), None
    except (InvalidURI, ValueError) as error:
        sentence = f"{url!r} is not a websocket address; write it like ws://127.0.0.1:7878 or unix:/path/of/a/socket"
        raise NotAnAddress(sentence) from error


def handshake_error(error: Exception) -> Exception:
    """What a failed opening handshake means for the client."""
    if isinstance(error, InvalidStatus):
        return _status_error(error.response)
    if isinstance(error, InvalidHandshake):
        return NotReachable(f"no websocket was opened: {error}")
    return NotReachable(f"the peer does not speak websocket: {error}")


def _status_error(response: Response) -> Exception:
    said = bytes(response.body or b"").decode("utf-8", "replace").strip()
    sentence = said[:200] or response.reason_phrase
    if response.status_code == 401:
        return AuthenticationFailed(f"the daemon does not accept the token: {sentence}")
    return NotReachable(f"the daemon answered {response.status_code}: {sentence}")
