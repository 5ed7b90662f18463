"""A segment: everything that one group commit makes durable, as one value.

The promise: a segment can be checked by itself (``check``: the digest covers the header and the body) and in its place
(``verify``: the root covers every entry since the first).  A record is opaque here: one line of JSON, hashed and stored
as the bytes that were given.

    frontier = Frontier()
    segment = seal(frontier, first_sequence=1, epoch=1, records=[b'{"n":1}', b'{"n":2}'])
    assert records(segment) == [b'{"n":1}', b'{"n":2}']
"""

import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from walletd.journal.failures import JournalCorrupt
from walletd.journal.merkle import HASH_BYTES, Frontier, leaf_hash

FORMAT_VERSION: Final = 1

ENTRIES_PER_STEP: Final = 256

_SEPARATOR: Final = b"\n"
_BETWEEN: Final = b"}\n{"
_DIGEST_PREFIX: Final = b"walletd segment\x00"
"""So that a digest never equals the hash of any other data of ours."""
_HEADER: Final = struct.Struct(">QQQQ")
"""Format, first sequence, count, epoch."""


class Segment(msgspec.Struct, frozen=True):
    """One group commit.  Sequences count from 1 without a gap over the whole journal."""

    first_sequence: int
    count: int
    epoch: int
    format: int
    root: bytes  # RFC 6962 root over all entries up to and including this segment
    digest: bytes  # SHA-256 over the header fields, the root and the body
    body: bytes  # the records, joined by one newline

    @property
    def last_sequence(self) -> int:
        """The sequence of its last entry."""
        return self.first_sequence + self.count - 1


def seal(
    frontier: Frontier,
    first_sequence: int,
    epoch: int,
    records: Sequence[bytes],
    leaves: Sequence[bytes] | None = None,
) -> Segment:
    """Make the next segment and advance the frontier over it.

    A caller that already has the leaf hashes passes them as ``leaves``, in the order of the records, to avoid hashing
    twice.
    """
    assert records
    assert first_sequence == frontier.size + 1
    if leaves is None:
        leaves = [leaf_hash(record) for record in records]
    assert len(leaves) == len(records)
    for leaf in leaves:
        frontier.append(leaf)
    body = _SEPARATOR.join(records)
    assert is_body(body, len(records))
    root = frontier.root()
    segment = Segment(
        first_sequence=first_sequence,
        count=len(records),
        epoch=epoch,
        format=FORMAT_VERSION,
        root=root,
        digest=_digest(FORMAT_VERSION, first_sequence, len(records), epoch, root, body),
        body=body,
    )
    assert segment.last_sequence == frontier.size
    return segment


def is_record(record: bytes) -> bool:
    """True if these bytes can be an entry record: a JSON object by its braces, on one line."""
    return record[:1] == b"{" and record[-1:] == b"}" and _SEPARATOR not in record


def is_body(body: bytes, count: int) -> bool:
    """True if these bytes can be so many records, joined: the same as ``is_record`` of each, by a look at all."""
    return (
        body[:1] == b"{"
        and body[-1:] == b"}"
        and body.count(_SEPARATOR) == count - 1
        and body.count(_BETWEEN) == count - 1
    )


def records(segment: Segment) -> list[bytes]:
    """The records in sequence order.  The segment must have been checked, as everything from a store has been."""
    lines = segment.body.split(_SEPARATOR)
    assert len(lines) == segment.count
    return lines


def check(segment: Segment) -> None:
    """Raise JournalCorrupt unless the segment, by itself, is what was sealed."""
    name = f"the segment at sequence {segment.first_sequence}"
    if segment.format != FORMAT_VERSION:
        raise JournalCorrupt(f"{name} has format {segment.format}, this version knows {FORMAT_VERSION}")
    if segment.first_sequence < 1 or segment.count < 1 or segment.epoch < 1 or len(segment.root) != HASH_BYTES:
        raise JournalCorrupt(f"{name} has a header that cannot be")
    if segment.digest != _digest_of(segment):
        raise JournalCorrupt(f"{name} does not have the digest it was stored with")
    if segment.body.count(_SEPARATOR) + 1 != segment.count:
        raise JournalCorrupt(f"{name} does not hold the {segment.count} entries it claims")


def verify(frontier: Frontier, segment: Segment) -> None:
    """Advance the frontier over a checked segment; raise JournalCorrupt unless its root is the tree's root."""
    for _ in verify_in_steps(frontier, segment):
        pass


def verify_in_steps(frontier: Frontier, segment: Segment) -> Iterator[None]:
    """``verify``, with a pause after every ``ENTRIES_PER_STEP`` entries: about half a millisecond."""
    if segment.first_sequence != frontier.size + 1:
        raise JournalCorrupt(f"after entry {frontier.size} comes a segment that starts at {segment.first_sequence}")
    lines = records(segment)
    for start in range(0, len(lines), ENTRIES_PER_STEP):
        for record in lines[start : start + ENTRIES_PER_STEP]:
            frontier.append(leaf_hash(record))
        yield
    if frontier.root() != segment.root:
        raise JournalCorrupt(f"the entries up to {segment.last_sequence} do not have the Merkle root stored with them")


def _digest_of(segment: Segment) -> bytes:
    return _digest(segment.format, segment.first_sequence, segment.count, segment.epoch, segment.root, segment.body)


def _digest(format_version: int, first_sequence: int, count: int, epoch: int, root: bytes, body: bytes) -> bytes:
    digest = sha256(_DIGEST_PREFIX)
    digest.update(_HEADER.pack(format_version, first_sequence, count, epoch))
    digest.update(root)
    digest.update(body)
    return digest.digest()
