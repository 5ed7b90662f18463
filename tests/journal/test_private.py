"""A data folder belongs to its owner alone: what others own or can write is refused, what they can read is closed."""

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from walletd.journal.archive.archive import archive_for_writing
from walletd.journal.failures import JournalCorrupt, JournalExposed
from walletd.journal.sqlite.mark import MARK_NAME, Mark, read_mark, write_mark
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.private import close_to_others, refuse_exposed

OURS, STRANGER = 1000, 1001


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The owner of each file by its name, ours unless it is told, whether the test runs as root or not."""
    told: dict[str, int] = {}
    plain_fstat, plain_lstat = os.fstat, Path.lstat

    def owned(found: os.stat_result, name: str) -> os.stat_result:
        return os.stat_result((*found[:4], told.get(name, OURS), *found[5:]))

    def fstat(descriptor: int) -> os.stat_result:
        return owned(plain_fstat(descriptor), Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "geteuid", lambda: OURS)
    monkeypatch.setattr(Path, "lstat", lambda path: owned(plain_lstat(path), path.name))
    monkeypatch.setattr(Path, "stat", lambda path, **_: owned(os.stat(path), path.name))
    return told


@pytest.fixture
def umask() -> Iterator[None]:
    """That of every command."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a journal that others cannot read."""
    (tmp_path / "data" / "archive").mkdir(parents=True)
    for name in ("journal.db", "journal.lock", "operator.token", "archive/1-2.segments"):
        (tmp_path / "data" / name).touch(0o600)
    for folder in ("data", "data/archive"):
        (tmp_path / folder).chmod(0o700)
    return tmp_path / "data"


@pytest.mark.parametrize("owner", [OURS, 0])
def test_what_is_ours_or_roots_is_accepted(data: Path, owners: dict[str, int], owner: int) -> None:
    owners |= dict.fromkeys(("data", "journal.db", "archive", "operator.token"), owner)
    refuse_exposed(data)


@pytest.mark.parametrize("name", ["data", "journal.db", "journal.lock", "operator.token", "archive", "1-2.segments"])
def test_what_belongs_to_another_user_is_refused_by_its_name(data: Path, owners: dict[str, int], name: str) -> None:
    owners[name] = STRANGER
    with pytest.raises(JournalExposed, match=rf"{name} belongs to user 1001.*chown 1000"):
        refuse_exposed(data)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_can_write_is_refused_with_what_to_do(data: Path, mode: int) -> None:
    data.chmod(mode)
    with pytest.raises(JournalExposed, match=rf"others can write {data}: run: chmod go-w {data}"):
        refuse_exposed(data)


@pytest.mark.parametrize("name", ["journal.db", "archive", "archive/1-2.segments"])
def test_a_file_that_others_can_write_is_refused(data: Path, name: str) -> None:
    (data / name).chmod(0o720)
    with pytest.raises(JournalExposed, match="chmod go-w"):
        refuse_exposed(data)


def test_what_others_can_only_read_is_closed_to_them_with_one_line(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data.chmod(0o755)
    (data / "journal.db").chmod(0o644)
    (data / "archive/1-2.segments").chmod(0o640)
    (data / "notes.txt").touch(0o644)
    refuse_exposed(data)
    with caplog.at_level(logging.INFO, "walletd.journal"):
        close_to_others(data)
        close_to_others(data)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.rglob("*"))}
    assert modes.pop("notes.txt") == 0o644, "what walletd did not make is left alone"
    assert set(modes.values()) == {0o700, 0o600}
    (line,) = caplog.messages
    assert line.startswith("others could read data, 1-2.segments, journal.db in ")


@pytest.mark.parametrize("name", ["journal.lock", "journal.mark", "journal.ballast", "operator.token", "clock.json"])
def test_a_link_at_the_place_of_a_file_that_is_written_in_place_is_refused(
    data: Path, tmp_path: Path, name: str
) -> None:
    (data / name).unlink(missing_ok=True)
    (tmp_path / "other").write_text("someone's\n")
    (data / name).symlink_to(tmp_path / "other")
    with pytest.raises(JournalExposed, match="symbolic link"):
        refuse_exposed(data)
    assert (tmp_path / "other").read_text() == "someone's\n"


def test_a_folder_that_a_link_leads_to_is_judged_itself(data: Path, tmp_path: Path) -> None:
    """systemd links /var/lib/walletd to its private folder for a dynamic user."""
    (tmp_path / "link").symlink_to(data)
    refuse_exposed(tmp_path / "link")
    data.chmod(0o777)
    with pytest.raises(JournalExposed):
        refuse_exposed(tmp_path / "link")


def test_neither_lock_nor_mark_is_read_or_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("someone's\n")
    for name in (MARK_NAME, "archive.lock"):
        (tmp_path / name).symlink_to(tmp_path / "other")
    with pytest.raises(JournalCorrupt, match="symbolic link"):
        write_mark(tmp_path, Mark("j", 1, ""))
    with pytest.raises(JournalCorrupt, match="symbolic link"):
        read_mark(tmp_path)
    with pytest.raises(JournalExposed), archive_for_writing(tmp_path):
        pass
    assert (tmp_path / "other").read_text() == "someone's\n"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    "name", ["journal.db", "journal.db-wal", "journal.lock", "journal.mark", "state.db", "clock.json"]
)
@pytest.mark.parametrize("make", [_pipe, _folder, _socket])
def test_what_is_no_file_is_not_opened(data: Path, name: str, make: Callable[[Path], None]) -> None:
    (data / name).unlink(missing_ok=True)
    make(data / name)
    with pytest.raises(JournalCorrupt, match=f"{name} is a (pipe|folder|socket), not a file"):
        refuse_exposed(data)


async def test_a_journal_is_its_owners_alone_whatever_it_was(tmp_path: Path, umask: None) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    (data / "state.db").touch(0o644)
    async with open_journal(data):
        found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {"journal.db", "journal.db-wal", "journal.lock"} <= found.keys()
    assert set(found.values()) == {0o600}, found


async def test_a_journal_that_others_can_write_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    with pytest.raises(JournalExposed):
        async with open_journal(tmp_path / "data"):
            pass
    assert list((tmp_path / "data").iterdir()) == []
