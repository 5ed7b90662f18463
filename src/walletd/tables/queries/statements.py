"""Statements: a wallet's movements within a range of the history, page by page.

    page = read_statement(tables, Question("alice", since=5), None, 100)

The first page fixes the last entry of the statement; every later page belongs to the same statement, whatever has been
posted meanwhile.  The work of one page is bounded: if few lines match, a page has few or none, and its place says where
to continue.  For a wallet with many assets, a page has the balances of those that its lines move.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from heapq import merge
from itertools import dropwhile, groupby
from typing import Any, NamedTuple

import msgspec

from walletd.ledger.statement import TRANSFER
from walletd.protocol.messages import Statement, StatementBalance, StatementLine
from walletd.protocol.pages import PageRoom
from walletd.tables.file import Tables
from walletd.tables.queries.moments import sequence_before
from walletd.tables.queries.past_balances import early_assets, stood_at, wallet_at
from walletd.tables.reader import progress_of
from walletd.tables.schema import (
    CHANGE_COLUMNS,
    PLACES,
    UNMOVED,
    first_place,
    from_microseconds,
    key_of,
)
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.identifiers import AssetCode, WalletId

MAX_VISITED = 2_000
"""The lines that one page looks at if not every line matches: some 10 ms of a thread."""

MAX_STATED = 100
"""The largest number of assets for which each page states the balances at both ends: some milliseconds."""

STATED_BYTES = 256
"""The largest size of the two balances that a page states for a line."""

SOME_ASSETS = """
SELECT b.asset, ifnull((SELECT a.is_late FROM asset a WHERE a.asset = b.asset), 1)
FROM balance b WHERE b.wallet = ? ORDER BY b.asset LIMIT ?
"""
_RISING = "c.id >= ?3 AND c.id < ?4 ORDER BY c.id"
_FALLING = "c.id >= ?3 AND c.id < ?4 ORDER BY c.id DESC"
_OF_ASSET = (
    f"SELECT {CHANGE_COLUMNS} FROM balance_change c INDEXED BY change_of_balance "
    "WHERE c.key = ?5 AND c.wallet = ?1 AND c.asset = ?2 AND"
)
_LATE = f"SELECT {CHANGE_COLUMNS} FROM balance_change c INDEXED BY late_change WHERE c.wallet = ?1 AND c.is_late AND"
OLDEST_FIRST, NEWEST_FIRST = f"{_OF_ASSET} {_RISING}", f"{_OF_ASSET} {_FALLING}"
LATE_OLDEST_FIRST, LATE_NEWEST_FIRST = f"{_LATE} {_RISING}", f"{_LATE} {_FALLING}"
_AFTER_ALL = 2**62
_CURSOR_FORMAT = 2

_decode_lines = msgspec.json.Decoder(list[list[Any]]).decode


class Question(NamedTuple):
    """The wallet, the range and the filter of a statement.

    ``since`` is the first sequence or time that belongs to it, ``until`` the first that no longer does.
    """

    wallet: WalletId
    asset: AssetCode | None = None
    counterparty: WalletId | None = None
    kind: str | None = None
    since: int | datetime | None = None
    until: int | datetime | None = None
    newest_first: bool = False

    def digest(self, epoch: int) -> str:
        """A short name for this question in this epoch of the journal, which identifies its cursors."""
        return blake2b(msgspec.json.encode((_CURSOR_FORMAT, epoch, *self)), digest_size=6).hexdigest()


class Place(NamedTuple):
    """The beginning of a page: after this line, in a statement up to and including the entry ``end``."""

    end: int
    sequence: int
    line: int

    @classmethod
    def of(cls, end: int, sequence: int, line: int) -> "Place":
        """The inverse of ``numbers``."""
        return cls(end, sequence, line + UNMOVED)

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The numbers for a cursor: none of them is negative."""
        return self.end, self.sequence, self.line - UNMOVED


class _Seen(NamedTuple):
    """A line and its place; None for a change without a movement."""

    place: tuple[int, int]
    line: StatementLine | None


class Page(NamedTuple):
    """A page and the beginning of the next one; None after the last."""

    statement: Statement
    next: Place | None


def read_statement(tables: Tables, question: Question, place: Place | None, limit: int) -> Page | None:
    """The next page; None for a wallet that does not exist.  O(log + limit), or bounded if few lines match."""
    end = progress_of(tables) if place is None else place.end
    if wallet_at(tables, question.wallet, end) is None:
        return None
    first = _first(tables, question.since)
    last = max(min(end, _last(tables, question.until, end)), first - 1)
    known = _assets(tables, question)
    lines, reached = _lines(tables, question, known, _bounds(question, place, first, last), limit)
    assets = sorted({line.asset for line in lines}) if known is None else [*known]
    opening = _posted(tables, question.wallet, assets, first - 1) if first > 1 else {}
    closing = _posted(tables, question.wallet, assets, last)
    if question.asset is None and known is not None:
        assets = sorted(closing)
    statement = Statement(
        wallet=question.wallet,
        opening=tuple(StatementBalance(asset, str(opening.get(asset, 0))) for asset in assets),
        closing=tuple(StatementBalance(asset, str(closing.get(asset, 0))) for asset in assets),
        lines=tuple(lines),
        sequence=end,
        partial=known is None,
    )
    return Page(statement, None if reached is None else Place(end, *reached))


def _assets(tables: Tables, question: Question) -> dict[AssetCode, bool] | None:
    """The assets whose balances each page states, in their order, and whether each is a late one: those asked for, or
    that ever touched the wallet.  None if they are too many, and each page states those of its lines.
    """
    if question.asset is not None:
        return {question.asset: False}
    some = dict(tables.execute(SOME_ASSETS, (question.wallet, MAX_STATED + 1)).fetchall())
    return some if len(some) <= MAX_STATED else None


