"""The size of entries: the capacity of one, and the part that must be recorded in separate entries first.

    expiries_before(books, wallets, now)               # for a command: the holds that would fill its entry alone
    most_expiring(book, now, hold)                     # for an expiry: how many holds fit into one entry
    too_large(books, entry, record)                    # for a decision: the refusal in its place, or None

A single command fits, with everything that its own params can ask for.  The parts that grow with the books are bounded
here: holds that expire at one moment, raises of one hold, limits of one wallet, a sweep.  Batches may be too large, and
are refused.  A command that gives money back is never refused for its size.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from walletd.ledger.book import Book, Books
from walletd.ledger.guards import refuse
from walletd.ledger.velocity import MAX_OF_OPEN_HOLDS
from walletd.vocabulary.commands import MAX_LIMITED_ASSETS, CaptureHold, ExpireHold, VoidHold
from walletd.vocabulary.entries import Effects, Entry, HoldRecord, Refusal
from walletd.vocabulary.identifiers import AssetCode, HoldId, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sizes import MAX_ENTRY_BYTES

MAX_EXPIRED_BYTES: Final = MAX_ENTRY_BYTES // 3
"""The space in one entry for holds that have expired; the rest is for the command itself."""

MAX_EXPIRED: Final = 500
"""The number of such holds: deciding, applying and folding them takes some five milliseconds, then others get their
turn.
"""

RECORD_BYTES: Final = 320
"""The largest size of a balance or an outflow in an entry: two names, a code, three amounts and a time."""

OUTCOME_BYTES: Final = 300
"""The size of a refused command in a batch's answer, beside its entry's facts: a code, a sentence, advice."""

MAX_RAISES: Final = 1_000
"""The limit on raises of one hold within its wallet's longest window: its end records what each of them gives back."""

_encode = msgspec.json.Encoder().encode


class Expiry(NamedTuple):
    """The holds that one entry records as expired: this many of a wallet, ``hold`` first."""

    wallet: WalletId
    hold: HoldId
    most: int


def may_expire(books: Books, wallets: Iterable[WalletId]) -> bool:
    """True if one of these wallets has a hold that ends by itself: then alone its expiries depend on the time."""
    for wallet in wallets:
        book = books.wallets.get(wallet)
        if book is not None and book.expiries:
            return True
    return False


def expiries_before(books: Books, wallets: Iterable[WalletId], now: datetime) -> list[Expiry]:
    """The expiries to be recorded before a command on these wallets is decided, together at most one entry.

    Empty if the command's own entry has room for all expired holds.  O(wallets) if no hold has expired.
    """
    share: _Share | None = None
    found: list[Expiry] = []
    for wallet in wallets:
        book = books.wallets.get(wallet)
        if book is None or not book.expiries or book.expiries[0][0] > now:
            continue
        share = share or _Share()
        count = share.take(book, book.lapsed_in_order(now))
        if count:
            found.append(Expiry(wallet, next(book.lapsed_in_order(now)).hold, count))
        if share.is_full:
            return found
    return []


def most_expiring(book: Book, now: datetime, hold: HoldId) -> int:
    """The number of holds that the entry for this one's expiry records: at least one."""
    return max(1, _Share().take(book, in_turn(book, now, hold)))


def in_turn(book: Book, now: datetime, first: HoldId) -> Iterator[HoldRecord]:
    """The expired holds in the order in which entries record them: this one, then the others by expiry.

    ``past_balances`` relies on that order to find holds that had expired at a time but were recorded later.
    """
    if has_lapsed(book, now, first):
        yield book.holds[first]
    yield from (hold for hold in book.lapsed_in_order(now) if hold.hold != first)


def has_lapsed(book: Book, now: datetime, hold: HoldId) -> bool:
    """True if this hold has expired, but not yet by an entry."""
    expires_at = book.holds[hold].expires_at if hold in book.holds else None
    return expires_at is not None and expires_at <= now


