"""The messages of operating the daemon: its state and sums, its log level, draining, reports."""

import enum
from typing import Annotated

import msgspec

from walletd.protocol.messages.base import Params, Result
from walletd.protocol.messages.journal import CompactionStatus
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import AssetCode, AssetName, Principal
from walletd.vocabulary.states import DaemonState, NodeRole


class LogLevel(enum.Enum):
    """The log levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SetLogLevel(Params, frozen=True, kw_only=True):
    """Change the log level of one component, or of all, until the configuration is reloaded; without a level, change
    nothing.
    """

    level: LogLevel | None = None
    component: str | None = None


class LogLevels(Result, frozen=True, kw_only=True):
    """The present level of each component."""

    levels: dict[str, str]


class Draining(Result, frozen=True, kw_only=True):
    """The daemon is about to stop; this answer is among the last."""

    lifecycle: DaemonState
    sessions: int


class FaultReport(Result, frozen=True, kw_only=True):
    """The daemon's internal state as text; ``file`` is where it was written, on the daemon's machine."""

    report: str
    file: str | None = None


class PrincipalUse(msgspec.Struct, frozen=True):
    """What a client took since it was first seen lately: bytes of the journal, and time of the event loop."""

    principal: Principal
    journal_bytes: int
    processor_ms: int


class LedgerStatus(msgspec.Struct, frozen=True):
    """A ledger in PostgreSQL, and this daemon's part in it.  ``term`` counts the times that a daemon took it."""

    name: str
    term: int
    replicated: bool
    """Whether each commit waits for a synchronous standby."""
    role: NodeRole = NodeRole.LEADER
    leader: str | None = None
    """The URL of the node that leads; null while none does, or none is known."""
    lag_entries: int = 0
    """The number of entries that this node does not show yet."""
    lag_seconds: float = 0.0
    """The time for which it has not shown all."""
    lease_seconds: float | None = None
    """The rest of the leader's lease; null while no node leads."""


class DaemonStatus(Result, frozen=True, kw_only=True):
    """The daemon at a glance."""

    lifecycle: DaemonState
    server_version: str
    instance: str
    epoch: int
    head: int
    projected: int
    warm_wallets: int
    sessions: int
    guests: int = 0
    """Connections that have not authenticated."""
    guests_dropped: int = 0
    """Such connections dropped for newcomers, since the start."""
    top: tuple[PrincipalUse, ...] = ()
    """The clients that journaled most, at most five."""
    over_budget: int = 0
    """Requests refused because a budget of their client was used up, since the start."""
    started_at: Instant
    compaction: CompactionStatus | None = None
    ledger: LedgerStatus | None = None
    """Only if the journal is a ledger in PostgreSQL."""


class AssetTotal(msgspec.Struct, frozen=True):
    """Per asset: the sum over all wallets, which is zero, and the total of the customers' wallets, in smallest units.

    ``scale`` is null only for an undefined asset, which no sound journal has.
    """

    asset: AssetCode
    sum: str
    in_customer_wallets: str
    scale: int | None = None


class AuditPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place among the sums of an audit: after this asset, with all balances as of this entry."""

    sequence: Annotated[int, msgspec.Meta(ge=0)]
    asset: AssetName


class AuditBooks(Params, frozen=True, kw_only=True):
    """Sum up every balance.  ``after`` is the ``next`` of the previous answer; each page costs the same work again."""

    after: AuditPlace | None = None


class AuditReport(Result, frozen=True, kw_only=True):
    """The sums of the read tables as of ``sequence``; ``violations`` is empty, unless something is wrong.

    The sums of thousands of assets do not fit into one answer: then ``next`` marks the rest.  If there are more than a
    thousand violations, the last one states their number.
    """

    sequence: int
    wallets: int
    totals: tuple[AssetTotal, ...]
    violations: tuple[str, ...]
    next: AuditPlace | None = None
