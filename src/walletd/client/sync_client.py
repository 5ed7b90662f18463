"""The client for plain, synchronous programs: the same names, the same guarantees.

    with connect_sync("ws://127.0.0.1:7878", token=token) as client:
        client.pay("alice", "bob", Decimal("12.50"), "EUR")
        with client.subscribe(wallets=["bob"], snapshot=True) as stream:
            for event in stream:
                print(event.sequence, event.entry.command)

A separate thread runs the trio client; every call is passed to it and waited for.
"""

import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Literal, TypeVar

import trio

from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream
from walletd.client.requests import Answer, Request
from walletd.client.results import Event
from walletd.client.sync_writes import SyncWrites
from walletd.client.trio_client import Client, connect
from walletd.protocol import envelope
from walletd.protocol import messages as m

Result = TypeVar("Result")


@contextmanager
def connect_sync(
    url: str | Iterable[str],
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    retry_busy: bool = True,
    tls: ssl.SSLContext | None = None,
) -> Iterator["SyncClient"]:
    """A client that stays connected until the block ends; see ``connect`` for the options.

    Thread-safe: every method of the client may be called from any number of threads at once, and their requests
    share the connection.  Not thread-safe: one iterator or one stream, each of which belongs to one thread at a time;
    only ``stream.close`` may be called from another, and ends the loop.  Calls that wait while the block ends raise
    NotReachable, or OutcomeUnknown for a command that was sent.
    """
    ready: Future[SyncClient] = Future()

    async def serve() -> None:
        options: dict[str, Any] = {"deadline_seconds": deadline_seconds, "retry_busy": retry_busy, "tls": tls}
        async with connect(url, token=token, **options) as client:
            over = trio.Event()
            ready.set_result(SyncClient(client, trio.lowlevel.current_trio_token(), over))
            await over.wait()

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="walletd client", daemon=True)
    thread.start()
    client = ready.result()
    try:
        yield client
    finally:
        client.close()
        thread.join()


class SyncClient(SyncWrites):
    """One daemon, for the clients' calls; raises the same errors as ``walletd.client.Client``."""

    def __init__(self, client: Client, token: trio.lowlevel.TrioToken, over: trio.Event) -> None:
        self._client = client
        self._token = token
        self._over = over

    def __repr__(self) -> str:
        return repr(self._client).replace("Client", "SyncClient", 1)

    @property
    def hello(self) -> envelope.Hello:
        """The ``hello`` of the current connection or, while disconnected, of the previous one."""
        return self._client.hello

    def close(self) -> None:
        """End the client; the same as leaving its block."""
        with suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)

    def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result."""
        return self._run(partial(self._client.ask, request))

    # --- streams ---------------------------------------------------------------------------------------------------

    @contextmanager
    def subscribe(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> Iterator["SyncEventStream"]:
        """Watch wallets live; see ``Client.subscribe``."""
        opening = partial(self._client.open_stream, wallets=wallets, prefix=prefix, all=all)
        stream = SyncEventStream(self, self._run(partial(opening, after=after, snapshot=snapshot)))
        try:
            yield stream
        finally:
            stream.close()

    def _run(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """Run it in the client's thread, and wait for its result."""
        try:
            return trio.from_thread.run(act, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled):
            raise NotReachable("the client was closed") from None


class SyncEventStream:
    """The events of a subscription, in order: ``for event in stream``."""

    def __init__(self, client: SyncClient, stream: EventStream) -> None:
        self._client = client
        self._stream = stream

    @property
    def wallets(self) -> tuple[m.WalletView, ...]:
        """The snapshot; empty if none was requested."""
        return self._stream.wallets

    @property
    def cursor(self) -> m.Cursor:
        """The position after the last event delivered, or at the stream's beginning: resume ``after`` it."""
        return self._stream.cursor

    def close(self) -> None:
        """End the stream; a thread that waits for an event leaves its loop."""

        async def close() -> None:
            self._stream.close()

        with suppress(NotReachable):
            self._client._run(close)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            return self._client._run(self._stream.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None
