"""The rows as tables for the documents, and what the last soak came to.

rows_table()                                       # the rows, their figures and how their planted bugs are counted
python -m tests.faults.table                       # the same on a terminal
"""

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.faults.rows import ROWS, Row

LAST_SOAK = Path(__file__).parents[2] / "docs" / "reference" / "last_soak.json"
LAST_RUN = Path(__file__).parents[2] / "docs" / "reference" / "last_run.json"


def rows_table(numbers: Iterable[int] = ()) -> str:
    """Every row, or these."""
    lines = [
        "| row | fault | injected by | oracle | in CI | a whole soak | planted bugs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in _rows(numbers):
        in_ci = ", ".join(f"{figure.ci:,} {figure.unit}" for figure in row.figures) or "every case"
        whole = ", ".join(f"{figure.soak:,}" for figure in row.figures) or "every case"
        what = f"{row.fault} | {row.injected_by} | {row.oracle}"
        lines.append(f"| {row.number} | {what} | {in_ci} | {whole} | {len(bugs_of(row))} |")
    return "\n".join(lines) + "\n"


def bugs_table(numbers: Iterable[int] = ()) -> str:
    """The bugs that are planted, row by row: each must be found."""
    lines = ["| row | planted bug |", "|---|---|"]
    seen: set[tuple[str, ...]] = set()
    for row in _rows(numbers):
        if row.bugs not in seen:
            seen.add(row.bugs)
            lines += [f"| {row.number} | {bug} |" for bug in bugs_of(row)]
    return "\n".join(lines) + "\n"


def commands_table() -> str:
    """How each row is run by itself."""
    lines = ["| row | command | needs | more of it |", "|---|---|---|---|"]
    for row in ROWS:
        more = " ".join(f"{figure.variable}={figure.soak}" for figure in row.figures)
        needs = ", ".join(row.needs) or "–"
        lines.append(f"| {row.number} | `make fault ROW={row.number}` | {needs} | {f'`{more}`' if more else '–'} |")
    return "\n".join(lines) + "\n"


def run_table() -> str:
    """What the last run of every row, with its planted bugs, came to."""
    if not LAST_RUN.exists():
        return "There is none yet.\n"
    return _summary_table(json.loads(LAST_RUN.read_text()))


def soak_table() -> str:
    """What the last soak came to."""
    if not LAST_SOAK.exists():
        return "There is none yet.\n"
    return _summary_table(json.loads(LAST_SOAK.read_text()))


def _summary_table(summary: dict[str, Any]) -> str:
    lines = [
        f"{summary['command']}, seed {summary['seed']}: {summary['seconds'] / 60:.0f} minutes on {summary['machine']}.",
        "",
        "| row | fault | turns | what was done | violations | seconds |",
        "|---|---|---|---|---|---|",
    ]
    names = {row.number: row.fault for row in ROWS}
    for row in summary["rows"]:
        done = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in row["counts"].items())
        done = "; ".join([*([done] if done else []), *row["missing"]]) or "every case"
        came_to = f"{row['turns']} | {done} | {row['violations']} | {row['seconds']:,.0f}"
        lines.append(f"| {row['row']} | {names[row['row']]} | {came_to} |")
    return "\n".join(lines) + "\n"


def bugs_of(row: Row) -> list[str]:
    """What the bugs planted for this row are called."""
    return [name for place in row.bugs for name in _names(place)]


def _names(place: str) -> Iterator[str]:
    module, _, attribute = place.partition(":")
    for bug in getattr(import_module(module), attribute):
        if isinstance(bug, str):
            yield bug
        elif callable(bug):
            yield bug.__name__.replace("_", " ")
        else:
            yield bug[0]


def _rows(numbers: Iterable[int]) -> list[Row]:
    wanted = set(numbers)
    return [row for row in ROWS if not wanted or row.number in wanted]


if __name__ == "__main__":
    print(rows_table())
    print(bugs_table())
