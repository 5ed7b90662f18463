"""What has rotted is refused or provably unharmed; of what a crash tore, at most the commit in flight is missing."""

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journal.chains import Chain
from walletd.journal.failures import JournalCorrupt, JournalFailure
from walletd.journal.offline import read_offline
from walletd.journal.segment import Segment
from walletd.journal.sqlite import wal
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.wal import inspect, wal_path
from walletd.journal.verification import verified

Crash = Callable[[Path], Path]
SEGMENTS = 30
FRAME_BYTES = 4120


@pytest.fixture
async def crashed(tmp_path: Path, crash: Crash) -> Path:
    """A journal whose process was killed: every commit is in the log, none in the database file."""
    chain = Chain()
    async with open_journal(tmp_path / "live", ballast_bytes=0) as store:
        for _ in range(SEGMENTS):
            await chain.append_to(store, padding=200)
        return crash(tmp_path / "live")


async def everything(directory: Path) -> list[Segment]:
    """Open the journal and read all of it, verified, the way the daemon starts."""
    found: list[Segment] = []
    async with open_journal(directory, ballast_bytes=0) as store:
        while segments := await store.read(len(found)):
            found += segments
    list(verified(found))
    return found


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(content))


async def test_an_unharmed_log_is_recovered_whole(crashed: Path) -> None:
    assert inspect(crashed / DATABASE_NAME) == SEGMENTS * 2 + frames_of_new_pages(crashed)
    assert len(await everything(crashed)) == SEGMENTS


def frames_of_new_pages(directory: Path) -> int:
    """Frames beyond one page and one padding for each commit."""
    return (wal_path(directory / DATABASE_NAME).stat().st_size - 32) // FRAME_BYTES - SEGMENTS * 2


@pytest.mark.parametrize("size", [512, 4096])
async def test_a_first_page_that_was_destroyed_while_it_was_written_is_restored_from_the_log(
    crashed: Path, chance: random.Random, size: int
) -> None:
    """The power fails in a checkpoint: the log, which is synced before, holds the page."""
    database = crashed / DATABASE_NAME
    content = bytearray(database.read_bytes())
    content[:size] = chance.randbytes(size)
    database.write_bytes(bytes(content))
    assert len(await everything(crashed)) == SEGMENTS


async def test_a_flipped_bit_in_the_log_never_loses_more_than_the_last_commit(
    crashed: Path, crash: Crash, chance: random.Random
) -> None:
    refused = 0
    for _ in range(100):
        copy = crash(crashed)
        log = wal_path(copy / DATABASE_NAME)
        bit = chance.randrange(log.stat().st_size * 8)
        flip(log, bit)
        try:
            found = await everything(copy)
        except JournalCorrupt:
            refused += 1
        else:
            assert len(found) >= SEGMENTS - 1, f"bit {bit}"
    assert refused > 80


