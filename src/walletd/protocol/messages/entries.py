"""The messages of reading journal entries."""

from walletd.protocol.messages.base import JournalEntry, PageLimit, Read, Result
from walletd.vocabulary.identifiers import (
    CommandName,
    SequenceNumber,
)


class GetEntry(Read, frozen=True, kw_only=True):
    """An entry by its sequence, or by the command id that the requesting client gave it.  Exactly one of both."""

    sequence: SequenceNumber | None = None
    command_id: CommandName | None = None


class EntryView(Result, frozen=True, kw_only=True):
    """An entry and its hash: SHA-256 of a zero byte and the entry's exact bytes, as RFC 6962 defines it.

    A redacted entry has no hash, because the hash would help to guess the missing parts.
    """

    entry: JournalEntry
    entry_hash: str | None = None


class ListEntries(Read, frozen=True, kw_only=True):
    """Entries in the journal's order, those after the sequence ``after``."""

    after: SequenceNumber = 0  # type: ignore[assignment]
    limit: PageLimit = 100


class EntryPage(Result, frozen=True, kw_only=True):
    """One page of the journal; ``head`` is the last durable sequence.

    It also ends before a message of 1 MiB is full, but has at least one entry: only a page without entries is behind
    the last.  An entry of an earlier version may be larger, and is then alone.
    """

    entries: tuple[EntryView, ...]
    head: int
