"""A daemon with something planted into it: an injury that the real one must survive, or a bug that must be found.

    python tests/faults/planted.py NAME[,NAME...] serve --data FOLDER ...      # otherwise as ``walletd serve``

An injury strikes once the file that ``TEST_INJURY`` names is there.
"""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import trio
import trio_asyncio

from walletd import __main__
from walletd.gateway import server
from walletd.journal import sqlite_store, writer
from walletd.journal.connection import SqliteConnection
from walletd.journal.failures import JournalFull
from walletd.wallets import projector, read_tables, readings, supervisor
from walletd.wallets.roster import Roster
from walletd.wallets.supervisor import NotDecided, Submission, Supervisor

PROGRAM = [str(Path(__file__))]


def strikes() -> bool:
    """Whether it is time for the injury."""
    return os.path.exists(os.environ.get("TEST_INJURY", ""))


# --- injuries --------------------------------------------------------------------------------------------------------


def no_floor() -> None:
    """The disk fills between the look at its free space and the write: only SQLite says that it is full."""
    plain = sqlite_store.SqliteJournalStore._refuse_without_room

    def look_away(self: Any, segment: Any) -> None:
        self._limits = sqlite_store.Limits(0, *(getattr(self._limits, n) for n in self._limits.__struct_fields__[1:]))
        plain(self, segment)

    sqlite_store.SqliteJournalStore._refuse_without_room = look_away  # type: ignore[method-assign]


async def _stop_thread(connection: Any) -> None:
    """End the worker: what is asked of it from now on is never answered."""
    from aiosqlite import core

    await connection._execute(lambda: core._STOP_RUNNING_SENTINEL)


def journal_thread_dies() -> None:
    """The thread that serves the journal is gone."""
    plain = SqliteConnection._hop

    async def hop(self: SqliteConnection, function: Any, *arguments: object) -> Any:
        if strikes():
            with trio.move_on_after(0):
                await trio_asyncio.aio_as_trio(_stop_thread, loop=self._loop)(self._connection)
        return await plain(self, function, *arguments)

    SqliteConnection._hop = hop  # type: ignore[method-assign]


def journal_thread_hangs() -> None:
    """The disk below the journal does not come back from a call."""
    plain = SqliteConnection._hop

    async def hop(self: SqliteConnection, function: Any, *arguments: object) -> Any:
        if strikes():
            await trio.sleep_forever()
        return await plain(self, function, *arguments)

    SqliteConnection._hop = hop  # type: ignore[method-assign]


def readings_thread_dies() -> None:
    """The thread that serves reads of the tables is gone."""
    plain = readings.Readings._query

    async def query(self: Any, sql: str, values: Any = ()) -> Any:
        if strikes():
            with trio.move_on_after(0):
                await readings.aio_as_trio(_stop_thread)(self._connection)
        return await plain(self, sql, values)

    readings.Readings._query = query  # type: ignore[method-assign]


def projection_hangs() -> None:
    """A transaction of the read tables never returns."""

    async def project(self: Any, entries: Any, progress: Any) -> None:
        if strikes():
            await trio.sleep_forever()
        await plain(self, entries, progress)

    plain = read_tables.ReadTables.project
    read_tables.ReadTables.project = project  # type: ignore[method-assign]


def impatience() -> None:
    """Every watchdog waits for two seconds, not for thirty."""
    for owner, name in ((writer, "WATCHDOG_SECONDS"), (readings, "SILENCE_SECONDS"), (projector, "SILENCE_SECONDS")):
        setattr(owner, name, 2.0)
    defaults = writer.JournalWriter.__init__.__kwdefaults__
    assert defaults is not None
    defaults["watchdog_seconds"] = 2.0


INJURIES: dict[str, Callable[[], None]] = {
    "no floor": no_floor,
    "the journal's thread dies": journal_thread_dies,
    "the journal's thread hangs": journal_thread_hangs,
    "the readings' thread dies": readings_thread_dies,
    "the projection hangs": projection_hangs,
    "impatience": impatience,
}


