"""A daemon with something planted into it: an injury that the real one must survive, or a bug that must be found.

    python tests/faults/planted.py NAME[,NAME...] serve --data FOLDER ...      # otherwise as ``walletd serve``

An injury strikes once the file that ``TEST_INJURY`` names is there.
"""

import itertools
import math
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite.core
import trio

from walletd import __main__
from walletd.cli import serve
from walletd.daemon import descriptors, engine, listeners
from walletd.journal import writer
from walletd.journal.failures import JournalFull
from walletd.journal.sqlite import opening
from walletd.journal.sqlite import store as sqlite_store
from walletd.journal.sqlite.connection import SqliteConnection
from walletd.journal.watchdog import Watchdog
from walletd.logs import outlet
from walletd.runtime import awake_clock, blocking_calls, ending, loop_watch, silence_watch
from walletd.runtime.fair_queue import FairQueue
from walletd.sessions import session
from walletd.sessions.budgets import Budgets
from walletd.settings.settings import Settings
from walletd.tables import file as table_file
from walletd.tables import reader as consistent_reads
from walletd.tables import writer as read_tables
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.reasons import Reason
from walletd.wallets import ledger_clock
from walletd.wallets.decisions import Decisions
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Submission

PROGRAM = [str(Path(__file__))]


def put(owner: object, **planted: object) -> None:
    """Put these in the places of what has their names in a module or a class."""
    for name, thing in planted.items():
        assert hasattr(owner, name), f"{owner} has no {name}"
        setattr(owner, name, thing)


def strikes() -> bool:
    """Whether it is time for the injury."""
    return os.path.exists(os.environ.get("TEST_INJURY", ""))


# --- injuries --------------------------------------------------------------------------------------------------------


def no_floor() -> None:
    """The disk fills between the look at its free space and the write: only SQLite says that it is full."""
    plain = sqlite_store.SqliteJournalStore._refuse_without_room

    def look_away(self: Any, segment: Any) -> None:
        self._limits = sqlite_store.DiskLimits(
            0, *(getattr(self._limits, n) for n in self._limits.__struct_fields__[1:])
        )
        plain(self, segment)

    sqlite_store.SqliteJournalStore._refuse_without_room = look_away  # type: ignore[method-assign]


def _stop_thread(connection: Any) -> None:
    """End the worker: what is asked of it from now on is never answered."""
    connection._tx.put_nowait((None, lambda: aiosqlite.core._STOP_RUNNING_SENTINEL))


def journal_thread_dies() -> None:
    """The thread that serves the journal is gone, where it makes the commits."""
    blocking_calls.SLOW_SECONDS = -1.0
    plain = SqliteConnection._hop

    async def hop(self: SqliteConnection, function: Any, *arguments: object) -> Any:
        if strikes():
            _stop_thread(self._connection)
        return await plain(self, function, *arguments)

    SqliteConnection._hop = hop  # type: ignore[method-assign]


def journal_thread_hangs() -> None:
    """The disk below the journal does not come back from a call of the thread."""
    blocking_calls.SLOW_SECONDS = -1.0
    plain = SqliteConnection._hop

    async def hop(self: SqliteConnection, function: Any, *arguments: object) -> Any:
        if strikes():
            await trio.sleep_forever()
        return await plain(self, function, *arguments)

    SqliteConnection._hop = hop  # type: ignore[method-assign]


def commit_hangs() -> None:
    """The disk below the journal, never taken for a slow one, does not come back from a commit of the event loop."""
    blocking_calls.SLOW_SECONDS = math.inf
    plain = SqliteConnection._change_now

    def change(self: SqliteConnection, statement: str, parameters: Any) -> int:
        if strikes():
            threading.Event().wait()
        return plain(self, statement, parameters)

    SqliteConnection._change_now = change  # type: ignore[method-assign]


def queries_thread_hangs() -> None:
    """The thread that serves reads of the tables does not come back from a call."""
    plain = consistent_reads.ConsistentReads.rows

    async def rows(self: Any, *asked: Any, **how: Any) -> Any:
        if strikes():
            await trio.sleep_forever()
        return await plain(self, *asked, **how)

    consistent_reads.ConsistentReads.rows = rows  # type: ignore[method-assign]


def look_hangs() -> None:
    """A question of several statements to the read tables never returns."""
    plain = consistent_reads.ConsistentReads.read

    async def read(self: Any, *asked: Any, **how: Any) -> Any:
        if strikes():
            await trio.sleep_forever()
        return await plain(self, *asked, **how)

    consistent_reads.ConsistentReads.read = read  # type: ignore[method-assign]


