"""Damage at rest, thousands of times: the start is refused, or everything is served as it was told.

    python -m tests.faults.corruption MASTERS SEED DAMAGES [BUG]     # one JSON object: damages, ends, violations

MASTERS holds data folders of one daemon as its lives left them, made by ``make_masters``.  A copy of one of them is
damaged in one place, opened as the daemon opens it, and asked for everything that it can be asked for.
"""

import json
import logging
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import trio

from tests.faults.recording import memory_folder
from tests.faults.sums import remember_sums
from walletd.journal.failures import JournalCorrupt, JournalFailure
from walletd.journal.history import History
from walletd.journal.merkle import Frontier
from walletd.journal.sqlite import opening, wal
from walletd.journal.sqlite import store as sqlite_store
from walletd.journal.sqlite.opening import open_journal
from walletd.tables import file as table_file
from walletd.tables.command_ids import CommandIndex
from walletd.tables.file import ReadTablesRotten
from walletd.tables.queries.statements import Question
from walletd.tables.queries.wallets import Queries, open_queries
from walletd.tables.writer import delete_read_tables
from walletd.upkeep import recovery
from walletd.upkeep.books_audit import BooksAudits
from walletd.upkeep.recovery import recover
from walletd.vocabulary.entries import decode_entry
from walletd.vocabulary.identifiers import HoldId, WalletId

FILES = ("journal.db", "journal.db-wal", "journal.mark", "state.db", "state.db-wal")
READ_LIMIT = 10_000
SECTORS = (512, 4096)
_DIGIT = re.compile(rb'":"\d')
"""In a record."""


class Served(NamedTuple):
    """All that a daemon over these files can be asked for."""

    records: tuple[bytes, ...]
    wallets: tuple[Any, ...]
    statements: tuple[Any, ...]
    holds: tuple[Any, ...]
    commands: tuple[int | None, ...]
    totals: tuple[Any, ...]


class Damage(NamedTuple):
    """What happens to one file of one master."""

    master: str
    file: str
    kind: str
    at: int
    size: int
    content: bytes

    def __str__(self) -> str:
        return f"{self.master}: {self.file}, {self.kind} at {self.at} ({self.size} bytes)"


async def served(directory: Path) -> Served:
    """Open the folder as the daemon does, and ask for everything.  Raises what the daemon ends with."""
    async with open_journal(directory, ballast_bytes=0, space_floor_bytes=0) as store:
        recovered = await recover(store, directory, lambda done, whole: None)
        try:
            views = await open_queries(recovered.tables.path)
            try:
                report = await BooksAudits(recovered.tables.path).report()
                if report.violations:
                    raise JournalCorrupt(f"the books do not add up: {report.violations[:3]}")
                return await _asked(History(store), views, recovered.tables.path)
            finally:
                await views.aclose()
        finally:
            await recovered.tables.aclose()


async def _asked(history: History, views: Queries, tables: Path) -> Served:
    index = CommandIndex(tables)
    try:
        await index.survey()
        records: list[bytes] = []
        while shown := await history.entries_after(len(records)):
            records += [durable.record for durable in shown]
        entries = [decode_entry(record) for record in records]
        wallets = sorted({r.wallet for entry in entries if entry.effects for r in entry.effects.wallets})
        holds = sorted({hold.hold for entry in entries if entry.effects for hold in entry.effects.holds})
        return Served(
            tuple(records),
            (await views.list_wallets("", None, READ_LIMIT)).wallets,
            tuple([await views.statement(Question(WalletId(name)), None, READ_LIMIT) for name in wallets]),
            tuple([await views.hold(HoldId(hold)) for hold in holds]),
            tuple(index.find(entry.principal, entry.command.command_id) for entry in entries),
            (await BooksAudits(tables).report()).totals,
        )
    finally:
        index.close()


def outcome(directory: Path) -> Served | str:
    """What a daemon serves there, or how it refuses; rotten read tables are rebuilt, as by a restart."""
    for _ in range(2):
        try:
            return trio.run(served, directory)
        except ReadTablesRotten:
            delete_read_tables(directory)
        except JournalFailure as refused:
            return type(refused).__name__
    return "the read tables rot again and again"


def drawn(chance: random.Random, masters: list[Path], files: tuple[str, ...], only: tuple[str, ...]) -> Damage:
    """Something that may happen to these files; of any kind, where none is named."""
    master = chance.choice(masters)
    file = chance.choice([name for name in files if (master / name).exists() and (master / name).stat().st_size])
    length = (master / file).stat().st_size
    older = [(one / file).read_bytes() for one in masters[: masters.index(master)] if (one / file).exists()]
    kinds = ["bit"] * 5 + ["zeros", "garbage", "cut", "cut at a sector", "gone"] + ["old copy"] * bool(older)
    digits = []
    if file == "state.db":
        digits = [match.end() - 1 for match in _DIGIT.finditer((master / file).read_bytes())]
        kinds += ["digit"] * bool(digits)
    kind = chance.choice(only or kinds)
    size = chance.choice(SECTORS)
    sector = chance.randrange(length) // size * size
    size = min(size, length - sector)
    match kind:
        case "bit":
            return Damage(master.name, file, kind, chance.randrange(length * 8), 1, b"")
        case "digit":
            return Damage(master.name, file, kind, chance.choice(digits), 1, str(chance.randrange(10)).encode())
        case "zeros":
            return Damage(master.name, file, kind, sector, size, bytes(size))
        case "garbage":
            return Damage(master.name, file, kind, sector, size, chance.randbytes(size))
        case "cut":
            return Damage(master.name, file, kind, chance.randrange(length), 0, b"")
        case "cut at a sector":
            return Damage(master.name, file, "cut", sector, 0, b"")
        case "gone":
            return Damage(master.name, file, kind, 0, 0, b"")
        case _:
            return Damage(master.name, file, kind, 0, length, chance.choice(older))


