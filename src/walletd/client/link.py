"""Keeps a client connected: one connection after the other, each with a task that reads and one that writes.

    wire = await link.open()                    # the first: raises NotReachable or AuthenticationFailed
    nursery.start_soon(link.keep, wire)         # from then on, until cancelled or stopped for good

The conversation and the backoff decide; this module waits, reads and writes.
"""

import ssl

import trio

from walletd.client.conversation import Conversation
from walletd.client.errors import ClientError, NotReachable
from walletd.client.nodes import Nodes
from walletd.client.opening import Vet, anyone, why
from walletd.client.reconnection import (
    CLOSE_SECONDS,
    Backoff,
    Lost,
    attempt_within,
    final_error,
    none_serves,
    patience_within,
)
from walletd.client.websocket import Hangup
from walletd.client.wire import Dial, Wire, open_wire

_NETWORK_ERRORS = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Link:
    """The connection to one daemon, or to one of the nodes of its ledger."""

    def __init__(
        self,
        nodes: Nodes,
        token: str | None,
        conversation: Conversation,
        backoff: Backoff,
        *,
        open_seconds: float,
        dial: Dial,
        tls: ssl.SSLContext | None,
        vet: Vet = anyone,
    ) -> None:
        self._nodes = nodes
        self._token = token
        self._conversation = conversation
        self._backoff = backoff
        self._open_seconds = open_seconds
        self._patience = patience_within(open_seconds, len(nodes))
        self._attempt_seconds = attempt_within(open_seconds, len(nodes))
        self._dial = dial
        self._tls = tls
        self._vet = vet
        self._work = trio.Event()

    def wake(self) -> None:
        """Note that the conversation may have something to send.  Everything begun before the writer's turn goes out in
        one piece.
        """
        self._work.set()

    async def open(self) -> Wire:
        """The first connection: one attempt, or, with several nodes, attempts in turn until the deadline.

        Raises AuthenticationFailed or NotReachable.
        """
        if not self._nodes.are_several:
            return await self._attempt(self._open_seconds)
        errors: dict[str, ClientError] = {}
        with trio.move_on_after(self._open_seconds):
            while True:
                try:
                    return await self._attempt(self._attempt_seconds)
                except ClientError as error:
                    errors[self._nodes.url] = error
                    verdict = self._conversation.stopped or self._backoff.after_error(error)
                    if isinstance(verdict, ClientError):
                        raise
                await trio.sleep(verdict)
        raise none_serves(errors, self._open_seconds)

    async def _attempt(self, seconds: float) -> Wire:
        """One attempt, up to and including the daemon's hello.  Raises AuthenticationFailed or NotReachable."""
        url = self._nodes.url
        with trio.move_on_after(seconds):
            try:
                return await self._open(url)
            except Hangup as hangup:
                hung_up = NotReachable(f"{url} closed the connection before its hello: {hangup}")
                raise (final_error(hangup.lost) or hung_up) from None
            except _NETWORK_ERRORS as error:
                raise NotReachable(f"cannot reach the daemon at {url}: {why(error)}") from error
        raise NotReachable(f"{url} sent no hello within {seconds:g} s")

    async def keep(self, wire: Wire) -> None:
        """Serve this connection and those that follow it.  Returns once the client has stopped for good."""
        following: Wire | None = wire
        while following is not None:
            try:
                lost = await self._converse(following)
            finally:
                self._conversation.lost()
                await following.close(CLOSE_SECONDS)
            following = await self._reopen(lost)

    async def _open(self, url: str) -> Wire:
        wire = await open_wire(url, self._token, self._dial, self._tls, self._vet)
        try:
            while not self._conversation.is_greeted:
                self._receive(await wire.receive())
                if self._conversation.stopped is not None:
                    raise self._conversation.stopped
                if not self._conversation.is_greeted and (
                    introduction := self._conversation.outgoing(trio.current_time())
                ):
                    await wire.send(introduction)
            if self._nodes.is_astray:
                raise NotReachable(f"{url} follows another node")
        except BaseException:
            self._conversation.lost()
            await wire.close(0)
            raise
        self._backoff.greeted()
        return wire

    async def _reopen(self, lost: Lost) -> Wire | None:
        verdict = self._backoff.after(lost)
        while not isinstance(verdict, ClientError):
            await trio.sleep(verdict)
            try:
                return await self._attempt(self._attempt_seconds)
            except ClientError as error:
                verdict = self._conversation.stopped or self._backoff.after_error(error)
        self._conversation.stop(verdict)
        return None

    async def _converse(self, wire: Wire) -> Lost:
        lost = Lost()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, wire)
            try:
                while not self._nodes.is_astray:
                    self._receive(
                        await wire.receive(self._backoff.spread(self._patience), self._conversation.is_awaited)
                    )
            except Hangup as hangup:
                lost = hangup.lost
            except _NETWORK_ERRORS:
                pass
            nursery.cancel_scope.cancel()
        return lost

    def _receive(self, messages: list[bytes]) -> None:
        now = trio.current_time()
        for message in messages:
            self._conversation.receive(message, now)
        self._work.set()

    async def _write(self, wire: Wire) -> None:
        while True:
            self._work = trio.Event()
            frames = self._conversation.outgoing(trio.current_time())
            if not frames:
                with trio.move_on_at(self._conversation.next_due):
                    await self._work.wait()
                continue
            try:
                await wire.send(frames)
            except (Hangup, *_NETWORK_ERRORS):
                await wire.close(0)
                return
