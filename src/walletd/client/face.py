"""What the clients share over a conversation: the greeting, and streams; an event loop's way of waiting is in its
client.
"""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Literal

from walletd.client import requests
from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream, Runtime, Waker, described
from walletd.client.writes import Writes
from walletd.protocol import envelope
from walletd.protocol import messages as m


class Face(Writes):
    """The calls of a client, over a conversation that its link keeps."""

    def __init__(self, conversation: Conversation, deadline_seconds: float) -> None:
        self._conversation = conversation
        self._deadline_seconds = deadline_seconds

    def __repr__(self) -> str:
        return described(self, self._conversation)

    @property
    def hello(self) -> envelope.Hello:
        """The ``hello`` of the current connection or, while disconnected, of the previous one."""
        assert self._conversation.hello is not None
        return self._conversation.hello


class StreamingFace(Face):
    """A face that has streams as well, for an event loop runs under it."""

    runtime: ClassVar[Runtime]

    def __init__(self, conversation: Conversation, link: Waker, deadline_seconds: float) -> None:
        super().__init__(conversation, deadline_seconds)
        self._link = link

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
        """Watch wallets live: exactly one of ``wallets``, ``prefix`` and ``all``.

        ``after`` resumes from a cursor (0 is everything), ``snapshot`` starts with the present balances; with neither,
        the stream starts at the head.  The stream outlives connections without a gap or a duplicate.
        """
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
        stream = EventStream(self._conversation, self._link, watched, after, snapshot, self.runtime)
        try:
            await self._begun(stream)
        except BaseException:
            stream.close()
            raise
        if not stream.has_begun:
            stream.close()
            raise NotReachable(f"stream.subscribe was not answered within {self._deadline_seconds:g} s")
        return stream

    @abstractmethod
    async def _begun(self, stream: EventStream) -> None:
        """Wait until the stream has begun, or the deadline has passed."""
