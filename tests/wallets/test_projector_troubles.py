"""The projector where there is no space, where a write hangs, and where the log cannot be folded away."""

import math
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

import apsw
import pytest
import trio
import trio.testing

from tests.wallets.conftest import answered, define, opening, submit, transfer
from tests.wallets.projecting import Ended, Recorded, commit
from walletd.daemon.engine import Engine
from walletd.runtime.blocking_calls import OnLoop
from walletd.runtime.silence_watch import SILENCE_SECONDS, SilenceWatch
from walletd.tables import projector as projector_module
from walletd.tables import writer
from walletd.tables.projector import (
    FULL_RETRY_SECONDS,
)
from walletd.tables.writer import ReadTables, ReadTablesFull

pytestmark = pytest.mark.interpreted


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
    assert len(set(depths)) == 1, "a receiver adds nothing to what the others receive"


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

    watch = SilenceWatch("the reads", die)
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
    core: Engine, monkeypatch: pytest.MonkeyPatch
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


async def test_a_log_that_cannot_be_folded_grows_until_it_can(core: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
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
    core: Engine, monkeypatch: pytest.MonkeyPatch, awaited: bool
) -> None:
    """A hundred entries in one transaction: few enough if a task waits, too many if none does."""
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
