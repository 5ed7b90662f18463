"""Several runs beside each other: what each of them measured, and whether it reached the goals, in Markdown.

python -m bench.together bench/results/20260101-120000 bench/results/20260101-121000
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import postgres
from bench.contest import COMMIT, ECHO, WALLETD
from bench.figures import Results, Row
from bench.machine import sentence
from bench.report import joined, shortened, verdicts

BETWEEN = " · "


def scenarios(runs: Sequence[Results]) -> str:
    """Every scenario: the commands a second, beside PostgreSQL's, and the latencies, one figure for each run."""
    lines = [
        joined(["scenario", "walletd, per second", "PostgreSQL", "times PostgreSQL", "p50 ms", "p99 ms", "CPU µs"]),
        joined(["---"] * 7),
    ]
    for scenario in dict.fromkeys(name for run in runs for name in run.scenarios()):
        for who in (ECHO, COMMIT, WALLETD):
            ours = [run.row(scenario, who) for run in runs]
            if not any(ours):
                continue
            theirs = [run.row(scenario, postgres.NAME) if who == WALLETD else None for run in runs]
            ratios = [
                f"{mine.per_second / other.per_second:.2f}" if mine is not None and other is not None else ""
                for mine, other in zip(ours, theirs, strict=True)
            ]
            lines.append(
                joined(
                    [
                        scenario if who == WALLETD else f"{scenario}: {who.removeprefix('walletd, ')}",
                        _each(ours, lambda row: f"{row.per_second:,.0f}"),
                        _each(theirs, lambda row: f"{row.per_second:,.0f}"),
                        BETWEEN.join(filter(None, ratios)),
                        _each(ours, lambda row: f"{row.p50_ms:.2f}"),
                        _each(ours, lambda row: f"{row.p99_ms:.2f}"),
                        _each(ours, lambda row: "" if row.cpu_us is None else f"{row.cpu_us:.0f}"),
                    ]
                )
            )
    return "\n".join(lines)


def goals(runs: Sequence[Results]) -> str:
    """Every goal with its figure in each run, and in how many of those that have one it is met."""
    lines = [joined(["goal", "bound", "measured", "met"]), joined(["---"] * 4)]
    for each in zip(*(verdicts(run) for run in runs), strict=True):
        goal = each[0].goal
        judged = [verdict for verdict in each if verdict.is_met is not None]
        figures = BETWEEN.join(shortened(verdict.figure) for verdict in judged if verdict.figure is not None)
        met = f"{sum(verdict.is_met is True for verdict in judged)} of {len(judged)}" if judged else "not measured"
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:,g} {goal.unit}".strip()
        lines.append(joined([goal.what, bound, figures, met]))
    return "\n".join(lines)


def _each(rows: Sequence[Row | None], say: Callable[[Row], str]) -> str:
    return BETWEEN.join(filter(None, (say(row) for row in rows if row is not None)))


def main() -> None:
    """Print the runs of these folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = parser.parse_args().folders
    runs = [Results.from_json(json.loads((folder / "results.json").read_text())) for folder in folders]
    print("\n\n".join([*(sentence(run.machine) for run in runs), scenarios(runs), goals(runs)]))


if __name__ == "__main__":
    main()