def projection_hangs() -> None:
    """A transaction of the read tables never returns."""

    async def write(self: Any, *what: Any, **how: Any) -> None:
        if strikes():
            await trio.sleep_forever()
        await plain(self, *what, **how)

    plain = read_tables.ReadTables.write
    read_tables.ReadTables.write = write  # type: ignore[method-assign]


def loop_hangs() -> None:
    """The event loop is stopped by a call that never comes back."""
    plain = Decisions.submit

    def submit(self: Decisions, submission: Submission) -> None:
        if strikes():
            threading.Event().wait()
        plain(self, submission)

    Decisions.submit = submit  # type: ignore[method-assign]


def loop_spins() -> None:
    """The event loop is stopped by a call that never comes back, and lets no thread of the interpreter run."""
    plain = Decisions.submit

    def submit(self: Decisions, submission: Submission) -> None:
        if strikes():
            deque(itertools.count(), maxlen=0)
        plain(self, submission)

    Decisions.submit = submit  # type: ignore[method-assign]


def thread_is_left() -> None:
    """At the end, a thread is left that nothing can end, as if memory was short when its connection was closed."""
    threading.Thread(target=threading.Event().wait).start()


def no_memory_at_the_end() -> None:
    """A thread is left that nothing can end, and the memory to end the process in spite of it is missing."""
    thread_is_left()

    def end(code: int) -> None:
        raise MemoryError

    ending.end_despite_threads = end


def impatience() -> None:
    """Every watchdog waits for two seconds, not for thirty."""
    silence_watch.SILENCE_SECONDS = 2.0
    loop_watch.MOST_TICKS = 3
    loop_watch.MOST_CPU_SECONDS = 2.0
    plain = Watchdog.__init__

    def watch(self: Any, die: Any, seconds: float) -> None:
        plain(self, die, 2.0)

    put(Watchdog, __init__=watch)


def journal_thread_waits() -> None:
    """The disk below the journal does not come back from a commit for as long as the injury strikes."""
    blocking_calls.SLOW_SECONDS = -1.0
    plain = SqliteConnection._hop

    async def hop(self: SqliteConnection, function: Any, *arguments: object) -> Any:
        while strikes():
            await trio.sleep(0.01)
        return await plain(self, function, *arguments)

    SqliteConnection._hop = hop  # type: ignore[method-assign]


def no_thread_can_be_started() -> None:
    """The system's limit on threads is reached while it serves."""
    plain = trio.lowlevel.start_thread_soon

    def start(*arguments: Any) -> None:
        if strikes():
            raise RuntimeError("can't start new thread")
        plain(*arguments)

    put(trio._threads, start_thread_soon=start)


def no_thread_from_the_start() -> None:
    """The system's limit on threads is reached before the start."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threading.Thread.start = start  # type: ignore[method-assign]
    put(trio._threads, start_thread_soon=lambda *arguments: start(threading.main_thread()))


def signals_at_both_ends() -> None:
    """Reload and report are requested before the signals are handled, and after they no longer are."""

    def send() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)

    def serve_with(arguments: list[str]) -> int:
        send()
        code = plain_serve(arguments)
        send()
        return code

    plain_serve, serve.serve_with = serve.serve_with, serve_with


def busy_soon() -> None:
    """A locked file is waited for in a thread for a moment only."""
    for module in (table_file, read_tables):
        put(module, BUSY_MILLISECONDS=50)


def short_log() -> None:
    """Few lines may wait for the log's reader."""
    plain = outlet.Outlet.__init__

    def make(self: Any, descriptor: int, what: str) -> None:
        plain(self, descriptor, what, 300 if descriptor == outlet.STDERR else outlet.MAX_HELD_BYTES)

    outlet.Outlet.__init__ = make  # type: ignore[method-assign, assignment]


INJURIES: dict[str, Callable[[], None]] = {
    "no floor": no_floor,
    "the journal's thread dies": journal_thread_dies,
    "the journal's thread hangs": journal_thread_hangs,
    "a commit hangs": commit_hangs,
    "the queries' thread hangs": queries_thread_hangs,
    "a look at the read tables hangs": look_hangs,
    "the projection hangs": projection_hangs,
    "the loop hangs": loop_hangs,
    "the loop spins": loop_spins,
    "a thread is left": thread_is_left,
    "no memory at the end": no_memory_at_the_end,
    "the journal's thread waits": journal_thread_waits,
    "no thread can be started": no_thread_can_be_started,
    "no thread from the start": no_thread_from_the_start,
    "signals at both ends": signals_at_both_ends,
    "busy soon": busy_soon,
    "a short log": short_log,
    "impatience": impatience,
}


