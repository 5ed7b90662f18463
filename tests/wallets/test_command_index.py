"""Which ids were used: what the filter says, what the survey checks, and that nothing used is ever taken for new."""

from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.state_file import state_file, without_page_sums
from walletd.tables import command_ids
from walletd.tables.command_ids import SURVEY_ROWS, CommandIndex
from walletd.tables.file import FILE_NAME, ReadTablesRotten
from walletd.tables.id_filter import BITS_PER_ID, IdFilter
from walletd.tables.seals import (
    seal,
)
from walletd.tables.writer import open_read_tables

PRINCIPAL = "client"
ids = st.tuples(st.text(max_size=8), st.text(max_size=8))


@given(used=st.lists(ids))
def test_what_was_added_is_always_found(used: list[tuple[str, str]]) -> None:
    known = IdFilter(0)
    for principal, command_id in used:
        known.add(principal, command_id)
    assert all(known.may_have(principal, command_id) for principal, command_id in used)


@pytest.mark.interpreted
@pytest.mark.parametrize("expected", [100_000, 0])
def test_a_filter_of_any_size_misses_nothing_and_takes_few_new_ids_for_used_ones(
    expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.tables.id_filter._LEAST_IDS", 1_000)
    known = IdFilter(expected)
    for number in range(100_000):
        known.add(PRINCIPAL, f"order-{number}")
        assert known.bits <= 16 * (known.added + max(expected, 1_000)) * BITS_PER_ID
    assert all(known.may_have(PRINCIPAL, f"order-{number}") for number in range(100_000))
    taken = sum(known.may_have(PRINCIPAL, f"new-{number}") for number in range(10_000))
    assert taken < 1_000


async def tables_with(directory: Path, count: int) -> CommandIndex:
    await (await open_read_tables(directory)).aclose()
    add_commands(directory, range(1, count + 1))
    return CommandIndex(directory / FILE_NAME)


def add_commands(directory: Path, numbers: range) -> None:
    rows = [(PRINCIPAL, f"order-{number}", number) for number in numbers]
    with state_file(directory / FILE_NAME) as connection:
        connection.executemany("INSERT INTO command VALUES (?, ?, ?, ?)", [(*row, seal(*row)) for row in rows])


async def surveyed(index: CommandIndex) -> None:
    while not index.is_surveyed:
        await trio.sleep(0.001)


async def test_before_the_survey_every_id_is_looked_up(tmp_path: Path) -> None:
    index = await tables_with(tmp_path, 3)
    assert index.find(PRINCIPAL, "order-2") == 2
    assert index.find(PRINCIPAL, "new") is None
    assert index.probes == 2
    index.close()


async def test_after_the_survey_new_ids_cost_no_look_up_and_used_ones_are_found(tmp_path: Path) -> None:
    count = 2 * SURVEY_ROWS + 7
    index = await tables_with(tmp_path, count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(index.survey)
        await surveyed(index)
        assert [index.find(PRINCIPAL, f"order-{number}") for number in range(1, count + 1)] == list(range(1, count + 1))
        index.probes = 0
        assert all(index.find(PRINCIPAL, f"new-{number}") is None for number in range(1000))
        assert index.probes < 50
        assert index.find("another", "order-1") is None
        nursery.cancel_scope.cancel()
    index.close()


async def test_ids_that_are_noted_later_are_found(tmp_path: Path) -> None:
    index = await tables_with(tmp_path, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(index.survey)
        await surveyed(index)
        add_commands(tmp_path, range(2, 3))
        index.note(PRINCIPAL, "order-2")
        assert index.find(PRINCIPAL, "order-2") == 2
        nursery.cancel_scope.cancel()
    index.close()


@pytest.mark.interpreted
async def test_a_survey_is_made_once_however_many_ids_there_come_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.tables.id_filter._LEAST_IDS", 1)
    index = await tables_with(tmp_path, 20)
    await index.survey()
    add_commands(tmp_path, range(21, 2_001))
    for number in range(21, 2_001):
        index.note(PRINCIPAL, f"order-{number}")
    assert all(index.find(PRINCIPAL, f"order-{number}") == number for number in range(1, 2_001))
    index.probes = 0
    assert all(index.find(PRINCIPAL, f"new-{number}") is None for number in range(1000))
    assert index.probes < 200, "new ids are told from used ones, all the time"
    index.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE command SET command_id = 'order-7x' WHERE command_id = 'order-7'",
        "UPDATE command SET principal = 'cliemt' WHERE command_id = 'order-7'",
        "UPDATE command SET sequence = 8 WHERE command_id = 'order-7'",
        "UPDATE command SET command_id = CAST(x'6fff' AS TEXT) WHERE command_id = 'order-7'",
    ],
)
async def test_where_pages_have_no_sums_the_survey_finds_a_damaged_key_which_would_hide_a_used_id(
    tmp_path: Path, change: str
) -> None:
    with without_page_sums():
        index = await tables_with(tmp_path, 20)
        with state_file(tmp_path / FILE_NAME) as connection:
            connection.execute(change)
        with pytest.raises(ReadTablesRotten):
            await index.survey()
        index.close()


async def test_a_core_knows_new_ids_without_a_look_up(core: object) -> None:
    index: command_ids.CommandIndex = core.stored.index  # type: ignore[attr-defined]
    await surveyed(index)
    before = index.probes
    assert index.find(PRINCIPAL, "never used") is None
    assert index.probes == before
