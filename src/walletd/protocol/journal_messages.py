"""Messages about the journal as it is stored: what a backup reads."""

from walletd.protocol.messages import Params, Result
from walletd.vocabulary.identifiers import SequenceNumber


class ReadJournal(Params, frozen=True, kw_only=True):
    """Segments behind the entry ``after``, as they are stored."""

    after: SequenceNumber = 0  # type: ignore[assignment]


class JournalBlock(Result, frozen=True, kw_only=True):
    """Some segments of the journal, packed and deflated as archive files have them; empty where there are none.

    ``head`` is the last durable sequence; ``created_at`` is in nanoseconds since 1970.
    """

    instance: str
    created_at: int
    epoch: int
    head: int
    block: bytes
