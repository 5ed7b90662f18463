"""Every method of the protocol: one table from which the session, the contract and the tests are made.

A method without a row does not exist; a row without a rule of access cannot be written.
"""

import enum
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from walletd.protocol import messages as m
from walletd.protocol.messages import client_lists as k
from walletd.protocol.messages import discovery as d
from walletd.protocol.messages import holds as h
from walletd.protocol.messages import journal as j
from walletd.protocol.messages import operator as o
from walletd.sessions.access import ADMIN, AUTHENTICATED, KEYS, METRICS, OPERATE, Need
from walletd.vocabulary import commands as c
from walletd.vocabulary.identifiers import is_system_wallet, owner_of
from walletd.vocabulary.scopes import ownership_of


class Kind(enum.Enum):
    """What a method does, and so who answers it."""

    SESSION = "session"
    COMMAND = "command"
    READ = "read"
    STREAM = "stream"
    OPERATOR = "operator"


class Method(NamedTuple):
    """A method: its params and result, what it needs, and one line for people.

    The docstring of ``needs`` says in words what it is that the method needs: the page on access shows it.
    """

    name: str
    kind: Kind
    params: type
    result: type
    needs: Callable[[Any], Iterable[Need]]
    meaning: str
    decoder: msgspec.json.Decoder[Any]


def _always(need: Need, words: str = "") -> Callable[[Any], Iterable[Need]]:
    def needs(params: Any) -> Iterable[Need]:
        return (need,)

    needs.__doc__ = words or f"`{need.scope}`"
    return needs


def _spends_from_all(params: c.PostTransfer | c.RefundTransfer) -> Iterable[Need]:
    """`spend` of each wallet that a posting takes from; anybody may be paid"""
    return [Need.spend(posting.source) for posting in params.postings] + _views_conditions(params)


def _spends_from_wallet(params: Any) -> Iterable[Need]:
    """`spend` of the wallet whose money is held; a capture may pay anybody"""
    return [Need.spend(params.wallet), *_views_conditions(params)]


def _views_conditions(params: c.AnyCommand) -> list[Need]:
    return [Need.view(wallet) for wallet in params.if_version] + [
        Need.view(condition.wallet) for condition in params.if_balance
    ]


def _needs_all(params: c.ExecuteBatch) -> Iterable[Need]:
    """what each of its commands needs"""
    needs = [need for inner in params.commands for need in METHODS[_METHOD_OF[type(inner)]].needs(inner)]
    return needs + _views_conditions(params)


def _operates(params: Any) -> Iterable[Need]:
    """`operate`; `admin` for a system wallet, through which all money comes and goes"""
    return (ADMIN if is_system_wallet(params.wallet) else OPERATE,)


def _gives(params: c.CreateClient) -> Iterable[Need]:
    """`admin`; for a viewing key of one's own, `spend` of what it shows"""
    if owner_of(params.client) is None:
        return (ADMIN,)
    return [KEYS, *(ownership_of(scope) or ADMIN for scope in params.scopes), *_views_conditions(params)]


def _has_keys(params: c.RotateClient | c.RevokeClient) -> Iterable[Need]:
    """`admin`; for a viewing key of one's own, `spend` of anything"""
    return [ADMIN if owner_of(params.client) is None else KEYS, *_views_conditions(params)]


def _views_wallet(params: Any) -> Iterable[Need]:
    """`view` of the wallet"""
    return (Need.view(params.wallet),)


def _views_wallets(params: m.GetBalance) -> Iterable[Need]:
    """`view` of each wallet"""
    return [Need.view(wallet) for wallet in params.names] or [AUTHENTICATED]


def _views_prefix(params: m.ListWallets) -> Iterable[Need]:
    """`view` of the whole prefix"""
    return (Need.view_prefix(params.prefix),)


def _views_subscribed(params: m.Subscribe) -> Iterable[Need]:
    """`view` of each wallet or of the whole prefix; `operate` for all"""
    needs = [Need.view(wallet) for wallet in params.wallets or ()]
    if params.prefix is not None:
        needs.append(Need.view_prefix(params.prefix))
    if params.all or not needs:
        needs.append(OPERATE)
    return needs


_free, _operate, _metrics = _always(AUTHENTICATED, "any token"), _always(OPERATE), _always(METRICS)
_admin, _nothing = _always(ADMIN), _always(AUTHENTICATED, "none: it carries the token")
_filtered = _always(AUTHENTICATED, "any token; shows only what the token may see")

