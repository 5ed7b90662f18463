"""The queries of the read tables.

    queries = await open_queries(path)
    page = await queries.list_wallets(prefix="shop:", after=None, limit=100)

An answer shows one consistent state: it is read by one SQL statement, or by several in one snapshot.  ``sequence`` in
an answer is the last entry that it includes; nothing up to there is missing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec
import trio

from walletd.ledger.book import Book, freeze_at
from walletd.protocol.messages import WalletPage, WalletView
from walletd.protocol.messages.holds import HoldPage, HoldView
from walletd.protocol.pages import PageRoom
from walletd.runtime.ending import end_process
from walletd.runtime.silence_watch import SilenceWatch
from walletd.runtime.wall_clock import Clock, wall_clock
from walletd.tables.file import READER_CACHE_KIBIBYTES, Tables
from walletd.tables.queries.books import BookLoading, load_books
from walletd.tables.queries.holds import Expiry, Key, find_hold, freed_by_expiry, next_expiries, page_of_holds
from walletd.tables.queries.moments import Moment, sequence_at, time_of
from walletd.tables.queries.past_balances import PastPage, last_balance, last_version, page_at
from walletd.tables.queries.search import Search, find_wallets, status_at
from walletd.tables.queries.statements import Page, Place, Question, read_statement
from walletd.tables.queries.touching import Touching, entries_touching
from walletd.tables.reader import ConsistentReads, Found, open_consistent_reads, progress_of
from walletd.tables.schema import CHANGE_COLUMNS, LAST_CHANGE
from walletd.tables.seals import (
    check_seal,
)
from walletd.vocabulary.entries import (
    AssetRecord,
    BalanceRecord,
    ClientRecord,
    TransferRecord,
    WalletRecord,
)
from walletd.vocabulary.identifiers import AssetCode, HoldId, TransferId, Version, WalletId
from walletd.vocabulary.money import MAX_AMOUNT
from walletd.vocabulary.states import WalletStatus

_decode_wallet = msgspec.json.Decoder(WalletRecord).decode
_decode_transfer = msgspec.json.Decoder(TransferRecord).decode
_decode_client = msgspec.json.Decoder(ClientRecord).decode

_SEQUENCE = "(SELECT sequence FROM progress)"

SOME_WALLETS = f"""
SELECT w.wallet, w.record, w.seal, b.asset, {CHANGE_COLUMNS} FROM wallet w LEFT JOIN balance b USING (wallet)
LEFT JOIN balance_change c ON c.id = ({LAST_CHANGE.format(b="b", until="")})
WHERE w.wallet IN (SELECT value FROM json_each(?)) ORDER BY w.wallet, b.asset
"""
ASSETS = "SELECT asset, scale, seal FROM asset WHERE asset > ? ORDER BY asset LIMIT ?"
IS_THERE = "SELECT 1 FROM wallet WHERE wallet = ?"


SMALL_PAGE = 100
"""A query for this many rows, or fewer, is tried without a visit to a thread, which shares the interpreter."""

AROUND_A_WALLET = 128
"""The bytes that a wallet takes in a page beside its record and its balances."""

_AMOUNT_DIGITS = len(str(MAX_AMOUNT))
_FIRST = (WalletId(""), AssetCode(""))


class Queries:
    """The read tables' two reading connections: one for single statements, one for queries of several."""

    def __init__(
        self, single: ConsistentReads, consistent: ConsistentReads, clock: Clock, die: Callable[[str], NoReturn]
    ) -> None:
        """``clock``: the present time, for holds and freezes end exactly when their time comes."""
        self.watch = SilenceWatch("the reads of the read tables", die)
        self._single = single
        self._consistent = consistent
        self.clock = clock

    async def aclose(self) -> None:
        """Close the connections."""
        await self._consistent.aclose()
        await self._single.aclose()

    async def assets(self, after: str = "", most: int = -1) -> list[AssetRecord]:
        """Up to this many assets after this code, by code; by default all of them."""
        return await self._look(lambda tables: _assets(tables, after, most))

    async def clients(self) -> list[ClientRecord]:
        """Every client, by name."""
        rows = await self._query("SELECT client, record, seal FROM client ORDER BY client")
        for client, record, sealed in rows:
            check_seal("client", sealed, client, record)
        return [_decode_client(record) for _, record, _ in rows]

    async def books(self, wallets: Iterable[WalletId]) -> dict[WalletId, Book]:
        """The books of those wallets that exist, which do not change meanwhile.

        O(assets, open holds and outflows of each), some thousands at a time, so that other reads come in between.
        """
        wanted = list(wallets)
        if len(wanted) <= SMALL_PAGE:
            books = self._single.read_at_once(lambda tables: load_books(tables, wanted))
            if books is not None:
                return books
        loading = BookLoading(wanted)
        is_more = True
        while is_more:
            with self.watch.waiting():
                is_more = await self._single.read(loading.read_some)
        return loading.books

    async def books_at_the_end(self, wallets: Iterable[WalletId]) -> tuple[dict[WalletId, Book], Moment]:
        """The books of those wallets that exist, as of the last entry that the tables show, and its time.

        O(assets, open holds and outflows of each), in one view, because others may change them meanwhile.
        """
        wanted = list(wallets)

        def look(tables: Tables) -> tuple[dict[WalletId, Book], Moment]:
            sequence = progress_of(tables)
            return load_books(tables, wanted), Moment(sequence, time_of(tables, sequence))

        return await self._look(look, is_small=len(wanted) <= SMALL_PAGE)

    async def has_wallet(self, wallet: WalletId) -> bool:
        """True if the wallet was opened."""
        return bool(await self._query(IS_THERE, (wallet,), is_small=True))

    async def transfer(self, transfer: TransferId) -> TransferRecord | None:
        """The refunded amounts of a transfer; None if there are none."""
        rows = await self._query("SELECT record, seal FROM refunded WHERE transfer = ?", (transfer,), is_small=True)
        for record, sealed in rows:
            check_seal("refunded", sealed, transfer, record)
        return _decode_transfer(rows[0][0]) if rows else None

    async def hold(self, hold: HoldId) -> HoldView | None:
        """The hold at this time; None if there is none with this id."""
        with self.watch.waiting():
            return await self._single.read(lambda tables: find_hold(tables, hold, self.clock()), is_small=True)

    async def list_holds(self, wallet: WalletId, also_closed: bool, after: HoldId | None, limit: int) -> HoldPage:
        """One page of the wallet's holds in order of placing: those that are open at this time, or all.

        If most have expired but are not yet recorded, a page may be short or empty and nonetheless have a ``next``.
        """
        asked = partial(page_of_holds, wallet=wallet, also_closed=also_closed, after=after, limit=limit)
        with self.watch.waiting():
            return await self._single.read(lambda tables: asked(tables, now=self.clock()), is_small=limit <= SMALL_PAGE)

    async def expiries(self, after: Key | None, limit: int) -> list[Expiry]:
        """The next open holds with an expiry after this key, in order of their expiries.  O(log holds + limit)."""
        with self.watch.waiting():
            return await self._single.read(lambda tables: next_expiries(tables, after, limit))

    async def list_wallets(
        self,
        prefix: str,
        after: WalletId | None,
        limit: int,
        status: WalletStatus | None = None,
        metadata: Mapping[str, str] = {},
    ) -> WalletPage:
        """One page of the wallets that match all of this, in the order of their names."""
        search, now = Search(prefix, status, metadata), self.clock()

        def look(tables: Tables) -> WalletPage:
            found = find_wallets(tables, search, now, after, limit)
            return _wallet_page(tables, found.names, now, found.next)

        return await self._look(look)

    async def some_wallets(self, wallets: Iterable[WalletId]) -> WalletPage:
        """Those of the wallets that exist, all as of one sequence."""
        names, now = list(wallets), self.clock()
        return await self._look(lambda tables: _wallet_page(tables, names, now, None))

    async def past_balances(
        self,
        wallets: Iterable[WalletId],
        asset: AssetCode | None,
        as_of: int | datetime,
        after: tuple[WalletId, AssetCode] = _FIRST,
    ) -> tuple[Moment, PastPage]:
        """The wallets' balances at a point of the history that the tables show, as many as fit."""
        names = sorted(set(wallets))

        def look(tables: Tables) -> tuple[Moment, PastPage]:
            if isinstance(as_of, datetime):
                moment = Moment(sequence_at(tables, as_of), as_of)
            else:
                moment = Moment(as_of, time_of(tables, as_of))
            return moment, page_at(tables, names, asset, moment, after)

        return await self._look(look)

    async def sequence(self) -> int:
        """The last entry that the tables show."""
        rows = await self._query(f"SELECT {_SEQUENCE}", is_small=True)
        return rows[0][0] or 0

    async def statement(self, question: Question, place: Place | None, limit: int) -> Page | None:
        """A page of a wallet's statement; None for a wallet that does not exist."""
        is_small = limit <= SMALL_PAGE and question.counterparty is None and question.kind is None
        return await self._look(lambda tables: read_statement(tables, question, place, limit), is_small=is_small)

    async def touching(self, wallets: Iterable[WalletId], after: int) -> Touching:
        """The next entries after this one that touch any of the wallets."""
        return await self._look(lambda tables: entries_touching(tables, wallets, after), is_small=True)

    async def _look(self, look: Callable[[Tables], Found], *, is_small: bool = False) -> Found:
        with self.watch.waiting():
            return await self._consistent.read(look, is_small=is_small)

    async def _query(self, sql: str, values: Sequence[Any] = (), *, is_small: bool = False) -> list[Any]:
        with self.watch.waiting():
            return await self._single.rows(sql, values, is_small=is_small)


