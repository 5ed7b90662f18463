"""Leading a ledger: from the first connection to the release of the lease.

    async with open_ledger(url, "main", directory, following=told) as store: ...

While another node leads, ``open_ledger`` waits, and ``following`` is told; it takes the ledger as soon as the other
releases it, or its lease ends.  What raises LeadershipLost in the body ends it: the caller may open it again.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from walletd.journal.failures import JournalUnsupported
from walletd.journal.following import Leader
from walletd.journal.postgresql.connection import Connection, ConnectionLost, StatementRefused, without_password
from walletd.journal.postgresql.following import LEASE_SECONDS, Following, Place
from walletd.journal.postgresql.lease import Lease, boot_seconds
from walletd.journal.postgresql.ledger import (
    DatabaseUnfit,
    LedMeanwhile,
    Node,
    charter_in,
    found,
    leader_of,
    prepare,
    take,
)
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.schema import BARRIER, HEAD, LISTEN
from walletd.journal.postgresql.store import PostgresqlJournalStore
from walletd.journal.sqlite.charter import Charter
from walletd.journal.sqlite.connection import translated
from walletd.journal.sqlite.directory import DATABASE_NAME, locked, make_directory
from walletd.journal.sqlite.mark import Mark, read_mark, refuse_replaced, write_mark
from walletd.journal.sqlite.private import close_to_others, refuse_exposed
from walletd.journal.store import Head
from walletd.runtime.threads import in_thread

MARK_SECONDS = 10.0
"""How often the data folder remembers the head, so that a database that has lost its end is noticed."""
PAUSE_SECONDS = 1.0
"""Between two attempts to reach a database that does not answer, and at most between two looks at the lease."""

Told = Callable[[Leader | None], None]
"""Told while the node waits: which node leads, or None if the database does not say."""

log = logging.getLogger("walletd.journal")


class JournalElsewhere(JournalUnsupported):
    """The data folder has a journal of its own."""

    advice = "Copy it into PostgreSQL with `walletd journal move`, or name another data folder."


def _quiet(_: Leader | None) -> None:
    """Tell no one."""


@asynccontextmanager
async def open_ledger(
    url: str,
    name: str,
    directory: Path,
    *,
    node: Node | None = None,
    allow_unreplicated: bool = False,
    lease_seconds: float = LEASE_SECONDS,
    following: Told = _quiet,
    new_instance: Callable[[], str] = lambda: secrets.token_hex(8),
    now: Callable[[], int] = time.time_ns,
) -> AsyncIterator[PostgresqlJournalStore]:
    """Lead the ledger while the body runs; it is begun if the database has none of this name.

    ``directory`` is for what this node keeps: the read tables, and a mark of how far the journal had come.  Raises
    JournalLocked if another process uses the directory, JournalUnsupported, DatabaseUnusable, JournalCorrupt.
    """
    place = Place(url, name, allow_unreplicated=allow_unreplicated, lease_seconds=lease_seconds)
    with folder_of_node(directory):
        store = await take_ledger(place, node, following, new_instance=new_instance, now=now)
        async with leading(store, directory):
            yield store


@contextmanager
def folder_of_node(directory: Path) -> Iterator[None]:
    """Use the directory alone.  Raises JournalLocked, JournalExposed, JournalElsewhere, JournalUnreadable."""
    with translated(f"{directory} could not be prepared"):
        make_directory(directory)
        refuse_exposed(directory)
    with locked(directory):
        close_to_others(directory)
        if (directory / DATABASE_NAME).exists():
            raise JournalElsewhere(f"{directory} has a journal of its own, {DATABASE_NAME}")
        yield


@asynccontextmanager
async def leading(store: PostgresqlJournalStore, directory: Path) -> AsyncIterator[None]:
    """Keep the lease while the body runs, then release it; of a node that follows, the one that it takes in the body.

    LeadershipLost, when the lease is over, ends the body.  Raises JournalReplaced if the ledger is not the one that
    this directory has seen, or not all of it.
    """
    async with trio.open_nursery() as nursery:
        try:
            await _refuse_replaced(store, directory)
            if store.lease is not None:
                await nursery.start(store.lease.keep)
                nursery.start_soon(store.tell_followers)
            if store.following is not None:
                store.following.leases = nursery
            nursery.start_soon(_keep_mark, store, directory)
            yield
            await _move_mark(store, directory)
        finally:
            nursery.cancel_scope.cancel()
            if store.lease is not None:
                await store.lease.release()
            await store.aclose()


def owner_of_this_process() -> str:
    """A name that no other process has had: the machine, the process, and chance."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def take_ledger(
    place: Place,
    node: Node | None = None,
    following: Told = _quiet,
    *,
    new_instance: Callable[[], str] = lambda: secrets.token_hex(8),
    now: Callable[[], int] = time.time_ns,
    follows: bool = False,
) -> PostgresqlJournalStore:
    """The store, once this node could take the ledger; if it ``follows``, at once, even if another node leads.

    May be cancelled while it waits.  Raises JournalUnsupported, DatabaseUnusable.
    """
    node = node or Node(owner_of_this_process())
    url, name = place.url, place.ledger
    link, has_waited = Link(url, lambda: False), False
    try:
        while True:
            try:
                connection = await link.ready()
                is_replicated = await prepare(connection, name, allow_unreplicated=place.allow_unreplicated)
                charter = await charter_in(connection, name) or await found(connection, name, new_instance(), now())
                try:
                    return await _take(connection, place, node, charter, is_replicated=is_replicated)
                except LedMeanwhile:
                    following(await leader_of(connection, name))
                    if follows:
                        return await _join(connection, place, node, charter, is_replicated=is_replicated)
                await _until_released(connection, name)
            except (ConnectionLost, StatementRefused, DatabaseUnfit) as error:
                if isinstance(error, DatabaseUnfit) and not has_waited:
                    raise
                log.warning("%s: %s; trying again", without_password(url), error)
                following(None)
                await trio.sleep(PAUSE_SECONDS)
            has_waited = True
    finally:
        link.close()