def _posted(tables: Tables, wallet: WalletId, assets: Iterable[AssetCode], edge: int) -> dict[AssetCode, int]:
    """The wallet's posted balances of these assets after an entry, for those that had touched it."""
    return {stood.asset: stood.posted for stood in stood_at(tables, wallet, assets, edge)}


def _first(tables: Tables, since: int | datetime | None) -> int:
    """The first sequence of the range."""
    if isinstance(since, datetime):
        return sequence_before(tables, since) + 1
    return max(since or 1, 1)


def _last(tables: Tables, until: int | datetime | None, end: int) -> int:
    """The last sequence of the range, for a history without an end."""
    if isinstance(until, datetime):
        return sequence_before(tables, until)
    return end if until is None else until - 1


def _bounds(question: Question, place: Place | None, first: int, last: int) -> tuple[int, int, int]:
    """The place after which the lines begin, and the sequence with which they end."""
    if question.newest_first:
        start = (last + 1, UNMOVED)
        return *(start if place is None else min(start, place[1:])), first
    start = (first - 1, _AFTER_ALL)
    return *(start if place is None else max(start, place[1:])), last


def _lines(
    tables: Tables, question: Question, known: Mapping[AssetCode, bool] | None, bounds: tuple[int, ...], limit: int
) -> tuple[list[StatementLine], tuple[int, int] | None]:
    """The matching lines, and the last line looked at if there may be more after it."""
    lines: list[StatementLine] = []
    reached: tuple[int, int] | None = None
    room = PageRoom()
    for visited, (place, found) in enumerate(_seen(tables, question, known, bounds)):
        if visited == max(MAX_VISITED, limit + 1):
            return lines, reached
        if found is not None and _fits(found, question):
            if len(lines) == limit or not room.takes(found, STATED_BYTES):
                return lines, (lines[-1].sequence, lines[-1].line)
            lines.append(found)
        reached = place
    return lines, None


def _seen(
    tables: Tables, question: Question, known: Mapping[AssetCode, bool] | None, bounds: tuple[int, ...]
) -> Iterator[_Seen]:
    """What changed of the asset, or of all the wallet's assets in the order of the history.

    For all assets, the changes of each early asset and of all later ones together, so that there are few cursors.
    """
    newest_first, wallet = question.newest_first, question.wallet
    ids = _ids(bounds, newest_first)
    of_asset, late = (NEWEST_FIRST, LATE_NEWEST_FIRST) if newest_first else (OLDEST_FIRST, LATE_OLDEST_FIRST)
    if known is None:
        assets, has_late = early_assets(tables, wallet), True
    else:
        assets, has_late = [asset for asset, is_late in known.items() if not is_late], any(known.values())
    changes: list[Iterable[_Seen]] = [
        _in_order(tables.execute(of_asset, (wallet, asset, *ids, key_of(wallet, asset))), newest_first)
        for asset in assets
    ]
    if has_late:
        changes.append(_interleaved(tables.execute(late, (wallet, None, *ids)), newest_first))
    after = bounds[:2]
    seen = merge(*changes, key=_place, reverse=newest_first)
    return dropwhile(lambda one: one.place >= after if newest_first else one.place <= after, seen)


def _ids(bounds: tuple[int, ...], newest_first: bool) -> tuple[int, int]:
    """The first change that may have lines within the bounds, and the first behind those."""
    sequence, line, edge = bounds
    if newest_first:
        first, end = edge, sequence + (line > UNMOVED)
    else:
        first, end = sequence + (line == _AFTER_ALL), edge + 1
    return first_place(first), first_place(end)


def _in_order(rows: Iterable[Any], newest_first: bool) -> Iterator[_Seen]:
    """The lines of the changes of one balance."""
    for row in rows:
        yield from _lines_of(row, newest_first)


def _interleaved(rows: Iterable[Any], newest_first: bool) -> Iterator[_Seen]:
    """The lines of the changes of several balances: those of one entry may be in any order."""
    for _, changes in groupby(rows, key=lambda row: row[0] // PLACES):
        seen = [one for row in changes for one in _lines_of(row, newest_first)]
        yield from sorted(seen, key=_place, reverse=newest_first)


def _place(seen: _Seen) -> tuple[int, int]:
    return seen.place


def _lines_of(row: Sequence[Any], newest_first: bool) -> list[_Seen]:
    """The lines of one change.  It has the balance after the last of them, so running balances are computed backwards
    from there.
    """
    *values, sealed = row
    check_seal("balance_change", sealed, *values)
    change, _, _, asset, time, _, posted, _, lines = values
    sequence = change // PLACES
    if lines is None:
        return [_Seen((sequence, UNMOVED), None)]
    seen: list[_Seen] = []
    left, moved_at = int(posted), from_microseconds(time)
    for line, amount, counterparty, transfer, *said in reversed(_decode_lines(lines)):
        kind, reference = said or (TRANSFER, None)
        found = StatementLine(
            sequence=sequence,
            line=line,
            time=moved_at,
            kind=kind,
            asset=asset,
            amount=amount,
            posted=str(left),
            counterparty=counterparty,
            transfer=transfer,
            reference=reference,
        )
        seen.append(_Seen((sequence, line), found))
        left -= int(amount)
    return seen if newest_first else seen[::-1]


def _fits(line: StatementLine, question: Question) -> bool:
    return (
        question.asset in (None, line.asset)
        and question.counterparty in (None, line.counterparty)
        and question.kind in (None, line.kind)
    )
