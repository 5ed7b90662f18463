"""The benchmark: walletd beside PostgreSQL, SQLite and, where its binary is given, TigerBeetle, in one run.

    make bench                              # some seven minutes
    make bench ARGS=--full                  # more rounds, longer ones, a million wallets, ten million entries
    make bench ARGS="many hot"             # only these scenarios

Everything is started here, on loopback, from clean data, and syncs every commit.  Compare the ratios of one run, not
the figures of two machines or two days.
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench import contest, machine, pictures, postgres, report, scale
from bench.daemon import Daemon, Installation
from bench.figures import Results
from bench.postgres import Postgres
from bench.sqlite_peer import SqlitePeer
from bench.tigerbeetle_peer import TigerBeetle

RESULTS = Path(__file__).parent / "results"
OTHERS = ("overload", "subscribers", "idle", "disk", "million", "start")
NAMES = (*(one.name for one in contest.CONTESTS), *OTHERS)


class Size(NamedTuple):
    """How much of everything."""

    rounds: int
    seconds: float
    wallets: int
    idle: int
    long: tuple[int, int]
    """Wallets and transfers of the journal of the scenario ``million``."""
    longest: tuple[int, int] | None
    """Of the scenario ``start``, where it is run."""


QUICK = Size(2, 2.5, 10_000, 10_000, (200_000, 0), None)
FULL = Size(3, 8, 10_000, 10_000, (1_000_000, 0), (1_000_000, 9_000_000))


def main() -> None:
    """Run, print, and keep the raw figures and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="everything, longer: an hour or so")
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=f"only some of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, help="how often the contenders take turns")
    parser.add_argument("--seconds", type=float, help="how long each of them is loaded in a scenario")
    parser.add_argument("--wallets", type=int, help="of the contests")
    parser.add_argument(
        "--journal", type=int, nargs=2, metavar=("WALLETS", "TRANSFERS"), help="of the scenario million"
    )
    parser.add_argument("--tigerbeetle", type=Path, metavar="PATH", help="TigerBeetle's binary")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the walletd to be measured")
    parser.add_argument("--directory", type=Path, help="where the data is put meanwhile: a disk, not memory")
    options = parser.parse_args()
    chosen = options.names or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        parser.error(f"there is no scenario {', '.join(unknown)}; there are {', '.join(NAMES)}")
    size = FULL if options.full else QUICK
    size = size._replace(**{name: value for name in ("rounds", "seconds", "wallets") if (value := vars(options)[name])})
    if options.journal:
        size = size._replace(long=tuple(options.journal))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.directory or Path.cwd(), prefix="bench-data-") as name:
        directory = Path(name)
        results = Results(machine.describe(directory, options.python))
        folder = RESULTS / time.strftime("%Y%m%d-%H%M%S")
        try:
            measure(
                chosen, size, directory, Installation(os.path.abspath(options.python)), options.tigerbeetle, results
            )
        finally:
            results.machine["minutes"] = round((time.monotonic() - began) / 60, 1)
            report.keep(results, folder)
    pictures.draw(results, folder)
    print("\n" + report.whole(results))
    print(f"\nraw figures and pictures: {folder}")


def measure(
    chosen: list[str],
    size: Size,
    directory: Path,
    installation: Installation,
    tigerbeetle: Path | None,
    results: Results,
) -> None:
    """Run the scenarios; what was measured so far is in ``results`` even where a later one fails."""
    contests = [one for one in contest.CONTESTS if one.name in chosen]
    if contests or "overload" in chosen:
        _contests(contests, "overload" in chosen, size, directory, installation, tigerbeetle, results)
    if "subscribers" in chosen:
        scale.subscribers(directory, installation, results, 2 * size.seconds)
    if "idle" in chosen:
        scale.idle_connections(directory, installation, results, size.idle)
    if "disk" in chosen:
        scale.bytes_on_disk(directory, installation, results, size.seconds)
    if "million" in chosen:
        scale.wallets_and_entries(directory, installation, results, *size.long, size.seconds)
    if "start" in chosen and size.longest is not None:
        scale.wallets_and_entries(directory, installation, results, *size.longest, size.seconds)


def _contests(
    contests: list[contest.Contest],
    with_overload: bool,
    size: Size,
    directory: Path,
    installation: Installation,
    tigerbeetle: Path | None,
    results: Results,
) -> None:
    contest.progress("starting everybody")
    with ExitStack() as open_now:
        enter = open_now.enter_context
        daemon = enter(Daemon(directory / "walletd", installation))
        limited = enter(Daemon(directory / "limited", installation))
        server = enter(Postgres(directory, size.wallets)) if contests and postgres.programs() else None
        sqlite = SqlitePeer(directory, size.wallets) if contests else None
        beetle = enter(TigerBeetle(tigerbeetle, directory, size.wallets)) if contests and tigerbeetle else None
        if server is not None:
            results.machine["postgresql"] = server.version
        who = contest.Contenders(daemon, limited, size.wallets, server, sqlite, beetle)
        contest.contest(contests, who, results, directory, size.rounds, size.seconds)
        if with_overload:
            scale.overload(daemon, who.town, results, max(4.0, 1.5 * size.seconds))
        if sqlite is not None:
            sqlite.close()


if __name__ == "__main__":
    main()
