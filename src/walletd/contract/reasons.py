"""The reasons that each method may fail with, for the contract and the reference page.

reasons_of("hold.void")  ->  (INVALID_PARAMS, ..., WALLET_NOT_FOUND, ...), in order of precedence
"""

import functools

from walletd.protocol.messages import Read
from walletd.protocol.methods import METHODS, Kind
from walletd.vocabulary.reasons import Reason as R

BEFORE_ANY_METHOD = (R.PARSE_ERROR, R.INVALID_REQUEST, R.METHOD_NOT_FOUND, R.RATE_LIMITED)
"""The reasons that any frame may be answered with, whatever the method."""

OF_A_CALL = (
    R.INTERNAL_ERROR,
    R.INVALID_PARAMS,
    R.AUTHENTICATION_REQUIRED,
    R.AUTHENTICATION_FAILED,
    R.FORBIDDEN,
    R.OVERLOADED,
    R.RATE_LIMITED,
    R.QUOTA_EXCEEDED,
)
"""The reasons of every method but session.authenticate."""

OF_A_BOOK = (R.OVERLOADED, R.UNAVAILABLE, R.WALLET_QUARANTINED)
"""The reasons of requests that wait for wallets to be free: commands, and reads of the present."""

FROM_TABLES = {
    "rpc.discover",
    "asset.list",
    "wallet.list",
    "statement.get",
    "transfer.get",
    "hold.get",
    "hold.list",
    "entry.get",
    "entry.list",
    "daemon.audit",
    "journal.read",
    "stream.subscribe",
}
"""The methods that wait for the read tables, and fail if these have no space."""

OF_A_COMMAND = (
    *OF_A_BOOK,
    R.DRAINING,
    R.COMMAND_ID_REUSED,
    R.COMMAND_EXPIRED,
    R.VERSION_MISMATCH,
    R.BALANCE_MISMATCH,
    R.ENTRY_TOO_LARGE,
)

_OF_A_WALLET = (R.WALLET_NOT_FOUND, R.WALLET_CLOSED)
_OF_MONEY = (R.ASSET_NOT_FOUND, *_OF_A_WALLET, R.WALLET_FROZEN, R.INSUFFICIENT_FUNDS, R.VELOCITY_EXCEEDED)
_OF_A_HOLD = (*_OF_A_WALLET, R.HOLD_NOT_OPEN)

OWN: dict[str, tuple[R, ...]] = {
    "session.authenticate": (
        R.INVALID_PARAMS,
        R.AUTHENTICATION_FAILED,
        R.FORBIDDEN,
        R.OVERLOADED,
        R.RATE_LIMITED,
        R.QUOTA_EXCEEDED,
    ),
    "asset.define": (R.ASSET_ALREADY_DEFINED,),
    "wallet.open": (R.WALLET_ALREADY_EXISTS,),
    "wallet.update": (R.ASSET_NOT_FOUND, *_OF_A_WALLET, R.LIMITS_NOT_MET),
    "wallet.freeze": (*_OF_A_WALLET, R.MOMENT_PASSED),
    "wallet.unfreeze": (*_OF_A_WALLET, R.WALLET_NOT_FROZEN),
    "wallet.close": (
        *_OF_A_WALLET,
        R.SELF_TRANSFER,
        R.WALLET_FROZEN,
        R.HOLDS_OPEN,
        R.WALLET_NOT_EMPTY,
        R.ABOVE_MAXIMUM,
    ),
    "transfer.post": (*_OF_MONEY, R.SELF_TRANSFER, R.ABOVE_MAXIMUM),
    "transfer.refund": (
        *_OF_A_WALLET,
        R.WALLET_FROZEN,
        R.INSUFFICIENT_FUNDS,
        R.VELOCITY_EXCEEDED,
        R.SELF_TRANSFER,
        R.ORIGINAL_NOT_FOUND,
        R.REFUND_EXCEEDS_ORIGINAL,
        R.ABOVE_MAXIMUM,
    ),
    "hold.place": (*_OF_MONEY, R.MOMENT_PASSED, R.TOO_MANY_HOLDS),
    "hold.capture": (*_OF_A_HOLD, R.SELF_TRANSFER, R.WALLET_FROZEN, R.CAPTURE_EXCEEDS_HOLD, R.ABOVE_MAXIMUM),
    "hold.extend": (*_OF_A_HOLD, R.MOMENT_PASSED),
    "hold.adjust": (*_OF_A_HOLD, R.WALLET_FROZEN, R.INSUFFICIENT_FUNDS, R.VELOCITY_EXCEEDED),
    "hold.void": _OF_A_HOLD,
    "client.create": (
        R.BEYOND_OWN_ACCESS,
        R.CLIENT_ALREADY_EXISTS,
        R.MOMENT_PASSED,
        R.TOKEN_IN_USE,
        R.TOO_MANY_CLIENTS,
    ),
    "client.update": (R.BEYOND_OWN_ACCESS, R.CLIENT_NOT_FOUND, R.CLIENT_REVOKED, R.LAST_ADMIN),
    "client.rotate": (
        R.BEYOND_OWN_ACCESS,
        R.CLIENT_NOT_FOUND,
        R.KEPT_IN_FILE,
        R.MOMENT_PASSED,
        R.CLIENT_REVOKED,
        R.TOKEN_IN_USE,
        R.TOO_MANY_TOKENS,
        R.LAST_ADMIN,
    ),
    "client.revoke": (R.CLIENT_NOT_FOUND, R.CLIENT_REVOKED, R.LAST_ADMIN),
    "wallet.get": (*OF_A_BOOK, R.UNKNOWN_WALLET),
    "balance.get": (*OF_A_BOOK, R.UNKNOWN_WALLET, R.FUTURE_MOMENT, R.ASSET_NOT_FOUND),
    "statement.get": (R.UNKNOWN_WALLET, R.INVALID_CURSOR, R.FUTURE_MOMENT),
    "transfer.get": (R.TRANSFER_NOT_FOUND,),
    "hold.get": (R.HOLD_NOT_FOUND,),
    "hold.list": (R.UNKNOWN_WALLET, R.INVALID_CURSOR),
    "entry.get": (R.ENTRY_NOT_FOUND,),
    "stream.subscribe": (R.TOO_MANY_SUBSCRIPTIONS, R.SNAPSHOT_TOO_LARGE, R.EPOCH_CHANGED, R.FUTURE_CURSOR),
    "stream.unsubscribe": (R.SUBSCRIPTION_NOT_FOUND,),
    "daemon.compact": (R.UNAVAILABLE,),
}
"""The reasons of single methods, besides the common ones.  A batch fails as its commands do."""


@functools.cache
def reasons_of(name: str) -> tuple[R, ...]:
    """Every reason that the method may fail with, in order of precedence."""
    found = set(OWN.get(name, ()))
    if name != "session.authenticate":
        found |= set(OF_A_CALL)
    if METHODS[name].kind is Kind.COMMAND:
        found |= set(OF_A_COMMAND)
    if name in FROM_TABLES:
        found.add(R.UNAVAILABLE)
    if issubclass(METHODS[name].params, Read):
        found.add(R.NOT_REACHED)
    if name == "batch.execute":
        for inner, method in METHODS.items():
            if method.kind is Kind.COMMAND:
                found |= set(OWN.get(inner, ()))
    return tuple(reason for reason in R if reason in found)


assert set(OWN) | FROM_TABLES <= set(METHODS)
