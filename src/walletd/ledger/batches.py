"""The rules of batches: several commands decided in order on a stage, and recorded as one entry.

The stage is a copy of the wallets involved, on which each command sees the effects of earlier ones.  The entry has the
last record of everything; it is one step of each wallet's version.
"""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

import msgspec

from walletd.ledger.book import Books, apply
from walletd.ledger.guards import Verdict, conditions_guard, refuse
from walletd.vocabulary.claims import claims_of
from walletd.vocabulary.commands import AnyCommand, ExecuteBatch
from walletd.vocabulary.entries import Effects, Moved, Refusal
from walletd.vocabulary.identifiers import Version
from walletd.vocabulary.reasons import Reason

Decide = Callable[[Books, AnyCommand, datetime, int, int], Verdict]

MAX_RECORDS = 20_000
"""The limit on records of one batch: more of them, at 40 bytes each at least, exceed an entry, so the batch stops
there.
"""

BYTES_OF_A_BOOK = 24
BYTES_OF_A_COMMAND = 100
BYTES_OF_A_POSTING = 60
"""To copy a book, to decide a command and to judge a posting cost about as much as to decode so many bytes of JSON."""


def execute_batch(
    books: Books, command: ExecuteBatch, now: datetime, sequence: int, decide: Decide, leniently: bool = False
) -> Verdict:
    """All the commands or none or, if the batch is not atomic, those that can be applied.  O(commands and books).

    It stops with a refusal once it is certain that no entry can hold its records, unless it is decided ``leniently``.
    """
    steps = batch_in_steps(books, command, now, sequence, decide, leniently)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            verdict: Verdict = done.value[0]
            return verdict


def batch_in_steps(
    books: Books, command: ExecuteBatch, now: datetime, sequence: int, decide: Decide, leniently: bool = False
) -> Generator[int, None, tuple[Verdict, Books]]:
    """The same verdict, and the books after it, one command at a time.  Each step says what it cost, as so many bytes
    of JSON; between two of them ``books`` must not change.
    """
    if refusal := conditions_guard(books, command, now):
        return refusal, books
    stage = _Stage(books, command)
    yield BYTES_OF_A_BOOK * len(stage.books.wallets)
    outcomes: list[Refusal | None] = []
    for index, inner in enumerate(command.commands):
        verdict = decide(stage.books, inner, now, sequence, index)
        if isinstance(verdict, Effects):
            stage.take(verdict, index)
            outcomes.append(None)
            if not leniently and stage.records > MAX_RECORDS:
                too_many = refuse(Reason.ENTRY_TOO_LARGE, what="records", number=stage.records, limit=MAX_RECORDS)
                return too_many, stage.books
        elif command.atomic:
            return Refusal(verdict.reason, {**verdict.facts, "command": index}), stage.books
        else:
            outcomes.append(verdict)
        yield BYTES_OF_A_COMMAND + BYTES_OF_A_POSTING * len(getattr(inner, "postings", ()))
    # After this point it must succeed.
    return stage.effects(() if command.atomic else tuple(outcomes)), stage.books


class _Stage:
    """Copies of the books of a batch's wallets, and the last record of everything that changed there."""

    def __init__(self, books: Books, command: ExecuteBatch) -> None:
        self.books = books.stage(claims_of(command))
        self._versions = {name: book.version for name, book in self.books.wallets.items()}
        self._last: dict[str, dict[Any, Any]] = {
            name: {} for name in ("assets", "wallets", "balances", "holds", "transfers", "outflows")
        }
        self._moved: list[Moved] = []
        self.records = 0
        """The number of records so far."""

    def take(self, effects: Effects, index: int) -> None:
        """Apply one command's effects; the version of a wallet rises once, however often it is touched."""
        apply(self.books, effects)
        for wallet in {r.wallet for r in effects.wallets} | {r.wallet for r in effects.balances}:
            self.books.wallets[wallet].version = self._versions.get(wallet, Version(0))
        last = self._last
        last["assets"].update((record.asset, record) for record in effects.assets)
        last["wallets"].update((record.wallet, record) for record in effects.wallets)
        last["balances"].update(((record.wallet, record.asset), record) for record in effects.balances)
        last["holds"].update((record.hold, record) for record in effects.holds)
        last["transfers"].update((record.transfer, record) for record in effects.transfers)
        last["outflows"].update(((r.wallet, r.asset, r.sequence, r.command), r) for r in effects.outflows)
        self.records = sum(map(len, last.values())) + len(self._moved) + len(effects.moved)
        self._moved += [msgspec.structs.replace(moved, command=index) for moved in effects.moved]

    def effects(self, outcomes: tuple[Refusal | None, ...]) -> Effects:
        """The effects of the whole batch."""
        records = {name: tuple(found.values()) for name, found in self._last.items()}
        return Effects(**records, moved=tuple(self._moved), outcomes=outcomes)