async def open_queries(
    path: Path,
    cache_kibibytes: int = READER_CACHE_KIBIBYTES,
    *,
    clock: Clock = wall_clock,
    die: Callable[[str], NoReturn] = end_process,
) -> Queries:
    """Open the read tables for reading; they must exist.  ``die`` ends the process where a read is never answered."""
    single = await open_consistent_reads(path, cache_kibibytes)
    try:
        return Queries(single, await open_consistent_reads(path, cache_kibibytes), clock, die)
    except BaseException:
        with trio.CancelScope(shield=True):
            await single.aclose()
        raise


def _assets(tables: Tables, after: str, most: int) -> list[AssetRecord]:
    rows = tables.execute(ASSETS, (after, most)).fetchall()
    for code, scale, sealed in rows:
        check_seal("asset", sealed, code, scale)
    return [AssetRecord(code, scale) for code, scale, _ in rows]


class _Shown(NamedTuple):
    """A wallet in a page; ``next`` is the last of its assets shown, if not all fit."""

    record: WalletRecord
    balances: list[BalanceRecord]
    next: AssetCode | None


def _wallet_page(tables: Tables, names: list[WalletId], now: datetime, following: WalletId | None) -> WalletPage:
    """The wallets that fit, each of them whole, except one that fills the page by itself."""
    found: list[_Shown] = []
    room = PageRoom()
    sequence = progress_of(tables)
    for name, group in groupby(tables.execute(SOME_WALLETS, (_json(names),)), key=itemgetter(0)):
        shown = _shown(group, room, sequence, is_first=not found)
        if shown is None:
            following = found[-1].record.wallet
            break
        found.append(shown)
        if shown.next is not None:
            following = following if name == names[-1] else name
            break
    freed = freed_by_expiry(tables, [shown.record.wallet for shown in found], now)
    views = [_wallet_view(tables, shown, freed, sequence, now) for shown in found]
    return WalletPage(wallets=tuple(views), sequence=sequence, next=following)


