"""A client without a daemon: it answers what a test put into it, and remembers what it was asked."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from walletd.client import Applied, Cursor, Event, RequestFailed
from walletd.client.batches import BatchApplied, batch_results
from walletd.protocol.messages import (
    Balances,
    Statement,
    StatementBalance,
    StatementLine,
    TransferView,
    WalletPage,
    WalletView,
)
from walletd.protocol.messages.holds import HoldView
from walletd.protocol.messages.operator import AssetTotal, AuditReport, DaemonStatus
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.entries import BalanceRecord
from walletd.vocabulary.identifiers import AssetCode, HoldId, Sequence, Version, WalletId
from walletd.vocabulary.reasons import Outcome, Reason
from walletd.vocabulary.states import DaemonState, HoldState, WalletStatus

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def balance(wallet: str, asset: str, posted: int) -> BalanceRecord:
    available = None if wallet.startswith("@") else str(posted)
    return BalanceRecord(WalletId(wallet), AssetCode(asset), str(posted), "0", available, Version(1))


def applied(*balances: BalanceRecord, **more: Any) -> Applied:
    return Applied(sequence=7, time=NOON, entry_hash="ab", balances=balances, command_id="c1", **more)


class Called(NamedTuple):
    name: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]


class StandIn:
    """Each call is remembered in ``calls``; ``failing`` maps a call's name to what it raises, ``fails_after`` to how
    many go well before it does."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.connected_with: dict[str, Any] = {}
        self.failing: dict[str, BaseException] = {}
        self.fails_after: dict[str, tuple[int, BaseException]] = {}
        self.scales = {"EUR": 2}
        self.answer = applied(balance("alice", "EUR", 8750), balance("bob", "EUR", 1250), transfer="t7")
        self.lines: list[StatementLine] = []
        self.opening: tuple[StatementBalance, ...] = ()
        self.closing: tuple[StatementBalance, ...] = ()
        self.views: list[WalletView] = []
        self.holds_of_all: list[HoldView] = []
        self.transfers: list[TransferView] = []
        self.ids_used: set[str] = set()
        self.levels = {"gateway": "info", "journal": "info"}
        self.events: list[Event] = []
        self.after_events: BaseException | None = None
        self.violations: tuple[str, ...] = ()

    @asynccontextmanager
    async def connect(
        self, url: str, *, token: str | None, tls: object = None, vet: object = None
    ) -> AsyncIterator["StandIn"]:
        self.connected_with = {"url": url, "token": token}
        self._note("connect")
        yield self

    @contextmanager
    def connect_blocking(
        self, url: str, *, token: str | None, tls: object = None, vet: object = None, deadline_seconds: float = 30.0
    ) -> Iterator["StandIn"]:
        self.connected_with = {"url": url, "token": token}
        self._note("connect")
        yield self

    async def define_asset(self, *arguments: Any, **named: Any) -> Applied:
        self._note("define_asset", *arguments, **named)
        return self.answer

    async def open_wallet(self, *arguments: Any, **named: Any) -> Applied:
        self._note("open_wallet", *arguments, **named)
        return self.answer

    async def create_client(self, *arguments: Any, **named: Any) -> Applied:
        self._note("create_client", *arguments, **named)
        return self.answer

    async def update_client(self, *arguments: Any, **named: Any) -> Applied:
        self._note("update_client", *arguments, **named)
        return self.answer

    async def rotate_client(self, *arguments: Any, **named: Any) -> Applied:
        self._note("rotate_client", *arguments, **named)
        return self.answer

    async def revoke_client(self, *arguments: Any, **named: Any) -> Applied:
        self._note("revoke_client", *arguments, **named)
        return self.answer

    async def submit(self, command: AnyCommand) -> Applied:
        self._note("submit", command)
        return self.answer

    async def assets(self, refresh: bool = False) -> dict[str, int]:
        self._note("assets")
        return self.scales

    async def balances(self, *arguments: Any, **named: Any) -> Balances:
        self._note("balances", *arguments, **named)
        return Balances(balances=self.answer.balances, sequence=7, time=NOON)

    async def audit(self) -> AuditReport:
        self._note("audit")
        totals = (AssetTotal(AssetCode("EUR"), "0", "12345"),)
        return AuditReport(sequence=7, wallets=3, totals=totals, violations=self.violations)

    async def wallet(self, name: str) -> WalletView:
        self._note("wallet", name)
        return self.views[0]

    async def holds(self, wallet: str, *, also_closed: bool = False) -> AsyncIterator[HoldView]:
        self._note("holds", wallet)
        for found in self.holds_of_all:
            yield found

    async def hold(self, wallet: str, hold: str) -> HoldView:
        self._note("hold", wallet, hold)
        for found in self.holds_of_all:
            if (found.wallet, found.hold) == (wallet, hold):
                return found
        raise refused(Reason.HOLD_NOT_FOUND, f"wallet {wallet} never had a hold {hold}")

    async def transfer(self, transfer: str) -> TransferView:
        self._note("transfer", transfer)
        return self.transfers[0]

    async def entry(self, *, sequence: int | None = None, command_id: str | None = None) -> None:
        """Only whether there is one."""
        self._note("entry", sequence=sequence, command_id=command_id)
        if command_id not in self.ids_used:
            raise refused(Reason.ENTRY_NOT_FOUND, "there is no such entry")

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        self._note("call", method, **params)
        return {"levels": self.levels}

    async def wallet_page(self, prefix: str = "") -> WalletPage:
        self._note("wallet_page", prefix)
        return WalletPage(wallets=tuple(view for view in self.views if view.wallet.startswith(prefix)), sequence=7)

    async def wallets(self, prefix: str = "", **named: Any) -> AsyncIterator[WalletView]:
        self._note("wallets", prefix, **named)
        for view in self.views:
            yield view

    async def statement_page(self, *arguments: Any, limit: int, **named: Any) -> Statement:
        self._note("statement_page", *arguments, **named)
        following = "more" if len(self.lines) > limit else None
        return Statement(
            wallet=arguments[0],
            opening=self.opening,
            closing=self.closing,
            lines=tuple(self.lines[:limit]),
            sequence=7,
            next=following,
        )

    async def batch(self, *arguments: Any, **named: Any) -> BatchApplied:
        self._note("batch", *arguments, **named)
        return batch_results(self.answer)

    async def status(self) -> DaemonStatus:
        self._note("status")
        return DaemonStatus(
            lifecycle=DaemonState.SERVING,
            server_version="0.1.0",
            instance="i1",
            epoch=1,
            head=1234,
            projected=1234,
            warm_wallets=3,
            sessions=1,
            started_at=NOON,
        )

    @asynccontextmanager
    async def subscribe(self, **named: Any) -> AsyncIterator["StandInStream"]:
        self._note("subscribe", **named)
        yield StandInStream(self.events, self.after_events)

    def _note(self, name: str, *arguments: Any, **named: Any) -> None:
        self.calls.append(Called(name, arguments, named))
        if name in self.failing:
            raise self.failing[name]
        good, failure = self.fails_after.get(name, (len(self.calls), None))
        if failure is not None and len(self.asked(name)) > good:
            raise failure

    def asked(self, name: str) -> list[Called]:
        return [call for call in self.calls if call.name == name]


