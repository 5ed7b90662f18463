"""Every method of the protocol: one table from which the session, the contract and the tests are made.

A method without a row does not exist.  The rights that a method needs are here in words; their rules are in
``sessions.needs``.
"""

import enum
from typing import Any, NamedTuple

import msgspec

from walletd.protocol import messages as m
from walletd.protocol.messages import clients as k
from walletd.protocol.messages import discovery as d
from walletd.protocol.messages import holds as h
from walletd.protocol.messages import journal as j
from walletd.protocol.messages import operator as o
from walletd.protocol.strict_types import CommandDecoder
from walletd.vocabulary import commands as c


class Kind(enum.Enum):
    """The kind of a method, which decides the part that answers it."""

    SESSION = "session"
    COMMAND = "command"
    READ = "read"
    STREAM = "stream"
    OPERATOR = "operator"


class Method(NamedTuple):
    """A method: its params and result, the rights it needs in words, and one line for people."""

    name: str
    kind: Kind
    params: type
    result: type
    needs: str
    meaning: str
    decoder: msgspec.json.Decoder[Any] | CommandDecoder[Any]


_ANY_TOKEN = "any token"
_OPERATES = "`operate`"
_METERS = "`metrics`"
_ADMINISTERS = "`admin`"
_NOTHING = "none: it carries the token"
_SHOWN = "any token; shows only what the token may see"
_DEFINES = "`define`"
_SPENDS_FROM_ALL = "`spend` of each wallet that a posting takes from, `mint` for system wallets; any wallet may be paid"
_SPENDS_FROM_WALLET = (
    "`spend` of the wallet whose money is held, `mint` for a system wallet; a capture may pay any wallet"
)
_EACH = "the rights that each of its commands needs"
_CHANGES = "`operate`; `admin` for a system wallet, through which all money enters and leaves"
_OPENS = "`open` of the wallet; `admin` for a system wallet"
_FREEZES = "`freeze` of the wallet; `admin` for a system wallet"
_GIVES = "`admin`; for a viewing key of its own, `spend` of all that it shows"
_HAS_KEYS = "`admin`; for itself, any token; for a viewing key of its own, `spend` of anything"
_VIEWS_WALLET = "`view` of the wallet"
_VIEWS_WALLETS = "`view` of each wallet"
_VIEWS_PREFIX = "`view` of the whole prefix"
_VIEWS_SUBSCRIBED = "`view` of each wallet or of the whole prefix; `operate` for all"