# --- bugs ------------------------------------------------------------------------------------------------------------


def _what_is_shed_is_done() -> None:
    plain, seen = Decisions.submit, [0]

    def submit(self: Decisions, submission: Submission) -> None:
        seen[0] += 1
        if seen[0] % 50 == 0 and not submission.command.dry_run:
            reply = submission.reply
            submission.reply = lambda answer: None
            plain(self, submission)
            reply(Declined(Reason.OVERLOADED, {"what": "nothing", "retry_after_ms": 1}))
        else:
            plain(self, submission)

    Decisions.submit = submit  # type: ignore[method-assign]


def _what_is_shed_is_kept() -> None:
    plain, kept = session.Session.receive, []

    def receive(self: Any, *received: Any) -> Any:
        kept.append(bytes(2_000))
        return plain(self, *received)

    put(session.Session, receive=receive)


def _full_disks_are_believed() -> None:
    async def believe(self: Any, error: Exception) -> None:
        raise JournalFull(str(error)) from error

    sqlite_store.SqliteJournalStore.explain = believe  # type: ignore[method-assign, assignment]


def _what_was_undone_stays_in_the_books() -> None:
    Roster.forget_all = lambda self, declined: None  # type: ignore[method-assign]


def _nobody_probes() -> None:
    async def probe(self: Any) -> None:
        return None

    writer.JournalWriter._probe = probe  # type: ignore[method-assign]


def _full_read_tables_end_the_daemon() -> None:
    async def write(self: Any, *what: Any, **how: Any) -> None:
        try:
            await plain(self, *what, **how)
        except read_tables.ReadTablesFull as full:
            raise OSError(str(full)) from full

    plain = read_tables.ReadTables.write
    read_tables.ReadTables.write = write  # type: ignore[method-assign]


def _the_clock_is_believed() -> None:
    ledger_clock.LedgerClock.__call__ = lambda self: datetime.now(UTC)  # type: ignore[method-assign]
    HistoryClock.next_entry_time = lambda self: self._clock()  # type: ignore[method-assign]


def _a_jump_is_taken_over() -> None:
    put(ledger_clock, MOST_AT_ONCE=10**18)
    plain = ledger_clock.LedgerClock.__init__

    def begin(self: Any, *arguments: Any) -> None:
        plain(self, *arguments)
        self._allowance = 10**18

    put(ledger_clock.LedgerClock, __init__=begin)


def _the_journal_is_not_watched() -> None:
    async def unwatched(self: Any, call: Any, *arguments: object) -> None:
        await call(*arguments)

    put(Watchdog, call=unwatched)


def _only_watched(wanted: Callable[[str], bool]) -> None:
    plain = silence_watch.SilenceWatch.run

    async def run(self: Any) -> None:
        if wanted(self._what):
            await plain(self)

    silence_watch.SilenceWatch.run = run  # type: ignore[method-assign]


def _the_queries_are_not_watched() -> None:
    _only_watched(lambda name: "reads" not in name)


def _the_projection_is_not_watched() -> None:
    _only_watched(lambda name: "writes" not in name)


def _the_loop_is_not_watched() -> None:
    loop_watch.LoopWatch._watch = lambda self: None  # type: ignore[method-assign]


def _the_time_of_the_loop_is_not_counted() -> None:
    loop_watch.MOST_CPU_SECONDS = 0.0


def _connections_take_every_descriptor() -> None:
    descriptors.SPARED_BY_CLIENTS = 0
    put(listeners, most_connections=lambda wanted: wanted)


def _without_a_thread_there_is_no_work() -> None:
    for module in (sqlite_store, opening, read_tables, consistent_reads):
        module.in_thread = trio.to_thread.run_sync  # type: ignore[attr-defined]


def _a_busy_file_ends_the_daemon() -> None:
    async def write(self: Any, *what: Any, **how: Any) -> None:
        try:
            await plain(self, *what, **how)
        except read_tables.ReadTablesBusy as busy:
            raise OSError(str(busy)) from busy

    plain = read_tables.ReadTables.write
    read_tables.ReadTables.write = write  # type: ignore[method-assign]


def _other_programs_fold_the_log() -> None:
    table_file.WriteLocks.keep = lambda self: None  # type: ignore[method-assign]


def _signals_are_not_held_back() -> None:
    signal.pthread_sigmask = lambda how, mask: set()


