"""Messages about the journal as stored: reading it for a backup, and compaction."""

from typing import Annotated

import msgspec

from walletd.protocol.messages.base import Params, Result
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import SequenceNumber


class ReadJournal(Params, frozen=True, kw_only=True):
    """Segments after the entry ``after``, as they are stored."""

    after: SequenceNumber = 0  # type: ignore[assignment]


class JournalBlock(Result, frozen=True, kw_only=True):
    """Some segments of the journal, packed and deflated as in archive files; empty if there are none.

    ``head`` is the last durable sequence; ``created_ns`` is when the journal was created, in nanoseconds since 1970.
    """

    instance: str
    created_ns: int
    epoch: int
    head: int
    block: bytes


class Compact(Params, frozen=True, kw_only=True):
    """Start a compaction, unless one is running: archive all but the newest ``keep_entries`` of the journal.

    Without a number, that of the configuration applies.  The answer reports the progress; ``daemon.status`` does later.
    """

    keep_entries: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None = None


class CompactionStatus(Result, frozen=True, kw_only=True):
    """The progress of the journal's compaction: ``done`` of ``whole`` entries in this step, and the last outcome.

    ``step`` is idle, waiting, snapshot, archiving, proving, pruning or shrinking; ``archived`` is the last sequence
    that is no longer in ``journal.db``.
    """

    step: str
    done: int = 0
    whole: int = 0
    archived: int
    runs: int = 0
    failures: int = 0
    last_failure: str | None = None
    last_finished_at: Instant | None = None
