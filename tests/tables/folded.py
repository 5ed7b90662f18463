"""Read tables in memory, and what they say in the words of the read model.

tables = Tables()
tables.fold(ledger.entries, chance, len(ledger.entries))
as_had(balances_at(tables.connection, "alice", None, point)) == read_model.had(ledger.entries, "alice", None, *point)
"""

import random
from collections.abc import Iterable, Sequence

from tests.properties import read_model
from tests.state_file import fold_into, tables_in_memory
from walletd.protocol.messages import StatementLine
from walletd.tables.schema import microseconds
from walletd.vocabulary.entries import BalanceRecord, Entry


class Tables:
    """Read tables in memory, into which entries are folded in runs of any length, as the projector does it."""

    def __init__(self) -> None:
        self.connection = tables_in_memory()
        self.sequence = 0

    def fold(self, entries: Sequence[Entry], chance: random.Random, until: int) -> None:
        """Fold entries up to and including this one."""
        while self.sequence < until:
            run = entries[self.sequence : min(until, self.sequence + chance.randint(1, 9))]
            fold_into(self.connection, run)
            self.sequence = run[-1].sequence
            progress = (4, "i", 1, self.sequence, b"", microseconds(run[-1].time))
            self.connection.execute("INSERT OR REPLACE INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", progress)


def as_had(balances: Iterable[BalanceRecord] | None) -> list[read_model.Had] | None:
    """Balances in the words of the model."""
    if balances is None:
        return None
    return [
        read_model.Had(
            b.asset, int(b.posted), int(b.held), None if b.available is None else int(b.available), b.version
        )
        for b in balances
    ]


def as_lines(lines: Iterable[StatementLine]) -> list[read_model.Line]:
    """The lines of a statement in the words of the model."""
    return [
        read_model.Line(li.sequence, li.line, li.asset, int(li.amount), int(li.posted), li.counterparty, li.kind)
        for li in lines
    ]
