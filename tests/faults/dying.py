"""walletd that kills itself at a chosen step of a compaction, a backup or a restore, or that has a planted bug.

    TEST_DIE_AT=7 python tests/faults/dying.py backup ...      # kill -9 at the seventh touch of what it makes
    TEST_BUG="a restore keeps the epoch" python tests/faults/dying.py restore ...

It counts touches while the file that ``TEST_DIE_IF`` names is there.  A touch is whatever is done to a file that is
being made: opening, syncing, naming, removing it, a step of pruning, a segment that goes into a restored journal.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.faults.planted import put
from walletd import __main__
from walletd.cli import restore
from walletd.journal.archive import file as archive_file
from walletd.journal.archive.file import ArchiveFile, ArchiveWriter
from walletd.journal.sqlite import building
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.tables import file as table_file
from walletd.upkeep import snapshot

PROGRAM = [str(Path(__file__))]
_MADE = re.compile(r"\.unfinished|\.segments|snapshot-|\.restoring")


# --- dying -----------------------------------------------------------------------------------------------------------


class Death:
    """Comes at the chosen touch."""

    def __init__(self, at: int) -> None:
        self._left = at

    def touch(self) -> None:
        if not os.path.exists(os.environ.get("TEST_DIE_IF", "/")):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Of Python's audit: what it is about to do."""
        if event in ("open", "os.rename", "os.remove", "sqlite3.connect") and _MADE.search(str(arguments[0])):
            self.touch()


def die_at(touch: int) -> None:
    """Have the process killed at this touch, counted from one."""
    death = Death(touch)
    sys.addaudithook(death.heard)
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _around_sync(getattr(os, name), death))
    for name in ("prepare_to_prune", "prune", "shrink"):
        setattr(SqliteJournalStore, name, _around_await(getattr(SqliteJournalStore, name), death))
    plain = building._kept
    put(building, _kept=lambda *given: _touched(plain(*given), death))


def _around_sync(plain: Callable[[int], None], death: Death) -> Callable[[int], None]:
    def sync(descriptor: int) -> None:
        is_made = _MADE.search(os.readlink(f"/proc/self/fd/{descriptor}")) is not None
        if is_made:
            death.touch()
        plain(descriptor)
        if is_made:
            death.touch()

    return sync


def _around_await(plain: Any, death: Death) -> Any:
    async def call(*arguments: Any, **named: Any) -> Any:
        death.touch()
        result = await plain(*arguments, **named)
        death.touch()
        return result

    return call


def _touched(segments: Iterator[Any], death: Death) -> Iterator[Any]:
    for segment in segments:
        death.touch()
        yield segment


# --- bugs ------------------------------------------------------------------------------------------------------------


def _the_epoch_stays() -> None:
    restore._new_epoch = lambda journal: journal.charter.epoch


def _the_last_segment_is_left_out() -> None:
    plain = building._kept

    def kept(*given: Any) -> Iterator[Any]:
        segments = list(plain(*given))
        yield from segments[:-1]

    put(building, _kept=kept)


def _files_have_their_names_too_early() -> None:
    archive_file.UNFINISHED_SUFFIX = ".segments"


def _archived_files_lose_their_names() -> None:
    """What is archived is not there after a crash, although it was pruned."""
    plain = ArchiveWriter.commit

    def commit(self: ArchiveWriter) -> ArchiveFile:
        committed = plain(self)
        unfinished = committed.path.with_suffix(".unfinished")
        committed.path.rename(unfinished)
        return ArchiveFile(unfinished, committed.contents)

    ArchiveWriter.commit = commit  # type: ignore[method-assign]


def _forget_in_snapshots(statement: str) -> Callable[[], None]:
    """A snapshot is sound row by row, but some are not in it."""

    def plant() -> None:
        plain = table_file.close_copy

        def close(copy: Path) -> None:
            plain(copy)
            with table_file._open(copy, apsw.SQLITE_OPEN_READWRITE, table_file.READER_CACHE_KIBIBYTES) as opened:
                opened.execute(statement)

        put(snapshot, close_copy=close)

    return plant


def _old_answers_are_decided_anew() -> None:
    plain = SqliteJournalStore.read_entry

    async def read_entry(self: SqliteJournalStore, sequence: int) -> bytes | None:
        return await plain(self, max(sequence, self.archive.last_sequence + 1))

    SqliteJournalStore.read_entry = read_entry  # type: ignore[method-assign]


BUGS: dict[str, tuple[Callable[[], None], str]] = {
    "a restore keeps the epoch": (_the_epoch_stays, "a new epoch"),
    "a restore leaves out the last segment": (_the_last_segment_is_left_out, "a prefix of the journal"),
    "files of a backup have their names too early": (_files_have_their_names_too_early, "can be read"),
    "what is pruned was not archived for good": (_archived_files_lose_their_names, "the journal can be read"),
    "a snapshot forgets the outflows": (_forget_in_snapshots("DELETE FROM outflow"), "answers the same"),
    "a snapshot forgets clients": (_forget_in_snapshots("DELETE FROM client WHERE client <> 'operator'"), "the same"),
    "a snapshot forgets command ids": (_forget_in_snapshots("DELETE FROM command WHERE sequence % 2"), "replayed"),
    "an archived entry is not found": (_old_answers_are_decided_anew, "ended when it was asked"),
}
"""How each is planted, and what the harness must say of it."""


def main() -> None:
    """Plant, arm, and go on as ``walletd``."""
    if bug := os.environ.pop("TEST_BUG", ""):
        BUGS[bug][0]()
    if touch := int(os.environ.pop("TEST_DIE_AT", "0")):
        die_at(touch)
    sys.exit(__main__.run(sys.argv[1:]))


if __name__ == "__main__":
    main()
