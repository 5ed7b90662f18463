"""The metric families of each part, as functions of its counters; a new part adds its own to ``families_of``.

metrics.show(*families_of(engine, traffic, services, parts, compaction))
"""

from collections.abc import Callable, Iterator, Mapping, Set

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from walletd.daemon.engine import Engine
from walletd.daemon.listeners import ListenerParts
from walletd.daemon.metric_shapes import counter, gauge, histogram, labelled
from walletd.daemon.metrics import Families
from walletd.gateway.admission import Endpoint
from walletd.gateway.audit_trail import AuditTrail
from walletd.gateway.http.exchange import HTTP_STATUSES
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.tls import Certificates
from walletd.gateway.services import Services
from walletd.journal.failures import NotLeading
from walletd.journal.writer import JournalWriter
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.messages.journal import CompactionStatus
from walletd.protocol.messages.operator import LedgerStatus
from walletd.protocol.methods import METHODS, Kind
from walletd.sessions.budgets import Budgets
from walletd.sessions.rates import RateBook
from walletd.streams.publisher import Publisher
from walletd.tables.projector import Projector
from walletd.upkeep.compaction import Compaction
from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import NodeRole
from walletd.wallets.counters import CommandCounters
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Submission
from walletd.wallets.timers import Timers

COMMANDS = (*(name for name, method in METHODS.items() if method.kind is Kind.COMMAND), "hold.expire")
"""The method of each kind of command; the daemon's own commands have a name that no client can call."""

SHED_REASONS = (
    Reason.OVERLOADED,
    Reason.UNAVAILABLE,
    Reason.WALLET_QUARANTINED,
    Reason.QUOTA_EXCEEDED,
    Reason.INTERNAL_ERROR,
)
SHOWN_PRINCIPALS = 10
"""Each is the label of a metric, of which there must not be thousands."""

ABNORMAL = 1006
"""RFC 6455's code for the end of a connection without a close code."""

CLOSE_CODES = (*(code.value for code in CloseCode), ABNORMAL)
"""Shown from the start, so that the first one appears as a rise; other codes of clients are counted together."""


def families_of(
    engine: Engine,
    traffic: TrafficCounters,
    services: Services,
    parts: ListenerParts,
    compaction: Compaction,
    ledger: Callable[[], LedgerStatus | None] = lambda: None,
) -> list[Families]:
    """The families of a daemon that serves, part by part."""
    counters, certificates = services.counters, parts.certificates
    wallets = engine.wallets
    families: list[Families] = [
        lambda: of_commands(wallets.counters, counters.rejected, len(wallets.command_ids)),
        lambda: of_journal(engine.writer, engine.projector, wallets.counters),
        lambda: of_compactions(compaction.status),
        lambda: of_wallets(wallets.roster, engine.timers),
        lambda: of_streams(engine.publisher),
        lambda: of_connections(traffic, services.admission.endpoints, counters.shed, parts.rates),
        lambda: of_budgets(engine.wallets.decisions.budgets),
        lambda: of_audit(services.audit),
        lambda: of_node(ledger()),
    ]
    if certificates is not None:
        families.append(lambda: of_certificates(certificates))
    return families


def of_commands(counters: CommandCounters, rejected: Mapping[str, int], remembered: int) -> Iterator[Metric]:
    """The families of commands; ``remembered``: the ids that the read tables lack."""
    commands = CounterMetricFamily(
        "walletd_commands",
        "Commands decided and durable, by method and outcome.",
        labels=["method", "outcome", "reason"],
    )
    for method in COMMANDS:
        commands.add_metric([method, "applied", ""], counters.outcomes.get((method, None), 0))
    for (method, reason), count in counters.outcomes.items():
        if reason is not None:
            commands.add_metric([method, "refused", reason.value], count)
    yield commands
    shed = {reason.value: counters.shed.get(reason, 0) for reason in SHED_REASONS}
    shed |= {reason.value: count for reason, count in counters.shed.items()}
    yield labelled("walletd_commands_shed", "Commands that never reached a decision, by reason.", "reason", shed)
    yield labelled(
        "walletd_requests_rejected",
        "Requests answered with an error, by reason.",
        "reason",
        {reason.value: 0 for reason in Reason} | dict(rejected),
    )
    yield counter(
        "walletd_command_replays",
        "Commands answered from the journal because their id had been used.",
        counters.replays,
    )
    yield gauge(
        "walletd_command_ids_in_memory", "Command ids in memory that are not in the read tables yet.", remembered
    )
    yield histogram("walletd_decide_seconds", "Seconds that a decision takes.", counters.decide_seconds)
    yield histogram(
        "walletd_queue_seconds",
        "Seconds from a command's decision to the start of its commit.",
        counters.queue_seconds,
    )
    yield histogram("walletd_reply_seconds", "Seconds from a command's arrival to its answer.", counters.reply_seconds)


