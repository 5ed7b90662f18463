"""The messages of operating the daemon: its state and sums, its log level, draining, reports."""

import enum
from typing import Annotated

import msgspec

from walletd.protocol.messages.base import Params, Result
from walletd.protocol.messages.journal import CompactionStatus
from walletd.vocabulary.commands import Instant
from walletd.vocabulary.identifiers import AssetCode, AssetName
from walletd.vocabulary.states import DaemonState


class LogLevel(enum.Enum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SetLogLevel(Params, frozen=True, kw_only=True):
    """Change how much one component logs, or all, until the configuration is read again; without a level, nothing."""

    level: LogLevel | None = None
    component: str | None = None


class LogLevels(Result, frozen=True, kw_only=True):
    """The level that each component has now."""

    levels: dict[str, str]


class Draining(Result, frozen=True, kw_only=True):
    """The daemon is about to stop; this answer is among the last ones."""

    lifecycle: DaemonState
    sessions: int


class FaultReport(Result, frozen=True, kw_only=True):
    """What the daemon looks like inside, as text; ``file`` is where it was written to, on the daemon's machine."""

    report: str
    file: str | None = None


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
    started_at: Instant
    compaction: CompactionStatus | None = None


class AssetTotal(msgspec.Struct, frozen=True):
    """Per asset: the sum over all wallets, which is zero, and what customers' wallets hold of it, in smallest units.

    ``scale`` is null only for an asset that nothing defines, which no sound journal has.
    """

    asset: AssetCode
    sum: str
    in_customer_wallets: str
    scale: int | None = None


class AuditPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place among the sums of an audit: behind this asset, as all balances stood after this entry."""

    sequence: Annotated[int, msgspec.Meta(ge=0)]
    asset: AssetName


class AuditBooks(Params, frozen=True, kw_only=True):
    """Sum up every balance.  ``after`` is ``next`` of the answer before; it takes the same work again."""

    after: AuditPlace | None = None


class AuditReport(Result, frozen=True, kw_only=True):
    """The read tables summed up after ``sequence``; ``violations`` is empty, unless something is wrong.

    With thousands of assets the sums do not fit into one answer: then ``next`` says where the rest begins.  Of more
    than a thousand violations the last says how many there are.
    """

    sequence: int
    wallets: int
    totals: tuple[AssetTotal, ...]
    violations: tuple[str, ...]
    next: AuditPlace | None = None
