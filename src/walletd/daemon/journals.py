"""The journal that the configuration names: a file in the data folder, or a ledger in PostgreSQL.

    async with opened_journal(launch) as store: ...    # None if the daemon was stopped before it could lead

A ledger in PostgreSQL has one leader.  While that is another node, this one is ``following``: its store cannot append.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from walletd.daemon.launch import Launch
from walletd.daemon.limits import MEBIBYTE
from walletd.journal.archive.archivable import Archivable
from walletd.journal.sqlite.opening import RESERVE_BYTES, open_journal
from walletd.settings.settings import ConfigurationError
from walletd.vocabulary.states import DaemonState

if TYPE_CHECKING:
    from walletd.journal.following import Leader


@asynccontextmanager
async def opened_journal(launch: Launch, node_url: str = "") -> AsyncIterator[Archivable | None]:
    """The journal while the body runs; ``node_url`` is told to the other nodes.

    Raises JournalFailure, ConfigurationError.  LeadershipLost, raised in the body, says that another node leads now.
    """
    settings = launch.settings
    if settings.postgresql:
        async with _led(launch, node_url) as ledger:
            yield ledger
    else:
        floor = settings.space_floor_mebibytes * MEBIBYTE
        async with open_journal(settings.data, space_floor_bytes=floor, reserve_bytes=RESERVE_BYTES) as store:
            yield store


@asynccontextmanager
async def _led(launch: Launch, node_url: str) -> AsyncIterator[Archivable | None]:
    try:
        from walletd.journal.postgresql.following import Place
        from walletd.journal.postgresql.ledger import Node
        from walletd.journal.postgresql.opening import (
            folder_of_node,
            leading,
            owner_of_this_process,
            take_ledger,
        )
    except ImportError as error:
        raise ConfigurationError(
            f"postgresql is set, but psycopg is not installed ({error}); install it: pip install 'walletd[postgresql]'"
        ) from error
    settings, lifecycle, stop = launch.settings, launch.lifecycle, launch.operations.stop

    def following(leader: "Leader | None") -> None:
        if lifecycle.state is not DaemonState.FOLLOWING:
            lifecycle.move(DaemonState.FOLLOWING)

    place = Place(settings.postgresql, settings.ledger, settings.allow_unreplicated, settings.lease_seconds)
    with folder_of_node(settings.data):
        store = None
        with stop.following:
            node = Node(owner_of_this_process(), node_url)
            store = await take_ledger(place, node, following, follows=True)
        if store is None:
            yield None
            return
        async with leading(store, settings.data):
            yield store
