"""``walletd restore``: a data directory from a backup, as of its end or of an earlier point."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType

from walletd.cli.bar import Bar
from walletd.cli.failures import UsageError
from walletd.cli.journal_failures import JournalMissing, failed
from walletd.cli.output import Output, moment, new_table
from walletd.journal.archive.archive import is_archive
from walletd.journal.failures import JournalFailure
from walletd.journal.offline import OfflineJournal, open_offline
from walletd.journal.segment import Segment, records
from walletd.journal.sqlite.building import build_journal
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.runtime.ending import EXIT_OK
from walletd.vocabulary.entries import decode_entry
from walletd.vocabulary.histories import FIRST_HISTORY, Histories, History, begun_by, new_mark

CHANCE_BITS = 20
"""The random bits of an epoch; the seconds since 1970 stand above them.  It stays below 2^53, which JavaScript can
count.
"""
LATEST_SECOND = 2**32


class PointMissing(JournalFailure):
    """The journal begins after the requested point, or ends before it."""

    advice = "Check its contents with: walletd verify"


class Restored(msgspec.Struct, frozen=True):
    """The journal that was created."""

    data: str
    instance: str
    entries: int
    last_time: datetime | None
    root: str
    epoch: int


class Point:
    """The point up to which the journal is restored: its end, an entry, or a time."""

    def __init__(self, to_sequence: int | None, to_time: datetime | None) -> None:
        self._to_sequence = to_sequence
        self._to_time = None if to_time is None else to_time.astimezone(UTC)
        self.last_time: datetime | None = None
        """The time of the last entry that is kept."""
        self._histories = FIRST_HISTORY

    def keep(self, segment: Segment) -> int:
        """The number of the segment's entries up to the point.  Raises PointMissing if not even the first is."""
        lines = records(segment)
        kept = len(lines)
        if self._to_sequence is not None:
            kept = max(0, min(kept, self._to_sequence - segment.first_sequence + 1))
        elif self._to_time is not None and _time_of(lines[-1]) > self._to_time:
            kept = next(index for index, line in enumerate(lines) if _time_of(line) > self._to_time)
        if kept:
            last = decode_entry(lines[kept - 1])
            self.last_time = last.time
            self._histories = begun_by(self._histories, segment.first_sequence, last.history)
        elif self.last_time is None:
            raise PointMissing(f"the first entry is from {_time_of(lines[0]).isoformat()}, after that time")
        return kept

    def histories(self, head: int) -> Histories:
        """The histories of the kept entries, and the one that this restore begins."""
        return (*self._histories, History(head + 1, new_mark()))

    def reached(self, segments: Iterator[Segment]) -> Iterator[Segment]:
        """The segments.  Raises PointMissing at their end if they do not reach the wanted entry."""
        last = 0
        for segment in segments:
            last = segment.last_sequence
            yield segment
        if self._to_sequence is not None and last < self._to_sequence:
            raise PointMissing(f"the journal ends at entry {last}, before entry {self._to_sequence}")


def restore(
    source: Path,
    data: Path,
    /,
    *,
    to_sequence: int | None = None,
    to_time: datetime | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Make a data directory from a backup, as of its end or of an earlier point.

    Every entry is proved on the way.  The new journal has a new epoch, which tells clients that entries which they saw
    may be gone, and begins a new history: ids that were issued and lost never name anything else.  The daemon that
    starts on it makes its own read tables and token.

    For example:

        $ walletd restore /backup/walletd /var/lib/walletd
        $ walletd restore /backup/walletd yesterday --to-time 2026-01-31T12:00:00Z
        $ walletd restore /backup/walletd before-the-accident --to-sequence 4711

    Parameters
    ----------
    source
        A backup, or a data directory that no daemon has open.
    data
        The data directory to make.  It must not contain a journal.
    to_sequence
        Only entries up to this one.
    to_time
        Only entries up to this time; without an offset, in this machine's zone.
    as_json
        Answer with one JSON document, for scripts.
    """
    output = Output(as_json)
    if to_sequence is not None and to_time is not None:
        raise UsageError("--to-sequence and --to-time exclude each other")
    if to_sequence is not None and to_sequence < 1:
        raise UsageError("--to-sequence must be at least 1")
    try:
        done = _restore(source, data, Point(to_sequence, to_time))
    except (JournalFailure, OSError) as failure:
        return failed(failure, output)
    output.answer(done, lambda: _restored(done))
    return EXIT_OK


def _restore(source: Path, data: Path, point: Point) -> Restored:
    if not is_archive(source) and not (source / DATABASE_NAME).is_file() and not source.is_file():
        raise JournalMissing(f"there is no backup at {source}")
    journal = open_offline(source)
    epoch = _new_epoch(journal)
    with Bar("restoring", journal.archived or None) as advanced:
        head = build_journal(
            data,
            journal.origin,
            point.reached(journal.segments()),
            epoch,
            point.histories,
            keep=point.keep,
            progress=lambda head: advanced(head.sequence, head.sequence),
        )
    return Restored(str(data), journal.charter.instance, head.sequence, point.last_time, head.root.hex(), epoch)


def _new_epoch(journal: OfflineJournal) -> int:
    """Above the old epoch, and different from that of any other restore of the same backup, which this one cannot know:
    even within one second, and if the clock stands still or went back.  Cursors depend on it.
    """
    seconds = min(int(time()), LATEST_SECOND)
    return max(journal.charter.epoch + 1, seconds << CHANCE_BITS) + secrets.randbelow(1 << CHANCE_BITS)


def _time_of(record: bytes) -> datetime:
    return decode_entry(record).time


def _restored(done: Restored) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("data", f"{done.data} ({done.instance})")
    facts.add_row("entries", f"{done.entries:,}, each proved")
    facts.add_row("as of", "the beginning" if done.last_time is None else moment(done.last_time))
    facts.add_row("root", done.root)
    facts.add_row("epoch", str(done.epoch))
    return Group(facts, "", f"Start the daemon on it with: walletd serve --data {done.data}")
