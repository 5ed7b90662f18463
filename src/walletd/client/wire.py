"""A websocket over a trio stream: text messages of the daemon come in together, frames go out in one piece.

    wire = await open_wire(url, token, dial, tls=None)
    await wire.send(frames)
    messages = await wire.receive()         # everything that one read brought; raises Hangup at the end

Nothing here has a task.
"""

import ssl
from collections.abc import Awaitable, Callable

import trio

from walletd.client.opening import Vet, anyone, check_token, parse_address
from walletd.client.reconnection import ABNORMAL_CLOSURE, SILENCE_SECONDS, Lost
from walletd.client.websocket import READ_BYTES, Hangup, Websocket

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to a host and a port; TLS, if the address asks for it, goes on top."""


class Wire:
    """An open connection.  One task may receive and one may send at the same time."""

    def __init__(self, stream: trio.abc.Stream, websocket: Websocket) -> None:
        self._stream = stream
        self._websocket = websocket
        self._sending = trio.Lock()
        self._patience = SILENCE_SECONDS
        self._is_silent = False
        self._is_awaited = False
        self._silence: trio.CancelScope | None = None

    async def shake_hands(self, token: str | None) -> None:
        """The opening handshake.  Raises AuthenticationFailed or NotReachable."""
        self._websocket.request(token)
        await self._flush()
        while not self._websocket.has_shaken_hands(await self._stream.receive_some(READ_BYTES)):
            pass

    async def receive(self, patience: float = SILENCE_SECONDS, is_awaited: bool = False) -> list[bytes]:
        """All text messages that have arrived, at least one read's worth.  Raises Hangup.

        If an answer ``is_awaited``, or a request is sent meanwhile, silence is tolerated for ``patience`` seconds.
        """
        self._patience, self._is_awaited = patience, is_awaited
        messages = self._websocket.messages()
        if messages:
            return messages
        self._websocket.check_open()
        data = await self._read()
        if data is None:
            await self._ask_for_a_sign_of_life()
            return []
        self._is_silent = False
        self._websocket.feed(data)
        await self._flush()
        return self._websocket.messages()

    async def send(self, frames: list[bytes]) -> None:
        """Send these text messages in one piece.  Raises Hangup."""
        self._websocket.write(frames)
        self._is_awaited = True
        if self._silence is not None:
            self._silence.deadline = min(self._silence.deadline, trio.current_time() + self._patience)
        await self._flush()

    async def close(self, seconds: float) -> None:
        """Close the connection gracefully within the given time; never raises if the connection is already gone."""
        with trio.move_on_after(seconds, shield=True):
            try:
                self._websocket.say_goodbye()
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
            self._websocket.ping()
            await self._flush()
        if waiting.cancelled_caught:
            raise Hangup(Lost(ABNORMAL_CLOSURE, "the daemon does not read what is sent"))

    async def _flush(self) -> None:
        if not self._websocket.has_outgoing:
            return
        async with self._sending:
            if data := self._websocket.outgoing():
                await self._stream.send_all(data)


async def open_wire(url: str, token: str | None, dial: Dial, tls: ssl.SSLContext | None, vet: Vet = anyone) -> Wire:
    """Connect and shake hands.  Raises AuthenticationFailed, NotReachable, or OSError from the network."""
    uri, path = parse_address(url)
    check_token(token)
    stream: trio.abc.Stream = await dial(uri.host, uri.port) if path is None else await trio.open_unix_socket(path)
    try:
        if isinstance(stream, trio.SocketStream):
            vet(stream.socket)
        if uri.secure:
            context = tls or ssl.create_default_context()
            secured = trio.SSLStream(stream, context, server_hostname=uri.host, https_compatible=True)
            await secured.do_handshake()
            stream = secured
        wire = Wire(stream, Websocket(uri))
        await wire.shake_hands(token)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return wire
