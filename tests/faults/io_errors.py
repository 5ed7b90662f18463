"""A short life of the journal with one fault of the disk in it, a thousand times over.

    LD_PRELOAD=recorder.so RECORD_FILES=FOLDER python -m tests.faults.io_errors FOLDER SEED LIVES KILLS [BUG]

Each life is a process forked from this one: it opens a journal, appends, checkpoints and goes on after a rollback,
while the n-th write or sync fails, once or for good; KILLS more are killed at it instead.  It tells each entry
that is durable.  Then the journal is opened without a fault: what was told must be there, as it was told, and what was
said to be rolled back must not.  One JSON object comes out: lives, how they ended, violations.
"""

import ctypes
import errno
import json
import logging
import os
import random
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import trio

from tests.journal.outcomes import Told
from tests.journal.slow_disk import make_disks_slow
from walletd.journal.failures import (
    JournalFailure,
    JournalFull,
)
from walletd.journal.merkle import Frontier
from walletd.journal.queue import Pending
from walletd.journal.segment import records
from walletd.journal.sqlite.connection import is_full
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.journal.store import GENESIS
from walletd.journal.verification import advance
from walletd.journal.writer import JournalWriter, WriterLimits
from walletd.runtime.ending import EXIT_SOFTWARE

ENTRIES = 60
CHECKPOINT_BYTES = 60_000
EXIT_DEGRADED = 3
EXIT_REFUSED = 4
PROBES_BORNE = 4


class Fault(NamedTuple):
    """At which call what happens, and how often: 0 for good.  No error: the process is killed."""

    kind: str
    nth: int
    error: int
    times: int

    def __str__(self) -> str:
        what = "the process is killed" if not self.error else errno.errorcode[self.error]
        return f"{what} at {self.kind} {self.nth}, {'for good' if not self.times else f'{self.times} times'}"


def chosen(chance: random.Random, kills: bool) -> Fault:
    kind = chance.choice(["write", "sync"])
    error = 0 if kills else chance.choice([errno.EIO, errno.ENOSPC])
    return Fault(kind, chance.randint(1, 120 if kind == "write" else 45), error, chance.choice([0, 1, 1, 2]))


async def live(directory: Path, told: int) -> None:
    """Append so many entries, telling each by its content; end with the degraded code where no write works again."""

    def tell(batch: Sequence[Pending[None]]) -> None:
        os.write(told, b"".join(pending.record + b"\n" for pending in batch))

    def undone(batch: Sequence[Pending[None]], why: JournalFull) -> None:
        os.write(told, b"".join(b"-" + pending.record + b"\n" for pending in batch))

    async with (
        open_journal(directory, ballast_bytes=0, space_floor_bytes=0, checkpoint_bytes=CHECKPOINT_BYTES) as store,
        trio.open_nursery() as nursery,
    ):
        writer: JournalWriter[None] = JournalWriter(
            store, Frontier(), GENESIS, outcome=Told(tell, undone), limits=WriterLimits(probe_interval_seconds=0.0001)
        )
        await nursery.start(writer.run)
        generation = 0
        while writer.head < ENTRIES:
            while writer.degraded is not None:
                if writer.counters.probes > PROBES_BORNE:
                    os._exit(EXIT_DEGRADED)
                await trio.sleep(0.0001)
            generation += 1
            is_in_turn = generation % 4 < 2
            if is_in_turn:
                writer.attend()
            for _ in range(1 + generation % 3):
                sequence = writer.head + 1
                content = b'{"sequence":%d,"generation":%d,"padding":"%s"}' % (sequence, generation, b"x" * 300)
                writer.append(sequence, content, None)
            if is_in_turn:
                writer.commit_now()
            await writer.drain()
        nursery.cancel_scope.cancel()


def life(directory: Path, fault: Fault, plant: ctypes.CDLL) -> tuple[int, list[bytes]]:
    """One life in a process of its own: how it ended, and the lines that it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        if fault.nth % 2:
            make_disks_slow()
        plant.recorder_fault(fault.kind.encode(), fault.nth, fault.error, fault.times, b"journal.db")
        try:
            trio.run(live, directory, writing)
        except JournalFailure:
            os._exit(EXIT_REFUSED)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().split(b"\n")[:-1]
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), lines


async def _recovered(directory: Path) -> list[bytes]:
    found: list[bytes] = []
    async with open_journal(directory, ballast_bytes=0, space_floor_bytes=0) as store:
        frontier, head = Frontier(), GENESIS
        while segments := await store.read(head.sequence):
            for segment in segments:
                head = advance(head, frontier, segment)
                found += records(segment)
    return found


def judge(directory: Path, code: int, lines: list[bytes]) -> str:
    """What is wrong with how the life ended or with what it left; nothing, where all is as it may be."""
    if code not in (0, EXIT_SOFTWARE, EXIT_DEGRADED, EXIT_REFUSED, -9):
        return f"the process ended with {code}"
    try:
        found = trio.run(_recovered, directory) if directory.exists() else []
    except JournalFailure as refused:
        return f"the journal is refused: {refused}"
    told = [line for line in lines if not line.startswith(b"-")]
    if found[: len(told)] != told:
        return f"{len(told)} entries were told, and {len(found)} are there, not the same"
    if undone := {line[1:] for line in lines if line.startswith(b"-")} & set(found):
        return f"{len(undone)} entries are there that were said to be rolled back"
    if code == 0 and len(found) != len(told):
        return "the process ended well, and something is there that was not told"
    return ""


async def _every_error_counts_as_a_rollback(store: SqliteJournalStore, error: Exception) -> NoReturn:
    raise JournalFull(str(error)) from error


async def _a_full_disk_counts_as_certain(store: SqliteJournalStore, error: Exception) -> NoReturn:
    if isinstance(error, sqlite3.Error) and is_full(error):
        raise JournalFull(str(error)) from error
    await explain(store, error)


explain = SqliteJournalStore.explain
BUGS: dict[str, Callable[[SqliteJournalStore, Exception], Awaitable[NoReturn]]] = {
    "every error counts as a rollback": _every_error_counts_as_a_rollback,
    "a full disk counts as certain": _a_full_disk_counts_as_certain,
}


def main(folder: Path, seed: int, lives: int, kills: int, bug: str = "") -> None:
    """All the lives, and their report."""
    logging.disable(logging.CRITICAL)
    plant = ctypes.CDLL(os.environ["LD_PRELOAD"])
    chance = random.Random(seed)
    ends: Counter[str] = Counter()
    violations: list[str] = []
    if bug:
        SqliteJournalStore.explain = BUGS[bug]  # type: ignore[method-assign, assignment]
    for number in range(lives + kills):
        fault = chosen(chance, kills=number >= lives)
        directory = folder / "journal"
        shutil.rmtree(directory, ignore_errors=True)
        code, lines = life(directory, fault, plant)
        ends[str(code)] += 1
        if wrong := judge(directory, code, lines):
            violations.append(f"{fault}: {wrong}")
            if bug:
                break
    print(json.dumps({"lives": lives + kills, "ends": ends, "violations": violations}))


if __name__ == "__main__":
    folder, seed, lives, kills, *bug = sys.argv[1:]
    main(Path(folder), int(seed), int(lives), int(kills), *bug)
