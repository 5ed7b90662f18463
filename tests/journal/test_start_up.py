"""Opening a journal: made once and completely, refused when anything is not as it must be."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journal.chains import Chain, record
from walletd.journal.failures import (
    JournalCorrupt,
    JournalLocked,
    JournalReplaced,
    JournalUnreadable,
    JournalUnsupported,
)
from walletd.journal.sqlite.charter import _SETTINGS
from walletd.journal.sqlite.directory import (
    BALLAST_NAME,
    DATABASE_NAME,
    LOCK_NAME,
    file_systems,
    refuse_network_file_system,
)
from walletd.journal.sqlite.mark import MARK_NAME, read_mark
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.wal import wal_path

Crash = Callable[[Path], Path]

OPEN_ELSEWHERE = """
import sys, trio
from pathlib import Path
from walletd.journal.sqlite.opening import open_journal

async def main():
    async with open_journal(Path(sys.argv[1])):
        pass

trio.run(main)
"""


async def made(directory: Path, segments: int = 3) -> Chain:
    """A journal with some segments, properly closed."""
    chain = Chain()
    async with open_journal(directory) as store:
        for _ in range(segments):
            await chain.append_to(store, 2)
    return chain


def database(directory: Path, *statements: str) -> Path:
    """A SQLite file that some other program has made."""
    directory.mkdir()
    path = directory / DATABASE_NAME
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


async def test_a_new_journal_is_empty_private_and_has_an_identity(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    async with open_journal(directory, new_instance=lambda: "walrus", now=lambda: 12345, ballast_bytes=1000) as store:
        assert (store.instance, store.epoch, store.created_at) == ("walrus", 1, 12345)
        assert (await store.head()).sequence == 0
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / BALLAST_NAME).stat().st_size == 1000


async def test_a_journal_keeps_its_identity_and_its_entries(tmp_path: Path) -> None:
    chain = await made(tmp_path)
    async with open_journal(tmp_path) as first:
        instance = first.instance
        assert (await first.head()).root == chain.frontier.root()
        await chain.append_to(first)
    async with open_journal(tmp_path) as second:
        assert second.instance == instance
        assert (await second.head()).root == chain.frontier.root()


async def test_two_journals_have_different_identities(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "one") as one, open_journal(tmp_path / "two") as two:
        assert one.instance != two.instance


@pytest.mark.parametrize(("name", "expected"), [(name, expected) for name, _, expected in _SETTINGS])
async def test_every_setting_is_in_force(tmp_path: Path, name: str, expected: object) -> None:
    async with open_journal(tmp_path) as store:
        assert await store._connection.rows(f"PRAGMA {name}") == [(expected,)]


async def test_durability_does_not_hang_on_a_default(tmp_path: Path) -> None:
    """The settings that lose entries when they are wrong, spelled out once more beside the list."""
    async with open_journal(tmp_path) as store:
        settings = [
            await store._connection.rows(f"PRAGMA {name}")
            for name in ("synchronous", "journal_mode", "locking_mode", "wal_autocheckpoint")
        ]
    assert settings == [[(2,)], [("wal",)], [("exclusive",)], [(0,)]]


async def test_each_commit_is_padded_to_a_sector(tmp_path: Path, chain: Chain) -> None:
    """psow=0 cannot be read back, so look at what it does: two frames for a commit of one page."""
    async with open_journal(tmp_path) as store:
        await chain.append_to(store)
        size = wal_path(tmp_path / DATABASE_NAME).stat().st_size
    assert size == 32 + 2 * (24 + 4096)


async def test_opening_settles_and_empties_the_log(tmp_path: Path, crash: Crash, chain: Chain) -> None:
    async with open_journal(tmp_path / "live") as store:
        await chain.append_to(store, 5)
        crashed = crash(tmp_path / "live")
    assert wal_path(crashed / DATABASE_NAME).stat().st_size > 0
    async with open_journal(crashed) as store:
        assert wal_path(crashed / DATABASE_NAME).stat().st_size == 0
        assert (await store.head()).sequence == 5


# What a crash leaves half-made is completed.


async def test_a_crash_at_any_moment_of_the_creation_leaves_something_to_complete(tmp_path: Path, crash: Crash) -> None:
    live = tmp_path / "live"
    live.mkdir()
    connection = sqlite3.connect(live / DATABASE_NAME, isolation_level=None)
    moments = [crash(live)]
    for statement in ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"):
        connection.execute(statement).fetchall()
        moments.append(crash(live))
    connection.execute("CREATE TABLE journal (singleton INTEGER PRIMARY KEY) STRICT")
    moments.append(crash(live))
    connection.close()
    for moment in moments:
        async with open_journal(moment) as store:
            assert (await store.head()).sequence == 0


async def test_a_crash_right_after_the_creation_leaves_the_same_journal(tmp_path: Path, crash: Crash) -> None:
    async with open_journal(tmp_path / "live") as store:
        crashed = crash(tmp_path / "live")
        async with open_journal(crashed) as again:
            assert again.instance == store.instance


# What is not ours is refused, and left as it is.


async def test_another_program_s_database_is_refused_untouched(tmp_path: Path) -> None:
    path = database(tmp_path / "theirs", "CREATE TABLE accounts (id)", "INSERT INTO accounts VALUES (1)")
    before = path.read_bytes()
    with pytest.raises(JournalUnsupported, match="not a journal of walletd"):
        async with open_journal(path.parent):
            pass
    assert path.read_bytes() == before


async def test_a_database_marked_by_another_program_is_refused_although_it_is_empty(tmp_path: Path) -> None:
    path = database(tmp_path / "theirs", "PRAGMA application_id = 77", "CREATE TABLE a (b)", "DROP TABLE a")
    with pytest.raises(JournalUnsupported, match="not a journal of walletd"):
        async with open_journal(path.parent):
            pass


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(JournalUnsupported):
        async with open_journal(tmp_path):
            pass
    assert (tmp_path / DATABASE_NAME).read_bytes() == b"Dear diary, " * 1000


async def test_a_format_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    await made(tmp_path)
    connection = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
    connection.execute("UPDATE journal SET format = 2")
    connection.close()
    with pytest.raises(JournalUnsupported, match="format 2, this version knows format 1"):
        async with open_journal(tmp_path):
            pass


async def test_a_directory_that_cannot_be_made_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalUnreadable):
        async with open_journal(tmp_path / "file" / "journal"):
            pass


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("walletd.journal.sqlite.directory.file_systems", lambda mounts, device: [kind])
    with pytest.raises(JournalUnsupported, match=kind):
        refuse_network_file_system(tmp_path)


def test_the_file_system_is_found_by_its_device() -> None:
    mounts = [
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
        "37 35 0:52 / /srv rw,relatime shared:7 master:2 - nfs4 server:/export rw",
        "nonsense",
    ]
    assert file_systems(mounts, "0:52") == ["nfs4"]
    assert file_systems(mounts, "98:0") == ["ext3"]
    assert file_systems(mounts, "1:1") == []


# One journal, one process.


async def test_a_second_process_is_refused_and_told_who_holds_the_journal(tmp_path: Path) -> None:
    async with open_journal(tmp_path):
        second = subprocess.run(
            [sys.executable, "-c", OPEN_ELSEWHERE, tmp_path], capture_output=True, text=True, check=False
        )
        holder = (tmp_path / LOCK_NAME).read_text().strip()
    assert "JournalLocked" in second.stderr
    assert f"held by process {holder}" in second.stderr
    assert "Stop the other walletd" in second.stderr


async def test_a_second_opening_in_the_same_process_is_refused(tmp_path: Path) -> None:
    async with open_journal(tmp_path):
        with pytest.raises(JournalLocked):
            async with open_journal(tmp_path):
                pass


async def test_a_closed_journal_can_be_opened_by_anybody(tmp_path: Path) -> None:
    await made(tmp_path)
    subprocess.run([sys.executable, "-c", OPEN_ELSEWHERE, tmp_path], check=True)


async def test_another_program_can_neither_write_nor_read_while_the_journal_is_open(tmp_path: Path) -> None:
    peek = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute(sys.argv[2]).fetchall()"
    async with open_journal(tmp_path):
        for statement in ("SELECT * FROM journal", "DELETE FROM segment"):
            answer = subprocess.run(
                [sys.executable, "-c", peek, tmp_path / DATABASE_NAME, statement],
                capture_output=True,
                text=True,
                check=False,
            )
            assert "database is locked" in answer.stderr


async def test_a_program_that_has_the_file_open_keeps_us_out(tmp_path: Path) -> None:
    await made(tmp_path)
    hold = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path / DATABASE_NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(JournalLocked):
            async with open_journal(tmp_path):
                pass
    finally:
        holder.communicate()


# The journal that was here is the journal that is here.


async def test_the_mark_moves_when_the_journal_is_closed(tmp_path: Path) -> None:
    chain = await made(tmp_path)
    mark = read_mark(tmp_path)
    assert mark is not None
    assert (mark.sequence, mark.root) == (6, chain.frontier.root().hex())


async def test_an_older_copy_of_the_file_is_refused_until_the_mark_is_removed(tmp_path: Path, crash: Crash) -> None:
    chain = await made(tmp_path / "live")
    older = crash(tmp_path / "live")
    async with open_journal(tmp_path / "live") as store:
        await chain.append_to(store)
    (tmp_path / "live" / DATABASE_NAME).write_bytes((older / DATABASE_NAME).read_bytes())

    with pytest.raises(JournalReplaced, match="ends at entry 6, but it had 7"):
        async with open_journal(tmp_path / "live"):
            pass
    (tmp_path / "live" / MARK_NAME).unlink()
    async with open_journal(tmp_path / "live") as store:
        assert (await store.head()).sequence == 6


@pytest.mark.parametrize("content", [None, b""])
async def test_a_journal_that_has_vanished_is_not_quietly_begun_anew(tmp_path: Path, content: bytes | None) -> None:
    await made(tmp_path)
    (tmp_path / DATABASE_NAME).unlink()
    if content is not None:
        (tmp_path / DATABASE_NAME).write_bytes(content)
    with pytest.raises(JournalReplaced, match="missing or empty"):
        async with open_journal(tmp_path):
            pass


async def test_another_journal_in_its_place_is_refused(tmp_path: Path) -> None:
    await made(tmp_path / "one")
    await made(tmp_path / "two")
    (tmp_path / "one" / DATABASE_NAME).write_bytes((tmp_path / "two" / DATABASE_NAME).read_bytes())
    with pytest.raises(JournalReplaced, match="was here"):
        async with open_journal(tmp_path / "one"):
            pass


async def test_another_history_of_the_same_journal_is_refused(tmp_path: Path, crash: Crash) -> None:
    async with open_journal(tmp_path / "live"):
        pass
    twin = crash(tmp_path / "live")
    ours, theirs = Chain(), Chain()
    async with open_journal(tmp_path / "live") as store:
        await ours.append_to(store, 2)
    async with open_journal(twin) as store:
        await theirs.append_to(store, 2, padding=1)
    (tmp_path / "live" / DATABASE_NAME).write_bytes((twin / DATABASE_NAME).read_bytes())
    with pytest.raises(JournalReplaced, match="another history"):
        async with open_journal(tmp_path / "live"):
            pass


@pytest.mark.parametrize("damage", [b"", b"\x00" * 200, b"garbage"])
async def test_an_unreadable_mark_proves_nothing(tmp_path: Path, damage: bytes) -> None:
    await made(tmp_path)
    (tmp_path / MARK_NAME).write_bytes(damage)
    async with open_journal(tmp_path) as store:
        assert await store.read_entry(6) == record(6)


async def test_an_exception_in_the_body_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError) as raised:
        async with open_journal(tmp_path):
            raise KeyError("body")
    assert not isinstance(raised.value, BaseExceptionGroup)


def test_every_failure_tells_the_operator_what_to_do() -> None:
    failure = JournalCorrupt("the segment at sequence 7 does not have the digest it was stored with")
    assert str(failure).endswith(JournalCorrupt.advice)
