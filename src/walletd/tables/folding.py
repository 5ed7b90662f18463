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
from walletd.tables.file import ReadTablesRotten
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
from walletd.vocabulary.identifiers import HoldId, TransferId, place_of
from walletd.vocabulary.states import HoldState

FORMAT = 11

EARLY_ASSETS = 16
"""So many assets, those defined first, have a wallet's history walked each by itself; the changes of all later ones are
in an index by wallet alone.  An index over all changes would make a transfer's rows a fifth dearer."""

SCHEMA = """
CREATE TABLE progress (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    format INTEGER NOT NULL, instance TEXT NOT NULL, epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL, frontier BLOB NOT NULL, time INTEGER NOT NULL
) STRICT;
CREATE TABLE asset (
    asset TEXT PRIMARY KEY, scale INTEGER NOT NULL, seal BLOB NOT NULL, is_late INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX early_asset ON asset (asset) WHERE NOT is_late;
CREATE TABLE moment (sequence INTEGER PRIMARY KEY, time INTEGER NOT NULL, seal BLOB NOT NULL) STRICT;
CREATE TABLE wallet (
    wallet TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB NOT NULL, status TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_status ON wallet (status, wallet);
CREATE TABLE wallet_metadata (
    wallet TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (wallet, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX wallet_by_metadata ON wallet_metadata (key, value, wallet);
CREATE TABLE wallet_after (
    wallet TEXT NOT NULL, sequence INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB NOT NULL,
    PRIMARY KEY (wallet, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, record TEXT NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE balance_change (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, line INTEGER NOT NULL, time INTEGER NOT NULL,
    version INTEGER NOT NULL, posted TEXT NOT NULL, held TEXT NOT NULL,
    amount TEXT, counterparty TEXT, reference TEXT, kind TEXT, transfer TEXT, seal BLOB NOT NULL,
    is_late INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX change_of_balance ON balance_change (wallet, asset, sequence, line);
CREATE INDEX late_change ON balance_change (wallet, sequence, line) WHERE is_late;
CREATE TABLE hold (
    wallet TEXT NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, is_open INTEGER NOT NULL, expires INTEGER,
    record TEXT NOT NULL, ended INTEGER, seal BLOB NOT NULL, PRIMARY KEY (number, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE refunded (
    transfer TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outflow (
    wallet TEXT NOT NULL, asset TEXT NOT NULL, sequence INTEGER NOT NULL, command INTEGER NOT NULL,
    time INTEGER NOT NULL, record TEXT NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (wallet, asset, sequence, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX outflow_by_time ON outflow (wallet, asset, time);
CREATE TABLE client (client TEXT PRIMARY KEY, record TEXT NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID;
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
    """The rows that a run of entries adds or replaces, table by table; each a JSON array, its seal last."""

    moments: list[bytes]
    assets: list[bytes]
    wallets: list[bytes]
    known: list[bytes]
    metadata: list[bytes]
    wallets_after: list[bytes]
    balances: list[bytes]
    changes: list[bytes]
    holds: list[bytes]
    refunded: list[bytes]
    outflows: list[bytes]
    forgotten: list[bytes]
    clients: list[bytes]
    commands: list[bytes]

    def statements(self) -> Iterable[tuple[str, list[bytes]]]:
        """Each table's statement with its rows.  An entry is folded once only, so that a plain INSERT must succeed."""
        return zip(STATEMENTS, self, strict=True)


def _sealed(columns: int) -> str:
    """The columns of a row, of which the last is the seal."""
    return ", ".join([*(f"value->>{column}" for column in range(columns - 1)), f"unhex(value->>{columns - 1})"])


_IS_LATE = "ifnull((SELECT a.is_late FROM asset a WHERE a.asset = value->>1), 1)"

