"""A journal that no daemon has open can be read and verified without being changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journal.chains import Chain
from walletd.journal.failures import JournalLocked, JournalUnreadable, JournalUnsupported
from walletd.journal.offline import charter_offline, read_offline
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.verification import verified

Crash = Callable[[Path], Path]


async def test_a_closed_journal_is_read_in_order_and_verifies(tmp_path: Path, chain: Chain) -> None:
    async with open_journal(tmp_path) as store:
        segments = [await chain.append_to(store, count) for count in (1, 2, 3)]
        instance = store.instance
    content = (tmp_path / DATABASE_NAME).read_bytes()

    assert list(read_offline(tmp_path / DATABASE_NAME)) == segments
    assert list(verified(read_offline(tmp_path / DATABASE_NAME)))[-1].head.root == chain.frontier.root()
    assert charter_offline(tmp_path / DATABASE_NAME).instance == instance
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


async def test_what_a_crash_left_in_the_log_is_read_too(tmp_path: Path, chain: Chain, crash: Crash) -> None:
    async with open_journal(tmp_path / "live") as store:
        segments = [await chain.append_to(store, count) for count in (1, 2, 3)]
        crashed = crash(tmp_path / "live")

    assert list(read_offline(crashed / DATABASE_NAME)) == segments
    async with open_journal(crashed) as store:
        assert await store.read(0) == segments


async def test_a_journal_in_use_is_left_alone(tmp_path: Path) -> None:
    async with open_journal(tmp_path):
        with pytest.raises(JournalLocked, match="running walletd"):
            list(read_offline(tmp_path / DATABASE_NAME))


async def test_a_daemon_cannot_start_while_a_journal_is_read(tmp_path: Path, chain: Chain) -> None:
    async with open_journal(tmp_path) as store:
        await chain.append_to(store)
    reading = read_offline(tmp_path / DATABASE_NAME)
    next(reading)
    with pytest.raises(JournalLocked):
        async with open_journal(tmp_path):
            pass
    reading.close()  # type: ignore[attr-defined]
    async with open_journal(tmp_path):
        pass


async def test_a_lone_copy_is_read_without_any_file_being_made(tmp_path: Path, chain: Chain) -> None:
    async with open_journal(tmp_path / "live") as store:
        segment = await chain.append_to(store)
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / "backup.db"
    copy.write_bytes((tmp_path / "live" / DATABASE_NAME).read_bytes())
    (tmp_path / "copy").chmod(0o500)

    assert list(read_offline(copy)) == [segment]
    assert [path.name for path in copy.parent.iterdir()] == ["backup.db"]


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(JournalUnreadable, match="there is no file"):
        list(read_offline(tmp_path / DATABASE_NAME))


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"Dear diary" * 1000)
    with pytest.raises(JournalUnsupported):
        list(read_offline(tmp_path / DATABASE_NAME))
