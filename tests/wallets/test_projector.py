"""The projector: many commits in one transaction, a little later; at once for a reader that waits."""

import math
import threading
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import apsw
import msgspec
import pytest
import trio
import trio.testing

from tests.ledger import cases
from tests.names import ALICE, EUR
from tests.wallets.conftest import CLIENT, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Core
from walletd.journal.history import DurableEntry
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.runtime.blocking_calls import OnLoop
from walletd.runtime.silence_watch import SILENCE_SECONDS, Watch
from walletd.tables import projector as projector_module
from walletd.tables import writer
from walletd.tables.file import ReadTablesRotten, Tables
from walletd.tables.folding import (
    Folding,
    rows_of,
)
from walletd.tables.projector import (
    FULL_RETRY_SECONDS,
    LINGER_SECONDS,
    PACE_SECONDS,
    Projector,
)
from walletd.tables.queries.statements import Question
from walletd.tables.reader import progress_of
from walletd.tables.schema import (
    FORMAT,
)
from walletd.tables.writer import Folded, Progress, ReadTables, ReadTablesFull
from walletd.vocabulary.commands import PostTransfer
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry
from walletd.vocabulary.identifiers import EXTERNAL, CommandId, Version
from walletd.vocabulary.identifiers import Sequence as SequenceNumber