async def test_without_looking_at_the_log_first_flips_would_lose_commits(
    crashed: Path, crash: Crash, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: believe what SQLite recovers."""
    monkeypatch.setattr(wal, "_LEGAL_LOSS", 10_000)
    lost = 0
    for _ in range(10):
        copy = crash(crashed)
        log = wal_path(copy / DATABASE_NAME)
        flip(log, chance.randrange(32 * 8, log.stat().st_size * 8 // 2))
        lost += len(await everything(copy)) < SEGMENTS - 1
    assert lost > 5


@pytest.mark.parametrize("at", range(32))
async def test_a_damaged_header_of_the_log_is_refused(crashed: Path, at: int) -> None:
    flip(wal_path(crashed / DATABASE_NAME), at * 8 + 3)
    with pytest.raises(JournalCorrupt):
        inspect(crashed / DATABASE_NAME)


@pytest.mark.parametrize("missing", [1, 24, 4096, FRAME_BYTES, FRAME_BYTES + 1, FRAME_BYTES + 4095])
async def test_a_torn_tail_is_legal(crashed: Path, missing: int) -> None:
    log = wal_path(crashed / DATABASE_NAME)
    log.write_bytes(log.read_bytes()[:-missing])
    assert len(await everything(crashed)) in (SEGMENTS - 1, SEGMENTS)


async def test_the_sectors_of_the_commit_in_flight_may_hold_anything(
    crashed: Path, crash: Crash, chance: random.Random
) -> None:
    """A power cut in the last commit: each of its sectors is old, new or garbage.  Nothing before it may suffer."""
    whole = wal_path(crashed / DATABASE_NAME).read_bytes()
    begin = len(whole) - 2 * FRAME_BYTES
    for _ in range(40):
        torn = bytearray(whole)
        for sector in range(begin - begin % 4096 + 4096, len(whole), 4096):
            fate = chance.choice(["new", "zero", "garbage"])
            end = min(sector + 4096, len(whole))
            if fate != "new":
                torn[sector:end] = chance.randbytes(end - sector) if fate == "garbage" else bytes(end - sector)
        copy = crash(crashed)
        wal_path(copy / DATABASE_NAME).write_bytes(bytes(torn))
        assert len(await everything(copy)) in (SEGMENTS - 1, SEGMENTS)


async def test_a_header_destroyed_with_the_first_commit_after_a_checkpoint_is_legal(
    tmp_path: Path, crash: Crash
) -> None:
    """The header shares its sector with the first frame, and everything older is in the database by then."""
    chain = Chain()
    async with open_journal(tmp_path / "live", ballast_bytes=0) as store:
        for _ in range(SEGMENTS):
            await chain.append_to(store, padding=200)
        await store.checkpoint()
        await chain.append_to(store, padding=200)
        crashed = crash(tmp_path / "live")
    log = wal_path(crashed / DATABASE_NAME)
    content = log.read_bytes()
    log.write_bytes(b"\xa5" * 4096 + content[4096:])
    assert len(await everything(crashed)) == SEGMENTS


async def test_frames_left_over_from_before_a_checkpoint_do_no_harm(tmp_path: Path, crash: Crash) -> None:
    chain = Chain()
    async with open_journal(tmp_path / "live", ballast_bytes=0) as store:
        for _ in range(3):
            for _ in range(SEGMENTS):
                await chain.append_to(store, padding=200)
            await store.checkpoint()
        await chain.append_to(store)
        crashed = crash(tmp_path / "live")
    assert len(await everything(crashed)) == 3 * SEGMENTS + 1


async def test_an_emptied_database_beside_a_full_log_is_refused(crashed: Path) -> None:
    """SQLite would delete the log of an empty database."""
    (crashed / DATABASE_NAME).write_bytes(b"")
    (crashed / "journal.mark").unlink()
    with pytest.raises(JournalCorrupt):
        await everything(crashed)
    assert wal_path(crashed / DATABASE_NAME).stat().st_size > SEGMENTS * FRAME_BYTES


async def test_a_refused_log_is_left_as_it_is(crashed: Path) -> None:
    log = wal_path(crashed / DATABASE_NAME)
    flip(log, 100 * 8)
    before = log.read_bytes(), (crashed / DATABASE_NAME).read_bytes()
    with pytest.raises(JournalCorrupt):
        await everything(crashed)
    assert (log.read_bytes(), (crashed / DATABASE_NAME).read_bytes()) == before


async def test_a_flipped_bit_in_the_database_is_refused_or_harmless(
    tmp_path: Path, crash: Crash, chance: random.Random
) -> None:
    chain = Chain()
    segments = []
    async with open_journal(tmp_path / "live", ballast_bytes=0) as store:
        for _ in range(SEGMENTS):
            segments.append(await chain.append_to(store, chance.randrange(1, 20), padding=300))
    refused = 0
    for _ in range(150):
        copy = crash(tmp_path / "live")
        bit = chance.randrange((copy / DATABASE_NAME).stat().st_size * 8)
        flip(copy / DATABASE_NAME, bit)
        try:
            found = await everything(copy)
        except JournalFailure:
            refused += 1
        else:
            assert found == segments, f"bit {bit}"
    assert refused > 50


async def test_a_zeroed_sector_in_the_database_is_refused_or_harmless(tmp_path: Path, crash: Crash) -> None:
    chain = Chain()
    segments = []
    async with open_journal(tmp_path / "live", ballast_bytes=0) as store:
        for _ in range(SEGMENTS):
            segments.append(await chain.append_to(store, 5, padding=300))
    for sector in range((tmp_path / "live" / DATABASE_NAME).stat().st_size // 4096):
        copy = crash(tmp_path / "live")
        content = bytearray((copy / DATABASE_NAME).read_bytes())
        content[sector * 4096 : (sector + 1) * 4096] = bytes(4096)
        (copy / DATABASE_NAME).write_bytes(bytes(content))
        try:
            found = await everything(copy)
        except JournalFailure:
            continue
        assert found == segments, f"sector {sector}"


@pytest.mark.parametrize(
    "forgery",
    [
        "DELETE FROM segment WHERE first_sequence = 3",
        "DELETE FROM segment WHERE first_sequence = 1",
        "DELETE FROM segment WHERE first_sequence = (SELECT max(first_sequence) FROM segment)",
        "UPDATE segment SET body = replace(body, 'x', 'y') WHERE first_sequence = 3",
        "UPDATE segment SET entry_count = 2 WHERE first_sequence = 3",
        "UPDATE segment SET epoch = 0 WHERE first_sequence = 3",
        "UPDATE segment SET root = randomblob(32) WHERE first_sequence = 3",
        "UPDATE segment SET digest = randomblob(32) WHERE first_sequence = 3",
    ],
)
async def test_a_change_by_hand_is_refused(tmp_path: Path, forgery: str) -> None:
    chain = Chain()
    async with open_journal(tmp_path, ballast_bytes=0) as store:
        for _ in range(6):
            await chain.append_to(store, padding=10)
    connection = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
    connection.execute(
        forgery.replace("replace(body, 'x', 'y')", "CAST(replace(CAST(body AS TEXT), 'x', 'y') AS BLOB)")
    )
    connection.close()
    with pytest.raises(JournalCorrupt):
        await everything(tmp_path)


async def test_offline_reading_refuses_rot_too(tmp_path: Path, crashed: Path) -> None:
    flip(wal_path(crashed / DATABASE_NAME), 100 * 8)
    with pytest.raises(JournalCorrupt):
        list(read_offline(crashed / DATABASE_NAME))