def of_journal(writer: JournalWriter[Submission], projector: Projector, counters: CommandCounters) -> Iterator[Metric]:
    """The families of the journal and of what is projected from it."""
    commits = writer.counters
    is_degraded = writer.degraded is not None and not isinstance(writer.degraded, NotLeading)
    yield gauge("walletd_journal_head", "Sequence of the last durable entry.", writer.durable_head)
    yield gauge(
        "walletd_journal_queued_entries", "Entries that are not durable yet.", writer.head - writer.durable_head
    )
    yield gauge("walletd_journal_degraded", "1 while the journal accepts no writes.", float(is_degraded))
    yield counter("walletd_journal_entries", "Entries made durable.", commits.entries)
    yield counter("walletd_journal_bytes", "Bytes of entries made durable.", commits.bytes)
    yield counter("walletd_journal_rollbacks", "Commits rolled back for lack of space.", commits.rollbacks)
    yield histogram("walletd_journal_commit_seconds", "Seconds that a group commit takes.", commits.seconds)
    yield histogram("walletd_journal_group_entries", "Entries that shared a commit.", counters.group_entries)
    yield gauge("walletd_projection_sequence", "Sequence of the last entry in the read tables.", projector.sequence)
    yield gauge(
        "walletd_projection_backlog_entries",
        "Durable entries that are not in the read tables yet.",
        projector.backlog,
    )


def of_compactions(status: CompactionStatus) -> Iterator[Metric]:
    """The families of compaction."""
    runs = CounterMetricFamily("walletd_compactions", "Compactions of the journal.", labels=["outcome"])
    runs.add_metric(["done"], status.runs)
    runs.add_metric(["failed"], status.failures)
    yield runs
    yield gauge("walletd_compaction_entries", "Entries that the current step has to process.", status.whole)
    yield gauge("walletd_compaction_done_entries", "Entries that the current step has processed.", status.done)
    yield gauge("walletd_journal_archived_sequence", "Sequence of the last archived entry.", status.archived)


def of_wallets(roster: Roster, timers: Timers) -> Iterator[Metric]:
    """The families of wallets in memory and of their holds.  O(warm wallets)."""
    actors = GaugeMetricFamily("walletd_wallet_actors", "Wallets in memory, by state.", labels=["state"])
    for state, count in roster.states().items():
        actors.add_metric([state.value], count)
    yield actors
    depths = roster.mailbox_depths()
    yield gauge("walletd_mailbox_commands", "Places taken in the mailboxes of all wallets.", sum(depths))
    yield gauge("walletd_mailbox_deepest_commands", "Places taken in the fullest mailbox.", max(depths, default=0))
    yield counter("walletd_wallet_loads", "Wallets loaded from the read tables.", roster.loads)
    yield counter("walletd_wallet_retirements", "Idle wallets dropped from memory.", roster.retirements)
    yield counter("walletd_wallet_waits", "Claims that waited for another command's turn.", roster.waits)
    yield gauge("walletd_hold_timers", "Open holds with an expiry.", len(timers))
    yield counter("walletd_hold_expiries", "Expiries submitted for recording.", timers.submitted)


def of_streams(publisher: Publisher) -> Iterator[Metric]:
    """The families of streams.  O(streams)."""
    lags = publisher.lags()
    yield gauge("walletd_subscriptions", "Open streams.", len(publisher))
    yield gauge("walletd_subscriptions_behind", "Streams that are catching up.", sum(lag > 0 for lag in lags))
    yield gauge(
        "walletd_stream_lag_entries",
        "Entries by which the slowest stream is behind the head.",
        max(lags, default=0),
    )
    yield counter("walletd_stream_events", "Events sent to subscribers.", publisher.events)


def of_budgets(budgets: Budgets) -> Iterator[Metric]:
    """The families of what principals take, with a label for each of the few that take most.  O(principals)."""
    top = budgets.top(SHOWN_PRINCIPALS)
    yield labelled(
        "walletd_principal_journal_bytes",
        "Bytes of entries journaled for each of the principals that journaled most.",
        "principal",
        {account.name: account.journaled for account in top},
    )
    seconds = CounterMetricFamily(
        "walletd_principal_processor_seconds",
        "Seconds of the event loop spent on each of these principals.",
        labels=["principal"],
    )
    for account in top:
        seconds.add_metric([account.name], account.processor_seconds)
    yield seconds
    yield labelled(
        "walletd_requests_over_budget",
        "Requests refused because a budget of their client was used up, by budget.",
        "budget",
        dict.fromkeys(Budget.__struct_fields__, 0) | budgets.refused,
    )