_ROWS: tuple[tuple[str, Kind, type, type, Callable[[Any], Iterable[Need]], str], ...] = (
    ("session.authenticate", Kind.SESSION, m.Authenticate, m.Authenticated, _nothing, "Authenticate with a token."),
    ("session.ping", Kind.SESSION, m.NoParams, m.Pong, _free, "Ask whether the daemon answers."),
    ("rpc.discover", Kind.SESSION, m.NoParams, d.Contract, _free, "Fetch this contract."),
    ("asset.define", Kind.COMMAND, c.DefineAsset, m.Applied, _operate, "Define an asset and its scale."),
    ("asset.list", Kind.READ, m.ListAssets, m.Assets, _free, "List the assets."),
    ("wallet.open", Kind.COMMAND, c.OpenWallet, m.Applied, _operates, "Open a wallet."),
    (
        "wallet.update",
        Kind.COMMAND,
        c.UpdateWallet,
        m.Applied,
        _operates,
        "Change a wallet's limits or metadata.",
    ),
    (
        "wallet.freeze",
        Kind.COMMAND,
        c.FreezeWallet,
        m.Applied,
        _operates,
        "Stop money into or out of a wallet.",
    ),
    ("wallet.unfreeze", Kind.COMMAND, c.UnfreezeWallet, m.Applied, _operates, "End a freeze."),
    ("wallet.close", Kind.COMMAND, c.CloseWallet, m.Applied, _operates, "Close a wallet permanently."),
    ("wallet.get", Kind.READ, m.GetWallet, m.WalletView, _views_wallet, "Show a wallet with its balances."),
    ("wallet.list", Kind.READ, m.ListWallets, m.WalletPage, _views_prefix, "Search for wallets."),
    ("transfer.post", Kind.COMMAND, c.PostTransfer, m.Applied, _spends_from_all, "Move money, all or nothing."),
    ("transfer.refund", Kind.COMMAND, c.RefundTransfer, m.Applied, _spends_from_all, "Move money back."),
    ("transfer.get", Kind.READ, m.GetTransfer, m.TransferView, _filtered, "Show a transfer."),
    ("hold.place", Kind.COMMAND, c.PlaceHold, m.Applied, _spends_from_wallet, "Reserve money of a wallet."),
    ("hold.capture", Kind.COMMAND, c.CaptureHold, m.Applied, _spends_from_wallet, "Pay from a hold."),
    ("hold.extend", Kind.COMMAND, c.ExtendHold, m.Applied, _spends_from_wallet, "Change a hold's expiry."),
    ("hold.adjust", Kind.COMMAND, c.AdjustHold, m.Applied, _spends_from_wallet, "Change what a hold reserves."),
    ("hold.void", Kind.COMMAND, c.VoidHold, m.Applied, _spends_from_wallet, "Release a hold."),
    ("hold.get", Kind.READ, h.GetHold, h.HoldView, _views_wallet, "Show a hold."),
    ("hold.list", Kind.READ, h.ListHolds, h.HoldPage, _views_wallet, "Page through a wallet's holds."),
    ("batch.execute", Kind.COMMAND, c.ExecuteBatch, m.Applied, _needs_all, "Run commands, all or none or one by one."),
    ("balance.get", Kind.READ, m.GetBalance, m.Balances, _views_wallets, "Show the balances of wallets."),
    ("statement.get", Kind.READ, m.GetStatement, m.Statement, _views_wallet, "Page through a wallet's movements."),
    ("entry.get", Kind.READ, m.GetEntry, m.EntryView, _filtered, "Show a journal entry."),
    ("entry.list", Kind.READ, m.ListEntries, m.EntryPage, _operate, "Page through the journal."),
    ("stream.subscribe", Kind.STREAM, m.Subscribe, m.Subscribed, _views_subscribed, "Watch wallets live."),
    ("stream.unsubscribe", Kind.STREAM, m.Unsubscribe, m.Unsubscribed, _free, "End a stream."),
    ("client.create", Kind.COMMAND, c.CreateClient, m.Applied, _gives, "Create a client or a viewing key."),
    ("client.list", Kind.READ, k.ListClients, k.ClientPage, _filtered, "List the clients."),
    ("client.rotate", Kind.COMMAND, c.RotateClient, m.Applied, _has_keys, "Replace a client's token."),
    ("client.revoke", Kind.COMMAND, c.RevokeClient, m.Applied, _has_keys, "Revoke a client."),
    ("daemon.status", Kind.OPERATOR, m.NoParams, o.DaemonStatus, _metrics, "Show the daemon at a glance."),
    ("daemon.log_level", Kind.OPERATOR, o.SetLogLevel, o.LogLevels, _admin, "Change how much is logged."),
    ("daemon.drain", Kind.OPERATOR, m.NoParams, o.Draining, _admin, "Stop the daemon gracefully."),
    ("daemon.report", Kind.OPERATOR, m.NoParams, o.FaultReport, _admin, "Show the daemon from the inside."),
    ("daemon.audit", Kind.OPERATOR, m.NoParams, o.AuditReport, _operate, "Sum up all wallets per asset."),
    ("daemon.compact", Kind.OPERATOR, j.Compact, j.CompactionStatus, _admin, "Start compacting the journal."),
    ("journal.read", Kind.OPERATOR, j.ReadJournal, j.JournalBlock, _admin, "Read the journal as it is stored."),
)

METHODS: dict[str, Method] = {
    name: Method(name, kind, params, result, needs, meaning, msgspec.json.Decoder(params))
    for name, kind, params, result, needs, meaning in _ROWS
}

_METHOD_OF = {method.params: name for name, method in METHODS.items() if method.kind is Kind.COMMAND}

assert len(METHODS) == len(_ROWS)
assert all(method.needs.__doc__ for method in METHODS.values()), "every rule of access is said in words"
