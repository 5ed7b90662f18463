"""Metrics for Prometheus: the parts count plain integers, which are read on request.

    metrics = MetricsPage(StartCollector(lifecycle, operations, version), others)     # metrics.page, from the start on
    metrics.show(*families_of(engine, traffic, services, parts, compaction))          # once it serves

No command touches a metric object on its way; ``collect`` turns the integers into families.  No label ever names a
wallet, a principal or a command id.
"""

import platform
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry, GCCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from walletd.daemon.metric_shapes import counter, gauge, labelled
from walletd.daemon.operations import Operations
from walletd.journal.sqlite.directory import free_bytes
from walletd.ledger import rules
from walletd.logs.setup import limit as repeats
from walletd.logs.setup import lost as lost_lines
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.process_metrics import ProcessMetrics
from walletd.vocabulary.states import PERMITTED_MOVES, DaemonState

FILES = ("journal.db", "journal.db-wal", "journal.ballast", "state.db", "state.db-wal")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Page = Callable[[str], tuple[int, Mapping[str, str], bytes] | None]


Families = Callable[[], Iterator[Metric]]
"""Reads the counters of one part."""


class MetricsPage:
    """The page ``/metrics``, before the other pages."""

    def __init__(self, start: Collector, others: Page) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(start)
        self._registry.register(ProcessMetrics())
        GCCollector(registry=self._registry)
        self._others = others

    def show(self, *families: Families) -> None:
        """Show these families, too, from now on."""
        self._registry.register(PartsCollector(families))

    def page(self, path: str) -> tuple[int, Mapping[str, str], bytes] | None:
        """The metrics in Prometheus' text format; otherwise one of the other pages."""
        if path == "/metrics":
            return 200, {"Content-Type": CONTENT_TYPE}, generate_latest(self._registry)
        return self._others(path)


class StartCollector(Collector):
    """The families that exist from the first second on: the process, its configuration and its files."""

    def __init__(self, lifecycle: Lifecycle, operations: Operations, version: str) -> None:
        self._lifecycle = lifecycle
        self._operations = operations
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        yield from self._daemon()
        yield from self._configuration()
        yield from self._recovery()
        yield from self._files()

    def _daemon(self) -> Iterator[Metric]:
        about = {"version": self._version, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
        about["compiled"] = "no" if str(rules.__file__).endswith(".py") else "yes"
        yield InfoMetricFamily("walletd_build", "Version of the running daemon.", about)
        state = {state.value: state is self._lifecycle.state for state in DaemonState}
        yield StateSetMetricFamily("walletd_lifecycle_state", "The daemon's state.", state)
        moves = CounterMetricFamily(
            "walletd_lifecycle_transitions", "Transitions between states since the start.", labels=["from", "to"]
        )
        for source, targets in PERMITTED_MOVES.items():
            for target in sorted(targets, key=lambda state: state.value):
                moves.add_metric([source.value, target.value], self._lifecycle.moves.get((source, target), 0))
        yield moves
        operations = self._operations
        yield gauge("walletd_audit_violations", "Violations that the last audit found.", operations.audit_violations)
        yield gauge(
            "walletd_audit_last_timestamp_seconds",
            "Time of the last audit, in seconds since 1970.",
            operations.audited_at,
        )
        yield counter(
            "walletd_fault_reports",
            "Reports written, on request or after an internal error.",
            operations.reports.written,
        )
        yield counter("walletd_log_lines_suppressed", "Repeated log lines left out.", repeats.suppressed)
        yield counter("walletd_log_lines_lost", "Log lines lost because no output accepted them.", lost_lines())
        stood = operations.loop_watch.clock.stood_seconds
        yield counter("walletd_standstill_seconds", "Seconds during which the whole process was stopped.", stood)
        yield counter(
            "walletd_notify_failures", "Notifications that did not reach systemd.", operations.manager.failures
        )

        clock = operations.clock
        yield labelled("walletd_clock_jumps", "Jumps of the wall clock, by direction.", "direction", clock.jumps)
        yield gauge(
            "walletd_clock_ahead_seconds",
            "Seconds by which the wall clock is ahead of the ledger's time.",
            clock.ahead_seconds,
        )

    def _configuration(self) -> Iterator[Metric]:
        operations = self._operations
        yield counter("walletd_config_reloads", "Attempts to reload the configuration.", operations.reloads)
        yield gauge(
            "walletd_config_last_reload_successful",
            "1 if the last reload succeeded, otherwise 0.",
            float(operations.last_reload_succeeded),
        )
        yield gauge(
            "walletd_config_last_reload_success_timestamp_seconds",
            "Time at which the current configuration was read, in seconds since 1970.",
            operations.last_reload_at,
        )

    def _recovery(self) -> Iterator[Metric]:
        recovery = self._operations.recovery
        yield gauge(
            "walletd_recovery_entries", "Entries that this start has to fold into the read tables.", recovery.whole
        )
        yield gauge("walletd_recovery_done_entries", "Entries that this start has folded so far.", recovery.done)

    def _files(self) -> Iterator[Metric]:
        """The files on the disk now; a missing file has no size."""
        folder = self._operations.settings.data
        sizes = GaugeMetricFamily("walletd_file_size_bytes", "Size of a file in the data folder.", labels=["file"])
        for name in FILES:
            with suppress(OSError):
                sizes.add_metric([name], (folder / name).stat().st_size)
        yield sizes
        with suppress(OSError):
            yield gauge("walletd_disk_free_bytes", "Free space on the data folder's file system.", free_bytes(folder))


class PartsCollector(Collector):
    """The families of several parts, in this order."""

    def __init__(self, parts: Sequence[Families]) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Read every counter once."""
        for families in self._parts:
            yield from families()