pytestmark = pytest.mark.interpreted

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class RecordedTables(ReadTables):
    """Read tables that only remember what they are asked to write, and when."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.is_full = False
        self.transactions: list[tuple[float, list[int]]] = []
        self.progress_at: list[Progress] = []

    async def write(self, folded: Folded, *, is_small: bool = False) -> None:
        if self.is_full:
            raise ReadTablesFull("no space")
        await trio.sleep(self.seconds)
        before = self.progress_at[-1].sequence if self.progress_at else 0
        self.transactions.append((trio.current_time(), [*range(before + 1, folded.progress.sequence + 1)]))
        self.progress_at.append(folded.progress)


def durable(sequence: int) -> DurableEntry:
    """Entry ``sequence``: one more unit for alice."""
    balances = (
        BalanceRecord(EXTERNAL, EUR, str(-sequence), "0", None, Version(sequence)),
        BalanceRecord(ALICE, EUR, str(sequence), "0", str(sequence), Version(sequence)),
    )
    command = PostTransfer(
        command_id=CommandId(f"t{sequence}"), postings=(cases.posting("@external", "alice", "EUR", 1),)
    )
    entry = Entry(
        sequence=SequenceNumber(sequence),
        time=NOON,
        principal=CLIENT,
        command=command,
        effects=Effects(balances=balances),
    )
    return DurableEntry(entry, b"%d" % sequence, leaf_hash(b"%d" % sequence))


def commit(first: int, last: int) -> tuple[list[DurableEntry], Frontier]:
    """The entries of a commit, and the frontier behind it."""
    frontier = Frontier()
    for sequence in range(1, last + 1):
        frontier.append(durable(sequence).leaf)
    return [durable(sequence) for sequence in range(first, last + 1)], frontier


class Ended(Exception):
    """The process ends itself."""


class Recorded:
    """A projector over recorded tables, and what it said of its progress."""

    def __init__(self, seconds: float = 0, max_backlog: int = 1000) -> None:
        self.tables = RecordedTables(seconds)
        self.projected: list[int] = []
        self.ended = ""
        genesis = Progress(FORMAT, "memory", 1, 0, Frontier().to_bytes(), NOON)
        self.projector = Projector(
            self.tables,
            genesis,
            max_backlog=max_backlog,
            on_projected=self._on_projected,
            watch=Watch("the writes", self._die, trio.current_time),
        )

    def _die(self, reason: str) -> NoReturn:
        self.ended, self.ended_at = reason, trio.current_time()
        raise Ended

    def _on_projected(self, entries: Sequence[DurableEntry]) -> None:
        assert self.projector.sequence == entries[-1].entry.sequence
        self.projected += [entry.entry.sequence for entry in entries]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.projector.run)
            yield
            nursery.cancel_scope.cancel()


async def test_commits_that_come_together_are_one_transaction(autojump_clock: Any) -> None:
    recorded = Recorded()
    async with recorded.running():
        start = trio.current_time()
        recorded.projector.extend(*commit(1, 3))
        recorded.projector.extend(*commit(4, 4))
        await trio.sleep(LINGER_SECONDS / 2)
        recorded.projector.extend(*commit(5, 9))
        await trio.sleep(1)
    assert recorded.tables.transactions == [(start + LINGER_SECONDS, list(range(1, 10)))]
    assert recorded.projected == list(range(1, 10))
    assert recorded.projector.transactions == 1


async def test_a_reader_that_waits_cuts_the_lingering_short(autojump_clock: Any) -> None:
    recorded = Recorded()
    async with recorded.running():
        start = trio.current_time()
        recorded.projector.extend(*commit(1, 3))
        await recorded.projector.reach(2)
        assert trio.current_time() == start
        assert recorded.projector.sequence == 3


async def test_who_would_go_on_waits_while_the_projector_is_behind(autojump_clock: Any) -> None:
    recorded = Recorded(seconds=0.01, max_backlog=8)
    async with recorded.running():
        recorded.projector.extend(*commit(1, 5))
        begun = trio.current_time()
        await recorded.projector.catch_up()
        assert trio.current_time() == begun, "three quarters are not full yet"
        recorded.projector.extend(*commit(6, 6))
        assert recorded.projector.is_behind
        await recorded.projector.catch_up()
        assert not recorded.projector.is_behind
        assert trio.current_time() - begun < PACE_SECONDS


async def test_a_projector_that_cannot_write_holds_nobody_up_for_long(autojump_clock: Any) -> None:
    recorded = Recorded(max_backlog=4)
    recorded.tables.is_full = True
    async with recorded.running():
        recorded.projector.extend(*commit(1, 4))
        begun = trio.current_time()
        await recorded.projector.catch_up()
        assert trio.current_time() - begun == pytest.approx(PACE_SECONDS)
        assert recorded.projector.is_behind


async def test_what_is_projected_already_is_reached_at_once(autojump_clock: Any) -> None:
    recorded = Recorded()
    await recorded.projector.reach(0)
    async with recorded.running():
        recorded.projector.extend(*commit(1, 3))
        await recorded.projector.reach(3)
        await recorded.projector.reach(1)
    assert len(recorded.tables.transactions) == 1


async def test_readers_of_what_is_not_durable_yet_wait_for_it(autojump_clock: Any) -> None:
    recorded = Recorded(seconds=0.01)
    reached: list[int] = []

    async def read(sequence: int) -> None:
        await recorded.projector.reach(sequence)
        assert recorded.projector.sequence >= sequence
        reached.append(sequence)

    async with recorded.running(), trio.open_nursery() as nursery:
        for sequence in (1, 2, 5, 6, 6):
            nursery.start_soon(read, sequence)
        await trio.sleep(100)
        assert reached == []
        recorded.projector.extend(*commit(1, 2))
        await trio.sleep(1)
        assert sorted(reached) == [1, 2]
        recorded.projector.extend(*commit(3, 5))
        await trio.sleep(1)
        assert sorted(reached) == [1, 2, 5]
        recorded.projector.extend(*commit(6, 6))
        await trio.sleep(1)
    assert sorted(reached) == [1, 2, 5, 6, 6]


async def test_what_arrives_during_a_transaction_is_in_the_next(autojump_clock: Any) -> None:
    recorded = Recorded(seconds=1)
    async with recorded.running():
        recorded.projector.extend(*commit(1, 2))
        await trio.sleep(0.5)
        recorded.projector.extend(*commit(3, 4))
        await recorded.projector.reach(4)
    assert [sequences for _, sequences in recorded.tables.transactions] == [[1, 2], [3, 4]]


async def test_a_transaction_is_bounded_by_whole_commits(autojump_clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projector_module, "MAX_BATCH", 5)
    recorded = Recorded()
    async with recorded.running():
        for first in (1, 4, 7, 10):
            recorded.projector.extend(*commit(first, first + 2))
        await recorded.projector.reach(12)
    assert [len(sequences) for _, sequences in recorded.tables.transactions] == [6, 6]
    assert recorded.projected == list(range(1, 13))


async def test_the_backlog_is_bounded(autojump_clock: Any) -> None:
    recorded = Recorded(max_backlog=4)
    projector = recorded.projector
    assert projector.has_room
    projector.extend(*commit(1, 3))
    assert (projector.backlog, projector.has_room) == (3, True)
    projector.extend(*commit(4, 4))
    assert (projector.backlog, projector.has_room) == (4, False)
    await projector.drain()
    assert (projector.backlog, projector.has_room) == (0, True)


async def test_each_progress_has_the_frontier_of_its_entries(autojump_clock: Any) -> None:
    recorded = Recorded(seconds=1)
    async with recorded.running():
        recorded.projector.extend(*commit(1, 3))
        await recorded.projector.reach(3)
        recorded.projector.extend(*commit(4, 7))
        await recorded.projector.reach(7)
    for progress in recorded.tables.progress_at:
        expected = Frontier()
        for sequence in range(1, progress.sequence + 1):
            expected.append(leaf_hash(b"%d" % sequence))
        assert Frontier.from_bytes(progress.frontier) == expected


async def test_cancelled_it_finishes_the_transaction_under_way_and_leaves_the_rest_to_drain(
    autojump_clock: Any,
) -> None:
    recorded = Recorded(seconds=1)
    async with recorded.running():
        recorded.projector.extend(*commit(1, 2))
        await trio.sleep(0.5)
        recorded.projector.extend(*commit(3, 4))
    assert recorded.projector.sequence == 2
    await recorded.projector.drain()
    assert recorded.projector.sequence == 4
    assert recorded.projected == [1, 2, 3, 4]


async def test_cancelled_while_it_lingers_it_loses_nothing(autojump_clock: Any) -> None:
    recorded = Recorded()
    async with recorded.running():
        recorded.projector.extend(*commit(1, 2))
    await recorded.projector.drain()
    assert recorded.projected == [1, 2]


def test_a_balance_touched_a_hundred_times_is_written_once() -> None:
    rows = rows_of([durable(sequence).entry for sequence in range(1, 101)])
    external, alice = map(msgspec.json.decode, rows.balances)
    assert (external[:2], alice[:2]) == (["@external", "EUR"], ["alice", "EUR"])
    assert '"posted":"100"' in alice[2]
    assert len(rows.commands) == 100


async def test_a_burst_of_payments_takes_few_transactions(core: Core) -> None:
    await answered(submit(core, define()), submit(core, opening("alice")))
    await core.projector.reach(core.writer.head)
    before = core.projector.transactions
    await answered(*[submit(core, transfer(f"pay-{n}", ("@external", "alice", 1))) for n in range(500)])
    await core.projector.reach(core.writer.head)
    assert core.projector.transactions - before <= 10
    assert core.projector.backlog == 0


async def test_the_read_tables_show_what_was_reached(tmp_path: Path, journal: MemoryJournalStore) -> None:
    async with open_core(tmp_path, journal) as core:
        await answered(submit(core, define()), submit(core, opening("alice")))
        for number in range(20):
            await answered(submit(core, transfer(f"pay-{number}", ("@external", "alice", 1))))
            await core.projector.reach(core.writer.durable_head)
            page = await core.readings.statement(Question(ALICE, newest_first=True), None, 1)
            assert page is not None
            assert (page.statement.lines[0].posted, page.statement.sequence) == (
                str(number + 1),
                core.writer.durable_head,
            )
            (view,) = (await core.readings.some_wallets([ALICE])).wallets
            assert view.balances[0].posted == str(number + 1)


async def test_several_statements_of_one_look_see_the_same_state(core: Core) -> None:
    """The read tables advance between the first statement of a look and the second."""
    await answered(submit(core, define()), submit(core, opening("alice")))
    await core.projector.reach(3)
    token = trio.lowlevel.current_trio_token()

    async def meddle() -> None:
        await answered(submit(core, transfer("pay", ("@external", "alice", 1))), submit(core, opening("bob")))
        await core.projector.reach(5)

    def look(tables: Tables) -> tuple[int, int, int]:
        before = progress_of(tables)
        trio.from_thread.run(meddle, trio_token=token)
        ((wallets,),) = tables.execute("SELECT count(*) FROM wallet").fetchall()
        return before, progress_of(tables), wallets

    assert await core.readings._consistent.read(look) == (3, 3, 2)
    assert await core.readings._consistent.read(progress_of) == 5


@pytest.fixture
def folded_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """When each entry was folded, and which."""
    seen: list[tuple[float, int]] = []

    class Noted(Folding):
        def add(self, entry: Entry) -> None:
            seen.append((trio.current_time(), entry.sequence))
            super().add(entry)

    monkeypatch.setattr(projector_module, "Folding", Noted)
    return seen


async def test_the_next_are_folded_while_a_thread_writes(
    autojump_clock: Any, folded_at: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "MAX_BATCH", 5)
    recorded = Recorded(seconds=1)
    async with recorded.running():
        start = trio.current_time()
        recorded.projector.extend(*commit(1, 5))
        await trio.sleep(0.5)
        for first, last in ((6, 10), (11, 15), (16, 17)):
            recorded.projector.extend(*commit(first, last))
        await recorded.projector.reach(17)
        assert trio.current_time() - start == 4
    assert [sequence for _, sequence in folded_at] == [*range(1, 18)]
    assert {time - start for time, sequence in folded_at if 11 <= sequence <= 15} == {1}, "while 6 to 10 are written"
    assert [sequences for _, sequences in recorded.tables.transactions] == [
        [*range(1, 6)],
        [*range(6, 11)],
        [*range(11, 16)],
        [16, 17],
    ]
    assert recorded.projected == [*range(1, 18)]
    assert recorded.projector.backlog == 0


@pytest.mark.parametrize("most", [0, 1, 3, 4, 100])
async def test_a_transaction_ends_with_a_commit_however_much_of_the_next_was_folded(
    autojump_clock: Any, most: int
) -> None:
    recorded = Recorded()
    recorded.projector.extend(*commit(1, 2))
    recorded.projector.extend(*commit(3, 7))
    recorded.projector._fold_some(most)
    recorded.projector.extend(*commit(8, 9))
    recorded.projector._fold_some(most)
    async with recorded.running():
        await recorded.projector.reach(9)
    _, frontier = commit(1, 9)
    assert [progress.sequence for progress in recorded.tables.progress_at] == [9]
    assert recorded.tables.progress_at[-1].frontier == frontier.to_bytes()
    assert recorded.projected == [*range(1, 10)]


async def test_a_reader_does_not_wait_for_what_came_after_it(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the fold lets others have the loop, more comes and is folded, too."""
    monkeypatch.setattr(projector_module, "HURRIED_TURN", 2)
    recorded = Recorded()

    async def go_on() -> None:
        for sequence in range(10, 30):
            recorded.projector.extend(*commit(sequence, sequence))
            recorded.projector.fold_at_once()
            await trio.lowlevel.checkpoint()

    recorded.projector.extend(*commit(1, 4))
    recorded.projector.extend(*commit(5, 9))
    async with recorded.running(), trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        await recorded.projector.reach(9)
    assert recorded.projected[:9] == [*range(1, 10)]
    assert recorded.tables.progress_at[0].sequence < 29
    await recorded.projector.drain()
    assert recorded.projected == [*range(1, 30)]


