"""The read tables in ``state.db``: a projection of the journal, made for look-ups, that can be deleted at any time.

    tables = await open_read_tables(directory)
    await tables.project(entries, progress)            # one transaction for many entries

``synchronous=NORMAL``: after a power cut the tables may be behind the journal, and catch up at the next start.
Every row carries a seal, a short hash over its values, so that rot in this file is detected and never served; rows
that rot has hidden are found by the pages' own checksums (``table_file``).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec
import trio

from walletd.ledger.statement import lines_of
from walletd.vocabulary.commands import ids_of
from walletd.vocabulary.entries import (
    BalanceRecord,
    ClientRecord,
    Entry,
    HoldRecord,
    OutflowRecord,
    TransferRecord,
    WalletRecord,
)
from walletd.vocabulary.identifiers import HoldId, TransferId
from walletd.vocabulary.lifecycle import HoldState
from walletd.wallets.bulk import in_bulk
from walletd.wallets.log_chain import NUMBERS
from walletd.wallets.table_file import (
    FILE_NAME,
    ReadTablesRotten,
    delete_tables,
    leave_log,
    open_for_writing,
    refuse_damaged,
    rot_reported,
)

FORMAT = 8

SCHEMA = """
CREATE TABLE progress (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    format INTEGER NOT NULL, instance TEXT NOT NULL, epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL, frontier BLOB NOT NULL, time INTEGER NOT NULL
) STRICT;
CREATE TABLE asset (asset TEXT PRIMARY KEY, scale INTEGER NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE moment (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, seal BLOB NOT NULL) STRICT;
CREATE TABLE wallet (
    wallet TEXT PRIMARY KEY, record BLOB NOT NULL, seal BLOB NOT NULL, status TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_status ON wallet (status, wallet);
CREATE TABLE wallet_metadata (
    wallet TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (wallet, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_metadata ON wallet_metadata (key, value, wallet);
CREATE TABLE wallet_after (
    wallet TEXT NOT NULL, sequence INTEGER NOT NULL, record BLOB NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (wallet, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance_after (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, version INTEGER NOT NULL,
    posted TEXT NOT NULL, held TEXT NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, record BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE statement_line (
    wallet TEXT NOT NULL, sequence INTEGER NOT NULL, line INTEGER NOT NULL, time INTEGER NOT NULL,
    asset TEXT NOT NULL, amount TEXT NOT NULL, posted TEXT NOT NULL, counterparty TEXT NOT NULL, reference TEXT,
    kind TEXT NOT NULL, transfer TEXT NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, sequence, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE hold (
    wallet TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, is_open INTEGER NOT NULL, expires INTEGER,
    record BLOB NOT NULL, ended INTEGER, seal BLOB NOT NULL, PRIMARY KEY (number, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE refunded (
    transfer TEXT PRIMARY KEY, record BLOB NOT NULL, seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outflow (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, command INTEGER NOT NULL,
    time INTEGER NOT NULL, record BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset, sequence, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX outflow_by_time ON outflow (wallet, asset, time);
CREATE TABLE client (client TEXT PRIMARY KEY, record BLOB NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX open_hold ON hold (wallet, number, place) WHERE is_open;
CREATE INDEX expiring_hold ON hold (wallet, expires) WHERE is_open AND expires IS NOT NULL;
CREATE INDEX next_expiry ON hold (expires, number, place) WHERE is_open AND expires IS NOT NULL;
CREATE INDEX expired_hold ON hold (wallet, ended, expires) WHERE ended IS NOT NULL;
CREATE INDEX hold_of_wallet ON hold (wallet, number, place);
CREATE TABLE command (
    principal TEXT NOT NULL, command_id TEXT NOT NULL, sequence INTEGER NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (principal, command_id)
) STRICT, WITHOUT ROWID;
"""

ENTRIES_PER_TURN = 256
"""So many entries are folded before others have the event loop: some 4 ms."""

in_thread = trio.to_thread.run_sync
"""How a call that may wait for the disk is made."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


class ReadTablesFull(Exception):
    """There is no space for what was to be written.  It is certain that nothing was, and it can be tried again."""


class Progress(NamedTuple):
    """Up to where the tables follow the journal: its last sequence, the Merkle frontier there, that entry's time."""

    format: int
    instance: str
    epoch: int
    sequence: int
    frontier: bytes
    time: datetime


class ReadTables:
    """The one writing connection to the read tables.  Owned by the projector.

    A transaction is one visit to a thread: a visit for each statement would wait for the event loop as often.
    """

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._shown = int(connection.pragma("user_version"))
        self._is_certain = True

    async def progress(self) -> Progress | None:
        """How far the tables are; None in a new file."""
        with rot_reported():
            rows: list[Any] = await in_thread(
                lambda: self._connection.execute(
                    "SELECT format, instance, epoch, sequence, frontier, time FROM progress"
                ).fetchall()
            )
        if not rows:
            return None
        form, instance, epoch, sequence, frontier, time = rows[0]
        try:
            return Progress(form, instance, epoch, sequence, frontier, from_microseconds(time))
        except OverflowError as error:
            raise ReadTablesRotten("the progress") from error

    async def refuse_damaged(self) -> None:
        """Raise ReadTablesRotten where pages do not hold together, for a platform without page sums.

        O(file): about a second for a gigabyte.
        """
        with rot_reported():
            await in_thread(lambda: refuse_damaged(self._connection))

    async def keep_pages(self, kibibytes: int) -> None:
        """How much of the file is kept in memory from now on."""
        with rot_reported():
            await in_thread(lambda: self._connection.execute(f"PRAGMA cache_size=-{kibibytes}"))

    async def project(self, entries: Sequence[Entry], progress: Progress) -> None:
        """Fold durable entries, in order, into the tables; all of them and the progress, or nothing.

        A transaction that was begun is finished, whatever is cancelled.  Raises ReadTablesFull.
        """
        with rot_reported(), trio.CancelScope(shield=True):
            statements = await _statements(entries)
            done = (*progress[:-1], microseconds(progress.time))
            statements.append(("INSERT OR REPLACE INTO progress VALUES (1, ?, ?, ?, ?, ?, ?)", done))
            try:
                await in_thread(lambda: self._write(statements, progress.sequence % NUMBERS))
            except apsw.FullError as error:
                raise ReadTablesFull(str(error)) from error

    def _write(self, statements: Iterable[tuple[str, Sequence[Any]]], shown: int) -> None:
        """One transaction, which says in the first page what it follows and what it shows: see ``log_chain``."""
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            try:
                execute(f"PRAGMA application_id={self._shown}; PRAGMA user_version={shown}")
                for statement, values in statements:
                    execute(statement, values)
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise
        except apsw.FullError:
            raise
        except BaseException:
            self._is_certain = False
            raise
        self._shown = shown

    async def aclose(self) -> None:
        """Close the connection; SQLite then folds the write-ahead file back."""
        await in_thread(self._close)

    def _close(self) -> None:
        """The file says by itself that it is whole; where it cannot, its log stays and says so."""
        try:
            if not self._is_certain:
                raise apsw.AbortError("what the last transaction did is not known")
            self._write((), self._shown)
        except apsw.Error:
            leave_log(self._connection)
        self._connection.close()


async def _statements(entries: Sequence[Entry]) -> list[tuple[str, Sequence[Any]]]:
    """What folds the entries in.  The event loop has its turns meanwhile: an entry takes some 15 µs."""
    folding = Folding()
    for place, entry in enumerate(entries, 1):
        folding.add(entry)
        if place % ENTRIES_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
    return [bulk for statement, rows in folding.rows().statements() for bulk in in_bulk(statement, rows)]


async def open_read_tables(directory: Path) -> ReadTables:
    """Open ``state.db`` for writing, made anew where it is missing.  Raises ReadTablesRotten."""
    path = directory / FILE_NAME
    with rot_reported():
        return await in_thread(lambda: _open(path))


def _open(path: Path) -> ReadTables:
    connection = open_for_writing(path)
    try:
        if not connection.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall():
            connection.execute(f"BEGIN;{SCHEMA}COMMIT;")
        return ReadTables(connection, path)
    except BaseException:
        leave_log(connection)
        connection.close()
        raise


def delete_read_tables(directory: Path) -> None:
    """Remove ``state.db`` and what belongs to it; nobody may have it open."""
    delete_tables(directory / FILE_NAME)


class Rows(NamedTuple):
    """The rows that a run of entries adds or replaces, table by table."""

    moments: list[tuple[Any, ...]]
    assets: list[tuple[Any, ...]]
    wallets: list[tuple[Any, ...]]
    known: list[tuple[Any, ...]]
    metadata: list[tuple[Any, ...]]
    wallets_after: list[tuple[Any, ...]]
    balances_after: list[tuple[Any, ...]]
    balances: list[tuple[Any, ...]]
    lines: list[tuple[Any, ...]]
    holds: list[tuple[Any, ...]]
    refunded: list[tuple[Any, ...]]
    outflows: list[tuple[Any, ...]]
    forgotten: list[tuple[Any, ...]]
    clients: list[tuple[Any, ...]]
    commands: list[tuple[Any, ...]]

    def statements(self) -> Iterable[tuple[str, list[tuple[Any, ...]]]]:
        """Each table's statement with its rows.  An entry is folded once only, so that a plain INSERT must succeed."""
        yield "INSERT INTO moment (VALUES)", self.moments
        yield "INSERT INTO asset (VALUES)", self.assets
        yield "INSERT OR REPLACE INTO wallet (VALUES)", self.wallets
        yield "DELETE FROM wallet_metadata WHERE wallet IN (SELECT column1 FROM ((VALUES)))", self.known
        yield "INSERT INTO wallet_metadata (VALUES)", self.metadata
        yield "INSERT INTO wallet_after (VALUES)", self.wallets_after
        yield "INSERT INTO balance_after (VALUES)", self.balances_after
        yield "INSERT OR REPLACE INTO balance (VALUES)", self.balances
        yield "INSERT INTO statement_line (VALUES)", self.lines
        yield "INSERT OR REPLACE INTO hold (VALUES)", self.holds
        yield "INSERT OR REPLACE INTO refunded (VALUES)", self.refunded
        yield "INSERT OR REPLACE INTO outflow (VALUES)", self.outflows
        yield "DELETE FROM client WHERE client IN (SELECT column1 FROM ((VALUES)))", self.forgotten
        yield "INSERT OR REPLACE INTO client (VALUES)", self.clients
        # The first entry of an id is the one that counts, also in a journal that holds an id twice.
        yield "INSERT OR IGNORE INTO command (VALUES)", self.commands


class Folding:
    """What entries leave behind, entry by entry.  Of a wallet or balance touched often, only the last record counts."""

    def __init__(self) -> None:
        self._rows = Rows(*([] for _ in Rows._fields))
        self._wallets: dict[str, WalletRecord] = {}
        self._balances: dict[tuple[str, str], BalanceRecord] = {}
        self._holds: dict[HoldId, tuple[HoldRecord, int]] = {}
        self._transfers: dict[TransferId, TransferRecord] = {}
        self._outflows: dict[tuple[str, str, int, int], OutflowRecord] = {}
        self._clients: dict[str, ClientRecord | None] = {}

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        rows = self._rows
        time = microseconds(entry.time)
        rows.moments.append((entry.sequence, time, seal(entry.sequence, time)))
        for command_id in ids_of(entry.command):
            command_row = (entry.principal, command_id, entry.sequence)
            rows.commands.append((*command_row, seal(*command_row)))
        effects = entry.effects
        if effects is None:
            return
        for asset in effects.assets:
            rows.assets.append((asset.asset, asset.scale, seal(asset.asset, asset.scale)))
        for wallet in effects.wallets:
            self._wallets[wallet.wallet] = wallet
            after = (wallet.wallet, entry.sequence, _encode(wallet))
            rows.wallets_after.append((*after, seal(*after)))
        for balance in effects.balances:
            self._balances[balance.wallet, balance.asset] = balance
            stood = (balance.wallet, balance.asset, entry.sequence, balance.version, balance.posted, balance.held)
            rows.balances_after.append((*stood, seal(*stood)))
        self._clients.update(dict.fromkeys(effects.forgotten))
        self._clients.update((client.client, client) for client in effects.clients)
        self._transfers.update((transfer.transfer, transfer) for transfer in effects.transfers)
        self._holds.update((hold.hold, (hold, entry.sequence)) for hold in effects.holds)
        self._outflows.update(((o.wallet, o.asset, o.sequence, o.command), o) for o in effects.outflows)
        for line in lines_of(entry):
            line_row = (
                line.wallet,
                entry.sequence,
                line.line,
                time,
                line.asset,
                str(line.amount),
                str(line.posted),
                line.counterparty,
                line.reference,
                line.kind,
                line.transfer,
            )
            rows.lines.append((*line_row, seal(*line_row)))

    def rows(self) -> Rows:
        """All rows; once, at the end."""
        rows = self._rows
        for name, record in self._wallets.items():
            body = _encode(record)
            rows.wallets.append((name, body, seal(name, body), record.status.value))
            if record.version > 1:
                rows.known.append((name,))
            rows.metadata.extend((name, key, value) for key, value in record.metadata.items())
        for (name, asset_code), balance in self._balances.items():
            body = _encode(balance)
            rows.balances.append((name, asset_code, body, seal(name, asset_code, body)))
        for transfer in self._transfers.values():
            body = _encode(transfer)
            rows.refunded.append((transfer.transfer, body, seal(transfer.transfer, body)))
        for key, outflow in self._outflows.items():
            outflow_row = (*key, microseconds(outflow.time), _encode(outflow))
            rows.outflows.append((*outflow_row, seal(*outflow_row)))
        rows.holds.extend(hold_row(*last) for last in self._holds.values())
        for name, client in self._clients.items():
            if client is None:
                rows.forgotten.append((name,))
            else:
                body = _encode(client)
                rows.clients.append((name, body, seal(name, body)))
        return rows


def rows_of(entries: Iterable[Entry]) -> Rows:
    """The rows that the entries add or replace."""
    folding = Folding()
    for entry in entries:
        folding.add(entry)
    return folding.rows()


def hold_key(hold: HoldId) -> tuple[int, int]:
    """The entry that placed the hold and its place there, as numbers that sort in order of placing."""
    sequence, _, index = hold[1:].partition(".")
    return int(sequence), int(index or -1)


def hold_row(hold: HoldRecord, sequence: int) -> tuple[Any, ...]:
    """A hold's row as this entry leaves it, its seal last; ``ended`` is the entry where it says that it expired."""
    body = _encode(hold)
    expires = None if hold.expires_at is None else microseconds(hold.expires_at)
    ended = sequence if hold.state is HoldState.EXPIRED else None
    row = (hold.wallet, *hold_key(hold.hold), int(hold.state is HoldState.OPEN), expires, body, ended)
    return (*row, seal(*row))


def seal(*values: Any) -> bytes:
    """A short hash over a row's values, to tell rot from truth."""
    return blake2b(_encode(values), digest_size=8).digest()


def check_seal(table: str, stored: bytes, *values: Any) -> None:
    """Raise ReadTablesRotten where the row is not what was written."""
    if seal(*values) != stored:
        raise ReadTablesRotten(f"the row {values[:3]!r} of table {table}")


def microseconds(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The inverse of ``microseconds``."""
    return _EPOCH + timedelta(microseconds=value)
