"""What a decision is put into words with: its entry, or the facts where the journal takes none."""

from datetime import datetime
from typing import Any

from walletd.journal.failures import JournalFull
from walletd.ledger.guards import Verdict
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import Effects, Entry, Refusal
from walletd.vocabulary.identifiers import Principal, Sequence
from walletd.wallets.read_tables import ReadTablesStand

UNAVAILABLE_RETRY_MS = 1000


def unavailable(why: JournalFull | ReadTablesStand | None) -> dict[str, Any]:
    """The facts of what the journal or the read tables cannot take at present."""
    return {"why": "no space" if why is None else why.args[0], "retry_after_ms": UNAVAILABLE_RETRY_MS}


def entry_of(
    sequence: Sequence, history: str, now: datetime, principal: Principal, command: AnyCommand, verdict: Verdict
) -> Entry:
    """The entry that records what was decided, in the history with this mark."""
    return Entry(
        sequence=sequence,
        history=history,
        time=now,
        principal=principal,
        command=command,
        refusal=verdict if isinstance(verdict, Refusal) else None,
        effects=verdict if isinstance(verdict, Effects) else None,
    )
