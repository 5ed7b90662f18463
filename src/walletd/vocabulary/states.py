"""The states of a daemon, a wallet, a hold and an actor, and the transitions between them.

One table lists the daemon's permitted transitions; ``Lifecycle.move`` is the only function that performs them.
"""

import enum


class DaemonState(enum.Enum):
    """The daemon's state; clients see it in ``hello`` and on ``/readyz``."""

    STARTING = "starting"
    FOLLOWING = "following"
    RECOVERING = "recovering"
    SERVING = "serving"
    COMPACTING = "compacting"
    DEGRADED = "degraded"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


_ENDS = frozenset({DaemonState.DRAINING, DaemonState.FAILED})

PERMITTED_MOVES: dict[DaemonState, frozenset[DaemonState]] = {
    DaemonState.STARTING: _ENDS | {DaemonState.FOLLOWING, DaemonState.RECOVERING},
    DaemonState.FOLLOWING: _ENDS | {DaemonState.RECOVERING},
    DaemonState.RECOVERING: _ENDS | {DaemonState.SERVING, DaemonState.FOLLOWING},
    DaemonState.SERVING: _ENDS | {DaemonState.COMPACTING, DaemonState.DEGRADED, DaemonState.FOLLOWING},
    DaemonState.COMPACTING: _ENDS | {DaemonState.SERVING, DaemonState.DEGRADED, DaemonState.FOLLOWING},
    DaemonState.DEGRADED: _ENDS | {DaemonState.SERVING, DaemonState.FOLLOWING},
    DaemonState.DRAINING: frozenset({DaemonState.STOPPED, DaemonState.FAILED}),
    DaemonState.STOPPED: frozenset(),
    DaemonState.FAILED: frozenset(),
}

assert set(PERMITTED_MOVES) == set(DaemonState)


class NodeRole(enum.Enum):
    """A node's part in a ledger that several nodes can reach: one decides commands, the others show what it wrote."""

    LEADER = "leader"
    FOLLOWER = "follower"


class WalletStatus(enum.Enum):
    """A wallet's part in movements.  A frozen wallet is open with a freeze; closing is permanent."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


class HoldState(enum.Enum):
    """A hold's state.  Only an open hold reserves; the others say how it ended."""

    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class FrozenSide(enum.Enum):
    """The side that a freeze stops: money out of the wallet, money into it, or both."""

    DEBITS = "debits"
    CREDITS = "credits"
    BOTH = "both"


class ActorState(enum.Enum):
    """An actor's possession of its wallet's book.  A dormant wallet has no actor at all."""

    DORMANT = "dormant"
    LOADING = "loading"
    ACTIVE = "active"
    RETIRING = "retiring"
    QUARANTINED = "quarantined"
