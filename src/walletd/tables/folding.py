"""Folding: the rows that each entry of the journal adds to the read tables.

folding = Folding()
folding.add(entry)                                 # for each entry, in order
for statement, rows in folding.rows().statements(): ...
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from walletd.ledger.statement import lines_of
from walletd.tables.schema import EARLY_ASSETS, UNMOVED, microseconds
from walletd.tables.seals import row
from walletd.vocabulary.commands import ids_of
from walletd.vocabulary.entries import (
    BalanceRecord,
    ClientRecord,
    Entry,
    FoldedOutflow,
    HoldRecord,
    OutflowRecord,
    TransferRecord,
    WalletRecord,
)
from walletd.vocabulary.identifiers import HoldId, TransferId, place_of
from walletd.vocabulary.states import HoldState

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
    folded: list[bytes]
    forgotten: list[bytes]
    clients: list[bytes]
    commands: list[bytes]

    def statements(self) -> Iterable[tuple[str, list[bytes]]]:
        """Each table's statement with its rows.  An entry is folded only once, so a plain INSERT must succeed."""
        return zip(STATEMENTS.values(), self, strict=True)


def _sealed(columns: int) -> str:
    """The columns of a row; the last is the seal."""
    return ", ".join([*(f"value->>{column}" for column in range(columns - 1)), f"unhex(value->>{columns - 1})"])


_IS_LATE_ASSET = f"(SELECT count(*) FROM asset) + key >= {EARLY_ASSETS}"
_STATUS = "json_extract(value->>1, '$.status')"
_IS_LATE = "ifnull((SELECT a.is_late FROM asset a WHERE a.asset = value->>1), 1)"

STATEMENTS = {
    "moments": f"INSERT INTO moment SELECT {_sealed(3)} FROM json_each(?)",
    "assets": f"INSERT INTO asset SELECT {_sealed(3)}, {_IS_LATE_ASSET} FROM json_each(?)",
    "wallets": f"INSERT OR REPLACE INTO wallet SELECT {_sealed(3)}, {_STATUS} FROM json_each(?)",
    "known": "DELETE FROM wallet_metadata WHERE wallet IN (SELECT value->>0 FROM json_each(?))",
    "metadata": "INSERT INTO wallet_metadata SELECT value->>0, value->>1, value->>2 FROM json_each(?)",
    "wallets_after": f"INSERT INTO wallet_after SELECT {_sealed(4)} FROM json_each(?)",
    "balances": f"INSERT OR REPLACE INTO balance SELECT {_sealed(4)} FROM json_each(?)",
    # In this order the changes of a wallet in one transaction are adjacent, and the index is traversed once.
    "changes": f"INSERT INTO balance_change SELECT {_sealed(14)}, {_IS_LATE} FROM json_each(?) ORDER BY 1, 2, 3, 4",
    "holds": f"INSERT OR REPLACE INTO hold SELECT {_sealed(8)} FROM json_each(?)",
    "refunded": f"INSERT OR REPLACE INTO refunded SELECT {_sealed(3)} FROM json_each(?)",
    "outflows": f"INSERT OR REPLACE INTO outflow SELECT {_sealed(7)} FROM json_each(?)",
    # The rows before the last of a run: the last now stands for all of them.
    "folded": """DELETE FROM outflow WHERE (wallet, asset, sequence, command) IN (
        SELECT o.wallet, o.asset, o.sequence, o.command FROM json_each(?) CROSS JOIN outflow o
        ON o.wallet = value->>0 AND o.asset = value->>1 AND (o.sequence, o.command) >= (value->>2, value->>3)
        AND (o.sequence, o.command) < (value->>4, value->>5))""",
    "forgotten": "DELETE FROM client WHERE client IN (SELECT value->>0 FROM json_each(?))",
    "clients": f"INSERT OR REPLACE INTO client SELECT {_sealed(3)} FROM json_each(?)",
    # The first entry of an id counts, even in a journal that contains an id twice.
    "commands": f"INSERT OR IGNORE INTO command SELECT {_sealed(4)} FROM json_each(?)",
}
"""The statement of each list of rows, in the order in which they are executed."""

assert tuple(STATEMENTS) == Rows._fields


class Folding:
    """The rows of several entries, added one by one.  For a wallet or balance touched often, only the last record
    counts.
    """

    def __init__(self) -> None:
        self._rows = Rows(*([] for _ in Rows._fields))
        self._wallets: dict[str, WalletRecord] = {}
        self._balances: dict[tuple[str, str], BalanceRecord] = {}
        self._holds: dict[HoldId, tuple[HoldRecord, int]] = {}
        self._transfers: dict[TransferId, TransferRecord] = {}
        self._outflows: dict[tuple[str, str, int, int], OutflowRecord] = {}
        self._clients: dict[str, ClientRecord | None] = {}

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
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
        for one in effects.folded:
            self._add_folded(one)
        for outflow in effects.outflows:
            self._outflows[outflow.wallet, outflow.asset, outflow.sequence, outflow.command] = outflow
        for name in effects.forgotten:
            self._clients[name] = None
        for client in effects.clients:
            self._clients[client.client] = client

    def _add_folded(self, one: FoldedOutflow) -> None:
        """A run of outflows is deleted once every row is written, but for the last."""
        place = one.wallet, one.asset
        self._rows.folded.append(_encode((*place, one.first, one.first_command, one.sequence, one.command)))
        self._outflows[(*place, one.sequence, one.command)] = OutflowRecord(
            wallet=one.wallet,
            asset=one.asset,
            sequence=one.sequence,
            command=one.command,
            time=one.time,
            amount=one.amount,
        )

    def rows(self) -> Rows:
        """All rows; call it once, at the end."""
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
    """The entry's changes of each balance, as rows without their seals: one row for each line of a statement, and one
    without a movement if it only reserved or released.  The last row of a balance is its state after the entry.
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
    """A hold's row after this entry, without its seal; ``ended`` is the entry if it records the expiry."""
    expires = None if hold.expires_at is None else microseconds(hold.expires_at)
    ended = sequence if hold.state is HoldState.EXPIRED else None
    return hold.wallet, *place_of(hold.hold), int(hold.state is HoldState.OPEN), expires, _text(hold), ended


def _text(record: msgspec.Struct) -> str:
    return _encode(record).decode()
