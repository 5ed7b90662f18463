"""Metrics for Prometheus: the parts count plain integers, which are read on request.

    metrics = MetricsPage(StartCollector(lifecycle, operations, version), others)     # metrics.page, from the start on
    metrics.show(DaemonCollector(engine, traffic, services, doors, compaction))     # once it serves

No command touches a metric object on its way; ``collect`` turns the integers into families.  No label ever names a
wallet, a principal or a command id.
"""

import platform
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, GCCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from walletd.daemon.engine import Engine
from walletd.daemon.listeners import Doors
from walletd.daemon.operations import Operations
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.tls import Certificates
from walletd.gateway.services import Services
from walletd.journal.counters import CommitCounters
from walletd.journal.sqlite.directory import free_bytes
from walletd.ledger import rules
from walletd.logs.setup import limit as repeats
from walletd.logs.setup import lost as lost_lines
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.methods import METHODS, Kind
from walletd.runtime.histogram import Histogram
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.process_metrics import ProcessMetrics
from walletd.upkeep.compaction import Compaction
from walletd.vocabulary.commands import ExpireHold
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import PERMITTED_MOVES, DaemonState
from walletd.wallets.counters import CommandCounters

METHOD_OF_COMMAND: dict[type, str] = {
    method.params: name for name, method in METHODS.items() if method.kind is Kind.COMMAND
} | {ExpireHold: "hold.expire"}
"""The method of each kind of command; the daemon's own commands have a name that no client can call."""

SHED_REASONS = (Reason.OVERLOADED, Reason.UNAVAILABLE, Reason.WALLET_QUARANTINED, Reason.INTERNAL_ERROR)
ABNORMAL = 1006
"""RFC 6455's code for the end of a connection without a close code."""

CLOSE_CODES = (*(code.value for code in CloseCode), ABNORMAL)
"""Shown from the start, so that the first one appears as a rise; other codes of clients are counted together."""

FILES = ("journal.db", "journal.db-wal", "journal.ballast", "state.db", "state.db-wal")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Page = Callable[[str], tuple[int, Mapping[str, str], bytes] | None]


class MetricsPage:
    """The page ``/metrics``, before the other pages."""

    def __init__(self, start: Collector, others: Page) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(start)
        self._registry.register(ProcessMetrics())
        GCCollector(registry=self._registry)
        self._others = others

    def show(self, collector: Collector) -> None:
        """Show these, too, from now on."""
        self._registry.register(collector)

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
        yield _gauge("walletd_audit_violations", "Violations that the last audit found.", operations.audit_violations)
        yield _gauge(
            "walletd_audit_last_timestamp_seconds",
            "Time of the last audit, in seconds since 1970.",
            operations.audited_at,
        )
        yield _counter(
            "walletd_fault_reports",
            "Reports written, on request or after an internal error.",
            operations.reports.written,
        )
        yield _counter("walletd_log_lines_suppressed", "Repeated log lines left out.", repeats.suppressed)
        yield _counter("walletd_log_lines_lost", "Log lines lost because no output accepted them.", lost_lines())
        stood = operations.loop_watch.clock.stood_seconds
        yield _counter("walletd_standstill_seconds", "Seconds during which the whole process was stopped.", stood)
        yield _counter(
            "walletd_notify_failures", "Notifications that did not reach systemd.", operations.manager.failures
        )

        clock = operations.clock
        yield _labelled("walletd_clock_jumps", "Jumps of the wall clock, by direction.", "direction", clock.jumps)
        yield _gauge(
            "walletd_clock_ahead_seconds",
            "Seconds by which the wall clock is ahead of the ledger's time.",
            clock.ahead_seconds,
        )

    def _configuration(self) -> Iterator[Metric]:
        operations = self._operations
        yield _counter("walletd_config_reloads", "Attempts to reload the configuration.", operations.reloads)
        yield _gauge(
            "walletd_config_last_reload_successful",
            "1 if the last reload succeeded, otherwise 0.",
            float(operations.last_reload_succeeded),
        )
        yield _gauge(
            "walletd_config_last_reload_success_timestamp_seconds",
            "Time at which the current configuration was read, in seconds since 1970.",
            operations.last_reload_at,
        )

    def _recovery(self) -> Iterator[Metric]:
        recovery = self._operations.recovery
        yield _gauge(
            "walletd_recovery_entries", "Entries that this start has to fold into the read tables.", recovery.whole
        )
        yield _gauge("walletd_recovery_done_entries", "Entries that this start has folded so far.", recovery.done)

    def _files(self) -> Iterator[Metric]:
        """The files on the disk now; a missing file has no size."""
        folder = self._operations.settings.data
        sizes = GaugeMetricFamily("walletd_file_size_bytes", "Size of a file in the data folder.", labels=["file"])
        for name in FILES:
            with suppress(OSError):
                sizes.add_metric([name], (folder / name).stat().st_size)
        yield sizes
        with suppress(OSError):
            yield _gauge("walletd_disk_free_bytes", "Free space on the data folder's file system.", free_bytes(folder))


