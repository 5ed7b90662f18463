"""The envelope of every message: requests, responses and notifications, and the messages that the server pushes.

JSON-RPC 2.0 under this protocol's profile: an id is required, params are an object, batches are not supported.
"""

from typing import Any, Literal

import msgspec

from walletd.protocol.messages import PROTOCOL_VERSION, ErrorObject, RequestId
from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.states import DaemonState, NodeRole

# --- pushed --------------------------------------------------------------------------------------------------------


class AuthenticationTerms(msgspec.Struct, frozen=True):
    """Whether a token is needed, and how it can be carried; if the handshake carried one, its client."""

    required: bool
    methods: tuple[str, ...] = ("bearer_header", "bearer_subprotocol", "session.authenticate")
    principal: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: Instant | None = None
    budget: Budget | None = None
    """What the client may take in all its sessions, every field filled in."""


class SessionLimits(msgspec.Struct, frozen=True):
    """The limits of one session."""

    max_frame_bytes: int
    max_in_flight: int
    max_subscriptions: int
    rate: float | None = None
    """Requests per second of this session; one second's worth may come at once."""
    principal_rate: float | None = None
    """Requests per second of all sessions of the principal together."""
    guest_rate: float | None = None
    """Requests per second before the session has authenticated."""
    max_in_flight_bytes: int = 8 * 1024 * 1024
    max_fragments: int = 128
    pings_per_second: int = 16
    authentication_ms: int = 10_000
    write_stall_ms: int = 30_000


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon as one of several nodes of a ledger in PostgreSQL."""

    ledger: str
    role: NodeRole
    term: int
    """The number of times that a node took the ledger: of two nodes that both claim to lead, the greater is right."""
    leader: str | None = None
    """The URL of the node that leads, for commands; null while none does, or none is known."""
    lag_entries: int = 0
    """The number of entries that this node does not show yet."""
    lag_seconds: float = 0.0
    """The time for which it has not shown all."""


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The server's first message on a connection."""

    protocol: str = PROTOCOL_VERSION
    server_version: str
    instance: str
    epoch: int
    lifecycle: DaemonState
    connection: str
    auth: AuthenticationTerms
    limits: SessionLimits
    features: tuple[str, ...] = ("streams", "snapshots", "dry_run")
    heartbeat_ms: int
    node: Node | None = None
    """Only if the journal is a ledger in PostgreSQL."""


class LifecycleNotice(msgspec.Struct, frozen=True):
    """The daemon changed its state; sent to every session before it closes for a restart."""

    lifecycle: DaemonState
    retry_after_ms: int | None = None


class WarningNotice(msgspec.Struct, frozen=True):
    """The session is about to be closed, unless it heeds the warning: ``close_code`` is the code it would be closed
    with.
    """

    reason: str
    message: str
    retry_after_ms: int
    close_code: int


# --- envelope ------------------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JSON-RPC 2.0 request under this protocol's profile: an id is required, params are an object."""

    jsonrpc: Literal["2.0"]
    id: RequestId
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON-RPC 2.0 response that carries a result."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: int | str
    result: Any


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON-RPC 2.0 response that carries an error; ``id`` is null if the request had no readable one."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: int | str | None
    error: ErrorObject | msgspec.Raw


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the server pushes: ``hello``, ``lifecycle``, ``warning``, ``stream.event`` and so on."""

    jsonrpc: Literal["2.0"] = "2.0"
    method: str
    params: Any
