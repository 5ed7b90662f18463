"""The figures of a run as tables, and as a picture."""

from pathlib import Path
from typing import Any

from goals import GOALS

Results = dict[str, Any]
COLUMNS = (
    ("per second", "per_second", ",.0f"),
    ("p50 ms", "p50_ms", ".2f"),
    ("p99 ms", "p99_ms", ".2f"),
    ("p99.9 ms", "p999_ms", ".2f"),
    ("CPU µs", "daemon_cpu_us", ".0f"),
    ("commits/s", "commits_per_second", ",.0f"),
    ("a commit", "entries_per_commit", ".1f"),
    ("generator", "generator_busy", ".0%"),
    ("refused", "refused", ",d"),
)


def table(results: Results) -> str:
    """Everything that was measured, as text (which is Markdown)."""
    lines = [results["machine"], ""]
    lines += ["| load | who | " + " | ".join(name for name, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for load, who, row in rows_of(results):
        if isinstance(row, str):
            lines.append(f"| {load} | {who} | {row} |")
            continue
        cells = [format(row[key], form) if key in row else "" for _, key, form in COLUMNS]
        lines.append(f"| {load} | {_named(who, row)} | " + " | ".join(cells) + " |")
    lines += ["", "| other figures | |", "|---|---|", *(f"| {name} | {value} |" for name, value in _others(results))]
    lines += ["", "| goal | bound | measured | |", "|---|---|---|---|"]
    for goal in GOALS:
        verdict = goal.verdict(results)
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:,g}"
        measured = "| not measured | |" if verdict is None else f"| {verdict[0]:,.2f} | {_word(verdict[1])} |"
        lines.append(f"| {goal.what} | {bound} {measured}")
    return "\n".join(lines)


def rows_of(results: Results) -> list[tuple[str, str, Any]]:
    """Each load and who did it, peers beside walletd."""
    ours = {**results.get("transfers", {}).get("walletd", {}), **results.get("holds", {}).get("walletd", {})}
    theirs = results.get("peers", {})
    rows: list[tuple[str, str, Any]] = []
    for load, row in ours.items():
        rows.append((load, "walletd", row))
        rows += [(load, who, found[load]) for who, found in theirs.items() if isinstance(found, dict) and load in found]
    rows += [("all", who, found) for who, found in theirs.items() if isinstance(found, str)]
    found = results.get("overload", {})
    for name, words in (("at_80_percent", "80 % of the peak offered"), ("at_200_percent", "twice the peak offered")):
        if name in found:
            rows.append((words, "walletd", found[name]))
    return rows


def draw(results: Results, stem: Path) -> list[Path]:
    """A picture of the throughputs, as PNG and SVG; none where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    theirs = {who: found for who, found in results.get("peers", {}).items() if isinstance(found, dict)}
    loads = [load for load, row in results["transfers"]["walletd"].items() if any(load in p for p in theirs.values())]
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    everybody = {"walletd": results["transfers"]["walletd"], **theirs}
    height = 0.8 / len(everybody)
    for number, (who, rows) in enumerate(everybody.items()):
        places = [index + number * height for index, load in enumerate(loads) if load in rows]
        values = [rows[load]["per_second"] for load in loads if load in rows]
        bars = axes.barh(places, values, height, label=who)
        axes.bar_label(bars, [f" {value:,.0f}" for value in values], fontsize=8)
    axes.set_yticks([index + 0.4 - height / 2 for index in range(len(loads))], loads)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("transfers a second, each durable before it is answered")
    axes.legend()
    files = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for file in files:
        figure.savefig(file, dpi=120)
    return files


def _others(results: Results) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if "transfers" in results:
        found.append(("a bare SQLite FULL commit, p50", f"{results['transfers']['bare_commit_p50_ms']:.2f} ms"))
        found.append(("journal bytes per entry, of all kinds above", f"{results['transfers']['bytes_per_entry']:,.0f}"))
    for scenario in ("subscribers", "idle", "wallets", "starts"):
        found += [(f"{scenario}: {name}", f"{value:,.2f}") for name, value in results.get(scenario, {}).items()]
    return found


def _named(who: str, row: dict[str, Any]) -> str:
    return f"{who}, {row['clients']} clients" if "clients" in row else who


def _word(is_met: bool) -> str:
    return "met" if is_met else "NOT met"