_ROWS: tuple[tuple[str, Kind, type, type, str, str], ...] = (
    ("session.authenticate", Kind.SESSION, m.Authenticate, m.Authenticated, _NOTHING, "Authenticate with a token."),
    ("session.ping", Kind.SESSION, m.NoParams, m.Pong, _ANY_TOKEN, "Ask whether the daemon answers."),
    ("rpc.discover", Kind.SESSION, m.NoParams, d.Contract, _ANY_TOKEN, "Fetch this contract."),
    ("asset.define", Kind.COMMAND, c.DefineAsset, m.Applied, _DEFINES, "Define an asset and its scale."),
    ("asset.list", Kind.READ, m.ListAssets, m.Assets, _ANY_TOKEN, "List the assets."),
    ("wallet.open", Kind.COMMAND, c.OpenWallet, m.Applied, _OPENS, "Open a wallet."),
    (
        "wallet.update",
        Kind.COMMAND,
        c.UpdateWallet,
        m.Applied,
        _CHANGES,
        "Change a wallet's limits or metadata.",
    ),
    (
        "wallet.freeze",
        Kind.COMMAND,
        c.FreezeWallet,
        m.Applied,
        _FREEZES,
        "Stop money into or out of a wallet.",
    ),
    ("wallet.unfreeze", Kind.COMMAND, c.UnfreezeWallet, m.Applied, _FREEZES, "End a freeze."),
    ("wallet.close", Kind.COMMAND, c.CloseWallet, m.Applied, _CHANGES, "Close a wallet permanently."),
    ("wallet.get", Kind.READ, m.GetWallet, m.WalletView, _VIEWS_WALLET, "Show a wallet with its balances."),
    ("wallet.list", Kind.READ, m.ListWallets, m.WalletPage, _VIEWS_PREFIX, "Search for wallets."),
    ("transfer.post", Kind.COMMAND, c.PostTransfer, m.Applied, _SPENDS_FROM_ALL, "Move money, all or nothing."),
    ("transfer.refund", Kind.COMMAND, c.RefundTransfer, m.Applied, _SPENDS_FROM_ALL, "Move money back."),
    ("transfer.get", Kind.READ, m.GetTransfer, m.TransferView, _SHOWN, "Show a transfer."),
    ("hold.place", Kind.COMMAND, c.PlaceHold, m.Applied, _SPENDS_FROM_WALLET, "Reserve money of a wallet."),
    ("hold.capture", Kind.COMMAND, c.CaptureHold, m.Applied, _SPENDS_FROM_WALLET, "Pay from a hold."),
    ("hold.extend", Kind.COMMAND, c.ExtendHold, m.Applied, _SPENDS_FROM_WALLET, "Change a hold's expiry."),
    ("hold.adjust", Kind.COMMAND, c.AdjustHold, m.Applied, _SPENDS_FROM_WALLET, "Change what a hold reserves."),
    ("hold.void", Kind.COMMAND, c.VoidHold, m.Applied, _SPENDS_FROM_WALLET, "Release a hold."),
    ("hold.get", Kind.READ, h.GetHold, h.HoldView, _VIEWS_WALLET, "Show a hold."),
    ("hold.list", Kind.READ, h.ListHolds, h.HoldPage, _VIEWS_WALLET, "Page through a wallet's holds."),
    ("batch.execute", Kind.COMMAND, c.ExecuteBatch, m.Applied, _EACH, "Run commands, all or none or one by one."),
    ("balance.get", Kind.READ, m.GetBalance, m.Balances, _VIEWS_WALLETS, "Show the balances of wallets."),
    ("statement.get", Kind.READ, m.GetStatement, m.Statement, _VIEWS_WALLET, "Page through a wallet's movements."),
    ("entry.get", Kind.READ, m.GetEntry, m.EntryView, _SHOWN, "Show a journal entry."),
    ("entry.list", Kind.READ, m.ListEntries, m.EntryPage, _OPERATES, "Page through the journal."),
    ("stream.subscribe", Kind.STREAM, m.Subscribe, m.Subscribed, _VIEWS_SUBSCRIBED, "Watch wallets live."),
    ("stream.unsubscribe", Kind.STREAM, m.Unsubscribe, m.Unsubscribed, _ANY_TOKEN, "End a stream."),
    ("client.create", Kind.COMMAND, c.CreateClient, m.Applied, _GIVES, "Create a client or a viewing key."),
    ("client.update", Kind.COMMAND, c.UpdateClient, m.Applied, _HAS_KEYS, "Change a client's scopes or addresses."),
    ("client.list", Kind.READ, k.ListClients, k.ClientPage, _SHOWN, "List the clients."),
    ("client.rotate", Kind.COMMAND, c.RotateClient, m.Applied, _HAS_KEYS, "Replace a client's token."),
    ("client.revoke", Kind.COMMAND, c.RevokeClient, m.Applied, _HAS_KEYS, "Revoke a client."),
    ("daemon.status", Kind.OPERATOR, m.NoParams, o.DaemonStatus, _METERS, "Show the daemon at a glance."),
    ("daemon.log_level", Kind.OPERATOR, o.SetLogLevel, o.LogLevels, _ADMINISTERS, "Change how much is logged."),
    ("daemon.drain", Kind.OPERATOR, m.NoParams, o.Draining, _ADMINISTERS, "Stop the daemon gracefully."),
    ("daemon.report", Kind.OPERATOR, m.NoParams, o.FaultReport, _ADMINISTERS, "Show the daemon from the inside."),
    ("daemon.audit", Kind.OPERATOR, o.AuditBooks, o.AuditReport, _OPERATES, "Sum up all wallets per asset."),
    ("daemon.compact", Kind.OPERATOR, j.Compact, j.CompactionStatus, _ADMINISTERS, "Start compacting the journal."),
    ("journal.read", Kind.OPERATOR, j.ReadJournal, j.JournalBlock, _ADMINISTERS, "Read the journal as it is stored."),
)


def _decoder_of(kind: Kind, params: type) -> msgspec.json.Decoder[Any] | CommandDecoder[Any]:
    return CommandDecoder(params) if kind is Kind.COMMAND else msgspec.json.Decoder(params)


METHODS: dict[str, Method] = {
    name: Method(name, kind, params, result, needs, meaning, _decoder_of(kind, params))
    for name, kind, params, result, needs, meaning in _ROWS
}

assert len(METHODS) == len(_ROWS)
