"""Following a ledger in PostgreSQL: its leader, its head, and the moment at which this node takes it.

    following = Following(place, node, store)
    leader = await following.look()                    # the leader, and how far the ledger has come
    await following.changed(leader)
    head = await following.take()                      # and ``store`` is the leader's from now on

A follower shows an entry once the synchronous standby has it.  PostgreSQL makes a commit visible only after its wait
for the standby; but after a crash a commit is visible that was still waiting.  So a new connection first makes a commit
of its own, which the standby confirms only with everything before it, and the head is read on no other connection.
"""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import trio

from walletd.journal.following import Leader
from walletd.journal.postgresql.connection import Connection, ConnectionLost, StatementRefused, without_password
from walletd.journal.postgresql.lease import Lease, boot_seconds
from walletd.journal.postgresql.ledger import (
    DatabaseUnfit,
    LedgerMissing,
    LedMeanwhile,
    Node,
    leader_of,
    prepare,
    take,
)
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.schema import BARRIER, HEAD, LISTEN
from walletd.journal.segment import Segment
from walletd.journal.store import Head

if TYPE_CHECKING:
    from walletd.journal.postgresql.store import PostgresqlJournalStore

LOOK_SECONDS = 1.0
"""The longest time between two looks at the ledger: a notification may be lost."""

PAUSE_SECONDS = 1.0
"""Between two attempts while the database does not answer, or refuses."""

LEASE_SECONDS = 10.0

log = logging.getLogger("walletd.journal")


class Place(NamedTuple):
    """A ledger, and the terms on which a node leads it."""

    url: str
    ledger: str
    allow_unreplicated: bool = False
    lease_seconds: float = LEASE_SECONDS


class Following:
    """A node on its way to lead: the ``Watch`` of a store that follows."""

    def __init__(self, place: Place, node: Node, store: "PostgresqlJournalStore") -> None:
        self._place = place
        self._node = node
        self._store = store
        self._link = Link(place.url)
        self._barred: Connection | None = None
        """The connection on which everything that can be seen is replicated."""
        self.leases: trio.Nursery | None = None
        """Where the lease is kept once it is taken."""

    async def look(self) -> Leader:
        """The leader now, and the head that the standby has; waits for the database as long as it takes.

        Raises LedgerMissing, DatabaseUnusable.
        """
        while True:
            try:
                leader = await leader_of(await self._ready(), self._place.ledger)
            except (ConnectionLost, StatementRefused) as error:
                await self._pause(error)
                continue
            if leader is None:
                raise LedgerMissing(f"there is no ledger {self._place.ledger}")
            self._store.saw(leader)
            return leader

    async def _ready(self) -> Connection:
        connection = await self._link.ready()
        if connection is not self._barred:
            await connection.rows(LISTEN)
            await connection.rows(BARRIER)
            self._barred = connection
        return connection

    async def _pause(self, error: Exception) -> None:
        log.warning("%s: %s; trying again", without_password(self._place.url), error)
        await trio.sleep(PAUSE_SECONDS)

    async def changed(self, leader: Leader) -> None:
        """Return at a notification, at the end of the lease, or after ``LOOK_SECONDS``."""
        left = LOOK_SECONDS if leader.left_seconds is None else leader.left_seconds
        if self._barred is not None:
            with trio.move_on_after(min(LOOK_SECONDS, max(0.0, left))), suppress(ConnectionLost):
                await self._barred.notification()

    async def ahead(self, after: int, until: int) -> list[Segment]:
        """The next segments after this entry, up to that one, which exists.  Raises JournalCorrupt."""
        return await self._store.ahead(after, until)

    def passed(self, head: Head) -> None:
        """Note that everything up to here was proved."""
        self._store.passed(head)

    async def take(self) -> Head | None:
        """Take the ledger, and keep its lease; None if this node cannot, or another one was faster."""
        place = self._place
        try:
            connection = await self._ready()
            is_replicated = await prepare(connection, place.ledger, allow_unreplicated=place.allow_unreplicated)
            sent_at = boot_seconds()
            term, head = await take(connection, place.ledger, self._node, place.lease_seconds)
            ((*_, archived),) = await connection.rows(HEAD, place.ledger)
        except LedMeanwhile:
            return None
        except (ConnectionLost, StatementRefused, DatabaseUnfit) as error:
            await self._pause(error)
            return None
        lease = Lease(Link(place.url), place.ledger, self._node.owner, place.lease_seconds, sent_at)
        self._store.lead(term, archived, lease, is_replicated=is_replicated)
        assert self.leases is not None
        await self.leases.start(lease.keep)
        self.leases.start_soon(self._store.tell_followers)
        return head

    def close(self) -> None:
        """Close the connection."""
        self._link.close()
