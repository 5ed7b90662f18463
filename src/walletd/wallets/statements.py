"""Statements: what moved in a wallet within a range of the history, page by page.

    page = read_statement(tables, Question("alice", since=Edge(sequence=5)), None, 100)

The first page fixes up to which entry the statement goes; every later page is of that same statement, whatever has
been posted meanwhile.  What a page looks at is bounded: where few lines fit, a page has few or none, and its place
says from where to go on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from heapq import merge
from typing import Any, NamedTuple

import msgspec

from walletd.protocol.messages import Statement, StatementBalance, StatementLine
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.wallets.consistent_reads import progress_of
from walletd.wallets.moments import sequence_before
from walletd.wallets.past_balances import stood_at, wallet_at
from walletd.wallets.table_file import Tables
from walletd.wallets.table_rows import CHANGE_COLUMNS, UNMOVED, check_seal, from_microseconds

MAX_VISITED = 2_000
"""Lines that one page looks at where not every line fits: some 10 ms of a thread."""

ASSETS = "SELECT asset FROM balance WHERE wallet = ?"
OLDEST_FIRST = f"""
SELECT {CHANGE_COLUMNS} FROM balance_change c
WHERE c.wallet = ?1 AND c.asset = ?2 AND (c.sequence, c.line) > (?3, ?4) AND c.sequence <= ?5
ORDER BY c.sequence, c.line
"""
NEWEST_FIRST = f"""
SELECT {CHANGE_COLUMNS} FROM balance_change c
WHERE c.wallet = ?1 AND c.asset = ?2 AND (c.sequence, c.line) < (?3, ?4) AND c.sequence >= ?5
ORDER BY c.sequence DESC, c.line DESC
"""
_AFTER_ALL = 2**62
_CURSOR_FORMAT = 2


class Question(NamedTuple):
    """Whose statement, of what range, and which of its lines.

    ``since`` is the first sequence or moment that belongs to it, ``until`` the first that does not any more.
    """

    wallet: WalletId
    asset: AssetCode | None = None
    counterparty: WalletId | None = None
    kind: str | None = None
    since: int | datetime | None = None
    until: int | datetime | None = None
    newest_first: bool = False

    def digest(self, epoch: int) -> str:
        """A short name for this question in this epoch of the journal, by which its cursors are known."""
        return blake2b(msgspec.json.encode((_CURSOR_FORMAT, epoch, *self)), digest_size=6).hexdigest()


class Place(NamedTuple):
    """Where a page begins: behind this line, in a statement that goes up to and including the entry ``end``."""

    end: int
    sequence: int
    line: int

    @classmethod
    def of(cls, end: int, sequence: int, line: int) -> "Place":
        """The inverse of ``numbers``."""
        return cls(end, sequence, line + UNMOVED)

    @property
    def numbers(self) -> tuple[int, int, int]:
        """For a cursor: none of them is negative."""
        return self.end, self.sequence, self.line - UNMOVED


class Page(NamedTuple):
    """A page and where the next one begins; None after the last."""

    statement: Statement
    next: Place | None


def read_statement(tables: Tables, question: Question, place: Place | None, limit: int) -> Page | None:
    """The next page; None for a wallet that is not there.  O(its assets × log + limit), or bounded where few
    lines fit."""
    end = progress_of(tables) if place is None else place.end
    if wallet_at(tables, question.wallet, end) is None:
        return None
    first = _first(tables, question.since)
    last = max(min(end, _last(tables, question.until, end)), first - 1)
    lines, reached = _lines(tables, question, _bounds(question, place, first, last), limit)
    opening, closing = (
        {s.asset: s.posted for s in stood_at(tables, question.wallet, edge)} for edge in (first - 1, last)
    )
    assets = sorted(closing) if question.asset is None else [question.asset]
    statement = Statement(
        wallet=question.wallet,
        opening=tuple(StatementBalance(asset, str(opening.get(asset, 0))) for asset in assets),
        closing=tuple(StatementBalance(asset, str(closing.get(asset, 0))) for asset in assets),
        lines=tuple(lines),
        sequence=end,
    )
    return Page(statement, None if reached is None else Place(end, *reached))


def _first(tables: Tables, since: int | datetime | None) -> int:
    """The first sequence of the range."""
    if isinstance(since, datetime):
        return sequence_before(tables, since) + 1
    return max(since or 1, 1)


def _last(tables: Tables, until: int | datetime | None, end: int) -> int:
    """The last sequence of the range, if the history went on for ever."""
    if isinstance(until, datetime):
        return sequence_before(tables, until)
    return end if until is None else until - 1


def _bounds(question: Question, place: Place | None, first: int, last: int) -> tuple[int, int, int]:
    """The place behind which the lines begin, and the sequence with which they end."""
    if question.newest_first:
        start = (last + 1, UNMOVED)
        return *(start if place is None else min(start, place[1:])), first
    start = (first - 1, _AFTER_ALL)
    return *(start if place is None else max(start, place[1:])), last


def _lines(
    tables: Tables, question: Question, bounds: tuple[int, ...], limit: int
) -> tuple[list[StatementLine], tuple[int, int] | None]:
    """The lines that fit, and the last line looked at where there may be more behind it."""
    lines: list[StatementLine] = []
    reached: tuple[int, int] | None = None
    for visited, row in enumerate(_rows(tables, question, bounds)):
        if visited == max(MAX_VISITED, limit + 1):
            return lines, reached
        found = _statement_line(row)
        if found is not None and _fits(found, question):
            if len(lines) == limit:
                return lines, (lines[-1].sequence, lines[-1].line)
            lines.append(found)
        reached = _place(row)
    return lines, None


def _rows(tables: Tables, question: Question, bounds: tuple[int, ...]) -> Iterable[Any]:
    """The changes of the asset, or of all the wallet's assets in the order of the history."""
    select = NEWEST_FIRST if question.newest_first else OLDEST_FIRST
    assets = [question.asset]
    if question.asset is None:
        assets = [asset for (asset,) in tables.execute(ASSETS, (question.wallet,)).fetchall()]
    changes = (tables.execute(select, (question.wallet, asset, *bounds)) for asset in assets)
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
    """The line; None for a change that moved nothing."""
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
