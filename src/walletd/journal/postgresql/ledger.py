"""A ledger in PostgreSQL: made, found fit, taken by a node, and read as a whole.

connection = await connect(url)
await prepare(connection, "main", allow_unreplicated=False)
term, head = await take(connection, "main", node, lease_seconds=10)
"""

import re
from typing import NamedTuple

from walletd.journal.failures import JournalCorrupt, JournalLocked, JournalUnsupported
from walletd.journal.following import Leader
from walletd.journal.merkle import EMPTY_ROOT
from walletd.journal.postgresql.connection import Connection, DatabaseUnusable, StatementRefused
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.schema import (
    CHARTER,
    CREATE,
    DURABILITY,
    FOUND,
    HAS_TABLES,
    HEAD,
    HISTORIES,
    HOLDING,
    LEADER,
    SCHEMA_VERSION,
    TAKE,
    VERSION,
)
from walletd.journal.segment import FORMAT_VERSION
from walletd.journal.sqlite.charter import Charter, charter_from
from walletd.journal.sqlite.rows import segment_from
from walletd.journal.store import FIRST_EPOCH, Head

LEDGER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
OLDEST_SERVER = 150_000
UNREPLICATED = (
    "this PostgreSQL names no synchronous standby (synchronous_standby_names): what walletd acknowledges would be lost "
    "with its machine; set one up, or say allow_unreplicated = true"
)


class Node(NamedTuple):
    """A node, as the others see it.  ``owner`` is new with each start of its process."""

    owner: str
    url: str = ""


class LedMeanwhile(JournalLocked):
    """Another node leads the ledger."""

    advice = "This one follows, and takes over when the other's lease ends."


class DatabaseUnfit(JournalUnsupported):
    """The database does not keep what it acknowledges, or cannot be used by this version."""

    advice = "docs/do/nodes.md says how PostgreSQL has to be set up."


class LedgerMissing(JournalUnsupported):
    """The database has no ledger of this name."""

    advice = "Say which one with --ledger."


async def prepare(connection: Connection, name: str, *, allow_unreplicated: bool) -> bool:
    """Make the tables where they are missing; returns whether commits wait for a standby.

    Raises JournalUnsupported, DatabaseUnusable.
    """
    refuse_misnamed(name)
    ((fsync, full_pages, standbys, version),) = await connection.rows(DURABILITY)
    if version < OLDEST_SERVER:
        raise DatabaseUnfit("walletd needs PostgreSQL 15 or later")
    if (fsync, full_pages) != ("on", "on"):
        raise DatabaseUnfit("this PostgreSQL does not keep what it acknowledges: fsync or full_page_writes is off")
    if not standbys and not allow_unreplicated:
        raise DatabaseUnfit(UNREPLICATED)
    try:
        ((has_tables,),) = await connection.rows(HAS_TABLES)
        if not has_tables:
            await connection.script(CREATE)
        ((found,),) = await connection.rows(VERSION)
    except StatementRefused as refused:
        raise DatabaseUnusable(f"PostgreSQL: {refused}") from refused
    if found != SCHEMA_VERSION:
        raise DatabaseUnfit(f"the tables have version {found}, this walletd knows version {SCHEMA_VERSION}")
    return bool(standbys)


def refuse_misnamed(name: str) -> None:
    """Raise LedgerMissing if no ledger can have this name."""
    if LEDGER_NAME.fullmatch(name) is None:
        raise LedgerMissing(f"{name!r} cannot name a ledger: letters a to z, digits, - and _, at most 63")


async def charter_in(connection: Connection, name: str) -> Charter | None:
    """The charter of this ledger; None if there is no such ledger."""
    rows = await connection.rows(CHARTER, name)
    return charter_from(list(rows), list(await connection.rows(HISTORIES, name))) if rows else None


async def found(connection: Connection, name: str, instance: str, created_at: int) -> Charter:
    """The charter of this ledger, which is begun if there is none."""
    await connection.change(FOUND, name, FORMAT_VERSION, instance, created_at, FIRST_EPOCH, EMPTY_ROOT)
    charter = await charter_in(connection, name)
    assert charter is not None
    return charter


async def take(connection: Connection, name: str, node: Node, lease_seconds: float) -> tuple[int, Head]:
    """Take the ledger: its next term, and the head from which it goes on.

    Raises LedMeanwhile while another node's lease runs, ConnectionLost, StatementRefused.
    """
    rows = await connection.rows(TAKE, name, node.owner, node.url, float(lease_seconds))
    if not rows:
        leader = await leader_of(connection, name)
        owner = "another node" if leader is None else leader.owner or "another node"
        raise LedMeanwhile(f"ledger {name} is led by {owner}")
    ((term, sequence, root, epoch),) = rows
    return term, Head(sequence, epoch, root)


async def leader_of(connection: Connection, name: str) -> Leader | None:
    """The node that leads; None if there is no such ledger."""
    for owner, url, term, head, root, left in await connection.rows(LEADER, name):
        return Leader(owner or "", url or "", term, head, root, None if left is None else float(left))
    return None


async def read_head(link: Link, name: str, epoch: int) -> Head:
    """The head, by the ledger's row and by its last segment.  Raises JournalCorrupt if they differ."""
    for _, sequence, root, archived in await link.read(HEAD, name):
        last = [segment_from(row) for row in await link.read(HOLDING, name, sequence)]
        if (last and (last[0].last_sequence, last[0].root) != (sequence, root)) or (not last and sequence != archived):
            raise JournalCorrupt(f"ledger {name} should end at entry {sequence}, but its last segment does not")
        return Head(sequence, epoch, root)
    raise LedgerMissing(f"there is no ledger {name}")
