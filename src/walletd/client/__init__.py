"""The client library: calls and streams over one connection that restores itself, for trio programs and for plain ones.

Calls and amounts enter; typed results, events and typed exceptions leave.  This package imports only
``walletd.protocol`` and ``walletd.vocabulary``, and nothing of the daemon.
"""

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
from walletd.client.sync_client import SyncClient, connect_sync
from walletd.client.trio_client import Client, connect
from walletd.protocol.messages import Cursor

__all__ = [
    "Applied",
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
    "OutcomeUnknown",
    "Refused",
    "RequestFailed",
    "StreamBroken",
    "SyncClient",
    "UnreadableAnswer",
    "connect",
    "connect_sync",
    "main_units",
    "new_command_id",
    "new_token",
]
