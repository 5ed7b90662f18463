"""The client for trio programs.

    async with connect("ws://127.0.0.1:7878", token=token) as client:
        await client.open_wallet("alice")
        await client.pay("@external", "alice", Decimal("12.50"), "EUR", reference="top-up")

Any number of tasks may call at the same time; their requests share one connection and go out together.  A lost
connection is replaced, and unanswered requests are sent again with the same command ids.
"""

import random
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio

from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream, Runtime
from walletd.client.exchange import Exchange
from walletd.client.face import StreamingFace
from walletd.client.link import Link
from walletd.client.nodes import Nodes, addresses_in
from walletd.client.opening import Vet, anyone
from walletd.client.reconnection import Backoff
from walletd.client.requests import Answer, Request
from walletd.client.wire import Dial

RUNTIME = Runtime(trio.Event, trio.lowlevel.checkpoint)


@asynccontextmanager
async def connect(
    url: str | Iterable[str],
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    retry_busy: bool = True,
    tls: ssl.SSLContext | None = None,
    dial: Dial = trio.open_tcp_stream,
    vet: Vet = anyone,
) -> AsyncGenerator["Client"]:
    """A client that stays connected until the block ends.

    The token travels in the request's header; if something on the way removes it, the first request carries it instead.
    ``deadline_seconds`` bounds each call, reconnections included: a ping detects a dead connection within a third of
    it, and unanswered requests are sent again on the next.  With ``retry_busy``, a request that the daemon answers with
    overloaded, rate_limited, unavailable or draining is sent again within the deadline.  ``tls`` is for a wss address
    whose certificate has its own authority, or for a client certificate; ``dial`` is for tunnels and tests.  The
    address of a unix socket is ``unix:/path``.  ``vet`` is called with each new socket before anything is sent, and
    raises a ClientError to send nothing.

    A ledger on several nodes has several addresses: a list, or one string with commas.  The client stays with the node
    that leads.  When that one stops, hangs or hands over, the client finds the next within the deadline, and repeats
    under its id what was unanswered.  The token goes only to these addresses.

    Raises AuthenticationFailed or NotReachable if the first connection cannot be made; with several addresses, at the
    deadline.
    """
    chance = random.SystemRandom().random  # Processes that forked have the same state of the common generator.
    nodes = Nodes(addresses_in(url))
    conversation = Conversation(random=chance, retry_busy=retry_busy, token=token, nodes=nodes)
    backoff = Backoff(chance, nodes)
    link = Link(nodes, token, conversation, backoff, open_seconds=deadline_seconds, dial=dial, tls=tls, vet=vet)
    wire = await link.open()
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.keep, wire)
        try:
            yield Client(conversation, link, deadline_seconds)
        except trio.Cancelled:
            raise
        except BaseException as error:  # Taken out of the nursery, so that it is not wrapped in a group.
            failure = error
        finally:
            conversation.stop(NotReachable("the client was closed"))
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Client(StreamingFace):
    """One daemon, for the clients' calls.

    Every call raises Refused for a command that was decided and refused, RequestFailed for any other error that the
    daemon answers with, OutcomeUnknown for a command that was sent and not answered before the deadline, NotReachable
    for anything else that was not answered, and AuthenticationFailed once the daemon no longer accepts the token.
    """

    runtime = RUNTIME

    async def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result."""
        task = trio.lowlevel.current_task()
        exchange: Exchange[Answer] = self._conversation.begin(request, lambda _: trio.lowlevel.reschedule(task))
        self._link.wake()

        def abandon(_: Any) -> trio.lowlevel.Abort:
            self._conversation.abandon(exchange)
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.move_on_after(self._deadline_seconds):
            await trio.lowlevel.wait_task_rescheduled(abandon)
        if not exchange.is_over:
            raise exchange.overdue(self._deadline_seconds)
        return exchange.outcome()

    async def _begun(self, stream: EventStream) -> None:
        with trio.move_on_after(self._deadline_seconds):
            await stream.begun()
