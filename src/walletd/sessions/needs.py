"""The rules of access: which rights a request of each method needs, judged by its params.

    NEEDS["transfer.post"](params)  ->  [Need.spend("alice"), ...]

``protocol.methods`` says the same in words, for people; the table here is complete by assertion.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from walletd.protocol import messages as m
from walletd.protocol.methods import METHODS, Kind
from walletd.sessions.access import ADMIN, AUTHENTICATED, DEFINE, KEYS, METRICS, OPERATE, Need
from walletd.vocabulary import commands as c
from walletd.vocabulary.identifiers import is_system_wallet, owner_of
from walletd.vocabulary.scopes import ownership_of

Rule = Callable[[Any], Iterable[Need]]


def _always(need: Need) -> Rule:
    def needs(params: Any) -> Iterable[Need]:
        return (need,)

    return needs


def _spends_from_all(params: c.PostTransfer | c.RefundTransfer) -> Iterable[Need]:
    """`spend` of each wallet that a posting takes from; any wallet may be paid."""
    return [Need.spend(posting.source) for posting in params.postings] + _views_conditions(params)


def _spends_from_wallet(params: Any) -> Iterable[Need]:
    """`spend` of the wallet whose money is held; a capture may pay any wallet."""
    return [Need.spend(params.wallet), *_views_conditions(params)]


def _views_conditions(params: c.AnyCommand) -> list[Need]:
    return [Need.view(wallet) for wallet in params.if_version] + [
        Need.view(condition.wallet) for condition in params.if_balance
    ]


def _needs_all(params: c.ExecuteBatch) -> Iterable[Need]:
    """The rights that each of its commands needs."""
    return [need for needs in needs_in_parts(params) for need in needs]


def needs_in_parts(batch: c.ExecuteBatch) -> Iterator[Iterable[Need]]:
    """The needs of one command after the other, computed on demand, and then those of the batch's own conditions."""
    for inner in batch.commands:
        yield NEEDS[METHOD_OF[type(inner)]](inner)
    yield _views_conditions(batch)


def _or_admin(wallet: str, need: Need) -> Need:
    """The need or, for a system wallet, `admin`."""
    return ADMIN if is_system_wallet(wallet) else need


def _operates(params: Any) -> Iterable[Need]:
    """`operate`; `admin` for a system wallet, through which all money enters and leaves."""
    return (_or_admin(params.wallet, OPERATE),)


def _opens(params: c.OpenWallet) -> Iterable[Need]:
    """`open` of the wallet; `admin` for a system wallet."""
    return (_or_admin(params.wallet, Need.open(params.wallet)), *_views_conditions(params))


def _freezes(params: c.FreezeWallet | c.UnfreezeWallet) -> Iterable[Need]:
    """`freeze` of the wallet; `admin` for a system wallet."""
    return (_or_admin(params.wallet, Need.freeze(params.wallet)), *_views_conditions(params))


def _defines(params: c.DefineAsset) -> Iterable[Need]:
    """`define`."""
    return (DEFINE, *_views_conditions(params))


def _gives(params: c.CreateClient) -> Iterable[Need]:
    """`admin`; for a viewing key of its own, `spend` of all that it shows."""
    if owner_of(params.client) is None:
        return (ADMIN,)
    return [KEYS, *(ownership_of(scope) or ADMIN for scope in params.scopes), *_views_conditions(params)]


def _changes(params: c.UpdateClient | c.RotateClient | c.RevokeClient) -> Iterable[Need]:
    """`admin`; for itself, any token; for a viewing key of its own, `spend` of anything."""
    return [Need.change(params.client), *_views_conditions(params)]


def _views_wallet(params: Any) -> Iterable[Need]:
    """`view` of the wallet."""
    return (Need.view(params.wallet),)


def _views_wallets(params: m.GetBalance) -> Iterable[Need]:
    """`view` of each wallet."""
    return [Need.view(wallet) for wallet in params.names] or [AUTHENTICATED]


def _views_prefix(params: m.ListWallets) -> Iterable[Need]:
    """`view` of the whole prefix."""
    return (Need.view_prefix(params.prefix),)


def _views_subscribed(params: m.Subscribe) -> Iterable[Need]:
    """`view` of each wallet or of the whole prefix; `operate` for all."""
    needs = [Need.view(wallet) for wallet in params.wallets or ()]
    if params.prefix is not None:
        needs.append(Need.view_prefix(params.prefix))
    if params.all or not needs:
        needs.append(OPERATE)
    return needs


_authenticated, _operates_all = _always(AUTHENTICATED), _always(OPERATE)
_reads_metrics, _administers = _always(METRICS), _always(ADMIN)

NEEDS: dict[str, Rule] = {
    "session.authenticate": _authenticated,
    "session.ping": _authenticated,
    "rpc.discover": _authenticated,
    "asset.define": _defines,
    "asset.list": _authenticated,
    "wallet.open": _opens,
    "wallet.update": _operates,
    "wallet.freeze": _freezes,
    "wallet.unfreeze": _freezes,
    "wallet.close": _operates,
    "wallet.get": _views_wallet,
    "wallet.list": _views_prefix,
    "transfer.post": _spends_from_all,
    "transfer.refund": _spends_from_all,
    "transfer.get": _authenticated,
    "hold.place": _spends_from_wallet,
    "hold.capture": _spends_from_wallet,
    "hold.extend": _spends_from_wallet,
    "hold.adjust": _spends_from_wallet,
    "hold.void": _spends_from_wallet,
    "hold.get": _views_wallet,
    "hold.list": _views_wallet,
    "batch.execute": _needs_all,
    "balance.get": _views_wallets,
    "statement.get": _views_wallet,
    "entry.get": _authenticated,
    "entry.list": _operates_all,
    "stream.subscribe": _views_subscribed,
    "stream.unsubscribe": _authenticated,
    "client.create": _gives,
    "client.list": _authenticated,
    "client.update": _changes,
    "client.rotate": _changes,
    "client.revoke": _changes,
    "daemon.status": _reads_metrics,
    "daemon.log_level": _administers,
    "daemon.drain": _administers,
    "daemon.report": _administers,
    "daemon.audit": _operates_all,
    "daemon.compact": _administers,
    "journal.read": _administers,
}

METHOD_OF = {method.params: name for name, method in METHODS.items() if method.kind is Kind.COMMAND}

assert NEEDS.keys() == METHODS.keys(), "every method has its rule of access"
