"""Words for the tables: commands in one line, a small ledger that keeps its history, and the table of refusals.

ledger = shop()                                     # alice has 1000 EUR, carol's wallet is closed, ...
ledger.run(pay("alice", "bob", "EUR", 250))
ledger.posted("bob", "EUR")
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from tests.ledger.core import REAL, Core
from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, Posting, PostTransfer
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, Effects, Entry, Refusal, WalletRecord
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.identifiers import AssetCode, CommandId, Principal, Sequence, Version, WalletId
from walletd.vocabulary.lifecycle import WalletStatus

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
THE_CLIENT = Principal("a client")


def define(asset: str = "EUR", scale: int = 2, **conditions: Any) -> DefineAsset:
    """Define an asset."""
    return DefineAsset(asset=AssetCode(asset), scale=scale, **_with_id(conditions))


def open_wallet(wallet: str, **conditions: Any) -> OpenWallet:
    """Open a wallet."""
    return OpenWallet(wallet=WalletId(wallet), **_with_id(conditions))


def posting(source: str, to: str, asset: str, amount: int) -> Posting:
    """One movement."""
    return Posting(WalletId(source), WalletId(to), AssetCode(asset), str(amount))


def transfer(*postings: Posting, **conditions: Any) -> PostTransfer:
    """A transfer along several postings."""
    return PostTransfer(postings=postings, **_with_id(conditions))


def pay(source: str, to: str, asset: str, amount: int, **conditions: Any) -> PostTransfer:
    """A transfer of one posting."""
    return transfer(posting(source, to, asset, amount), **conditions)


def _with_id(conditions: dict[str, Any]) -> dict[str, Any]:
    return {"command_id": CommandId("c"), **conditions}


def asset(code: str, scale: int) -> AssetRecord:
    """An asset's record."""
    return AssetRecord(AssetCode(code), scale)


def balance(wallet: str, code: str, posted: str, held: str, available: str | None, version: int) -> BalanceRecord:
    """A balance's record."""
    return BalanceRecord(WalletId(wallet), AssetCode(code), posted, held, available, Version(version))


class Ledger:
    """A core, its books and the history that led to them; every command gets an id of its own."""

    def __init__(self, core: Core = REAL) -> None:
        self.core = core
        self.books = core.books()
        self.entries: list[Entry] = []

    def decide(self, command: AnyCommand, now: datetime = NOW) -> Effects | Refusal:
        """The verdict; nothing is changed."""
        verdict: Effects | Refusal = self.core.decide(self.books, command, now)
        return verdict

    def run(self, command: AnyCommand, now: datetime = NOW) -> Effects | Refusal:
        """Decide, record, apply: the way of a command."""
        verdict = self.decide(command, now)
        sequence = Sequence(len(self.entries) + 1)
        self.entries.append(entry(sequence, with_command_id(command, f"c{sequence}"), verdict, now))
        if isinstance(verdict, Effects):
            self.core.apply(self.books, verdict)
        return verdict

    def after(self, *commands: AnyCommand) -> Self:
        """This ledger after these commands, none of which may be refused."""
        for command in commands:
            verdict = self.run(command)
            assert isinstance(verdict, Effects), verdict
        return self

    def bring(self, wallet: str, asset: str, amount: int) -> Self:
        """This ledger after so much was brought in from outside."""
        return self.after(pay("@external", wallet, asset, amount))

    def close(self, wallet: str) -> Self:
        """This ledger with the wallet closed, by an effect: no command closes yet."""
        self.core.apply(self.books, closing(self.books.wallets[WalletId(wallet)].record()))
        return self

    def hold(self, wallet: str, asset: str, amount: int) -> Self:
        """This ledger with so much of the wallet held, by an effect: no command holds yet."""
        posted = self.posted(wallet, asset)
        version = self.version(wallet) + 1
        record = balance(wallet, asset, str(posted), str(amount), str(posted - amount), version)
        self.core.apply(self.books, Effects(balances=(record,)))
        return self

    def posted(self, wallet: str, asset: str) -> int:
        """What the wallet has of the asset."""
        balance: int = self.books.wallets[WalletId(wallet)].balance(AssetCode(asset)).posted
        return balance

    def version(self, wallet: str) -> int:
        """How many entries touched the wallet."""
        version: int = self.books.wallets[WalletId(wallet)].version
        return version