class StandInStream:
    """The events, then what a test wants to happen, or the end."""

    cursor = Cursor(1, Sequence(6))

    def __init__(self, events: list[Event], then: BaseException | None) -> None:
        self._events = iter(events)
        self._then = then

    def __aiter__(self) -> "StandInStream":
        return self

    async def __anext__(self) -> Event:
        for event in self._events:
            return event
        if self._then is not None:
            raise self._then
        raise StopAsyncIteration


def refused(reason: Reason, message: str) -> RequestFailed:
    return RequestFailed(reason, message, outcome=Outcome.NOT_APPLIED, retry=reason.retry, facts={})


def view(name: str, *balances: BalanceRecord, metadata: dict[str, str] | None = None, **more: Any) -> WalletView:
    fields = {"status": WalletStatus.OPEN, "version": 1, "opened_at": NOON, "sequence": 7, **more}
    return WalletView(wallet=WalletId(name), metadata=metadata or {}, balances=balances, **fields)


def hold_view(hold: str = "h7", **more: Any) -> HoldView:
    fields: dict[str, Any] = {"amount": "2000", "captured": "500", "reserved": "1500", "expires_at": NOON, **more}
    return HoldView(
        hold=HoldId(hold),
        wallet=WalletId("alice"),
        asset=AssetCode("EUR"),
        state=HoldState.OPEN,
        placed_at=NOON,
        reference="room-12",
        metadata={"guest": "7"},
        sequence=7,
        **fields,
    )


def line(amount: int, posted: int, **more: Any) -> StatementLine:
    return StatementLine(
        sequence=7,
        line=0,
        time=NOON,
        kind="transfer",
        asset=AssetCode("EUR"),
        amount=str(amount),
        posted=str(posted),
        counterparty=WalletId("bob"),
        transfer="t7",
        **more,
    )


Run = Callable[..., int]
