"""A stream for trio programs: ``async for event in stream``, over any number of connections."""

from collections.abc import Mapping
from typing import Any, Literal

import trio

from walletd.client.conversation import Conversation
from walletd.client.link import Link
from walletd.client.results import Event
from walletd.protocol import messages as m


class EventStream:
    """The events of a subscription, in order: ``async for event in stream``.  For one task at a time."""

    def __init__(
        self,
        conversation: Conversation,
        link: Link,
        watched: Mapping[str, Any],
        after: m.Cursor | Literal[0] | None,
        snapshot: bool,
    ) -> None:
        self._conversation = conversation
        self._link = link
        self._news = trio.Event()
        self._stream = conversation.open_stream(watched, after, snapshot, self._wake)
        link.wake()

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
            self._news = trio.Event()

    def close(self) -> None:
        """End the stream; a task that waits for an event leaves its loop."""
        self._conversation.close_stream(self._stream)
        self._link.wake()

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> Event:
        while not self._stream.is_closed:
            self._news = trio.Event()
            event = self._conversation.next_event(self._stream)
            if self._stream.subscription is None:
                self._link.wake()
            if event is not None:
                await trio.lowlevel.checkpoint()
                return event
            await self._news.wait()
        raise StopAsyncIteration

    def _wake(self) -> None:
        self._news.set()
