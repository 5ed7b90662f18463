"""The projector folds what has come while a thread writes what came before."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.journal.writing import QuickMemoryStore
from tests.wallets.conftest import answered, define, open_core, submit
from tests.wallets.projecting import Recorded, commit
from walletd.tables import backlog
from walletd.tables import projector as projector_module
from walletd.tables.file import ReadTablesRotten
from walletd.tables.folding import (
    Folding,
)
from walletd.tables.projector import (
    FULL_RETRY_SECONDS,
)
from walletd.vocabulary.entries import Entry

pytestmark = pytest.mark.interpreted


@pytest.fixture
def folded_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """When each entry was folded, and which."""
    seen: list[tuple[float, int]] = []

    class Noted(Folding):
        def add(self, entry: Entry) -> None:
            seen.append((trio.current_time(), entry.sequence))
            super().add(entry)

    monkeypatch.setattr(backlog, "Folding", Noted)
    return seen


async def test_the_next_are_folded_while_a_thread_writes(
    autojump_clock: Any, folded_at: list[tuple[float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAX_BATCH", 5)
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
    recorded.projector._backlog.fold_into(recorded.projector._batch, most)
    recorded.projector.extend(*commit(8, 9))
    recorded.projector._backlog.fold_into(recorded.projector._batch, most)
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
    monkeypatch.setattr(backlog, "MAX_BATCH", 6)
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

    monkeypatch.setattr(backlog, "Folding", Failing)
    recorded = Recorded()
    recorded.projector.extend(*commit(1, 3))
    with pytest.raises(MemoryError):
        recorded.projector.fold_at_once()
    assert await recorded.projector.project_some()
    assert added == recorded.projected == [1, 2, 3]


async def test_what_a_turn_of_the_sockets_made_durable_is_folded_at_its_end(
    tmp_path: Path, folded_at: list[tuple[float, int]]
) -> None:
    async with open_core(tmp_path, QuickMemoryStore()) as core:
        await answered(submit(core, define("EUR")))
        await core.projector.reach(2)
        await trio.testing.wait_all_tasks_blocked()
        folded_at.clear()
        core.passes.begin_pass()
        submit(core, define("USD"))
        core.passes.end_pass()
        assert (core.writer.durable_head, core.projector.sequence) == (3, 2)
        assert [sequence for _, sequence in folded_at] == [3]


@pytest.mark.parametrize("is_ended", [False, True])
async def test_what_was_folded_while_there_was_no_space_is_written_in_order(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch, is_ended: bool
) -> None:
    monkeypatch.setattr(backlog, "MAX_BATCH", 2)
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
    monkeypatch.setattr(backlog, "MAX_BATCH", 2)
    recorded = Recorded()

    async def rotten(*what: Any, **how: Any) -> None:
        raise ReadTablesRotten("a page")

    monkeypatch.setattr(recorded.tables, "write", rotten)
    recorded.projector.extend(*commit(1, 2))
    recorded.projector.extend(*commit(3, 4))
    with pytest.raises(ReadTablesRotten, match="a page"):
        await recorded.projector.project_some()
