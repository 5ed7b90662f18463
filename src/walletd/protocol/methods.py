"""Every method of the protocol: one table from which the session, the contract and the tests are made.

A method without a row does not exist; a row without a rule of access cannot be written.
"""

import enum
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from walletd.protocol import hold_messages as h
from walletd.protocol import messages as m
from walletd.protocol import operator_messages as o
from walletd.protocol.access import ADMIN, AUTHENTICATED, OPERATE, Need
from walletd.vocabulary import commands as c


class Kind(enum.Enum):
    """What a method does, and so who answers it."""

    SESSION = "session"
    COMMAND = "command"
    READ = "read"
    STREAM = "stream"
    OPERATOR = "operator"


class Method(NamedTuple):
    """A method: its params and result, what it needs, and one line for people."""

    name: str
    kind: Kind
    params: type
    result: type
    needs: Callable[[Any], Iterable[Need]]
    meaning: str
    decoder: msgspec.json.Decoder[Any]


def _always(need: Need) -> Callable[[Any], Iterable[Need]]:
    return lambda params: (need,)


def _spends_from_all(params: c.PostTransfer | c.RefundTransfer) -> Iterable[Need]:
    return [Need.spend(posting.source) for posting in params.postings] + _views_conditions(params)


def _spends_from_wallet(params: Any) -> Iterable[Need]:
    return [Need.spend(params.wallet), *_views_conditions(params)]


def _views_conditions(params: c.AnyCommand) -> list[Need]:
    return [Need.view(wallet) for wallet in params.if_version] + [
        Need.view(condition.wallet) for condition in params.if_balance
    ]


def _needs_all(params: c.ExecuteBatch) -> Iterable[Need]:
    needs = [need for inner in params.commands for need in METHODS[_METHOD_OF[type(inner)]].needs(inner)]
    return needs + _views_conditions(params)


def _views_wallet(params: Any) -> Iterable[Need]:
    return (Need.view(params.wallet),)


def _views_prefix(params: m.ListWallets) -> Iterable[Need]:
    return (Need.view_prefix(params.prefix),)


def _views_subscribed(params: m.Subscribe) -> Iterable[Need]:
    needs = [Need.view(wallet) for wallet in params.wallets or ()]
    if params.prefix is not None:
        needs.append(Need.view_prefix(params.prefix))
    if params.all or not needs:
        needs.append(OPERATE)
    return needs


_free, _operate, _admin = _always(AUTHENTICATED), _always(OPERATE), _always(ADMIN)

_ROWS: tuple[tuple[str, Kind, type, type, Callable[[Any], Iterable[Need]], str], ...] = (
    ("session.authenticate", Kind.SESSION, m.Authenticate, m.Authenticated, _free, "Present a token."),
    ("session.ping", Kind.SESSION, m.NoParams, m.Pong, _free, "Ask whether the daemon answers."),
    ("rpc.discover", Kind.SESSION, m.NoParams, m.Contract, _free, "Fetch this contract."),
    ("asset.define", Kind.COMMAND, c.DefineAsset, m.Applied, _operate, "Define an asset and its scale."),
    ("asset.list", Kind.READ, m.NoParams, m.Assets, _free, "List the assets."),
    ("wallet.open", Kind.COMMAND, c.OpenWallet, m.Applied, _operate, "Open a wallet."),
    ("wallet.update", Kind.COMMAND, c.UpdateWallet, m.Applied, _operate, "Change a wallet's limits or metadata."),
    ("wallet.freeze", Kind.COMMAND, c.FreezeWallet, m.Applied, _operate, "Stop money out of a wallet or into it."),
    ("wallet.unfreeze", Kind.COMMAND, c.UnfreezeWallet, m.Applied, _operate, "End a freeze."),
    ("wallet.close", Kind.COMMAND, c.CloseWallet, m.Applied, _operate, "Close a wallet for ever."),
    ("wallet.get", Kind.READ, m.GetWallet, m.WalletView, _views_wallet, "Show a wallet with its balances."),
    ("wallet.list", Kind.READ, m.ListWallets, m.WalletPage, _views_prefix, "Page through wallets by name."),
    ("transfer.post", Kind.COMMAND, c.PostTransfer, m.Applied, _spends_from_all, "Move money, all or nothing."),
    ("transfer.refund", Kind.COMMAND, c.RefundTransfer, m.Applied, _spends_from_all, "Move money back."),
    ("transfer.get", Kind.READ, m.GetTransfer, m.TransferView, _operate, "Show a transfer."),
    ("hold.place", Kind.COMMAND, c.PlaceHold, m.Applied, _spends_from_wallet, "Reserve money of a wallet."),
    ("hold.capture", Kind.COMMAND, c.CaptureHold, m.Applied, _spends_from_wallet, "Pay from what a hold reserves."),
    ("hold.extend", Kind.COMMAND, c.ExtendHold, m.Applied, _spends_from_wallet, "Give a hold another expiry."),
    ("hold.adjust", Kind.COMMAND, c.AdjustHold, m.Applied, _spends_from_wallet, "Let a hold reserve more or less."),
    ("hold.void", Kind.COMMAND, c.VoidHold, m.Applied, _spends_from_wallet, "Release a hold."),
    ("hold.get", Kind.READ, h.GetHold, h.HoldView, _views_wallet, "Show a hold."),
    ("hold.list", Kind.READ, h.ListHolds, h.HoldPage, _views_wallet, "Page through a wallet's holds."),
    ("batch.execute", Kind.COMMAND, c.ExecuteBatch, m.Applied, _needs_all, "Run commands, all or none or each."),
    ("balance.get", Kind.READ, m.GetBalance, m.Balances, _views_wallet, "Show what a wallet has."),
    ("statement.get", Kind.READ, m.GetStatement, m.Statement, _views_wallet, "Page through a wallet's movements."),
    ("entry.get", Kind.READ, m.GetEntry, m.EntryView, _operate, "Show a journal entry."),
    ("entry.list", Kind.READ, m.ListEntries, m.EntryPage, _operate, "Page through the journal."),
    ("stream.subscribe", Kind.STREAM, m.Subscribe, m.Subscribed, _views_subscribed, "Watch wallets live."),
    ("stream.unsubscribe", Kind.STREAM, m.Unsubscribe, m.Unsubscribed, _free, "End a stream."),
    ("daemon.status", Kind.OPERATOR, m.NoParams, m.DaemonStatus, _operate, "Show the daemon at a glance."),
    ("daemon.log_level", Kind.OPERATOR, o.SetLogLevel, o.LogLevels, _admin, "Change how much is logged."),
    ("daemon.drain", Kind.OPERATOR, m.NoParams, o.Draining, _admin, "Have the daemon stop in order."),
    ("daemon.report", Kind.OPERATOR, m.NoParams, o.FaultReport, _admin, "Show the daemon from the inside."),
    ("daemon.audit", Kind.OPERATOR, m.NoParams, m.AuditReport, _operate, "Sum up all wallets per asset."),
)

METHODS: dict[str, Method] = {
    name: Method(name, kind, params, result, needs, meaning, msgspec.json.Decoder(params))
    for name, kind, params, result, needs, meaning in _ROWS
}

_METHOD_OF = {method.params: name for name, method in METHODS.items() if method.kind is Kind.COMMAND}

assert len(METHODS) == len(_ROWS)