class _Share:
    """The space left in an entry for holds that have expired."""

    def __init__(self) -> None:
        self.bytes = MAX_EXPIRED_BYTES
        self.holds = MAX_EXPIRED
        self.is_full = False

    def take(self, book: Book, lapsed: Iterable[HoldRecord]) -> int:
        """The number of these holds that fit; the very first always fits."""
        count = 0
        for hold in lapsed:
            weight = _weight(book, hold)
            is_first = self.holds == MAX_EXPIRED
            if not is_first and (self.holds == 0 or weight > self.bytes):
                self.is_full = True
                return count
            self.holds -= 1
            self.bytes -= weight
            count += 1
        self.is_full = self.bytes < 0
        return count


def _weight(book: Book, hold: HoldRecord) -> int:
    """The largest number of bytes that the end of a hold adds to an entry."""
    outflows = None if book.outflows is None else book.outflows.get(hold.asset)
    raises = 0 if outflows is None else outflows.count_of(hold.hold)
    return len(_encode(hold)) + (1 + raises) * RECORD_BYTES


def too_large(books: Books, entry: Entry, record: bytes) -> Refusal | None:
    """The reason why the journal cannot hold this entry, or later ones that follow from it; ``books`` are before it.

    O(its wallets and outflows).
    """
    effects = entry.effects
    if effects is None or isinstance(entry.command, (ExpireHold, VoidHold, CaptureHold)):
        return None
    size = len(record)
    if effects.outcomes:
        size += OUTCOME_BYTES * sum(outcome is not None for outcome in effects.outcomes)
    if size > MAX_ENTRY_BYTES:
        return refuse(Reason.ENTRY_TOO_LARGE, what="bytes of the entry", number=size, limit=MAX_ENTRY_BYTES)
    refusal = _too_many_limits(books, effects) if effects.wallets else None
    return refusal or (_too_many_raises(books, entry, effects) if effects.outflows else None)


def _too_many_limits(books: Books, effects: Effects) -> Refusal | None:
    """Each entry about a wallet's state contains all of its limits."""
    for record in effects.wallets:
        number = len(record.limits)
        if number > MAX_LIMITED_ASSETS:
            book = books.wallets.get(record.wallet)
            if book is None or number > len(book.limits):
                return refuse(
                    Reason.ENTRY_TOO_LARGE, what="assets with limits", number=number, limit=MAX_LIMITED_ASSETS
                )
    return None


def _too_many_raises(books: Books, entry: Entry, effects: Effects) -> Refusal | None:
    """The entry that ends a hold contains each raise that still counts, and all of them load with the wallet."""
    fresh = Counter(
        (outflow.wallet, outflow.asset, outflow.hold)
        for outflow in effects.outflows
        if outflow.hold is not None and outflow.sequence == entry.sequence
    )
    for (wallet, asset, hold), more in fresh.items():
        number = more + _raises(books.wallets[wallet], asset, hold, entry.time)
        if number > MAX_RAISES:
            return refuse(Reason.ENTRY_TOO_LARGE, what="raises of the hold", number=number, limit=MAX_RAISES)
        number = more + _raises_of_all(books.wallets[wallet], asset, entry.time)
        if number > MAX_OF_OPEN_HOLDS:
            what = "raises of the wallet's holds"
            return refuse(Reason.ENTRY_TOO_LARGE, what=what, number=number, limit=MAX_OF_OPEN_HOLDS)
    return None


def _raises(book: Book, asset: AssetCode, hold: HoldId, now: datetime) -> int:
    """The number of outflows from which a hold may give something back; if few, the number remembered."""
    outflows = None if book.outflows is None else book.outflows.get(asset)
    if outflows is None:
        return 0
    number = outflows.count_of(hold)
    if number < MAX_RAISES:
        return number
    begins = now - timedelta(seconds=book.limits[asset].longest_window)
    return sum(known.amount != "0" for known in outflows.of_hold(hold, begins))


def _raises_of_all(book: Book, asset: AssetCode, now: datetime) -> int:
    """The number of outflows from which open holds may give something back; if few, the number remembered."""
    outflows = None if book.outflows is None else book.outflows.get(asset)
    if outflows is None:
        return 0
    begins = now - timedelta(seconds=book.limits[asset].longest_window)
    return outflows.count_of_open(book.holds.__contains__, begins)
