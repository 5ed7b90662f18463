"""The journal in PostgreSQL: commits of unknown outcome, the lease, the archive, and what is refused at the start."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.journal.chains import Chain, record
from tests.postgresql import Server
from walletd.journal.failures import (
    JournalCorrupt,
    JournalLocked,
    JournalReplaced,
    JournalUnsupported,
    LeadershipLost,
)
from walletd.journal.following import Leader
from walletd.journal.postgresql.connection import Connection, ConnectionLost, DatabaseUnusable, Value, connect
from walletd.journal.postgresql.lease import Lease
from walletd.journal.postgresql.ledger import Node
from walletd.journal.postgresql.link import Link
from walletd.journal.postgresql.opening import JournalElsewhere, open_ledger
from walletd.journal.postgresql.schema import APPEND, READ_LIMIT_SEGMENTS
from walletd.journal.postgresql.store import PostgresqlJournalStore
from walletd.journal.segment import Segment
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.verification import verified

Open = Callable[..., AbstractAsyncContextManager[PostgresqlJournalStore]]


@pytest.fixture
def place(database_server: Server) -> tuple[str, str]:
    """A database and the name of a ledger that is not there yet."""
    return database_server.url(), database_server.new_ledger()


@pytest.fixture
def lead(place: tuple[str, str], tmp_path: Path) -> Open:
    """Open the ledger as a node: ``lead("a")``."""

    def lead_as(node: str, **terms: float) -> AbstractAsyncContextManager[PostgresqlJournalStore]:
        return open_ledger(*place, tmp_path / node, node=Node(node), allow_unreplicated=True, **terms)  # type: ignore[arg-type]

    return lead_as


@pytest.fixture
async def store(lead: Open) -> AsyncIterator[PostgresqlJournalStore]:
    async with lead("a") as ledger:
        yield ledger


# --- appends of unknown outcome ------------------------------------------------------------------------------------


@pytest.mark.interpreted
@pytest.mark.parametrize("is_written", [True, False])
async def test_an_append_whose_answer_is_lost_is_settled_in_the_next_term(
    store: PostgresqlJournalStore, chain: Chain, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    first = await chain.append_to(store)
    term, change = store.term, Connection.change
    losses = [None]

    async def lose_one(self: Connection, statement: str, *values: Value) -> int:
        if statement != APPEND or not losses:
            return await change(self, statement, *values)
        losses.pop()
        if is_written:
            await change(self, statement, *values)
        self.close()
        raise ConnectionLost("the test cut it")

    monkeypatch.setattr(Connection, "change", lose_one)
    second = await chain.append_to(store, 2)
    third = await chain.append_to(store)

    assert not losses
    assert store.term == term + 1
    assert await store.read(0) == [first, second, third]


async def test_a_cancelled_wait_for_the_standby_is_no_answer(
    store: PostgresqlJournalStore, chain: Chain, database_server: Server
) -> None:
    """PostgreSQL answers such a commit as if all were well, with a warning."""
    term = store.term
    database_server.set("synchronous_standby_names", "nowhere")
    waiting = "wait_event = 'SyncRep' AND query NOT LIKE '%SET term%'"
    cancel = f"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {waiting}"
    taking = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%SET term = term%' AND pid <> "
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(chain.append_to, store)
            while not await trio.to_thread.run_sync(database_server.execute, taking + "pg_backend_pid()"):
                assert store.known_head.sequence == 0
                await trio.to_thread.run_sync(database_server.execute, cancel)
            database_server.set("synchronous_standby_names", "")
    finally:
        database_server.set("synchronous_standby_names", "")
    assert store.term == term + 1
    assert store.known_head.sequence == 1
    assert len(await store.read(0)) == 1


async def test_a_restarted_database_is_waited_for(
    store: PostgresqlJournalStore, chain: Chain, database_server: Server
) -> None:
    first = await chain.append_to(store)
    await trio.to_thread.run_sync(database_server.stop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(chain.append_to, store)
        nursery.start_soon(store.read, 0)
        await trio.to_thread.run_sync(database_server.start)
    assert [segment.last_sequence for segment in await store.read(0)] == [first.last_sequence, 2]


# --- the lease -----------------------------------------------------------------------------------------------------


async def test_another_node_waits_and_takes_over_at_once_when_the_ledger_is_released(lead: Open, chain: Chain) -> None:
    seen: list[Leader | None] = []
    told = trio.Event()

    def following(leader: Leader | None) -> None:
        seen.append(leader)
        told.set()

    async def follow() -> None:
        async with lead("b", lease_seconds=3600, following=following) as second:
            assert second.term == 2
            await chain.append_to(second)

    async with trio.open_nursery() as nursery, lead("a", lease_seconds=3600) as first:
        await chain.append_to(first)
        nursery.start_soon(follow)
        await told.wait()
    assert seen[0] is not None
    assert (seen[0].owner, seen[0].term) == ("a", 1)
    assert chain.head == 2


@pytest.fixture
def zombies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that renew nothing, as if their processes were stopped."""

    async def sleep(self: Lease, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    monkeypatch.setattr(Lease, "keep", sleep)


@pytest.mark.usefixtures("zombies")
async def test_a_node_that_was_overtaken_can_neither_append_nor_answer(lead: Open, chain: Chain) -> None:
    with pytest.RaisesGroup(LeadershipLost, flatten_subgroups=True):
        async with lead("a", lease_seconds=0.5) as first:
            await chain.append_to(first)
            async with lead("b") as second:
                assert second.term == 2
                await chain.append_to(second)
                assert first.is_overtaken()
                await first.append(2, chain.next())
    async with lead("c") as third:
        assert (await third.head()).sequence == 2


@pytest.mark.usefixtures("zombies")
async def test_the_term_fences_a_node_that_believes_in_its_lease(lead: Open, chain: Chain) -> None:
    with pytest.RaisesGroup(LeadershipLost, flatten_subgroups=True):
        async with lead("a", lease_seconds=0.5) as first:
            async with lead("b") as second:
                await chain.append_to(second)
            assert first.lease is not None
            first.lease.renewed(float("inf"))
            await first.append(1, chain.next())


def lease_without_renewals(now: Callable[[], float]) -> Lease:
    class Unreachable(Link):
        async def ready(self) -> Connection:
            raise ConnectionLost("it cannot be reached")

    return Lease(Unreachable(""), "main", "a", 10, 100.0, now)


async def test_a_lease_is_over_a_margin_before_its_end_counted_from_when_it_was_sent() -> None:
    now = 100.0
    lease = lease_without_renewals(lambda: now)
    assert (lease.is_over, lease.left_seconds) == (False, 9.0)
    now = 108.99
    assert not lease.is_over
    now = 109.0
    assert lease.is_over


async def test_a_lease_that_cannot_be_renewed_ends_the_leadership(autojump_clock: trio.testing.MockClock) -> None:
    begun = trio.current_time()
    lease = lease_without_renewals(lambda: 100.0 + trio.current_time() - begun)
    with pytest.raises(LeadershipLost):
        await lease.keep()
    assert trio.current_time() - begun == pytest.approx(9)


# --- the archive ---------------------------------------------------------------------------------------------------


async def test_what_is_packed_is_read_as_before(store: PostgresqlJournalStore, chain: Chain) -> None:
    segments = [await chain.append_to(store, count, padding=100) for count in (1, 3, 2, 5, 1)]
    used = await store.used_bytes()

    assert await store.boundary(keep_entries=2) == 6
    assert await store.pack_next(6) == 6
    assert await store.used_bytes() < used
    assert store.archive.last_sequence == 6
    assert await store.oldest() == segments[3]

    read: list[Segment] = []
    while found := await store.read(read[-1].last_sequence if read else 0, limit=1):
        read += found
    assert read == segments
    assert list(verified(read))[-1].head == await store.head()
    assert [await store.read_entry(sequence) for sequence in range(13)] == [
        None, *(record(sequence, 100) for sequence in range(1, 13))
    ]  # fmt: skip


async def test_a_read_that_meets_the_packing_finds_everything(store: PostgresqlJournalStore, chain: Chain) -> None:
    for _ in range(40):
        await chain.append_to(store)

    async def pack() -> None:
        for target in range(4, 40, 4):
            await store.pack_next(target)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pack)
        for after in range(40):
            assert (await store.read(after, limit=1))[0].first_sequence == after + 1
            assert await store.read_entry(after + 1) == record(after + 1)


