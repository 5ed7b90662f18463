"""Words for the tables: commands in one line, a small ledger that keeps its history, and the table of refusals.

ledger = shop()                                     # alice has 1000 EUR, carol's wallet is closed, ...
ledger.run(pay("alice", "bob", "EUR", 250))
ledger.posted("bob", "EUR")
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from tests.ledger.core import REAL, Core
from walletd.ledger.wallets import MAX_SWEPT_ASSETS
from walletd.vocabulary.commands import (
    AdjustHold,
    AnyCommand,
    BalanceCondition,
    BatchedCommand,
    CaptureHold,
    CloseWallet,
    Command,
    DefineAsset,
    ExecuteBatch,
    ExpireHold,
    ExtendHold,
    FreezeWallet,
    OpenWallet,
    Part,
    PlaceHold,
    Posting,
    PostTransfer,
    RefundTransfer,
    UnfreezeWallet,
    UpdateWallet,
    VoidHold,
    WalletLimits,
    Window,
)
from walletd.vocabulary.entries import AssetRecord, BalanceRecord, Effects, Entry, HoldRecord, Refusal, WalletRecord
from walletd.vocabulary.identifiers import (
    AssetCode,
    CommandId,
    HoldId,
    Principal,
    Sequence,
    TransferId,
    Version,
    WalletId,
)
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import FrozenSide, HoldState, WalletStatus

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
THE_CLIENT = Principal("a client")
AnyKind = TypeVar("AnyKind", bound=Command)


def define(asset: str = "EUR", scale: int = 2, **conditions: Any) -> DefineAsset:
    """Define an asset."""
    return DefineAsset(asset=AssetCode(asset), scale=scale, **_with_id(conditions))


def window(seconds: int, amount: int) -> Window:
    """At most so much within any so many seconds."""
    return Window(seconds=seconds, amount=str(amount))


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


def batch(*commands: BatchedCommand, atomic: bool = True, **conditions: Any) -> ExecuteBatch:
    """A batch of these commands, each with an id of its own."""
    numbered = tuple(with_command_id(command, f"b{index}") for index, command in enumerate(commands))
    return ExecuteBatch(commands=numbered, atomic=atomic, **_with_id(conditions))


def demand(wallet: str, asset: str = "EUR", **bounds: Any) -> BalanceCondition:
    """A condition on a balance."""
    return BalanceCondition(wallet=WalletId(wallet), asset=AssetCode(asset), **bounds)


def refund(transfer_id: str, *postings: Posting, **conditions: Any) -> RefundTransfer:
    """Move money of a transfer back."""
    return RefundTransfer(transfer=TransferId(transfer_id), postings=postings, **_with_id(conditions))


def update(wallet: str, metadata: dict[str, str] | None = None, **conditions: Any) -> UpdateWallet:
    """Change a wallet's metadata."""
    return UpdateWallet(wallet=WalletId(wallet), metadata=metadata, **_with_id(conditions))


def limit(wallet: str, asset: str, **limits: Any) -> UpdateWallet:
    """Give a wallet these limits of one asset."""
    given: dict[str, Any] = {name: value if isinstance(value, tuple) else str(value) for name, value in limits.items()}
    return UpdateWallet(wallet=WalletId(wallet), limits={AssetCode(asset): WalletLimits(**given)}, **_with_id({}))


def freeze(
    wallet: str, frozen: FrozenSide = FrozenSide.BOTH, why: str = "court order", **conditions: Any
) -> FreezeWallet:
    """Freeze a wallet."""
    return FreezeWallet(wallet=WalletId(wallet), frozen=frozen, why=why, **_with_id(conditions))


def unfreeze(wallet: str, **conditions: Any) -> UnfreezeWallet:
    """End a freeze."""
    return UnfreezeWallet(wallet=WalletId(wallet), **_with_id(conditions))


def close(wallet: str, sweep_to: str | None = None, **conditions: Any) -> CloseWallet:
    """Close a wallet."""
    target = None if sweep_to is None else WalletId(sweep_to)
    return CloseWallet(wallet=WalletId(wallet), sweep_to=target, **_with_id(conditions))