# --- bugs ------------------------------------------------------------------------------------------------------------


def _what_is_shed_is_done() -> None:
    plain, seen = Supervisor.submit, [0]

    def submit(self: Supervisor, submission: Submission) -> None:
        seen[0] += 1
        if seen[0] % 50 == 0 and not submission.command.dry_run:
            reply = submission.reply
            submission.reply = lambda answer: None
            plain(self, submission)
            reply(NotDecided(supervisor.Reason.OVERLOADED, {"what": "nothing", "retry_after_ms": 1}))
        else:
            plain(self, submission)

    Supervisor.submit = submit  # type: ignore[method-assign]


def _what_is_shed_is_kept() -> None:
    plain, kept = Supervisor._give_up, []

    def give_up(self: Supervisor, submission: Submission, reason: Any, facts: Any) -> None:
        kept.append((submission, bytes(10_000)))
        plain(self, submission, reason, facts)

    Supervisor._give_up = give_up  # type: ignore[method-assign]


def _full_disks_are_believed() -> None:
    async def believe(self: Any, error: Exception) -> None:
        raise JournalFull(str(error)) from error

    sqlite_store.SqliteJournalStore._explain = believe  # type: ignore[method-assign, assignment]


def _what_was_undone_stays_in_the_books() -> None:
    Roster.forget_all = lambda self, reason, facts: None  # type: ignore[method-assign]


def _nobody_probes() -> None:
    async def probe(self: Any) -> None:
        return None

    writer.JournalWriter._probe = probe  # type: ignore[method-assign]


def _full_read_tables_end_the_daemon() -> None:
    projector.is_full = lambda error: False  # type: ignore[attr-defined]


def _the_clock_is_believed() -> None:
    Supervisor._now = lambda self: self._clock()  # type: ignore[method-assign]


def _the_journal_is_not_watched() -> None:
    async def unwatched(self: Any, call: Any, *arguments: object) -> None:
        await call(*arguments)

    writer.JournalWriter._watched = unwatched  # type: ignore[method-assign]


def _the_readings_are_not_watched() -> None:
    readings.SILENCE_SECONDS = 1e6  # type: ignore[attr-defined]


def _the_projection_is_not_watched() -> None:
    projector.SILENCE_SECONDS = 1e6  # type: ignore[attr-defined]


def _the_folder_is_not_locked() -> None:
    from walletd.journal import charter

    sqlite_store.locked = lambda directory: nullcontext()  # type: ignore[assignment]
    charter._SETTINGS = tuple(s for s in charter._SETTINGS if s[0] != "locking_mode")  # type: ignore[misc]


BUGS_UNDER_OVERLOAD: dict[str, Callable[[], None]] = {
    "what is shed is done all the same": _what_is_shed_is_done,
    "what is shed is kept in memory": _what_is_shed_is_kept,
}
BUGS_OF_A_FULL_DISK: dict[str, Callable[[], None]] = {
    "what was undone stays in the books": _what_was_undone_stays_in_the_books,
    "nobody asks whether there is space again": _nobody_probes,
    "read tables that find no space end the daemon": _full_read_tables_end_the_daemon,
}
BUGS_OF_THE_SURROUNDINGS: dict[str, Callable[[], None]] = {
    "the clock is believed": _the_clock_is_believed,
    "nobody watches the journal's thread": _the_journal_is_not_watched,
    "nobody watches the readings' thread": _the_readings_are_not_watched,
    "nobody watches the projection": _the_projection_is_not_watched,
}


def main() -> None:
    """Plant, and go on as ``walletd``."""
    everything = INJURIES | BUGS_UNDER_OVERLOAD | BUGS_OF_A_FULL_DISK | BUGS_OF_THE_SURROUNDINGS
    for name in filter(None, sys.argv[1].split(",")):
        everything[name]()
    sys.exit(__main__.run(sys.argv[2:]))


if __name__ == "__main__":
    main()
