"""The plan of one run: how small the bounds are, how slow the disk is and which faults strike; drawn from the seed.

Every run draws its own set of possible faults: a run without crashes goes deeper into full disks, and so on.
"""

import random
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """What stays the same over one run."""

    settings: dict[str, Any]
    recent_entries: int
    burst: int
    batch: int
    segment_entries: int
    turns: int
    slowness: float
    """The longest usual latency of the disk, in seconds."""
    wallets: int
    clients: int
    commands: int
    crash_every: int
    """After about how many points the process is killed; 0: never."""
    unknown: float
    """How likely an append ends unknown."""
    full_every: float
    """After about how many seconds the disk is full; 0: never."""
    silent: float
    """How likely an append is never answered."""
    stop_every: float
    clock_jumps: bool
    is_patient: bool
    """Whether clients see to it that assets and wallets are there before they go on."""
    has_limits: bool
    """Whether wallets are limited, in what they have and how fast it goes, and frozen; then nothing is run dry."""


def draw(chance: random.Random) -> Plan:
    """A plan; each fault is part of about half of all plans."""

    def maybe(value: Any) -> Any:
        return value if chance.random() < 0.5 else type(value)(0)

    return Plan(
        settings={
            "max_warm_wallets": chance.choice([1, 2, 4, 100]),
            "max_mailbox": chance.choice([1, 3, 10, 1000]),
            "max_queued_entries": chance.choice([1, 3, 10, 1000]),
            "max_unprojected_entries": chance.choice([2, 5, 50, 1000]),
            "idle_wallet_seconds": chance.choice([0.2, 2.0, 10.0]),
            "heartbeat_seconds": chance.choice([0.2, 2.0]),
        },
        recent_entries=chance.choice([1, 4, 16, 4096]),
        burst=chance.choice([1, 3, 256]),
        batch=chance.choice([1, 5, 1000]),
        segment_entries=chance.choice([1, 2, 7, 4096]),
        turns=chance.choice([1, 2, 32]),
        slowness=chance.choice([0.0, 0.002, 0.02, 0.2]),
        wallets=chance.choice([2, 4, 12]),
        clients=chance.choice([1, 2, 4]),
        commands=chance.choice([5, 15, 40]),
        crash_every=maybe(chance.choice([100, 300, 1000])),
        unknown=maybe(chance.choice([0.02, 0.1])),
        full_every=maybe(chance.choice([0.3, 2.0])),
        silent=maybe(0.01),
        stop_every=maybe(3.0),
        clock_jumps=chance.random() < 0.5,
        is_patient=chance.random() < 0.7,
        has_limits=chance.random() < 0.4,
    )
