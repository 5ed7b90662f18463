"""Snapshots: a copy of the read tables as of one entry, whole, checked and durable.

    snapshot = await take(directory)                   # state.db as it is now
    restore_newest(directory)                          # if state.db is missing: the newest copy becomes it

Before anything is archived, a snapshot shows that the books are sound and can be restored without folding every entry
again.  Its name states its entry, and the SHA-256 of the file: it was given after the copy had been checked, and a
file that does not match is not used.  A damaged copy says nothing about its original, which is then checked in the same
way.  The check runs in a separate process, so that a million rows hold up nothing:

    python -m walletd.upkeep.snapshot FILE
"""

import errno
import logging
import os
import re
import subprocess
import sys
from contextlib import closing, suppress
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec
import trio

from walletd.journal.merkle import Frontier
from walletd.journal.sqlite.directory import sync_directory, sync_file
from walletd.runtime.threads import in_thread
from walletd.tables.file import (
    COPY_CACHE_KIBIBYTES,
    FILE_NAME,
    READER_CACHE_KIBIBYTES,
    ReadTablesRotten,
    Tables,
    close_copy,
    delete_tables,
    open_for_copying,
    open_for_reading,
    refuse_damaged,
    rot_reported,
)
from walletd.tables.reader import in_one_view
from walletd.tables.schema import (
    EARLY_ASSETS,
    LAST_CHANGE,
    SCHEMA,
)
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import WalletRecord

UNFINISHED_NAME = "snapshot.unfinished"
NICENESS = 10
SYNC_SECONDS = 0.02
"""The time between two syncs of an unfinished copy: the journal's own sync would wait for one of hundreds of
megabytes.
"""

STEP_PAGES = 1_024
"""The pages copied by one visit to a thread, which cannot be interrupted: 4 MiB, some milliseconds."""

COPY_TRIES = 2
"""The number of attempts to copy a sound snapshot until the copy has the right digest."""

_NAME = re.compile(r"snapshot-(\d{15})-([0-9a-f]{64})\.db")
_EXIT_ROTTEN = 65

_UNSEALED = frozenset({"progress", "wallet_metadata"})
"""Tables whose rows have no seal: their contents are also elsewhere, and are compared with that."""

_WRONGLY_LATE = """
SELECT 1 FROM asset WHERE is_late NOT IN (0, 1) UNION ALL
SELECT 1 FROM balance_change c LEFT JOIN asset a USING (asset) WHERE c.is_late IS NOT ifnull(a.is_late, 1) LIMIT 1
"""

_POSTED = f"""
SELECT b.asset, c.posted
FROM balance b LEFT JOIN balance_change c ON c.id = ({LAST_CHANGE.format(b="b", until="")})
"""

Seals = dict[str, int | None]
"""For each table, the place of the seal in a row, which covers the columns before it."""


def seals_of(schema: str) -> Seals:
    """The way to check the rows of every table, including new ones."""
    found: Seals = {
        table: columns.index("seal") if "seal" in columns else None for table, columns in _shape_of(schema).items()
    }
    unsealed = {table for table, place in found.items() if place is None}
    assert unsealed == _UNSEALED, f"the rows of {unsealed - _UNSEALED} cannot be checked"
    return found


def _shape_of(schema: str) -> dict[str, list[str]]:
    with closing(apsw.Connection(":memory:")) as connection:
        connection.execute(schema)
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            str(table): [str(column) for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")]
            for (table,) in tables
        }


_SEALS = seals_of(SCHEMA)

log = logging.getLogger("walletd.wallets")

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode


class Snapshot(NamedTuple):
    """A checked copy of the read tables."""

    path: Path
    sequence: int


