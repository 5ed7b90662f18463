"""Books: what every warm wallet has, in memory, and ``apply``, the one way in which a book changes.

    books = Books()
    apply(books, effects)                      # cannot refuse
    books.wallets["alice"].balances["EUR"].posted

``Books`` may hold all wallets (an audit) or only those that are warm (the daemon).  The assets are always all there.
"""

from datetime import datetime

from walletd.vocabulary.entries import AssetRecord, BalanceRecord, Effects, WalletRecord
from walletd.vocabulary.identifiers import AssetCode, Version, WalletId, is_system_wallet
from walletd.vocabulary.lifecycle import WalletStatus


class Balance:
    """What a wallet has of one asset, in smallest units: ``posted``, and the part of it that holds reserve."""

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
    """One wallet: its status, its version and its balances.  Only ``apply`` changes it."""

    __slots__ = ("balances", "is_system", "metadata", "opened_at", "status", "version", "wallet")

    def __init__(self, record: WalletRecord) -> None:
        self.wallet: WalletId = record.wallet
        self.is_system: bool = is_system_wallet(record.wallet)
        self.status: WalletStatus = record.status
        self.version: Version = record.version
        self.opened_at: datetime = record.opened_at
        self.metadata: dict[str, str] = record.metadata
        self.balances: dict[AssetCode, Balance] = {}

    def balance(self, asset: AssetCode) -> Balance:
        """What the wallet has of the asset; nothing, where it was never touched."""
        return self.balances.get(asset) or Balance()

    def floor(self, asset: AssetCode) -> int | None:
        """How low the posted balance may go; None for a system wallet, which has no floor."""
        return None if self.is_system else 0

    def available(self, asset: AssetCode) -> int | None:
        """What can be paid now: posted − held − floor; None where there is no floor."""
        floor = self.floor(asset)
        if floor is None:
            return None
        balance = self.balance(asset)
        return balance.posted - balance.held - floor

    def record(self) -> WalletRecord:
        """The wallet as it stands, without its balances."""
        return WalletRecord(
            wallet=self.wallet,
            status=self.status,
            version=self.version,
            opened_at=self.opened_at,
            metadata=self.metadata,
        )

    def balance_record(self, asset: AssetCode) -> BalanceRecord:
        """What the wallet has of one asset, as messages and the read tables show it."""
        balance = self.balance(asset)
        return balance_record(self, asset, balance.posted, balance.held, self.version)

    def balance_records(self) -> tuple[BalanceRecord, ...]:
        """Every asset that the wallet was ever touched in, by code."""
        return tuple(self.balance_record(asset) for asset in sorted(self.balances))


class Books:
    """The assets, and the books of the wallets at hand."""

    __slots__ = ("assets", "wallets")

    def __init__(self) -> None:
        self.assets: dict[AssetCode, AssetRecord] = {}
        self.wallets: dict[WalletId, Book] = {}


def balance_record(book: Book, asset: AssetCode, posted: int, held: int, version: int) -> BalanceRecord:
    """The record of a balance of this wallet, with what of it is available."""
    floor = book.floor(asset)
    available = None if floor is None else str(posted - held - floor)
    return BalanceRecord(book.wallet, asset, str(posted), str(held), available, Version(version))


def apply(books: Books, effects: Effects) -> None:
    """Bring the books to where the effects say they stand.  Cannot refuse; an assertion here is a bug, never a client.

    The wallets that the effects touch must be among the books, but for those that the effects open.
    """
    for asset in effects.assets:
        assert asset.asset not in books.assets
        books.assets[asset.asset] = asset
    for record in effects.wallets:
        _apply_wallet(books, record)
    for balance in effects.balances:
        _apply_balance(books, balance)


def restore_book(record: WalletRecord, balances: tuple[BalanceRecord, ...]) -> Book:
    """The book that these records describe, as the read tables keep them."""
    book = Book(record)
    for balance in balances:
        assert balance.wallet == record.wallet
        assert balance.version <= record.version
        book.balances[balance.asset] = Balance(int(balance.posted), int(balance.held))
    return book


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


def _apply_balance(books: Books, record: BalanceRecord) -> None:
    book = books.wallets[record.wallet]
    # Several balances of one wallet share the entry's one step of its version.
    assert record.version - book.version in (0, 1)
    book.version = record.version
    balance = book.balances.get(record.asset)
    if balance is None:
        balance = book.balances[record.asset] = Balance()
    balance.posted = int(record.posted)
    balance.held = int(record.held)
    assert balance.held >= 0
