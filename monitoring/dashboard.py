"""Write the Grafana dashboard, walletd.dashboard.json, from the table below.

python monitoring/dashboard.py              # rewrite it
python monitoring/dashboard.py --check      # exit 1 where it is not what the table says
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent / "walletd.dashboard.json"
WIDTH, HEIGHT, COLUMNS = 8, 7, 3


class Panel(NamedTuple):
    """A chart: its title, its unit, and each query with its legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    """The median, the slowest in a hundred and the slowest in a thousand."""
    rate = f'sum by (le) (rate({metric}_bucket{{instance=~"$instance"}}[$__rate_interval]))'
    return tuple((f"histogram_quantile({part}, {rate})", f"p{part * 100:g}") for part in (0.5, 0.99, 0.999))


def rate(metric: str, by: str = "", legend: str = "") -> tuple[tuple[str, str], ...]:
    """How often a second."""
    return ((f'sum by ({by}) (rate({metric}{{instance=~"$instance"}}[$__rate_interval]))', legend or f"{{{{{by}}}}}"),)


def value(*metrics: str) -> tuple[tuple[str, str], ...]:
    """As it is."""
    return tuple((f'{metric}{{instance=~"$instance"}}', metric.removeprefix("walletd_")) for metric in metrics)


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it well?": (
        Panel(
            "State", "short", (('walletd_lifecycle_state{instance=~"$instance"} == 1', "{{walletd_lifecycle_state}}"),)
        ),
        Panel(
            "Takes no writes; audit violations", "short", value("walletd_journal_degraded", "walletd_audit_violations")
        ),
        Panel("Memory", "bytes", value("process_resident_memory_bytes")),
    ),
    "Commands": (
        Panel("Commands per second, by method", "ops", rate("walletd_commands_total", "method")),
        Panel("From arrival to answer", "s", quantiles("walletd_reply_seconds")),
        Panel("Refused per second, by reason", "ops", rate("walletd_requests_rejected_total", "reason")),
        Panel("Deciding", "s", quantiles("walletd_decide_seconds")),
        Panel("Waiting for a commit", "s", quantiles("walletd_queue_seconds")),
        Panel(
            "Shed and replayed per second",
            "ops",
            rate("walletd_commands_shed_total", "reason") + rate("walletd_command_replays_total", "", "replayed"),
        ),
    ),
    "Journal": (
        Panel("A commit", "s", quantiles("walletd_journal_commit_seconds")),
        Panel("Entries that share a commit", "short", quantiles("walletd_journal_group_entries")),
        Panel("Bytes written per second", "Bps", rate("walletd_journal_bytes_total", "", "journal")),
        Panel("Files", "bytes", (('walletd_file_size_bytes{instance=~"$instance"}', "{{file}}"),)),
        Panel("Room on the disk", "bytes", value("walletd_disk_free_bytes")),
        Panel("Queues", "short", value("walletd_journal_queued_entries", "walletd_projection_backlog_entries")),
    ),
    "Wallets and clients": (
        Panel("Wallets in memory, by state", "short", (('walletd_wallet_actors{instance=~"$instance"}', "{{state}}"),)),
        Panel("Mailboxes", "short", value("walletd_mailbox_commands", "walletd_mailbox_deepest_commands")),
        Panel("Holds that will expire", "short", value("walletd_hold_timers")),
        Panel("Sessions", "short", (('walletd_sessions{instance=~"$instance"}', "{{state}}"),)),
        Panel("Streams", "short", value("walletd_subscriptions", "walletd_stream_lag_entries")),
        Panel("Connections closed per second, by code", "ops", rate("walletd_connections_closed_total", "close_code")),
    ),
}


def dashboard() -> dict[str, Any]:
    """The whole, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    height = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": height, "w": 24, "h": 1}, "panels": []})
        height += 1
        for index, panel in enumerate(row):
            place = {"x": index % COLUMNS * WIDTH, "y": height + index // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append(_panel(panel, place))
        height += -(-len(row) // COLUMNS) * HEIGHT
    for number, panel_of in enumerate(panels, 1):
        panel_of["id"] = number
    variable = {
        "name": "instance",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": "label_values(walletd_build_info, instance)",
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }
    source = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    return {
        "title": "walletd",
        "uid": "walletd",
        "tags": ["walletd"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, variable]},
        "panels": panels,
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
        for index, (query, legend) in enumerate(panel.queries)
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def main(is_check: bool) -> int:
    """Rewrite the file, or say that it is stale."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    if is_check and text != FILE.read_text():
        sys.stderr.write(f"{FILE.name} is not what its table says; run: python monitoring/dashboard.py\n")
        return 1
    if not is_check:
        FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