class SnapshotDamaged(Exception):
    """The copy differs from its source.  The original was checked and is sound: another copy may succeed later."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the copy of {FILE_NAME} was damaged ({what}), and {FILE_NAME} itself is sound")


async def take(directory: Path) -> Snapshot:
    """Copy ``state.db`` as it is now, check the copy, and make it the only snapshot.

    Raises ReadTablesRotten if ``state.db`` is damaged, SnapshotDamaged if only the copy is; apsw.Error (no space),
    OSError, or CalledProcessError if it could not be checked.
    """
    unfinished = directory / UNFINISHED_NAME
    try:
        sequence, digest = await _copied_and_checked(directory / FILE_NAME, unfinished)
        path = directory / f"snapshot-{sequence:015d}-{digest}.db"
        unfinished.rename(path)
        await in_thread(sync_directory, directory)
    finally:
        delete_tables(unfinished)
    for other in _snapshots(directory):
        if other.path != path:
            other.path.unlink()
    return Snapshot(path, sequence)


async def _copied_and_checked(tables: Path, copy: Path) -> tuple[int, str]:
    try:
        await _copy(tables, copy)
        return await _checked(copy)
    except ReadTablesRotten as rot:
        delete_tables(copy)
        await _checked(tables)
        raise SnapshotDamaged(str(rot.what)) from rot


def restore_newest(directory: Path) -> Snapshot | None:
    """Make ``state.db`` from the newest snapshot that still matches its digest; None if there is none.

    A snapshot that does not match is useless, and is removed.  Raises OSError.
    """
    delete_tables(directory / UNFINISHED_NAME)
    return next((found for found in reversed(_snapshots(directory)) if _is_restored(found, directory)), None)


def _is_restored(snapshot: Snapshot, directory: Path) -> bool:
    copied = directory / UNFINISHED_NAME
    for _ in range(COPY_TRIES):
        try:
            _copy_file(snapshot.path, copied)
            if _is_as_checked(copied, snapshot):
                delete_tables(directory / FILE_NAME)  # A leftover log belongs to another file.
                copied.rename(directory / FILE_NAME)
                return True
        finally:
            copied.unlink(missing_ok=True)
        if not _is_as_checked(snapshot.path, snapshot):
            log.warning("%s differs from what was checked; removing it", snapshot.path.name)
            snapshot.path.unlink()
            return False
    log.warning("%s is sound, but every copy of it was damaged; not using it", snapshot.path.name)
    return False


def _is_as_checked(file: Path, snapshot: Snapshot) -> bool:
    """True if a file has the digest that the snapshot was given when it was checked."""
    with file.open("rb") as opened:
        return snapshot.path.name.endswith(f"-{file_digest(opened, 'sha256').hexdigest()}.db")


def delete_snapshots(directory: Path) -> None:
    """Remove every snapshot: they belong to another journal."""
    for snapshot in _snapshots(directory):
        snapshot.path.unlink()


def _snapshots(directory: Path) -> list[Snapshot]:
    """The snapshots that have a name, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in directory.glob("snapshot-*.db"))
    return sorted((Snapshot(path, int(match[1])) for match, path in found if match), key=lambda one: one.sequence)


async def _copy(tables: Path, copy: Path, cache_kibibytes: int = COPY_CACHE_KIBIBYTES) -> None:
    """Copy the tables as they are now, page by page, by SQLite's backup, in steps between which it can be cancelled.

    One view of the tables is held throughout, so that the copy need not start again when they change; changes meanwhile
    stay in their log.  Raises ReadTablesRotten for damage in either file.
    """
    with rot_reported(), closing(await in_thread(partial(open_for_reading, tables, cache_kibibytes))) as source:
        with closing(await in_thread(partial(open_for_copying, copy, cache_kibibytes))) as target:
            source.execute("BEGIN; SELECT 1 FROM sqlite_schema").fetchall()
            with target.backup("main", source, "main") as copying:
                synced_at = trio.current_time()
                while not copying.done:
                    await in_thread(partial(copying.step, STEP_PAGES))
                    if trio.current_time() - synced_at >= SYNC_SECONDS:
                        await in_thread(partial(sync_file, copy))
                        synced_at = trio.current_time()
        await in_thread(partial(close_copy, copy))
    await in_thread(partial(sync_file, copy))


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(1024 * 1024):
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    target.chmod(0o600)


async def _checked(file: Path) -> tuple[int, str]:
    """The last entry that the tables show, and the file's SHA-256, from a process that checked it.

    Raises ReadTablesRotten, OSError, or CalledProcessError if the process did not end by itself.
    """
    command = [sys.executable, "-P", "-m", __name__, str(file)]
    try:
        ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    except RuntimeError as error:  # trio starts processes in threads.
        raise OSError(errno.EAGAIN, f"the check cannot be started: {error}") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        if ended.returncode == _EXIT_ROTTEN:
            raise ReadTablesRotten(said)
        raise subprocess.CalledProcessError(ended.returncode, command, stderr=said)
    sequence, digest = ended.stdout.decode().split()
    return int(sequence), digest


