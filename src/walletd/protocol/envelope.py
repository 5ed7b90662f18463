"""What stands around every message: requests, responses and notifications, and what the server pushes unasked.

JSON-RPC 2.0 under this protocol's profile: an id is required, params are an object, nobody sends batches.
"""

from typing import Any, Literal

import msgspec

from walletd.protocol.messages import PROTOCOL_VERSION, ErrorObject, RequestId
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.states import DaemonState

# --- pushed --------------------------------------------------------------------------------------------------------


class AuthenticationTerms(msgspec.Struct, frozen=True):
    """Whether a token is needed, and how it can be carried; where the handshake carried one, whose it is."""

    required: bool
    methods: tuple[str, ...] = ("bearer_header", "bearer_subprotocol", "session.authenticate")
    principal: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: Instant | None = None


class Limits(msgspec.Struct, frozen=True):
    """What one session may do before it is refused."""

    max_frame_bytes: int
    max_in_flight: int
    max_subscriptions: int
    rate: float | None = None
    """Requests per second of this session; a second's worth may come at once."""
    principal_rate: float | None = None
    """Of all sessions of the principal together."""
    guest_rate: float | None = None
    """Before the session has authenticated."""
    max_in_flight_bytes: int = 8 * 1024 * 1024
    max_fragments: int = 128
    pings_per_second: int = 16
    authentication_ms: int = 10_000
    write_stall_ms: int = 30_000


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The server's first words on a connection."""

    protocol: str = PROTOCOL_VERSION
    server_version: str
    instance: str
    epoch: int
    lifecycle: DaemonState
    connection: str
    auth: AuthenticationTerms
    limits: Limits
    features: tuple[str, ...] = ("streams", "snapshots", "dry_run")
    heartbeat_ms: int


class LifecycleNotice(msgspec.Struct, frozen=True):
    """The daemon moved to another state; sent to every session before it closes for a restart."""

    lifecycle: DaemonState
    retry_after_ms: int | None = None


class WarningNotice(msgspec.Struct, frozen=True):
    """The session is about to be closed, unless it heeds what it is told: ``close_code`` says with what."""

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
    """A JSON-RPC 2.0 response that carries an error; ``id`` is null where the request had none that could be read."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: int | str | None
    error: ErrorObject | msgspec.Raw


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says unasked: ``hello``, ``lifecycle``, ``warning``, ``stream.event`` and so on."""

    jsonrpc: Literal["2.0"] = "2.0"
    method: str
    params: Any
