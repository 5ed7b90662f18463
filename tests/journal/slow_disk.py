"""A disk that is taken for a slow one: commits and reads are made in threads, but for the first."""

from walletd.runtime import blocking_calls


def make_disks_slow() -> None:
    """From now on, in this process."""
    blocking_calls.SLOW_SECONDS = -1.0
