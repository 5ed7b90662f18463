"""Pictures of a run, as PNG and SVG: throughput beside the peers, and latencies by percentile."""

import math
from pathlib import Path
from typing import Any

from bench.contest import CONTESTS, PEERS, WALLETD
from bench.figures import Results
from bench.scale import AT_80, OVERLOADED

ABSENT = "no pictures: matplotlib is not there (make bench installs it)"
COLOURS = {WALLETD: "#0b6e4f", "PostgreSQL": "#336791", "SQLite": "#9aa5b1", "TigerBeetle": "#e0a100"}


def draw(results: Results, folder: Path) -> list[Path]:
    """Every picture for which the run has figures; nothing where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        print(ABSENT)
        return []
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "walletd"
    import matplotlib.pyplot as plt

    made = []
    for name, paint in (("throughput", _throughput), ("latency", _latency)):
        figure = paint(plt, results)
        if figure is None:
            continue
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            path = folder / f"{name}.{kind}"
            figure.savefig(path, dpi=110, bbox_inches="tight", metadata=metadata)
            made.append(path)
        plt.close(figure)
    return made


def _throughput(plt: Any, results: Results) -> Any:
    """Bars, each scenario a group, on a logarithmic scale, with the ratio to the best peer written at ours."""
    scenarios = [one.scenario for one in CONTESTS if results.row(one.scenario, WALLETD) is not None]
    if not scenarios:
        return None
    who = [name for name in (WALLETD, *PEERS) if any(results.row(scenario, name) for scenario in scenarios)]
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(scenarios) + 1.2))
    height = 0.8 / len(who)
    for place, name in enumerate(who):
        for line, scenario in enumerate(scenarios):
            row = results.row(scenario, name)
            if row is None:
                continue
            y = line + (place - (len(who) - 1) / 2) * height
            axes.barh(y, row.per_second, height * 0.92, color=COLOURS[name], label=name if line == 0 else None)
            axes.text(row.per_second * 1.05, y, f"{row.per_second:,.0f}", va="center", fontsize=7)
    axes.set_yticks(range(len(scenarios)), scenarios)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("commands a second, durable before they are acknowledged")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _latency(plt: Any, results: Results) -> Any:
    """Latency against the percentile, stretched towards the slowest."""
    wanted = [("1 client", WALLETD), ("1 client", "PostgreSQL"), ("64 clients", WALLETD), ("64 clients", "PostgreSQL")]
    wanted += [(AT_80, WALLETD), (OVERLOADED, WALLETD)]
    rows = [row for scenario, name in wanted if (row := results.row(scenario, name)) is not None and row.curve]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(9, 4.5))
    for row in rows:
        points = [(-math.log10(1 - percent / 100), wait) for percent, wait in row.curve if percent < 100]
        style = {"1 client": ":", "64 clients": "-", AT_80: "-.", OVERLOADED: "--"}[row.scenario]
        axes.plot(*zip(*points, strict=True), style, color=COLOURS[row.who], label=f"{row.who}: {row.scenario}")
    axes.set_yscale("log")
    marks = (0.0, 50.0, 90.0, 99.0, 99.9)
    axes.set_xticks([-math.log10(1 - percent / 100) for percent in marks], [f"{percent:g} %" for percent in marks])
    axes.set_ylabel("ms at most")
    axes.set_xlabel("of the commands")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
