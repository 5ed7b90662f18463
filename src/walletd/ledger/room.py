"""Room: how much more wallets can pay and receive, now or after a command that is a dry run."""

from collections.abc import Generator, Iterable
from datetime import datetime

from walletd.ledger.book import Books, apply
from walletd.ledger.draft import Draft
from walletd.vocabulary.claims import claims_of
from walletd.vocabulary.commands import AnyCommand, Window
from walletd.vocabulary.entries import Effects
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.room import Room, WindowRoom

BYTES_OF_A_ROOM = 64
"""To compute one costs about as much as to decode so many bytes of JSON."""


def room_in(books: Books, places: Iterable[tuple[WalletId, AssetCode]], now: datetime) -> tuple[Room, ...]:
    """The room of these balances at this time: expired holds do not count, recorded or not."""
    draft = Draft(books, now)
    return tuple(_room(books, draft, wallet, asset, now) for wallet, asset in places)


def room_after(books: Books, command: AnyCommand, effects: Effects, now: datetime) -> tuple[Room, ...]:
    """The room of every balance that the command would touch, after it.  O(size of the books it touches)."""
    stage = books.stage(claims_of(command))
    apply(stage, effects)
    return room_in(stage, places_of(effects), now)


def places_of(effects: Effects) -> list[tuple[WalletId, AssetCode]]:
    """The balances that the effects touch."""
    return [(balance.wallet, balance.asset) for balance in effects.balances]


def room_in_steps(
    books: Books, places: Iterable[tuple[WalletId, AssetCode]], now: datetime
) -> Generator[int, None, tuple[Room, ...]]:
    """The same as ``room_in``; each step says what it cost, as so many bytes of JSON."""
    draft, found = Draft(books, now), []
    for wallet, asset in places:
        found.append(_room(books, draft, wallet, asset, now))
        yield BYTES_OF_A_ROOM
    return tuple(found)


def _room(books: Books, draft: Draft, wallet: WalletId, asset: AssetCode, now: datetime) -> Room:
    limits = draft.touch(wallet).limits.get(asset)
    available = draft.available(wallet, asset)
    windows = () if limits is None else tuple(_window(books, draft, wallet, asset, w, now) for w in limits.velocity)
    bounds = [max(0, int(window.remaining)) for window in windows]
    if available is not None:
        bounds.append(max(0, available))
    maximum = None if limits is None or limits.maximum is None else int(limits.maximum)
    receivable = None if maximum is None else max(0, maximum - draft.posted(wallet, asset))
    return Room(
        wallet=wallet,
        asset=asset,
        payable=str(min(bounds)) if bounds else None,
        receivable=None if receivable is None else str(receivable),
        windows=windows,
    )


def _window(
    books: Books, draft: Draft, wallet: WalletId, asset: AssetCode, window: Window, now: datetime
) -> WindowRoom:
    used, limit = draft.used(wallet, asset, window), int(window.amount)
    outflows = (books.wallets[wallet].outflows or {}).get(asset)
    return WindowRoom(
        seconds=window.seconds,
        limit=window.amount,
        used=str(used),
        remaining=str(max(0, limit - used)),
        frees_at=None if outflows is None or not used else outflows.frees(window.seconds, now, 1),
    )