class DaemonCollector(Collector):
    """The families of a daemon that serves."""

    def __init__(
        self, engine: Engine, traffic: TrafficCounters, services: Services, doors: Doors, compaction: Compaction
    ) -> None:
        self._engine = engine
        self._traffic = traffic
        self._services = services
        self._doors = doors
        self._compaction = compaction

    def collect(self) -> Iterator[Metric]:
        """Read everything once.  O(warm wallets) for the states of their actors."""
        yield from self._commands(self._engine.counters)
        yield from self._journal(self._engine.writer.counters)
        yield from self._compactions()
        yield from self._wallets()
        yield from self._streams()
        yield from self._connections()
        if self._doors.certificates is not None:
            yield from _certificates(self._doors.certificates)

    def _commands(self, counters: CommandCounters) -> Iterator[Metric]:
        commands = CounterMetricFamily(
            "walletd_commands",
            "Commands decided and durable, by method and outcome.",
            labels=["method", "outcome", "reason"],
        )
        for kind, method in METHOD_OF_COMMAND.items():
            commands.add_metric([method, "applied", ""], counters.outcomes.get((kind, None), 0))
        for (kind, reason), count in counters.outcomes.items():
            if reason is not None:
                commands.add_metric([METHOD_OF_COMMAND[kind], "refused", reason.value], count)
        yield commands
        shed = {reason.value: counters.shed.get(reason, 0) for reason in SHED_REASONS}
        shed |= {reason.value: count for reason, count in counters.shed.items()}
        yield _labelled("walletd_commands_shed", "Commands that never reached a decision, by reason.", "reason", shed)
        yield _labelled(
            "walletd_requests_rejected",
            "Requests answered with an error, by reason.",
            "reason",
            {reason.value: 0 for reason in Reason} | self._services.counters.rejected,
        )
        yield _counter(
            "walletd_command_replays",
            "Commands answered from the journal because their id had been used.",
            counters.replays,
        )
        remembered = len(self._engine.command_ids)
        yield _gauge(
            "walletd_command_ids_in_memory", "Command ids in memory that are not in the read tables yet.", remembered
        )
        yield _histogram("walletd_decide_seconds", "Seconds that a decision takes.", counters.decide_seconds)
        yield _histogram(
            "walletd_queue_seconds",
            "Seconds from a command's decision to the start of its commit.",
            counters.queue_seconds,
        )
        yield _histogram(
            "walletd_reply_seconds", "Seconds from a command's arrival to its answer.", counters.reply_seconds
        )

    def _journal(self, commits: CommitCounters) -> Iterator[Metric]:
        writer, projector, counters = self._engine.writer, self._engine.projector, self._engine.counters
        yield _gauge("walletd_journal_head", "Sequence of the last durable entry.", writer.durable_head)
        yield _gauge(
            "walletd_journal_queued_entries", "Entries that are not durable yet.", writer.head - writer.durable_head
        )
        yield _gauge(
            "walletd_journal_degraded", "1 while the journal accepts no writes.", float(writer.degraded is not None)
        )
        yield _counter("walletd_journal_entries", "Entries made durable.", commits.entries)
        yield _counter("walletd_journal_bytes", "Bytes of entries made durable.", commits.bytes)
        yield _counter("walletd_journal_rollbacks", "Commits rolled back for lack of space.", commits.rollbacks)
        yield _histogram("walletd_journal_commit_seconds", "Seconds that a group commit takes.", commits.seconds)
        yield _histogram("walletd_journal_group_entries", "Entries that shared a commit.", counters.group_entries)
        yield _gauge(
            "walletd_projection_sequence", "Sequence of the last entry in the read tables.", projector.sequence
        )
        yield _gauge(
            "walletd_projection_backlog_entries",
            "Durable entries that are not in the read tables yet.",
            projector.backlog,
        )

    def _compactions(self) -> Iterator[Metric]:
        status = self._compaction.status
        runs = CounterMetricFamily("walletd_compactions", "Compactions of the journal.", labels=["outcome"])
        runs.add_metric(["done"], status.runs)
        runs.add_metric(["failed"], status.failures)
        yield runs
        yield _gauge("walletd_compaction_entries", "Entries that the current step has to process.", status.whole)
        yield _gauge("walletd_compaction_done_entries", "Entries that the current step has processed.", status.done)
        yield _gauge("walletd_journal_archived_sequence", "Sequence of the last archived entry.", status.archived)

    def _wallets(self) -> Iterator[Metric]:
        roster = self._engine.roster
        actors = GaugeMetricFamily("walletd_wallet_actors", "Wallets in memory, by state.", labels=["state"])
        for state, count in roster.states().items():
            actors.add_metric([state.value], count)
        yield actors
        depths = roster.mailbox_depths()
        yield _gauge("walletd_mailbox_commands", "Places taken in the mailboxes of all wallets.", sum(depths))
        yield _gauge("walletd_mailbox_deepest_commands", "Places taken in the fullest mailbox.", max(depths, default=0))
        yield _counter("walletd_wallet_loads", "Wallets loaded from the read tables.", roster.loads)
        yield _counter("walletd_wallet_retirements", "Idle wallets dropped from memory.", roster.retirements)
        yield _counter("walletd_wallet_waits", "Claims that waited for another command's turn.", roster.waits)
        timers = self._engine.timers
        yield _gauge("walletd_hold_timers", "Open holds with an expiry.", len(timers))
        yield _counter("walletd_hold_expiries", "Expiries submitted for recording.", timers.submitted)

    def _streams(self) -> Iterator[Metric]:
        publisher = self._engine.publisher
        lags = publisher.lags()
        yield _gauge("walletd_subscriptions", "Open streams.", len(publisher))
        yield _gauge("walletd_subscriptions_behind", "Streams that are catching up.", sum(lag > 0 for lag in lags))
        yield _gauge(
            "walletd_stream_lag_entries",
            "Entries by which the slowest stream is behind the head.",
            max(lags, default=0),
        )
        yield _counter("walletd_stream_events", "Events sent to subscribers.", publisher.events)

    def _connections(self) -> Iterator[Metric]:
        traffic = self._traffic
        sessions = GaugeMetricFamily("walletd_sessions", "Open sessions, by authentication.", labels=["state"])
        known = sum(guest.session.grant is not None for guest in self._services.admission.guests)
        sessions.add_metric(["authenticated"], known)
        sessions.add_metric(["unauthenticated"], len(self._services.admission.guests) - known)
        yield sessions
        yield _gauge("walletd_connections", "Open connections.", traffic.open)
        yield _counter("walletd_connections_accepted", "Connections accepted.", traffic.accepted)
        yield _counter(
            "walletd_accept_failures",
            "Connections that could not be accepted for lack of file descriptors.",
            traffic.accept_failures,
        )
        yield _labelled("walletd_connections_refused", "Connections refused, by reason.", "reason", traffic.refused)
        closed = dict.fromkeys((*map(str, CLOSE_CODES), "other"), 0)
        for code, count in traffic.closes.items():
            closed[str(code) if code in CLOSE_CODES else "other"] += count
        yield _labelled("walletd_connections_closed", "Connections closed, by close code.", "close_code", closed)
        yield _counter(
            "walletd_connections_cut_off",
            "Connections ended because buffers exceeded their total limit.",
            traffic.cut_off,
        )
        yield _gauge(
            "walletd_connections_held_bytes",
            "Bytes buffered for all connections, sampled once a second.",
            traffic.held_bytes,
        )
        yield _labelled(
            "walletd_requests_overloaded",
            "Requests shed, by the queue that was full.",
            "what",
            self._services.counters.shed,
        )
        rates = self._doors.rates
        yield _counter("walletd_requests_rate_limited", "Requests refused because they came too fast.", rates.limited)
        yield _counter("walletd_rate_warnings", "Sessions warned about their request rate.", rates.warned)
        yield _counter("walletd_messages_received", "Messages received.", traffic.messages_in)
        yield _counter("walletd_messages_sent", "Messages sent.", traffic.messages_out)
        yield _counter("walletd_network_received_bytes", "Bytes received.", traffic.bytes_in)
        yield _counter("walletd_network_sent_bytes", "Bytes sent.", traffic.bytes_out)


def _histogram(name: str, meaning: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, meaning, buckets=histogram.cumulative(), sum_value=histogram.total)


def _certificates(certificates: Certificates) -> Iterator[Metric]:
    expires_at = certificates.expires_at or 0
    yield _gauge(
        "walletd_tls_certificate_expires_seconds",
        "Expiry of the certificate, in seconds since 1970; 0 if it is not valid.",
        expires_at,
    )
    loads = {"taken": certificates.loaded, "refused": certificates.refused}
    yield _labelled("walletd_tls_certificate_loads", "Certificates read, by outcome.", "outcome", loads)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value)


def _labelled(name: str, meaning: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
