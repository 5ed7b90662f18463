"""Archive files: a run of segments in one compressed file, which can be checked, searched and read back at any time.

The promise: a file that has its name was written whole, synced, read back from the disk and found right, digest by
digest and root by root; only then were its contents (its segments, their places, and the Merkle frontier after it)
written at its end and the file named.  The archive of a data directory and a backup are both made of such files.

    writer = ArchiveWriter(directory, origin, frontier, epoch)
    writer.add(pack(segments))
    writer.sync()
    for head in writer.prove(writer.read_back(0)): ...   # and each block that was added after it
    archive_file = writer.commit()

A file is: a first line that names the format, blocks (each some segments, packed and deflated), the contents in JSON,
and a tail with their length, their SHA-256 and a mark.
"""

import os
import struct
import zlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import msgspec

from walletd.journal.failures import JournalCorrupt, JournalUnsupported, damage_is_the_copys
from walletd.journal.merkle import EMPTY_ROOT, Frontier
from walletd.journal.segment import Segment
from walletd.journal.sqlite.directory import sync_directory
from walletd.journal.sqlite.private import open_regular
from walletd.journal.sqlite.rows import row_of, segment_from
from walletd.journal.store import LAST_EPOCH, Head
from walletd.journal.verification import advance_in_steps
from walletd.vocabulary.sizes import MAX_SEGMENT_BYTES

SUFFIX = ".segments"
UNFINISHED_SUFFIX = ".unfinished"
ARCHIVE_FORMAT = 1

MAX_BLOCK_BYTES = MAX_SEGMENT_BYTES
"""The limit on the segments in one block; a single larger segment, of an earlier version, makes a larger block."""

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""The limit on a block that is read: earlier versions put more into one, and a forged block must not fill the
memory.
"""

MAX_ROW_BYTES = 1_000_000_000
"""The limit on a block that is one segment: SQLite's limit on one row, and so the largest that any version could
write.
"""

SYNC_BYTES = 1024 * 1024
"""The number of bytes written between syncs: the journal's own sync would have to wait behind a larger one."""

_FIRST_LINE = b"walletd archive\n"
_TAIL = struct.Struct(">Q32s8s")
_END = b"walletd\n"
_LEVEL = 3
"""The level of zlib: entries shrink to an eighth of their size; twice the time would save a tenth more."""


Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Origin(msgspec.Struct, frozen=True):
    """The journal that the segments come from."""

    instance: str
    created_at: Count  # nanoseconds since 1970, UTC


class Block(msgspec.Struct, frozen=True, array_like=True):
    """The place of some segments in the file, in bytes."""

    first_sequence: Count
    offset: Count
    length: Count


class Contents(msgspec.Struct, frozen=True):
    """The contents of a file.  ``before`` and ``frontier`` are the Merkle frontiers before it and at its end."""

    format: int
    origin: Origin
    first_sequence: Count
    last_sequence: Count
    epoch: Count  # of the last segment
    before: bytes
    frontier: bytes
    blocks: tuple[Block, ...]


_ONE_ROW = b"\x91"
"""The beginning, in MessagePack, of a block's rows if there is one row."""

_encode_rows = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[tuple[int, int, int, int, bytes, bytes, bytes]]).decode
_encode_contents = msgspec.json.Encoder().encode
_decode_contents = msgspec.json.Decoder(Contents).decode


def one_block(segments: Sequence[Segment]) -> list[Segment]:
    """The segments, from the first on, that fit into a block; the first in any case."""
    size = 0
    for count, segment in enumerate(segments):
        size += len(segment.body)
        if count and size > MAX_BLOCK_BYTES:
            return list(segments[:count])
    return list(segments)


def pack(segments: Sequence[Segment]) -> bytes:
    """Segments as a block.  Nearly all of the time is spent without the interpreter's lock."""
    return zlib.compress(_encode_rows([row_of(segment) for segment in segments]), _LEVEL)


