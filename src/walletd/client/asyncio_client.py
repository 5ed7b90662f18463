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
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

from walletd.client.asyncio_link import AsyncioLink
from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream, Runtime
from walletd.client.face import StreamingFace
from walletd.client.nodes import Nodes, addresses_in
from walletd.client.reconnection import Backoff
from walletd.client.requests import Answer, Request

RUNTIME = Runtime(asyncio.Event, partial(asyncio.sleep, 0))


@asynccontextmanager
async def connect_asyncio(
    url: str | Iterable[str],
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
    nodes = Nodes(addresses_in(url))
    conversation = Conversation(random=chance, retry_busy=retry_busy, token=token, nodes=nodes)
    link = AsyncioLink(nodes, token, conversation, Backoff(chance, nodes), open_seconds=deadline_seconds, tls=tls)
    keeping = asyncio.create_task(link.keep(await link.open()), name="walletd client")
    try:
        yield AsyncioClient(conversation, link, deadline_seconds)
    finally:
        conversation.stop(NotReachable("the client was closed"))
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


class AsyncioClient(StreamingFace):
    """One daemon, for the clients' calls; raises the same errors as ``walletd.client.Client``."""

    runtime = RUNTIME

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

    async def _begun(self, stream: EventStream) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                await stream.begun()