def _shown(group: Iterable[Any], room: PageRoom, sequence: int, *, is_first: bool) -> _Shown | None:
    """The part of one wallet's rows that fits; None if it is not the first and does not fit whole."""
    record: WalletRecord | None = None
    balances: list[BalanceRecord] = []
    for name, written, sealed, asset, *change in group:
        if record is None:
            check_seal("wallet", sealed, name, written)
            record = _decode_wallet(written)
            if not room.takes(record, AROUND_A_WALLET):
                return None
        if asset is not None:
            found = last_balance(record, change)
            if not room.takes(found, _around(found, sequence)) and (balances or not is_first):
                return _Shown(record, balances, balances[-1].asset) if is_first else None
            balances.append(found)
    assert record is not None
    return _Shown(record, balances, None)


def _around(balance: BalanceRecord, sequence: int) -> int:
    """The number of bytes by which a balance in a page can exceed its record.

    It is shown with its wallet's version, which is no larger than the sequence, and without the amounts reserved by
    expired holds, which can make ``available`` longer.
    """
    return 1 + len(str(sequence)) + (_AMOUNT_DIGITS if balance.held != "0" else 0)


def _wallet_view(
    tables: Tables, shown: _Shown, freed: Mapping[tuple[WalletId, AssetCode], int], sequence: int, now: datetime
) -> WalletView:
    """The wallet; its version is that of the last entry that touched it or one of its balances.

    The balances have the wallet's version, as in every other answer: ``if_version`` is compared with it.
    """
    record, balances, following = shown
    versions = [record.version, *(balance.version for balance in balances)]
    if following is not None:
        versions.append(Version(last_version(tables, record.wallet, sequence)))
    version = max(versions)
    records = tuple(
        msgspec.structs.replace(_less_held(balance, freed.get((balance.wallet, balance.asset), 0)), version=version)
        for balance in balances
    )
    view = view_of(msgspec.structs.replace(record, version=version), records, sequence, now)
    return view if following is None else msgspec.structs.replace(view, next=following)


def _less_held(balance: BalanceRecord, freed: int) -> BalanceRecord:
    """The balance with this much less held."""
    if not freed:
        return balance
    available = None if balance.available is None else str(int(balance.available) + freed)
    return msgspec.structs.replace(balance, held=str(int(balance.held) - freed), available=available)


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()


def view_of(record: WalletRecord, balances: tuple[BalanceRecord, ...], sequence: int, now: datetime) -> WalletView:
    """A wallet with its balances as a client sees it at this time: a freeze whose time has passed does not count."""
    return WalletView(
        wallet=record.wallet,
        status=status_at(record, now),
        version=record.version,
        opened_at=record.opened_at,
        metadata=record.metadata,
        limits=record.limits,
        freeze=freeze_at(record.freeze, now),
        balances=balances,
        sequence=sequence,
    )
