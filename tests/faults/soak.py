"""Run rows: one, every one once, or all of them in turn for hours.

    python -m tests.faults.soak --row 3                # as in CI, planted bugs included
    python -m tests.faults.soak --once                 # every row so, one after the other
    python -m tests.faults.soak --hours 8 --seed 7     # all rows round robin, each turn with a seed of its own

Each turn is a pytest process with its figures and its seed in the environment.  The first violation ends a soak: it is
printed with the row, the seed, the folder that is kept and the command that repeats it.  What was done until then is in
``summary.json`` and ``summary.txt`` of the soak's folder, rewritten after each turn.
"""

import argparse
import json
import os
import platform
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.faults.rows import ROWS, Row, row_of

ROOT = Path(__file__).parents[2]
NOTHING_COLLECTED = 5
HUNG = 99
MOST_SECONDS_PER_TURN = 7200


@dataclass
class Done:
    """What a row came to so far."""

    row: int
    turns: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    violations: int = 0
    seconds: float = 0.0


class Interrupted(Exception):
    """The soak has to end."""


class Soak:
    """Turns of rows in one folder, and their summary."""

    def __init__(self, folder: Path, seed: int, command: str) -> None:
        self.folder = folder
        self.seed = seed
        self.command = command
        self.done: dict[int, Done] = {}
        self.began = time.monotonic()
        self.story = ""
        folder.mkdir(parents=True, exist_ok=True)

    def turn(self, row: Row, seed: int, figures: dict[str, str], with_proofs: bool = False) -> bool:
        """Run a row once; False where something was violated."""
        done = self.done.setdefault(row.number, Done(row.number))
        kept = self.folder / f"row-{row.number}-turn-{done.turns + 1}"
        counts = kept.with_suffix(".tally")
        given = {"TEST_SEED": str(seed), **figures}
        tests = [*row.tests, *(row.proofs if with_proofs else ())]
        arguments = [
            "-m",
            "pytest",
            "-q",
            "-x",
            "-rs",
            "--timeout",
            "1800",
            "-p",
            "no:cacheprovider",
            *dict.fromkeys(tests),
        ]
        seeded = [f"--hypothesis-seed={seed}"] if row.number == 6 else []
        command = [sys.executable, *arguments, *seeded, f"--basetemp={kept}"]
        began = time.monotonic()
        with kept.with_suffix(".log").open("w") as log:
            environment = {**os.environ, **given, "TEST_TALLY": str(counts)}
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
            try:
                code = process.wait(MOST_SECONDS_PER_TURN)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                code = process.wait() or HUNG
            except BaseException:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        done.turns += 1
        done.seconds += time.monotonic() - began
        self._count(done, counts)
        if code not in (0, NOTHING_COLLECTED):
            done.violations += 1
            settings = " ".join(f"{name}={value}" for name, value in given.items())
            self.story = (
                f"VIOLATION in row {row.number} ({row.fault}), seed {seed}\n"
                f"kept: {kept} and {kept.with_suffix('.log')}\n"
                f"again: {settings} {shlex.join([*command[:-1], '-s'])}\n"
            )
            print(kept.with_suffix(".log").read_text()[-6000:], flush=True)
        else:
            shutil.rmtree(kept, ignore_errors=True)
            kept.with_suffix(".log").unlink()
        self.save()
        return not done.violations

    def _count(self, done: Done, counts: Path) -> None:
        """Add what the turn's tests said of themselves."""
        for line in counts.read_text().splitlines() if counts.exists() else ():
            said = json.loads(line)
            if (sentence := said.pop("missing", None)) and sentence not in done.missing:
                done.missing.append(sentence)
            done.counts.update(said)
        counts.unlink(missing_ok=True)

    def save(self) -> None:
        """Write the summary as it stands."""
        rows = sorted(self.done.values(), key=lambda done: done.row)
        summary = {
            "command": self.command,
            "seed": self.seed,
            "seconds": round(time.monotonic() - self.began),
            "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
            "violation": self.story,
            "rows": [{**vars(done), "counts": dict(done.counts), "seconds": round(done.seconds)} for done in rows],
        }
        (self.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        (self.folder / "summary.txt").write_text(self.text())

    def text(self) -> str:
        """The summary for a terminal."""
        lines = [f"{self.command}, seed {self.seed}, {time.monotonic() - self.began:,.0f} s, in {self.folder}"]
        for done in sorted(self.done.values(), key=lambda done: done.row):
            counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done.counts.items())
            gone = f"  NOT ALL RAN: {'; '.join(done.missing)}" if done.missing else ""
            figures = f"{done.turns:3} turns, {done.seconds:6,.0f} s, {done.violations} violations"
            lines.append(f"row {done.row:2}: {figures}; {counts}{gone}")
        return "\n".join([*lines, self.story or "nothing was violated"]) + "\n"


def once(soak: Soak, rows: list[Row]) -> bool:
    """Each row with the figures of CI, and with its planted bugs."""
    is_well = True
    for row in rows:
        print(f"row {row.number}: {row.fault}", flush=True)
        is_well &= soak.turn(row, soak.seed, {}, with_proofs=True)
    return is_well


def in_turns(soak: Soak, rows: list[Row], hours: float) -> bool:
    """Round robin until the hours are over, or until something is violated."""
    chance = random.Random(soak.seed)
    end = time.monotonic() + hours * 3600
    while True:
        for row in rows:
            if time.monotonic() >= end:
                return True
            seed = chance.randrange(2**31)
            figures = {figure.variable: str(figure.turn) for figure in row.figures}
            if not soak.turn(row, seed, figures):
                return False
            done = soak.done[row.number]
            print(
                f"{time.monotonic() - soak.began:7,.0f} s: row {row.number}, turn {done.turns}, seed {seed}", flush=True
            )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def main() -> int:
    """As the module's docstring says; 1 where something was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--row", type=int, action="append", help="only this row, as in CI; can be given several times")
    how.add_argument("--once", action="store_true", help="every row, as in CI")
    how.add_argument("--hours", type=float, help="all rows in turn for so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31), help="where chance begins")
    parser.add_argument("--folder", type=Path, help="where the summary and what failed is kept")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    folder = options.folder or ROOT / "build" / f"soak-{options.seed}"
    if options.hours is not None:
        command = f"`make soak HOURS={options.hours:g}`"
    else:
        command = f"`make fault ROW={','.join(map(str, options.row)) if options.row else 'all'}`"
    soak = Soak(folder.absolute(), options.seed, command)
    print(f"seed {options.seed}; everything is in {soak.folder}", flush=True)
    try:
        if options.hours is not None:
            is_well = in_turns(soak, list(ROWS), options.hours)
        else:
            is_well = once(soak, [row_of(number) for number in options.row] if options.row else list(ROWS))
    except Interrupted:
        is_well = not soak.story
    print(soak.text(), flush=True)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
