"""Two revisions in one interleaved run: A B B A, and again.

    make bench-compare BASE=HEAD~1
    make bench-compare BASE=v0.1 ARGS="--rounds 8 --load 64x16"

The base's sources are taken out of git into a folder meanwhile and run by the same Python with the same packages, both
daemons at once, one loaded at a time.  What is compared is the ratio within a pair; refused requests do not count.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from loads import closed_loop
from town import Town

from daemon import Daemon

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="the revision that this checkout is compared with")
    parser.add_argument("--rounds", type=int, default=6, help="pairs of runs for each load")
    parser.add_argument("--requests", type=int, default=20_000, help="requests in each run")
    parser.add_argument("--load", action="append", help="clients x in flight; by default 1x1, 64x1, 64x16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-data-") as name:
        directory = Path(name)
        packed = subprocess.run(["git", "-C", ROOT, "archive", options.base, "src"], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(directory / "base", filter="data")
        sources = {"base": directory / "base" / "src", "this": ROOT / "src"}
        daemons = {
            who: Daemon(directory / who / "data", environment={"PYTHONPATH": str(path)})
            for who, path in sources.items()
            if (directory / who).mkdir(exist_ok=True) is None
        }
        towns = {who: Town(daemon, 200) for who, daemon in daemons.items()}
        for load in options.load or ["1x1", "64x1", "64x16"]:
            clients, window = (int(number) for number in load.split("x"))
            ratios, refused = [], 0
            for number in range(options.rounds):
                order = ["base", "this"] if number % 2 == 0 else ["this", "base"]
                total = max(1000, options.requests // (10 if clients * window == 1 else 1))
                speeds = {}
                for who in order:
                    row = closed_loop(daemons[who], clients, window, total, towns[who].transfers())
                    speeds[who] = row["per_second"]
                    refused += row["refused"]
                ratios.append(speeds["this"] / speeds["base"])
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{load:>6}: this is {statistics.median(ratios):.2f} times as fast ({spread}), {refused} refused")
        for daemon in daemons.values():
            daemon.stop()


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
