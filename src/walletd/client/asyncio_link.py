"""Keeps a client connected under asyncio: one connection after the other, each with a task that writes and one that
listens for silence.

    connection = await link.open()              # the first: raises NotReachable or AuthenticationFailed
    await link.keep(connection)                 # in a task: until cancelled or stopped for good

The conversation and the backoff decide, as they do for ``link``; the sockets are those of ``websockets.asyncio``.
"""

import asyncio
import ssl
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from walletd.client.conversation import Conversation
from walletd.client.errors import ClientError, NotReachable
from walletd.client.nodes import Nodes
from walletd.client.opening import check_token, handshake_error, parse_address, why
from walletd.client.reconnection import (
    CLOSE_SECONDS,
    SILENCE_SECONDS,
    Backoff,
    Lost,
    attempt_within,
    final_error,
    none_serves,
    patience_within,
)
from walletd.client.websocket import MAX_MESSAGE_BYTES
from walletd.protocol.messages import SUBPROTOCOL


class AsyncioLink:
    """The connection to one daemon, or to one of the nodes of its ledger."""

    def __init__(
        self,
        nodes: Nodes,
        token: str | None,
        conversation: Conversation,
        backoff: Backoff,
        *,
        open_seconds: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._nodes = nodes
        self._token = token
        self._conversation = conversation
        self._backoff = backoff
        self._open_seconds = open_seconds
        self._patience = patience_within(open_seconds, len(nodes))
        self._attempt_seconds = attempt_within(open_seconds, len(nodes))
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.Event()
        self._stirred = asyncio.Event()
        self._quiet_since = 0.0
        """The time of the last message, or of the first request after it."""

    def wake(self) -> None:
        """Note that the conversation may have something to send."""
        self._work.set()

    async def open(self) -> ClientConnection:
        """The first connection: one attempt, or, with several nodes, attempts in turn until the deadline.

        Raises AuthenticationFailed or NotReachable.
        """
        if not self._nodes.are_several:
            return await self._attempt(self._open_seconds)
        errors: dict[str, ClientError] = {}
        try:
            async with asyncio.timeout(self._open_seconds):
                while True:
                    try:
                        return await self._attempt(self._attempt_seconds)
                    except ClientError as error:
                        errors[self._nodes.url] = error
                        verdict = self._conversation.stopped or self._backoff.after_error(error)
                        if isinstance(verdict, ClientError):
                            raise
                    await asyncio.sleep(verdict)
        except TimeoutError:
            raise none_serves(errors, self._open_seconds) from None

    async def _attempt(self, seconds: float) -> ClientConnection:
        """One attempt, up to and including the daemon's hello.  Raises AuthenticationFailed or NotReachable."""
        url = self._nodes.url
        try:
            async with asyncio.timeout(seconds):
                return await self._open(url)
        except TimeoutError:
            raise NotReachable(f"{url} sent no hello within {seconds:g} s") from None

    async def keep(self, connection: ClientConnection) -> None:
        """Serve this connection and those that follow it.  Returns once the client has stopped for good."""
        following: ClientConnection | None = connection
        try:
            while following is not None:
                try:
                    lost = await self._converse(following)
                finally:
                    self._conversation.lost()
                    await _close(following)
                following = await self._reopen(lost)
        finally:
            self._conversation.stop(NotReachable("the client was closed"))

    async def _open(self, url: str) -> ClientConnection:
        uri, path = parse_address(url)
        check_token(self._token)
        options: dict[str, Any] = {
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "additional_headers": {} if self._token is None else {"Authorization": f"Bearer {self._token}"},
            "compression": None,
            "max_size": MAX_MESSAGE_BYTES,
            "ping_interval": None,
            "open_timeout": None,
            "close_timeout": CLOSE_SECONDS,
        }
        if uri.secure:
            options["ssl"] = self._tls or ssl.create_default_context()
        try:
            if path is None:
                connection = await connect(url, proxy=None, **options)
            else:
                connection = await unix_connect(path, "ws://localhost", **options)
        except InvalidHandshake as error:
            raise handshake_error(error) from None
        except (OSError, EOFError) as error:
            raise NotReachable(f"cannot reach the daemon at {url}: {why(error)}") from error
        try:
            await self._greet(connection, url)
            if self._nodes.is_astray:
                raise NotReachable(f"{url} follows another node")
        except BaseException:
            self._conversation.lost()
            connection.transport.abort()
            raise
        self._backoff.greeted()
        return connection

    async def _greet(self, connection: ClientConnection, url: str) -> None:
        try:
            while not self._conversation.is_greeted:
                self._conversation.receive(await connection.recv(decode=False), self._loop.time())
                if self._conversation.stopped is not None:
                    raise self._conversation.stopped
                if not self._conversation.is_greeted:
                    for frame in self._conversation.outgoing(self._loop.time()):
                        await connection.send(frame, text=True)
        except ConnectionClosed as closed:
            lost = _end_of(closed)
            hung_up = NotReachable(f"{url} closed the connection before its hello: {lost.code} {lost.reason}")
            raise (final_error(lost) or hung_up) from None

    async def _reopen(self, lost: Lost) -> ClientConnection | None:
        verdict = self._backoff.after(lost)
        while not isinstance(verdict, ClientError):
            await asyncio.sleep(verdict)
            try:
                return await self._attempt(self._attempt_seconds)
            except ClientError as error:
                verdict = self._conversation.stopped or self._backoff.after_error(error)
        self._conversation.stop(verdict)
        return None

    async def _converse(self, connection: ClientConnection) -> Lost:
        self._quiet_since = self._loop.time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._write(connection)), group.create_task(self._watch(connection))]
            try:
                while not self._nodes.is_astray:
                    message = await connection.recv(decode=False)
                    self._quiet_since = self._loop.time()
                    self._conversation.receive(message, self._quiet_since)
                    self._work.set()
                return Lost()
            except ConnectionClosed as closed:
                return _end_of(closed)
            finally:
                for task in tasks:
                    task.cancel()

    async def _write(self, connection: ClientConnection) -> None:
        while True:
            self._work.clear()
            was_awaited = self._conversation.is_awaited
            frames = self._conversation.outgoing(self._loop.time())
            if not frames:
                await self._rest()
                continue
            if not was_awaited:
                self._quiet_since = self._loop.time()
                self._stirred.set()
            try:
                for frame in frames:
                    await connection.send(frame, text=True)
            except ConnectionClosed:
                return

    async def _rest(self) -> None:
        """Wait for work, or for a request that is to be sent again."""
        due = self._conversation.next_due
        try:
            async with asyncio.timeout_at(None if due == float("inf") else due):
                await self._work.wait()
        except TimeoutError:
            pass

    async def _watch(self, connection: ClientConnection) -> None:
        """Give the connection up if the daemon is silent, and is silent after a ping as well."""
        while True:
            self._stirred.clear()
            limit = self._backoff.spread(self._patience) if self._conversation.is_awaited else SILENCE_SECONDS
            try:
                async with asyncio.timeout_at(self._quiet_since + limit):
                    await self._stirred.wait()
            except TimeoutError:
                if self._loop.time() >= self._quiet_since + limit and not await self._is_alive(connection, limit):
                    connection.transport.abort()
                    return

    async def _is_alive(self, connection: ClientConnection, seconds: float) -> bool:
        asked_at = self._loop.time()
        try:
            async with asyncio.timeout(seconds):
                await (await connection.ping())
        except ConnectionClosed:
            return False
        except TimeoutError:
            return self._quiet_since > asked_at
        self._quiet_since = self._loop.time()
        return True


def _end_of(closed: ConnectionClosed) -> Lost:
    return Lost() if closed.rcvd is None else Lost(closed.rcvd.code, closed.rcvd.reason)


async def _close(connection: ClientConnection) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    except TimeoutError:
        pass
    finally:
        connection.transport.abort()
