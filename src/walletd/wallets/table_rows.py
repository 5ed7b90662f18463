"""The rows of the read tables: their schema, and what each entry of the journal leaves in them.

    folding = Folding()
    folding.add(entry)                                 # for each entry, in order
    for statement, rows in folding.rows().statements(): ...

Every row carries a seal, a short hash over its values, so that rot in the file is detected and never served.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

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
from walletd.wallets.table_file import ReadTablesRotten

FORMAT = 9

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
CREATE TABLE balance (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, record BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance_change (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, line INTEGER NOT NULL, time INTEGER NOT NULL,
    version INTEGER NOT NULL, posted TEXT NOT NULL, held TEXT NOT NULL,
    amount TEXT, counterparty TEXT, reference TEXT, kind TEXT, transfer TEXT,
    seal BLOB NOT NULL, PRIMARY KEY (wallet, asset, sequence, line)
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

CHANGE_COLUMNS = """
c.wallet, c.asset, c.sequence, c.line, c.time, c.version, c.posted, c.held,
c.amount, c.counterparty, c.reference, c.kind, c.transfer, c.seal
"""
"""What a change's seal is over, and the seal."""

UNMOVED = -1
"""The line of a change without a movement."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


class Rows(NamedTuple):
    """The rows that a run of entries adds or replaces, table by table."""

    moments: list[tuple[Any, ...]]
    assets: list[tuple[Any, ...]]
    wallets: list[tuple[Any, ...]]
    known: list[tuple[Any, ...]]
    metadata: list[tuple[Any, ...]]
    wallets_after: list[tuple[Any, ...]]
    balances: list[tuple[Any, ...]]
    changes: list[tuple[Any, ...]]
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
        yield "INSERT OR REPLACE INTO balance (VALUES)", self.balances
        yield "INSERT INTO balance_change (VALUES)", self.changes
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
        if effects.balances:
            self._balances.update(((balance.wallet, balance.asset), balance) for balance in effects.balances)
            rows.changes.extend((*change, seal(*change)) for change in balance_changes(entry, time))
        self._clients.update(dict.fromkeys(effects.forgotten))
        self._clients.update((client.client, client) for client in effects.clients)
        self._transfers.update((transfer.transfer, transfer) for transfer in effects.transfers)
        self._holds.update((hold.hold, (hold, entry.sequence)) for hold in effects.holds)
        self._outflows.update(((o.wallet, o.asset, o.sequence, o.command), o) for o in effects.outflows)

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


def balance_changes(entry: Entry, time: int) -> Iterable[tuple[Any, ...]]:
    """What the entry changed of each balance, as rows but for their seals: a row a line of a statement; one without a
    movement where it only reserved or released.  The last row of a balance says what the entry left of it.
    """
    assert entry.effects is not None
    left = {(balance.wallet, balance.asset): balance for balance in entry.effects.balances}
    unmoved = dict(left)
    for line in lines_of(entry):
        key = line.wallet, line.asset
        unmoved.pop(key, None)
        after = left[key]
        yield (
            *key,
            entry.sequence,
            line.line,
            time,
            after.version,
            str(line.posted),
            after.held,
            str(line.amount),
            line.counterparty,
            line.reference,
            line.kind,
            line.transfer,
        )
    for key, after in unmoved.items():
        yield (
            *key,
            entry.sequence,
            UNMOVED,
            time,
            after.version,
            after.posted,
            after.held,
            None,
            None,
            None,
            None,
            None,
        )


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
