"""Books: the balances of every warm wallet, in memory, and ``apply``, the one way in which a book changes.

    books = Books()
    apply(books, effects)                      # cannot refuse
    books.wallets["alice"].balances["EUR"].posted

``Books`` may hold all wallets (an audit) or only the warm ones (the daemon).  The assets are always complete.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from walletd.ledger.client_book import ClientBook, apply_clients
from walletd.ledger.velocity import Outflows
from walletd.vocabulary.claims import TRANSFER_MARK
from walletd.vocabulary.commands import WalletLimits
from walletd.vocabulary.entries import (
    AssetRecord,
    BalanceRecord,
    CountedFrom,
    Effects,
    FoldedOutflow,
    Freeze,
    HoldRecord,
    OutflowRecord,
    TransferRecord,
    WalletRecord,
)
from walletd.vocabulary.histories import FIRST_HISTORY, Histories
from walletd.vocabulary.identifiers import AssetCode, HoldId, TransferId, Version, WalletId, is_system_wallet
from walletd.vocabulary.states import HoldState, WalletStatus

MAX_OPEN_HOLDS = 10_000
"""The limit of one wallet: open holds are in memory while it is warm, about 700 bytes each, and one entry may expire
all.
"""


EXPIRIES_UNPRUNED = 64
"""The number of outdated expiries, of holds whose expiry was changed, that may stay in the heap behind the next one."""

OUTFLOWS_UNPRUNED = 64
"""The number of outflows of one asset up to which nothing is pruned."""


class Balance:
    """A wallet's balance of one asset, in smallest units: ``posted``, and the part of it that holds reserve."""

    __slots__ = ("held", "posted")

    def __init__(self, posted: int = 0, held: int = 0) -> None:
        self.posted = posted
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Balance) and (self.posted, self.held) == (other.posted, other.held)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Balance(posted={self.posted}, held={self.held})"


