"""Book loading: the books of wallets from the read tables, some thousands of rows at a time.

    loading = BookLoading(["alice", "bob"])
    while loading.read_some(tables):                   # in between, others may use the connection
        pass
    loading.books

A wallet may have thousands of assets, open holds and outflows.  No part of it may change while it is loaded, which its
actor ensures; other wallets may change.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from walletd.ledger.book import Book, restore_book, restore_outflow
from walletd.tables.file import Tables
from walletd.tables.queries.past_balances import last_balance
from walletd.tables.schema import CHANGE_COLUMNS, LAST_CHANGE
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import BalanceRecord, HoldRecord, OutflowRecord, WalletRecord
from walletd.vocabulary.identifiers import WalletId

SLICE = 2_000
"""The rows read in one slice: some ten milliseconds of a thread."""

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode
_decode_outflow = msgspec.json.Decoder(OutflowRecord).decode
_decode_hold = msgspec.json.Decoder(HoldRecord).decode

# Each reads the wallets in the given order, and continues after the key of the last row.
WALLETS = """
SELECT w.wallet, w.record, w.seal FROM json_each(?1) n CROSS JOIN wallet w ON w.wallet = n.value
WHERE n.value > ?2 LIMIT ?3
"""
BALANCES = f"""
SELECT b.wallet, b.asset, {CHANGE_COLUMNS} FROM json_each(?1) n CROSS JOIN balance b
ON b.wallet = n.value AND b.asset > iif(n.value = ?2, ?3, '')
LEFT JOIN balance_change c ON c.id = ({LAST_CHANGE.format(b="b", until="")}) WHERE n.value >= ?2 LIMIT ?4
"""
# Without this, SQLite would look at every hold that the wallet ever had.
OPEN_HOLDS = """
SELECT h.wallet, h.number, h.place, h.is_open, h.expires, h.record, h.ended, h.seal
FROM json_each(?1) n CROSS JOIN hold h INDEXED BY open_hold ON h.wallet = n.value AND h.is_open
AND (h.number, h.place) > (iif(n.value = ?2, ?3, 0), iif(n.value = ?2, ?4, 0)) WHERE n.value >= ?2 LIMIT ?5
"""
# As far back as the longest window reaches before the last entry's time: no later decision looks further back.
OUTFLOWS = """
SELECT n.key, o.time, o.sequence, o.command, o.wallet, o.asset, o.record, o.seal
FROM json_each(?1) n CROSS JOIN outflow o INDEXED BY outflow_by_time
ON o.wallet = n.value ->> 0 AND o.asset = n.value ->> 1 AND (o.time, o.sequence, o.command) > (
    iif(n.key = ?2, ?3, (SELECT time FROM progress) - (n.value ->> 2)),
    iif(n.key = ?2, ?4, 1 << 62), iif(n.key = ?2, ?5, 0)
) WHERE n.key >= ?2 LIMIT ?6
"""

# The same for one wallet, at a third of the cost: the given name is no JSON, and its row is found by a plain search.
WALLET = "SELECT wallet, record, seal FROM wallet WHERE wallet = ?1 AND wallet > ?2 LIMIT ?3"
ITS_BALANCES = f"""
SELECT b.wallet, b.asset, {CHANGE_COLUMNS} FROM balance b
LEFT JOIN balance_change c ON c.id = ({LAST_CHANGE.format(b="b", until="")})
WHERE b.wallet = ?1 AND b.asset > ?3 ORDER BY b.asset LIMIT ?4
"""
ITS_OPEN_HOLDS = """
SELECT wallet, number, place, is_open, expires, record, ended, seal FROM hold INDEXED BY open_hold
WHERE wallet = ?1 AND is_open AND (number, place) > (?3, ?4) ORDER BY number, place LIMIT ?5
"""

FEW = 2
"""So many wallets, those of a payment, are read one by one; more of them together, because a thread asks for the
interpreter at each statement.
"""


class BookLoading:
    """The loading of the books of some wallets: their records, then their balances, open holds and outflows."""

    def __init__(self, wallets: Iterable[WalletId]) -> None:
        self._names = sorted(set(wallets))
        self._records: dict[WalletId, WalletRecord] = {}
        self._balances: dict[WalletId, list[BalanceRecord]] = {}
        self._holds: dict[WalletId, list[HoldRecord]] = {}
        self._steps = self._walk()
        self._tables: Tables | None = None
        self.books: dict[WalletId, Book] = {}
        """The books of the wallets that exist, once all is read."""

    def read_some(self, tables: Tables) -> bool:
        """Read the next rows; returns whether there are more."""
        self._tables = tables
        return next(self._steps, False)

    def _walk(self) -> Iterator[bool]:
        if len(self._names) <= FEW:
            for name in self._names:
                yield from self._read(name, WALLET, ITS_BALANCES, ITS_OPEN_HOLDS)
        else:
            yield from self._read(msgspec.json.encode(self._names).decode(), WALLETS, BALANCES, OPEN_HOLDS)
        self.books = {name: self._book(name, record) for name, record in self._records.items()}
        if windows := self._windows():
            for rows in self._slices(OUTFLOWS, windows, (-1, 0, 0, 0)):
                for _, time, sequence, command, name, asset, record, sealed in rows:
                    check_seal("outflow", sealed, name, asset, sequence, command, time, record)
                    restore_outflow(self.books[name], _decode_outflow(record))
                if len(rows) == SLICE:
                    yield True

    def _read(self, names: str, wallets: str, balances: str, open_holds: str) -> Iterator[bool]:
        """Read these wallets by these statements."""
        for rows in self._slices(wallets, names, ("",)):
            for name, record, sealed in rows:
                check_seal("wallet", sealed, name, record)
                self._records[name] = _decode_wallet(record)
            if len(rows) == SLICE:
                yield True
        for rows in self._slices(balances, names, ("", "")):
            for name, _, *change in rows:
                self._balances.setdefault(name, []).append(last_balance(self._records[name], change))
            if len(rows) == SLICE:
                yield True
        for rows in self._slices(open_holds, names, ("", 0, 0)):
            for *values, sealed in rows:
                check_seal("hold", sealed, *values)
                self._holds.setdefault(values[0], []).append(_decode_hold(values[5]))
            if len(rows) == SLICE:
                yield True

    def _slices(self, sql: str, given: str, key: tuple[Any, ...]) -> Iterator[list[Any]]:
        """The rows of a statement whose first columns are the key after which it continues."""
        rows: list[Any] = []
        while not rows or len(rows) == SLICE:
            assert self._tables is not None
            rows = self._tables.execute(sql, (given, *key, SLICE)).fetchall()
            yield rows
            if not rows:
                return
            key = rows[-1][: len(key)]

    def _windows(self) -> str | None:
        """The wallets and assets whose outflows count, and their microseconds."""
        windows = [
            (name, asset, record.limits[asset].longest_window * 1_000_000)
            for name, record in self._records.items()
            for asset in record.counted_from
        ]
        return msgspec.json.encode(windows).decode() if windows else None

    def _book(self, name: WalletId, record: WalletRecord) -> Book:
        """The wallet's version is that of the last entry that touched it or one of its balances."""
        balances = self._balances.get(name, [])
        version = max([record.version, *(balance.version for balance in balances)])
        record = msgspec.structs.replace(record, version=version)
        return restore_book(record, balances, self._holds.get(name, ()))


def load_books(tables: Tables, wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
    """The books of those wallets that exist, in one call."""
    loading = BookLoading(wallets)
    while loading.read_some(tables):
        pass
    return loading.books