def place(wallet: str, asset: str, amount: int, **conditions: Any) -> PlaceHold:
    """Place a hold."""
    return PlaceHold(wallet=WalletId(wallet), asset=AssetCode(asset), amount=str(amount), **_with_id(conditions))


def capture(wallet: str, hold: str, *parts: tuple[str, int], **conditions: Any) -> CaptureHold:
    """Capture parts of a hold."""
    shares = tuple(Part(WalletId(to), str(amount)) for to, amount in parts)
    return CaptureHold(wallet=WalletId(wallet), hold=HoldId(hold), parts=shares, **_with_id(conditions))


def extend(
    wallet: str, hold: str, expires_at: datetime | msgspec.UnsetType | None = msgspec.UNSET, **conditions: Any
) -> ExtendHold:
    """Give a hold another expiry."""
    return ExtendHold(wallet=WalletId(wallet), hold=HoldId(hold), expires_at=expires_at, **_with_id(conditions))


def adjust(wallet: str, hold: str, amount: int, **conditions: Any) -> AdjustHold:
    """Let a hold reserve another amount."""
    return AdjustHold(wallet=WalletId(wallet), hold=HoldId(hold), amount=str(amount), **_with_id(conditions))


def void(wallet: str, hold: str, **conditions: Any) -> VoidHold:
    """Release a hold."""
    return VoidHold(wallet=WalletId(wallet), hold=HoldId(hold), **_with_id(conditions))


def expire(wallet: str, hold: str, **conditions: Any) -> ExpireHold:
    """Record a hold's expiry."""
    return ExpireHold(wallet=WalletId(wallet), hold=HoldId(hold), **_with_id(conditions))


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
        self.principal = THE_CLIENT
        self.entries: list[Entry] = []
        self.folds = True
        """Whether entries fold old outflows, as they do since 0.2; those of older journals do not."""

    def decide(self, command: AnyCommand, now: datetime = NOW) -> Effects | Refusal:
        """The verdict; nothing is changed."""
        verdict: Effects | Refusal = self.core.decide(
            self.books, command, now, len(self.entries) + 1, by=self.principal
        )
        return verdict

    def foreseen(self, command: AnyCommand, now: datetime = NOW) -> Effects:
        """What the command would do, which is not refused; nothing is changed."""
        verdict = self.decide(command, now)
        assert isinstance(verdict, Effects), verdict
        return verdict

    def run(self, command: AnyCommand, now: datetime = NOW) -> Effects | Refusal:
        """Decide, record, apply: the way of a command."""
        verdict = self.decide(command, now)
        sequence = Sequence(len(self.entries) + 1)
        self.entries.append(entry(sequence, _with_fresh_ids(command, f"c{sequence}"), verdict, now, self.principal))
        if isinstance(verdict, Effects):
            if self.folds and verdict.outflows:
                self.entries[-1] = self.core.fold(self.books, self.entries[-1])
                verdict = self.entries[-1].effects or verdict
            self.core.apply(self.books, verdict)
            self.core.remember(self.books, self.entries[-1])
        return verdict

    def sent_by(self, principal: str) -> Self:
        """This ledger, where the commands that follow are this client's."""
        self.principal = Principal(principal)
        return self

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
        """This ledger with the wallet, which must be empty, closed."""
        return self.after(close(wallet))

    def hold(self, wallet: str, asset: str, amount: int, **fields: Any) -> Self:
        """This ledger with so much of the wallet held: by hold ``h<number of entries>``."""
        return self.after(place(wallet, asset, amount, **fields))

    def with_many_assets(self, wallet: str, number: int) -> Self:
        """This ledger where the wallet has something of so many assets, by one effect."""
        more = number - sum(balance.posted > 0 for balance in self.books.wallets[wallet].balances.values())
        codes = [f"A{index}" for index in range(more)]
        there, here = self.version("@external") + 1, self.version(wallet) + 1
        records = [balance("@external", code, "-1", "0", None, there) for code in codes]
        records += [balance(wallet, code, "1", "0", "1", here) for code in codes]
        effects = Effects(assets=tuple(asset(code, 0) for code in codes), balances=tuple(records))
        self.core.apply(self.books, effects)
        return self

    def with_many_holds(self, wallet: str, number: int) -> Self:
        """This ledger with so many open holds of one unit each, by one effect."""
        posted, version = self.posted(wallet, "EUR"), self.version(wallet) + 1
        holds = tuple(
            HoldRecord(
                hold=HoldId(f"h1.{index}"),
                wallet=WalletId(wallet),
                asset=AssetCode("EUR"),
                amount="1",
                state=HoldState.OPEN,
                placed_at=NOW,
            )
            for index in range(number)
        )
        record = balance(wallet, "EUR", str(posted), str(number), str(posted - number), version)
        self.core.apply(self.books, Effects(balances=(record,), holds=holds))
        return self

    def at(self, now: datetime, *commands: AnyCommand) -> Self:
        """This ledger after these commands, decided at that time, none of which may be refused."""
        for command in commands:
            verdict = self.run(command, now)
            assert isinstance(verdict, Effects), verdict
        return self

    def held(self, wallet: str, asset: str) -> int:
        """What is held of the wallet's asset, as recorded."""
        held: int = self.books.wallets[WalletId(wallet)].balance(AssetCode(asset)).held
        return held

    def posted(self, wallet: str, asset: str) -> int:
        """What the wallet has of the asset."""
        balance: int = self.books.wallets[WalletId(wallet)].balance(AssetCode(asset)).posted
        return balance

    def version(self, wallet: str) -> int:
        """How many entries touched the wallet."""
        version: int = self.books.wallets[WalletId(wallet)].version
        return version


