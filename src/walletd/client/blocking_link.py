"""Keeps a blocking client connected, while it waits for an answer: one connection after the other, on a plain socket.

    blocking_link.open()                        # the first: raises NotReachable or AuthenticationFailed
    blocking_link.settle(exchange, deadline)    # until the exchange is over, or the deadline has passed

The conversation and the backoff decide, as they do for ``link``.
"""

import socket
import time
from typing import TYPE_CHECKING, Any, Optional

from websockets.uri import WebSocketURI

from walletd.client.conversation import Conversation
from walletd.client.errors import ClientError, NotReachable
from walletd.client.exchange import Exchange
from walletd.client.nodes import Nodes
from walletd.client.opening import Vet, check_token, parse_address, why
from walletd.client.reconnection import (
    ABNORMAL_CLOSURE,
    CLOSE_SECONDS,
    Backoff,
    Lost,
    attempt_within,
    final_error,
    none_serves,
    patience_within,
)
from walletd.client.websocket import READ_BYTES, Hangup, Websocket

if TYPE_CHECKING:
    import ssl


class BlockingLink:
    """The connection to one daemon, or to one of the nodes of its ledger."""

    def __init__(
        self,
        nodes: Nodes,
        token: str | None,
        conversation: Conversation,
        backoff: Backoff,
        *,
        open_seconds: float,
        tls: Optional["ssl.SSLContext"],
        vet: Vet,
    ) -> None:
        self._nodes = nodes
        self._token = token
        self._conversation = conversation
        self._backoff = backoff
        self._open_seconds = open_seconds
        self._attempt_seconds = attempt_within(open_seconds, len(nodes))
        self._patience = patience_within(open_seconds, len(nodes))
        self._tls = tls
        self._vet = vet
        self._wire: BlockingWire | None = None
        self._next_attempt_at = 0.0

    def open(self) -> None:
        """The first connection: one attempt, or, with several nodes, attempts in turn until the deadline.

        Raises AuthenticationFailed or NotReachable.
        """
        if not self._nodes.are_several:
            self._attempt(self._open_seconds)
            return
        errors: dict[str, ClientError] = {}
        deadline = time.monotonic() + self._open_seconds
        while self._wire is None:
            self._await_next_attempt(deadline)
            left = deadline - time.monotonic()
            if left <= 0:
                raise none_serves(errors, self._open_seconds)
            try:
                self._attempt(min(self._attempt_seconds, left))
            except ClientError as error:
                errors[self._nodes.url] = error
                self._decide(self._conversation.stopped or self._backoff.after_error(error))
                if self._conversation.stopped is not None:
                    raise

    def settle(self, exchange: Exchange[Any], deadline: float) -> None:
        """Send what there is, and receive, until the exchange is over or the deadline has passed."""
        while not exchange.is_over and time.monotonic() < deadline:
            if self._wire is None:
                self._reopen(deadline)
                continue
            try:
                self._converse(self._wire, exchange, deadline)
            except Hangup as hangup:
                self._lose(hangup.lost)
            except OSError:
                self._lose(Lost())

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._wire is not None:
            self._wire.close(CLOSE_SECONDS)
            self._wire = None

    def _attempt(self, seconds: float) -> None:
        """One attempt, up to and including the daemon's hello.  Raises AuthenticationFailed or NotReachable."""
        url = self._nodes.url
        try:
            self._open(url, time.monotonic() + seconds)
        except Hangup as hangup:
            hung_up = NotReachable(f"{url} closed the connection before its hello: {hangup}")
            raise (final_error(hangup.lost) or hung_up) from None
        except OSError as error:
            if isinstance(error, TimeoutError) and error.errno is None:
                raise NotReachable(f"{url} sent no hello within {seconds:g} s") from None
            raise NotReachable(f"cannot reach the daemon at {url}: {why(error)}") from error

    def _open(self, url: str, deadline: float) -> None:
        uri, path = parse_address(url)
        check_token(self._token)
        wire = BlockingWire(_dial(uri, path, deadline), Websocket(uri))
        try:
            self._vet(wire.socket)
            if uri.secure:
                wire.secure(self._tls, uri.host, deadline)
            wire.shake_hands(self._token, deadline)
            while not self._conversation.is_greeted:
                self._receive(wire.receive(deadline))
                if self._conversation.stopped is not None:
                    raise self._conversation.stopped
                if not self._conversation.is_greeted:
                    wire.send(self._conversation.outgoing(time.monotonic()), deadline)
            if self._nodes.is_astray:
                raise NotReachable(f"{url} follows another node")
        except BaseException:
            self._conversation.lost()
            wire.close(0)
            raise
        self._wire = wire
        self._backoff.greeted()

    def _converse(self, wire: "BlockingWire", exchange: Exchange[Any], deadline: float) -> None:
        """Until the exchange is over, or the deadline has passed.  Raises Hangup, or OSError from the network."""
        heard_at, is_silent = time.monotonic(), False
        while not exchange.is_over and (now := time.monotonic()) < deadline:
            if self._nodes.is_astray:
                raise Hangup(Lost())
            wire.send(self._conversation.outgoing(now), deadline)
            if exchange.is_over:
                return
            patience_ends = heard_at + self._backoff.spread(self._patience)
            wait_until = patience_ends if self._conversation.is_awaited else self._conversation.next_due
            try:
                self._receive(wire.receive(min(wait_until, deadline)))
                heard_at, is_silent = time.monotonic(), False
            except TimeoutError as error:
                if error.errno is not None:  # The network's own; without a number it is ours.
                    raise
                if not self._conversation.is_awaited or time.monotonic() < patience_ends:
                    continue
                if is_silent:
                    raise Hangup(Lost(ABNORMAL_CLOSURE, "the daemon did not answer pings")) from None
                wire.ping(deadline)
                heard_at, is_silent = time.monotonic(), True

    def _lose(self, lost: Lost) -> None:
        """Give the connection up, and decide about the next attempt."""
        if self._wire is not None:
            self._wire.close(0)
            self._wire = None
        self._conversation.lost()
        self._decide(self._backoff.after(lost))

    def _decide(self, verdict: float | ClientError) -> None:
        """Wait before the next attempt, or stop for good."""
        if isinstance(verdict, ClientError):
            self._conversation.stop(verdict)
        else:
            self._next_attempt_at = time.monotonic() + verdict

    def _reopen(self, deadline: float) -> None:
        self._await_next_attempt(deadline)
        left = deadline - time.monotonic()
        if left <= 0:
            return
        try:
            self._attempt(min(self._attempt_seconds, left))
        except ClientError as error:
            self._decide(self._conversation.stopped or self._backoff.after_error(error))

    def _await_next_attempt(self, deadline: float) -> None:
        time.sleep(max(0.0, min(self._next_attempt_at, deadline) - time.monotonic()))

    def _receive(self, messages: list[bytes]) -> None:
        now = time.monotonic()
        for message in messages:
            self._conversation.receive(message, now)


