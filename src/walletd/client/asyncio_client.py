"""The client for asyncio programs, such as FastAPI's and bots: the same names, the same guarantees.

    async with connect_asyncio("ws://127.0.0.1:7878", token=token) as client:
        await client.pay("alice", "bob", Decimal("12.50"), "EUR")
        async with client.subscribe(wallets=["bob"]) as stream:
            async for event in stream:
                print(event.sequence, event.entry.command)

Any number of tasks of one event loop may call at the same time; their requests share one connection.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Literal

from walletd.client import requests
from walletd.client.asyncio_link import AsyncioLink
from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream, Runtime, described
from walletd.client.reconnection import Backoff
from walletd.client.requests import Answer, Request
from walletd.client.writes import Writes
from walletd.protocol import envelope
from walletd.protocol import messages as m

RUNTIME = Runtime(asyncio.Event, partial(asyncio.sleep, 0))


@asynccontextmanager
async def connect_asyncio(
    url: str,
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    retry_busy: bool = True,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator["AsyncioClient"]:
    """A client that stays connected until the block ends; see ``connect`` for the options.

    Raises AuthenticationFailed or NotReachable if the first connection cannot be made.
    """
    chance = random.SystemRandom().random
    conversation = Conversation(random=chance, retry_busy=retry_busy, token=token)
    link = AsyncioLink(url, token, conversation, Backoff(chance), open_seconds=deadline_seconds, tls=tls)
    keeping = asyncio.create_task(link.keep(await link.open()), name="walletd client")
    try:
        yield AsyncioClient(conversation, link, deadline_seconds)
    finally:
        conversation.stop(NotReachable("the client was closed"))
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


class AsyncioClient(Writes):
    """One daemon, for the clients' calls; raises the same errors as ``walletd.client.Client``."""

    def __init__(self, conversation: Conversation, link: AsyncioLink, deadline_seconds: float) -> None:
        self._conversation = conversation
        self._link = link
        self._deadline_seconds = deadline_seconds

    def __repr__(self) -> str:
        return described(self, self._conversation)

    @property
    def hello(self) -> envelope.Hello:
        """The ``hello`` of the current connection or, while disconnected, of the previous one."""
        assert self._conversation.hello is not None
        return self._conversation.hello

    async def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result."""
        over = asyncio.Event()
        exchange = self._conversation.begin(request, lambda _: over.set())
        self._link.wake()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await over.wait()
        except TimeoutError:
            if not exchange.is_over:
                raise exchange.overdue(self._deadline_seconds) from None
        finally:
            if not exchange.is_over:
                self._conversation.abandon(exchange)
        return exchange.outcome()

    @asynccontextmanager
    async def subscribe(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> AsyncGenerator[EventStream]:
        """Watch wallets live; see ``Client.subscribe``."""
        stream = await self.open_stream(wallets=wallets, prefix=prefix, all=all, after=after, snapshot=snapshot)
        try:
            yield stream
        finally:
            stream.close()

    async def open_stream(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> EventStream:
        """``subscribe`` without its block; the caller closes the stream."""
        watched = requests.given(wallets=wallets, prefix=prefix, all=all or None)
        stream = EventStream(self._conversation, self._link, watched, after, snapshot, RUNTIME)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await stream.begun()
        except TimeoutError:
            stream.close()
            raise NotReachable(f"stream.subscribe was not answered within {self._deadline_seconds:g} s") from None
        except BaseException:
            stream.close()
            raise
        return stream