def entry(sequence: int, command: AnyCommand, verdict: Effects | Refusal, time: datetime = NOW) -> Entry:
    """The entry of a decided command."""
    return Entry(
        sequence=Sequence(sequence),
        time=time,
        principal=THE_CLIENT,
        command=command,
        refusal=verdict if isinstance(verdict, Refusal) else None,
        effects=verdict if isinstance(verdict, Effects) else None,
    )


def with_command_id(command: AnyCommand, command_id: str) -> AnyCommand:
    """The same command under another id."""
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return type(command)(**(fields | {"command_id": CommandId(command_id)}))


def closing(record: WalletRecord) -> Effects:
    """The effect that closes a wallet."""
    closed = WalletRecord(
        wallet=record.wallet,
        status=WalletStatus.CLOSED,
        version=Version(record.version + 1),
        opened_at=record.opened_at,
        metadata=record.metadata,
    )
    return Effects(wallets=(closed,))


def market(core: Core = REAL) -> Ledger:
    """EUR and BTC; ``@external`` and ``@fees``; alice with 1000 EUR, bob and carol with nothing."""
    ledger = Ledger(core).after(define("EUR", 2), define("BTC", 8))
    ledger.after(*(open_wallet(name) for name in ("@external", "@fees", "alice", "bob", "carol")))
    return ledger.bring("alice", "EUR", 1000)


def shop(core: Core = REAL) -> Ledger:
    """The market, where carol's wallet is closed."""
    return market(core).close("carol")


def snapshot(books: Any) -> Any:
    """All that the books hold, as plain values."""
    return (
        dict(books.assets),
        {name: (book.record(), book.balance_records()) for name, book in books.wallets.items()},
    )


class RefusalCase(NamedTuple):
    """A command to the shop, and why it is refused, with which facts."""

    reason: Reason
    situation: str
    command: AnyCommand
    facts: dict[str, Any]
    arrange: Callable[[Ledger], Ledger] = lambda ledger: ledger


