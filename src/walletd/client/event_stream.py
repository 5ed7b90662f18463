"""A stream for asynchronous programs: ``async for event in stream``, over any number of connections."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from walletd.client.conversation import Conversation
from walletd.client.results import Event
from walletd.protocol import messages as m


class Signal(Protocol):
    """An event as trio and asyncio have it."""

    def set(self) -> object:
        """Wake those who wait."""

    async def wait(self) -> object:
        """Return once it is set."""


class Runtime(NamedTuple):
    """What a stream needs of the event loop under it."""

    signal: Callable[[], Signal]
    checkpoint: Callable[[], Awaitable[None]]


class Waker(Protocol):
    """The connection, which sends what the conversation has."""

    def wake(self) -> None:
        """Note that there may be something to send."""


def described(client: object, conversation: Conversation) -> str:
    """A client for people: as whom it is connected."""
    principal = conversation.hello.auth.principal if conversation.hello is not None else None
    state = "closed" if conversation.stopped else "connected" if conversation.is_greeted else "reconnecting"
    return f"<{type(client).__name__} {principal or 'without a token'}, {state}>"


class EventStream:
    """The events of a subscription, in order: ``async for event in stream``.  For one task at a time."""

    def __init__(
        self,
        conversation: Conversation,
        link: Waker,
        watched: Mapping[str, Any],
        after: m.Cursor | Literal[0] | None,
        snapshot: bool,
        runtime: Runtime,
    ) -> None:
        self._conversation = conversation
        self._link = link
        self._runtime = runtime
        self._news = runtime.signal()
        self._stream = conversation.open_stream(watched, after, snapshot, self._wake)
        link.wake()

    def __repr__(self) -> str:
        return f"<EventStream at {self._stream.cursor}{', closed' if self._stream.is_closed else ''}>"

    @property
    def wallets(self) -> tuple[m.WalletView, ...]:
        """The snapshot; empty if none was requested."""
        return self._stream.wallets

    @property
    def cursor(self) -> m.Cursor:
        """The position after the last event delivered, or at the stream's beginning: resume ``after`` it."""
        assert self._stream.cursor is not None
        return self._stream.cursor

    @property
    def has_begun(self) -> bool:
        """True if the daemon has answered the first subscription."""
        return self._stream.has_begun

    async def begun(self) -> None:
        """Return once the daemon has answered.  Raises its answer if that was an error."""
        while not self._stream.has_begun:
            if self._stream.error is not None:
                raise self._stream.error
            await self._news.wait()
            self._news = self._runtime.signal()

    def close(self) -> None:
        """End the stream; a task that waits for an event leaves its loop."""
        self._conversation.close_stream(self._stream)
        self._link.wake()

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        while not self._stream.is_closed:
            self._news = self._runtime.signal()
            event = self._conversation.next_event(self._stream)
            if self._stream.subscription is None:
                self._link.wake()
            if event is not None:
                await self._runtime.checkpoint()
                return event
            await self._news.wait()
        raise StopAsyncIteration

    def _wake(self) -> None:
        self._news.set()
