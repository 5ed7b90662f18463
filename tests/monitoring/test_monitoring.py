"""The metrics page, the rules and the dashboard: each metric asked for is there, and Prometheus understands all."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, furnish, transfer

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
RULES = MONITORING / "walletd.rules.yml"
DASHBOARD = json.loads((MONITORING / "walletd.dashboard.json").read_text())
OF_PROMETHEUS = {"up"}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here (Debian: prometheus)")


MOST_LOOKS = 100


def promtool(*arguments: str, given: str = "") -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The metrics of a daemon that has done a little of everything."""
    with Daemon(tmp_path_factory.mktemp("metrics") / "data") as daemon, daemon.client() as client:
        furnish(client, "secretive-wallet", amount=1000)
        client.refused("transfer.post", **transfer("too-much", "secretive-wallet", "@external", 1001))
        client.call("hold.place", command_id="h", wallet="secretive-wallet", asset="EUR", amount="5")
        client.call("stream.subscribe", all=True)
        client.raw('{"jsonrpc":"2.0","id":1,"method":"x"')
        client.refused("wallet.get", wallet="nobody")
        client.call("daemon.audit")
        with daemon.client() as strange:
            strange.websocket.close(code=4321)
        for _ in range(MOST_LOOKS):  # Until the daemon, too, knows that the stranger has left.
            with urllib.request.urlopen(f"{daemon.admin_url}/metrics", timeout=60) as answer:
                text = answer.read().decode()
            if values(text)['walletd_sessions{state="authenticated"}'] == 1:
                break
        yield text


def values(page: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def families(page: str) -> set[str]:
    return {name.partition("{")[0] for name in values(page)}


def asked_in(query: str) -> set[str]:
    """The metrics that a query names."""
    return set(re.findall(r"\b(?:walletd|process|python)_\w+|\bup\b", re.sub(r'"[^"]*"|by \([^)]*\)', "", query)))


def queries() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def test_it_counts_what_happened(page: str) -> None:
    seen = values(page)
    assert seen['walletd_commands_total{method="transfer.post",outcome="applied",reason=""}'] == 1
    assert seen['walletd_commands_total{method="transfer.post",outcome="refused",reason="insufficient_funds"}'] == 1
    assert seen['walletd_commands_total{method="hold.place",outcome="applied",reason=""}'] == 1
    assert seen['walletd_requests_rejected_total{reason="insufficient_funds"}'] == 1
    assert seen['walletd_requests_rejected_total{reason="unknown_wallet"}'] == 1
    assert seen['walletd_requests_rejected_total{reason="parse_error"}'] == 1
    assert seen['walletd_commands_shed_total{reason="overloaded"}'] == 0
    assert seen['walletd_sessions{state="authenticated"}'] == 1
    assert seen["walletd_subscriptions"] == 1
    assert seen["walletd_audit_violations"] == 0
    assert seen["walletd_audit_last_timestamp_seconds"] > 0
    entries = seen["walletd_journal_head"]
    assert entries == 7
    assert seen["walletd_reply_seconds_count"] == seen["walletd_decide_seconds_count"] == entries
    assert seen["walletd_queue_seconds_count"] == entries
    assert seen["walletd_journal_group_entries_sum"] == entries
    assert seen['walletd_file_size_bytes{file="journal.db"}'] > 0
    assert seen["walletd_disk_free_bytes"] > 0
    assert seen['walletd_lifecycle_transitions_total{from="serving",to="degraded"}'] == 0
    assert seen["process_open_fds"] > 3
    assert seen['walletd_connections_closed_total{close_code="other"}'] == 1
    assert "4321" not in page, "a client does not make labels"


def test_every_histogram_is_whole(page: str) -> None:
    seen = values(page)
    counted = {name.removesuffix("_count") for name in families(page) if name.endswith("_seconds_count")}
    assert len(counted) >= 4
    for name in counted:
        buckets = [value for key, value in seen.items() if key.startswith(f"{name}_bucket")]
        assert buckets == sorted(buckets)
        assert buckets[-1] == seen[f"{name}_count"]


def test_no_label_names_a_wallet_or_a_command(page: str) -> None:
    labels = set(re.findall(r'[{,](\w+)="', page))
    assert labels <= {
        *("method", "outcome", "reason", "state", "from", "to", "file", "le", "close_code", "direction", "event"),
        *("principal", "budget", "status"),
        *("version", "python", "sqlite", "compiled", "walletd_lifecycle_state", "generation"),
    }
    assert "secretive" not in page


def test_every_metric_of_the_dashboard_exists(page: str) -> None:
    asked = {metric for query in queries() for metric in asked_in(query)}
    assert len(asked) > 25
    assert asked - OF_PROMETHEUS <= families(page)
    labels = {label for query in queries() for label in re.findall(r"by \((\w+)\)", query)}
    assert all(f'{label}="' in page for label in labels)


def test_every_metric_of_the_rules_exists(page: str) -> None:
    expressions = re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE)
    asked = {
        metric for expression in expressions for metric in asked_in(expression) if not metric.startswith("walletd:")
    }
    assert len(asked) > 10
    assert asked - OF_PROMETHEUS <= families(page)


def test_the_documents_list_every_metric_and_no_other(page: str) -> None:
    shown = set(re.findall(r"^# HELP (walletd_\S+)", page, re.MULTILINE))
    listed = set(
        re.findall(r"^\| `(walletd_\w+)` \|", (ROOT / "docs" / "reference" / "metrics.md").read_text(), re.MULTILINE)
    )
    assert {name for name in listed if not name.startswith(("walletd_tls_", "walletd_node_"))} == shown


def test_the_dashboard_is_what_its_table_says() -> None:
    command = [sys.executable, str(MONITORING / "dashboard.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_alert_says_what_to_do() -> None:
    text = RULES.read_text()
    assert text.count("- alert:") == text.count("action:") == text.count("summary:") == text.count("severity:") > 8


@needs_promtool
def test_prometheus_finds_nothing_to_say_about_the_metrics(page: str) -> None:
    promtool("check", "metrics", given=page)


@needs_promtool
def test_the_rules_do_what_their_tests_say() -> None:
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(MONITORING / "walletd.rules_test.yml"))


@needs_promtool
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m").replace("$instance", ".*")}
        for number, query in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))
