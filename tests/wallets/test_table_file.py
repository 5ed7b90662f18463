"""state.db as a file: rot is found where it is read, and a log is believed only over the file that it is of."""

import random
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import apsw
import pytest

from walletd.tables import file as table_file
from walletd.tables import log_chain
from walletd.tables.file import ReadTablesRotten, open_for_reading, open_for_writing, rot_reported
from walletd.tables.log_chain import PAGE_BYTES, page_sum
from walletd.tables.writer import ReadTables

ROWS = 40
Files = tuple[bytes, bytes]
"""A file and its log."""


def begun(path: Path) -> ReadTables:
    """Tables of many pages, each with one row that says which transaction it shows."""
    connection = open_for_writing(path)
    tables = ReadTables(connection, path)
    if not connection.execute("SELECT name FROM sqlite_schema").fetchall():
        connection.execute("CREATE TABLE page (number INTEGER PRIMARY KEY, shown INTEGER, filler BLOB)")
    return tables


def show(tables: ReadTables, shown: int, chance: random.Random) -> None:
    """One transaction: every row says the same, on pages that are as many as chance will have it."""
    rows = [(number, shown, bytes(3000)) for number in range(ROWS + chance.randrange(5))]
    values = ",".join(["(?, ?, ?)"] * len(rows))
    statements: list[tuple[str, list[Any]]] = [
        ("DELETE FROM page", []),
        (f"INSERT INTO page VALUES {values}", [value for row in rows for value in row]),
    ]
    tables._write(statements, shown)


def taken(path: Path) -> Files:
    """As kill -9 would leave it."""
    log = path.with_name(path.name + "-wal")
    return path.read_bytes(), log.read_bytes() if log.exists() else b""


