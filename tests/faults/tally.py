"""What a run of a harness came to, said in numbers: printed, and kept for the summary of a soak.

tally(seeds=600, lives=1200)              # one JSON line more in the file that TEST_TALLY names
missing("gcc", "apt-get install gcc")     # skips the test, or fails it where everything is required
"""

import json
import os
from pathlib import Path
from typing import NoReturn

from tests.interop import programs


def tally(**counts: int) -> None:
    """Add these numbers to what this run did."""
    print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()))
    _keep(counts)


def missing(what: str, advice: str) -> NoReturn:
    """Say that a row cannot run here: a skip, which a soak reports, or a failure with ``TEST_REQUIRE=all``."""
    _keep({"missing": f"{what} is not there: {advice}"})
    programs.missing(what, advice)


def _keep(line: dict[str, int] | dict[str, str]) -> None:
    if path := os.environ.get("TEST_TALLY"):
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")
