"""The publisher: sends each durable entry to the subscriptions that watch a wallet in it, gap-free and in order.

A subscription is a cursor that moves along the journal.  While it is at the head it is *live*: the publisher writes
each event straight into its connection's outbox.  If the outbox is full, or if it starts from a cursor in the past, a
separate task reads on from the recent entries or the journal until it is at the head again.  Nothing is ever skipped,
and a slow subscriber delays nothing else.

Each step of such a task takes a turn among all that is read for clients, so that a thousand streams of one client from
the beginning delay the others by no more than one of them would.  A stream of a few wallets reads only their entries.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, KeysView, Sequence
from itertools import islice
from typing import Any, Protocol

import trio

from walletd.journal.history import DurableEntry
from walletd.runtime.fair_turns import FairTurns
from walletd.vocabulary.entries import Entry
from walletd.vocabulary.identifiers import WalletId

MAX_RECENT = 4096
"""Entries kept in memory for subscriptions that are a little behind; older ones are read from the journal."""

MAX_RECENT_BYTES = 32 * 1024 * 1024
"""The same in stored bytes; decoded entries take several times as much."""

BURST = 256
"""The events that a catching-up subscription sends before other tasks run."""

MOST_INDEXED = 16
"""The wallets of a stream whose entries are found by an index; for more of them the journal is read."""

Shown = Callable[[Entry, bytes], bytes]
ReadAfter = Callable[[int], Awaitable[Sequence[DurableEntry]]]
ReadTouching = Callable[[frozenset[WalletId], int], Awaitable[tuple[Sequence[DurableEntry], int]]]
"""Some of the entries that touch these wallets after a position, and the position up to which there are no others."""


class Outlet(Protocol):
    """The destination of a subscription's events: a connection, with a bounded outbox."""

    def has_room(self) -> bool:
        """True if another event may be queued now."""
        ...

    async def wait_for_room(self) -> None:
        """Return once ``has_room`` holds."""
        ...

    def send_event(self, subscription: "Subscription", sequence: int, record: bytes) -> None:
        """Queue an event: the entry's stored bytes."""
        ...

    def send_heartbeat(self, subscription: "Subscription", head: int) -> None:
        """Queue a heartbeat: the subscription is complete up to ``head``."""
        ...


class Watched:
    """The entries that a subscription covers: those that touch some wallets, a prefix of names, or all entries."""

    __slots__ = ("everything", "prefix", "wallets")

    def __init__(
        self, wallets: Iterable[WalletId] = (), *, prefix: str | None = None, everything: bool = False
    ) -> None:
        self.wallets = frozenset(wallets)
        self.prefix = prefix
        self.everything = everything

    def covers(self, entry: Entry) -> bool:
        """True if the entry is one of these.  A refusal touches no wallet; only ``everything`` covers it."""
        if self.everything:
            return True
        touched = wallets_touched(entry)
        if self.prefix is not None:
            return any(wallet.startswith(self.prefix) for wallet in touched)
        return not self.wallets.isdisjoint(touched)


class Subscription:
    """One stream of one session."""

    __slots__ = ("id", "is_live", "is_new", "outlet", "payer", "position", "previous", "scope", "shown", "watched")

    def __init__(
        self,
        subscription_id: int,
        watched: Watched,
        outlet: Outlet,
        position: int,
        shown: Shown | None = None,
        payer: Hashable = None,
    ) -> None:
        self.id = subscription_id
        self.watched = watched
        self.outlet = outlet
        self.payer = payer
        """The one in whose turns it reads what it missed."""
        self.position = position
        """Every entry up to here was sent or does not belong to this subscription."""
        self.previous = position
        """The sequence of the last event, or of the stream's beginning."""
        self.shown = shown
        """A function that redacts an entry's bytes for the session; None: they are sent as stored."""
        self.is_live = False
        self.is_new = True
        """True if something was sent since the last heartbeat."""
        self.scope = trio.CancelScope()

    def send(self, entry: Entry, record: bytes) -> None:
        """Queue the event for this entry, which the subscription covers."""
        assert entry.sequence > self.previous
        self.outlet.send_event(self, entry.sequence, record if self.shown is None else self.shown(entry, record))
        self.previous = entry.sequence
        self.is_new = True


