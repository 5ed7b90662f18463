"""Folding: the rows that each entry of the journal adds to the read tables.

folding = Folding()
folding.add(entry)                                 # for each entry, in order
for statement, rows in folding.rows().statements(): ...
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from walletd.ledger.statement import TRANSFER, movements_of
from walletd.tables.schema import EARLY_ASSETS, PLACES, key_of, microseconds
from walletd.tables.seals import row
from walletd.vocabulary.claims import ids_of
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

MAX_MOMENTS: Final = 256
"""The entries whose times are in one row: about a kilobyte."""

MAX_LINES: Final = 64
"""The lines of a statement in one row.  Only a batch has more for one balance; a page must not read all of them."""

_encode = msgspec.json.Encoder().encode

_Line = tuple[Any, ...]
"""Number, signed amount, counterparty and transfer; kind and reference unless it is a transfer without a reference."""


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


_IS_LATE_ASSET = f"(SELECT count(*) FROM asset) + row_number() OVER () > {EARLY_ASSETS}"
_STATUS = "json_extract(value->>1, '$.status')"
_IS_LATE = "ifnull((SELECT a.is_late FROM asset a WHERE a.asset = value->>3), 1)"

STATEMENTS = {
    "moments": f"INSERT INTO moment SELECT {_sealed(4)} FROM carray(?)",
    "assets": f"INSERT INTO asset SELECT {_sealed(3)}, {_IS_LATE_ASSET} FROM carray(?)",
    "wallets": f"INSERT OR REPLACE INTO wallet SELECT {_sealed(3)}, {_STATUS} FROM carray(?)",
    "known": "DELETE FROM wallet_metadata WHERE wallet IN (SELECT value->>0 FROM carray(?))",
    "metadata": "INSERT INTO wallet_metadata SELECT value->>0, value->>1, value->>2 FROM carray(?)",
    "wallets_after": f"INSERT INTO wallet_after SELECT {_sealed(4)} FROM carray(?)",
    # Some of these may be there already.
    "balances": f"INSERT OR IGNORE INTO balance SELECT {_sealed(4)} FROM carray(?)",
    "changes": f"INSERT INTO balance_change SELECT {_sealed(10)}, {_IS_LATE} FROM carray(?)",
    "holds": f"INSERT OR REPLACE INTO hold SELECT {_sealed(8)} FROM carray(?)",
    "refunded": f"INSERT OR REPLACE INTO refunded SELECT {_sealed(3)} FROM carray(?)",
    "outflows": f"INSERT OR REPLACE INTO outflow SELECT {_sealed(7)} FROM carray(?)",
    # The rows before the last of a run: the last now stands for all of them.
    "folded": """DELETE FROM outflow WHERE (wallet, asset, sequence, command) IN (
        SELECT o.wallet, o.asset, o.sequence, o.command FROM carray(?) CROSS JOIN outflow o
        ON o.wallet = value->>0 AND o.asset = value->>1 AND (o.sequence, o.command) >= (value->>2, value->>3)
        AND (o.sequence, o.command) < (value->>4, value->>5))""",
    "forgotten": "DELETE FROM client WHERE client IN (SELECT value->>0 FROM carray(?))",
    "clients": f"INSERT OR REPLACE INTO client SELECT {_sealed(3)} FROM carray(?)",
    # The first entry of an id counts, even in a journal that contains an id twice.
    "commands": f"INSERT OR IGNORE INTO command SELECT {_sealed(4)} FROM carray(?)",
}
"""The statement of each list of rows, in the order in which they are executed."""

assert tuple(STATEMENTS) == Rows._fields


class Folding:
    """The rows of several entries, added one by one.  For a wallet or hold touched often, only the last record
    counts.
    """

    def __init__(self) -> None:
        self._rows = Rows(*([] for _ in Rows._fields))
        self._first = 0
        """The first entry whose time is in ``_times``."""
        self._times: list[int] = []
        self._wallets: dict[str, WalletRecord] = {}
        self._balances: set[tuple[str, str]] = set()
        """Those that the tables may lack."""
        self._holds: dict[HoldId, tuple[HoldRecord, int]] = {}
        self._transfers: dict[TransferId, TransferRecord] = {}
        self._outflows: dict[tuple[str, str, int, int], OutflowRecord] = {}
        self._clients: dict[str, ClientRecord | None] = {}

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        rows = self._rows
        time = microseconds(entry.time)
        self._note_time(entry.sequence, time)
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
            self._change_balances(entry, effects.balances, time)
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

    def _note_time(self, sequence: int, time: int) -> None:
        if self._first + len(self._times) != sequence or len(self._times) == MAX_MOMENTS:
            self._end_times()
            self._first = sequence
        self._times.append(time)

    def _end_times(self) -> None:
        if self._times:
            began = self._times[0]
            offsets = _encode([time - began for time in self._times]).decode()
            self._rows.moments.append(row(self._first, began, offsets))
            self._times = []

    def _change_balances(self, entry: Entry, balances: Iterable[BalanceRecord], time: int) -> None:
        """One row for each balance that the entry touched, with the lines that moved it."""
        lines = _lines(entry)
        place = entry.sequence * PLACES
        changes = self._rows.changes
        for balance in balances:
            wallet, asset = balance.wallet, balance.asset
            key = key_of(wallet, asset)
            moved = lines.get((wallet, asset))
            if _may_be_new(balance.posted, moved):
                self._balances.add((wallet, asset))
            for posted, some in _parts(balance.posted, moved):
                text = None if some is None else _encode(some).decode()
                changes.append(row(place, key, wallet, asset, time, balance.version, posted, balance.held, text))
                place += 1
        assert place <= (entry.sequence + 1) * PLACES

    def rows(self) -> Rows:
        """All rows; call it once, at the end."""
        rows = self._rows
        self._end_times()
        for name, record in self._wallets.items():
            rows.wallets.append(row(name, _text(record)))
            if record.version > 1:
                rows.known.append(_encode((name,)))
            rows.metadata.extend(_encode((name, key, value)) for key, value in record.metadata.items())
        for wallet, asset in self._balances:
            rows.balances.append(row(wallet, asset, key_of(wallet, asset)))
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


def _lines(entry: Entry) -> dict[tuple[str, str], list[_Line]]:
    """The lines of each balance that the entry moved, in order."""
    lines: dict[tuple[str, str], list[_Line]] = {}
    for line, source, to, asset, amount, kind, transfer, reference in movements_of(entry):
        said = () if kind == TRANSFER and reference is None else (kind, reference)
        lines.setdefault((source, asset), []).append((line, str(-amount), to, transfer, *said))
        lines.setdefault((to, asset), []).append((line, str(amount), source, transfer, *said))
    return lines


def _may_be_new(posted: str, lines: list[_Line] | None) -> bool:
    """False if the balance was there before the entry: it was not zero."""
    if lines is None:
        return posted == "0"
    if len(lines) == 1:
        return bool(posted == lines[0][1])
    return int(posted) == sum(int(line[1]) for line in lines)


def _parts(posted: str, lines: list[_Line] | None) -> list[tuple[str, list[_Line] | None]]:
    """The lines, in parts if they are many, each with the balance after it."""
    if lines is None or len(lines) <= MAX_LINES:
        return [(posted, lines)]
    parts: list[tuple[str, list[_Line] | None]] = []
    after = int(posted) - sum(int(line[1]) for line in lines)
    for start in range(0, len(lines), MAX_LINES):
        some = lines[start : start + MAX_LINES]
        after += sum(int(line[1]) for line in some)
        parts.append((str(after), some))
    return parts


def hold_values(hold: HoldRecord, sequence: int) -> tuple[Any, ...]:
    """A hold's row after this entry, without its seal; ``ended`` is the entry if it records the expiry."""
    expires = None if hold.expires_at is None else microseconds(hold.expires_at)
    ended = sequence if hold.state is HoldState.EXPIRED else None
    return hold.wallet, *place_of(hold.hold), int(hold.state is HoldState.OPEN), expires, _text(hold), ended


def _text(record: msgspec.Struct) -> str:
    return _encode(record).decode()
