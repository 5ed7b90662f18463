"""Draw the dashboard's panels for what a Prometheus has seen, without Grafana: the same queries, one small plot each.

    python monitoring/picture.py http://127.0.0.1:9090 docs/diagrams/dashboard.png --minutes 2

Needs matplotlib (requirements-bench.lock).
"""

import argparse
import json
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

DASHBOARD = Path(__file__).parent / "walletd.dashboard.json"
COLUMNS = 4


def main() -> None:
    """Ask and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prometheus", help="its address")
    parser.add_argument("picture", type=Path, help="the file to write")
    parser.add_argument("--minutes", type=float, default=5, help="how far back")
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel.get("targets")]
    rows = -(-len(panels) // COLUMNS)
    figure, places = pyplot.subplots(rows, COLUMNS, figsize=(16, 2.6 * rows), layout="constrained")
    for axes in places.flat[len(panels) :]:
        axes.axis("off")
    until = time.time()
    for panel, axes in zip(panels, places.flat, strict=False):
        axes.set_title(panel["title"], fontsize=10, loc="left")
        for target in panel["targets"]:
            for labels, times, values in series(options.prometheus, target["expr"], until, options.minutes * 60):
                is_told = any(values) or (len(panel["targets"]) == 1 and not labels)
                axes.plot([at - until for at in times], values, linewidth=1, label=labels[:40] if is_told else None)
        axes.tick_params(labelsize=7)
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=6, loc="upper left", ncols=2)
    figure.supxlabel("seconds before now", fontsize=9)
    figure.savefig(options.picture, dpi=80)


def series(address: str, expression: str, until: float, seconds: float) -> list[tuple[str, list[float], list[float]]]:
    """What a panel's query gives over time: labels, times and values of each line."""
    expression = expression.replace("$instance", ".*").replace("$__rate_interval", "10s")
    asked = {"query": expression, "start": until - seconds, "end": until, "step": 1}
    with urlopen(f"{address}/api/v1/query_range?{urlencode(asked)}") as answer:
        found = json.load(answer)["data"]["result"]
    lines = []
    for line in found:
        labels = {name: value for name, value in line["metric"].items() if name not in ("instance", "job", "__name__")}
        times, values = zip(*((float(at), float(value)) for at, value in line["values"]), strict=True)
        lines.append((", ".join(labels.values()), list(times), list(values)))
    return lines


if __name__ == "__main__":
    main()
