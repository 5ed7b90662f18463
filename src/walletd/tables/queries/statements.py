"""Statements: a wallet's movements within a range of the history, page by page.

    page = read_statement(tables, Question("alice", since=5), None, 100)

The first page fixes the last entry of the statement; every later page belongs to the same statement, whatever has been
posted meanwhile.  The work of one page is bounded: if few lines match, a page has few or none, and its place says where
to continue.  For a wallet with many assets, a page has the balances of those that its lines move.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from heapq import merge
from typing import Any, NamedTuple

import msgspec

from walletd.protocol.messages import Statement, StatementBalance, StatementLine
from walletd.protocol.pages import PageRoom
from walletd.tables.file import Tables
from walletd.tables.queries.moments import sequence_before
from walletd.tables.queries.past_balances import early_assets, stood_at, wallet_at
from walletd.tables.reader import progress_of
from walletd.tables.schema import (
    CHANGE_COLUMNS,
    UNMOVED,
    from_microseconds,
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

SOME_ASSETS = "SELECT asset FROM balance WHERE wallet = ? ORDER BY asset LIMIT ?"
_RISING = "(c.sequence, c.line) > (?3, ?4) AND c.sequence <= ?5 ORDER BY c.sequence, c.line"
_FALLING = "(c.sequence, c.line) < (?3, ?4) AND c.sequence >= ?5 ORDER BY c.sequence DESC, c.line DESC"
_OF_ASSET = f"SELECT {CHANGE_COLUMNS} FROM balance_change c WHERE c.wallet = ?1 AND c.asset = ?2 AND"
_LATE = f"SELECT {CHANGE_COLUMNS} FROM balance_change c INDEXED BY late_change WHERE c.wallet = ?1 AND c.is_late AND"
OLDEST_FIRST, NEWEST_FIRST = f"{_OF_ASSET} {_RISING}", f"{_OF_ASSET} {_FALLING}"
LATE_OLDEST_FIRST, LATE_NEWEST_FIRST = f"{_LATE} {_RISING}", f"{_LATE} {_FALLING}"
_AFTER_ALL = 2**62
_CURSOR_FORMAT = 2


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
    lines, reached = _lines(tables, question, _bounds(question, place, first, last), limit)
    stated = _stated(tables, question)
    assets = sorted({line.asset for line in lines}) if stated is None else stated
    opening, closing = (_posted(tables, question.wallet, assets, edge) for edge in (first - 1, last))
    if question.asset is None and stated is not None:
        assets = sorted(closing)
    statement = Statement(
        wallet=question.wallet,
        opening=tuple(StatementBalance(asset, str(opening.get(asset, 0))) for asset in assets),
        closing=tuple(StatementBalance(asset, str(closing.get(asset, 0))) for asset in assets),
        lines=tuple(lines),
        sequence=end,
        partial=stated is None,
    )
    return Page(statement, None if reached is None else Place(end, *reached))


def _stated(tables: Tables, question: Question) -> list[AssetCode] | None:
    """The assets whose balances each page states; None if they are too many, and each page states its own."""
    if question.asset is not None:
        return [question.asset]
    some = [asset for (asset,) in tables.execute(SOME_ASSETS, (question.wallet, MAX_STATED + 1)).fetchall()]
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
    tables: Tables, question: Question, bounds: tuple[int, ...], limit: int
) -> tuple[list[StatementLine], tuple[int, int] | None]:
    """The matching lines, and the last line looked at if there may be more after it."""
    lines: list[StatementLine] = []
    reached: tuple[int, int] | None = None
    room = PageRoom()
    for visited, row in enumerate(_rows(tables, question, bounds)):
        if visited == max(MAX_VISITED, limit + 1):
            return lines, reached
        found = _statement_line(row)
        if found is not None and _fits(found, question):
            if len(lines) == limit or not room.takes(found, STATED_BYTES):
                return lines, (lines[-1].sequence, lines[-1].line)
            lines.append(found)
        reached = _place(row)
    return lines, None


def _rows(tables: Tables, question: Question, bounds: tuple[int, ...]) -> Iterable[Any]:
    """The changes of the asset, or of all the wallet's assets in the order of the history.

    For all assets, those of each early asset and of all later ones together, so that there are few cursors.
    """
    of_asset, late = (NEWEST_FIRST, LATE_NEWEST_FIRST) if question.newest_first else (OLDEST_FIRST, LATE_OLDEST_FIRST)
    assets = early_assets(tables, question.wallet) if question.asset is None else [question.asset]
    changes: list[Iterable[Any]] = [tables.execute(of_asset, (question.wallet, asset, *bounds)) for asset in assets]
    if question.asset is None:
        changes.append(tables.execute(late, (question.wallet, None, *bounds)))
    return merge(*changes, key=_place, reverse=question.newest_first)


def _place(row: Sequence[Any]) -> tuple[int, int]:
    _, _, sequence, line, *_ = row
    return sequence, line


def _fits(line: StatementLine, question: Question) -> bool:
    return (
        question.asset in (None, line.asset)
        and question.counterparty in (None, line.counterparty)
        and question.kind in (None, line.kind)
    )


def _statement_line(row: Sequence[Any]) -> StatementLine | None:
    """The line; None for a change without a movement."""
    *values, sealed = row
    check_seal("balance_change", sealed, *values)
    _, asset, sequence, line, time, _, posted, _, amount, counterparty, reference, kind, transfer = values
    if amount is None:
        return None
    return StatementLine(
        sequence=sequence,
        line=line,
        time=from_microseconds(time),
        kind=kind,
        asset=asset,
        amount=amount,
        posted=posted,
        counterparty=counterparty,
        transfer=transfer,
        reference=reference,
    )
