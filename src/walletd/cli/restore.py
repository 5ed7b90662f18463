"""``walletd restore``: a data directory from a backup, as of its end or of an earlier point."""

import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType

from walletd.cli.bar import Bar
from walletd.cli.entries import Admitted, expected_root, read_entry
from walletd.cli.journal_failures import JournalMissing, NotConfirmed, failed
from walletd.cli.lines import say
from walletd.cli.output import Output, moment, new_table
from walletd.cli.usage import UsageError
from walletd.journal.archive.archive import is_archive
from walletd.journal.failures import JournalCorrupt, JournalFailure
from walletd.journal.merkle import Frontier
from walletd.journal.offline import OfflineJournal, open_offline
from walletd.journal.segment import Segment, records
from walletd.journal.sqlite.building import build_journal
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.store import GENESIS, Head
from walletd.journal.verification import advance
from walletd.runtime.ending import EXIT_OK
from walletd.vocabulary.histories import FIRST_HISTORY, Histories, History, begun_by, new_mark

CHANCE_BITS = 20
"""The random bits of an epoch; the seconds since 1970 stand above them.  It stays below 2^53, which JavaScript can
count.
"""
LATEST_SECOND = 2**32


HASH_DIGITS = 8
"""Of a token's hash: enough to recognise it."""


class PointMissing(JournalFailure):
    """The journal begins after the requested point, or ends before it."""

    advice = "Check its contents with: walletd verify"


class OtherRoot(JournalCorrupt):
    """The source is not the one that the operator knows."""

    advice = "Nothing was restored; look for the copy that has this root, and at who could write this one."


class Token(msgspec.Struct, frozen=True):
    """A token of an admin, by the first digits of its hash: a person who rotated it knows when that was."""

    sha256: str
    created_at: datetime
    expires_at: datetime | None


class Admin(msgspec.Struct, frozen=True):
    """A client of the restored journal that may do everything."""

    client: str
    created_by: str
    created_at: datetime
    tokens: list[Token]


class Restored(msgspec.Struct, frozen=True):
    """The journal that was created."""

    data: str
    instance: str
    entries: int
    last_time: datetime | None
    root: str
    epoch: int
    admins: list[Admin]


