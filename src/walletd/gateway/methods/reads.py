"""Reads at the edge: balances now and at an earlier point, searches for wallets, statements page by page.

Reads of the present use the books in memory, reads of the past the read tables; a time is answered only once no other
entry of that time can come, so that an answer about the past never changes.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

import msgspec
import trio

from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods.entries import grant_of
from walletd.ledger.book import Book, Books
from walletd.ledger.room import room_in
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams
from walletd.protocol.pages import PageRoom
from walletd.sessions.client_view import client_page
from walletd.sessions.session import Call
from walletd.tables.queries.statements import Place, Question
from walletd.tables.queries.wallets import AROUND_A_WALLET, view_of
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import BalanceRecord
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.room import Room
from walletd.wallets.submission import Behind

ROOM_BYTES = 512
"""The largest size of a balance's room in an answer, and of each of its windows."""

MOST_ASSETS = 10_000
"""The limit of one page: some 50 ms of a thread."""

_CURSOR_NUMBERS = 3
_MAX_DIGITS = 16

FoundBooks = Mapping[WalletId, Book]
SendAsOf = Callable[[int], None]
"""These have names because annotations of inner functions are evaluated at each call."""


# --- answered from memory ------------------------------------------------------------------------------------------


def wallet_get(endpoint: ClientEndpoint, call: Call, behind: Behind) -> None:
    """A wallet from its book, in its turn."""
    wallet: WalletId = call.params.wallet

    def show(books: FoundBooks, now: datetime) -> SendAsOf:
        if wallet not in books:
            return lambda sequence: endpoint.refuse(call, Declined(Reason.UNKNOWN_WALLET, {"wallet": wallet}))
        book, space = books[wallet], PageRoom()
        space.takes(book.record(), AROUND_A_WALLET)
        records, following = _fitting(books, book.balances_after(call.params.after or AssetCode(""), now), space)
        room = _room(books, records, now)
        rest = None if following is None else following.asset
        view = msgspec.structs.replace(view_of(book.record(), records, 0, now), next=rest)
        return lambda sequence: endpoint.reply(call, msgspec.structs.replace(view, room=room, sequence=sequence))

    endpoint.services.wallets.reads.read_wallets(
        (wallet,), show, lambda declined: endpoint.refuse(call, declined), behind, call.principal
    )


def is_small(params: Any) -> bool:
    """True if the read concerns the present state of one wallet, and is therefore answered at once."""
    return not isinstance(params, m.GetBalance) or (params.wallets is None and params.as_of is None)


def balance_get(endpoint: ClientEndpoint, call: Call, behind: Behind) -> None:
    """A wallet's balances from its book, in its turn."""
    _balances_now(endpoint, call, lambda: None, behind)


def _balances_now(endpoint: ClientEndpoint, call: Call, done: Callable[[], None], behind: Behind) -> None:
    """Have the balances of wallets answered from their books, at one moment; ``done`` is called right after it."""
    params = call.params
    asset, names = params.asset, params.names

    def show(books: FoundBooks, now: datetime) -> SendAsOf:
        if asset is not None and asset not in endpoint.services.wallets.books.assets:
            return lambda sequence: decline(Declined(Reason.ASSET_NOT_FOUND, {"asset": asset}))
        if missing := [name for name in names if name not in books]:
            return lambda sequence: decline(Declined(Reason.UNKNOWN_WALLET, {"wallet": missing[0]}))
        found = (record for name in sorted(books) for record in _records(books[name], asset, now, params.after))
        records, following = _fitting(books, found, PageRoom())
        room = _room(books, records, now)

        def reply(sequence: int) -> None:
            endpoint.reply(call, m.Balances(balances=records, room=room, sequence=sequence, time=now, next=following))
            done()

        return reply

    def decline(declined: Declined) -> None:
        endpoint.refuse(call, declined)
        done()

    endpoint.services.wallets.reads.read_wallets(names, show, decline, behind, call.principal)


def _room(books: Mapping[WalletId, Book], records: Iterable[BalanceRecord], now: datetime) -> tuple[Room, ...]:
    """The room of those balances that have limits.  O(their windows), nothing without limits."""
    limited = [(record.wallet, record.asset) for record in records if record.asset in books[record.wallet].limits]
    if not limited:
        return ()
    shown = Books()
    shown.wallets = dict(books)
    return room_in(shown, limited, now)


def _records(
    book: Book, asset: AssetCode | None, now: datetime, after: m.BalancePlace | None
) -> Iterable[BalanceRecord]:
    """The wallet's requested balances, after this place among those of all wallets."""
    if after is not None and (book.wallet, asset or AssetCode("")) < (after.wallet, AssetCode("")):
        return ()
    behind = after.asset if after is not None and book.wallet == after.wallet else AssetCode("")
    if asset is None:
        return book.balances_after(behind, now)
    return (book.balance_record(asset, now),) if asset > behind else ()


def _fitting(
    books: Mapping[WalletId, Book], records: Iterable[BalanceRecord], space: PageRoom
) -> tuple[tuple[BalanceRecord, ...], m.BalancePlace | None]:
    """The balances that fit with their room, and the last of them if there are more."""
    found: list[BalanceRecord] = []
    for record in records:
        limits = books[record.wallet].limits.get(record.asset)
        around = 1 if limits is None else ROOM_BYTES * (1 + len(limits.velocity))
        if not space.takes(record, around) and found:
            return tuple(found), m.BalancePlace(found[-1].wallet, found[-1].asset)
        found.append(record)
    return tuple(found), None


