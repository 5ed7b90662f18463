"""Every command that reads files answers a hostile one with one line and an exit code, and ends."""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest
import trio

from tests.cli import hostile
from tests.cli.conftest import Ended, Walletd
from tests.cli.hostile import Spoil
from tests.cli.test_verify import lived
from tests.daemon.process import run_to_its_end
from walletd.journal.archive.archive import archive_for_writing
from walletd.journal.archive.file import pack
from walletd.journal.failures import JournalCorrupt
from walletd.journal.offline import open_offline
from walletd.journal.sqlite.opening import open_journal
from walletd.tables import file as tables
from walletd.tables.schema import SCHEMA

pytestmark = pytest.mark.timeout(120)

DAMAGED = 65
DOCUMENTED = {65, 66, 74, 78}
"""Damaged; not there; cannot be read; of another format, another program, or another user."""


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with some entries, closed, and a backup of it."""
    place = tmp_path_factory.mktemp("sound")
    trio.run(lived, place / "data")
    shutil.rmtree(place / "data" / "reports", ignore_errors=True)
    journal = open_offline(place / "data")
    with archive_for_writing(place / "backup") as archive, archive.writer(journal.origin) as writer:
        writer.add(pack(list(journal.segments())))
        writer.sync()
        for head in writer.prove(writer.read_back(0)):
            assert head
        archive.extend(writer.commit())
    return place


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound / "data", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def backup(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound / "backup", tmp_path / "backup")
    return tmp_path / "backup"


def assert_told(ended: Ended, command: str, codes: set[int] = DOCUMENTED) -> None:
    """One line, an exit code of the manual, and no traceback."""
    assert ended.exit_code in codes, (command, ended)
    assert "Traceback" not in ended.err, command
    assert "internal error" not in ended.err, command
    assert ended.err.count("\n") == 1, (command, ended.err)
    assert ended.err.startswith("walletd: ")
    assert len(ended.err) < 2000, (command, len(ended.err))


def test_what_is_sound_is_well(walletd: Walletd, data: Path, backup: Path) -> None:
    for source in (data, data / "journal.db", backup):
        assert walletd("verify", str(source)).exit_code == 0
    assert walletd("restore", str(data), "one", "--yes").exit_code == 0
    assert walletd("restore", str(backup), "two", "--yes").exit_code == 0


@pytest.mark.parametrize("name", hostile.FOLDERS)
def test_a_hostile_data_folder_is_told_in_one_line(walletd: Walletd, data: Path, name: str) -> None:
    hostile.FOLDERS[name](data)
    is_of_the_folder = name.startswith(("journal.mark", "a mark")) or "lock" in name
    for source in (data, data / "journal.db"):
        assert_told(walletd("verify", str(source)), f"verify {source.name}", DOCUMENTED)
    if not is_of_the_folder:
        assert_told(walletd("restore", str(data), "restored", "--yes"), "restore")
        assert not Path("restored/journal.db").exists()


@pytest.mark.parametrize("name", hostile.BACKUPS)
def test_a_hostile_backup_is_told_in_one_line(walletd: Walletd, backup: Path, name: str) -> None:
    hostile.BACKUPS[name](backup)
    assert_told(walletd("verify", str(backup)), "verify")
    assert_told(walletd("restore", str(backup), "restored", "--yes"), "restore")
    assert not Path("restored/journal.db").exists()


@pytest.mark.parametrize("name", hostile.FORGERIES)
def test_a_forged_entry_is_found_however_well_its_hashes_fit(walletd: Walletd, data: Path, name: str) -> None:
    hostile.FORGERIES[name](data)
    ended = walletd("verify", str(data))
    assert ended.exit_code == DAMAGED
    assert "Traceback" not in ended.err
    assert "internal error" not in ended.err
    restored = walletd("restore", str(data), "restored", "--yes")
    assert restored.exit_code in (0, DAMAGED), "restore proves the hashes, and reads what it needs"
    assert "Traceback" not in restored.err


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in hostile.FOLDERS if not name.startswith(("journal.db-journal is a link", "a mark of"))),
    ],
)
def test_a_daemon_does_not_start_on_a_hostile_folder(data: Path, name: str) -> None:
    hostile.FOLDERS[name](data)
    code, said = run_to_its_end(data)
    assert code in DOCUMENTED, said
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if " ERROR " in line]
    assert len(lines) == 1, said


@pytest.mark.parametrize("name", ["state.db", "state.db-wal", "snapshot-7.db", "clock.json", "operator.token"])
def test_a_pipe_at_the_place_of_any_other_file_does_not_stop_a_start(data: Path, name: str) -> None:
    hostile.pipe(data / name)
    code, said = run_to_its_end(data)
    assert code in DOCUMENTED
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["clock.json", "clock.accepted"])
@pytest.mark.parametrize("make", [hostile.pipe, hostile.folder, lambda path: hostile.link(path, "/dev/zero")])
def test_a_clock_that_is_no_file_is_told_in_one_line(walletd: Walletd, data: Path, name: str, make: Spoil) -> None:
    make(data / name)
    ended = walletd("clock", str(data))
    if name == "clock.json":
        assert_told(ended, "clock")
    else:
        assert ended.exit_code == 0


@pytest.mark.parametrize("make", [hostile.pipe, hostile.folder, hostile.sock])
def test_a_backup_goes_into_no_hostile_place(data: Path, tmp_path: Path, make: Spoil) -> None:
    (tmp_path / "place").mkdir(mode=0o700)
    make(tmp_path / "place" / "archive.lock")
    with pytest.raises(JournalCorrupt, match="not a file"), archive_for_writing(tmp_path / "place"):
        pass


PLANTED = [
    "DROP TABLE wallet; CREATE VIEW wallet AS " + hostile.ENDLESS + " SELECT x AS wallet FROM n;",
    "CREATE TRIGGER planted AFTER INSERT ON moment BEGIN DELETE FROM wallet; END;",
    "CREATE VIRTUAL TABLE planted USING fts5(x);",
]


@pytest.mark.parametrize("statements", PLANTED, ids=["a view", "a trigger", "a virtual table"])
def test_read_tables_with_anything_but_tables_are_rotten(tmp_path: Path, statements: str) -> None:
    """So they are made again from the journal; every page has its sum."""
    file = tmp_path / "state.db"
    with closing(tables.open_for_writing(file)) as made:
        made.execute(f"BEGIN; {SCHEMA} COMMIT;")
        made.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        made.execute(statements)
    for opened in (tables.open_for_reading, tables.open_for_writing):
        with pytest.raises(tables.ReadTablesRotten, match="the schema"):
            opened(file)


async def test_a_journal_with_another_schema_is_not_opened(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "data"):
        pass
    hostile.another_table(tmp_path / "data")
    with pytest.raises(Exception, match="not a journal of walletd"):
        async with open_journal(tmp_path / "data"):
            pass
