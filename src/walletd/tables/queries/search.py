"""The search for wallets: by the beginning of their names, by status and by metadata, in the order of their names.

    names, next = find_wallets(tables, Search(prefix="shop:", status=None, metadata={"tier": "gold"}), now, None, 100)

Each kind of search traverses an index in the order of names.  The work of one page is bounded: if almost nothing
matches, a page has few wallets or none, and ``next`` is the place from which to continue.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from walletd.ledger.book import freeze_at
from walletd.tables.file import ReadTablesRotten, Tables
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import WalletRecord
from walletd.vocabulary.identifiers import WalletId
from walletd.vocabulary.states import WalletStatus

MAX_VISITED = 2_000
"""The wallets that one page looks at: some 20 ms of a thread."""

_COUNTS = (16, 256, MAX_VISITED)
_PAST_ALL_NAMES = "\x7f"
_RANGE = "wallet >= ?1 AND wallet < ?2 AND wallet > ?3"
_ALL = f"SELECT wallet FROM wallet WHERE {_RANGE}"
_OPEN, _FROZEN, _CLOSED = (f"{_ALL} AND status = '{status}'" for status in ("open", "frozen", "closed"))
# A freeze whose time has passed leaves a wallet open, without an entry that records it.
BY_STATUS = {
    None: f"{_ALL} ORDER BY wallet",
    WalletStatus.OPEN: f"{_OPEN} UNION ALL {_FROZEN} ORDER BY wallet",
    WalletStatus.FROZEN: f"{_FROZEN} ORDER BY wallet",
    WalletStatus.CLOSED: f"{_CLOSED} ORDER BY wallet",
}
BY_METADATA = f"SELECT wallet FROM wallet_metadata WHERE key = ?4 AND value = ?5 AND {_RANGE} ORDER BY wallet"
HOW_MANY = "SELECT count(*) FROM (SELECT 1 FROM wallet_metadata WHERE key = ? AND value = ? LIMIT ?)"
RECORD = "SELECT record, seal, status FROM wallet WHERE wallet = ?"

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode


class Search(NamedTuple):
    """The criteria of a search; all of them must match."""

    prefix: str = ""
    status: WalletStatus | None = None
    metadata: Mapping[str, str] = {}


class Found(NamedTuple):
    """Names of matching wallets, in order; ``next`` is the name after which to continue, None at the end."""

    names: list[WalletId]
    next: WalletId | None


def find_wallets(tables: Tables, search: Search, now: datetime, after: WalletId | None, limit: int) -> Found:
    """The next wallets after a name.  O(log + limit) for a prefix and one other condition; bounded for several."""
    names: list[WalletId] = []
    last: WalletId | None = None
    rarest = _rarest(tables, search.metadata)
    for visited, name in enumerate(_walk(tables, search, rarest, after)):
        if visited == max(MAX_VISITED, limit + 1):
            return Found(names, last)
        if _fits(tables, name, search, rarest, now):
            if len(names) == limit:
                return Found(names, names[-1])
            names.append(name)
        last = name
    return Found(names, None)


def status_at(record: WalletRecord, now: datetime) -> WalletStatus:
    """The wallet's status at this time: a freeze whose time has passed does not count."""
    thawed = record.status is WalletStatus.FROZEN and freeze_at(record.freeze, now) is None
    return WalletStatus.OPEN if thawed else record.status


def _rarest(tables: Tables, metadata: Mapping[str, str]) -> tuple[str, str] | None:
    """Of several keys and values, the one that the fewest wallets have; frequent ones are not counted to the end."""
    if len(metadata) <= 1:
        return next(iter(metadata.items()), None)
    for enough in _COUNTS:
        counts = {word: tables.execute(HOW_MANY, (*word, enough)).fetchone()[0] for word in metadata.items()}
        rarest = min(counts, key=counts.__getitem__)
        if counts[rarest] < enough:
            break
    return rarest


def _walk(tables: Tables, search: Search, word: tuple[str, str] | None, after: WalletId | None) -> Iterator[WalletId]:
    bounds = (search.prefix, search.prefix + _PAST_ALL_NAMES, after or "")
    way = BY_STATUS[search.status] if word is None else BY_METADATA
    for (name,) in tables.execute(way, bounds if word is None else (*bounds, *word)):
        yield name


def _fits(tables: Tables, name: WalletId, search: Search, word: tuple[str, str] | None, now: datetime) -> bool:
    """True if the wallet's own record matches the search; the indices only say where to look.

    Raises ReadTablesRotten if an index contradicts the wallet's record.
    """
    if search.status is None and word is None:
        return True
    row = tables.execute(RECORD, (name,)).fetchone()
    if row is None:
        raise ReadTablesRotten(f"the search for wallet {name!r}")
    check_seal("wallet", row[1], name, row[0])
    record = _decode_wallet(row[0])
    if row[2] != record.status.value or (word is not None and record.metadata.get(word[0]) != word[1]):
        raise ReadTablesRotten(f"the search for wallet {name!r}")
    if search.status is not None and status_at(record, now) is not search.status:
        return False
    return all(record.metadata.get(key) == value for key, value in search.metadata.items())
