"""A histogram of plain integers: counting one value costs a fifth of a microsecond; rendering is done elsewhere.

seconds = Histogram(LATENCY_SECONDS)
seconds.count(0.0004)
seconds.cumulative()                     # [("0.0001", 0), ("0.00025", 0), ("0.0005", 1), ..., ("+Inf", 1)]
"""

from bisect import bisect_left
from collections.abc import Iterable

LATENCY_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DECISION_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.1)
GROUP_ENTRIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)


class Histogram:
    """The number of values up to each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        assert list(bounds) == sorted(set(bounds))
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def count(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def count_all(self, values: Iterable[float]) -> None:
        """Count several values."""
        bounds, counts, total = self._bounds, self._counts, self.total
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            total += value
        self.total = total

    def cumulative(self) -> list[tuple[str, float]]:
        """For each bound, the number of values up to it, in Prometheus' form."""
        seen, buckets = 0, []
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), self._counts, strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        return buckets