STATEMENTS = (
    f"INSERT INTO moment SELECT {_sealed(3)} FROM json_each(?)",
    f"INSERT INTO asset SELECT {_sealed(3)}, (SELECT count(*) FROM asset) + key >= {EARLY_ASSETS} FROM json_each(?)",
    f"INSERT OR REPLACE INTO wallet SELECT {_sealed(3)}, json_extract(value->>1, '$.status') FROM json_each(?)",
    "DELETE FROM wallet_metadata WHERE wallet IN (SELECT value->>0 FROM json_each(?))",
    "INSERT INTO wallet_metadata SELECT value->>0, value->>1, value->>2 FROM json_each(?)",
    f"INSERT INTO wallet_after SELECT {_sealed(4)} FROM json_each(?)",
    f"INSERT OR REPLACE INTO balance SELECT {_sealed(4)} FROM json_each(?)",
    # In this order a wallet's changes of one transaction lie side by side, and the index is walked once.
    f"INSERT INTO balance_change SELECT {_sealed(14)}, {_IS_LATE} FROM json_each(?) ORDER BY 1, 2, 3, 4",
    f"INSERT OR REPLACE INTO hold SELECT {_sealed(8)} FROM json_each(?)",
    f"INSERT OR REPLACE INTO refunded SELECT {_sealed(3)} FROM json_each(?)",
    f"INSERT OR REPLACE INTO outflow SELECT {_sealed(7)} FROM json_each(?)",
    "DELETE FROM client WHERE client IN (SELECT value->>0 FROM json_each(?))",
    f"INSERT OR REPLACE INTO client SELECT {_sealed(3)} FROM json_each(?)",
    # The first entry of an id is the one that counts, also in a journal that holds an id twice.
    f"INSERT OR IGNORE INTO command SELECT {_sealed(4)} FROM json_each(?)",
)
"""In the order of ``Rows``, and that in which they are run."""


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
        rows.moments.append(row(entry.sequence, time))
        for command_id in ids_of(entry.command):
            rows.commands.append(row(entry.principal, command_id, entry.sequence))
        effects = entry.effects
        if effects is None:
            return
        for asset in effects.assets:
            rows.assets.append(row(asset.asset, asset.scale))
        for wallet in effects.wallets:
            self._wallets[wallet.wallet] = wallet
            rows.wallets_after.append(row(wallet.wallet, entry.sequence, _text(wallet)))
        if effects.balances:
            for balance in effects.balances:
                self._balances[balance.wallet, balance.asset] = balance
            rows.changes.extend([row(*change) for change in balance_changes(entry, time)])
        for hold in effects.holds:
            self._holds[hold.hold] = hold, entry.sequence
        for transfer in effects.transfers:
            self._transfers[transfer.transfer] = transfer
        for outflow in effects.outflows:
            self._outflows[outflow.wallet, outflow.asset, outflow.sequence, outflow.command] = outflow
        for name in effects.forgotten:
            self._clients[name] = None
        for client in effects.clients:
            self._clients[client.client] = client

    def rows(self) -> Rows:
        """All rows; once, at the end."""
        rows = self._rows
        for name, record in self._wallets.items():
            rows.wallets.append(row(name, _text(record)))
            if record.version > 1:
                rows.known.append(_encode((name,)))
            rows.metadata.extend(_encode((name, key, value)) for key, value in record.metadata.items())
        for key, balance in self._balances.items():
            rows.balances.append(row(*key, _text(balance)))
        for transfer in self._transfers.values():
            rows.refunded.append(row(transfer.transfer, _text(transfer)))
        for place, outflow in self._outflows.items():
            rows.outflows.append(row(*place, microseconds(outflow.time), _text(outflow)))
        for hold, sequence in self._holds.values():
            rows.holds.append(row(*hold_values(hold, sequence)))
        for name, client in self._clients.items():
            if client is None:
                rows.forgotten.append(_encode((name,)))
            else:
                rows.clients.append(row(name, _text(client)))
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


def hold_values(hold: HoldRecord, sequence: int) -> tuple[Any, ...]:
    """A hold's row as this entry leaves it, without its seal; ``ended`` is the entry where it says that it expired."""
    expires = None if hold.expires_at is None else microseconds(hold.expires_at)
    ended = sequence if hold.state is HoldState.EXPIRED else None
    return hold.wallet, *place_of(hold.hold), int(hold.state is HoldState.OPEN), expires, _text(hold), ended


def row(*values: Any) -> bytes:
    """A row as a statement takes it in: its values and their seal, in hexadecimal."""
    body = _encode(values)
    return b'%b,"%b"]' % (body[:-1], blake2b(body, digest_size=8).hexdigest().encode())


def _text(record: msgspec.Struct) -> str:
    return _encode(record).decode()


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
