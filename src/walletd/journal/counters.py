"""The journal writer's counters: plain integers, because a plain integer costs a tenth of a metric's method call.

counters.count_commit(entries=12, size_bytes=4096, seconds=0.0006)
assert sum(counters.seconds_buckets) == counters.commits
"""

from bisect import bisect_left

COMMIT_SECONDS_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CommitCounters:
    """Since the start of this process.  Bucket i counts commits of at most bound i seconds; the last, slower ones."""

    __slots__ = (
        "bytes",
        "commits",
        "entries",
        "last_commit_seconds",
        "probes",
        "rollbacks",
        "seconds_buckets",
        "seconds_total",
    )

    def __init__(self) -> None:
        self.commits = 0
        self.entries = 0
        self.bytes = 0
        self.rollbacks = 0
        self.probes = 0
        self.last_commit_seconds = 0.0
        self.seconds_total = 0.0
        self.seconds_buckets = [0] * (len(COMMIT_SECONDS_BOUNDS) + 1)

    def count_commit(self, entries: int, size_bytes: int, seconds: float) -> None:
        """Count one segment that has become durable."""
        self.commits += 1
        self.entries += entries
        self.bytes += size_bytes
        self.last_commit_seconds = seconds
        self.seconds_total += seconds
        self.seconds_buckets[bisect_left(COMMIT_SECONDS_BOUNDS, seconds)] += 1
