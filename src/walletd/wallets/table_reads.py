"""Reads of books on a node that follows: from the read tables, as of the last entry that they show.

    reads = TableReads(tables, projector, turns, account)
    reads.read_wallets(["alice"], show, decline, behind, sender)      # the interface of ``Reads``

Such a node decides nothing, so it keeps no books in memory.  The moment of an answer is the time of its entry: a hold
whose time has come since then ends with the entry that the leader writes.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import trio

from walletd.runtime.fair_turns import FairTurns
from walletd.runtime.task_home import TaskHome
from walletd.tables.projector import Projector
from walletd.tables.queries.wallets import Queries
from walletd.tables.writer import ReadTablesStand
from walletd.vocabulary.identifiers import DAEMON, Principal, WalletId
from walletd.wallets.entries import unavailable
from walletd.wallets.reads import Decline, Show
from walletd.wallets.submission import Behind


class TableReads:
    """Answers from one view of the tables, which shows everything that this node has shown to anyone."""

    def __init__(
        self,
        tables: Queries,
        projector: Projector,
        turns: FairTurns[Any],
        payer: Callable[[Principal], Hashable],
    ) -> None:
        self._tables = tables
        self._projector = projector
        self._turns = turns
        self._payer = payer
        self._tasks = TaskHome()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: the reads run in here."""
        await self._tasks.run(task_status)

    def read_wallets(
        self,
        wallets: Iterable[WalletId],
        show: Show,
        decline: Decline,
        behind: Behind = lambda: 0,
        sender: Principal = DAEMON,
    ) -> None:
        """Have ``show`` make an answer from those of the wallets that exist, and its result send it."""
        self._tasks.start_soon(self._read, sorted(set(wallets)), show, decline, behind, sender)

    async def _read(
        self, names: list[WalletId], show: Show, decline: Decline, behind: Behind, sender: Principal
    ) -> None:
        last = behind()
        if last is None:
            return
        try:
            async with self._turns.turn(self._payer(sender)):
                await self._projector.reach_unless_full(max(last, self._projector.durable_sequence))
                books, moment = await self._tables.books_at_the_end(names)
        except ReadTablesStand as full:
            decline(unavailable(full))
            return
        show(books, moment.time)(moment.sequence)
