"""A stream as its reader sees it, sans I/O: no event is missing and none comes twice, over any number of connections.

A subscription lives as long as its connection; a stream outlives it.  It knows the cursor up to which it has received,
accepts the next event, and reports when it must be resumed from that cursor: after a reconnect, after a gap, and after
its buffer was full because its reader was slow.
"""

import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from walletd.client.errors import ClientError, StreamBroken
from walletd.client.results import Event
from walletd.protocol.messages import Cursor, Subscribed, WalletView
from walletd.vocabulary.identifiers import Sequence

MAX_BUFFERED_EVENTS = 8192
"""The limit on events that wait for a slow reader; beyond it the daemon keeps them, and the stream is resumed later."""

MAX_FRUITLESS_RESUMPTIONS = 3
"""The number of gaps in a row, without a new event, after which the stream gives up."""


class IncomingEvent(msgspec.Struct, frozen=True):
    """A ``stream.event`` as received, with the entry's bytes untouched."""

    subscription: int
    epoch: int
    sequence: int
    previous_sequence: int
    entry: msgspec.Raw


class Verdict(enum.Enum):
    """The meaning of an arriving event."""

    KEPT = "kept"
    DOUBLE = "double"
    GAP = "gap"
    FULL = "full"


class Stream:
    """One stream, from its first subscription until it is closed or has failed."""

    def __init__(
        self,
        watched: Mapping[str, Any],
        after: Cursor | Literal[0] | None,
        snapshot: bool,
        wake: Callable[[], None],
        max_buffered: int = MAX_BUFFERED_EVENTS,
    ) -> None:
        self._watched = watched
        self._start = {"snapshot": True} if snapshot else {} if after is None else {"after": after}
        self._wake = wake
        self._max_buffered = max_buffered
        self._received: Cursor | None = None
        self._buffer: deque[Event] = deque()
        self._fruitless = 0
        self.cursor = after or None
        """The position up to which the reader was given events: the point to resume from in another process."""
        self.wallets: tuple[WalletView, ...] = ()
        """The snapshot, if one was requested."""
        self.subscription: int | None = None
        self.is_paused = False
        self.is_closed = False
        self.error: ClientError | None = None

    def params(self) -> dict[str, Any]:
        """The params of the next subscription: from the cursor on, once there is one."""
        return {**self._watched, **({"after": self._received} if self._received else self._start)}

    def subscribed(self, answer: Subscribed) -> None:
        """Note that a subscription has begun."""
        self.subscription = answer.subscription
        self.is_paused = False
        if self._received is None:
            self.wallets = answer.wallets
            self._received = self.cursor = Cursor(answer.epoch, Sequence(answer.start))
        self._wake()

    def take(self, arrival: IncomingEvent) -> Verdict:
        """Accept an event of the present subscription."""
        assert self._received is not None
        if arrival.epoch == self._received.epoch:
            if arrival.sequence <= self._received.sequence:
                return Verdict.DOUBLE
            if arrival.previous_sequence > self._received.sequence:
                return self._gap(arrival)
        else:
            return self._gap(arrival)
        if len(self._buffer) >= self._max_buffered:
            self.is_paused = True
            return Verdict.FULL
        self._received = Cursor(arrival.epoch, Sequence(arrival.sequence))
        self._fruitless = 0
        self._buffer.append(Event(arrival.epoch, arrival.sequence, bytes(arrival.entry)))
        self._wake()
        return Verdict.KEPT

    def heartbeat(self, epoch: int, head: int) -> None:
        """Note that the subscription is complete up to ``head``."""
        assert self._received is not None
        if epoch == self._received.epoch and head > self._received.sequence:
            self._received = Cursor(epoch, Sequence(head))
            if not self._buffer:
                self.cursor = self._received

    def next(self) -> Event | None:
        """The next event for the reader; None if it has to wait.  Raises the error with which the stream ended."""
        if self._buffer:
            event = self._buffer.popleft()
            self.cursor = Cursor(event.epoch, Sequence(event.sequence))
            return event
        if self.error is not None:
            raise self.error
        return None

    @property
    def has_begun(self) -> bool:
        """True if the first subscription was answered: there is a cursor to resume from."""
        return self._received is not None

    @property
    def is_thirsty(self) -> bool:
        """True if it was paused and has space again."""
        return self.is_paused and not self.is_closed and len(self._buffer) <= self._max_buffered // 2

    def fail(self, error: ClientError) -> None:
        """End the stream with an error, which its reader gets after the events already received."""
        self.error = self.error or error
        self._wake()

    def close(self) -> None:
        """Note that the reader has gone."""
        self.is_closed = True
        self._wake()

    def _gap(self, arrival: IncomingEvent) -> Verdict:
        self._fruitless += 1
        if self._fruitless > MAX_FRUITLESS_RESUMPTIONS:
            self.fail(
                StreamBroken(
                    f"event {arrival.sequence} says that {arrival.previous_sequence} came before it, which was never "
                    f"received after {self._received}, not even after resuming {MAX_FRUITLESS_RESUMPTIONS} times"
                )
            )
        return Verdict.GAP
