"""What we want to reach: each a figure of one run, mostly beside another figure of the same run."""

from collections.abc import Callable
from typing import NamedTuple

from bench import contest as c
from bench import postgres, tigerbeetle_peer
from bench.figures import Results

Figure = Callable[[Results], float | None]


class Goal(NamedTuple):
    """A bound, and where its figure is; ``at_most`` where less is better."""

    what: str
    bound: float
    figure: Figure
    unit: str = ""
    at_most: bool = False

    def verdict(self, results: Results) -> "Verdict":
        """Whether the run reaches it; ``is_met`` is None where the run has not got the figure."""
        figure = self.figure(results)
        if figure is None:
            return Verdict(self, None, None)
        return Verdict(self, figure, figure <= self.bound if self.at_most else figure >= self.bound)


class Verdict(NamedTuple):
    """A goal and what came of it."""

    goal: Goal
    figure: float | None
    is_met: bool | None

    @property
    def word(self) -> str:
        """As the table says it."""
        return "not measured" if self.is_met is None else "met" if self.is_met else "not met"


def times(scenario: str, peer: str, ours: str | None = None) -> Figure:
    """Our throughput in one scenario against a peer's, at the client count at which it does most."""

    def figure(results: Results) -> float | None:
        mine, theirs = results.row(ours or scenario, c.WALLETD), results.row(scenario, peer)
        return mine.per_second / theirs.per_second if mine is not None and theirs is not None else None

    return figure


def best_batches(results: Results) -> float | None:
    """The lesser of the two kinds of batches: PostgreSQL is fair game only where it does the same thing."""
    found = [times(scenario, postgres.NAME)(results) for scenario in (c.EACH, c.ALL)]
    return min((ratio for ratio in found if ratio is not None), default=None)


def alone(results: Results) -> float | None:
    """One client's p50 against that of a bare commit."""
    mine, commit = results.row(c.ONE, c.WALLETD), results.row(c.ONE, c.COMMIT)
    return mine.p50_ms / commit.p50_ms if mine is not None and commit is not None else None


def of(name: str, divisor: float = 1.0) -> Figure:
    """A single figure, by its name."""
    return lambda results: results.figures[name] / divisor if name in results.figures else None


def start_of_ten_million(what: str) -> Figure:
    """Seconds, for the journal of the run that has ten million entries or more."""

    def figure(results: Results) -> float | None:
        for name, value in results.figures.items():
            count, _, rest = name.partition("_entries_")
            if rest == what and int(count) >= 10_000_000:
                return value
        return None

    return figure


GOALS = (
    Goal("1 client, p50: times a bare SQLite FULL commit", 1.3, alone, "x", at_most=True),
    Goal("64 clients, 1 in flight: times PostgreSQL at its best", 1.5, times(c.MANY, postgres.NAME), "x"),
    Goal("64 clients, 16 in flight: times PostgreSQL at its best", 4, times(c.DEEP, postgres.NAME), "x"),
    Goal("hot wallet with velocity limits: times PostgreSQL", 10, times(c.HOT, postgres.NAME), "x"),
    Goal("batches of 1000: times PostgreSQL with arrays (the worse of both kinds)", 10, best_batches, "x"),
    Goal("batches of 1000: of TigerBeetle", 0.25, times(c.EACH, tigerbeetle_peer.NAME), "x"),
    Goal("2x overload: throughput, of the peak", 0.9, of("overload_throughput_of_peak"), "x"),
    Goal("2x overload: p99 of what is accepted, times that at 80 %", 4, of("overload_p99_of_calm"), "x", at_most=True),
    Goal(
        "start with 10,000,000 entries after a clean stop",
        3,
        start_of_ten_million("start_after_clean_stop_s"),
        "s",
        True,
    ),
    Goal("start with 10,000,000 entries after kill -9", 5, start_of_ten_million("start_after_kill_s"), "s", True),
    Goal("a warm wallet", 3, of("bytes_per_warm_wallet", 1024), "KiB", at_most=True),
    Goal("an idle connection", 12, of("bytes_per_idle_connection", 1024), "KiB", at_most=True),
    Goal("1,000,000 wallets, 10,000 of them busy", 300, of("1000000_wallets_memory_mb"), "MB", at_most=True),
    Goal("1,000 subscribers: events a second", 200_000, of("events_per_second")),
    Goal("an entry on disk: times its own JSON (64 clients)", 1.5, of("disk_to_json_in_company"), "x", at_most=True),
    Goal("an entry on disk: times its own JSON (1 client)", 1.5, of("disk_to_json_alone"), "x", at_most=True),
)
