"""The journal in PostgreSQL: one row per segment, one statement and one round trip per group commit.

The promise is that of ``JournalStore``: a segment is durable, also on the synchronous standby, when ``append`` returns.
Whatever else an append comes to, an error, a lost link, a warning, leaves its outcome unknown; then the store takes the
ledger again, in the next term, and reads the head.  A late packet of the old term can never land after that.

    async with open_ledger(url, "main", directory) as store:
        head = await store.head()
"""

import logging
from contextlib import suppress

import trio

from walletd.journal.archive.file import pack, unpack
from walletd.journal.failures import (
    HeadMoved,
    JournalCorrupt,
    JournalFull,
    JournalUnreadable,
    LeadershipLost,
    OutcomeUnknown,
)
from walletd.journal.following import Leader
from walletd.journal.postgresql.connection import ConnectionLost, StatementRefused, Value
from walletd.journal.postgresql.following import Following
from walletd.journal.postgresql.lease import Lease, boot_seconds
from walletd.journal.postgresql.ledger import LedMeanwhile, Node, read_head, take
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.schema import (
    AFTER,
    APPEND,
    FIRST,
    HEAD,
    HOLDING,
    NUDGE,
    PACK,
    PACKED,
    TOUCH,
    USED_BYTES,
)
from walletd.journal.segment import Segment, records
from walletd.journal.sqlite.charter import Charter
from walletd.journal.sqlite.rows import row_of, segment_from
from walletd.journal.store import READ_LIMIT_BYTES, Head
from walletd.runtime.threads import in_thread
from walletd.vocabulary.histories import Histories

log = logging.getLogger("walletd.journal")

PACK_BYTES = 256 * 1024
"""The segments that become one block of the archive."""

NUDGE_SECONDS = 0.025
"""A follower is at most so much behind a leader that writes all the time; more often would cost the leader more."""

_PAUSE_SECONDS = 0.5

_FULL = frozenset({"53100", "53200", "53400", "25006", "42501"})
"""No space, no memory, a limit, a database that takes no writes, or a permission withdrawn: rolled back for certain."""


class Packed:
    """The part of a ledger that compaction has packed: in the database, too."""

    def __init__(self, last_sequence: int) -> None:
        self.last_sequence = last_sequence
        """The last entry in it; 0 if it is empty."""