def of_connections(
    traffic: TrafficCounters, endpoints: Set[Endpoint], shed: Mapping[str, int], rates: RateBook
) -> Iterator[Metric]:
    """The families of connections, sessions and their requests.  O(sessions)."""
    sessions = GaugeMetricFamily("walletd_sessions", "Open sessions, by authentication.", labels=["state"])
    known = sum(endpoint.session.grant is not None for endpoint in endpoints)
    sessions.add_metric(["authenticated"], known)
    sessions.add_metric(["unauthenticated"], len(endpoints) - known)
    yield sessions
    yield gauge("walletd_connections", "Open connections.", traffic.open)
    yield gauge("walletd_guests", "Open connections that have not authenticated.", traffic.guests)
    yield counter("walletd_guests_dropped", "Guests dropped so that a newcomer had a place.", traffic.dropped_guests)
    yield counter("walletd_connections_accepted", "Connections accepted.", traffic.accepted)
    yield counter(
        "walletd_accept_failures",
        "Connections that could not be accepted for lack of file descriptors.",
        traffic.accept_failures,
    )
    yield labelled("walletd_connections_refused", "Connections refused, by reason.", "reason", traffic.refused)
    answered = dict.fromkeys(map(str, HTTP_STATUSES), 0)
    for status, count in traffic.exchanges.items():
        answered[str(status or "none")] += count
    yield labelled("walletd_http_requests", "Requests over HTTP, by the status of their response.", "status", answered)
    closed = dict.fromkeys((*map(str, CLOSE_CODES), "other"), 0)
    for code, count in traffic.closes.items():
        closed[str(code) if code in CLOSE_CODES else "other"] += count
    yield labelled("walletd_connections_closed", "Connections closed, by close code.", "close_code", closed)
    yield counter(
        "walletd_connections_cut_off",
        "Connections ended because buffers exceeded their total limit.",
        traffic.cut_off,
    )
    yield gauge(
        "walletd_connections_held_bytes",
        "Bytes buffered for all connections, sampled once a second.",
        traffic.held_bytes,
    )
    yield labelled(
        "walletd_requests_overloaded",
        "Requests shed, by the queue that was full.",
        "what",
        shed,
    )
    yield counter("walletd_requests_rate_limited", "Requests refused because they came too fast.", rates.limited)
    yield counter("walletd_rate_warnings", "Sessions warned about their request rate.", rates.warned)
    yield counter("walletd_messages_received", "Messages received.", traffic.messages_in)
    yield counter("walletd_messages_sent", "Messages sent.", traffic.messages_out)
    yield counter("walletd_network_received_bytes", "Bytes received.", traffic.bytes_in)
    yield counter("walletd_network_sent_bytes", "Bytes sent.", traffic.bytes_out)


def of_audit(audit: AuditTrail) -> Iterator[Metric]:
    """The families of the audit log."""
    acts = CounterMetricFamily(
        "walletd_operator_acts",
        "Acts that no entry records, and parts of reads of the whole ledger, by principal and method.",
        labels=["principal", "method"],
    )
    for (principal, method), count in audit.acts.items():
        acts.add_metric([principal, method], count)
    yield acts
    refusals = dict.fromkeys(("token_refused", "forbidden"), 0) | dict(audit.refusals)
    yield labelled("walletd_audit_refusals", "Refused tokens and forbidden attempts.", "event", refusals)


def of_node(ledger: LedgerStatus | None) -> Iterator[Metric]:
    """The families of a node of a ledger in PostgreSQL; none for a journal in a file."""
    if ledger is None:
        return
    yield gauge(
        "walletd_node_leads",
        "Of a ledger in PostgreSQL: 1 while this node leads it, 0 while it follows.",
        float(ledger.role is NodeRole.LEADER),
    )
    yield gauge("walletd_node_term", "Times that a node took the ledger, as far as this one knows.", ledger.term)
    yield gauge(
        "walletd_node_lag_entries", "Entries of the ledger that this node does not show yet.", ledger.lag_entries
    )
    yield gauge(
        "walletd_node_lag_seconds",
        "Seconds for which this node has not shown all entries, or not seen the ledger.",
        ledger.lag_seconds,
    )
    yield gauge(
        "walletd_node_lease_seconds",
        "Seconds until the leader's lease ends unless it is renewed; 0 while no node leads.",
        ledger.lease_seconds or 0.0,
    )
    yield gauge("walletd_node_replicated", "1 if a commit waits for a synchronous standby.", float(ledger.replicated))


def of_certificates(certificates: Certificates) -> Iterator[Metric]:
    """The families of TLS."""
    expires_at = certificates.expires_at or 0
    yield gauge(
        "walletd_tls_certificate_expires_seconds",
        "Expiry of the certificate, in seconds since 1970; 0 if it is not valid.",
        expires_at,
    )
    loads = {"taken": certificates.loaded, "refused": certificates.refused}
    yield labelled("walletd_tls_certificate_loads", "Certificates read, by outcome.", "outcome", loads)
