"""The journal writer's counters: plain integers, because a plain integer costs a tenth of a metric's method call.

counters.count_commit(entries=12, size_bytes=4096, seconds=0.0006)
"""

from walletd.runtime.histogram import COMMIT_SECONDS, Histogram


class CommitCounters:
    """Since the start of this process."""

    __slots__ = ("bytes", "commits", "entries", "last_commit_seconds", "probes", "rollbacks", "seconds")

    def __init__(self) -> None:
        self.commits = 0
        self.entries = 0
        self.bytes = 0
        self.rollbacks = 0
        self.probes = 0
        self.last_commit_seconds = 0.0
        self.seconds = Histogram(COMMIT_SECONDS)

    def count_commit(self, entries: int, size_bytes: int, seconds: float) -> None:
        """Count one segment that has become durable."""
        self.commits += 1
        self.entries += entries
        self.bytes += size_bytes
        self.last_commit_seconds = seconds
        self.seconds.count(seconds)
