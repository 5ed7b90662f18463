"""Turns a verdict into its journal entry and the entry's bytes, or into facts if the journal cannot accept one."""

from datetime import datetime

import msgspec

from walletd.journal.failures import JournalFull, NotLeading
from walletd.ledger.book import Books
from walletd.ledger.entry_size import most_expiring, too_large
from walletd.ledger.guards import Verdict
from walletd.ledger.outflow_folding import FOLDED_BYTES, with_folded
from walletd.ledger.rules import decide
from walletd.tables.writer import ReadTablesStand
from walletd.vocabulary.commands import AnyCommand, ExpireHold
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Effects, Entry, Refusal, encode_entry
from walletd.vocabulary.identifiers import Principal, Sequence
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sameness import kept_of
from walletd.vocabulary.sizes import MAX_ENTRY_BYTES
from walletd.wallets.submission import Submission

UNAVAILABLE_RETRY_MS = 1000
LEADERLESS_RETRY_MS = 100
"""A ledger that was handed over has its next leader within a moment."""


def unavailable(why: JournalFull | ReadTablesStand | None) -> Declined:
    """Why the journal or the read tables accept nothing now."""
    what = "no space" if why is None else why.args[0]
    facts = {"why": what, "retry_after_ms": UNAVAILABLE_RETRY_MS}
    if isinstance(why, NotLeading):
        facts |= {"leader": why.leader} if why.leader else {"retry_after_ms": LEADERLESS_RETRY_MS}
    return Declined(Reason.UNAVAILABLE, facts)


def bounded(books: Books, command: ExpireHold, now: datetime) -> ExpireHold:
    """The command for as many holds as fit into one entry; the timers continue with the next."""
    book = books.wallets.get(command.wallet)
    most = 1 if book is None else most_expiring(book, now, command.hold)
    return msgspec.structs.replace(command, most=most)


def judged(books: Books, sequence: Sequence, now: datetime, submission: Submission) -> tuple[Entry, bytes]:
    """The decision as an entry and its bytes: a refusal, if the entry would exceed the limit."""
    principal, command = submission.principal, submission.command
    return recorded(
        books,
        sequence,
        now,
        submission,
        decide(books, command, now, sequence, by=principal, received=submission.received),
    )


def recorded(
    books: Books, sequence: Sequence, now: datetime, submission: Submission, verdict: Verdict
) -> tuple[Entry, bytes]:
    """The same for a verdict on these books."""
    principal, command, history = submission.principal, submission.command, books.histories[-1].mark
    entry = entry_of(sequence, history, now, principal, command, verdict)
    record = encode_entry(entry)
    refusal = too_large(books, entry, record)
    if refusal is None:
        return entry, record
    entry = entry_of(sequence, history, now, principal, command, refusal)
    return entry, encode_entry(entry)


def folding(books: Books, entry: Entry, record: bytes) -> tuple[Entry, bytes]:
    """The same entry and bytes, with earlier outflows that are counted together from now on, if they fit."""
    if len(record) + FOLDED_BYTES > MAX_ENTRY_BYTES:
        return entry, record
    with_them = with_folded(books, entry)
    return (entry, record) if with_them is entry else (with_them, encode_entry(with_them))


def verdict_of(entry: Entry) -> Verdict:
    """The decision in the entry."""
    verdict = entry.effects or entry.refusal
    assert verdict is not None
    return verdict


def entry_of(
    sequence: Sequence, history: str, now: datetime, principal: Principal, command: AnyCommand, verdict: Verdict
) -> Entry:
    """The entry that records a decision, in the history with this mark; of a refused command, only what is kept."""
    return Entry(
        sequence=sequence,
        history=history,
        time=now,
        principal=principal,
        command=kept_of(command) if isinstance(verdict, Refusal) else command,
        refusal=verdict if isinstance(verdict, Refusal) else None,
        effects=verdict if isinstance(verdict, Effects) else None,
    )
