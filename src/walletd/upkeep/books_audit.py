"""The audit of the books: every balance summed per asset, as of one entry, while writing continues.

    audit = await open_audit(path)
    with trio.move_on_after(1):
        await audit.go_on()                            # may be cancelled, and continues where it was
    await audit.go_on(pause_seconds=0.02)              # the rest, beside other work
    audit.report()

No long transaction holds up SQLite's checkpoints: each page of balances is read by itself, and ``balance_change`` has
the balance after the entry, however often it has changed since.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import apsw
import msgspec
import trio

from walletd.ledger.audit import in_words
from walletd.protocol.messages.operator import AssetTotal, AuditPlace, AuditReport
from walletd.protocol.pages import PageRoom
from walletd.tables import writer
from walletd.tables.file import (
    READER_CACHE_KIBIBYTES,
    ReadTablesRotten,
    Tables,
    open_for_reading,
    rot_reported,
)
from walletd.tables.queries.past_balances import last_balance, stood_of
from walletd.tables.reader import in_one_view, progress_of
from walletd.tables.schema import (
    CHANGE_COLUMNS,
    LAST_CHANGE,
    PLACES,
)
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import AssetRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, WalletId, is_system_wallet

MOST_VIOLATIONS = 1_000
"""The limit in one answer: enough to see what is wrong, and less than half of a message."""

PAGE_ROWS = 500
"""The balances read at a time; summing them occupies the event loop for some two to three milliseconds."""

_SEALED, _, _SEAL = CHANGE_COLUMNS.rpartition(", ")
_NOW = LAST_CHANGE.format(b="b", until="")
_THEN = LAST_CHANGE.format(b="b", until=f" AND id < (?4 + 1) * {PLACES}")
BALANCES = f"""
SELECT json_group_array(json_array(
    b.wallet, b.asset, w.record, hex(w.seal),
    json((SELECT json_array(json_array({_SEALED}), hex({_SEAL})) FROM balance_change c WHERE c.id = ({_NOW}))),
    json((SELECT json_array(json_array({_SEALED}), hex({_SEAL})) FROM balance_change c WHERE c.id = ({_THEN})))
))
FROM (SELECT * FROM balance WHERE (wallet, asset) > (?1, ?2) ORDER BY wallet, asset LIMIT ?3) b
LEFT JOIN wallet w USING (wallet)
"""
"""One row for many balances: a thread that fetches each row asks for the interpreter as often."""

_Change = tuple[list[int | str | None], str]
"""A change of a balance, and its seal."""

Row = tuple[WalletId, AssetCode, str, str, _Change, _Change | None]
"""A balance, its wallet with its seal, the last change now, and the last one as of the audit."""

_FIRST = AssetCode("")

_decode_rows = msgspec.json.Decoder(list[Row]).decode
_decode_wallet = msgspec.json.Decoder(WalletRecord).decode


class Audit:
    """The sums so far of every balance after ``sequence``, and the violations found."""

    def __init__(self, connection: apsw.Connection, sequence: int, wallets: int, assets: list[AssetRecord]) -> None:
        self._connection = connection
        self._sequence = sequence
        self._wallets = wallets
        self._assets = {asset.asset: asset for asset in assets}
        self._sums = dict.fromkeys(self._assets, 0)
        self._customers = dict(self._sums)
        self._overdrawn: list[str] = []
        self._last = ("", "")
        self.is_done = False

    async def go_on(self, pause_seconds: float = 0) -> None:
        """Process the remaining balances.  Raises ReadTablesRotten."""
        while not self.is_done:
            await trio.sleep(pause_seconds)
            asked = (*self._last, PAGE_ROWS, self._sequence)
            # The results of the thread are added in the same step, so that a cancellation neither loses nor doubles
            # any.
            self._add(await writer.in_thread(partial(_page, self._connection, asked)))

    def _add(self, rows: list[Row]) -> None:
        for wallet, asset, record, sealed, now, then in rows:
            check_seal("wallet", bytes.fromhex(sealed), wallet, record)
            available = last_balance(_decode_wallet(record), _with_seal(now)).available
            if available is not None and int(available) < 0:
                self._overdrawn.append(f"wallet {wallet} has {self._in_words(int(available), asset)} available")
            if then is None:
                continue  # The balance is younger than the entry.
            posted = stood_of(_with_seal(then)).posted
            self._sums[asset] = self._sums.get(asset, 0) + posted
            if not is_system_wallet(wallet):
                self._customers[asset] = self._customers.get(asset, 0) + posted
        if rows:
            self._last = rows[-1][:2]
        self.is_done = len(rows) < PAGE_ROWS

    @property
    def violations(self) -> list[str]:
        """The violations in the books; complete once all balances were seen."""
        assert self.is_done
        unbalanced = [
            f"posted balances of {asset} sum to {self._in_words(total, asset)}, not to zero"
            for asset, total in self._sums.items()
            if total
        ]
        return self._overdrawn + unbalanced

    def _in_words(self, units: int, asset: AssetCode) -> str:
        return in_words(units, asset, self._assets)

    def report(self, after: AssetCode = _FIRST) -> AuditReport:
        """The violations and the sums after an asset that fit, once all balances were seen."""
        found = self.violations
        shown = found[:MOST_VIOLATIONS]
        if len(found) > len(shown):
            shown.append(f"there are {len(found):,} violations; these are the first {len(shown):,}")
        room = PageRoom()
        room.takes(shown)
        behind = [self._total(asset) for asset in sorted(self._sums) if asset > after]
        totals = tuple(takewhile(room.takes, behind))
        return AuditReport(
            sequence=self._sequence,
            wallets=self._wallets,
            totals=totals,
            violations=tuple(shown),
            next=AuditPlace(self._sequence, totals[-1].asset) if len(totals) < len(behind) else None,
        )

    def _total(self, asset: AssetCode) -> AssetTotal:
        total, of_customers = self._sums[asset], self._customers.get(asset, 0)
        return AssetTotal(asset, str(total), str(of_customers), _scale_of(self._assets.get(asset)))

    async def aclose(self) -> None:
        """Close the connection."""
        await writer.in_thread(self._connection.close)


class BooksAudits:
    """Begins audits of the read tables in this file."""

    def __init__(self, path: Path, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> None:
        self._path = path
        self._cache_kibibytes = cache_kibibytes

    @asynccontextmanager
    async def begun(self, *, counts_wallets: bool = True, as_of: int | None = None) -> AsyncIterator[Audit]:
        """An audit to be done step by step.  To count the wallets takes O(wallets) at its beginning."""
        audit = await open_audit(self._path, self._cache_kibibytes, counts_wallets=counts_wallets, as_of=as_of)
        try:
            yield audit
        finally:
            with trio.CancelScope(shield=True):
                await audit.aclose()

    async def report(
        self, after: AuditPlace | None = None, audited: Callable[[int], None] = lambda violations: None
    ) -> AuditReport:
        """Sum every balance per asset, as of the last entry shown now, or of the previous answer.

        ``audited`` is told the number of all violations, of which the report shows the first.  O(balances), bounded
        memory.
        """
        async with self.begun(as_of=None if after is None else after.sequence) as audit:
            await audit.go_on()
            audited(len(audit.violations))
            return audit.report(_FIRST if after is None else after.asset)


async def open_audit(
    path: Path,
    cache_kibibytes: int = READER_CACHE_KIBIBYTES,
    *,
    counts_wallets: bool = True,
    as_of: int | None = None,
) -> Audit:
    """Begin an audit of the books as they are now, or were after an entry.

    To count the wallets takes a look at each one's index entry.
    """
    return await writer.in_thread(partial(_open, path, cache_kibibytes, counts_wallets, as_of))


def _open(path: Path, cache_kibibytes: int, counts_wallets: bool, as_of: int | None) -> Audit:
    with rot_reported():
        connection = open_for_reading(path, cache_kibibytes)
        try:
            count = "SELECT count(*) FROM wallet" if counts_wallets else "SELECT 0"

            def look(tables: Tables) -> Audit:
                assets = [_asset(*row) for row in tables.execute("SELECT asset, scale, seal FROM asset ORDER BY asset")]
                ((wallets,),) = tables.execute(count).fetchall()
                last = progress_of(tables)
                return Audit(connection, last if as_of is None else min(as_of, last), wallets, assets)

            return in_one_view(connection, look)
        except BaseException:
            connection.close()
            raise


def _asset(code: AssetCode, scale: int, sealed: bytes) -> AssetRecord:
    check_seal("asset", sealed, code, scale)
    return AssetRecord(code, scale)


def _with_seal(change: _Change) -> list[Any]:
    values, sealed = change
    return [*values, bytes.fromhex(sealed)]


def _scale_of(asset: AssetRecord | None) -> int | None:
    return None if asset is None else asset.scale


def _page(connection: Tables, asked: tuple[str, str, int, int]) -> list[Row]:
    with rot_reported():
        ((page,),) = connection.execute(BALANCES, asked).fetchall()
        try:
            return _decode_rows(page)
        except msgspec.DecodeError as error:
            raise ReadTablesRotten("a balance") from error
