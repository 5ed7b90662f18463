"""The read tables may be lost, old, of another journal or damaged: what is served is what the journal says."""

import random
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.names import EUR
from tests.state_file import state_file, without_page_sums
from tests.wallets.conftest import CLIENT, answered, define, open_core, opening, submit, transfer
from walletd.daemon.engine import Engine
from walletd.journal.failures import JournalBehind, JournalCorrupt
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.store import JournalStore
from walletd.tables.command_ids import CommandIndex
from walletd.tables.file import FILE_NAME, ReadTablesRotten
from walletd.tables.log_chain import PAGE_BYTES
from walletd.tables.queries.statements import Question
from walletd.tables.queries.wallets import Queries, open_queries
from walletd.tables.writer import delete_read_tables
from walletd.upkeep.books_audit import BooksAudits
from walletd.upkeep.recovery import recover
from walletd.vocabulary.identifiers import EXTERNAL, WalletId
from walletd.vocabulary.states import WalletStatus

TABLES = ("progress", "asset", "wallet", "balance", "balance_change", "command")


def quiet(done: int, whole: int) -> None:
    """The progress is not watched."""


async def fill(core: Engine, rounds: int, seed: int = 0) -> None:
    """Assets, wallets, payments over several wallets and assets, and refusals."""
    chance = random.Random(seed)
    tag = f"{core.writer.head}"
    if core.writer.head == 1:
        await answered(submit(core, define("EUR")), submit(core, define("BTC", 8)))
    wallets = [f"w{tag}:{number}" for number in range(5)]
    await answered(*[submit(core, opening(wallet)) for wallet in wallets])
    for number in range(rounds):
        one, other = chance.sample(wallets, 2)
        postings = [("@external", one, chance.randrange(1, 100)), (one, other, chance.randrange(1, 150))]
        asset = chance.choice(["EUR", "BTC"])
        await answered(submit(core, transfer(f"t{tag}-{number}", *postings, asset=asset, reference=f"r{number}")))


def contents(directory: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with state_file(directory / FILE_NAME) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in TABLES}


def change(directory: Path, sql: str, *values: Any) -> None:
    with state_file(directory / FILE_NAME) as connection:
        connection.execute(sql, values)
        assert connection.changes() != 0


async def recovered(store: JournalStore, directory: Path) -> tuple[bool, list[tuple[int, int]]]:
    """Recover and close again: whether the tables were rebuilt, and what progress was reported."""
    reports: list[tuple[int, int]] = []
    done = await recover(store, directory, lambda *report: reports.append(report))
    assert done.progress.sequence == done.frontier.size == (await store.head()).sequence
    await done.tables.aclose()
    return done.rebuilt, reports


@pytest.fixture
async def filled(tmp_path: Path) -> MemoryJournalStore:
    """A journal with a history; its read tables, all projected, are in tmp_path."""
    journal = MemoryJournalStore()
    async with open_core(tmp_path, journal) as core:
        await fill(core, 40)
    return journal


async def test_tables_that_are_whole_are_left_alone(tmp_path: Path, filled: MemoryJournalStore) -> None:
    before = contents(tmp_path)
    assert await recovered(filled, tmp_path) == (False, [])
    assert contents(tmp_path) == before
    assert len(before["balance_change"]) > 50
    assert len(before["command"]) == before["progress"][0][4] == 48


