"""What the disk answers: the read tables, the journal's entries, and the command ids of both."""

from dataclasses import dataclass

from walletd.journal.history import History
from walletd.tables.command_ids import CommandIndex
from walletd.tables.queries.wallets import Queries


@dataclass(frozen=True, slots=True)
class Stored:
    """The parts that read, for everything above that asks."""

    tables: Queries
    history: History
    index: CommandIndex