async def _take(
    connection: Connection, place: Place, node: Node, charter: Charter, *, is_replicated: bool
) -> PostgresqlJournalStore:
    sent_at, url, name = boot_seconds(), place.url, place.ledger
    term, head = await take(connection, name, node, place.lease_seconds)
    ((*_, archived),) = await connection.rows(HEAD, name)
    lease = Lease(Link(url), name, node.owner, place.lease_seconds, sent_at)
    if not is_replicated:
        log.warning("ledger %s has no synchronous standby: what is acknowledged is lost with the database's disk", name)
    log.info("this node leads ledger %s in term %d, from entry %d on", name, term, head.sequence)
    return PostgresqlJournalStore(url, name, node, charter, term, head, archived, lease, is_replicated=is_replicated)


async def _join(
    connection: Connection, place: Place, node: Node, charter: Charter, *, is_replicated: bool
) -> PostgresqlJournalStore:
    """The store of a node that follows: what can be read on this connection is replicated first."""
    await connection.rows(BARRIER)
    ((term, sequence, root, archived),) = await connection.rows(HEAD, place.ledger)
    head = Head(sequence, charter.epoch, root)
    store = PostgresqlJournalStore(
        place.url, place.ledger, node, charter, term, head, archived, None, is_replicated=is_replicated
    )
    store.leader = await leader_of(connection, place.ledger)
    store.following = Following(place, node, store)
    return store


async def _until_released(connection: Connection, name: str) -> None:
    """Wait until the ledger is released, its lease may be over, or it is time to look again.

    Raises ConnectionLost, StatementRefused.
    """
    await connection.rows(LISTEN)
    leader = await leader_of(connection, name)
    if leader is not None and leader.left_seconds is not None:
        with trio.move_on_after(max(0.0, min(leader.left_seconds, PAUSE_SECONDS))):
            await connection.notification()


async def _refuse_replaced(store: PostgresqlJournalStore, directory: Path) -> None:
    """Raise JournalReplaced if this node has seen another history of the ledger, or more of it."""
    head = await store.head()
    mark = read_mark(directory)
    root_at_mark = None
    if mark is not None and 0 < mark.sequence <= head.sequence:
        (holding, *_) = await store.read(mark.sequence - 1, 1)
        root_at_mark = holding.root if holding.last_sequence == mark.sequence else None
    refuse_replaced(mark, store.instance, head.sequence, root_at_mark)


async def _keep_mark(store: PostgresqlJournalStore, directory: Path) -> None:
    while True:
        await _move_mark(store, directory)
        await trio.sleep(MARK_SECONDS)


async def _move_mark(store: PostgresqlJournalStore, directory: Path) -> None:
    head: Head = store.known_head
    try:
        await in_thread(write_mark, directory, Mark(store.instance, head.sequence, head.root.hex()))
    except OSError as error:
        log.warning("cannot move the journal's high-water mark: %s", error)