async def test_deleted_tables_are_rebuilt_with_the_same_contents(tmp_path: Path, filled: MemoryJournalStore) -> None:
    before = contents(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    rebuilt, reports = await recovered(filled, tmp_path)
    assert rebuilt
    assert reports[-1] == (48, 48)
    assert contents(tmp_path) == before


async def test_an_empty_journal_makes_empty_tables_and_rebuilds_nothing(tmp_path: Path) -> None:
    assert await recovered(MemoryJournalStore(), tmp_path) == (False, [])
    assert contents(tmp_path) == {table: [] for table in TABLES}


async def test_progress_is_reported_as_it_is_made(
    tmp_path: Path, filled: MemoryJournalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.upkeep.recovery.READ_BYTES", 1)
    (tmp_path / FILE_NAME).unlink()
    _, reports = await recovered(filled, tmp_path)
    assert [whole for _, whole in reports] == [48] * len(reports)
    assert [done for done, _ in reports] == [segment.last_sequence for segment in filled.disk]


async def test_a_crash_between_commit_and_projection_is_made_good_at_the_next_start(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    shutil.copy(tmp_path / FILE_NAME, behind)
    async with open_core(tmp_path, filled) as core:
        await fill(core, 25, seed=1)
    rebuilt, reports = await recovered(filled, behind)
    assert not rebuilt
    assert reports[-1] == (30, 30)
    assert contents(behind) == contents(tmp_path)


async def test_after_such_a_crash_the_core_goes_on_as_if_nothing_had_been(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    shutil.copy(tmp_path / FILE_NAME, behind)
    async with open_core(tmp_path, filled) as core:
        await answered(submit(core, opening("late")))
        late = submit(core, transfer("late-1", ("@external", "late", 7)))
        await answered(late)
    async with open_core(behind, filled) as core:
        again = submit(core, transfer("late-1", ("@external", "late", 7)))
        await answered(again)
        assert again.answer.durable == late.answer.durable
        assert again.answer.replayed
        page = await core.stored.tables.statement(Question(WalletId("late")), None, 10)
        assert page is not None
        assert [line.posted for line in page.statement.lines] == ["7"]


@pytest.mark.parametrize("seed", range(5))
async def test_wherever_the_tables_stand_they_are_made_the_same(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    journal = MemoryJournalStore()
    stages: list[Path] = []
    for number in range(4):
        async with open_core(tmp_path, journal) as core:
            await fill(core, chance.randrange(1, 30), seed=chance.randrange(1000))
        stages.append(tmp_path / f"stage{number}")
        stages[-1].mkdir()
        shutil.copy(tmp_path / FILE_NAME, stages[-1])
    for stage in stages:
        rebuilt, _ = await recovered(journal, stage)
        assert not rebuilt
        assert contents(stage) == contents(tmp_path)


async def test_tables_of_another_journal_are_rebuilt(tmp_path: Path, filled: MemoryJournalStore) -> None:
    other = MemoryJournalStore(instance="other")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with open_core(elsewhere, other) as core:
        await fill(core, 3, seed=9)
    expected = contents(tmp_path)
    shutil.copy(elsewhere / FILE_NAME, tmp_path)
    rebuilt, _ = await recovered(filled, tmp_path)
    assert rebuilt
    assert contents(tmp_path) == expected


async def test_tables_of_another_history_of_the_same_journal_are_rebuilt(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    """As after a restored backup that then went another way."""
    twin = MemoryJournalStore()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with open_core(elsewhere, twin) as core:
        await fill(core, 40, seed=9)
    assert (await twin.head()).sequence == (await filled.head()).sequence
    expected = contents(tmp_path)
    shutil.copy(elsewhere / FILE_NAME, tmp_path)
    rebuilt, _ = await recovered(filled, tmp_path)
    assert rebuilt
    assert contents(tmp_path) == expected


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_a_journal_that_lost_what_the_tables_show_is_refused(
    tmp_path: Path, filled: MemoryJournalStore, kept: int
) -> None:
    """A write-ahead log that was removed or shortened: SQLite takes what is left for all of it."""
    shorter = MemoryJournalStore(filled.disk[: len(filled.disk) * kept // 3])
    with pytest.raises(JournalBehind, match="was written to it"):
        await recovered(shorter, tmp_path)


async def test_a_journal_that_is_behind_on_purpose_is_taken_without_the_tables(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    shorter = MemoryJournalStore(filled.disk[: len(filled.disk) // 2])
    delete_read_tables(tmp_path)
    await recovered(shorter, tmp_path)
    assert contents(tmp_path)["progress"][0][4] == (await shorter.head()).sequence


async def test_tables_that_disagree_with_themselves_about_being_ahead_are_rebuilt(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    change(tmp_path, "UPDATE progress SET sequence = sequence + 1000")
    rebuilt, _ = await recovered(filled, tmp_path)
    assert rebuilt


def hide_a_row(path: Path) -> None:
    """Make a page of the table of commands say that it has a row less than it holds."""
    with state_file(path) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'command'").fetchall()
    assert isinstance(page, int)
    content = bytearray(path.read_bytes())
    rows_at = (page - 1) * PAGE_BYTES + 3
    rows = int.from_bytes(content[rows_at : rows_at + 2], "big")
    assert rows > 1
    content[rows_at : rows_at + 2] = (rows - 1).to_bytes(2, "big")
    path.write_bytes(content)


async def test_a_row_that_rot_has_hidden_is_noticed_where_it_would_be_missed(
    tmp_path: Path, filled: MemoryJournalStore
) -> None:
    """A leaf that says that it has fewer rows than it holds."""
    path = tmp_path / FILE_NAME
    with state_file(path) as connection:
        ((principal, last),) = connection.execute("SELECT principal, max(command_id) FROM command").fetchall()
    hide_a_row(path)
    await recovered(filled, tmp_path)
    index = CommandIndex(path)
    with pytest.raises(ReadTablesRotten):
        index.find(str(principal), str(last))
    with pytest.raises(ReadTablesRotten):
        await index.survey()
    index.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"This is not a database. " * 1000)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def cut_to_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed_pages(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))


def another_program(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


def zeroed_log(path: Path) -> None:
    path.with_name(FILE_NAME + "-wal").write_bytes(bytes(10_000))


@pytest.mark.parametrize(
    "damage", [garbage, cut_short, cut_to_a_page, emptied, zeroed_pages, another_program, zeroed_log]
)
async def test_a_file_that_is_no_database_is_rebuilt(
    tmp_path: Path, filled: MemoryJournalStore, damage: Callable[[Path], None]
) -> None:
    expected = contents(tmp_path)
    damage(tmp_path / FILE_NAME)
    await recovered(filled, tmp_path)
    assert contents(tmp_path) == expected


async def test_a_file_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path, filled: MemoryJournalStore) -> None:
    """A thread of a connection that is never closed would keep the process from ever ending."""
    garbage(tmp_path / FILE_NAME)
    before = set(threading.enumerate())
    await recovered(filled, tmp_path)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("format", 999),
        ("instance", "another"),
        ("epoch", 7),
        ("sequence", 47),
        ("sequence", 0),
        ("sequence", -5),
        ("sequence", 2**60),
        ("frontier", b""),
        ("frontier", bytes(8)),
        ("frontier", b"\x00" * 40),
        ("frontier", b"\xff" * 72),
        ("time", 0),
        ("time", 2**62),
        ("time", -(2**62)),
    ],
)
async def test_a_progress_that_the_journal_does_not_confirm_is_not_believed(
    tmp_path: Path, filled: MemoryJournalStore, column: str, value: Any
) -> None:
    expected = contents(tmp_path)
    change(tmp_path, f"UPDATE progress SET {column} = ?", value)
    rebuilt, _ = await recovered(filled, tmp_path)
    assert rebuilt
    assert contents(tmp_path) == expected


async def test_tables_without_a_progress_are_rebuilt(tmp_path: Path, filled: MemoryJournalStore) -> None:
    expected = contents(tmp_path)
    change(tmp_path, "DELETE FROM progress")
    rebuilt, _ = await recovered(filled, tmp_path)
    assert rebuilt
    assert contents(tmp_path) == expected


async def test_a_journal_that_is_not_what_was_written_is_refused(tmp_path: Path, filled: MemoryJournalStore) -> None:
    (tmp_path / FILE_NAME).unlink()
    swapped = MemoryJournalStore([*filled.disk[:-1], msgspec.structs.replace(filled.disk[-1], root=bytes(32))])
    before = set(threading.enumerate())
    with pytest.raises(JournalCorrupt):
        await recover(swapped, tmp_path, quiet)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)
        assert not thread.is_alive()


# --- rot in the rows ------------------------------------------------------------------------------------------------

Read = Callable[[Queries, Path], Awaitable[Any]]


async def read_assets(queries: Queries, directory: Path) -> Any:
    return await queries.assets()


async def read_wallets(queries: Queries, directory: Path) -> Any:
    return (await queries.list_wallets("", None, 100)).wallets


async def read_some_wallets(queries: Queries, directory: Path) -> Any:
    return (await queries.some_wallets([*WALLETS, EXTERNAL])).wallets


async def read_books(queries: Queries, directory: Path) -> Any:
    books = await queries.books([*WALLETS, EXTERNAL])
    return [(name, book.record(), book.balance_records()) for name, book in books.items()]


async def read_audit(queries: Queries, directory: Path) -> Any:
    return await BooksAudits(directory / FILE_NAME).report()


async def read_statements(queries: Queries, directory: Path) -> Any:
    questions = [Question(name, newest_first=newest) for name in WALLETS for newest in (True, False)]
    questions += [question._replace(asset=EUR) for question in questions]
    pages = [await queries.statement(question, None, 1000) for question in questions]
    return [page.statement for page in pages if page is not None]


async def read_past(queries: Queries, directory: Path) -> Any:
    return [await queries.past_balances([name], None, 48) for name in [*WALLETS, EXTERNAL]]


async def read_halfway(queries: Queries, directory: Path) -> Any:
    return [await queries.past_balances([EXTERNAL], None, 24)]


async def read_by_time(queries: Queries, directory: Path) -> Any:
    return [await queries.past_balances(WALLETS, None, datetime.now(UTC))]


async def read_open_ones(queries: Queries, directory: Path) -> Any:
    return (await queries.list_wallets("", None, 100, WalletStatus.OPEN)).wallets


async def read_command_ids(queries: Queries, directory: Path) -> Any:
    index = CommandIndex(directory / FILE_NAME)
    try:
        found = [(command_id, index.find(CLIENT, command_id)) for command_id in COMMAND_IDS]
        return [(command_id, sequence) for command_id, sequence in found if sequence is not None]
    finally:
        index.close()


WALLETS = [WalletId(f"w1:{number}") for number in range(5)]
COMMAND_IDS = ["define-EUR", "define-BTC", *[f"open-{name}" for name in WALLETS], *[f"t1-{n}" for n in range(40)]]


@pytest.fixture
async def sealed(tmp_path: Path, filled: MemoryJournalStore) -> AsyncIterator[None]:
    """Read tables in tmp_path whose pages have no checksums, so that each row has a seal."""
    with without_page_sums():
        assert (await recovered(filled, tmp_path))[0]
        yield


@pytest.mark.parametrize(
    ("table", "column", "reads"),
    [
        ("asset", "asset", (read_assets,)),
        ("asset", "scale", (read_assets,)),
        ("asset", "seal", (read_assets,)),
        ("wallet", "wallet", (read_wallets,)),
        ("wallet", "record", (read_wallets, read_some_wallets, read_books)),
        ("wallet", "seal", (read_wallets, read_some_wallets, read_books)),
        ("wallet", "record", (read_open_ones,)),
        ("balance", "wallet", (read_audit,)),
        ("balance", "asset", (read_wallets, read_some_wallets, read_books, read_audit)),
        ("balance", "key", (read_wallets, read_some_wallets, read_books, read_audit)),
        *[("balance_change", column, (read_statements,)) for column in ("time", "posted", "lines", "seal")],
        *[("wallet_after", column, (read_past, read_statements)) for column in ("record", "seal")],
        *[
            ("last balance_change", column, (read_past, read_statements, read_wallets, read_books, read_audit))
            for column in ("version", "posted", "held", "lines", "seal")
        ],
        *[("moment", column, (read_halfway,)) for column in ("time", "offsets", "seal")],
        *[("last moment", column, (read_by_time,)) for column in ("time", "offsets", "seal")],
        ("command", "sequence", (read_command_ids,)),
        ("command", "seal", (read_command_ids,)),
    ],
)
async def test_where_pages_have_no_sums_a_flipped_bit_in_a_row_is_found_and_never_served(
    tmp_path: Path, sealed: None, table: str, column: str, reads: tuple[Read, ...]
) -> None:
    flip_a_bit_of(tmp_path, table, column)
    queries = await open_queries(tmp_path / FILE_NAME)
    try:
        for read in reads:
            with pytest.raises(ReadTablesRotten):
                await read(queries, tmp_path)
    finally:
        await queries.aclose()


def flip_a_bit_of(directory: Path, table: str, column: str) -> None:
    """In one row: of the client's own wallets, where the table has wallets."""
    condition = "wallet = 'w1:2'" if table in ("wallet", "balance", "balance_change", "wallet_after") else "1"
    if table == "last balance_change":
        table = "balance_change"
        condition = "id = (SELECT max(id) FROM balance_change WHERE wallet = 'w1:2')"
    if table == "moment":
        condition = "sequence = (SELECT max(sequence) FROM moment WHERE sequence <= 24)"
    if table == "last moment":
        table, condition = "moment", "sequence = (SELECT max(sequence) FROM moment)"
    if table == "command":
        condition = "command_id = 't1-7'"
    with state_file(directory / FILE_NAME) as connection:
        key = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
        (row,) = connection.execute(
            f"SELECT {column}, {', '.join(key)} FROM {table} WHERE {condition} LIMIT 1"
        ).fetchall()
    where = " AND ".join(f"{name} = ?" for name in key)
    change(directory, f"UPDATE {table} SET {column} = ? WHERE {where}", flipped(row[0]), *row[1:])


def flipped(value: Any) -> Any:
    match value:
        case int():
            return value ^ 1
        case str():
            return chr(ord(value[0]) ^ 1) + value[1:]
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]


async def test_text_that_is_not_utf8_any_more_is_found(tmp_path: Path, filled: MemoryJournalStore) -> None:
    change(tmp_path, "UPDATE balance_change SET lines = CAST(x'72ff37' AS TEXT) WHERE wallet = 'w1:2'")
    queries = await open_queries(tmp_path / FILE_NAME)
    with pytest.raises(ReadTablesRotten):
        await read_statements(queries, tmp_path)
    await queries.aclose()


@pytest.mark.parametrize("damage", [garbage, cut_to_a_page, zeroed_pages, another_program])
async def test_a_file_that_was_damaged_under_way_is_found(
    tmp_path: Path, filled: MemoryJournalStore, damage: Callable[[Path], None]
) -> None:
    damage(tmp_path / FILE_NAME)
    with pytest.raises(ReadTablesRotten):
        queries = await open_queries(tmp_path / FILE_NAME)
        try:
            await read_statements(queries, tmp_path)
        finally:
            await queries.aclose()


@pytest.mark.parametrize("seed", range(3))
async def test_after_a_flipped_bit_anywhere_in_the_file_nothing_is_served_that_was_not_written(
    tmp_path: Path, filled: MemoryJournalStore, seed: int
) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    written = await facts(tmp_path)
    assert len(written) > 120
    for _ in range(60):
        place = chance.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert await facts(tmp_path) <= written, f"bit {place}"


async def facts(directory: Path) -> set[str]:
    """Everything that all reads together show; those that find the damage show nothing."""
    shown: set[str] = set()
    for read in (read_assets, read_wallets, read_some_wallets, read_books, read_lines, read_command_ids):
        try:
            queries = await open_queries(directory / FILE_NAME)
            try:
                answer = await read(queries, directory)
            finally:
                await queries.aclose()
        except ReadTablesRotten:
            continue
        shown |= {f"{read.__name__} {msgspec.json.encode(fact).decode()}" for fact in answer}
    return shown


async def read_lines(queries: Queries, directory: Path) -> Any:
    return [(page.wallet, line) for page in await read_statements(queries, directory) for line in page.lines]


async def test_where_pages_have_no_sums_the_whole_file_is_looked_at(
    tmp_path: Path, filled: MemoryJournalStore, sealed: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A platform whose SQLite lacks the extension has files of its own make, and a slower start."""
    expected = contents(tmp_path)
    assert await recovered(filled, tmp_path) == (False, [])
    hide_a_row(tmp_path / FILE_NAME)
    await recovered(filled, tmp_path)
    assert "no page checksums" in caplog.text
    assert "is damaged" in caplog.text
    assert contents(tmp_path) == expected
