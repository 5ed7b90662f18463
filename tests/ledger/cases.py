"""Words for the tables: commands in one line, and a small ledger that keeps its history.

ledger = shop()                                     # alice has 1000 EUR, carol's wallet is closed, ...
ledger.run(pay("alice", "bob", "EUR", 250))
ledger.posted("bob", "EUR")
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

import msgspec

from tests.ledger.core import REAL, Core
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
