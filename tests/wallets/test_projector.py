"""The projector: many commits in one transaction, a little later; at once for a reader that waits."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.names import ALICE
from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from tests.wallets.projecting import Recorded, commit, durable
from walletd.daemon.engine import Engine
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.merkle import Frontier, leaf_hash
from walletd.tables import backlog
from walletd.tables.file import Tables
from walletd.tables.folding import (
    rows_of,
)
from walletd.tables.projector import (
    LINGER_SECONDS,
)
from walletd.tables.queries.statements import Question
from walletd.tables.reader import progress_of
from walletd.tables.schema import key_of

pytestmark = pytest.mark.interpreted


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
    monkeypatch.setattr(backlog, "MAX_BATCH", 5)
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
    assert projector.taken == 0
    projector.extend(*commit(1, 3))
    assert (projector.backlog, projector.taken) == (3, 0.75)
    projector.extend(*commit(4, 4))
    assert (projector.backlog, projector.taken) == (4, 1)
    await projector.drain()
    assert (projector.backlog, projector.taken) == (0, 0)


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


def test_a_balance_touched_a_hundred_times_is_listed_once() -> None:
    rows = rows_of([durable(sequence).entry for sequence in range(1, 101)])
    listed = sorted(map(msgspec.json.decode, rows.balances))
    assert listed == [[wallet, "EUR", key_of(wallet, "EUR")] for wallet in ("@external", "alice")]
    assert len(rows.changes) == 200
    assert len(rows.commands) == 100


async def test_a_burst_of_payments_takes_few_transactions(core: Engine) -> None:
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
            page = await core.stored.tables.statement(Question(ALICE, newest_first=True), None, 1)
            assert page is not None
            assert (page.statement.lines[0].posted, page.statement.sequence) == (
                str(number + 1),
                core.writer.durable_head,
            )
            (view,) = (await core.stored.tables.some_wallets([ALICE])).wallets
            assert view.balances[0].posted == str(number + 1)


async def test_several_statements_of_one_look_see_the_same_state(core: Engine) -> None:
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

    assert await core.stored.tables._consistent.read(look) == (3, 3, 2)
    assert await core.stored.tables._consistent.read(progress_of) == 5
