"""Past balances: the balances of wallets after an entry, by one step down an index for each asset, however old.

    balances = balances_at(tables, "alice", "EUR", Moment(12, time))

``balance`` names each balance, and ``balance_change`` has it after each entry that changed it; ``wallet_after`` has a
row for each change of a wallet.  A hold that had expired by the moment reserves nothing, even if the entry that records
it came later.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from walletd.ledger.book import balance_record, floor
from walletd.protocol.pages import PageRoom
from walletd.tables.file import ReadTablesRotten, Tables
from walletd.tables.queries.moments import Moment
from walletd.tables.schema import (
    CHANGE_COLUMNS,
    LAST_CHANGE,
    first_place,
    key_of,
    microseconds,
)
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import BalanceRecord, HoldRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, WalletId, is_system_wallet

WALLET_AT = """
SELECT wallet, sequence, record, seal FROM wallet_after WHERE wallet = ? AND sequence <= ?
ORDER BY sequence DESC LIMIT 1
"""
EARLY_ASSETS = """
SELECT a.asset FROM asset a INDEXED BY early_asset
WHERE NOT a.is_late AND EXISTS (SELECT 1 FROM balance b WHERE b.wallet = ? AND b.asset = a.asset) ORDER BY a.asset
"""
BALANCES_AT = f"""
SELECT {CHANGE_COLUMNS}
FROM balance b CROSS JOIN balance_change c ON c.id = ({LAST_CHANGE.format(b="b", until=" AND id < ?2")})
WHERE b.wallet = ?1 AND b.asset > ?3 ORDER BY b.asset
"""
BALANCE_AT = f"""
SELECT {CHANGE_COLUMNS} FROM balance_change c INDEXED BY change_of_balance
WHERE c.key = ?3 AND c.wallet = ?1 AND c.asset = ?4 AND c.id < ?2 ORDER BY c.id DESC LIMIT 1
"""
LAST_OF_LATE = f"""
SELECT {CHANGE_COLUMNS} FROM balance_change c INDEXED BY late_change
WHERE c.wallet = ?1 AND c.is_late AND c.id < ?2 ORDER BY c.id DESC LIMIT 1
"""
# If several entries record expiries, each records the earliest remaining ones, and at most one more.
LAPSED_AT = """
SELECT wallet, number, place, is_open, expires, record, ended, seal FROM hold INDEXED BY expired_hold
WHERE wallet = ? AND ended > ? ORDER BY ended, expires
"""
OPEN_LAPSED_AT = """
SELECT wallet, number, place, is_open, expires, record, ended, seal FROM hold INDEXED BY expiring_hold
WHERE wallet = ? AND is_open AND expires IS NOT NULL AND expires <= ?
"""

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode
_decode_hold = msgspec.json.Decoder(HoldRecord).decode


class BalanceAfter(NamedTuple):
    """A balance after an entry."""

    asset: AssetCode
    version: int
    posted: int
    held: int


class PastPage(NamedTuple):
    """Balances by wallet and asset; ``next`` is the last of them if there are more, ``missing`` a wallet that was not
    open yet.
    """

    balances: tuple[BalanceRecord, ...] = ()
    next: tuple[WalletId, AssetCode] | None = None
    missing: WalletId | None = None


def page_at(
    tables: Tables,
    wallets: Sequence[WalletId],
    asset: AssetCode | None,
    moment: Moment,
    after: tuple[WalletId, AssetCode],
) -> PastPage:
    """The balances of the wallets, which are in order, after a place among them, as far as they fit."""
    records = {name: wallet_at(tables, name, moment.sequence) for name in wallets}
    if missing := [name for name, record in records.items() if record is None]:
        return PastPage(missing=missing[0])
    found: list[BalanceRecord] = []
    room = PageRoom()
    for name, record in records.items():
        assert record is not None
        if name < after[0]:
            continue
        behind = after[1] if name == after[0] else AssetCode("")
        for balance in _had(tables, record, asset, moment, behind):
            if not room.takes(balance):
                return PastPage(tuple(found), (found[-1].wallet, found[-1].asset))
            found.append(balance)
    return PastPage(tuple(found))


def balances_at(
    tables: Tables, wallet: WalletId, asset: AssetCode | None, moment: Moment
) -> tuple[BalanceRecord, ...] | None:
    """The wallet's balances, of one asset or of all by code; None if it was not open yet.

    O(requested assets × log), and O(holds that had expired but were not yet recorded).
    """
    record = wallet_at(tables, wallet, moment.sequence)
    return None if record is None else tuple(_had(tables, record, asset, moment, AssetCode("")))


def _had(
    tables: Tables, record: WalletRecord, asset: AssetCode | None, moment: Moment, after: AssetCode
) -> Iterator[BalanceRecord]:
    """The wallet's balance of one asset, or of all after this one."""
    wallet = record.wallet
    version = max(record.version, last_version(tables, wallet, moment.sequence))
    freed = _freed(tables, wallet, moment)
    if asset is None:
        stood: Iterable[BalanceAfter] = map(
            stood_of, tables.execute(BALANCES_AT, (wallet, first_place(moment.sequence + 1), after))
        )
    else:
        stood = [*stood_at(tables, wallet, [asset], moment.sequence)] or [BalanceAfter(asset, 0, 0, 0)]
    for one in stood:
        least = floor(is_system_wallet(wallet), record.limits.get(one.asset))
        yield balance_record(wallet, one.asset, one.posted, one.held - freed.get(one.asset, 0), version, least)