# --- answered from the read tables ---------------------------------------------------------------------------------


def check_reads(params: Any) -> None:
    """Check these params beyond their types.  Raises InvalidParams."""
    if isinstance(params, m.GetBalance) and (params.wallet is None) == (params.wallets is None):
        raise InvalidParams("wallet", "give exactly one of 'wallet' and 'wallets'")
    if isinstance(params, m.GetStatement):
        if params.cursor is not None:
            _numbers_of(params.cursor)
        if _is_reversed(params.since, params.until):
            raise InvalidParams("until", "'until' must not lie before 'since'")


async def balances_get(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """Wallets' balances, now or at an earlier point."""
    if call.params.as_of is None:
        answered = trio.Event()
        written = endpoint.written
        _balances_now(endpoint, call, answered.set, lambda: written)
        await answered.wait()
        return None
    return await _balances_as_of(endpoint, call)


async def _balances_as_of(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    params, services = call.params, endpoint.services
    if params.asset is not None and params.asset not in services.wallets.books.assets:
        return Declined(Reason.ASSET_NOT_FOUND, {"asset": params.asset})
    declined = await _settle(endpoint, "as_of", params.as_of, services.publisher.head)
    if declined is not None:
        return declined
    after = (WalletId(""), AssetCode("")) if params.after is None else (params.after.wallet, params.after.asset)
    moment, page = await services.stored.tables.past_balances(params.names, params.asset, params.as_of, after)
    if page.missing is not None:
        return Declined(Reason.UNKNOWN_WALLET, {"wallet": page.missing, "as_of": params.as_of})
    following = None if page.next is None else m.BalancePlace(*page.next)
    endpoint.reply(call, m.Balances(balances=page.balances, sequence=moment.sequence, time=moment.time, next=following))
    return None


async def _settle(endpoint: ClientEndpoint, field: str, point: int | datetime, last: int) -> Declined | None:
    """Wait until the tables show everything that there will ever be up to this point; a future time, and a sequence
    after the last permitted one, is refused.
    """
    services, head = endpoint.services, endpoint.services.publisher.head
    now = services.wallets.clock.moment()
    if point > now if isinstance(point, datetime) else point > last:
        return Declined(Reason.FUTURE_MOMENT, {"field": field, "asked": point, "head": head, "time": now})
    if isinstance(point, datetime):
        await services.wallets.visibility.until_passed(point)
    else:
        await services.wallets.visibility.until_projected(point)
    return None


async def asset_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the assets."""
    found = await endpoint.services.stored.tables.assets(call.params.after or "", MOST_ASSETS + 1)
    page = tuple(takewhile(PageRoom().takes, found[:MOST_ASSETS]))
    endpoint.reply(call, m.Assets(assets=page, next=page[-1].asset if len(page) < len(found) else None))


def client_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the clients that this one may see."""
    register, grant = endpoint.services.admission.register, grant_of(endpoint)
    endpoint.reply(call, client_page(register.clients, grant, call.params, register.clock()))


async def wallet_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the matching wallets."""
    asked = call.params
    page = await endpoint.services.stored.tables.list_wallets(
        asked.prefix, asked.after, asked.limit, asked.status, asked.metadata
    )
    endpoint.reply(call, page)


async def statement_get(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """A page of a wallet's statement."""
    params, services = call.params, endpoint.services
    question = Question(
        params.wallet,
        params.asset,
        params.counterparty,
        params.kind,
        params.since,
        params.until,
        params.newest_first,
    )
    place = None
    if params.cursor is not None:
        place = _place_of(endpoint, params.cursor, question)
        if place is None:
            return Declined(Reason.INVALID_CURSOR, {"field": "cursor"})
    if params.since is not None and place is None:
        # A range that begins right after the head contains nothing yet, but does not concern the future.
        declined = await _settle(endpoint, "since", params.since, services.publisher.head + 1)
        if declined is not None:
            return declined
    if isinstance(params.until, datetime) and params.until <= services.wallets.clock.moment():
        await services.wallets.visibility.until_passed(params.until)
    page = await services.stored.tables.statement(question, place, params.limit)
    if page is None:
        return Declined(Reason.UNKNOWN_WALLET, {"wallet": params.wallet})
    if page.next is None:
        endpoint.reply(call, page.statement)
        return None
    following = ".".join(map(str, page.next.numbers)) + "." + question.digest(services.about.epoch)
    endpoint.reply(call, msgspec.structs.replace(page.statement, next=following))
    return None


def _place_of(endpoint: ClientEndpoint, cursor: str, question: Question) -> Place | None:
    """The beginning of the page; None for a cursor of another query, or of another history."""
    place, digest = _numbers_of(cursor)
    if digest != question.digest(endpoint.services.about.epoch) or place.end > endpoint.services.publisher.head:
        return None
    return place


def _numbers_of(cursor: str) -> tuple[Place, str]:
    *numbers, digest = cursor.split(".")
    if len(numbers) != _CURSOR_NUMBERS or not all(
        number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS for number in numbers
    ):
        raise InvalidParams("cursor", "'cursor' must be the 'next' of the previous page")
    return Place.of(*map(int, numbers)), digest


def _is_reversed(since: int | datetime | None, until: int | datetime | None) -> bool:
    if isinstance(since, datetime) and isinstance(until, datetime):
        return until < since
    return isinstance(since, int) and isinstance(until, int) and until < since