def _a_standstill_counts() -> None:
    awake_clock.LONGEST_PASS_SECONDS = math.inf


def _a_line_waits_for_its_reader() -> None:
    def write(self: Any, text: str) -> None:
        os.write(self.descriptor, text.encode())

    outlet.Outlet.write = write  # type: ignore[method-assign]


def _the_directory_is_needed() -> None:
    Settings.rooted = lambda self, folder: self  # type: ignore[method-assign]


def _no_budget() -> None:
    put(Budgets, journal_refusal=lambda self, principal: None, processor_wait=lambda self, account: 0.0)


def _no_reserve() -> None:
    put(Decisions, _is_vital=lambda self, submission: False)


def _first_come_first_served() -> None:
    """What waits is served in the order of its arrival, and nothing is held back."""
    put_plainly, take_plainly = FairQueue.put, FairQueue.take

    def put_in_order(self: Any, key: Any, item: Any, *, is_patient: bool = False) -> None:
        put_plainly(self, "all", (key, item))

    def take_in_order(self: Any) -> Any:
        return take_plainly(self)[1]

    FairQueue.put = put_in_order  # type: ignore[method-assign]
    FairQueue.take = take_in_order  # type: ignore[method-assign]
    FairQueue.owes = lambda self, key: True  # type: ignore[method-assign]
    put(Budgets, processor_wait=lambda self, account: 0.0)
    put(engine, PLACES_OF_ONE=engine.READING_PLACES)


def _no_term_in_the_fence() -> None:
    from walletd.journal.postgresql import schema, store

    fenced = " AND term = $10::bigint"
    assert fenced in schema.APPEND
    put(store, APPEND=schema.APPEND.replace(fenced, ""))


def _the_head_is_not_read_again() -> None:
    from walletd.journal.postgresql import store

    async def was_written(self: Any, expected_head: int, segment: Any) -> bool:
        await plain(self, expected_head, segment)
        return True

    plain = store.PostgresqlJournalStore._was_written
    put(store.PostgresqlJournalStore, _was_written=was_written)


BUGS_OF_NODES: dict[str, Callable[[], None]] = {
    "no term in the fence": _no_term_in_the_fence,
    "the head is not read again": _the_head_is_not_read_again,
}
BUGS_OF_TENANTS: dict[str, Callable[[], None]] = {
    "no budget": _no_budget,
    "first come is first served": _first_come_first_served,
    "no reserve": _no_reserve,
}
BUGS_UNDER_OVERLOAD: dict[str, Callable[[], None]] = {
    "what is shed is done all the same": _what_is_shed_is_done,
    "what is shed is kept in memory": _what_is_shed_is_kept,
}
BUGS_OF_A_FULL_DISK: dict[str, Callable[[], None]] = {
    "what was undone stays in the books": _what_was_undone_stays_in_the_books,
    "no probe asks for space again": _nobody_probes,
    "read tables that find no space end the daemon": _full_read_tables_end_the_daemon,
}
BUGS_OF_THE_SURROUNDINGS: dict[str, Callable[[], None]] = {
    "the clock is believed": _the_clock_is_believed,
    "a jump of the clock is taken over": _a_jump_is_taken_over,
    "the journal's thread is not watched": _the_journal_is_not_watched,
    "the queries' thread is not watched": _the_queries_are_not_watched,
    "the projection is not watched": _the_projection_is_not_watched,
    "the loop is not watched": _the_loop_is_not_watched,
    "the loop's time is not counted": _the_time_of_the_loop_is_not_counted,
    "connections take every descriptor": _connections_take_every_descriptor,
    "without a thread there is no work": _without_a_thread_there_is_no_work,
    "a busy file ends the daemon": _a_busy_file_ends_the_daemon,
    "other programs fold the log": _other_programs_fold_the_log,
    "signals are not held back": _signals_are_not_held_back,
    "a standstill counts as time": _a_standstill_counts,
    "a line waits for its reader": _a_line_waits_for_its_reader,
    "the directory is needed": _the_directory_is_needed,
}


def main() -> None:
    """Plant, and go on as ``walletd``."""
    everything = INJURIES | BUGS_OF_TENANTS | BUGS_UNDER_OVERLOAD | BUGS_OF_A_FULL_DISK | BUGS_OF_THE_SURROUNDINGS
    everything |= BUGS_OF_NODES
    for name in filter(None, sys.argv[1].split(",")):
        everything[name]()
    del sys.argv[1]
    __main__.main()


if __name__ == "__main__":
    main()