def unpack(block: bytes) -> list[Segment]:
    """The segments of a block, each checked by itself.  Raises JournalCorrupt."""
    try:
        inflater = zlib.decompressobj()
        unpacked = inflater.decompress(block, MAX_UNPACKED_BYTES)
        if not inflater.eof and unpacked.startswith(_ONE_ROW):
            unpacked += inflater.decompress(inflater.unconsumed_tail, MAX_ROW_BYTES)
        rows = _decode_rows(unpacked)
    except (zlib.error, msgspec.DecodeError) as error:
        raise JournalCorrupt(f"a block of archived segments cannot be read: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise JournalCorrupt("a block of archived segments does not end where it should")
    return [segment_from(row) for row in rows]


class ArchiveWriter:
    """An unfinished archive file.  Until it is committed, it has another name and is never read."""

    def __init__(self, directory: Path, origin: Origin, frontier: Frontier, epoch: int) -> None:
        """``frontier`` covers all entries before the file, ``epoch`` is that of the last of their segments."""
        self._directory = directory
        self._origin = origin
        self._before = frontier.copy()
        self._frontier = frontier.copy()
        self._head = Head(frontier.size, epoch, frontier.root())
        self._places: list[tuple[int, int]] = []
        self._blocks: list[Block] = []
        self._path = directory / f"{frontier.size + 1:015d}{UNFINISHED_SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        self._file = os.fdopen(open_regular(self._path, flags), "w+b")
        self._file.write(_FIRST_LINE)
        self.size_bytes = len(_FIRST_LINE)
        self._unsynced = 0

    @property
    def blocks(self) -> int:
        """The number of blocks added."""
        return len(self._places)

    @property
    def head(self) -> Head:
        """The head up to which it is proved."""
        return self._head

    def add(self, block: bytes) -> None:
        """Write a block made by ``pack`` after the others.  Raises OSError."""
        self._places.append((self.size_bytes, len(block)))
        self._file.write(block)
        self.size_bytes += len(block)
        self._unsynced += len(block)
        if self._unsynced >= SYNC_BYTES:
            self._file.flush()
            os.fdatasync(self._file.fileno())
            self._unsynced = 0

    def sync(self) -> None:
        """Make all blocks durable, and have the system drop them from its cache, so that they are read from the
        disk.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read_back(self, index: int) -> list[Segment]:
        """The segments of a block, from the disk.  Raises JournalCorrupt or OSError."""
        offset, length = self._places[index]
        return unpack(os.pread(self._file.fileno(), length, offset))

    def prove(self, segments: Sequence[Segment]) -> Iterator[Head]:
        """Check that the segments of the next block continue the proved ones, pausing after each step.

        Raises JournalCorrupt.
        """
        assert len(self._blocks) < len(self._places)
        if not segments:
            raise JournalCorrupt("a block of archived segments is empty")
        self._blocks.append(Block(segments[0].first_sequence, *self._places[len(self._blocks)]))
        for segment in segments:
            for _ in advance_in_steps(self._head, self._frontier, segment):
                yield self._head
            self._head = Head(segment.last_sequence, segment.epoch, segment.root)

    def commit(self) -> "ArchiveFile":
        """Finish the proved file, read its contents back, and give it its name, durably.  Raises CopyDamaged or
        OSError.
        """
        assert self._blocks
        assert len(self._blocks) == len(self._places)
        contents = Contents(
            format=ARCHIVE_FORMAT,
            origin=self._origin,
            first_sequence=self._before.size + 1,
            last_sequence=self._frontier.size,
            epoch=self._head.epoch,
            before=self._before.to_bytes(),
            frontier=self._frontier.to_bytes(),
            blocks=tuple(self._blocks),
        )
        encoded = _encode_contents(contents)
        self._file.write(encoded + _TAIL.pack(len(encoded), sha256(encoded).digest(), _END))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with damage_is_the_copys("the list of what an archive file holds"):
            finished = open_archive_file(self._path)
        path = self._directory / f"{contents.first_sequence:015d}-{contents.last_sequence:015d}{SUFFIX}"
        self._path.rename(path)
        sync_directory(self._directory)
        return ArchiveFile(path, finished.contents)

    def abandon(self) -> None:
        """Remove the file if it was not committed."""
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.abandon()


class OpenFiles:
    """Files that stay open between reads, the last ``most`` that were read, so that no read needs a descriptor that may
    be missing then.  Any thread may use it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: deque[tuple[Path, FileIO]] = deque()

    @contextmanager
    def borrowed(self, path: Path) -> Iterator[FileIO]:
        """The file, for this reader alone.  Raises OSError."""
        file = self._taken(path) or FileIO(open_regular(path), "rb")
        try:
            yield file
        except Exception:
            file.close()
            raise
        finally:
            self._give_back(path, file)

    def _give_back(self, path: Path, file: FileIO) -> None:
        if not file.closed:
            self._idle.append((path, file))
        while len(self._idle) > self._most:
            with suppress(IndexError):  # Another thread was faster.
                self._idle.popleft()[1].close()

    def _taken(self, path: Path) -> FileIO | None:
        for one in tuple(self._idle):
            if one[0] == path:
                with suppress(ValueError):  # Another reader has it.
                    self._idle.remove(one)
                    return one[1]
        return None


class ArchiveFile:
    """One committed file."""

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self.contents = contents
        self._firsts = [block.first_sequence for block in contents.blocks]

    @property
    def last_sequence(self) -> int:
        """The last entry in it."""
        return self.contents.last_sequence

    def segments(self, after: int = 0, opened: OpenFiles | None = None) -> Iterator[Segment]:
        """Its segments from the one that holds the entry after ``after`` on, each checked by itself, block by block.

        Raises JournalCorrupt or OSError.
        """
        begin = max(0, bisect_right(self._firsts, after + 1) - 1)
        segment: Segment | None = None
        with (opened or OpenFiles(0)).borrowed(self.path) as file:
            for block in self.contents.blocks[begin:]:
                found = unpack(os.pread(file.fileno(), block.length, block.offset))
                if not found or found[0].first_sequence != block.first_sequence:
                    raise JournalCorrupt(f"a block of {self.path} does not begin with entry {block.first_sequence}")
                for segment in found:
                    if segment.last_sequence > after:
                        yield segment
        self._refuse_other_end(segment)

    def _refuse_other_end(self, last: Segment | None) -> None:
        """Raise JournalCorrupt unless the file ends with the segment that its contents name."""
        contents = self.contents
        root = frontier_of(contents.frontier, self.path).root()
        if last is None or (last.last_sequence, last.epoch, last.root) != (
            contents.last_sequence,
            contents.epoch,
            root,
        ):
            raise JournalCorrupt(f"the segments in {self.path} do not end where its contents say")


def open_archive_file(path: Path) -> ArchiveFile:
    """Read the contents of a file.  Raises JournalCorrupt, JournalUnsupported or OSError."""
    with open(open_regular(path), "rb") as file:
        if file.read(len(_FIRST_LINE)) != _FIRST_LINE:
            raise JournalUnsupported(f"{path} is no archive of walletd")
        size = file.seek(0, os.SEEK_END)
        if size < len(_FIRST_LINE) + _TAIL.size:
            raise JournalCorrupt(f"{path} is cut off")
        file.seek(size - _TAIL.size)
        length, digest, end = _TAIL.unpack(file.read(_TAIL.size))
        if end != _END or length > min(size - _TAIL.size - len(_FIRST_LINE), MAX_UNPACKED_BYTES):
            raise JournalCorrupt(f"{path} does not end as an archive does")
        file.seek(size - _TAIL.size - length)
        encoded = file.read(length)
    if sha256(encoded).digest() != digest:
        raise JournalCorrupt(f"the contents of {path} do not have the digest that they were stored with")
    try:
        contents = _decode_contents(encoded)
    except (msgspec.DecodeError, RecursionError) as error:
        raise JournalCorrupt(f"the contents of {path} cannot be read: {error}") from error
    if contents.format != ARCHIVE_FORMAT:
        raise JournalUnsupported(f"{path} has format {contents.format}, this version knows format {ARCHIVE_FORMAT}")
    _refuse_impossible(path, contents, size - _TAIL.size - length)
    return ArchiveFile(path, contents)


def _refuse_impossible(path: Path, contents: Contents, end: int) -> None:
    """Raise JournalCorrupt unless the blocks lie one after the other up to this place and hold what the contents
    claim.
    """
    at, sequence = len(_FIRST_LINE), contents.first_sequence
    for block in contents.blocks:
        if block.offset != at or not 0 < block.length <= MAX_ROW_BYTES or block.first_sequence < sequence:
            raise JournalCorrupt(f"the contents of {path} cannot be: a block is not where the one before it ends")
        at, sequence = at + block.length, block.first_sequence + 1
    sizes = [frontier_of(stored, path).size for stored in (contents.before, contents.frontier)]
    if (
        not contents.blocks
        or at != end
        or contents.blocks[0].first_sequence != contents.first_sequence
        or sizes != [contents.first_sequence - 1, contents.last_sequence]
        or not contents.first_sequence <= contents.last_sequence
        or not 1 <= contents.epoch <= LAST_EPOCH
    ):
        raise JournalCorrupt(f"the contents of {path} cannot be: its blocks do not hold the entries that it claims")


def frontier_of(stored: bytes, path: Path) -> Frontier:
    """The frontier in a file's contents.  Raises JournalCorrupt."""
    try:
        return Frontier.from_bytes(stored)
    except ValueError as error:
        raise JournalCorrupt(f"the contents of {path} cannot be: {error}") from error


NOTHING = Head(sequence=0, epoch=1, root=EMPTY_ROOT)
"""The head of an archive without files."""