class PostgresqlJournalStore:
    """The ``JournalStore`` of a node that leads a ledger, or follows until it ``lead``s: then nothing can be appended,
    and no entry is read that was not proved.  Made by ``take_ledger``, which alone checks that it fits.
    """

    def __init__(
        self,
        url: str,
        name: str,
        node: Node,
        charter: Charter,
        term: int,
        head: Head,
        archived: int,
        lease: Lease | None,
        *,
        is_replicated: bool,
    ) -> None:
        """``lease`` is None for a node that follows; ``head`` is then the last entry that it may show."""
        self.name = name
        self.is_replicated = is_replicated
        self.lease = lease
        self.archive = Packed(archived)
        self.term = term
        """The number of this node's hold on the ledger: each append carries it."""
        self._node = node
        self._charter = charter
        self._head = head
        self._writing = Link(url, lambda: not self.is_overtaken())
        self._reading = Link(url)
        if lease is not None:
            lease.when_over = self._let_go
        self._used_bytes: int | None = None
        self._appended = trio.Event()
        self.leader: Leader | None = None
        """The node that leads, if it is another one and is known."""
        self.following: Following | None = None

    def _let_go(self) -> None:
        """End what waits for the database: a node that cannot reach it should follow, not hang."""
        self._reading.let_go()
        self._writing.close()

    def is_overtaken(self) -> bool:
        return self.lease is not None and self.lease.is_over

    @property
    def is_leading(self) -> bool:
        return self.lease is not None

    @property
    def url(self) -> str:
        if self.lease is not None:
            return self._node.url
        return "" if self.leader is None or self.leader.is_gone else self.leader.url

    @property
    def lease_left_seconds(self) -> float:
        if self.lease is not None:
            return max(0.0, self.lease.left_seconds)
        return 0.0 if self.leader is None else max(0.0, self.leader.left_seconds or 0.0)

    @property
    def instance(self) -> str:
        return self._charter.instance

    @property
    def epoch(self) -> int:
        return self._charter.epoch

    @property
    def created_at(self) -> int:
        return self._charter.created_at

    @property
    def histories(self) -> Histories:
        return self._charter.histories

    @property
    def known_head(self) -> Head:
        """The head, as far as this node knows."""
        return self._head

    async def append(self, expected_head: int, segment: Segment) -> None:
        assert segment.first_sequence == expected_head + 1
        self._refuse_after_lease()
        with trio.CancelScope(shield=True):
            while not await self._append(expected_head, segment):
                log.warning("the segment at sequence %d was not written; writing it again", segment.first_sequence)
        self._refuse_after_lease()
        self._head = Head(segment.last_sequence, segment.epoch, segment.root)
        self._appended.set()
        if self._used_bytes is not None:
            self._used_bytes += len(segment.body)

    async def tell_followers(self) -> None:
        """Tell the other nodes that there is more, not more often than every ``NUDGE_SECONDS``; until cancelled.

        If that fails, they look by themselves a moment later.
        """
        while True:
            await self._appended.wait()
            self._appended = trio.Event()
            with suppress(ConnectionLost, StatementRefused):
                await (await self._reading.ready()).rows(NUDGE, self.name)
            await trio.sleep(NUDGE_SECONDS)

    def _refuse_after_lease(self) -> None:
        if self.lease is None or self.lease.is_over:
            raise LeadershipLost(f"the lease on ledger {self.name} is over")

    # --- following -------------------------------------------------------------------------------------------------

    def saw(self, leader: Leader) -> None:
        """Note who leads."""
        self.leader, self.term = leader, leader.term

    async def ahead(self, after: int, until: int) -> list[Segment]:
        """The segments after this entry, which was proved, and up to that one, which exists; they are not proved."""
        return [one for one in await self._read(after, READ_LIMIT_BYTES, until) if one.last_sequence <= until]

    def passed(self, head: Head) -> None:
        """Note that everything up to here was proved."""
        self._head = head

    def lead(self, term: int, archived: int, lease: Lease, *, is_replicated: bool) -> None:
        """Append from now on, in this term, once all that is there was proved."""
        self.term, self.lease, self.is_replicated = term, lease, is_replicated
        lease.when_over = self._let_go
        self.archive.last_sequence = archived
        self.leader = None
        log.info("this node leads ledger %s in term %d", self.name, term)

    # --- the journal -----------------------------------------------------------------------------------------------

    async def _append(self, expected_head: int, segment: Segment) -> bool:
        """True once it is durable; False if it is certain that it was not written, and can be now."""
        try:
            connection = await self._writing.ready()
            changed = await connection.change(
                APPEND, self.name, *row_of(segment), segment.last_sequence, self.term, self.epoch
            )
        except StatementRefused as refused:
            if refused.code in _FULL:
                raise JournalFull(f"PostgreSQL takes no writes: {refused}") from refused
            log.warning("an append failed, its outcome is unknown: %s", refused)
            return await self._was_written(expected_head, segment)
        except ConnectionLost as lost:
            log.warning("an append got no answer, its outcome is unknown: %s", lost)
            return await self._was_written(expected_head, segment)
        if not changed:
            await self._refuse_moved(expected_head)
        return True

    async def _was_written(self, expected_head: int, segment: Segment) -> bool:
        """Take the ledger again and look.  Raises LeadershipLost, HeadMoved, OutcomeUnknown."""
        assert self.lease is not None
        while True:
            try:
                connection = await self._writing.ready()
                taken_at = boot_seconds()
                term, head = await take(connection, self.name, self._node, self.lease.seconds)
                break
            except LedMeanwhile as led:
                self.lease.end()
                raise LeadershipLost(f"another node has taken ledger {self.name}") from led
            except ConnectionLost as lost:
                if self.lease.is_over:
                    raise LeadershipLost(f"PostgreSQL cannot be reached: {lost}") from lost
            except StatementRefused as refused:
                if self.lease.is_over:
                    raise OutcomeUnknown(f"an append failed, and PostgreSQL refuses all others: {refused}") from refused
                await trio.sleep(_PAUSE_SECONDS)
        self.term = term
        self.lease.renewed(taken_at)
        log.warning("ledger %s was taken again, in term %d, at entry %d", self.name, term, head.sequence)
        if (head.sequence, head.root) == (segment.last_sequence, segment.root):
            return True
        if head.sequence != expected_head:
            raise HeadMoved(f"ledger {self.name} ends at {head.sequence}, neither at {expected_head} nor behind it")
        return False

    async def _refuse_moved(self, expected_head: int) -> None:
        """Raises HeadMoved, or LeadershipLost if another node is why."""
        ((term, head, *_),) = await self._reading.read(HEAD, self.name)
        if term != self.term:
            if self.lease is not None:
                self.lease.end()
            raise LeadershipLost(f"another node has taken ledger {self.name}: this one led term {self.term} of {term}")
        raise HeadMoved(f"ledger {self.name} ends at {head}, not at {expected_head}")

    async def read(self, after: int, limit: int = READ_LIMIT_BYTES) -> list[Segment]:
        found, last = await self._read(after, limit, self._head.sequence), self._head.sequence
        return found if self.is_leading else [segment for segment in found if segment.last_sequence <= last]

    async def _read(self, after: int, limit: int, last: int) -> list[Segment]:
        """``last`` is an entry that certainly exists."""
        assert after >= 0
        segments: list[Segment] = []
        if after >= self.archive.last_sequence:
            found = await self._segments(AFTER, after + 1, limit)
            segments = [segment for segment in found if segment.last_sequence > after]
        is_behind = after < last and not (segments and segments[0].first_sequence <= after + 1)
        if is_behind and await self._is_archived(after + 1):
            return _up_to([one for one in await self._packed(after) if one.last_sequence > after], limit)
        if is_behind:
            raise JournalCorrupt(f"the journal has lost entry {after + 1}")
        expected = segments[0].first_sequence if segments else 0
        for segment in segments:
            if segment.first_sequence != expected:
                raise JournalCorrupt(f"entry {expected} should follow, but entry {segment.first_sequence} does")
            expected = segment.last_sequence + 1
        return segments

    async def read_entry(self, sequence: int) -> bytes | None:
        found: list[Segment] = []
        if not self.is_leading and sequence > self._head.sequence:
            return None
        if sequence > self.archive.last_sequence:
            found = await self._segments(HOLDING, sequence)
        if not found and 1 <= sequence <= self._head.sequence and await self._is_archived(sequence):
            found = await self._packed(sequence - 1)
        for segment in found:
            if segment.first_sequence <= sequence <= segment.last_sequence:
                return records(segment)[sequence - segment.first_sequence]
        return None

    async def _is_archived(self, sequence: int) -> bool:
        """True if the entry is in the archive, perhaps since a moment ago."""
        if sequence > self.archive.last_sequence:
            await self.find_archived()
        return sequence <= self.archive.last_sequence

    async def _packed(self, after: int) -> list[Segment]:
        """The block of the archive that holds the entry after this one."""
        for first, last, block in await self._reading.read(PACKED, self.name, after):
            segments = await in_thread(unpack, block)
            if (segments[0].first_sequence, segments[-1].last_sequence) != (first, last) or after + 1 < first:
                break
            return segments
        raise JournalCorrupt(f"the archive of ledger {self.name} has lost entry {after + 1}")

    async def _segments(self, statement: str, *values: Value) -> list[Segment]:
        return [segment_from(row) for row in await self._reading.read(statement, self.name, *values)]

    async def head(self) -> Head:
        if not self.is_leading:
            return self._head
        self._head = await read_head(self._reading, self.name, self.epoch)
        return self._head

    async def probe(self) -> None:
        try:
            connection = await self._writing.ready()
            changed = await connection.change(TOUCH, self.name, self.term)
        except (StatementRefused, ConnectionLost) as error:
            raise JournalFull(f"PostgreSQL still takes no writes: {error}") from error
        if not changed:
            await self._refuse_moved(self._head.sequence)

    async def aclose(self) -> None:
        if self.following is not None:
            self.following.close()
        self._writing.close()
        self._reading.close()

    # --- compaction ------------------------------------------------------------------------------------------------

    async def boundary(self, keep_entries: int) -> int:
        """The end of the last segment that can be archived so that this many entries stay, or 0."""
        held = await self._segments(HOLDING, self._head.sequence - max(1, keep_entries) + 1)
        return held[0].first_sequence - 1 if held else 0

    async def oldest(self) -> Segment | None:
        """The first segment that is not archived."""
        return next(iter(await self._segments(FIRST)), None)

    async def has_archived_segments(self) -> bool:
        """Never: a segment is archived and deleted in one statement."""
        return False

    async def prepare_to_prune(self) -> None:
        """Nothing depends on what has been archived."""

    async def prune(self) -> bool:
        """Nothing is left to delete."""
        return False

    async def shrink(self, *, is_serving: bool = True) -> bool:
        """PostgreSQL's own vacuum reuses the space."""
        return False

    async def pack_next(self, target: int) -> int:
        """Move the next segments, up to the target, into the archive; returns the last entry there."""
        begun = self.archive.last_sequence
        found = await self.read(begun, PACK_BYTES)
        segments = [segment for segment in found if segment.last_sequence <= target]
        if not segments:
            raise JournalCorrupt(f"the journal has no segment that ends at entry {target}")
        block = await in_thread(pack, segments)
        if await in_thread(unpack, block) != segments:
            raise JournalUnreadable("a block of the archive does not unpack to what it was made from")
        with trio.CancelScope(shield=True):
            try:
                connection = await self._reading.ready()
                last = segments[-1].last_sequence
                packed = await connection.change(PACK, self.name, begun + 1, last, block, self.term)
            except (StatementRefused, ConnectionLost) as error:
                await self.find_archived()
                raise JournalUnreadable(f"PostgreSQL did not archive up to entry {target}: {error}") from error
        if not packed:
            await self._refuse_moved(self._head.sequence)
        self.archive.last_sequence = last
        self._used_bytes = None
        return last

    async def find_archived(self) -> None:
        """See how far the archive reaches."""
        ((*_, archived),) = await self._reading.read(HEAD, self.name)
        self.archive.last_sequence = archived

    async def used_bytes(self) -> int:
        """The bytes of the segments that are not archived."""
        if self._used_bytes is None:
            ((used,),) = await self._reading.read(USED_BYTES, self.name)
            self._used_bytes = used
        return self._used_bytes


def _up_to(segments: list[Segment], limit: int) -> list[Segment]:
    """The first of them, with bodies of about so many bytes; one at least."""
    size = 0
    for count, segment in enumerate(segments, start=1):
        size += len(segment.body)
        if size >= limit:
            return segments[:count]
    return segments