def check_snapshot(file: Path, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> int:
    """Check every page, every row that has a seal, and that posted balances sum to zero, in one view of the tables.

    Returns the last entry that they show.  Raises ReadTablesRotten.
    """
    with closing(open_for_reading(file, cache_kibibytes)) as connection:
        return in_one_view(connection, _check)


def _check(tables: Tables) -> int:
    refuse_damaged(tables)
    _check_schema(tables)
    for table, place in _SEALS.items():
        for row in tables.execute(f"SELECT * FROM {table}") if place is not None else ():
            check_seal(table, row[place], *row[:place])
    _check_search(tables)
    _check_late(tables)
    _check_sums(tables)
    return _checked_progress(tables)


def _check_schema(connection: Tables) -> None:
    """Check that it has the tables and indexes of this version, and no others."""
    written = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    with closing(apsw.Connection(":memory:")) as fresh:
        fresh.execute(SCHEMA)
        if connection.execute(written).fetchall() != fresh.execute(written).fetchall():
            raise ReadTablesRotten("the schema")


def _check_search(connection: Tables) -> None:
    """Check that the search columns, status and metadata, match the records, and that no others exist."""
    pairs = 0
    for wallet, record, status in connection.execute("SELECT wallet, record, status FROM wallet"):
        known = _decode_wallet(record)
        metadata = dict(connection.execute("SELECT key, value FROM wallet_metadata WHERE wallet = ?", (wallet,)))
        pairs += len(metadata)
        if (known.status.value, known.metadata) != (status, metadata):
            raise ReadTablesRotten(f"what wallet {wallet} is found by")
    if connection.execute("SELECT count(*) FROM wallet_metadata").fetchone() != (pairs,):
        raise ReadTablesRotten("the metadata of what is no wallet")


def _check_late(connection: Tables) -> None:
    """Check the late assets and their changes: two counts, and a look-up for each change."""
    ((assets, early),) = connection.execute("SELECT count(*), ifnull(sum(is_late = 0), 0) FROM asset").fetchall()
    if early != min(assets, EARLY_ASSETS) or connection.execute(_WRONGLY_LATE).fetchone() is not None:
        raise ReadTablesRotten("what the changes of late assets are found by")


def _check_sums(connection: Tables) -> None:
    """Check that posted balances sum to zero; each that is listed has a change."""
    sums: dict[str, int] = {}
    for asset, posted in connection.execute(_POSTED):
        if posted is None:
            raise ReadTablesRotten("a balance without a change")
        sums[asset] = sums.get(asset, 0) + int(posted)
    if any(sums.values()):
        raise ReadTablesRotten(f"the sum of balances ({sums})")


def _checked_progress(connection: Tables) -> int:
    """The last entry of the copy: every entry up to there left its moment, and the frontier has that length."""
    entries = last = 0
    for first, offsets in connection.execute(
        "SELECT sequence, json_array_length(offsets) FROM moment ORDER BY sequence"
    ):
        entries, last = entries + offsets, first + offsets - 1
    rows = connection.execute("SELECT sequence, frontier FROM progress WHERE singleton = 1").fetchall()
    try:
        shown = [(sequence, Frontier.from_bytes(frontier).size) for sequence, frontier in rows]
    except ValueError as error:
        raise ReadTablesRotten("the frontier") from error
    if shown != [(last, entries)] or entries != last:
        raise ReadTablesRotten("the progress")
    return int(last)


def main(file: Path) -> int:
    """Check a copy at low priority; the result goes to stdout for ``take``."""
    with suppress(OSError):  # A hardened service may not.
        os.nice(NICENESS)
    try:
        sequence = check_snapshot(file)
    except ReadTablesRotten as rotten:
        sys.stderr.write(f"{rotten.what}\n")
        return _EXIT_ROTTEN
    with file.open("rb") as opened:
        sys.stdout.write(f"{sequence} {file_digest(opened, 'sha256').hexdigest()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
