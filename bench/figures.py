"""Figures: latencies summed up, and one row of the table.

>>> summary([0.001, 0.002, 0.003])["p50_ms"]
2.0
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, TypedDict

CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 100.0)
"""For the picture."""


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of the values do not exceed (nearest rank); of no values, 0."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100 - 1e-9) - 1)]


class Percentiles(TypedDict):
    """Of latencies, in milliseconds; the names are those of a row."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float


def summary(seconds: Sequence[float]) -> Percentiles:
    """Percentiles of latencies: seconds in, milliseconds out."""
    ordered = sorted(seconds)
    p50, p90, p99, p999 = (percentile(ordered, percent) * 1000 for percent in (50.0, 90.0, 99.0, 99.9))
    return Percentiles(p50_ms=p50, p90_ms=p90, p99_ms=p99, p999_ms=p999)


def curve(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """Pairs of a percent and milliseconds."""
    ordered = sorted(seconds)
    return [(percent, percentile(ordered, percent) * 1000) for percent in CURVE]


@dataclass
class Row:
    """What one contender did in one scenario, in one round.

    ``per_second`` counts what was applied; what was refused is in ``refused``.  ``cpu_us`` is the contender's own
    processor time for each command, ``busy`` the part of one core that the load generator needed, ``others`` the part
    of all cores that went to programs which have nothing to do with the benchmark.
    """

    scenario: str
    who: str
    per_second: float
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    refused: int = 0
    cpu_us: float | None = None
    busy: float | None = None
    others: float | None = None
    commits_per_second: float | None = None
    group: float | None = None
    memory_mb: float | None = None
    clients: int | None = None
    note: str = ""
    curve: list[tuple[float, float]] = field(default_factory=list)
    rounds: int = 1
    spread: tuple[float, float] | None = None
    """The least and the most ``per_second`` of the rounds."""


class Results:
    """Rows, single figures by name, and what was not run and why."""

    def __init__(self, machine: Mapping[str, Any] | None = None) -> None:
        self.machine = dict(machine or {})
        self.rows: list[Row] = []
        self.figures: dict[str, float] = {}
        self.absent: dict[str, str] = {}

    def row(self, scenario: str, who: str) -> Row | None:
        """The median round of a contender at its best client count."""
        found = [row for row in self.rows if (row.scenario, row.who) == (scenario, who)]
        return max(map(_middle, _by_clients(found)), key=lambda row: row.per_second, default=None)

    def scenarios(self) -> list[str]:
        """In the order in which they were run."""
        return list(dict.fromkeys(row.scenario for row in self.rows))

    def contenders(self, scenario: str) -> list[str]:
        """Whoever has a row in it."""
        return list(dict.fromkeys(row.who for row in self.rows if row.scenario == scenario))

    def as_json(self) -> dict[str, Any]:
        """Everything, every round."""
        return {
            "machine": self.machine,
            "rows": [asdict(row) for row in self.rows],
            "figures": self.figures,
            "absent": self.absent,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Results":
        """What ``as_json`` gave."""
        results = cls(kept["machine"])
        results.rows = [Row(**row) for row in kept["rows"]]
        results.figures = dict(kept["figures"])
        results.absent = dict(kept["absent"])
        return results


def _by_clients(rows: Sequence[Row]) -> list[list[Row]]:
    return [[row for row in rows if row.clients == clients] for clients in dict.fromkeys(row.clients for row in rows)]


def _middle(rows: Sequence[Row]) -> Row:
    """One row of several rounds: the median of every number."""
    numbers = {}
    for name, value in vars(rows[0]).items():
        values = [getattr(row, name) for row in rows]
        if isinstance(value, int | float) and all(isinstance(one, int | float) for one in values):
            numbers[name] = median(values)
    speeds = [row.per_second for row in rows]
    merged = {**vars(rows[0]), **numbers, "rounds": len(rows), "spread": (min(speeds), max(speeds))}
    merged |= {"refused": sum(row.refused for row in rows), "clients": rows[0].clients}
    return Row(**merged)
