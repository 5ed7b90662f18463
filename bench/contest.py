"""What each contender is asked to do in the scenarios in which they stand side by side.

A scenario is one name and, for each contender, what it does then; ``contest`` runs all of them after each other, round
by round, so that a slow moment of the machine hits everyone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import postgres, sqlite_peer, tigerbeetle_peer
from bench.asking import Asking
from bench.daemon import Daemon
from bench.figures import Results, Row, curve, summary
from bench.load import Measured, closed_loop
from bench.postgres import Postgres
from bench.sqlite_peer import SqlitePeer, bare_commits
from bench.tigerbeetle_peer import TigerBeetle
from bench.town import Pings, Town

WALLETD = "walletd"
ECHO = "walletd, echo"
COMMIT = "bare commit"

ONE = "1 client"
MANY = "64 clients"
DEEP = "64 clients x 16"
PIPELINE = "1 client x 256"
HOT = "hot wallet, velocity limits"
EACH = "batches of 1000, each for itself"
ALL = "batches of 1000, all or none"
MIXED = "mixed reads and writes"
HOLDS = "holds and captures"

REFUSED_BY_POSTGRES = "commands_refused_by_postgresql"


class Contest(NamedTuple):
    """One scenario: the shape of our load, and what each peer does meanwhile."""

    name: str
    scenario: str
    clients: int
    window: int
    asking: Callable[[Town], Asking]
    postgres: str
    postgres_clients: Sequence[int]
    sqlite: str | None
    tigerbeetle: tuple[str, int] | None
    echo: bool = False


MANY_CLIENTS = (8, 16, 32, 64)
FEW_CLIENTS = (1, 2, 4)
CONTESTS = (
    Contest("one", ONE, 1, 1, Town.transfers, "transfer", (1,), "transfer", ("transfer", 1), echo=True),
    Contest("many", MANY, 64, 1, Town.transfers, "transfer", MANY_CLIENTS, "transfer", None, echo=True),
    Contest("deep", DEEP, 64, 16, Town.transfers, "transfer", MANY_CLIENTS, "transfer", None, echo=True),
    Contest("pipeline", PIPELINE, 1, 256, Town.transfers, "transfer", MANY_CLIENTS, "transfer", ("transfer", 256)),
    Contest("hot", HOT, 64, 16, lambda town: town.transfers(to=town.hot), "hot", MANY_CLIENTS, "hot", None),
    Contest(
        "each", EACH, 4, 2, lambda town: town.batches(atomic=False), "each", FEW_CLIENTS, "batch", ("transfer", 1000)
    ),
    Contest("all", ALL, 4, 2, lambda town: town.batches(atomic=True), "all", FEW_CLIENTS, "batch", None),
    Contest("mixed", MIXED, 64, 16, Town.mixed, "mixed", MANY_CLIENTS, None, None),
    Contest("holds", HOLDS, 64, 16, Town.holds, "holds", MANY_CLIENTS, "holds", ("holds", 1000)),
)


class Contenders:
    """Those that are here; a peer that is not is None, and ``absent`` says why."""

    def __init__(
        self,
        daemon: Daemon,
        limited: Daemon,
        wallets: int,
        postgres: Postgres | None,
        sqlite: SqlitePeer | None,
        tigerbeetle: TigerBeetle | None,
    ) -> None:
        self.daemon = daemon
        self.town = Town(daemon, wallets)
        self.limited = limited
        self.limited_town = Town(limited, wallets)
        self.limited_town.limit_velocity()
        self.postgres = postgres
        self.sqlite = sqlite
        self.tigerbeetle = tigerbeetle


def contest(
    chosen: Sequence[Contest], who: Contenders, results: Results, directory: Path, rounds: int, seconds: float
) -> None:
    """All rounds.  What a peer does in several scenarios alike is measured once a round, and stands in all of them."""
    for number in range(1, rounds + 1):
        shared: dict[tuple[str, str, int], Row] = {}
        for one in chosen:
            progress(f"round {number} of {rounds}: {one.scenario}")
            results.rows += _walletd(one, who, seconds)
            if one.name == "one":
                results.rows.append(commits_row(directory))
            if who.postgres is not None:
                for clients in one.postgres_clients:
                    key = (postgres.NAME, one.postgres, clients)
                    if key not in shared:
                        shared[key] = who.postgres.run(one.postgres, one.scenario, clients, seconds)
                    results.rows.append(_renamed(shared[key], one.scenario))
            if who.sqlite is not None and one.sqlite is not None:
                key = (sqlite_peer.NAME, one.sqlite, 1)
                if key not in shared:
                    shared[key] = who.sqlite.run(one.scenario, one.sqlite, seconds / 2)
                results.rows.append(_renamed(shared[key], one.scenario))
            if who.tigerbeetle is not None and one.tigerbeetle is not None:
                what, batch = one.tigerbeetle
                results.rows.append(who.tigerbeetle.run(one.scenario, what, seconds, batch))
    if who.postgres is not None and (refused := who.postgres.refused()):
        results.figures[REFUSED_BY_POSTGRES] = refused
    if who.postgres is None:
        results.absent[postgres.NAME] = postgres.ABSENT
    if who.tigerbeetle is None:
        results.absent[tigerbeetle_peer.NAME] = tigerbeetle_peer.ABSENT


def _walletd(one: Contest, who: Contenders, seconds: float) -> list[Row]:
    daemon, town = (who.limited, who.limited_town) if one.scenario == HOT else (who.daemon, who.town)
    rows = []
    if one.echo:
        rows.append(closed_loop(daemon, one.clients, one.window, seconds / 2, Pings()).row(one.scenario, ECHO))
    asking = one.asking(town)
    measured: Measured = closed_loop(daemon, one.clients, one.window, seconds, asking)
    rows.append(measured.row(one.scenario, WALLETD, asking.commands))
    return rows


def commits_row(directory: Path) -> Row:
    """Bare SQLite commits, which one client's transfer is compared with."""
    waits = bare_commits(directory)
    return Row(ONE, COMMIT, len(waits) / sum(waits), **summary(waits), clients=1, curve=curve(waits))


def _renamed(row: Row, scenario: str) -> Row:
    return Row(**{**vars(row), "scenario": scenario})


def progress(sentence: str) -> None:
    """What is under way, for whoever waits."""
    print(f"... {sentence}", flush=True)


PEERS = (postgres.NAME, sqlite_peer.NAME, tigerbeetle_peer.NAME)
