"""Metrics for Prometheus: what the parts count as plain integers, read when somebody asks.

    page = MetricsPage(core, traffic, lifecycle, version).page

Nothing on the way of a command touches a metric object; ``collect`` turns the integers into families.  No label ever
names a wallet, a principal or a command id.
"""

import platform
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from walletd.core import Core
from walletd.gateway.counters import TrafficCounters
from walletd.journal.counters import COMMIT_SECONDS_BOUNDS, CommitCounters
from walletd.lifecycle import Lifecycle
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.lifecycle import DaemonState
from walletd.wallets.compaction import Compaction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Page = Callable[[str], tuple[int, Mapping[str, str], bytes] | None]


class MetricsPage:
    """The page ``/metrics``, before the pages of somebody else."""

    def __init__(self, collector: Collector, others: Page) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._others = others

    def page(self, path: str) -> tuple[int, Mapping[str, str], bytes] | None:
        """The metrics in Prometheus' text format; else what the others have."""
        if path == "/metrics":
            return 200, {"Content-Type": CONTENT_TYPE}, generate_latest(self._registry)
        return self._others(path)


class DaemonCollector(Collector):
    """All families of the daemon."""

    def __init__(
        self, core: Core, traffic: TrafficCounters, lifecycle: Lifecycle, compaction: Compaction, version: str
    ) -> None:
        self._core = core
        self._traffic = traffic
        self._lifecycle = lifecycle
        self._compaction = compaction
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Read everything once.  O(warm wallets) for the states of their actors."""
        yield from self._daemon()
        yield from self._commands()
        yield from self._journal(self._core.writer.counters)
        yield from self._compactions()
        yield from self._wallets()
        yield from self._connections()

    def _daemon(self) -> Iterator[Metric]:
        about = {"version": self._version, "python": platform.python_version()}
        yield InfoMetricFamily("walletd_build", "The version that runs.", about)
        state = {state.value: state is self._lifecycle.state for state in DaemonState}
        yield StateSetMetricFamily("walletd_lifecycle_state", "The daemon's state.", state)
        moves = CounterMetricFamily(
            "walletd_lifecycle_transitions", "Moves between states since the start.", labels=["from", "to"]
        )
        for (source, target), count in self._lifecycle.moves.items():
            moves.add_metric([source.value, target.value], count)
        yield moves

    def _commands(self) -> Iterator[Metric]:
        supervisor = self._core.supervisor
        commands = CounterMetricFamily(
            "walletd_commands", "Commands decided and durable, by outcome.", labels=["outcome", "reason"]
        )
        commands.add_metric(["applied", ""], supervisor.outcomes.get(None, 0))
        for reason in Reason:
            if reason.is_refusal:
                commands.add_metric(["refused", reason.value], supervisor.outcomes.get(reason, 0))
        yield commands
        yield _counter("walletd_command_replays", "Commands whose id had been used.", supervisor.replays)
        yield _gauge("walletd_command_ids_in_memory", "Ids that the read tables lack.", supervisor.remembered)

    def _journal(self, commits: CommitCounters) -> Iterator[Metric]:
        writer, projector = self._core.writer, self._core.projector
        yield _gauge("walletd_journal_head", "Sequence of the last durable entry.", writer.durable_head)
        yield _gauge("walletd_journal_queued_entries", "Entries not durable yet.", writer.head - writer.durable_head)
        yield _gauge("walletd_journal_degraded", "1 while it takes no writes.", float(writer.degraded is not None))
        yield _counter("walletd_journal_entries", "Entries made durable.", commits.entries)
        yield _counter("walletd_journal_bytes", "Bytes of entries made durable.", commits.bytes)
        yield _counter("walletd_journal_rollbacks", "Commits undone for want of space.", commits.rollbacks)
        yield _commit_seconds(commits)
        yield _gauge("walletd_projection_sequence", "Last entry in the read tables.", projector.sequence)
        yield _gauge("walletd_projection_backlog_entries", "Durable entries not in the read tables.", projector.backlog)

    def _compactions(self) -> Iterator[Metric]:
        status = self._compaction.status
        runs = CounterMetricFamily("walletd_compactions", "Compactions of the journal.", labels=["outcome"])
        runs.add_metric(["done"], status.runs)
        runs.add_metric(["failed"], status.failures)
        yield runs
        yield _gauge("walletd_compaction_entries", "Entries that this step has to go over.", status.whole)
        yield _gauge("walletd_compaction_done_entries", "Of these, those that it has gone over.", status.done)
        yield _gauge("walletd_journal_archived_sequence", "Last entry that is archived.", status.archived)
        yield _gauge("walletd_journal_file_bytes", "Size of journal.db and its log.", self._compaction.journal_bytes)

    def _wallets(self) -> Iterator[Metric]:
        roster, publisher = self._core.roster, self._core.publisher
        actors = GaugeMetricFamily("walletd_wallet_actors", "Wallets in memory, by state.", labels=["state"])
        for state, count in roster.states().items():
            actors.add_metric([state.value], count)
        yield actors
        yield _counter("walletd_wallet_loads", "Wallets loaded from the read tables.", roster.loads)
        yield _counter("walletd_wallet_retirements", "Idle wallets let go.", roster.retirements)
        yield _counter("walletd_wallet_waits", "Claims that had to wait for a turn.", roster.waits)
        yield _gauge("walletd_subscriptions", "Open streams.", len(publisher))
        yield _counter("walletd_stream_events", "Events sent to subscribers.", publisher.events)

    def _connections(self) -> Iterator[Metric]:
        traffic = self._traffic
        yield _gauge("walletd_connections", "Open connections.", traffic.open)
        yield _counter("walletd_connections_accepted", "Connections accepted.", traffic.accepted)
        yield _labelled("walletd_connections_refused", "Connections refused, by why.", "reason", traffic.refused)
        closed = {str(code): count for code, count in traffic.closes.items()}
        yield _labelled("walletd_connections_closed", "Connections closed, by close code.", "close_code", closed)
        yield _counter("walletd_messages_received", "Messages received.", traffic.messages_in)
        yield _counter("walletd_messages_sent", "Messages sent.", traffic.messages_out)
        yield _counter("walletd_network_received_bytes", "Bytes received.", traffic.bytes_in)
        yield _counter("walletd_network_sent_bytes", "Bytes sent.", traffic.bytes_out)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value)


def _labelled(name: str, meaning: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family


def _commit_seconds(commits: CommitCounters) -> Metric:
    """How long commits took, in the cumulative buckets that Prometheus wants."""
    buckets, seen = [], 0
    for bound, count in zip((*COMMIT_SECONDS_BOUNDS, float("inf")), commits.seconds_buckets, strict=True):
        seen += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(seen)))
    return HistogramMetricFamily(
        "walletd_journal_commit_seconds", "Time of a group commit.", buckets=buckets, sum_value=commits.seconds_total
    )
