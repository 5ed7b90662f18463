"""What the journal's tests share: fixtures, and the stores that every contract test runs on."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests import postgresql
from tests.journal.chains import Chain
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.postgresql.opening import open_ledger
from walletd.journal.postgresql.store import PostgresqlJournalStore
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.runtime import blocking_calls

Store = SqliteJournalStore | MemoryJournalStore | PostgresqlJournalStore


@pytest.fixture(scope="session")
def database_server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture(params=["sqlite", "sqlite on a slow disk", "memory", "postgresql"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryJournalStore()
        return
    if request.param == "postgresql":
        server = request.getfixturevalue("database_server")
        async with open_ledger(server.url(), server.new_ledger(), tmp_path / "data", allow_unreplicated=True) as ledger:
            yield ledger
        return
    if "slow" in request.param:
        monkeypatch.setattr(blocking_calls, "CALLS_IN_THREAD", 1)
        monkeypatch.setattr(blocking_calls, "SLOW_SECONDS", -1.0)
    async with open_journal(tmp_path / "journal") as sqlite_store:
        yield sqlite_store


@pytest.fixture
def crash(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a journal as a crash would leave it, without opening its files in this process."""
    count = 0

    def copy(directory: Path) -> Path:
        nonlocal count
        count += 1
        target = tmp_path / f"crashed-{count}"
        subprocess.run(["cp", "-r", directory, target], check=True)
        return target

    return copy
