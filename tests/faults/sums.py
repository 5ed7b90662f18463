"""The sums of SQLite's log, reckoned once: thousands of states and damages have most of a log in common.

remember_sums()                                    # in a process that only judges
"""

from functools import lru_cache

from walletd.journal.sqlite import wal

FRAMES = 4_096


def remember_sums() -> None:
    """Have this process remember what a frame sums up to, after what it follows."""
    vars(wal)["_sum"] = lru_cache(FRAMES)(vars(wal)["_sum"])
