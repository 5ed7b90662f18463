"""The messages of operating the daemon: ``daemon.log_level``, ``daemon.drain`` and ``daemon.report``."""

import enum

from walletd.protocol.messages import Params, Result
from walletd.vocabulary.lifecycle import DaemonState


class LogLevel(enum.Enum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SetLogLevel(Params, frozen=True, kw_only=True):
    """Change how much one component logs, or all; until the configuration is read again."""

    level: LogLevel
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
