"""The client library: calls and streams over one connection that restores itself, with trio, asyncio or neither.

Calls and amounts enter; typed results, events and typed exceptions leave.  This package imports only
``walletd.protocol`` and ``walletd.vocabulary``, and nothing of the daemon.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from walletd.client import commands
from walletd.client.batches import BatchApplied, BatchResult
from walletd.client.clients import new_token
from walletd.client.errors import (
    AuthenticationFailed,
    ClientError,
    NotAnAddress,
    NotReachable,
    OutcomeUnknown,
    Refused,
    RequestFailed,
    StreamBroken,
    UnreadableAnswer,
)
from walletd.client.requests import new_command_id
from walletd.client.results import Applied, Event, Leg, main_units
from walletd.protocol.messages import Cursor
from walletd.vocabulary.reasons import Outcome, Reason, Retry

if TYPE_CHECKING:
    from walletd.client.asyncio_client import AsyncioClient, connect_asyncio
    from walletd.client.sync_client import SyncClient, connect_sync
    from walletd.client.trio_client import Client, connect

__all__ = [
    "Applied",
    "AsyncioClient",
    "AuthenticationFailed",
    "BatchApplied",
    "BatchResult",
    "Client",
    "ClientError",
    "Cursor",
    "Event",
    "Leg",
    "NotAnAddress",
    "NotReachable",
    "Outcome",
    "OutcomeUnknown",
    "Reason",
    "Refused",
    "RequestFailed",
    "Retry",
    "StreamBroken",
    "SyncClient",
    "UnreadableAnswer",
    "commands",
    "connect",
    "connect_asyncio",
    "connect_sync",
    "main_units",
    "new_command_id",
    "new_token",
]


_CLIENTS = {
    "AsyncioClient": "asyncio_client",
    "connect_asyncio": "asyncio_client",
    "SyncClient": "sync_client",
    "connect_sync": "sync_client",
    "Client": "trio_client",
    "connect": "trio_client",
}


def __getattr__(name: str) -> Any:
    """The client of an event loop, which only programs that use it load."""
    if name in _CLIENTS:
        value = getattr(import_module(f"walletd.client.{_CLIENTS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
