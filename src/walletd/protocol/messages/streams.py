"""The messages of streams, and their notifications."""

from typing import Annotated, Literal

import msgspec

from walletd.protocol.messages.base import MAX_SUBSCRIBED_WALLETS, JournalEntry, Params, Read, Result
from walletd.protocol.messages.wallets import WalletView
from walletd.vocabulary.identifiers import (
    SequenceNumber,
    WalletName,
    WalletPrefix,
)


class Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The position up to which a stream was read: events after ``sequence`` are still wanted; 0 is before
    everything.
    """

    epoch: Annotated[int, msgspec.Meta(ge=1)]
    sequence: SequenceNumber


class Subscribe(Read, frozen=True, kw_only=True):
    """Watch changes to wallets live: exactly one of ``wallets``, ``prefix`` and ``all``.

    ``after`` resumes from a cursor, ``snapshot`` starts with the present balances; at most one of both.  With neither,
    the stream starts at the head.
    """

    wallets: Annotated[tuple[WalletName, ...], msgspec.Meta(min_length=1, max_length=MAX_SUBSCRIBED_WALLETS)] | None = (
        None
    )
    prefix: WalletPrefix | None = None
    all: bool = False
    after: Cursor | Literal[0] | None = None
    snapshot: bool = False


class Subscribed(Result, frozen=True, kw_only=True):
    """The stream begins after ``start`` (on the wire ``from``); ``head`` is the last durable sequence."""

    subscription: int
    mode: Literal["live", "replay", "snapshot"]
    epoch: int
    start: int = msgspec.field(name="from")
    head: int
    wallets: tuple[WalletView, ...] = ()


class Unsubscribe(Params, frozen=True, kw_only=True):
    """End a stream."""

    subscription: Annotated[int, msgspec.Meta(ge=1)]


class Unsubscribed(Result, frozen=True, kw_only=True):
    """The stream has ended; its last event was ``sequence``."""

    subscription: int
    sequence: int


class StreamEvent(msgspec.Struct, frozen=True):
    """An entry that touched a watched wallet; ``previous_sequence`` is that of the event before it."""

    subscription: int
    epoch: int
    sequence: int
    previous_sequence: int
    entry: JournalEntry


class StreamHeartbeat(msgspec.Struct, frozen=True):
    """Nothing happened up to ``head``: the stream is alive and complete up to there."""

    subscription: int
    epoch: int
    head: int