def inflict(damage: Damage, directory: Path) -> None:
    """Do it."""
    path = directory / damage.file
    content = bytearray(path.read_bytes())
    match damage.kind:
        case "bit":
            content[damage.at // 8] ^= 1 << damage.at % 8
        case "cut":
            del content[damage.at :]
        case "gone":
            path.unlink()
            return
        case "old copy":
            content[:] = damage.content
        case _:
            content[damage.at : damage.at + damage.size] = damage.content
    path.write_bytes(content)


def judge(truth: Served, found: Served | str) -> str:
    """What is wrong; nothing, where the start was refused or everything is there."""
    if isinstance(found, str):
        return "" if not found.startswith("the ") else found
    for name, was, now in zip(Served._fields, truth, found, strict=True):
        if was != now:
            return f"{name} differ: {_difference(was, now)}"
    return ""


def _difference(was: tuple[Any, ...], now: tuple[Any, ...]) -> str:
    if len(was) != len(now):
        return f"{len(was)} were there, {len(now)} are"
    return next(f"{before!r} became {after!r}"[:400] for before, after in zip(was, now, strict=True) if before != after)


# --- planted bugs ----------------------------------------------------------------------------------------------------


def _segments_are_believed(stack: ExitStack) -> None:
    from walletd.journal.sqlite import rows

    stack.enter_context(patch.object(rows, "check", lambda segment: None))
    stack.enter_context(patch.object(recovery, "verify", _follow_without_a_look))
    stack.enter_context(patch.object(Frontier, "root", lambda self: _Anything()))


class _Anything:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def _follow_without_a_look(frontier: Any, segment: Any) -> None:
    for record in segment.body.split(b"\n"):
        frontier.append(recovery.leaf_hash(record) if hasattr(recovery, "leaf_hash") else bytes(32))


def _the_log_is_believed(stack: ExitStack) -> None:
    stack.enter_context(patch.object(wal, "_LEGAL_LOSS", 10_000))
    stack.enter_context(patch.object(recovery, "refuse_journal_behind", lambda *_: None))


def _the_mark_is_not_asked(stack: ExitStack) -> None:
    stack.enter_context(patch.object(sqlite_store, "read_mark", lambda directory: None))
    stack.enter_context(patch.object(opening, "refuse_missing", lambda database: None))
    stack.enter_context(patch.object(recovery, "refuse_journal_behind", lambda *_: None))


def _tables_that_are_ahead_say_nothing(stack: ExitStack) -> None:
    stack.enter_context(patch.object(recovery, "refuse_journal_behind", lambda *_: None))


def _page_sums_are_not_looked_at(stack: ExitStack) -> None:
    plain = table_file._open

    def blind(*arguments: Any) -> Any:
        connection = plain(*arguments)
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        connection.execute("PRAGMA checksum_verification=0").fetchall()
        return connection

    stack.enter_context(patch.object(table_file, "_open", blind))
    stack.enter_context(patch.object(table_file, "_refuse_blind", lambda connection: None))


BUGS: dict[str, Callable[[ExitStack], None]] = {
    "segments are believed": _segments_are_believed,
    "the log is believed": _the_log_is_believed,
    "the mark is not asked": _the_mark_is_not_asked,
    "read tables that are ahead of the journal say nothing": _tables_that_are_ahead_say_nothing,
    "the sums of the read tables' pages are not looked at": _page_sums_are_not_looked_at,
}


SHOWN_BY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "the sums of the read tables' pages are not looked at": (("state.db",), ("bit", "zeros", "garbage")),
}
"""The files and the kinds of the damages that show a bug, where few of the others do."""


def main(masters: Path, seed: int, damages: int, bug: str = "") -> None:
    """All the damages, and their report."""
    logging.disable(logging.CRITICAL)
    remember_sums()
    chance = random.Random(seed)
    folders = sorted(masters.iterdir())
    ends: Counter[str] = Counter()
    violations: list[str] = []
    with tempfile.TemporaryDirectory(dir=memory_folder()) as scratch, ExitStack() as planted:
        directory = Path(scratch) / "data"
        truths = {}
        for folder in folders:
            shutil.copytree(folder, directory)
            truth = outcome(directory)
            assert isinstance(truth, Served), f"{folder.name} is refused unharmed: {truth}"
            truths[folder.name] = truth
            shutil.rmtree(directory)
        if bug:
            BUGS[bug](planted)
        for _ in range(damages):
            damage = drawn(chance, folders, *SHOWN_BY.get(bug, (FILES, ())))
            shutil.copytree(masters / damage.master, directory)
            inflict(damage, directory)
            try:
                found = outcome(directory)
                wrong = judge(truths[damage.master], found)
            except Exception as fault:
                found, wrong = "a fault", f"neither refused nor served: {fault!r}"
            ends[found if isinstance(found, str) else "served"] += 1
            if wrong:
                violations.append(f"{damage}: {wrong}")
            shutil.rmtree(directory)
            if bug and violations:
                break
    print(json.dumps({"damages": damages, "ends": ends, "violations": violations}))


if __name__ == "__main__":
    masters, seed, damages, *bug = sys.argv[1:]
    main(Path(masters), int(seed), int(damages), *bug)
