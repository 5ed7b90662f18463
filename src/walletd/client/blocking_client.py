"""The client of a program that asks one thing after the other: a plain socket, no event loop and no thread.

    with connect_blocking("ws://127.0.0.1:7878", token=token) as client:
        print(completed(client.wallet("alice")))

It begins fast, because it loads no event loop; the command line uses it.  Its calls block where those of the other
clients wait; it has no streams.
"""

import random
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from walletd.client.blocking_link import BlockingLink
from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable
from walletd.client.exchange import Exchange
from walletd.client.face import Face
from walletd.client.nodes import Nodes, addresses_in
from walletd.client.opening import Vet, anyone
from walletd.client.reconnection import Backoff
from walletd.client.requests import Answer, Request

if TYPE_CHECKING:
    import ssl

Result = TypeVar("Result")


@contextmanager
def connect_blocking(
    url: str | Iterable[str],
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    tls: Optional["ssl.SSLContext"] = None,
    vet: Vet = anyone,
) -> Iterator["BlockingClient"]:
    """A client that stays connected until the block ends; see ``connect``, whose options mean the same.

    Raises AuthenticationFailed or NotReachable if the first connection cannot be made.
    """
    chance = random.SystemRandom().random
    nodes = Nodes(addresses_in(url))
    conversation = Conversation(random=chance, token=token, nodes=nodes)
    backoff = Backoff(chance, nodes)
    link = BlockingLink(nodes, token, conversation, backoff, open_seconds=deadline_seconds, tls=tls, vet=vet)
    link.open()
    try:
        yield BlockingClient(conversation, link, deadline_seconds)
    finally:
        conversation.stop(NotReachable("the client was closed"))
        link.close()


class BlockingClient(Face):
    """One daemon, for the calls of one caller; raises the same errors as ``walletd.client.Client``."""

    def __init__(self, conversation: Conversation, link: BlockingLink, deadline_seconds: float) -> None:
        super().__init__(conversation, deadline_seconds)
        self._link = link

    async def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result; the caller blocks meanwhile."""
        exchange: Exchange[Answer] = self._conversation.begin(request, lambda _: None)
        try:
            self._link.settle(exchange, time.monotonic() + self._deadline_seconds)
        finally:
            if not exchange.is_over:
                self._conversation.abandon(exchange)
        if not exchange.is_over:
            raise exchange.overdue(self._deadline_seconds)
        return exchange.outcome()


def completed(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work that waits for nothing but a ``BlockingClient``."""
    try:
        work.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} waits for an event loop, and there is none")
