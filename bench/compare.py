"""Two revisions of walletd in one interleaved run: A B B A, and again.

    make bench-compare BASE=HEAD~1
    make bench-compare BASE=v0.1 ARGS="--rounds 8 --load 64x16 --what holds"
    make bench-compare BASE=HEAD~1 ARGS=--compiled     # both with their hot modules compiled; needs a C compiler

The base's sources are taken out of git into a folder of their own and run by the same interpreter with the same
packages; both daemons are there at once, and one of them is loaded at a time.  What is compared is the ratio within a
round, in which a slow minute of the machine hits both; the spread says how far to believe it.
"""

import argparse
import io
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import machine
from bench.asking import Asking
from bench.daemon import Daemon, Installation
from bench.load import closed_loop
from bench.town import Pings, Town

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "src")
"""What a wheel is built from."""
ORDER = ("base", "this", "this", "base")
WHAT: dict[str, Callable[[Town], Asking]] = {
    "transfer": Town.transfers,
    "hot": lambda town: town.transfers(to=town.hot),
    "holds": Town.holds,
    "mixed": Town.mixed,
    "batch": lambda town: town.batches(atomic=False),
    "echo": lambda town: Pings(),
}


class Figure(NamedTuple):
    """Of one load of one revision."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    refused: int


class Round(NamedTuple):
    """The four loads of one round, in ``ORDER``."""

    figures: tuple[Figure, ...]

    def ratio(self, name: str) -> float:
        """This revision's figure as a multiple of the base's: geometric means, so that a drift cancels out."""
        sums = {who: 0.0 for who in ORDER}
        for who, figure in zip(ORDER, self.figures, strict=True):
            sums[who] += math.log(max(getattr(figure, name), 1e-9))
        return math.exp((sums["this"] - sums["base"]) / 2)


def spread(ratios: Sequence[float]) -> str:
    """The median and the range, as ``1.04 (0.99 to 1.07)``."""
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def verdict(ratios: Sequence[float]) -> str:
    """What the rounds agree on."""
    if min(ratios) > 1:
        return "faster in every round"
    if max(ratios) < 1:
        return "slower in every round"
    return "no clear difference"


def extract(base: str, folder: Path) -> Path:
    """The sources of a revision."""
    packed = subprocess.run(["git", "-C", ROOT, "archive", base, *SOURCES], capture_output=True)
    if packed.returncode != 0:
        raise SystemExit(f"git does not know {base}: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def copy(folder: Path) -> Path:
    """The sources of this checkout, so that nothing compiled lies beside them."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder / "src"


def compiled(sources: Path) -> Path:
    """The same with the hot modules compiled, as ``make compiled`` does it."""
    folder = sources.parent
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
    command = [*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", str(folder / "wheel"), str(folder)]
    environment = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}
    built = subprocess.run(command, env=environment, capture_output=True, text=True)
    if built.returncode != 0:
        raise SystemExit(f"compiling failed:\n{built.stdout[-4000:]}{built.stderr[-4000:]}")
    (wheel,) = (folder / "wheel").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "compiled")
    return folder / "compiled"


def measure(daemon: Daemon, clients: int, window: int, seconds: float, asking: Asking) -> Figure:
    """One load."""
    row = closed_loop(daemon, clients, window, seconds, asking).row("", "", asking.commands)
    return Figure(row.per_second, row.p50_ms, row.p99_ms, row.cpu_us or 0, row.refused)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the revision that this checkout is compared with")
    parser.add_argument("--rounds", type=int, default=5, help="of four loads each")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--load", action="append", metavar="CxW", help="clients x in flight: 1x1, 64x1, 64x16")
    parser.add_argument("--what", choices=WHAT, default="transfer", help="what is asked")
    parser.add_argument("--wallets", type=int, default=1000)
    parser.add_argument("--compiled", action="store_true", help="compile the hot modules of both; a minute each")
    parser.add_argument("--directory", type=Path, help="where the data is put meanwhile: a disk, not memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory or Path.cwd(), prefix="bench-data-") as name:
        directory = Path(name)
        sources = {"base": extract(options.base, directory / "base"), "this": ROOT / "src"}
        if options.compiled:
            sources = {"base": compiled(sources["base"]), "this": compiled(copy(directory / "this"))}
        described = machine.describe(directory)
        if options.compiled:
            described["modules"] = "compiled"  # Of both, while this program's own are as they are.
        print(machine.sentence(described))
        with (
            Daemon(directory / "base-data", Installation(sys.executable, sources["base"])) as base,
            Daemon(directory / "this-data", Installation(sys.executable, sources["this"])) as this,
        ):
            towns = {"base": (base, Town(base, options.wallets)), "this": (this, Town(this, options.wallets))}
            for load in options.load or ["1x1", "64x1", "64x16"]:
                clients, window = (int(number) for number in load.split("x"))
                rounds = []
                for _ in range(options.rounds):
                    figures = []
                    for who in ORDER:
                        daemon, town = towns[who]
                        figures.append(measure(daemon, clients, window, options.seconds, WHAT[options.what](town)))
                    rounds.append(Round(tuple(figures)))
                print(said(f"{options.what} {load}", options.base, rounds), flush=True)


def said(load: str, base: str, rounds: Sequence[Round]) -> str:
    """The outcome of one load, in two lines."""
    speed = [one.ratio("per_second") for one in rounds]
    refused = {who: 0 for who in ORDER}
    for one in rounds:
        for who, figure in zip(ORDER, one.figures, strict=True):
            refused[who] += figure.refused
    others = ", ".join(
        f"{word} {spread([one.ratio(name) for one in rounds])}"
        for name, word in (("p50_ms", "p50"), ("p99_ms", "p99"), ("cpu_us", "CPU a command"))
    )
    return (
        f"{load}: this does {spread(speed)} times what {base} does: {verdict(speed)}\n"
        f"    {others}; refused: {base} {refused['base']:,}, this {refused['this']:,}"
    )


if __name__ == "__main__":
    main()