async def test_what_comes_is_folded_at_once_until_much_waits(
    autojump_clock: Any, folded_at: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "MAX_BATCH", 6)
    recorded = Recorded()
    for first, last in ((1, 2), (3, 5), (6, 6)):
        recorded.projector.extend(*commit(first, last))
        recorded.projector.fold_at_once()
    assert [sequence for _, sequence in folded_at] == [1, 2, 3, 4, 5]
    await recorded.projector.drain()
    assert [sequence for _, sequence in folded_at] == [*range(1, 7)]
    assert [sequences for _, sequences in recorded.tables.transactions] == [[*range(1, 7)]]


async def test_an_entry_whose_fold_failed_is_not_passed_over(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that is under way while the daemon ends must not say that the tables show it."""
    added: list[int] = []

    class Failing(Folding):
        failures = 1

        def add(self, entry: Entry) -> None:
            if entry.sequence == 2 and Failing.failures:
                Failing.failures -= 1
                raise MemoryError
            added.append(entry.sequence)
            super().add(entry)

    monkeypatch.setattr(projector_module, "Folding", Failing)
    recorded = Recorded()
    recorded.projector.extend(*commit(1, 3))
    with pytest.raises(MemoryError):
        recorded.projector.fold_at_once()
    assert await recorded.projector.project_some()
    assert added == recorded.projected == [1, 2, 3]


async def test_what_a_turn_of_the_sockets_made_durable_is_folded_at_its_end(
    core: Core, folded_at: list[tuple[float, int]]
) -> None:
    await answered(submit(core, define("EUR")))
    await core.projector.reach(2)
    await trio.testing.wait_all_tasks_blocked()
    folded_at.clear()
    core.turns.begin_turn()
    submit(core, define("USD"))
    core.turns.end_turn()
    assert (core.writer.durable_head, core.projector.sequence) == (3, 2)
    assert [sequence for _, sequence in folded_at] == [3]


@pytest.mark.parametrize("is_ended", [False, True])
async def test_what_was_folded_while_there_was_no_space_is_written_in_order(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch, is_ended: bool
) -> None:
    monkeypatch.setattr(projector_module, "MAX_BATCH", 2)
    recorded = Recorded(seconds=0.1)
    recorded.tables.is_full = True
    async with recorded.running():
        for first in (1, 3, 5, 7):
            recorded.projector.extend(*commit(first, first + 1))
        await trio.sleep(5 * FULL_RETRY_SECONDS)
        assert (recorded.projector.sequence, recorded.projector.backlog) == (0, 8)
        recorded.tables.is_full = False
        if not is_ended:
            await recorded.projector.reach(8)
    await recorded.projector.drain()
    assert recorded.projected == [*range(1, 9)]
    assert [progress.sequence for progress in recorded.tables.progress_at] == [2, 4, 6, 8]
    assert recorded.projector.backlog == 0


async def test_rot_that_is_met_while_the_next_are_folded_comes_out_as_it_is(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "MAX_BATCH", 2)
    recorded = Recorded()

    async def rotten(*what: Any, **how: Any) -> None:
        raise ReadTablesRotten("a page")

    monkeypatch.setattr(recorded.tables, "write", rotten)
    recorded.projector.extend(*commit(1, 2))
    recorded.projector.extend(*commit(3, 4))
    with pytest.raises(ReadTablesRotten, match="a page"):
        await recorded.projector.project_some()


async def test_tables_that_find_no_space_stand_and_go_on_when_there_is_some(autojump_clock: Any) -> None:
    recorded = Recorded()
    recorded.tables.is_full = True
    async with recorded.running():
        recorded.projector.extend(*commit(1, 3))
        await trio.sleep(10 * FULL_RETRY_SECONDS)
        recorded.projector.extend(*commit(4, 5))
        assert (recorded.projector.sequence, recorded.projector.backlog) == (0, 5)
        recorded.tables.is_full = False
        await recorded.projector.reach(5)
    assert recorded.projected == [1, 2, 3, 4, 5]
    assert recorded.projector.backlog == 0


async def test_who_cannot_wait_for_space_is_told_and_served_again_when_there_is_some(autojump_clock: Any) -> None:
    recorded = Recorded()
    recorded.tables.is_full = True
    depths = []
    async with recorded.running():
        recorded.projector.extend(*commit(1, 3))
        for _ in range(3):
            with pytest.raises(ReadTablesFull, match="no space") as raised:
                await recorded.projector.reach_unless_full(3)
            depths.append(len(list(traceback.walk_tb(raised.value.__traceback__))))
        recorded.tables.is_full = False
        await recorded.projector.reach(3)
        await recorded.projector.reach_unless_full(3)
    assert len(set(depths)) == 1, "whoever is told adds nothing to what the others are told"


async def test_tables_that_find_no_space_do_not_hold_up_the_end(autojump_clock: Any) -> None:
    recorded = Recorded()
    recorded.tables.is_full = True
    async with recorded.running():
        recorded.projector.extend(*commit(1, 3))
    await recorded.projector.drain()
    assert recorded.projector.sequence == 0


async def test_a_write_that_never_returns_ends_the_process(autojump_clock: Any) -> None:
    recorded = Recorded(seconds=10 * SILENCE_SECONDS)
    with pytest.RaisesGroup(Ended, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorded.projector._watch.run)
            await nursery.start(recorded.projector.run)
            recorded.projector.extend(*commit(1, 3))
    assert "have not answered" in recorded.ended
    assert recorded.ended_at <= 2 * SILENCE_SECONDS


async def test_a_thread_is_not_given_up_because_virtual_time_jumped_while_it_worked(autojump_clock: Any) -> None:
    ended: list[str] = []

    def die(reason: str) -> NoReturn:
        ended.append(reason)
        raise Ended

    watch = Watch("the reads", die)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        with watch.waiting():
            await trio.sleep(10 * SILENCE_SECONDS)
        nursery.cancel_scope.cancel()
    assert not ended


class Folds:
    """The read tables' log: how long it was when it was folded into the file, and whether that can be done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lengths: list[int] = []
        self.fails = False
        plain = ReadTables._fold_log

        def fold(tables: ReadTables) -> None:
            self.lengths.append(tables._log_pages)
            if not self.fails:
                plain(tables)

        monkeypatch.setattr(ReadTables, "_fold_log", fold)
        monkeypatch.setattr(writer, "LOG_PAGES", 100)


async def test_the_log_of_the_read_tables_is_folded_away_when_it_is_long(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = Folds(monkeypatch)
    log = core.audits._path.with_name("state.db-wal")
    await answered(submit(core, define()), submit(core, opening("alice")))
    sizes = []
    for number in range(100):
        await answered(submit(core, transfer(f"t{number}", ("@external", "alice", 1))))
        await core.projector.reach(core.writer.head)
        sizes.append(log.stat().st_size)
    assert len(folds.lengths) > 3
    assert max(folds.lengths) < 150, "it was folded soon"
    assert max(sizes) < 150 * 4200, "and used again, not extended"


async def test_a_log_that_cannot_be_folded_grows_until_it_can(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = Folds(monkeypatch)
    folds.fails = True
    await answered(submit(core, define()), submit(core, opening("alice")))
    for number in range(40):
        await answered(submit(core, transfer(f"t{number}", ("@external", "alice", 1))))
        await core.projector.reach(core.writer.head)
    assert max(folds.lengths) > 200
    folds.fails = False
    for number in range(40, 45):
        await answered(submit(core, transfer(f"t{number}", ("@external", "alice", 1))))
        await core.projector.reach(core.writer.head)
    assert core.projector._tables._log_pages < 100


async def test_a_fold_that_sqlite_refuses_ends_nothing(tmp_path: Path) -> None:
    """As of a full disk: what SQLite itself would have kept to itself."""

    class Refusing:
        def set_wal_hook(self, hook: Any) -> None: ...

        def pragma(self, name: str) -> int:
            return 0

        def wal_checkpoint(self, mode: int) -> None:
            raise apsw.FullError("database or disk is full")

    ReadTables(Refusing(), tmp_path)._fold_log()  # type: ignore[arg-type]


@pytest.mark.parametrize("awaited", [True, False])
async def test_somebody_who_waits_has_more_written_without_a_thread(
    core: Core, monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    """A hundred entries in one transaction: few enough where somebody waits, too many where nobody does."""
    threads: list[threading.Thread] = []
    plain = ReadTables._write

    def write(tables: ReadTables, statements: Any, shown: int) -> None:
        threads.append(threading.current_thread())
        plain(tables, statements, shown)

    await answered(submit(core, define()), submit(core, opening("alice")))
    await core.projector.reach(core.writer.head)
    monkeypatch.setattr(ReadTables, "_write", write)
    core.projector._tables._small = OnLoop(math.inf)
    monkeypatch.setattr(projector_module, "LINGER_SECONDS", 1.0)  # Long enough for all of them, on any machine.
    await answered(*(submit(core, transfer(f"t{number}", ("@external", "alice", 1))) for number in range(100)))
    if awaited:
        await core.projector.reach(core.writer.head)
    else:
        while core.projector.backlog:
            await core.projector._advanced.wait()
    assert (threads[0] is threading.current_thread()) == awaited