class Publisher:
    """All subscriptions, and the recent entries."""

    def __init__(
        self,
        read_after: ReadAfter,
        head: int,
        *,
        heartbeat_seconds: float,
        read_touching: ReadTouching | None = None,
        turns: FairTurns[Any] | None = None,
    ) -> None:
        """``turns``: those of all that is read for clients; ``read_touching`` reads for streams of a few wallets."""
        self._read_after = read_after
        self._read_touching = read_touching
        self.turns: FairTurns[Any] = turns if turns is not None else FairTurns(1, 1)
        self._heartbeat_seconds = heartbeat_seconds
        self._recent: deque[DurableEntry] = deque()
        self._recent_bytes = 0
        # Dicts and not sets: the first subscriber is served first, in every run of the same seed.
        self._by_wallet: dict[WalletId, dict[Subscription, None]] = {}
        self._by_prefix: dict[str, dict[Subscription, None]] = {}
        self._prefix_lengths: dict[int, int] = {}
        """The number of watched prefixes of each length: a wallet's name is cut at these only."""
        self._of_everything: dict[Subscription, None] = {}
        self._all: dict[Subscription, None] = {}
        self._nursery: trio.Nursery | None = None
        self.head = head
        self.events = 0

    def __len__(self) -> int:
        return len(self._all)

    def recent(self, count: int) -> list[DurableEntry]:
        """The newest durable entries that are in memory, oldest first."""
        return [*reversed([*islice(reversed(self._recent), count)])]

    def lags(self) -> list[int]:
        """The number of entries by which each subscription is behind the head; 0 for live ones."""
        return [0 if one.is_live else self.head - one.position for one in self._all]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: heartbeats, and the tasks of subscriptions that catch up."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await trio.sleep(self._heartbeat_seconds)
                    self._heartbeat()
            finally:
                self._nursery = None

    def publish(self, durable: DurableEntry) -> None:
        """Hand a durable entry to the live subscriptions that cover it.  O(wallets touched + receivers)."""
        entry = durable.entry
        assert entry.sequence == self.head + 1
        if self._all:
            for subscription in self._receivers(entry):
                if not subscription.is_live:
                    continue
                if subscription.outlet.has_room():
                    self.events += 1
                    subscription.send(entry, durable.record)
                else:
                    self._fall_behind(subscription, entry.sequence - 1)
        self._remember(durable)
        self.head = entry.sequence

    def _remember(self, durable: DurableEntry) -> None:
        recent = self._recent
        recent.append(durable)
        self._recent_bytes += len(durable.record)
        while len(recent) > MAX_RECENT or (self._recent_bytes > MAX_RECENT_BYTES and len(recent) > 1):
            self._recent_bytes -= len(recent.popleft().record)

    def subscribe(self, subscription: Subscription) -> None:
        """Begin the stream after ``subscription.position``."""
        self._all[subscription] = None
        watched = subscription.watched
        if watched.everything:
            self._of_everything[subscription] = None
        elif watched.prefix is not None:
            if watched.prefix not in self._by_prefix:
                self._prefix_lengths[len(watched.prefix)] = self._prefix_lengths.get(len(watched.prefix), 0) + 1
            self._by_prefix.setdefault(watched.prefix, {})[subscription] = None
        for wallet in watched.wallets:
            self._by_wallet.setdefault(wallet, {})[subscription] = None
        if subscription.position == self.head:
            subscription.is_live = True
        else:
            self._fall_behind(subscription, subscription.position)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End the stream."""
        subscription.is_live = False
        subscription.scope.cancel()
        self._all.pop(subscription, None)
        self._of_everything.pop(subscription, None)
        if subscription.watched.prefix is not None:
            self._unwatch_prefix(subscription, subscription.watched.prefix)
        for wallet in subscription.watched.wallets:
            watchers = self._by_wallet.get(wallet)
            if watchers is not None:
                watchers.pop(subscription, None)
                if not watchers:
                    del self._by_wallet[wallet]

    def _unwatch_prefix(self, subscription: Subscription, prefix: str) -> None:
        watchers = self._by_prefix.get(prefix)
        if watchers is None:
            return
        watchers.pop(subscription, None)
        if watchers:
            return
        del self._by_prefix[prefix]
        self._prefix_lengths[len(prefix)] -= 1
        if not self._prefix_lengths[len(prefix)]:
            del self._prefix_lengths[len(prefix)]

    def _receivers(self, entry: Entry) -> dict[Subscription, None]:
        receivers = dict(self._of_everything)
        if self._by_wallet or self._by_prefix:
            for wallet in wallets_touched(entry):
                receivers.update(self._by_wallet.get(wallet, {}))
                for length in self._prefix_lengths:
                    receivers.update(self._by_prefix.get(wallet[:length], {}))
        return receivers

    def _fall_behind(self, subscription: Subscription, position: int) -> None:
        subscription.is_live = False
        subscription.position = position
        subscription.scope = trio.CancelScope()
        if self._nursery is not None:  # A subscription that falls behind at the end of the daemon stays behind.
            self._nursery.start_soon(self._catch_up, subscription)

    async def _catch_up(self, subscription: Subscription) -> None:
        """Send the entries between the subscription's position and the head, then make it live.

        Entries read are not kept while there is no space for them: a stuck subscriber holds its outbox and no more.
        """
        with subscription.scope:
            while subscription.position < self.head:
                await trio.lowlevel.checkpoint()
                if not subscription.outlet.has_room():
                    await subscription.outlet.wait_for_room()
                async with self.turns.turn(subscription.payer):
                    entries, reached = await self._next_after(subscription.position, subscription.watched)
                    if subscription.scope.cancel_called:
                        return  # An unsubscription after the end of the wait does not cancel it.
                    self._send_some(subscription, entries, reached)
        if not subscription.scope.cancel_called:
            assert subscription.position == self.head
            subscription.is_live = True

    def _send_some(self, subscription: Subscription, entries: Sequence[DurableEntry], reached: int) -> None:
        """Move the subscription along these entries and up to ``reached``, as far as there is space."""
        for durable in entries:
            if subscription.watched.covers(durable.entry):
                if not subscription.outlet.has_room():
                    return
                subscription.send(durable.entry, durable.record)
                self.events += 1
            subscription.position = durable.entry.sequence
        subscription.position = max(subscription.position, reached)

    async def _next_after(self, position: int, watched: Watched) -> tuple[Sequence[DurableEntry], int]:
        """Some entries after the position, and the position up to which no others are covered."""
        if (
            self._read_touching is not None
            and 0 < len(watched.wallets) <= MOST_INDEXED
            and not self._is_recent(position)
        ):
            found, reached = await self._read_touching(watched.wallets, position)
            if reached > position:
                return [durable for durable in found if durable.entry.sequence <= self.head], min(reached, self.head)
        entries = await self._entries_after(position)
        return entries, entries[-1].entry.sequence if entries else position

    async def _entries_after(self, position: int) -> Sequence[DurableEntry]:
        """Some entries after the position, up to the head: the journal may contain more than was published yet."""
        if self._is_recent(position):
            start = position + 1 - self._recent[0].entry.sequence
            return [self._recent[index] for index in range(start, min(start + BURST, len(self._recent)))]
        entries = await self._read_after(position)
        assert entries
        assert entries[0].entry.sequence == position + 1
        return [durable for durable in entries if durable.entry.sequence <= self.head]

    def _is_recent(self, position: int) -> bool:
        """True if what follows the position is in memory."""
        return bool(self._recent) and self._recent[0].entry.sequence <= position + 1

    def _heartbeat(self) -> None:
        for subscription in self._all:
            if subscription.is_live and not subscription.is_new and subscription.outlet.has_room():
                subscription.outlet.send_heartbeat(subscription, self.head)
            subscription.is_new = False


def wallets_touched(entry: Entry) -> KeysView[WalletId]:
    """The wallets that an entry changed, as a set in the entry's order; empty for a refusal."""
    touched: dict[WalletId, None] = {}
    if entry.effects is not None:
        touched.update((balance.wallet, None) for balance in entry.effects.balances)
        touched.update((wallet.wallet, None) for wallet in entry.effects.wallets)
    return touched.keys()
