"""The benchmark: a real daemon on loopback, its data on disk and synced, and its peers doing the same in the same run.

    make bench                                    # some five minutes
    make bench ARGS="transfers peers"             # only these
    make bench ARGS="--full"                      # also a million wallets and ten million entries: half an hour
    make bench ARGS="--python .venv-compiled/bin/python"

Figures of one run belong together: compare the ratios, not the figures of two machines or two days.
"""

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import scenarios
from report import draw, table

IS_COMPILED = "import walletd.ledger.rules as rules; print(not rules.__file__.endswith('.py'))"


def main() -> None:
    """Run, print, and keep the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(scenarios.SCENARIOS)}")
    parser.add_argument("--full", action="store_true", help="also --wallets 1000000 --entries 10000000")
    parser.add_argument("--wallets", type=int, default=0, help="open so many wallets, too")
    parser.add_argument("--entries", type=int, default=0, help="start with a journal of so many transfers, too")
    parser.add_argument("--scale", type=float, default=1.0, help="how many requests, against the default")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each run of a peer takes")
    parser.add_argument("--directory", type=Path, help="where the data is put meanwhile; a disk, not memory")
    parser.add_argument("--python", default=sys.executable, help="the Python that runs the daemon")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(scenarios.SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {min(unknown)}; there are {', '.join(scenarios.SCENARIOS)}")
    if options.full:
        options.wallets, options.entries = options.wallets or 1_000_000, options.entries or 10_000_000
    results: dict[str, Any] = {"machine": machine(options.python)}
    with tempfile.TemporaryDirectory(dir=options.directory or Path.cwd(), prefix="bench-data-") as name:
        python = os.path.abspath(options.python)
        bench = scenarios.Bench(Path(name), options.scale, python, options.seconds)
        for scenario, measure in scenarios.SCENARIOS.items():
            if scenario in (options.scenarios or scenarios.SCENARIOS):
                sys.stderr.write(f"bench: {scenario}\n")
                results[scenario] = measure(bench)
        if options.wallets:
            results["wallets"] = scenarios.many_wallets(bench, options.wallets)
        if options.entries:
            results["starts"] = scenarios.starts(bench, options.entries)
    print(table(results))
    kept = Path(__file__).parent / "results"
    kept.mkdir(exist_ok=True)
    stem = kept / time.strftime("%Y%m%d-%H%M%S")
    stem.with_suffix(".json").write_text(json.dumps(results, indent=2))
    drawn = draw(results, stem) if "peers" in results and "transfers" in results else []
    print("\nkept in", ", ".join(str(file) for file in [stem.with_suffix(".json"), *drawn]))


def machine(python: str) -> str:
    """What this was measured on."""
    said = subprocess.run([python, "-c", IS_COMPILED], capture_output=True, text=True, check=True).stdout
    compiled = "compiled modules" if "True" in said else "interpreted modules"
    return (
        f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {compiled}"
    )


if __name__ == "__main__":
    main()
