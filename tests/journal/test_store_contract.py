"""What every journal store promises, on SQLite and in memory alike."""

import pytest

from tests.journal.chains import Chain, record
from tests.journal.conftest import Store
from walletd.journal.failures import HeadMoved
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.merkle import EMPTY_ROOT
from walletd.journal.postgresql.ledger import Node, take
from walletd.journal.postgresql.store import PostgresqlJournalStore
from walletd.journal.segment import records
from walletd.journal.store import AppendsAtOnce, Head, JournalStore, KeepsHouse
from walletd.journal.verification import verified


async def fence(store: Store) -> None:
    """Let a later writer take the journal over."""
    if isinstance(store, MemoryJournalStore):
        store.fenced_by_epoch = store.epoch + 1
    elif isinstance(store, PostgresqlJournalStore):
        taken = await take(await store._writing.ready(), store.name, Node(store._node.owner), 60)
        assert taken[0] == store.term + 1
    else:
        await store._connection.change("UPDATE journal SET epoch = epoch + 1")


async def test_both_stores_have_the_interface(store: Store) -> None:
    narrow: JournalStore = store
    assert narrow.epoch == 1
    assert narrow.instance


async def test_an_empty_journal_has_head_zero_and_the_empty_root(store: Store) -> None:
    assert await store.head() == Head(0, store.epoch, EMPTY_ROOT)
    assert await store.read(0) == []
    assert await store.read_entry(1) is None


async def test_what_is_appended_is_read_back(store: Store, chain: Chain) -> None:
    segments = [await chain.append_to(store, count) for count in (1, 3, 2)]

    assert await store.read(0) == segments
    assert await store.head() == Head(6, store.epoch, chain.frontier.root())
    assert list(verified(await store.read(0)))[-1].entries == 6


@pytest.mark.parametrize(
    ("after", "expected"), [(0, [1, 2, 5]), (1, [2, 5]), (2, [2, 5]), (3, [2, 5]), (4, [5]), (6, [])]
)
async def test_reading_begins_with_the_segment_that_holds_the_next_entry(
    store: Store, chain: Chain, after: int, expected: list[int]
) -> None:
    for count in (1, 3, 2):
        await chain.append_to(store, count)

    assert [segment.first_sequence for segment in await store.read(after)] == expected


async def test_reading_beyond_the_head_finds_nothing(store: Store, chain: Chain) -> None:
    await chain.append_to(store, 2)
    assert await store.read(99) == []


async def test_a_read_is_bounded_in_bytes_but_always_gets_on(store: Store, chain: Chain) -> None:
    segments = [await chain.append_to(store, padding=1000) for _ in range(5)]
    size = len(segments[0].body)

    assert await store.read(0, limit=1) == segments[:1]
    assert await store.read(0, limit=size) == segments[:1]
    assert await store.read(0, limit=size + 1) == segments[:2]
    assert await store.read(2, limit=size * 3) == segments[2:5]


async def test_each_entry_is_found_by_its_sequence(store: Store, chain: Chain) -> None:
    for count in (1, 3, 2):
        await chain.append_to(store, count)

    assert [await store.read_entry(sequence) for sequence in range(1, 7)] == [record(n) for n in range(1, 7)]
    assert await store.read_entry(0) is None
    assert await store.read_entry(7) is None


async def test_an_append_elsewhere_than_at_the_head_is_refused_and_changes_nothing(store: Store, chain: Chain) -> None:
    first = chain.next(2)
    second = chain.next()
    with pytest.raises(HeadMoved):
        await store.append(2, second)
    await store.append(0, first)
    with pytest.raises(HeadMoved):
        await store.append(0, first)
    await store.append(2, second)

    assert await store.read(0) == [first, second]


@pytest.mark.parametrize("store", ["sqlite", "sqlite on a slow disk"], indirect=True)
async def test_what_is_appended_at_once_is_there_and_refused_elsewhere_than_at_the_head(
    store: Store, chain: Chain
) -> None:
    assert isinstance(store, AppendsAtOnce)
    first, second = chain.next(2), chain.next()
    store.append_now(0, first)
    with pytest.raises(HeadMoved) as refused:
        store.append_now(0, first)
    with pytest.raises(HeadMoved):
        await store.explain(refused.value)
    store.append_now(2, second)
    assert await store.read(0) == [first, second]


async def test_a_writer_of_an_older_epoch_is_fenced_off(store: Store, chain: Chain) -> None:
    first = await chain.append_to(store)
    await fence(store)
    with pytest.raises(HeadMoved):
        await chain.append_to(store)

    assert await store.read(0) == [first]


async def test_large_and_many_records_come_back_whole(store: Store, chain: Chain) -> None:
    large = await chain.append_to(store, padding=300_000)
    many = await chain.append_to(store, count=3000)

    assert await store.read(0) == [large, many]
    assert records(many)[-1] == record(3001)


async def test_checkpoints_and_probes_change_nothing(store: Store, chain: Chain) -> None:
    segments = []
    for _ in range(3):
        segments.append(await chain.append_to(store))
        if isinstance(store, KeepsHouse):
            await store.checkpoint()
            assert not store.checkpoint_due
        await store.probe()

    assert await store.read(0) == segments


async def test_closing_twice_is_harmless(store: Store) -> None:
    await store.aclose()
    await store.aclose()
