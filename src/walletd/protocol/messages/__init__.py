"""Every message of protocol version 1, declared once: the params and the result of each method, and the notifications.

A command's params are the command itself (``walletd.vocabulary.commands``).  A server refuses unknown fields in params;
a client must ignore unknown fields in results and notifications.  Amounts are decimal strings of smallest units; times
are RFC 3339 in UTC.
"""

from walletd.protocol.messages.base import (
    MAX_PAGE,
    MAX_READ_WALLETS,
    MAX_SNAPSHOT_WALLETS,
    MAX_SUBSCRIBED_WALLETS,
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    ErrorObject,
    JournalEntry,
    Moment,
    NoParams,
    PageLimit,
    Params,
    Read,
    RequestId,
    Result,
)
from walletd.protocol.messages.clients import (
    ClientView,
    TokenView,
)
from walletd.protocol.messages.commands import (
    Applied,
    BatchOutcome,
)
from walletd.protocol.messages.entries import (
    EntryPage,
    EntryView,
    GetEntry,
    ListEntries,
)
from walletd.protocol.messages.session import (
    Authenticate,
    Authenticated,
    Pong,
)
from walletd.protocol.messages.statements import (
    GetStatement,
    Statement,
    StatementBalance,
    StatementLine,
)
from walletd.protocol.messages.streams import (
    Cursor,
    StreamEvent,
    StreamHeartbeat,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
)
from walletd.protocol.messages.transfers import (
    GetTransfer,
    PostingView,
    TransferView,
)
from walletd.protocol.messages.wallets import (
    Assets,
    BalancePlace,
    Balances,
    GetBalance,
    GetWallet,
    ListAssets,
    ListWallets,
    WalletPage,
    WalletView,
)

__all__ = [
    "MAX_PAGE",
    "MAX_READ_WALLETS",
    "MAX_SNAPSHOT_WALLETS",
    "MAX_SUBSCRIBED_WALLETS",
    "PROTOCOL_VERSION",
    "SUBPROTOCOL",
    "Applied",
    "Assets",
    "Authenticate",
    "Authenticated",
    "BalancePlace",
    "Balances",
    "BatchOutcome",
    "ClientView",
    "Cursor",
    "EntryPage",
    "EntryView",
    "ErrorObject",
    "GetBalance",
    "GetEntry",
    "GetStatement",
    "GetTransfer",
    "GetWallet",
    "JournalEntry",
    "ListAssets",
    "ListEntries",
    "ListWallets",
    "Moment",
    "NoParams",
    "PageLimit",
    "Params",
    "Pong",
    "PostingView",
    "Read",
    "RequestId",
    "Result",
    "Statement",
    "StatementBalance",
    "StatementLine",
    "StreamEvent",
    "StreamHeartbeat",
    "Subscribe",
    "Subscribed",
    "TokenView",
    "TransferView",
    "Unsubscribe",
    "Unsubscribed",
    "WalletPage",
    "WalletView",
]
