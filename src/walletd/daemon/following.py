"""A node of a ledger in PostgreSQL, while another one leads: it shows what that one writes, and takes over from it.

    node = FollowingNode(engine, watch, head, frontier)
    await node.follow()                                # until this node has taken the ledger, and was shown all of it

It decides nothing, and records nothing: no command, no expiry, no compaction.
"""

import logging
from collections.abc import Callable

import trio

from walletd.daemon.engine import Engine
from walletd.journal.failures import JournalReplaced, NotLeading
from walletd.journal.following import Leader, Tail, Watch
from walletd.journal.merkle import Frontier
from walletd.journal.store import Head, IsLed, JournalStore
from walletd.protocol.envelope import Node
from walletd.protocol.messages.operator import LedgerStatus
from walletd.vocabulary.states import NodeRole

log = logging.getLogger("walletd.daemon")

BLIND_SECONDS = 3.0
"""A node that has not seen the ledger for so long does not know how far it is behind; a look is due every second."""


class FollowingNode:
    """The way from one leader to the next; afterwards, this one."""

    def __init__(
        self,
        engine: Engine,
        watch: Watch,
        head: Head,
        frontier: Frontier,
        seconds: Callable[[], float] = trio.current_time,
    ) -> None:
        self._engine = engine
        self._watch = watch
        self._tail = Tail(watch, frontier, head, engine.follow, engine.room_to_follow)
        self._seconds = seconds
        self._ahead = head.sequence
        """The last entry of the ledger, as far as it was seen."""
        self._complete_at = self._looked_at = seconds()
        self._leader = ""
        self.is_over = False
        """True once this node leads."""

    @property
    def lag_entries(self) -> int:
        """The entries that are seen to be there and are not shown yet."""
        return max(0, self._ahead - self._tail.head.sequence)

    @property
    def lag_seconds(self) -> float:
        """The time for which this node has not shown everything, or has not seen the ledger."""
        if self.is_over or (not self.lag_entries and self._seconds() - self._looked_at < BLIND_SECONDS):
            return 0.0
        return self._seconds() - self._complete_at

    async def follow(self) -> None:
        """Show what is written until this node has taken the ledger, and was shown all of it.

        Raises JournalCorrupt if what is there is not what was shown, or was not written so.
        """
        while True:
            leader = await self._watch.look()
            self._heed(leader)
            self._tail.refuse_replaced(leader.head, leader.root)
            await self._tail.reach(leader.head)
            self._complete_at = self._seconds()
            if leader.is_gone and (head := await self._watch.take()) is not None:
                break
            await self._watch.changed(leader)
        await self._tail.reach(head.sequence)
        self._tail.refuse_replaced(head.sequence, head.root)
        if self._tail.head.sequence != head.sequence:
            raise JournalReplaced(f"the ledger was taken at entry {head.sequence}, which ends no segment")
        self.is_over = True

    def _heed(self, leader: Leader) -> None:
        self._ahead, self._looked_at = leader.head, self._seconds()
        url = "" if leader.is_gone else leader.url
        if url != self._leader:
            self._leader = url
            self._engine.writer.follow(NotLeading(url))


def follows(store: JournalStore) -> bool:
    """True if another node leads the ledger."""
    return isinstance(store, IsLed) and not store.is_leading


def following_node(engine: Engine, store: JournalStore, head: Head, frontier: Frontier) -> FollowingNode | None:
    """This node, if another one leads its ledger: its tables show everything up to ``head``."""
    if not isinstance(store, IsLed) or store.following is None:
        return None
    return FollowingNode(engine, store.following, head, frontier)


def node_of(store: JournalStore, following: FollowingNode | None) -> Node | None:
    """This daemon as one of several; None if its journal is a file."""
    if not isinstance(store, IsLed):
        return None
    is_following = following is not None and not following.is_over
    return Node(
        ledger=store.name,
        role=NodeRole.FOLLOWER if is_following else NodeRole.LEADER,
        term=store.term,
        leader=store.url or None,
        lag_entries=0 if following is None else following.lag_entries,
        lag_seconds=0.0 if following is None else round(following.lag_seconds, 3),
    )


def ledger_status(store: JournalStore, following: FollowingNode | None) -> LedgerStatus | None:
    """The same for operators, with the rest of the lease."""
    node = node_of(store, following)
    if node is None or not isinstance(store, IsLed):
        return None
    lease = store.lease_left_seconds
    return LedgerStatus(
        node.ledger,
        node.term,
        store.is_replicated,
        node.role,
        node.leader,
        node.lag_entries,
        node.lag_seconds,
        round(lease, 3) if lease > 0 else None,
    )
