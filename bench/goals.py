"""What we want to reach, each as a figure of one run beside another figure of the same run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from scenarios import BATCHES, DEEP, HOT, MANY, ONE

Results = dict[str, Any]


class Goal(NamedTuple):
    """A goal, and where its figure is; ``at_most`` where less is better."""

    what: str
    bound: float
    figure: Callable[[Results], float]
    at_most: bool = False

    def verdict(self, results: Results) -> tuple[float, bool] | None:
        """The figure and whether it reaches the goal; None where it was not measured."""
        try:
            figure = self.figure(results)
        except (KeyError, TypeError):
            return None
        return figure, figure <= self.bound if self.at_most else figure >= self.bound


def _ratio(load: str, peer: str = "postgres") -> Callable[[Results], float]:
    def figure(results: Results) -> float:
        ours = results["transfers"]["walletd"][load]["per_second"]
        theirs = results["peers"][peer][load]["per_second"]
        return float(ours / theirs)

    return figure


def _alone(results: Results) -> float:
    found = results["transfers"]
    return float(found["walletd"][ONE]["p50_ms"] / found["bare_commit_p50_ms"])


def _overload(results: Results) -> float:
    return float(results["overload"]["at_200_percent"]["per_second"] / results["overload"]["peak_per_second"])


def _overload_wait(results: Results) -> float:
    found = results["overload"]
    return float(found["at_200_percent"]["p99_ms"] / found["at_80_percent"]["p99_ms"])


GOALS = (
    Goal("one client, one in flight: p50, times a bare SQLite FULL commit", 1.3, _alone, at_most=True),
    Goal("64 clients, one in flight: times PostgreSQL at its best client count", 1.5, _ratio(MANY)),
    Goal("64 clients, 16 in flight: times PostgreSQL at its best", 4, _ratio(DEEP)),
    Goal("a hot wallet with velocity limits: times PostgreSQL", 10, _ratio(HOT)),
    Goal("batches of 1,000: times PostgreSQL called with arrays", 10, _ratio(BATCHES)),
    Goal("twice the peak offered: throughput, of the peak", 0.9, _overload),
    Goal("twice the peak offered: p99 of what is accepted, times that at 80 %", 4, _overload_wait, at_most=True),
    Goal("start after a clean stop, s", 3, lambda r: r["starts"]["start_after_clean_stop_s"], at_most=True),
    Goal("start after kill -9, s", 5, lambda r: r["starts"]["start_after_kill_s"], at_most=True),
    Goal("a warm wallet, KiB", 3, lambda r: r["wallets"]["bytes_per_warm_wallet"] / 1024, at_most=True),
    Goal("an idle connection, KiB", 12, lambda r: r["idle"]["bytes_per_idle_connection"] / 1024, at_most=True),
    Goal("memory with the wallets opened, MB", 300, lambda r: r["wallets"]["memory_mb"], at_most=True),
    Goal("a thousand subscribers: events a second", 200_000, lambda r: r["subscribers"]["events_per_second"]),
)