def early_assets(tables: Tables, wallet: WalletId) -> list[AssetCode]:
    """Those of the few assets defined first that ever touched the wallet."""
    return [asset for (asset,) in tables.execute(EARLY_ASSETS, (wallet,)).fetchall()]


def wallet_at(tables: Tables, wallet: WalletId, sequence: int) -> WalletRecord | None:
    """The wallet after its last change; None if it was not open yet."""
    row = tables.execute(WALLET_AT, (wallet, sequence)).fetchone()
    if row is None:
        return None
    *values, sealed = row
    check_seal("wallet_after", sealed, *values)
    return _decode_wallet(values[2])


def stood_at(tables: Tables, wallet: WalletId, assets: Iterable[AssetCode], sequence: int) -> Iterator[BalanceAfter]:
    """Balances of the wallet, each after the last entry that touched it; assets that never touched it are left out."""
    for asset in assets:
        row = tables.execute(BALANCE_AT, (wallet, first_place(sequence + 1), key_of(wallet, asset), asset)).fetchone()
        if row is not None:
            yield stood_of(row)


def stood_of(row: Sequence[Any]) -> BalanceAfter:
    """The balance after a change."""
    *values, sealed = row
    check_seal("balance_change", sealed, *values)
    _, _, _, asset, _, version, posted, held, _ = values
    return BalanceAfter(asset, version, int(posted), int(held))


def last_balance(record: WalletRecord, change: Sequence[Any]) -> BalanceRecord:
    """The balance after its last change, of a wallet as it is now.  Raises ReadTablesRotten if there is no change."""
    if change[0] is None:
        raise ReadTablesRotten(f"a balance of wallet {record.wallet}")
    stood = stood_of(change)
    least = floor(is_system_wallet(record.wallet), record.limits.get(stood.asset))
    return balance_record(record.wallet, stood.asset, stood.posted, stood.held, stood.version, least)


def last_version(tables: Tables, wallet: WalletId, sequence: int) -> int:
    """The wallet's version after the last change of a balance; 0 if there was none.  O(early assets × log)."""
    late = map(stood_of, tables.execute(LAST_OF_LATE, (wallet, first_place(sequence + 1))))
    early = stood_at(tables, wallet, early_assets(tables, wallet), sequence)
    return max((stood.version for stood in chain(late, early)), default=0)


def _freed(tables: Tables, wallet: WalletId, moment: Moment) -> dict[AssetCode, int]:
    """For each asset, the amount reserved by holds that had expired by then but were not yet recorded."""
    freed: dict[AssetCode, int] = {}
    for hold in _lapsed(tables, wallet, moment):
        freed[hold.asset] = freed.get(hold.asset, 0) + int(hold.amount) - int(hold.captured)
    return freed


def _lapsed(tables: Tables, wallet: WalletId, moment: Moment) -> Iterator[HoldRecord]:
    """The holds that had expired by then, recorded later or not yet."""
    time, entry = microseconds(moment.time), 0
    for row in tables.execute(LAPSED_AT, (wallet, moment.sequence)):
        if row[4] <= time:
            yield _hold(row)
        elif row[6] != entry:
            break  # The first hold that an entry recorded is the earliest of all that were left.
        entry = row[6]
    yield from map(_hold, tables.execute(OPEN_LAPSED_AT, (wallet, time)))


def _hold(row: Sequence[Any]) -> HoldRecord:
    *values, sealed = row
    check_seal("hold", sealed, *values)
    return _decode_hold(values[5])
