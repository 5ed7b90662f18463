"""Files that a stranger made: data folders and backups in which something is not what a daemon writes.

for name, spoil in FOLDERS.items():        # spoil(folder) on a copy of a sound data folder
for name, spoil in BACKUPS.items():        # the same for a sound backup, of one file
"""

import json
import os
import socket
import sqlite3
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from walletd.journal.archive.file import Contents, open_archive_file
from walletd.journal.merkle import Frontier
from walletd.journal.offline import read_offline
from walletd.journal.segment import Segment, records, seal
from walletd.journal.sqlite.rows import COLUMNS, row_of
from walletd.journal.sqlite.schema import APPLICATION_ID

Spoil = Callable[[Path], None]

FOLDERS: dict[str, Spoil] = {}
BACKUPS: dict[str, Spoil] = {}
FORGERIES: dict[str, Spoil] = {}
"""Data folders whose digests and roots fit, with entries that no daemon writes."""


def listed(into: dict[str, Spoil]) -> Callable[[Spoil], Spoil]:
    """Put a way to spoil a folder into a table, by its name in words."""

    def put(spoil: Spoil) -> Spoil:
        into[spoil.__name__.replace("_", " ")] = spoil
        return spoil

    return put


# --- words ---------------------------------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def sock(path: Path) -> None:
    path.unlink(missing_ok=True)
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def content(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)


def run(data: Path, *statements: str) -> None:
    """Change the database as any program may."""
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode = DELETE")


def schema(data: Path, statement: str, *values: str) -> None:
    """Write into the table of the schema itself."""
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement, values)
    (data / "journal.db-wal").unlink(missing_ok=True)


def fresh(data: Path, *statements: str) -> None:
    """Another database in the place of the journal, with the journal's mark of its application."""
    for name in ("journal.db", "journal.db-wal", "journal.db-shm", "journal.mark"):
        (data / name).unlink(missing_ok=True)
    run(data, f"PRAGMA application_id = {APPLICATION_ID}", *statements)
    (data / "journal.db").chmod(0o600)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"

# --- the files of a data folder --------------------------------------------------------------------------------------


def _places() -> None:
    makers: dict[str, Spoil] = {
        "a pipe": pipe,
        "a folder": folder,
        "a socket": sock,
        "a device": lambda path: link(path, "/dev/zero"),
        "a terminal": lambda path: link(path, "/dev/tty"),
        "a link to itself": lambda path: link(path, path.name),
    }
    names = ("journal.db", "journal.db-wal", "journal.db-journal", "journal.lock", "journal.mark")
    for name in names:
        for kind, make in makers.items():
            if name == "journal.db" or kind in ("a pipe", "a folder", "a link to itself"):
                FOLDERS[f"{name} is {kind}"] = lambda data, name=name, make=make: make(data / name)  # type: ignore[misc]


_places()


@listed(FOLDERS)
def noise(data: Path) -> None:
    content(data / "journal.db", b"\x00\xffnoise" * 4096)


@listed(FOLDERS)
def nothing_but_a_header(data: Path) -> None:
    content(data / "journal.db", b"SQLite format 3\x00")