class Book:
    """One wallet: its status, its version, its balances and its open holds.  Only ``apply`` changes it."""

    __slots__ = (
        "balances",
        "counted_from",
        "expiries",
        "freeze",
        "holds",
        "is_system",
        "limits",
        "metadata",
        "opened_at",
        "outflows",
        "status",
        "version",
        "wallet",
    )

    def __init__(self, record: WalletRecord) -> None:
        self.wallet: WalletId = record.wallet
        self.is_system: bool = is_system_wallet(record.wallet)
        self.status: WalletStatus = record.status
        self.version: Version = record.version
        self.opened_at: datetime = record.opened_at
        self.metadata: dict[str, str] = record.metadata
        self.limits: dict[AssetCode, WalletLimits] = record.limits
        self.freeze: Freeze | None = record.freeze
        self.counted_from: dict[AssetCode, CountedFrom] = record.counted_from
        self.outflows: dict[AssetCode, Outflows] | None = None
        """Outflows of the assets whose velocity is limited; None if there are none."""
        self.balances: dict[AssetCode, Balance] = {}
        self.holds: dict[HoldId, HoldRecord] = {}
        self.expiries: list[tuple[datetime, int, HoldId]] = []
        """A heap; the first is an open hold's expiry, so that one look tells whether anything has expired."""

    def balance(self, asset: AssetCode) -> Balance:
        """The wallet's balance of the asset; zero if it was never touched."""
        return self.balances.get(asset) or Balance()

    def floor(self, asset: AssetCode) -> int | None:
        """The lowest permitted posted balance; None for a system wallet without limits, which has no floor."""
        return floor(self.is_system, self.limits.get(asset))

    def available(self, asset: AssetCode) -> int | None:
        """The amount that can be paid: posted − held − floor, with holds as recorded; None if there is no floor."""
        floor = self.floor(asset)
        if floor is None:
            return None
        balance = self.balance(asset)
        return balance.posted - balance.held - floor

    def lapsed(self, now: datetime) -> list[HoldRecord]:
        """The holds that have expired, but not yet by an entry, sorted by id.  O(1) if there are none, else O(their
        number): an entry of the heap that is not due has only entries below it that are not due either.
        """
        due: dict[HoldId, HoldRecord] = {}
        places = [0]
        while places:
            place = places.pop()
            if place < len(self.expiries) and self.expiries[place][0] <= now:
                moment, _, name = self.expiries[place]
                if _is_due_then(self, moment, name):
                    due[name] = self.holds[name]
                places += [2 * place + 1, 2 * place + 2]
        return sorted(due.values(), key=lambda hold: (len(hold.hold), hold.hold)) if due else []

    def lapsed_in_order(self, now: datetime) -> Iterator[HoldRecord]:
        """The same holds in order of expiry, then of id, computed on demand.  O(log holds) for each."""
        seen: set[HoldId] = set()
        candidates = [(self.expiries[0], 0)] if self.expiries else []
        while candidates:
            (moment, _, name), place = heappop(candidates)
            if moment > now:
                return
            if name not in seen and _is_due_then(self, moment, name):
                seen.add(name)
                yield self.holds[name]
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(self.expiries):
                    heappush(candidates, (self.expiries[child], child))

    def freeze_at(self, now: datetime) -> Freeze | None:
        """The freeze that is effective at this time."""
        return freeze_at(self.freeze, now)

    def record(self) -> WalletRecord:
        """The wallet's present record, without its balances."""
        return WalletRecord(
            wallet=self.wallet,
            status=self.status,
            version=self.version,
            opened_at=self.opened_at,
            metadata=self.metadata,
            limits=self.limits,
            freeze=self.freeze,
            counted_from=self.counted_from,
        )

    def balance_record(self, asset: AssetCode, now: datetime | None = None) -> BalanceRecord:
        """The wallet's balance of one asset: as recorded or, with ``now``, without the holds that have expired."""
        return self._balance_record(asset, self._freed(now))

    def balance_records(self, now: datetime | None = None) -> tuple[BalanceRecord, ...]:
        """The balances of every asset that ever touched the wallet, by code."""
        return tuple(self.balances_after(AssetCode(""), now))

    def balances_after(self, after: AssetCode, now: datetime | None = None) -> Iterator[BalanceRecord]:
        """The balances of every such asset after this one, computed on demand."""
        freed = self._freed(now)
        codes = sorted(self.balances)
        for place in range(bisect_right(codes, after), len(codes)):
            yield self._balance_record(codes[place], freed)

    def _freed(self, now: datetime | None) -> dict[AssetCode, int]:
        """The amount of each asset that expired, not yet recorded holds reserve."""
        freed: dict[AssetCode, int] = {}
        for hold in [] if now is None else self.lapsed(now):
            freed[hold.asset] = freed.get(hold.asset, 0) + reserved(hold)
        return freed

    def _balance_record(self, asset: AssetCode, freed: dict[AssetCode, int]) -> BalanceRecord:
        balance = self.balance(asset)
        held = balance.held - freed.get(asset, 0)
        return balance_record(self.wallet, asset, balance.posted, held, self.version, self.floor(asset))

    def outflow_records(self) -> Iterator[OutflowRecord]:
        """Outflows that may still count for a velocity limit, in order of time for each asset."""
        return (record for outflows in (self.outflows or {}).values() for record in outflows)

    def copy(self) -> "Book":
        """A copy of the book; later entries change the original only."""
        copied = Book(self.record())
        copied.balances = {asset: Balance(balance.posted, balance.held) for asset, balance in self.balances.items()}
        copied.holds = dict(self.holds)
        copied.expiries = list(self.expiries)
        if self.outflows is not None:
            copied.outflows = {asset: outflows.copy() for asset, outflows in self.outflows.items()}
        return copied


def floor(is_system: bool, limits: WalletLimits | None) -> int | None:
    """The lowest permitted balance under these limits: the minimum, or the end of the credit."""
    if limits is not None and limits.minimum is not None:
        return int(limits.minimum)
    if limits is not None and limits.credit_limit is not None:
        return -int(limits.credit_limit)
    return None if is_system else 0


def freeze_at(freeze: Freeze | None, now: datetime) -> Freeze | None:
    """The freeze, unless its time has passed."""
    return freeze if freeze is not None and (freeze.until is None or now < freeze.until) else None


def reserved(hold: HoldRecord) -> int:
    """The amount that a hold still reserves."""
    return int(hold.amount) - int(hold.captured) if hold.state is HoldState.OPEN else 0