class Point:
    """The point up to which the journal is restored: its end, an entry, or a time."""

    def __init__(self, to_sequence: int | None, to_time: datetime | None) -> None:
        self._to_sequence = to_sequence
        self._to_time = None if to_time is None else to_time.astimezone(UTC)
        self.last_time: datetime | None = None
        """The time of the last entry that is kept."""
        self._histories = FIRST_HISTORY
        self.admitted = Admitted()

    @property
    def is_earlier(self) -> bool:
        """True if it may be before the end."""
        return self._to_sequence is not None or self._to_time is not None

    def keep(self, segment: Segment) -> int:
        """The number of the segment's entries up to the point.  Raises PointMissing if not even the first is."""
        lines, first = records(segment), segment.first_sequence
        kept = len(lines)
        if self._to_sequence is not None:
            kept = max(0, min(kept, self._to_sequence - first + 1))
        elif self._to_time is not None and read_entry(lines[-1], segment.last_sequence).time > self._to_time:
            entries = (read_entry(line, sequence) for sequence, line in enumerate(lines, first))
            kept = next(index for index, entry in enumerate(entries) if entry.time > self._to_time)
        if kept:
            last = read_entry(lines[kept - 1], first + kept - 1)
            self.last_time = last.time
            try:
                self._histories = begun_by(self._histories, first, last.history)
            except ValueError as error:
                raise JournalCorrupt(f"entry {last.sequence} {error}") from error
            self.admitted.fold(lines[:kept], first)
        elif self.last_time is None:
            raise PointMissing(
                f"the first entry is from {read_entry(lines[0], first).time.isoformat()}, after that time"
            )
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
    root: str | None = None,
    yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Make a data directory from a backup, as of its end or of an earlier point.

    Every entry is proved on the way.  Before the result counts, its admins are listed, and you are asked whether you
    know them: a person who could write the backup could have added one.  The new journal has a new epoch, which tells
    clients that entries which they saw may be gone, and begins a new history: ids that were issued and lost never name
    anything else.  The daemon that starts on it makes its own read tables and token.

    For example:

        $ walletd restore /backup/walletd /var/lib/walletd
        $ walletd restore /backup/walletd yesterday --to-time 2026-01-31T12:00:00Z
        $ walletd restore /backup/walletd before-the-accident --to-sequence 4711
        $ walletd restore /backup/walletd /var/lib/walletd --root "$(cat /elsewhere/root)"

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
    root
        The Merkle root that the whole source must have, as backup and verify printed it; then nothing is asked.
    yes
        Ask nothing, and accept the admins that the source has.
    as_json
        Answer with one JSON document, for scripts.
    """
    output = Output(as_json)
    if to_sequence is not None and to_time is not None:
        raise UsageError("--to-sequence and --to-time exclude each other")
    if to_sequence is not None and to_sequence < 1:
        raise UsageError("--to-sequence must be at least 1")
    root = expected_root(root)
    if not yes and root is None and not sys.stdin.isatty():
        raise UsageError(
            "without a terminal, restore cannot ask whether it knows the source: give --root with the Merkle root that "
            "backup printed, or --yes to accept whatever admins it has"
        )
    try:
        done = _restore(source, data, Point(to_sequence, to_time), root, is_asked=not yes and root is None)
    except (JournalFailure, OSError) as failure:
        return failed(failure, output)
    output.answer(done, lambda: _restored(done))
    return EXIT_OK


def _restore(source: Path, data: Path, point: Point, root: str | None, *, is_asked: bool) -> Restored:
    if not is_archive(source) and not (source / DATABASE_NAME).exists() and (source.is_dir() or not source.exists()):
        raise JournalMissing(f"there is no backup at {source}")
    journal = open_offline(source)
    epoch = _new_epoch(journal)
    if root is not None and point.is_earlier:
        _refuse_other_root(_proved(journal), root)
    bar = Bar("restoring", journal.archived or None)

    def confirm(head: Head) -> None:
        bar.end()
        if root is not None and not point.is_earlier:
            _refuse_other_root(head, root)
        if is_asked:
            _ask(_admins(point))

    with bar as advanced:
        head = build_journal(
            data,
            journal.origin,
            point.reached(journal.segments()),
            epoch,
            point.histories,
            keep=point.keep,
            progress=lambda head: advanced(head.sequence, head.sequence),
            confirm=confirm,
        )
    admins, last_time = _admins(point), point.last_time
    return Restored(str(data), journal.charter.instance, head.sequence, last_time, head.root.hex(), epoch, admins)


def _proved(journal: OfflineJournal) -> Head:
    """The head of the whole source, every root on the way proved."""
    head, frontier = GENESIS, Frontier()
    with Bar("proving", journal.archived or None) as advanced:
        for segment in journal.segments():
            head = advance(head, frontier, segment)
            advanced(head.sequence, head.sequence)
    return head


def _refuse_other_root(head: Head, root: str) -> None:
    if head.root.hex() != root:
        raise OtherRoot(
            f"the root of the source at entry {head.sequence} is {head.root.hex()}, not the expected {root}"
        )


def _admins(point: Point) -> list[Admin]:
    return [
        Admin(
            record.client,
            record.created_by,
            record.created_at,
            [Token(token.sha256[:HASH_DIGITS], token.created_at, token.expires_at) for token in record.tokens],
        )
        for record in point.admitted.admins()
    ]


def _ask(admins: list[Admin]) -> None:
    """Raises NotConfirmed unless the person at the terminal knows these admins."""
    lines = [f"  {_in_words(admin)}" for admin in admins] or ["  none"]
    for line in ("These clients may do everything in the restored journal:", *lines):
        say(line)
    say("Do you know all of them, and restore it? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmed("the admins were not confirmed")


def _in_words(admin: Admin) -> str:
    tokens = ", ".join(f"{token.sha256} of {moment(token.created_at)}" for token in admin.tokens)
    return f"{admin.client}, created by {admin.created_by} at {moment(admin.created_at)}; tokens: {tokens}"


def _new_epoch(journal: OfflineJournal) -> int:
    """Above the old epoch, and different from that of any other restore of the same backup, which this one cannot know:
    even within one second, and if the clock stands still or went back.  Cursors depend on it.
    """
    seconds = min(int(time()), LATEST_SECOND)
    return max(journal.charter.epoch + 1, seconds << CHANCE_BITS) + secrets.randbelow(1 << CHANCE_BITS)


def _restored(done: Restored) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("data", f"{done.data} ({done.instance})")
    facts.add_row("entries", f"{done.entries:,}, each proved")
    facts.add_row("as of", "the beginning" if done.last_time is None else moment(done.last_time))
    facts.add_row("root", done.root)
    facts.add_row("epoch", str(done.epoch))
    admins = [f"  {_in_words(admin)}" for admin in done.admins] or ["  none"]
    start = f"Start the daemon on it with: walletd serve --data {done.data}"
    return Group(facts, "", "These clients may do everything in it:", *admins, "", start)
