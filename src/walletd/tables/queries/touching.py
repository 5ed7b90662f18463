"""Entries that touch some wallets, found by the indexes of their changes: what a stream of these wallets missed.

    found = entries_touching(tables, ["alice"], after=120)
    found.sequences                                    # (125, 3001, ...): all of them up to found.reached

An entry touches a wallet if it changed one of its balances or the wallet itself.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from walletd.tables.file import Tables
from walletd.tables.queries.past_balances import early_assets
from walletd.tables.reader import progress_of
from walletd.tables.schema import PLACES, key_of
from walletd.vocabulary.identifiers import WalletId

MOST_FOUND = 256
"""The changes that one question finds in each index that it asks: a few milliseconds."""

OF_ASSET = f"""
SELECT id / {PLACES} FROM balance_change INDEXED BY change_of_balance
WHERE key = ?5 AND wallet = ?1 AND asset = ?3 AND id >= (?2 + 1) * {PLACES} ORDER BY id LIMIT ?4
"""
OF_LATE = f"""
SELECT id / {PLACES} FROM balance_change INDEXED BY late_change
WHERE wallet = ?1 AND is_late AND id >= (?2 + 1) * {PLACES} ORDER BY id LIMIT ?4
"""
OF_WALLET = """
SELECT sequence FROM wallet_after WHERE wallet = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?4
"""


class Touching(NamedTuple):
    """The sequences of entries, and the one up to which there are no others."""

    sequences: tuple[int, ...]
    reached: int


def entries_touching(tables: Tables, wallets: Iterable[WalletId], after: int) -> Touching:
    """The next entries that touch any of the wallets.  O(wallets × assets × (log + result)), whatever the history."""
    reached = progress_of(tables)
    found: set[int] = set()
    for wallet in wallets:
        late = (wallet, after, None, MOST_FOUND)
        asked: list[tuple[str, tuple[Any, ...]]] = [(OF_LATE, late), (OF_WALLET, late)]
        for asset in early_assets(tables, wallet):
            asked.append((OF_ASSET, (wallet, after, asset, MOST_FOUND, key_of(wallet, asset))))
        for sql, values in asked:
            rows = [row[0] for row in tables.execute(sql, values).fetchall()]
            if len(rows) == MOST_FOUND:
                reached = min(reached, rows[-1])
            found.update(rows)
    return Touching(tuple(sorted(sequence for sequence in found if sequence <= reached)), max(reached, after))
