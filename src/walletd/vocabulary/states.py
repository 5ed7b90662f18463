"""The states that a daemon, a wallet and an actor can be in, and the moves between them.

One table says which moves of the daemon are permitted; ``daemon.py`` holds the one function that moves.
"""

import enum


class DaemonState(enum.Enum):
    """Where the daemon is in its life; clients see it in ``hello`` and on ``/readyz``."""

    STARTING = "starting"
    RECOVERING = "recovering"
    SERVING = "serving"
    COMPACTING = "compacting"
    DEGRADED = "degraded"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


PERMITTED_MOVES: dict[DaemonState, frozenset[DaemonState]] = {
    DaemonState.STARTING: frozenset({DaemonState.RECOVERING, DaemonState.DRAINING, DaemonState.FAILED}),
    DaemonState.RECOVERING: frozenset({DaemonState.SERVING, DaemonState.DRAINING, DaemonState.FAILED}),
    DaemonState.SERVING: frozenset(
        {DaemonState.COMPACTING, DaemonState.DEGRADED, DaemonState.DRAINING, DaemonState.FAILED}
    ),
    DaemonState.COMPACTING: frozenset(
        {DaemonState.SERVING, DaemonState.DEGRADED, DaemonState.DRAINING, DaemonState.FAILED}
    ),
    DaemonState.DEGRADED: frozenset({DaemonState.SERVING, DaemonState.DRAINING, DaemonState.FAILED}),
    DaemonState.DRAINING: frozenset({DaemonState.STOPPED, DaemonState.FAILED}),
    DaemonState.STOPPED: frozenset(),
    DaemonState.FAILED: frozenset(),
}

assert set(PERMITTED_MOVES) == set(DaemonState)


class WalletStatus(enum.Enum):
    """Whether a wallet takes part in movements.  A frozen wallet is open with a freeze; closing is for ever."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class HoldState(enum.Enum):
    """Whether a hold still reserves.  Only an open one does; the others are how it ended."""

    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class FrozenSide(enum.Enum):
    """What a freeze stops: money out of the wallet, money into it, or both."""

    DEBITS = "debits"
    CREDITS = "credits"
    BOTH = "both"


class ActorState(enum.Enum):
    """Whether a wallet's actor holds its book.  A dormant wallet has no actor at all."""

    DORMANT = "dormant"
    LOADING = "loading"
    ACTIVE = "active"
    RETIRING = "retiring"
    QUARANTINED = "quarantined"
