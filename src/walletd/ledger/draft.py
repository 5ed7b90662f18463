"""A draft: the changes of a command, collected wallet by wallet until they become the effects of its entry.

    draft = Draft(books, now)
    draft.move("alice", "bob", "EUR", 250)
    draft.reserve("alice", "EUR", 100)
    draft.effects()

The first touch of a wallet includes its expired, unrecorded holds: every entry that touches a wallet records their
expiry, and the command itself can use the money that they held.  The books are not changed.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from walletd.ledger.book import Book, Books, balance_record, floor, reserved
from walletd.ledger.velocity import Key, key_of
from walletd.vocabulary.commands import Window
from walletd.vocabulary.entries import BalanceRecord, Effects, HoldRecord, Moved, OutflowRecord, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, HoldId, Sequence, Version, WalletId
from walletd.vocabulary.states import HoldState

Place = tuple[WalletId, AssetCode]


class Origin(NamedTuple):
    """The identity of the command: its entry and, in a batch, its index."""

    sequence: int
    command: int = 0


class Change:
    """The change of a balance: of posted, of held, and the amount that its expired holds free."""

    __slots__ = ("freed", "held", "posted")

    def __init__(self) -> None:
        self.posted = 0
        self.held = 0
        self.freed = 0


class Draft:
    """Changes to books, not made yet."""

    __slots__ = ("_books", "_holds", "_keys", "_outflows", "_touched", "_wallets", "changes", "let_out", "moved", "now")

    def __init__(self, books: Books, now: datetime) -> None:
        self._books = books
        self.now = now
        self.let_out: dict[Place, int] = {}
        """The amount that this command sends from each wallet whose velocity is limited."""
        self._outflows: dict[tuple[Place, Key], OutflowRecord] = {}
        self._keys: dict[Place, dict[Key, None]] = {}
        """For each balance, the outflows that this command records."""
        self.changes: dict[Place, Change] = {}
        self._holds: dict[HoldId, HoldRecord] = {}
        self._wallets: dict[WalletId, WalletRecord] = {}
        self._touched: set[WalletId] = set()
        self.moved: list[Moved] = []

    def touch(self, wallet: WalletId) -> Book:
        """The wallet's book; the amounts of its expired holds are free from here on."""
        book = self._books.wallets[wallet]
        if wallet not in self._touched:
            if book.expiries:
                self.expire(wallet, book.lapsed(self.now))
            else:
                self._touched.add(wallet)
        return book

    def expire(self, wallet: WalletId, lapsed: Iterable[HoldRecord]) -> None:
        """Touch the wallet and include these of its expired holds; the others are left to later entries."""
        self._touched.add(wallet)
        for hold in lapsed:
            self.put_hold(msgspec.structs.replace(hold, state=HoldState.EXPIRED))
            self._change(wallet, hold.asset).freed += reserved(hold)
            self.give_back(hold, reserved(hold))

    def move(self, source: WalletId, to: WalletId, asset: AssetCode, amount: int) -> None:
        """Move posted money from one wallet to another."""
        self.touch(source)
        self._change(source, asset).posted -= amount
        self.touch(to)
        self._change(to, asset).posted += amount

    def reserve(self, wallet: WalletId, asset: AssetCode, amount: int) -> None:
        """Hold more of a wallet's money; less, if the amount is negative."""
        self.touch(wallet)
        self._change(wallet, asset).held += amount

    def let_go(
        self, wallet: WalletId, asset: AssetCode, amount: int, origin: Origin, hold: HoldId | None = None
    ) -> None:
        """Count an outflow, or an amount reserved by a hold, if the wallet's velocity is limited."""
        if asset not in self.touch(wallet).counted_from:
            return
        place = wallet, asset
        total = self.let_out[place] = self.let_out.get(place, 0) + amount
        record = OutflowRecord(
            wallet=wallet,
            asset=asset,
            sequence=Sequence(origin.sequence),
            command=origin.command,
            time=self.now,
            amount=str(total),
            hold=hold,
        )
        self._put_outflow(place, origin, record)

    def give_back(self, hold: HoldRecord, amount: int) -> None:
        """Count less for the amount that a hold does not pay out after all: the latest raise first."""
        book = self._books.wallets[hold.wallet]
        outflows = None if book.outflows is None else book.outflows.get(hold.asset)
        if outflows is None:
            return
        # An outflow that has left every window does not count, remembered or not.
        begins = self.now - timedelta(seconds=book.limits[hold.asset].longest_window)
        place = hold.wallet, hold.asset
        for known in outflows.of_hold(hold.hold, begins):
            record = self._outflows.get((place, key_of(known)), known)
            taken = min(amount, int(record.amount))
            if taken:
                less = str(int(record.amount) - taken)
                self._put_outflow(place, key_of(known), msgspec.structs.replace(record, amount=less))
            amount -= taken

    def used(self, wallet: WalletId, asset: AssetCode, window: Window) -> int:
        """The amount sent within the window that ends now, including by this command."""
        begins = self.now - timedelta(seconds=window.seconds)
        known = self._books.wallets[wallet].outflows
        outflows = None if known is None else known.get(asset)
        used = 0 if outflows is None else outflows.used(window.seconds, self.now)
        place = wallet, asset
        for key in self._keys.get(place, ()):
            record = self._outflows[place, key]
            if record.time > begins:
                used += int(record.amount) - (0 if outflows is None else outflows.amount_of(key))
        return used

    def show(self, wallet: WalletId, asset: AssetCode) -> None:
        """Record the balance although no money moves: the limits change its available amount."""
        self.touch(wallet)
        self._change(wallet, asset)

    def put_hold(self, record: HoldRecord) -> None:
        """Record the hold's new state."""
        self._holds[record.hold] = record

    def put_wallet(self, record: WalletRecord) -> None:
        """Record the wallet's new state; its version is counted here."""
        book = self.touch(record.wallet)
        self._wallets[record.wallet] = msgspec.structs.replace(record, version=Version(book.version + 1))

    def open_hold(self, wallet: WalletId, hold: HoldId) -> HoldRecord | None:
        """The wallet's hold with this id, if it is open at this time."""
        record = self.touch(wallet).holds.get(hold)
        return None if record is None or self._holds.get(hold, record).state is not HoldState.OPEN else record

    def open_holds(self, wallet: WalletId) -> int:
        """The number of the wallet's open holds at this time."""
        book = self.touch(wallet)
        return len(book.holds) - sum(hold.wallet == wallet and hold.hold in book.holds for hold in self._holds.values())

    def posted(self, wallet: WalletId, asset: AssetCode) -> int:
        """The posted balance after the command."""
        return self.touch(wallet).balance(asset).posted + self._changed(wallet, asset).posted

    def held(self, wallet: WalletId, asset: AssetCode) -> int:
        """The held amount after the command."""
        change = self._changed(wallet, asset)
        return self.touch(wallet).balance(asset).held + change.held - change.freed

    def available(self, wallet: WalletId, asset: AssetCode) -> int | None:
        """The available balance after the command, negative if it takes too much; None without a floor."""
        book = self.touch(wallet)
        floor = self._floor(book, wallet, asset)
        if floor is None:
            return None
        balance, change = book.balance(asset), self.changes.get((wallet, asset), _NO_CHANGE)
        return balance.posted + change.posted - (balance.held + change.held - change.freed) - floor

    def floor(self, wallet: WalletId, asset: AssetCode) -> int | None:
        """The lowest permitted posted balance after the command."""
        return self._floor(self.touch(wallet), wallet, asset)

    def _floor(self, book: Book, wallet: WalletId, asset: AssetCode) -> int | None:
        limits = self._wallets[wallet].limits if wallet in self._wallets else book.limits
        return floor(book.is_system, limits.get(asset) if limits else None)

    def effects(self) -> Effects:
        """The records after all the changes."""
        return Effects(
            wallets=tuple(self._wallets.values()),
            balances=tuple(
                [self._balance_after(wallet, asset, change) for (wallet, asset), change in self.changes.items()]
            ),
            holds=tuple(self._holds.values()),
            moved=tuple(self.moved),
            outflows=tuple(self._outflows.values()),
        )

    def _balance_after(self, wallet: WalletId, asset: AssetCode, change: Change) -> BalanceRecord:
        book = self.touch(wallet)
        balance, version = book.balance(asset), book.version + 1
        posted = balance.posted + change.posted
        held = balance.held + change.held - change.freed
        return balance_record(wallet, asset, posted, held, version, self._floor(book, wallet, asset))

    def _put_outflow(self, place: Place, key: Key, record: OutflowRecord) -> None:
        self._outflows[place, key] = record
        self._keys.setdefault(place, {})[key] = None

    def _change(self, wallet: WalletId, asset: AssetCode) -> Change:
        place = wallet, asset
        change = self.changes.get(place)
        if change is None:
            change = self.changes[place] = Change()
        return change

    def _changed(self, wallet: WalletId, asset: AssetCode) -> Change:
        self.touch(wallet)
        return self.changes.get((wallet, asset), _NO_CHANGE)


_NO_CHANGE = Change()