@listed(FOLDERS)
def half_a_file(data: Path) -> None:
    whole = (data / "journal.db").read_bytes()
    content(data / "journal.db", whole[: len(whole) // 2])


@listed(FOLDERS)
def pages_of_another_size(data: Path) -> None:
    whole = bytearray((data / "journal.db").read_bytes())
    whole[16:18] = b"\x00\x07"
    content(data / "journal.db", bytes(whole))


@listed(FOLDERS)
def a_format_of_tomorrow(data: Path) -> None:
    whole = bytearray((data / "journal.db").read_bytes())
    whole[44:48] = b"\x00\x00\x00\x63"
    content(data / "journal.db", bytes(whole))


@listed(FOLDERS)
def pages_that_lead_in_a_circle(data: Path) -> None:
    """The root of each table is an interior page whose children are itself."""
    whole = bytearray((data / "journal.db").read_bytes())
    for page in range(1, len(whole) // 4096):
        at = page * 4096
        if whole[at] == 0x0D:
            whole[at] = 0x05
            whole[at + 8 : at + 12] = struct.pack(">I", page + 1)
    content(data / "journal.db", bytes(whole))


@listed(FOLDERS)
def a_row_that_claims_a_gigabyte(data: Path) -> None:
    whole = bytearray((data / "journal.db").read_bytes())
    for page in range(1, len(whole) // 4096):
        at = page * 4096
        if whole[at] == 0x0D and (cells := struct.unpack(">H", whole[at + 3 : at + 5])[0]):
            for cell in range(cells):
                (place,) = struct.unpack(">H", whole[at + 8 + 2 * cell : at + 10 + 2 * cell])
                whole[at + place : at + place + 5] = b"\x83\xff\xff\xff\x7f"
    content(data / "journal.db", bytes(whole))


@listed(FOLDERS)
def an_endless_view_of_segments(data: Path) -> None:
    columns = "x AS first_sequence, 1 AS entry_count, 1 AS epoch, 1 AS format, zeroblob(32) AS root"
    run(
        data,
        "DROP TABLE segment",
        f"CREATE VIEW segment AS {ENDLESS} SELECT {columns}, zeroblob(32) AS digest, x'7b' AS body FROM n WHERE x < 0",
    )


@listed(FOLDERS)
def an_endless_view_of_the_charter(data: Path) -> None:
    run(
        data,
        "DROP TABLE journal",
        f"CREATE VIEW journal AS {ENDLESS} SELECT 1 AS format, 'x' AS instance, 1 AS epoch, x AS created_at FROM n",
    )


@listed(FOLDERS)
def only_views(data: Path) -> None:
    fresh(data, f"CREATE VIEW journal AS {ENDLESS} SELECT * FROM n", "CREATE VIEW segment AS SELECT * FROM journal")


@listed(FOLDERS)
def a_trigger(data: Path) -> None:
    run(data, "CREATE TRIGGER planted AFTER INSERT ON segment BEGIN DELETE FROM history; END")


@listed(FOLDERS)
def another_table(data: Path) -> None:
    run(data, "CREATE TABLE planted (x)")


@listed(FOLDERS)
def another_index(data: Path) -> None:
    run(data, "CREATE INDEX planted ON segment (length(body))")


@listed(FOLDERS)
def a_table_with_an_expression(data: Path) -> None:
    run(data, "ALTER TABLE history ADD COLUMN planted INTEGER AS (abs(first_sequence))")


@listed(FOLDERS)
def two_thousand_tables(data: Path) -> None:
    run(data, "BEGIN", *(f"CREATE TABLE planted_{number} (x)" for number in range(2_000)), "COMMIT")


@listed(FOLDERS)
def a_schema_that_is_no_statement(data: Path) -> None:
    schema(data, "UPDATE sqlite_schema SET sql = 'CREATE TABLE segment (' WHERE name = 'segment'")


@listed(FOLDERS)
def a_schema_that_is_not_text(data: Path) -> None:
    schema(data, "UPDATE sqlite_schema SET sql = CAST(x'ff00fe' AS TEXT) WHERE name = 'segment'")


@listed(FOLDERS)
def a_table_whose_root_is_another_s(data: Path) -> None:
    schema(data, "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'journal')")


@listed(FOLDERS)
def no_charter(data: Path) -> None:
    run(data, "DELETE FROM journal")


@listed(FOLDERS)
def an_epoch_beyond_every_restore(data: Path) -> None:
    run(data, f"UPDATE journal SET epoch = {2**63 - 1}")


@listed(FOLDERS)
def a_charter_that_is_not_text(data: Path) -> None:
    run(data, "UPDATE journal SET instance = CAST(x'ff00fe' AS TEXT)")


@listed(FOLDERS)
def a_time_before_1970(data: Path) -> None:
    run(data, "UPDATE journal SET created_at = -1")


@listed(FOLDERS)
def a_format_that_is_unknown(data: Path) -> None:
    run(data, "UPDATE journal SET format = 99")


@listed(FOLDERS)
def segments_of_one_byte(data: Path) -> None:
    run(data, "UPDATE segment SET body = x'7b'")


@listed(FOLDERS)
def a_count_beyond_everything(data: Path) -> None:
    run(data, f"UPDATE segment SET entry_count = {2**62}")


@listed(FOLDERS)
def a_log_of_noise(data: Path) -> None:
    content(data / "journal.db-wal", b"\xff" * 100_000)


@listed(FOLDERS)
def a_log_with_pages_of_no_bytes(data: Path) -> None:
    _log(data, 0)


@listed(FOLDERS)
def a_log_with_pages_of_gigabytes(data: Path) -> None:
    _log(data, 2**31)


def _log(data: Path, page_bytes: int) -> None:
    header = struct.pack(">6I", 0x377F0683, 3007000, page_bytes, 0, 1, 2)
    first = second = 0
    words = struct.unpack(">6I", header)
    for at in range(0, 6, 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    content(data / "journal.db-wal", header + struct.pack(">2I", first, second) + b"\x00" * 100_000)


@listed(FOLDERS)
def a_mark_of_another_shape(data: Path) -> None:
    said = b'["not", {"a": "mark"}]'
    content(data / "journal.mark", sha256(said).hexdigest().encode() + said + b"\n")
    run(data, "DELETE FROM journal")


@listed(FOLDERS)
def an_archive_that_is_a_pipe(data: Path) -> None:
    (data / "archive").mkdir(mode=0o700)
    pipe(data / "archive" / "000000000000001-000000000000007.segments")


@listed(FOLDERS)
def an_archive_of_noise(data: Path) -> None:
    (data / "archive").mkdir(mode=0o700)
    content(data / "archive" / "000000000000001-000000000000007.segments", b"walletd archive\n" + b"x" * 1000)


# --- forged entries --------------------------------------------------------------------------------------------------


def forged(data: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Write the journal again, its last entry changed, with digests and roots that fit."""
    segments = list(read_offline(data / "journal.db"))
    frontier = Frontier()
    made: list[Segment] = []
    for segment in segments:
        lines = records(segment)
        if segment is segments[-1]:
            entry = msgspec.json.decode(lines[-1])
            changed = change(entry)
            lines[-1] = changed if isinstance(changed, bytes) else msgspec.json.encode(entry)
        made.append(seal(frontier, segment.first_sequence, segment.epoch, lines))
    with closing(sqlite3.connect(data / "journal.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM segment")
        for segment in made:
            connection.execute(f"INSERT INTO segment ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row_of(segment))
        connection.execute("PRAGMA journal_mode = DELETE")
    (data / "journal.mark").unlink(missing_ok=True)
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (data / name).unlink(missing_ok=True)


def _forgery(name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    FORGERIES[name] = lambda data: forged(data, change)


_forgery("an entry that is no JSON", lambda entry: b"{nothing}")
_forgery("an entry of another kind", lambda entry: b'{"a":1}')
_forgery("an entry that is deeply nested", lambda entry: b'{"facts":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
_forgery("an entry that says another number", lambda entry: entry.update(sequence=4711))
_forgery("an entry with a number beyond everything", lambda entry: entry.update(sequence=2**80))
_forgery("a time that is none", lambda entry: entry.update(time="2026-13-41T99:00:00Z"))
_forgery("no outcome", lambda entry: (entry.pop("refusal", None), entry.pop("effects", None)))
_forgery("two outcomes", lambda entry: entry.update(effects={}, refusal={"reason": "wallet_not_found", "facts": {}}))
_forgery("facts that are not there", lambda entry: entry.update(
    command={"method": "wallet.open", "command_id": "c", "wallet": "carol", "valid_for_seconds": 5},
    refusal={"reason": "command_expired", "facts": {}}))  # fmt: skip
_forgery("a reason that is none", lambda entry: entry.update(refusal={"reason": "nonsense", "facts": {}}))


def _applied(name: str, **effects: Any) -> None:
    """The last entry, as if its command had these effects."""
    _forgery(name, lambda entry: (entry.pop("refusal", None), entry.update(effects=effects)))


_GHOST = {"wallet": "ghost", "asset": "XXX", "posted": "1", "held": "0", "available": "1", "version": 1}
_HOLD = {"hold": "h1", "wallet": "ghost", "asset": "EUR", "amount": "1", "state": "open"}
_applied("a balance of a wallet that does not exist", balances=[_GHOST])
_applied("a balance that is longer than any", balances=[{**_GHOST, "wallet": "alice", "posted": "9" * 100_000}])
_applied("a hold of nothing", holds=[{**_HOLD, "placed_at": "2026-01-01T00:00:00Z"}])
_applied("an asset with a scale beyond everything", assets=[{"asset": "EUR", "scale": 10**9}])
_forgery("a client that the daemon made an admin", lambda entry: (
    entry.pop("refusal", None), entry.update(
        principal="@walletd",
        command={"method": "client.create", "command_id": "c", "client": "mallory", "scopes": ["admin"],
                 "token_sha256": "0" * 64},
        effects={"clients": [{"client": "mallory", "scopes": ["admin"], "created_by": "@walletd",
                              "created_at": entry["time"],
                              "tokens": [{"sha256": "0" * 64, "created_at": entry["time"]}]}]})))  # fmt: skip


# --- backups ---------------------------------------------------------------------------------------------------------

FIRST_LINE = b"walletd archive\n"
TAIL = struct.Struct(">Q32s8s")


def only_file(backup: Path) -> Path:
    (file,) = backup.glob("*.segments")
    return file


def with_contents(backup: Path, change: Callable[[dict[str, Any]], Any], blocks: bytes | None = None) -> None:
    """The file with other contents, whose digest fits."""
    file = only_file(backup)
    whole = file.read_bytes()
    length, _, _ = TAIL.unpack(whole[-TAIL.size :])
    end = len(whole) - TAIL.size - length
    document = json.loads(whole[end : end + length])
    changed = change(document)
    encoded = changed if isinstance(changed, bytes) else json.dumps(document).encode()
    body = whole[:end] if blocks is None else FIRST_LINE + blocks
    content(file, body + encoded + TAIL.pack(len(encoded), sha256(encoded).digest(), b"walletd\n"))


def _contents(name: str, change: Callable[[dict[str, Any]], Any], blocks: bytes | None = None) -> None:
    BACKUPS[name] = lambda backup: with_contents(backup, change, blocks)


_contents("an archive without blocks", lambda found: found.update(blocks=[]))
_contents("an archive without blocks or bytes", lambda found: found.update(blocks=[]), b"")
_contents("contents that are a list", lambda found: b"[1, 2, 3]")
_contents("contents that are no JSON", lambda found: b"{nothing}")
_contents("contents that are deeply nested", lambda found: b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
_contents("contents without an origin", lambda found: found.pop("origin"))
_contents("an origin before 1970", lambda found: found["origin"].update(created_at=-1))
_contents("an origin beyond time", lambda found: found["origin"].update(created_at=2**80))
_contents("an epoch beyond every restore", lambda found: found.update(epoch=2**63))
_contents("an epoch of nothing", lambda found: found.update(epoch=0))
_contents("an end that is not there", lambda found: found.update(last_sequence=4711))
_contents("a beginning that is not there", lambda found: found.update(first_sequence=0))
_contents("a frontier of noise", lambda found: found.update(frontier="AAAA"))
_contents("a frontier of another tree", lambda found: found.update(frontier=found["frontier"][:-8] + "AAAAAAA="))
_contents("a format of tomorrow", lambda found: found.update(format=99))
_contents("a block that is longer than the file", lambda found: found["blocks"][0].__setitem__(2, 2**40))
_contents("a block with a negative place", lambda found: found["blocks"][0].__setitem__(1, -5))
_contents("the same block twice", lambda found: found["blocks"].append(found["blocks"][0]))
_contents("a block that is not deflated", lambda found: found.update(blocks=[[1, 16, 100]]), b"x" * 100)


def _block(name: str, block: bytes) -> None:
    _contents(name, lambda found: found.update(blocks=[[1, len(FIRST_LINE), len(block)]]), block)


_encode = msgspec.msgpack.encode
_block("a block of no rows", zlib.compress(_encode([])))
_block("a block of rows of other types", zlib.compress(_encode([["x"] * 7])))
_block("a block that unpacks to a gigabyte", zlib.compress(b"\x92" + b"\x00" * (128 * 1024 * 1024), 9))
_block("a block with more behind it", zlib.compress(_encode([])) + b"more")
_block("a segment that claims nothing", zlib.compress(_encode([[1, 0, 0, 1, b"", b"", b""]])))


@listed(BACKUPS)
def a_backup_cut_off_behind_its_first_block(backup: Path) -> None:
    """The contents claim more entries than the blocks hold; every digest fits."""
    file = only_file(backup)
    contents: Contents = open_archive_file(file).contents
    segments = list(open_archive_file(file).segments())
    half = zlib.compress(_encode([row_of(segment) for segment in segments[: len(segments) // 2]]))
    first = contents.first_sequence
    with_contents(backup, lambda found: found.update(blocks=[[first, len(FIRST_LINE), len(half)]]), half)


@listed(BACKUPS)
def a_backup_that_is_a_pipe(backup: Path) -> None:
    pipe(only_file(backup))


@listed(BACKUPS)
def a_backup_that_is_a_folder(backup: Path) -> None:
    folder(only_file(backup))


@listed(BACKUPS)
def a_backup_that_is_a_device(backup: Path) -> None:
    link(only_file(backup), "/dev/zero")


@listed(BACKUPS)
def a_backup_that_leads_nowhere(backup: Path) -> None:
    link(only_file(backup), "nowhere")


@listed(BACKUPS)
def a_backup_with_a_terabyte_of_nothing(backup: Path) -> None:
    file = only_file(backup)
    whole = file.read_bytes()
    with file.open("r+b") as opened:
        opened.truncate(2**40)
        opened.seek(2**40 - TAIL.size)
        opened.write(TAIL.pack(2**40 - 1000, b"\x00" * 32, b"walletd\n"))
    assert whole


@listed(BACKUPS)
def a_backup_of_one_line(backup: Path) -> None:
    content(only_file(backup), FIRST_LINE)


@listed(BACKUPS)
def a_backup_of_noise(backup: Path) -> None:
    content(only_file(backup), b"\xff" * 1000)


@listed(BACKUPS)
def one_file_twice(backup: Path) -> None:
    file = only_file(backup)
    content(backup / "000000000000099-000000000000105.segments", file.read_bytes())
