"""Readings: the questions that the read tables answer.

    readings = await open_readings(path)               # inside a trio-asyncio loop
    page = await readings.list_wallets(prefix="shop:", after=None, limit=100)

What an answer shows stood together: it is read by one SQL statement.  ``sequence`` in an answer says after which entry;
nothing that happened up to there is missing from it.  Every row's seal is checked before it is shown.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
from trio_asyncio import aio_as_trio  # type: ignore[import-untyped]

from walletd.ledger.book import Book, restore_book
from walletd.protocol.messages import AssetTotal, AuditReport, Statement, StatementLine, WalletPage, WalletView
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, WalletId, is_system_wallet, transfer_id
from walletd.wallets.read_tables import check_seal, from_microseconds, read_only, rot_reported

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode
_decode_balance = msgspec.json.Decoder(BalanceRecord).decode
_PAST_ALL_NAMES = "\x7f"
_AUDIT_PAGE = 10_000

_WALLET_COLUMNS = "w.wallet, w.record, w.seal, w.version, w.version_seal, b.asset, b.record, b.seal"
_SEQUENCE = "(SELECT sequence FROM progress)"

SOME_WALLETS = f"""
SELECT {_WALLET_COLUMNS}, {_SEQUENCE} FROM wallet w LEFT JOIN balance b USING (wallet)
WHERE w.wallet IN (SELECT value FROM json_each(?)) ORDER BY w.wallet, b.asset
"""
WALLETS = f"""
SELECT {_WALLET_COLUMNS}, {_SEQUENCE}
FROM (SELECT * FROM wallet WHERE wallet >= ? AND wallet < ? AND wallet > ? ORDER BY wallet LIMIT ?) w
LEFT JOIN balance b USING (wallet) ORDER BY w.wallet, b.asset
"""
STATEMENT = """
SELECT wallet, sequence, line, time, asset, amount, posted, counterparty, reference, seal FROM statement_line
WHERE wallet = ? AND sequence <= ? AND (? IS NULL OR asset = ?) AND (sequence, line) {comparison} (?, ?)
ORDER BY sequence {order}, line {order} LIMIT ?
"""
BALANCES = (
    "SELECT wallet, asset, record, seal FROM balance WHERE (wallet, asset) > (?, ?) ORDER BY wallet, asset LIMIT ?"
)


class Readings:
    """One reading connection to the read tables."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def aclose(self) -> None:
        """Close the connection."""
        await aio_as_trio(self._connection.close)()

    async def assets(self) -> list[AssetRecord]:
        """Every asset, by code."""
        rows = await self._query("SELECT asset, scale, seal FROM asset ORDER BY asset")
        for code, scale, sealed in rows:
            check_seal("asset", sealed, code, scale)
        return [AssetRecord(code, scale) for code, scale, _ in rows]

    async def books(self, wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
        """The books of those of the wallets that exist.  O(wallets × assets) look-ups, one hop."""
        rows = await self._query(SOME_WALLETS, (msgspec.json.encode(list(wallets)).decode(),))
        return {
            name: restore_book(_wallet_record(group[0]), _balance_records(group)) for name, group in _by_wallet(rows)
        }

    async def list_wallets(self, prefix: str, after: str | None, limit: int) -> WalletPage:
        """One page of the wallets whose names start with the prefix, in the order of their names."""
        bounds = (prefix, prefix + _PAST_ALL_NAMES, after or "", limit + 1)
        rows, sequence = await self._query_wallets(WALLETS, bounds)
        views = [_wallet_view(group, sequence) for _, group in _by_wallet(rows)]
        more = len(views) > limit
        return WalletPage(
            wallets=tuple(views[:limit]), sequence=sequence, next=views[limit - 1].wallet if more else None
        )

    async def some_wallets(self, wallets: Iterable[WalletId]) -> WalletPage:
        """Those of the wallets that exist, all at one sequence."""
        names = msgspec.json.encode(list(wallets)).decode()
        rows, sequence = await self._query_wallets(SOME_WALLETS, (names,))
        return WalletPage(
            wallets=tuple(_wallet_view(group, sequence) for _, group in _by_wallet(rows)), sequence=sequence
        )

    async def sequence(self) -> int:
        """After which entry the tables stand."""
        rows = await self._query(f"SELECT {_SEQUENCE}")
        return rows[0][0] or 0

    async def statement(
        self, wallet: WalletId, asset: AssetCode | None, newest_first: bool, after: tuple[int, int] | None, limit: int
    ) -> Statement:
        """One page of the lines behind ``after`` (a sequence and a line), in the direction asked for."""
        sequence = await self.sequence()
        start = after or ((2**62, 0) if newest_first else (0, 0))
        sql = STATEMENT.format(comparison="<" if newest_first else ">", order="DESC" if newest_first else "ASC")
        rows = await self._query(sql, (wallet, sequence, asset, asset, *start, limit + 1))
        lines = tuple(_statement_line(row) for row in rows[:limit])
        following = f"{lines[-1].sequence}.{lines[-1].line}" if len(rows) > limit else None
        return Statement(wallet=wallet, lines=lines, sequence=sequence, next=following)

    async def audit(self) -> AuditReport:
        """Sum up every balance per asset, in one consistent view of the tables.  O(balances), bounded memory."""
        connection = await _open(self._path)
        try:
            with rot_reported():
                return await _audit(connection)
        finally:
            await aio_as_trio(connection.close)()

    async def _query_wallets(self, sql: str, values: Sequence[Any]) -> tuple[list[Any], int]:
        """The rows and after which entry they stand; no rows say nothing of that, and are asked for once more."""
        rows = await self._query(sql, values)
        if not rows:
            sequence = await self.sequence()
            rows = await self._query(sql, values)
        return rows, rows[0][-1] if rows else sequence

    async def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with rot_reported():
            return list(await aio_as_trio(self._connection.execute_fetchall)(sql, values))


async def open_readings(path: Path) -> Readings:
    """Open the read tables for reading; they must exist."""
    return Readings(await _open(path), path)


async def _open(path: Path) -> aiosqlite.Connection:
    with rot_reported():
        connection: aiosqlite.Connection = await aio_as_trio(_connect)(read_only(path))
    return connection


async def _connect(uri: str) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)
    try:
        await connection.execute_fetchall("PRAGMA query_only=1")
    except BaseException:
        await connection.close()  # Its thread would keep the process from ending.
        raise
    return connection