class BlockingWire:
    """An open connection."""

    def __init__(self, connected: socket.socket, websocket: Websocket) -> None:
        self.socket = connected
        self._websocket = websocket

    def secure(self, tls: Optional["ssl.SSLContext"], host: str, deadline: float) -> None:
        """Continue behind TLS.  Raises OSError."""
        import ssl

        self.socket.settimeout(_left(deadline))
        self.socket = (tls or ssl.create_default_context()).wrap_socket(self.socket, server_hostname=host)

    def shake_hands(self, token: str | None, deadline: float) -> None:
        """The opening handshake.  Raises AuthenticationFailed, NotReachable or OSError."""
        self._websocket.request(token)
        self._flush(deadline)
        while not self._websocket.has_shaken_hands(self._read(deadline)):
            pass

    def receive(self, deadline: float) -> list[bytes]:
        """The text messages of one read.  Raises Hangup, TimeoutError or another OSError."""
        messages = self._websocket.messages()
        if messages:
            return messages
        self._websocket.check_open()
        self._websocket.feed(self._read(deadline))
        self._flush(deadline)
        return self._websocket.messages()

    def send(self, frames: list[bytes], deadline: float) -> None:
        """Send these text messages.  Raises Hangup or OSError; part of them may be sent then."""
        if frames:
            self._websocket.write(frames)
            self._flush(deadline)

    def ping(self, deadline: float) -> None:
        """Ask for a sign of life."""
        self._websocket.ping()
        self._flush(deadline)

    def close(self, seconds: float) -> None:
        """Say goodbye within the given time, if there is any; never raises if the connection is already gone."""
        try:
            if seconds:
                self._websocket.say_goodbye()
                self._flush(time.monotonic() + seconds)
        except (OSError, Hangup):
            pass
        self.socket.close()

    def _read(self, deadline: float) -> bytes:
        self.socket.settimeout(_left(deadline))
        return self.socket.recv(READ_BYTES)

    def _flush(self, deadline: float) -> None:
        if data := self._websocket.outgoing():
            try:
                self.socket.settimeout(_left(deadline))
                self.socket.sendall(data)
            except TimeoutError:  # Part of a frame may be sent: no other can follow.
                raise Hangup(Lost(ABNORMAL_CLOSURE, "the daemon does not read what is sent")) from None


def _dial(uri: WebSocketURI, path: str | None, deadline: float) -> socket.socket:
    """A connected socket: each address of the host is tried, with its share of the time.  Raises OSError."""
    if path is not None:
        return _connected(socket.AF_UNIX, path, deadline)
    found = socket.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)
    failure = OSError(f"{uri.host} has no address")
    for tried, (family, _, _, _, place) in enumerate(found):
        now = time.monotonic()
        try:
            connected = _connected(family, place, now + (deadline - now) / (len(found) - tried))
        except OSError as error:
            failure = error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise failure


def _connected(family: int, place: Any, deadline: float) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(_left(deadline))
        opened.connect(place)
    except BaseException:
        opened.close()
        raise
    return opened


def _left(deadline: float) -> float:
    """The seconds that are left.  Raises TimeoutError if there are none; a timeout of 0 would mean not to block."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
