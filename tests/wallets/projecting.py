"""A projector over read tables that only remember what they are asked to write."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NoReturn

import trio
import trio.testing

from tests.ledger import cases
from tests.names import ALICE, EUR
from tests.wallets.conftest import CLIENT
from walletd.journal.history import DurableEntry
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.runtime.silence_watch import SilenceWatch
from walletd.tables.projector import (
    Projector,
)
from walletd.tables.schema import (
    FORMAT,
)
from walletd.tables.writer import Folded, Progress, ReadTables, ReadTablesFull
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry
from walletd.vocabulary.identifiers import EXTERNAL, CommandId, Version
from walletd.vocabulary.identifiers import Sequence as SequenceNumber

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class RecordedTables(ReadTables):
    """Read tables that only remember what they are asked to write, and when."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.is_full = False
        self.transactions: list[tuple[float, list[int]]] = []
        self.progress_at: list[Progress] = []

    async def write(self, folded: Folded, *, is_small: bool = False) -> None:
        if self.is_full:
            raise ReadTablesFull("no space")
        await trio.sleep(self.seconds)
        before = self.progress_at[-1].sequence if self.progress_at else 0
        self.transactions.append((trio.current_time(), [*range(before + 1, folded.progress.sequence + 1)]))
        self.progress_at.append(folded.progress)


def durable(sequence: int) -> DurableEntry:
    """Entry ``sequence``: one more unit for alice."""
    balances = (
        BalanceRecord(EXTERNAL, EUR, str(-sequence), "0", None, Version(sequence)),
        BalanceRecord(ALICE, EUR, str(sequence), "0", str(sequence), Version(sequence)),
    )
    command = PostTransfer(
        command_id=CommandId(f"t{sequence}"), postings=(cases.posting("@external", "alice", "EUR", 1),)
    )
    entry = Entry(
        sequence=SequenceNumber(sequence),
        time=NOON,
        principal=CLIENT,
        command=command,
        effects=Effects(balances=balances),
    )
    return DurableEntry(entry, b"%d" % sequence, leaf_hash(b"%d" % sequence))


def commit(first: int, last: int) -> tuple[list[DurableEntry], Frontier]:
    """The entries of a commit, and the frontier behind it."""
    frontier = Frontier()
    for sequence in range(1, last + 1):
        frontier.append(durable(sequence).leaf)
    return [durable(sequence) for sequence in range(first, last + 1)], frontier


class Ended(Exception):
    """The process ends itself."""


class Recorded:
    """A projector over recorded tables, and what it said of its progress."""

    def __init__(self, seconds: float = 0, max_backlog: int = 1000) -> None:
        self.tables = RecordedTables(seconds)
        self.projected: list[int] = []
        self.ended = ""
        genesis = Progress(FORMAT, "memory", 1, 0, Frontier().to_bytes(), NOON)
        self.projector = Projector(
            self.tables,
            genesis,
            max_backlog=max_backlog,
            on_projected=self._on_projected,
            watch=SilenceWatch("the writes", self._die, trio.current_time),
        )

    def _die(self, reason: str) -> NoReturn:
        self.ended, self.ended_at = reason, trio.current_time()
        raise Ended

    def _on_projected(self, entries: Sequence[DurableEntry]) -> None:
        assert self.projector.sequence == entries[-1].entry.sequence
        self.projected += [entry.entry.sequence for entry in entries]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.projector.run)
            yield
            nursery.cancel_scope.cancel()