async def test_many_small_segments_are_read_in_several_steps(store: PostgresqlJournalStore, chain: Chain) -> None:
    for _ in range(READ_LIMIT_SEGMENTS + 3):
        await chain.append_to(store)
    first = await store.read(0)
    assert len(first) == READ_LIMIT_SEGMENTS
    assert len(await store.read(first[-1].last_sequence)) == 3


async def test_a_damaged_block_is_never_served(
    store: PostgresqlJournalStore, chain: Chain, database_server: Server
) -> None:
    await chain.append_to(store, 3)
    await chain.append_to(store)
    await store.pack_next(3)
    database_server.execute(f"UPDATE walletd.archive SET block = 'rot' WHERE ledger = '{store.name}'")
    with pytest.raises(JournalCorrupt):
        await store.read(0)
    with pytest.raises(JournalCorrupt):
        await store.read_entry(1)


# --- the start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("synchronous_standby_names", "", "names no synchronous standby"),
        ("fsync", "off", "does not keep what it acknowledges"),
        ("full_page_writes", "off", "does not keep what it acknowledges"),
    ],
)
async def test_a_database_that_loses_what_it_acknowledges_is_refused(
    place: tuple[str, str], tmp_path: Path, database_server: Server, setting: str, value: str, complaint: str
) -> None:
    database_server.set(setting, value)
    try:
        with pytest.raises(JournalUnsupported, match=complaint):
            async with open_ledger(*place, tmp_path / "a", allow_unreplicated=value == "off"):
                pass
    finally:
        database_server.set(setting, "" if setting == "synchronous_standby_names" else "on")


