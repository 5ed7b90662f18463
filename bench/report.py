"""The run as text: the table beside the peers, single figures, the goals; and as raw JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.contest import COMMIT, PEERS, REFUSED_BY_POSTGRES, WALLETD
from bench.figures import Results, Row
from bench.goals import GOALS, Verdict
from bench.machine import sentence

COLUMNS = (
    "scenario",
    "who",
    "per second",
    "spread",
    "walletd is",
    "p50 ms",
    "p90",
    "p99",
    "p99.9",
    "refused",
    "CPU µs",
    "commits/s",
    "in one",
    "MB",
    "generator",
    "others",
)
BUSY = 0.85
IDLE_LOAD = 0.5
QUIET = 0.1
"""What others may use of the processors; the kernel's own work for the disk is some hundredths."""


def table(results: Results) -> str:
    """Every contender in every scenario, in Markdown."""
    lines = [joined(COLUMNS), joined(["---"] * len(COLUMNS))]
    for scenario in results.scenarios():
        ours = results.row(scenario, WALLETD)
        for who in results.contenders(scenario):
            row = results.row(scenario, who)
            assert row is not None
            lines.append(joined(_cells(row, ours)))
    for peer in PEERS:
        if peer in results.absent:
            lines.append(joined(["all", peer, results.absent[peer], *[""] * (len(COLUMNS) - 3)]))
    return "\n".join(lines)


def _cells(row: Row, ours: Row | None) -> list[str]:
    is_peer = row.who in PEERS
    name = f"{row.who}, {row.clients} connections" if is_peer and row.clients != 1 else row.who
    spread = f"{row.spread[0]:,.0f} to {row.spread[1]:,.0f}" if row.spread and row.rounds > 1 else ""
    ratio = f"{ours.per_second / row.per_second:.2f} x" if is_peer and ours is not None and row.per_second else ""
    return [
        row.scenario + (f" ({row.note})" if row.note else ""),
        name,
        f"{row.per_second:,.0f}",
        spread,
        ratio,
        *(f"{value:.2f}" for value in (row.p50_ms, row.p90_ms, row.p99_ms, row.p999_ms)),
        f"{row.refused:,.0f}",
        _number(row.cpu_us, "{:.0f}"),
        _number(row.commits_per_second or None, "{:,.0f}"),
        _number(row.group, "{:.1f}"),
        _number(row.memory_mb, "{:.0f}"),
        _number(row.busy, "{:.0%}"),
        _number(row.others, "{:.0%}"),
    ]


def verdicts(results: Results) -> list[Verdict]:
    """Every goal against this run."""
    return [goal.verdict(results) for goal in GOALS]


def goals(results: Results) -> str:
    """The goals, each met or not, in Markdown."""
    lines = [joined(["goal", "bound", "measured", ""]), joined(["---"] * 4)]
    for verdict in verdicts(results):
        bound = f"{'≤' if verdict.goal.at_most else '≥'} {verdict.goal.bound:,g} {verdict.goal.unit}".strip()
        figure = "" if verdict.figure is None else f"{shortened(verdict.figure)} {verdict.goal.unit}".strip()
        lines.append(joined([verdict.goal.what, bound, figure, verdict.word]))
    return "\n".join(lines)


def figures(results: Results) -> str:
    """The single figures, in Markdown."""
    lines = [joined(["figure", "value"]), joined(["---"] * 2)]
    lines += [joined([name.replace("_", " "), shortened(value)]) for name, value in results.figures.items()]
    return "\n".join(lines)


def doubts(results: Results) -> list[str]:
    """What a reader must know before believing the figures."""
    found = [f"{what}: {why}" for what, why in results.absent.items() if what not in PEERS]
    if float(results.machine.get("load_before", 0)) > IDLE_LOAD:
        found.append(
            "others used the machine before and maybe during the run, so that no verdict on a goal is worth much"
        )
    shares = [row.others for row in results.rows if row.others is not None]
    if shares and max(shares) > QUIET:
        loud = sum(share > QUIET for share in shares)
        found.append(
            f"others used {min(shares):.0%} to {max(shares):.0%} of the processors, more than {QUIET:.0%} in {loud} of "
            f"{len(shares)} measurements: there the one of many processes is ahead, and CPU µs says more than the ratio"
        )
    found += [
        f"{row.scenario}, {row.who}: the load generator used {row.busy:.0%} of its core, so it may be the limit"
        for row in _our_rows(results)
        if row.busy is not None and row.busy > BUSY
    ]
    if results.figures.get("events_generator_busy", 0) > BUSY:
        found.append("subscribers: the process that counts the events was the limit, not walletd")
    if results.figures.get("events_missing", 0):
        found.append(f"subscribers: {results.figures['events_missing']:,.0f} events did not arrive")
    if refused := results.figures.get(REFUSED_BY_POSTGRES, 0):
        found.append(f"PostgreSQL: {refused:,.0f} of its commands were refused, and count as done")
    return found


def _our_rows(results: Results) -> list[Row]:
    found = [results.row(scenario, who) for scenario in results.scenarios() for who in results.contenders(scenario)]
    return [row for row in found if row is not None and row.who not in PEERS and row.who != COMMIT]


def whole(results: Results) -> str:
    """Everything, as the command prints it."""
    parts = [sentence(results.machine), table(results)]
    if results.figures:
        parts.append(figures(results))
    parts.append(goals(results))
    found = doubts(results)
    parts += ["\n".join(f"Beware: {doubt}." for doubt in found)] if found else []
    if not any("the limit" in doubt for doubt in found):
        parts.append("The load generator was never the limit.")
    return "\n\n".join(parts)


def keep(results: Results, folder: Path) -> None:
    """Raw figures of every round, and the text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results.as_json(), indent=1))
    (folder / "results.md").write_text(whole(results) + "\n")


def joined(cells: Sequence[str]) -> str:
    """One line of a table in Markdown."""
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def shortened(value: float) -> str:
    """A figure without digits that say nothing."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"