def half_copied(before: bytes, after: bytes, chance: random.Random) -> bytes:
    """The file when a checkpoint was killed: the pages in front are copied, those behind are not."""
    at = chance.randrange(max(len(before), len(after)) // PAGE_BYTES + 1) * PAGE_BYTES
    return after[:at] + before[at:] if at < len(after) else after


def lives(path: Path, chance: random.Random) -> list[Files]:
    """Pairs of file and log as they lay there at many moments of several lives."""
    moments: list[Files] = []
    shown = 0
    for _ in range(4):
        tables = begun(path)
        reader = None
        for _ in range(8):
            shown += 1
            show(tables, shown, chance)
            moments.append(taken(path))
            if chance.random() < 0.3:
                if reader is not None:
                    reader.close()
                reader = open_for_reading(path)
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM page").fetchall()
            if chance.random() < 0.4:
                before, log = taken(path)
                tables._connection.wal_checkpoint()
                after, _ = taken(path)
                moments.append((half_copied(before, after, chance), log))
                moments.append(taken(path))
        if reader is not None:
            reader.close()
        tables._close()
        moments.append(taken(path))
    return moments


def shows(path: Path, files: Files) -> set[Any] | None:
    """All that the rows say; None where it is refused, be it only at the read."""
    for suffix, content in zip(("", "-wal"), files, strict=True):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        if content or not suffix:
            path.with_name(path.name + suffix).write_bytes(content)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    try:
        connection = open_for_writing(path)
    except ReadTablesRotten:
        return None
    try:
        with rot_reported():
            said = {row[0] for row in connection.execute("SELECT shown FROM page")}
            return said | {connection.pragma("user_version")}
    except ReadTablesRotten:
        return None
    finally:
        connection.close()


def damaged(moments: list[Files], chance: random.Random) -> Files:
    """A file and a log that may not go together, or a log of which something is missing."""
    file, log = chance.choice(moments)
    match chance.randrange(4):
        case 0:
            return file, chance.choice(moments)[1]
        case 1:
            return file, b""
        case 2:
            return file, log[: chance.randrange(len(log) + 1)]
        case _:
            place = chance.randrange(len(log) + 1)
            return file, log[:place] + bytes(byte ^ 1 for byte in log[place : place + 1]) + log[place + 1 :]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_killed_at_any_moment_is_whole(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    for number, files in enumerate(lives(tmp_path / "state.db", random.Random(seed))):
        said = shows(tmp_path / "again.db", files)
        assert said is not None, f"moment {number} is refused"
        assert len(said) == 1, f"moment {number} shows {said}"


def mixes(tmp_path: Path, seed: int, count: int) -> tuple[int, int]:
    """How many of so many damages are refused, and how many show a mix."""
    chance = random.Random(seed)
    moments = lives(tmp_path / "state.db", chance)
    said = [shows(tmp_path / "again.db", damaged(moments, chance)) for _ in range(count)]
    return said.count(None), sum(1 for one in said if one is not None and len(one) > 1)


@pytest.mark.parametrize("seed", range(3))
def test_no_mix_of_two_times_is_shown(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    refused, mixed = mixes(tmp_path, seed, 300)
    assert not mixed
    assert refused < 280, "nearly all is refused, so that little is shown by this"


def test_a_log_that_is_believed_over_any_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_chain, "mixed", lambda *_: "")
    _, mixed = mixes(tmp_path, 0, 300)
    assert mixed, "the planted bug would not be noticed"


def test_a_file_that_was_not_closed_needs_its_log(tmp_path: Path) -> None:
    path, chance = tmp_path / "state.db", random.Random(0)
    tables = begun(path)
    show(tables, 1, chance)
    show(tables, 2, chance)
    tables._connection.wal_checkpoint()
    file, log = taken(path)
    assert shows(tmp_path / "again.db", (file, log)) == {2}
    assert shows(tmp_path / "again.db", (file, b"")) is None
    tables._close()
    assert taken(path)[1] == b""
    assert shows(tmp_path / "again.db", (path.read_bytes(), b"")) == {2}


@pytest.mark.interpreted
def test_a_full_disk_at_the_end_leaves_the_log_to_say_that_the_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    tables = begun(path)
    show(tables, 1, random.Random(0))

    def full(*_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(tables, "_write", full)
    tables._close()
    assert shows(tmp_path / "again.db", taken(path)) == {1}


@pytest.mark.parametrize("seed", range(2))
def test_a_flipped_bit_on_any_page_is_found_by_whoever_reads_the_page(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance, path = random.Random(seed), tmp_path / "state.db"
    tables = begun(path)
    show(tables, 1, chance)
    tables._close()
    whole = path.read_bytes()
    for _ in range(200):
        place = chance.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        assert shows(path, (bytes(flipped), b"")) in (None, {1}), place


def test_a_cut_file_is_refused_at_the_start(tmp_path: Path) -> None:
    path, chance = tmp_path / "state.db", random.Random(0)
    tables = begun(path)
    show(tables, 1, chance)
    tables._close()
    whole = path.read_bytes()
    for length in (1, 100, PAGE_BYTES, len(whole) - PAGE_BYTES, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ReadTablesRotten):
            open_for_writing(path)


def test_a_log_without_its_file_is_not_that_of_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    tables = begun(path)
    show(tables, 1, random.Random(0))
    _, log = taken(path)
    tables._close()
    path.unlink()
    path.with_name("state.db-wal").write_bytes(log)
    connection = open_for_writing(path)
    assert not connection.execute("SELECT name FROM sqlite_schema").fetchall()
    connection.close()


def test_the_sum_of_a_page_is_sqlites_own(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    tables = begun(path)
    show(tables, 1, random.Random(0))
    tables._close()
    content = path.read_bytes()
    for begins in range(0, len(content), PAGE_BYTES):
        page = content[begins : begins + PAGE_BYTES]
        assert page_sum(page[:-8]) == page[-8:]


def test_every_connection_looks_at_the_sums(tmp_path: Path) -> None:
    assert table_file.HAS_PAGE_SUMS, "the wheel of apsw has no cksumvfs here"
    path = tmp_path / "state.db"
    writer = begun(path)._connection
    reader = open_for_reading(path)
    for connection in (writer, reader):
        assert str(connection.pragma("checksum_verification")) == "1"
    reader.close()
    writer.close()


WITHOUT_SUMS = """
import sys
sys.modules["apsw.sqlite_extra"] = None
sys.argv = ["walletd", "serve", "--port", "0", "--data", sys.argv[1]]
from walletd.__main__ import main
main()
"""


def test_the_bound_of_apsw_is_the_first_that_has_the_sums() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"apsw>={table_file.LEAST_APSW}" in project["dependencies"]
    assert table_file.unfit_library() is None


def test_a_start_with_an_apsw_without_the_sums_says_what_to_install(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_SUMS, str(tmp_path / "var")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 78, ended.stderr
    assert "Traceback" not in ended.stderr
    assert f"pip install 'apsw>={table_file.LEAST_APSW}'" in ended.stderr
    assert not (tmp_path / "var").exists()