class Books:
    """The assets and the clients, and the books of the wallets at hand."""

    __slots__ = ("assets", "clients", "histories", "transfers", "wallets")

    def __init__(self) -> None:
        self.histories: Histories = FIRST_HISTORY
        """The journal's histories; new ids belong to the last."""
        self.assets: dict[AssetCode, AssetRecord] = {}
        self.clients = ClientBook()
        self.wallets: dict[WalletId, Book] = {}
        self.transfers: dict[TransferId, TransferRecord] = {}
        """The refundable amounts of the transfers at hand; the daemon keeps only those that are about to be
        refunded.
        """

    def put(self, name: WalletId, found: Book | TransferRecord) -> None:
        """Put a wallet or, under its marked name, a transfer at hand."""
        if isinstance(found, TransferRecord):
            self.transfers[found.transfer] = found
        else:
            self.wallets[name] = found

    def has(self, name: WalletId) -> bool:
        """True if a wallet or, under its marked name, a transfer is at hand."""
        return name in self.wallets if name[:1] != TRANSFER_MARK else TransferId(name[1:]) in self.transfers

    def stage(self, names: Iterable[WalletId]) -> "Books":
        """Copies of those of these wallets and, under their marked names, transfers that are at hand, with the assets
        but no client: what is applied there is not applied here.  O(size of these books, assets).
        """
        stage = Books()
        stage.histories, stage.assets = self.histories, dict(self.assets)
        for name in names:
            if name in self.wallets:
                stage.wallets[name] = self.wallets[name].copy()
            elif self.has(name):
                stage.transfers[TransferId(name[1:])] = self.transfers[TransferId(name[1:])]
        return stage

    def drop(self, name: WalletId) -> None:
        """Drop a wallet or a transfer, if it is at hand."""
        if name.startswith(TRANSFER_MARK):
            self.transfers.pop(TransferId(name[1:]), None)
        else:
            self.wallets.pop(name, None)


def balance_record(
    wallet: WalletId, asset: AssetCode, posted: int, held: int, version: int, floor: int | None
) -> BalanceRecord:
    """The record of a balance, with the amount available above the floor."""
    available = None if floor is None else str(posted - held - floor)
    return BalanceRecord(wallet, asset, str(posted), str(held), available, Version(version))


def apply(books: Books, effects: Effects) -> None:
    """Bring the books to the state that the effects record.  Cannot refuse; an assertion here is a bug, never a
    client's fault.

    The wallets that the effects touch must be among the books, except those that the effects open.
    """
    for asset in effects.assets:
        assert asset.asset not in books.assets
        books.assets[asset.asset] = asset
    for record in effects.wallets:
        _apply_wallet(books, record)
    for balance in effects.balances:
        _apply_balance(books, balance)
    for hold in effects.holds:
        _apply_hold(books.wallets[hold.wallet], hold)
    if effects.folded:
        _apply_folded(books, effects.folded)
    for outflow in effects.outflows:
        _apply_outflow(books.wallets[outflow.wallet], outflow)
    for transfer in effects.transfers:
        assert transfer.transfer in books.transfers
        books.transfers[transfer.transfer] = transfer
    if effects.clients:
        apply_clients(books.clients, effects)


def restore_book(
    record: WalletRecord,
    balances: Iterable[BalanceRecord],
    holds: Iterable[HoldRecord] = (),
    outflows: Iterable[OutflowRecord] = (),
) -> Book:
    """The book that these records describe, as the read tables keep them; it takes in only open holds.

    Outflows come in order, all those within a window and perhaps more; those that no longer count are left out.
    """
    book = Book(record)
    for balance in balances:
        assert balance.wallet == record.wallet
        assert balance.version <= record.version
        book.balances[balance.asset] = Balance(int(balance.posted), int(balance.held))
    for hold in holds:
        assert hold.wallet == record.wallet
        assert hold.state is HoldState.OPEN
        book.holds[hold.hold] = hold
    book.expiries = _expiries_of(book)
    for outflow in outflows:
        restore_outflow(book, outflow)
    return book


def restore_outflow(book: Book, outflow: OutflowRecord) -> None:
    """Put the next of its outflows into a book that is being restored, if it still counts."""
    assert outflow.wallet == book.wallet
    counted = book.counted_from.get(outflow.asset)
    if counted is not None and counts(outflow, counted):
        _outflows(book, outflow.asset).put(outflow)