def entry(
    sequence: int, command: AnyCommand, verdict: Effects | Refusal, time: datetime = NOW, by: Principal = THE_CLIENT
) -> Entry:
    """The entry of a decided command."""
    return Entry(
        sequence=Sequence(sequence),
        time=time,
        principal=by,
        command=command,
        refusal=verdict if isinstance(verdict, Refusal) else None,
        effects=verdict if isinstance(verdict, Effects) else None,
    )


def with_command_id(command: AnyKind, command_id: str) -> AnyKind:
    """The same command under another id."""
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return type(command)(**(fields | {"command_id": CommandId(command_id)}))


def _with_fresh_ids(command: AnyCommand, command_id: str) -> AnyCommand:
    if isinstance(command, ExecuteBatch):
        inner = tuple(with_command_id(one, f"{command_id}.{index}") for index, one in enumerate(command.commands))
        batch = ExecuteBatch(commands=inner, atomic=command.atomic, command_id=command.command_id)
        return with_command_id(batch, command_id)
    return with_command_id(command, command_id)


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
        {name: (book.record(), book.balance_records(), dict(book.holds)) for name, book in books.wallets.items()},
        dict(books.clients.records),
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
        "a posting in an undefined asset",
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
        "the payer was never opened",
        pay("ghost", "bob", "EUR", 1),
        {"wallet": "ghost", "posting": 0},
    ),
    RefusalCase(
        Reason.WALLET_NOT_FOUND,
        "the payee of the second posting was never opened",
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
        Reason.ORIGINAL_NOT_FOUND,
        "there was never such a transfer",
        refund("t99", posting("bob", "alice", "EUR", 1)),
        {"transfer": "t99"},
    ),
    RefusalCase(
        Reason.ORIGINAL_NOT_FOUND,
        "from a wallet that had no part in it",
        refund("t10", posting("@fees", "alice", "EUR", 1)),
        {"transfer": "t10"},
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 10)),
    ),
    RefusalCase(
        Reason.ORIGINAL_NOT_FOUND,
        "a refund is not refunded",
        refund("t11", posting("alice", "bob", "EUR", 1)),
        {"transfer": "t11"},
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 10), refund("t10", posting("bob", "alice", "EUR", 10))),
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
        "a wallet that was never opened is at version 0",
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
        Reason.BALANCE_MISMATCH,
        "less is available than the client thinks",
        pay("alice", "bob", "EUR", 1, if_balance=(demand("bob", lte="0"), demand("alice", gte="701"))),
        {"wallet": "alice", "asset": "EUR", "amount": "available", "stands": "700", "condition": 1},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.BALANCE_MISMATCH,
        "something else is posted",
        define("ETH", 18, if_balance=(demand("alice", amount="posted", eq="999"),)),
        {"wallet": "alice", "asset": "EUR", "amount": "posted", "stands": "1000", "condition": 0},
    ),
    RefusalCase(
        Reason.BALANCE_MISMATCH,
        "a wallet that was never opened has nothing",
        open_wallet("dave", if_balance=(demand("dave", gte="1"),)),
        {"wallet": "dave", "asset": "EUR", "amount": "available", "stands": "0", "condition": 0},
    ),
    RefusalCase(
        Reason.BALANCE_MISMATCH,
        "no bound from above holds where there is no floor",
        pay("alice", "bob", "EUR", 1, if_balance=(demand("@fees", lte="5"),)),
        {"wallet": "@fees", "asset": "EUR", "amount": "available", "stands": None, "condition": 0},
    ),
    RefusalCase(
        Reason.REFUND_EXCEEDS_ORIGINAL,
        "several refunds together are one unit more than was paid",
        refund("t10", posting("bob", "alice", "EUR", 4), posting("bob", "alice", "EUR", 3)),
        {"transfer": "t10", "wallet": "bob", "to": "alice", "asset": "EUR", "refundable": "2", "required": "3"},
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 10), refund("t10", posting("bob", "alice", "EUR", 4))),
    ),
    RefusalCase(
        Reason.REFUND_EXCEEDS_ORIGINAL,
        "the original moved nothing this way",
        refund("t8", posting("@external", "alice", "EUR", 1)),
        {"transfer": "t8", "wallet": "@external", "to": "alice", "asset": "EUR", "refundable": "0", "required": "1"},
    ),
    RefusalCase(
        Reason.REFUND_EXCEEDS_ORIGINAL,
        "a capture is refunded up to what was captured",
        refund("t11", posting("bob", "alice", "EUR", 101)),
        {"transfer": "t11", "wallet": "bob", "to": "alice", "asset": "EUR", "refundable": "100", "required": "101"},
        lambda ledger: ledger.hold("alice", "EUR", 300).after(capture("alice", "h10", ("bob", 100))),
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
        Reason.WALLET_CLOSED, "a closed wallet is not updated", update("carol", {"k": "v"}), {"wallet": "carol"}
    ),
    RefusalCase(
        Reason.WALLET_CLOSED, "nothing is swept to a closed wallet", close("bob", "carol"), {"wallet": "carol"}
    ),
    RefusalCase(Reason.WALLET_CLOSED, "a wallet is closed once", close("carol"), {"wallet": "carol"}),
    RefusalCase(Reason.WALLET_CLOSED, "nothing is held in it", place("carol", "EUR", 1), {"wallet": "carol"}),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "the payer's debits are frozen",
        pay("alice", "bob", "EUR", 1),
        {"wallet": "alice", "frozen": "debits", "why": "court order", "until": None, "posting": 0},
        lambda ledger: ledger.after(freeze("alice", FrozenSide.DEBITS)),
    ),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "the payee's credits are frozen, a microsecond longer",
        pay("alice", "bob", "EUR", 1),
        {
            "wallet": "bob",
            "frozen": "credits",
            "why": "court order",
            "until": "2030-01-01T12:00:00.000001Z",
            "posting": 0,
        },
        lambda ledger: ledger.after(freeze("bob", FrozenSide.CREDITS, until=NOW + TICK)),
    ),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "a hold takes from what can be paid",
        place("alice", "EUR", 1),
        {"wallet": "alice", "frozen": "both", "why": "court order", "until": None},
        lambda ledger: ledger.after(freeze("alice")),
    ),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "a capture does not pass a freeze of the payer",
        capture("alice", "h10", ("bob", 1)),
        {"wallet": "alice", "frozen": "debits", "why": "court order", "until": None, "posting": 0},
        lambda ledger: ledger.hold("alice", "EUR", 300).after(freeze("alice", FrozenSide.DEBITS)),
    ),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "a hold is not raised in a frozen wallet",
        adjust("alice", "h10", 301),
        {"wallet": "alice", "frozen": "both", "why": "court order", "until": None},
        lambda ledger: ledger.hold("alice", "EUR", 300).after(freeze("alice")),
    ),
    RefusalCase(
        Reason.WALLET_FROZEN,
        "a frozen wallet is not swept",
        close("alice", "bob"),
        {"wallet": "alice", "frozen": "both", "why": "court order", "until": None},
        lambda ledger: ledger.after(freeze("alice")),
    ),
    RefusalCase(Reason.WALLET_NOT_FROZEN, "it never was", unfreeze("alice"), {"wallet": "alice"}),
    RefusalCase(
        Reason.HOLD_NOT_OPEN,
        "there was never such a hold",
        capture("alice", "h99", ("bob", 1)),
        {"wallet": "alice", "hold": "h99"},
    ),
    RefusalCase(
        Reason.HOLD_NOT_OPEN,
        "it is another wallet's",
        void("bob", "h10"),
        {"wallet": "bob", "hold": "h10"},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.HOLD_NOT_OPEN,
        "it was voided",
        extend("alice", "h10", None),
        {"wallet": "alice", "hold": "h10"},
        lambda ledger: ledger.hold("alice", "EUR", 300).after(void("alice", "h10")),
    ),
    RefusalCase(
        Reason.HOLD_NOT_OPEN,
        "it expires at this very moment, and no entry says so yet",
        capture("alice", "h10", ("bob", 1)),
        {"wallet": "alice", "hold": "h10"},
        lambda ledger: ledger.at(NOW - TICK, place("alice", "EUR", 300, expires_at=NOW)),
    ),
    RefusalCase(
        Reason.HOLD_NOT_OPEN,
        "its expiry is recorded too early",
        expire("alice", "h10"),
        {"wallet": "alice", "hold": "h10"},
        lambda ledger: ledger.hold("alice", "EUR", 300, expires_at=NOW + TICK),
    ),
    RefusalCase(
        Reason.MOMENT_PASSED,
        "a hold that would expire at once",
        place("alice", "EUR", 1, expires_at=NOW),
        {"field": "expires_at", "moment": "2030-01-01T12:00:00Z", "time": "2030-01-01T12:00:00Z"},
    ),
    RefusalCase(
        Reason.MOMENT_PASSED,
        "a hold is not extended into the past",
        extend("alice", "h10", NOW - TICK),
        {"field": "expires_at", "moment": "2030-01-01T11:59:59.999999Z", "time": "2030-01-01T12:00:00Z"},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.MOMENT_PASSED,
        "a freeze that would end at once",
        freeze("alice", until=NOW),
        {"field": "until", "moment": "2030-01-01T12:00:00Z", "time": "2030-01-01T12:00:00Z"},
    ),
    RefusalCase(
        Reason.TOO_MANY_HOLDS,
        "one more than ten thousand",
        place("alice", "EUR", 1),
        {"wallet": "alice", "limit": 10_000},
        lambda ledger: ledger.with_many_holds("alice", 10_000),
    ),
    RefusalCase(
        Reason.HOLDS_OPEN,
        "even where all of it would be swept",
        close("alice", "bob"),
        {"wallet": "alice", "holds": 1},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.CAPTURE_EXCEEDS_HOLD,
        "one smallest unit more than is still reserved, in two parts",
        capture("alice", "h10", ("bob", 100), ("@fees", 101)),
        {"wallet": "alice", "hold": "h10", "asset": "EUR", "reserved": "200", "required": "201"},
        lambda ledger: ledger.hold("alice", "EUR", 300).after(capture("alice", "h10", ("bob", 100))),
    ),
    RefusalCase(
        Reason.WALLET_NOT_EMPTY,
        "and no wallet is named that gets it",
        close("alice"),
        {"wallet": "alice", "asset": "EUR", "posted": "1000"},
    ),
    RefusalCase(
        Reason.WALLET_NOT_EMPTY,
        "a debt is not swept",
        close("bob", "alice"),
        {"wallet": "bob", "asset": "EUR", "posted": "-5"},
        lambda ledger: ledger.after(limit("bob", "EUR", credit_limit=5), pay("bob", "alice", "EUR", 5)),
    ),
    RefusalCase(
        Reason.LIMITS_NOT_MET,
        "a minimum above what is available",
        limit("alice", "EUR", minimum=701),
        {"wallet": "alice", "asset": "EUR", "posted": "1000", "held": "300", "floor": "701"},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.LIMITS_NOT_MET,
        "a maximum below what is posted",
        limit("alice", "EUR", maximum=999),
        {"wallet": "alice", "asset": "EUR", "posted": "1000", "maximum": "999"},
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
        {"wallet": "alice", "asset": "BTC", "available": "0", "required": "1", "short_by": "1", "posting": 1},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "several postings that are small one by one",
        transfer(posting("alice", "bob", "EUR", 600), posting("alice", "@fees", "EUR", 401)),
        {"wallet": "alice", "asset": "EUR", "available": "400", "required": "401", "short_by": "1", "posting": 1},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "what comes in before it in the transfer does not reach",
        transfer(posting("alice", "bob", "EUR", 10), posting("bob", "@fees", "EUR", 11)),
        {"wallet": "bob", "asset": "EUR", "available": "10", "required": "11", "short_by": "1", "posting": 1},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "what comes in behind it in the transfer is not there yet",
        transfer(posting("bob", "@fees", "EUR", 10), posting("alice", "bob", "EUR", 10)),
        {"wallet": "bob", "asset": "EUR", "available": "0", "required": "10", "short_by": "10", "posting": 0},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "money that does not exist goes round between empty wallets",
        transfer(posting("bob", "alice", "BTC", 10**30), posting("alice", "bob", "BTC", 10**30)),
        {
            "wallet": "bob",
            "asset": "BTC",
            "available": "0",
            "required": str(10**30),
            "short_by": str(10**30),
            "posting": 0,
        },
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "more than there is, although as much comes back",
        transfer(posting("alice", "bob", "EUR", 1001), posting("bob", "alice", "EUR", 1001)),
        {"wallet": "alice", "asset": "EUR", "available": "1000", "required": "1001", "short_by": "1", "posting": 0},
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
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "one unit below the minimum",
        pay("alice", "bob", "EUR", 901),
        {"wallet": "alice", "asset": "EUR", "available": "900", "required": "901", "short_by": "1"},
        lambda ledger: ledger.after(limit("alice", "EUR", minimum=100)),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "one unit beyond the credit",
        place("bob", "EUR", 51),
        {"wallet": "bob", "asset": "EUR", "available": "50", "required": "51", "short_by": "1"},
        lambda ledger: ledger.after(limit("bob", "EUR", credit_limit=50)),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "a system wallet with a credit limit has a floor",
        pay("@external", "bob", "EUR", 6),
        {"wallet": "@external", "asset": "EUR", "available": "5", "required": "6", "short_by": "1"},
        lambda ledger: ledger.after(limit("@external", "EUR", credit_limit=1005)),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "a hold is raised by one unit too many",
        adjust("alice", "h10", 1001),
        {"wallet": "alice", "asset": "EUR", "available": "700", "required": "701", "short_by": "1"},
        lambda ledger: ledger.hold("alice", "EUR", 300),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "what an expired hold gives back is counted, and no more",
        pay("alice", "bob", "EUR", 1001),
        {"wallet": "alice", "asset": "EUR", "available": "1000", "required": "1001", "short_by": "1"},
        lambda ledger: ledger.at(NOW - TICK, place("alice", "EUR", 300, expires_at=NOW)),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "the third command of a batch, for what the first two paid",
        batch(pay("alice", "bob", "EUR", 600), pay("alice", "bob", "EUR", 400), pay("alice", "bob", "EUR", 1)),
        {"wallet": "alice", "asset": "EUR", "available": "0", "required": "1", "short_by": "1", "command": 2},
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "who has spent it cannot give it back",
        refund("t10", posting("bob", "alice", "EUR", 10)),
        {"wallet": "bob", "asset": "EUR", "available": "9", "required": "10", "short_by": "1"},
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 10), pay("bob", "@fees", "EUR", 1)),
    ),
    RefusalCase(
        Reason.INSUFFICIENT_FUNDS,
        "a refund that would give back before it gets",
        refund("t10", posting("bob", "alice", "EUR", 10), posting("@fees", "bob", "EUR", 10)),
        {
            "wallet": "bob",
            "asset": "EUR",
            "available": "0",
            "required": "10",
            "short_by": "10",
            "posting": 0,
        },
        lambda ledger: ledger.after(transfer(posting("alice", "bob", "EUR", 10), posting("bob", "@fees", "EUR", 10))),
    ),
    RefusalCase(
        Reason.VELOCITY_EXCEEDED,
        "one unit more than a window lets out",
        pay("alice", "bob", "EUR", 61),
        {
            "wallet": "alice",
            "asset": "EUR",
            "window_seconds": 60,
            "limit": "100",
            "used": "40",
            "remaining": "60",
            "required": "61",
            "fits_at": "2030-01-01T12:01:00Z",
        },
        lambda ledger: ledger.after(
            limit("alice", "EUR", velocity=(window(60, 100), window(3600, 101))), pay("alice", "bob", "EUR", 40)
        ),
    ),
    RefusalCase(
        Reason.VELOCITY_EXCEEDED,
        "more than a window ever lets out",
        place("alice", "EUR", 101),
        {
            "wallet": "alice",
            "asset": "EUR",
            "window_seconds": 60,
            "limit": "100",
            "used": "0",
            "remaining": "100",
            "required": "101",
            "fits_at": None,
        },
        lambda ledger: ledger.after(limit("alice", "EUR", velocity=(window(60, 100),))),
    ),
    RefusalCase(
        Reason.ABOVE_MAXIMUM,
        "one unit more than the payee may have",
        pay("alice", "bob", "EUR", 501),
        {"wallet": "bob", "asset": "EUR", "maximum": "500", "would_have": "501"},
        lambda ledger: ledger.after(limit("bob", "EUR", maximum=500)),
    ),
    RefusalCase(
        Reason.ABOVE_MAXIMUM,
        "more than the payee may have, although it goes on at once",
        transfer(posting("alice", "bob", "EUR", 501), posting("bob", "@fees", "EUR", 501)),
        {"wallet": "bob", "asset": "EUR", "maximum": "500", "would_have": "501", "posting": 0},
        lambda ledger: ledger.after(limit("bob", "EUR", maximum=500)),
    ),
    RefusalCase(
        Reason.ABOVE_MAXIMUM,
        "a sweep is more than the target may have",
        close("alice", "bob"),
        {"wallet": "bob", "asset": "EUR", "maximum": "500", "would_have": "1000"},
        lambda ledger: ledger.after(limit("bob", "EUR", maximum=500)),
    ),
    RefusalCase(
        Reason.ENTRY_TOO_LARGE,
        "a sweep of one asset more than an entry can have",
        close("alice", "bob"),
        {"what": "assets to sweep", "number": MAX_SWEPT_ASSETS + 1, "limit": MAX_SWEPT_ASSETS},
        lambda ledger: ledger.with_many_assets("alice", MAX_SWEPT_ASSETS + 1),
    ),
)
