"""Past balances: what wallets had after an entry, found by one step down an index for each asset, however long ago.

    balances = balances_at(tables, ["alice"], Moment(12, time))

``balance_change`` says what each entry left of a balance; ``wallet_after`` has a row for each change of a wallet.  A
hold that had expired by the moment reserves nothing, also where the entry that says so came later.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from walletd.ledger.book import balance_record, floor
from walletd.vocabulary.entries import BalanceRecord, HoldRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, WalletId, is_system_wallet
from walletd.wallets.moments import Moment
from walletd.wallets.table_file import Tables
from walletd.wallets.table_rows import CHANGE_COLUMNS, check_seal, microseconds

WALLET_AT = """
SELECT wallet, sequence, record, seal FROM wallet_after WHERE wallet = ? AND sequence <= ?
ORDER BY sequence DESC LIMIT 1
"""
BALANCES_AT = f"""
SELECT {CHANGE_COLUMNS}
FROM balance b CROSS JOIN balance_change c ON c.wallet = b.wallet AND c.asset = b.asset AND (c.sequence, c.line) = (
    SELECT sequence, line FROM balance_change WHERE wallet = b.wallet AND asset = b.asset AND sequence <= ?2
    ORDER BY sequence DESC, line DESC LIMIT 1
) WHERE b.wallet = ?1 ORDER BY b.asset
"""
# An entry that records one expired hold of a wallet records all that have expired: one entry has all there are.
LAPSED_AT = """
SELECT wallet, number, place, is_open, expires, record, ended, seal FROM hold
WHERE wallet = ?1 AND expires <= ?3
AND ended = (SELECT min(ended) FROM hold WHERE wallet = ?1 AND ended IS NOT NULL AND ended > ?2)
UNION ALL
SELECT wallet, number, place, is_open, expires, record, ended, seal FROM hold
WHERE wallet = ?1 AND is_open AND expires IS NOT NULL AND expires <= ?3
"""

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode
_decode_hold = msgspec.json.Decoder(HoldRecord).decode


class Stood(NamedTuple):
    """What an entry left of a balance."""

    asset: AssetCode
    version: int
    posted: int
    held: int


def balances_at(
    tables: Tables, wallet: WalletId, asset: AssetCode | None, moment: Moment
) -> tuple[BalanceRecord, ...] | None:
    """What the wallet had, of one asset or of all by code; None where it was not open yet.  O(its assets × log)."""
    record = wallet_at(tables, wallet, moment.sequence)
    if record is None:
        return None
    found = {stood.asset: stood for stood in stood_at(tables, wallet, moment.sequence)}
    version = max([record.version, *(stood.version for stood in found.values())])
    freed = _freed(tables, wallet, moment)
    return tuple(
        balance_record(
            wallet,
            code,
            found[code].posted if code in found else 0,
            (found[code].held if code in found else 0) - freed.get(code, 0),
            version,
            floor(is_system_wallet(wallet), record.limits.get(code)),
        )
        for code in (sorted(found) if asset is None else (asset,))
    )


def wallet_at(tables: Tables, wallet: WalletId, sequence: int) -> WalletRecord | None:
    """The wallet as the last change of it left it; None where it was not open yet."""
    row = tables.execute(WALLET_AT, (wallet, sequence)).fetchone()
    if row is None:
        return None
    *values, sealed = row
    check_seal("wallet_after", sealed, *values)
    return _decode_wallet(values[2])


def stood_at(tables: Tables, wallet: WalletId, sequence: int) -> Iterable[Stood]:
    """Each balance of the wallet as the last entry that touched it left it, by asset."""
    for *values, sealed in tables.execute(BALANCES_AT, (wallet, sequence)).fetchall():
        check_seal("balance_change", sealed, *values)
        _, asset, _, _, _, version, posted, held, *_ = values
        yield Stood(asset, version, int(posted), int(held))


def _freed(tables: Tables, wallet: WalletId, moment: Moment) -> dict[AssetCode, int]:
    """Of each asset, what the holds reserved that had expired by then while no entry had said so."""
    freed: dict[AssetCode, int] = {}
    for *values, sealed in tables.execute(LAPSED_AT, (wallet, moment.sequence, microseconds(moment.time))).fetchall():
        check_seal("hold", sealed, *values)
        hold = _decode_hold(values[5])
        freed[hold.asset] = freed.get(hold.asset, 0) + int(hold.amount) - int(hold.captured)
    return freed