def counts(outflow: OutflowRecord, counted: CountedFrom) -> bool:
    """True if the outflow came after the limit, and after everything that a shorter window had dropped."""
    return (outflow.sequence, outflow.command) >= (counted.sequence, counted.command) and (
        counted.after is None or outflow.time > counted.after
    )


def _apply_wallet(books: Books, record: WalletRecord) -> None:
    book = books.wallets.get(record.wallet)
    if book is None:
        assert record.version == 1
        books.wallets[record.wallet] = Book(record)
        return
    assert record.version == book.version + 1
    assert record.opened_at == book.opened_at
    book.status = record.status
    book.version = record.version
    book.metadata = record.metadata
    book.limits = record.limits
    book.freeze = record.freeze
    if record.counted_from != book.counted_from:
        _count_from(book, record.counted_from)


def _apply_balance(books: Books, record: BalanceRecord) -> None:
    book = books.wallets[record.wallet]
    # Several balances of one wallet share the entry's single step of its version.
    assert record.version - book.version in (0, 1)
    book.version = record.version
    balance = book.balances.get(record.asset)
    if balance is None:
        balance = book.balances[record.asset] = Balance()
    balance.posted = int(record.posted)
    balance.held = int(record.held)
    assert balance.held >= 0


def _apply_hold(book: Book, record: HoldRecord) -> None:
    known = book.holds.pop(record.hold, None)
    assert known is None or (known.asset, known.placed_at) == (record.asset, record.placed_at)
    if record.state is HoldState.OPEN:
        assert reserved(record) > 0
        book.holds[record.hold] = record
        if record.expires_at is not None and (known is None or known.expires_at != record.expires_at):
            heappush(book.expiries, _expiry_of(record.expires_at, record.hold))
    while book.expiries and not _is_due_then(book, book.expiries[0][0], book.expiries[0][2]):
        heappop(book.expiries)
    if len(book.expiries) > 2 * len(book.holds) + EXPIRIES_UNPRUNED:
        book.expiries = _expiries_of(book)


def _count_from(book: Book, counted_from: dict[AssetCode, CountedFrom]) -> None:
    """Drop the outflows that no longer count."""
    book.counted_from = counted_from
    for asset, outflows in list((book.outflows or {}).items()):
        counted = counted_from.get(asset)
        if counted is None:
            assert book.outflows is not None
            del book.outflows[asset]
        elif counted.after is not None:
            outflows.forget(counted.after)
    book.outflows = book.outflows or None


def _outflows(book: Book, asset: AssetCode) -> Outflows:
    if book.outflows is None:
        book.outflows = {}
    return book.outflows.setdefault(asset, Outflows())


def _apply_outflow(book: Book, record: OutflowRecord) -> None:
    counted = book.counted_from.get(record.asset)
    if counted is None or not counts(record, counted):
        return  # A later command of the same batch removed the limit.
    outflows = _outflows(book, record.asset)
    outflows.put(record)
    if len(outflows) > OUTFLOWS_UNPRUNED:
        outflows.prune(record.time - timedelta(seconds=book.limits[record.asset].longest_window))


def _apply_folded(books: Books, folded: tuple[FoldedOutflow, ...]) -> None:
    of_places: dict[tuple[WalletId, AssetCode], list[FoldedOutflow]] = {}
    for one in folded:
        of_places.setdefault((one.wallet, one.asset), []).append(one)
    for (wallet, asset), run in of_places.items():
        _outflows(books.wallets[wallet], asset).fold(run)


def _expiry_of(moment: datetime, hold: HoldId) -> tuple[datetime, int, HoldId]:
    """The place of a hold in the order of expiries; ids of one length are in order as text."""
    return moment, len(hold), hold


def _expiries_of(book: Book) -> list[tuple[datetime, int, HoldId]]:
    expiries = [_expiry_of(hold.expires_at, hold.hold) for hold in book.holds.values() if hold.expires_at is not None]
    heapify(expiries)
    return expiries


def _is_due_then(book: Book, moment: datetime, hold: HoldId) -> bool:
    """True if the hold is open and expires at this time, rather than at a time that it was given later."""
    return hold in book.holds and book.holds[hold].expires_at == moment