# In the order of the enum.
REFUSALS: tuple[RefusalCase, ...] = (
    RefusalCase(
        Reason.COMMAND_EXPIRED,
        "a microsecond after its valid_until",
        pay("alice", "bob", "EUR", 1, valid_until=NOW - TICK),
        {"valid_until": "2030-01-01T11:59:59.999999Z", "time": "2030-01-01T12:00:00Z"},
    ),
    RefusalCase(
        Reason.ASSET_ALREADY_DEFINED,
        "the asset is defined, with this scale",
        define("EUR", 2),
        {"asset": "EUR", "scale": 2},
    ),
    RefusalCase(
        Reason.ASSET_ALREADY_DEFINED,
        "the asset is defined, with another scale",
        define("EUR", 3),
        {"asset": "EUR", "scale": 2},
    ),
    RefusalCase(
        Reason.ASSET_NOT_FOUND,
        "a posting in an asset that nobody defined",
        transfer(posting("alice", "bob", "EUR", 1), posting("alice", "bob", "DOGE", 1)),
        {"asset": "DOGE", "posting": 1},
    ),
    RefusalCase(
        Reason.WALLET_ALREADY_EXISTS,
        "the wallet is open",
        open_wallet("alice"),
        {"wallet": "alice", "opened_at": "2030-01-01T12:00:00Z"},
    ),
    RefusalCase(
        Reason.WALLET_ALREADY_EXISTS,
        "the wallet was closed: its name is never used again",
        open_wallet("carol"),
        {"wallet": "carol", "opened_at": "2030-01-01T12:00:00Z"},
    ),
    RefusalCase(
        Reason.WALLET_NOT_FOUND,
        "nobody opened the payer",
        pay("ghost", "bob", "EUR", 1),
        {"wallet": "ghost", "posting": 0},
    ),
    RefusalCase(
        Reason.WALLET_NOT_FOUND,
        "nobody opened the payee of the second posting",
        transfer(posting("alice", "bob", "EUR", 1), posting("alice", "ghost", "EUR", 1)),
        {"wallet": "ghost", "posting": 1},
    ),
    RefusalCase(
        Reason.WALLET_NOT_FOUND,
        "a system wallet, too, must be opened first",
        pay("@nowhere", "bob", "EUR", 1),
        {"wallet": "@nowhere", "posting": 0},
    ),
    RefusalCase(
        Reason.SELF_TRANSFER,
        "from a wallet to itself",
        pay("alice", "alice", "EUR", 1),
        {"wallet": "alice", "posting": 0},
    ),
    RefusalCase(
        Reason.SELF_TRANSFER,
        "a system wallet to itself, behind a good posting",
        transfer(posting("alice", "bob", "EUR", 1), posting("@fees", "@fees", "EUR", 1)),
        {"wallet": "@fees", "posting": 1},
    ),
    RefusalCase(
        Reason.VERSION_MISMATCH,
        "the payer has moved on",
        pay("alice", "bob", "EUR", 1, if_version={"alice": 1}),
        {"wallet": "alice", "version": 2, "demanded": 1},
    ),
    RefusalCase(
        Reason.VERSION_MISMATCH,
        "the payer is not there yet",
        pay("alice", "bob", "EUR", 1, if_version={"alice": 3}),
        {"wallet": "alice", "version": 2, "demanded": 3},
    ),
    RefusalCase(
        Reason.VERSION_MISMATCH,
        "a wallet that takes no part has moved on",
        pay("alice", "bob", "EUR", 1, if_version={"@external": 1}),
        {"wallet": "@external", "version": 2, "demanded": 1},
    ),
    RefusalCase(
        Reason.VERSION_MISMATCH,
        "a wallet that nobody opened is at version 0",
        define("ETH", 18, if_version={"ghost": 1}),
        {"wallet": "ghost", "version": 0, "demanded": 1},
    ),
    RefusalCase(
        Reason.VERSION_MISMATCH,
        "opening a wallet only if another stands as it was read",
        open_wallet("dave", if_version={"dave": 0, "alice": 1}),
        {"wallet": "alice", "version": 2, "demanded": 1},
    ),
    RefusalCase(
        Reason.WALLET_CLOSED,
        "the payee was closed",
        pay("alice", "carol", "EUR", 1),
        {"wallet": "carol", "posting": 0},
    ),
    RefusalCase(
        Reason.WALLET_CLOSED,
        "the payer was closed",
        pay("carol", "alice", "EUR", 1),
        {"wallet": "carol", "posting": 0},
    ),
    RefusalCase(
        Reason.WALLET_CLOSED,
        "even where the postings leave it with what it had",
        transfer(posting("alice", "carol", "EUR", 1), posting("carol", "bob", "EUR", 1)),
        {"wallet": "carol", "posting": 0},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "one smallest unit more than there is",
        pay("alice", "bob", "EUR", 1001),
        {"wallet": "alice", "asset": "EUR", "available": "1000", "required": "1001", "short_by": "1"},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "a wallet that was never touched",
        pay("bob", "alice", "BTC", 1),
        {"wallet": "bob", "asset": "BTC", "available": "0", "required": "1", "short_by": "1"},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "enough in one asset, nothing in the other",
        transfer(posting("alice", "bob", "EUR", 1000), posting("alice", "bob", "BTC", 1)),
        {"wallet": "alice", "asset": "BTC", "available": "0", "required": "1", "short_by": "1"},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "several postings that are small one by one",
        transfer(posting("alice", "bob", "EUR", 600), posting("alice", "@fees", "EUR", 401)),
        {"wallet": "alice", "asset": "EUR", "available": "1000", "required": "1001", "short_by": "1"},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "what comes in during the transfer does not reach",
        transfer(posting("alice", "bob", "EUR", 10), posting("bob", "@fees", "EUR", 11)),
        {"wallet": "bob", "asset": "EUR", "available": "0", "required": "1", "short_by": "1"},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "the rest is held",
        pay("alice", "bob", "EUR", 701),
        {"wallet": "alice", "asset": "EUR", "available": "700", "required": "701", "short_by": "1"},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "the largest amount, whole",
        pay("alice", "bob", "EUR", 10**36 - 1),
        {
            "wallet": "alice",
            "asset": "EUR",
            "available": "1000",
            "required": "9" * 36,
            "short_by": "9" * 32 + "8999",
        },
    ),
)