async def _audit(connection: aiosqlite.Connection) -> AuditReport:
    query = aio_as_trio(connection.execute_fetchall)
    await query("BEGIN")
    (first,) = await query(f"SELECT {_SEQUENCE}, (SELECT count(*) FROM wallet)")
    sums = dict.fromkeys([row[0] for row in await query("SELECT asset FROM asset ORDER BY asset")], 0)
    customers = dict(sums)
    violations: list[str] = []
    async for balance in _all_balances(query):
        posted = int(balance.posted)
        sums[balance.asset] = sums.get(balance.asset, 0) + posted
        if not is_system_wallet(balance.wallet):
            customers[balance.asset] = customers.get(balance.asset, 0) + posted
        if balance.available is not None and int(balance.available) < 0:
            violations.append(f"wallet {balance.wallet} has {balance.available} of {balance.asset} available")
    violations += [f"posted balances of {asset} sum to {total}, not to zero" for asset, total in sums.items() if total]
    await query("COMMIT")
    totals = tuple(AssetTotal(asset, str(total), str(customers[asset])) for asset, total in sums.items())
    return AuditReport(sequence=first[0] or 0, wallets=first[1], totals=totals, violations=tuple(violations))


async def _all_balances(query: Any) -> AsyncIterator[BalanceRecord]:
    last = ("", "")
    while page := list(await query(BALANCES, (*last, _AUDIT_PAGE))):
        for wallet, asset, record, sealed in page:
            check_seal("balance", sealed, wallet, asset, record)
            yield _decode_balance(record)
        last = (page[-1][0], page[-1][1])


def _by_wallet(rows: list[Any]) -> Iterable[tuple[WalletId, list[Any]]]:
    return ((WalletId(name), list(group)) for name, group in groupby(rows, key=lambda row: row[0]))


def _wallet_record(row: Any) -> WalletRecord:
    name, record, sealed, version, version_seal = row[:5]
    check_seal("wallet", sealed, name, record)
    check_seal("wallet", version_seal, name, version)
    return msgspec.structs.replace(_decode_wallet(record), version=version)


def _balance_records(group: list[Any]) -> tuple[BalanceRecord, ...]:
    balances = [(row[0], *row[5:8]) for row in group if row[5] is not None]
    for name, asset, record, sealed in balances:
        check_seal("balance", sealed, name, asset, record)
    return tuple(_decode_balance(record) for _, _, record, _ in balances)


def _wallet_view(group: list[Any], sequence: int) -> WalletView:
    return view_of(_wallet_record(group[0]), _balance_records(group), sequence)


def view_of(record: WalletRecord, balances: tuple[BalanceRecord, ...], sequence: int) -> WalletView:
    """A wallet with its balances as a client sees it."""
    return WalletView(
        wallet=record.wallet,
        status=record.status,
        version=record.version,
        opened_at=record.opened_at,
        metadata=record.metadata,
        balances=balances,
        sequence=sequence,
    )


def _statement_line(row: Any) -> StatementLine:
    *values, sealed = row
    check_seal("statement_line", sealed, *values)
    _, sequence, line, time, asset, amount, posted, counterparty, reference = values
    return StatementLine(
        sequence=sequence,
        line=line,
        time=from_microseconds(time),
        kind="transfer",
        asset=asset,
        amount=amount,
        posted=posted,
        counterparty=counterparty,
        transfer=transfer_id(sequence),
        reference=reference,
    )