async def test_a_ledger_that_has_lost_its_end_is_refused(lead: Open, chain: Chain, database_server: Server) -> None:
    async with lead("a") as store:
        first = await chain.append_to(store)
        await chain.append_to(store)
    lost = f"ledger = '{store.name}' AND first_sequence = 2"
    database_server.execute(f"DELETE FROM walletd.segment WHERE {lost}")
    database_server.execute(
        f"UPDATE walletd.ledger SET head = 1, root = '\\x{first.root.hex()}' WHERE name = '{store.name}'"
    )
    with pytest.RaisesGroup(JournalReplaced, flatten_subgroups=True):
        async with lead("a"):
            pass


async def test_a_head_that_is_not_its_last_segments_is_refused(
    lead: Open, chain: Chain, database_server: Server
) -> None:
    async with lead("a") as store:
        await chain.append_to(store, 2)
    database_server.execute(f"DELETE FROM walletd.segment WHERE ledger = '{store.name}'")
    with pytest.RaisesGroup(JournalCorrupt, flatten_subgroups=True):
        async with lead("b"):
            pass


async def test_a_folder_with_a_journal_of_its_own_is_refused(lead: Open, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / DATABASE_NAME).touch()
    with pytest.raises(JournalElsewhere):
        async with lead("a"):
            pass


async def test_one_process_uses_a_folder(lead: Open) -> None:
    async with lead("a"):
        with pytest.raises(JournalLocked):
            async with lead("a"):
                pass


@pytest.mark.parametrize("url", ["no connection string", "postgresql://[", "host=/tmp nonsense=1"])
async def test_what_is_no_connection_string_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        await connect(url)
    assert url not in str(refused.value)


async def test_a_password_is_never_logged(
    lead: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    caplog.set_level(logging.DEBUG)
    with trio.move_on_after(3):
        async with open_ledger(f"postgresql://walletd:geheim@/x?host={tmp_path}", "main", tmp_path / "a"):
            pass
    assert "trying again" in caplog.text
    assert "geheim" not in caplog.text


async def test_ledgers_of_one_database_are_apart(database_server: Server, tmp_path: Path) -> None:
    opened = partial(open_ledger, database_server.url(), allow_unreplicated=True)
    one, two = Chain(), Chain()
    names = database_server.new_ledger(), database_server.new_ledger()
    async with opened(names[0], tmp_path / "1") as first, opened(names[1], tmp_path / "2") as second:
        await one.append_to(first, 2)
        await two.append_to(second, 3)
        assert (await first.head()).sequence == 2
        assert (await second.head()).sequence == 3
        assert first.instance != second.instance
