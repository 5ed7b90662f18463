"""Holds in the read tables: one, a page of a wallet's, and the order of their expiries.

page_of_holds(tables, wallet="alice", also_closed=False, after=None, limit=100, now=now)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from walletd.ledger.book import reserved
from walletd.protocol.messages.holds import HoldPage, HoldView
from walletd.protocol.pages import PageRoom
from walletd.tables.file import Tables
from walletd.tables.reader import progress_of
from walletd.tables.schema import microseconds
from walletd.tables.seals import check_seal
from walletd.vocabulary.entries import HoldRecord
from walletd.vocabulary.identifiers import AssetCode, HoldId, WalletId, place_of
from walletd.vocabulary.states import HoldState

HOLD_COLUMNS = "h.wallet, h.number, h.place, h.is_open, h.expires, h.record, h.ended, h.seal"
LAPSED_HOLDS = f"""
SELECT {HOLD_COLUMNS} FROM json_each(?) n CROSS JOIN hold h INDEXED BY expiring_hold
ON h.wallet = n.value AND h.is_open AND h.expires IS NOT NULL AND h.expires <= ?
"""
OPEN_HOLDS = f"""
SELECT {HOLD_COLUMNS} FROM hold h INDEXED BY open_hold
WHERE h.wallet = ?1 AND h.is_open AND (h.number, h.place) > (?2, ?3) ORDER BY h.number, h.place
"""
ALL_HOLDS = f"""
SELECT {HOLD_COLUMNS} FROM hold h
WHERE h.wallet = ?1 AND (h.number, h.place) > (?2, ?3) ORDER BY h.number, h.place
"""
HOLD = f"SELECT {HOLD_COLUMNS}, (SELECT sequence FROM progress) FROM hold h WHERE h.number = ? AND h.place = ?"
EXPIRIES = (
    f"SELECT {HOLD_COLUMNS} FROM hold h INDEXED BY next_expiry WHERE h.is_open AND h.expires IS NOT NULL "
    "AND (h.expires, h.number, h.place) > (?, ?, ?) ORDER BY h.expires, h.number, h.place LIMIT ?"
)

MAX_VISITED = 2_000
"""The open holds that one page looks at: some 10 ms of a thread."""

Expiry = tuple[datetime, WalletId, HoldId]
"""The expiry of a hold, its wallet, and its id."""

Key = tuple[datetime, int, int]
"""A time, and the place of a hold: the order of expiries."""

_decode_hold = msgspec.json.Decoder(HoldRecord).decode


def find_hold(tables: Tables, hold: HoldId, now: datetime) -> HoldView | None:
    """The hold at this time; None if there is none with this id."""
    rows = tables.execute(HOLD, place_of(hold)).fetchall()
    view = _hold_view(rows[0], rows[0][-1], now) if rows else None
    return view if view is not None and view.hold == hold else None  # A hold of another history has the same place.


def page_of_holds(
    tables: Tables, *, wallet: WalletId, also_closed: bool, after: HoldId | None, limit: int, now: datetime
) -> HoldPage:
    """The first holds that are open at this time, or all, out of at most this many looked at."""
    key = (0, 0) if after is None else place_of(after)
    rows = tables.execute(ALL_HOLDS if also_closed else OPEN_HOLDS, (wallet, *key))
    sequence = progress_of(tables)
    views: list[HoldView] = []
    following: HoldId | None = None
    last: Any = None
    room = PageRoom()
    for visited, row in enumerate(rows):
        if visited == max(MAX_VISITED, limit + 1):
            following = _hold_record(last).hold
            break
        if also_closed or row[4] is None or row[4] > microseconds(now):
            view = _hold_view(row, sequence, now)
            if len(views) == limit or not room.takes(view):
                following = views[-1].hold
                break
            views.append(view)
        last = row
    return HoldPage(holds=tuple(views), sequence=sequence, next=following)


def next_expiries(tables: Tables, after: Key | None, limit: int) -> list[Expiry]:
    """The next open holds with an expiry after this key, in order of their expiries.  O(log holds + limit)."""
    place = (-1, 0, 0) if after is None else (microseconds(after[0]), *after[1:])
    holds = map(_hold_record, tables.execute(EXPIRIES, (*place, limit)))
    return [(hold.expires_at, hold.wallet, hold.hold) for hold in holds if hold.expires_at is not None]


def freed_by_expiry(tables: Tables, names: Sequence[WalletId], now: datetime) -> dict[tuple[WalletId, AssetCode], int]:
    """For each balance, the amount reserved by holds that have expired but are not yet recorded."""
    freed: dict[tuple[WalletId, AssetCode], int] = {}
    wanted = msgspec.json.encode(names).decode()
    for hold in map(_hold_record, tables.execute(LAPSED_HOLDS, (wanted, microseconds(now)))):
        freed[hold.wallet, hold.asset] = freed.get((hold.wallet, hold.asset), 0) + reserved(hold)
    return freed


def _hold_record(row: Any) -> HoldRecord:
    *values, sealed = row[:8]
    check_seal("hold", sealed, *values)
    return _decode_hold(row[5])


def _hold_view(row: Any, sequence: int, now: datetime) -> HoldView:
    record = _hold_record(row)
    if record.state is HoldState.OPEN and record.expires_at is not None and record.expires_at <= now:
        record = msgspec.structs.replace(record, state=HoldState.EXPIRED)
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return HoldView(**fields, reserved=str(reserved(record)), sequence=sequence)
