"""A connection that is made again when it is lost.

link = Link(url)
connection = await link.ready()                    # waits until there is one
"""

import logging
from collections.abc import Callable
from typing import Any

import trio

from walletd.journal.failures import JournalUnreadable
from walletd.journal.postgresql.connection import Connection, ConnectionLost, Value, connect, without_password

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
READING_SECONDS = 30.0
"""How long a read waits for the database: a restart, or the promotion of a standby, takes less."""

log = logging.getLogger("walletd.journal")


class Link:
    """One connection at a time to the server that takes writes."""

    def __init__(self, url: str, may_wait: Callable[[], bool] = lambda: True) -> None:
        """``may_wait`` says whether ``ready`` may go on waiting for the database."""
        self._url = url
        self._may_wait = may_wait
        self._connection: Connection | None = None
        self._connecting = trio.Lock()
        self._patient: set[trio.CancelScope] = set()
        """Of reads under way."""
        self.losses = 0
        """The number of connections lost since the start."""

    async def ready(self) -> Connection:
        """The connection, made again if it was lost.

        Raises DatabaseUnusable, or ConnectionLost once it may not wait any longer.
        """
        async with self._connecting:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            if self._connection is not None:
                self.losses += 1
                log.warning("the connection to %s was lost; connecting again", without_password(self._url))
            pause = FIRST_PAUSE_SECONDS
            while True:
                try:
                    self._connection = await connect(self._url)
                    return self._connection
                except ConnectionLost:
                    if not self._may_wait():
                        raise
                await trio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def read(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        """The rows of a statement that changes nothing, asked again if the connection is lost.

        It is shielded, because a cancelled statement costs its connection.  Raises JournalUnreadable, StatementRefused.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        patience = trio.CancelScope(deadline=trio.current_time() + READING_SECONDS, shield=True)
        self._patient.add(patience)
        try:
            with patience:
                while True:
                    connection = await self.ready()
                    try:
                        return await connection.rows(statement, *values)
                    except ConnectionLost:
                        continue
        finally:
            self._patient.discard(patience)
        raise JournalUnreadable(f"{without_password(self._url)} has not answered for {READING_SECONDS:g} s")

    def let_go(self) -> None:
        """Let reads under way be cancelled: their connection is not needed any more."""
        for patience in self._patient:
            patience.shield = False

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
