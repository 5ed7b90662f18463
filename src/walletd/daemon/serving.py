"""The daemon: all parts of walletd, put together in one place.

    exit_code = serve(settings, announce, report, read)

It reads from top to bottom like a table of contents.  Only this package knows all parts; it owns the clock and the
randomness, and performs the lifecycle's transitions.  The nesting is the order of the shutdown: first no more
connections are admitted, then the requests in progress are answered, then the journal is closed.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NoReturn

import trio

from walletd.daemon.admin_listener import VERSION, Listeners, open_listeners
from walletd.daemon.auditing import audit_at_start, audit_beside
from walletd.daemon.client_listener import client_listener
from walletd.daemon.compacting import compacting
from walletd.daemon.descriptors import raise_limit
from walletd.daemon.draining import drain
from walletd.daemon.engine import Engine
from walletd.daemon.exit_codes import exit_code_of, log_end
from walletd.daemon.following import FollowingNode, following_node, follows, ledger_status, node_of
from walletd.daemon.journals import opened_journal
from walletd.daemon.launch import Announce, Announcement, Launch, Made
from walletd.daemon.limits import budgets_of, caches_of, engine_limits, session_limits
from walletd.daemon.listeners import node_url_of
from walletd.daemon.metrics_of_parts import families_of
from walletd.daemon.operations import Operations, refuse_unknown_components
from walletd.daemon.report_sections import report_sections
from walletd.gateway.admission import Admission
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.services import About, Operator, Services, SessionTerms
from walletd.journal.archive.archivable import Archivable
from walletd.journal.failures import LeadershipLost, NotLeading
from walletd.journal.store import IsLed
from walletd.logs.setup import set_levels
from walletd.protocol.envelope import LifecycleNotice, Node
from walletd.protocol.messages.operator import DaemonStatus, LedgerStatus, PrincipalUse
from walletd.runtime.ending import end_process
from walletd.runtime.fault_reports import FaultReports, ReportFaults, first_failure
from walletd.runtime.garbage import collect_garbage_rarely
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.signals import Stop, listen, show_threads_on_request
from walletd.runtime.systemd import JournalProgress, ServiceManager
from walletd.runtime.wall_clock import Clock, wall_clock
from walletd.sessions.access import TokenRegister, token_hash
from walletd.settings.layers import TOKEN_CREDENTIAL
from walletd.settings.operator_token import operator_token
from walletd.settings.settings import ConfigurationError, Settings
from walletd.tables.file import ReadTablesRotten, unfit_library
from walletd.tables.queries.wallets import Queries, open_queries
from walletd.tables.writer import delete_read_tables
from walletd.upkeep.books_audit import Audit, BooksAudits
from walletd.upkeep.compaction import Compaction
from walletd.upkeep.recovery import Recovered, Report, recover
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.states import DaemonState
from walletd.wallets.clock_file import begin_here, keep

log = logging.getLogger("walletd.daemon")


RESTART_RETRY_MS = 1000
SHOWN_CLIENTS = 5


def serve(settings: Settings, announce: Announce, report: Report, read: Callable[[], Settings] | None = None) -> int:
    """Run the daemon until it is stopped.  Returns the exit code; the reason of the end is logged in one line.

    ``read`` reads the configuration again, on a reload.
    """
    show_threads_on_request()
    manager, reports = ServiceManager(), FaultReports(settings.data / "reports")
    operations = Operations(settings, read or (lambda: settings), manager, Stop(), reports)
    on_fault = ReportFaults(reports)
    logging.getLogger("walletd").addHandler(on_fault)
    try:
        if why := unfit_library():
            raise ConfigurationError(why)
        refuse_unknown_components(settings)
        set_levels(settings.log_level, settings.log_levels)
        raise_limit()
        launch = Launch(settings, operations, Lifecycle(wall_clock), announce, report)
        clock = operations.loop_watch.clock
        while trio.run(_run, launch, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True):
            launch = _again(launch)
            clock = launch.operations.loop_watch.clock
        return 0
    except Exception as raised:
        failure = first_failure(raised)
        if isinstance(failure, ReadTablesRotten):
            delete_read_tables(settings.data)
        log_end(failure)
        manager.notify(STATUS=f"failed: {failure}", EXIT_STATUS=str(exit_code_of(failure)))
        return exit_code_of(failure)
    finally:
        logging.getLogger("walletd").removeHandler(on_fault)


def _again(launch: Launch) -> Launch:
    """The context of another start in this process: nothing of what this node knew as the leader is kept."""
    settings, operations = launch.operations.settings, launch.operations
    operations.loop_watch.over()  # It would end the process, because the loop that it watches has ended.
    follower = Operations(settings, operations.read, operations.manager, Stop(), operations.reports)
    return replace(launch, settings=settings, operations=follower, lifecycle=launch.lifecycle.unwatched())


async def _run(launch: Launch) -> bool:
    """Run until the daemon is stopped, or this node does not lead its ledger any more: then the result is True.

    With sockets that systemd opened, and that are closed now, LeadershipLost ends the process: systemd starts it again.
    """
    settings, operations, lifecycle = launch.settings, launch.operations, launch.lifecycle
    lifecycle.watch(operations.manager.told)
    operations.manager.told(lifecycle.state)
    can_start_again = True
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(listen, operations.stop, operations.reload, operations.reports.write)
            listeners = await open_listeners(settings, lifecycle, operations, nursery)
            can_start_again = not listeners.inherited
            node_url = node_url_of(settings, [*listeners.inherited, *listeners.reserved])
            async with opened_journal(launch, node_url) as store:
                if store is not None:
                    operator_sha256 = _operator_sha256(settings)
                    if not follows(store):
                        lifecycle.move(DaemonState.RECOVERING)
                    await _recover_and_serve(launch, listeners, store, operator_sha256)
            nursery.cancel_scope.cancel()
        if lifecycle.state is not DaemonState.DRAINING:
            lifecycle.move(DaemonState.DRAINING)
        lifecycle.move(DaemonState.STOPPED)
        return False
    except BaseException as raised:
        lost = first_failure(raised)
        if isinstance(lost, LeadershipLost) and can_start_again and not operations.stop.wished.is_set():
            log.warning("%s", lost)
            if lifecycle.state is not DaemonState.FOLLOWING:
                lifecycle.move(DaemonState.FOLLOWING)
            return True
        lifecycle.move(DaemonState.FAILED)
        raise


def _operator_sha256(settings: Settings) -> str:
    named = settings.operator_token_file
    is_credential = named is not None and named.name == TOKEN_CREDENTIAL
    token = operator_token(settings.token_file, is_credential=is_credential, is_named=named is not None)
    return token_hash(token)


async def _recover_and_serve(launch: Launch, listeners: Listeners, store: Archivable, operator_sha256: str) -> None:
    settings, operations = launch.settings, launch.operations

    def report_progress(done: int, whole: int) -> None:
        operations.recovery.told(done, whole)
        launch.report(done, whole)
        operations.manager.progress(done, whole)

    stop = operations.stop
    with stop.recovery:
        recovered = await recover(store, settings.data, report_progress, caches_of(settings))
    if stop.recovery.cancelled_caught:
        return
    try:
        audits = BooksAudits(recovered.tables.path, settings.reader_cache_kibibytes)
        async with audits.begun(counts_wallets=False) as audit:
            await audit_at_start(audit, operations.audited)
            last = recovered.progress.time
            clock = operations.clock
            if not follows(store):
                clock = operations.clock = begin_here(settings.data, last, settings.max_clock_gap_days)
            die = _die_with_a_report(operations)
            async with _reading(recovered, settings.reader_cache_kibibytes, clock, die) as queries:
                limits, budgets, head = engine_limits(settings), budgets_of(settings), await store.head()
                why = NotLeading("") if follows(store) else None
                engine = Engine(
                    store, recovered, queries, head, limits, budgets=budgets, clock=clock, die=die, follows=why
                )
                async with engine.running():
                    following = following_node(engine, store, head, recovered.frontier)
                    is_new = engine.writer.head == 0 and following is None
                    if is_new:
                        log.info("there was no journal in %s: a new one is made there", settings.data)
                    if following is None:
                        await _admit_operator(engine, operator_sha256, settings)
                    made = Made(journal=is_new, tables=recovered.rebuilt)
                    await _serve(launch, listeners, store, engine, audit, made, following, operator_sha256)
                if not stop.hurried.is_set():
                    await engine.projector.drain()
    finally:
        with trio.CancelScope(shield=True):
            await recovered.tables.aclose()


def _die_with_a_report(operations: Operations) -> Callable[[str], NoReturn]:
    def die(reason: str) -> NoReturn:
        if not operations.reports.written:
            operations.reports.write(reason)
        operations.manager.notify(STATUS=f"failed: {reason}")
        end_process(reason)

    return die


@asynccontextmanager
async def _reading(
    recovered: Recovered, cache_kibibytes: int, clock: Clock, die: Callable[[str], NoReturn]
) -> AsyncIterator[Queries]:
    queries = await open_queries(recovered.tables.path, cache_kibibytes, clock=clock, die=die)
    try:
        yield queries
    finally:
        with trio.CancelScope(shield=True):
            await queries.aclose()


async def _admit_operator(engine: Engine, operator_sha256: str, settings: Settings) -> None:
    if engine.writer.head == 0:
        await engine.open_external()
    if not await engine.admit_operator(operator_sha256):
        log.warning("the token in %s is not valid; remove the file and restart to get a fresh one", settings.token_file)


async def _serve(
    launch: Launch,
    listeners: Listeners,
    store: Archivable,
    engine: Engine,
    audit: Audit,
    made: Made,
    following: FollowingNode | None,
    operator_sha256: str,
) -> None:
    settings, operations, lifecycle, parts = launch.settings, launch.operations, launch.lifecycle, listeners.parts
    compaction = compacting(launch, store, engine)

    def ledger() -> LedgerStatus | None:
        return ledger_status(store, following)

    services = _services(launch, engine, compaction, parts.traffic, following)
    is_overtaken = store.is_overtaken if isinstance(store, IsLed) else None
    server = client_listener(launch, listeners, services, engine.passes, is_overtaken)
    engine.events.idle.add(server.flush)
    operations.reports.show(lambda: report_sections(engine, lifecycle, server.traffic, operations.settings))
    lifecycle.watch(lambda state: _tell_sessions(services, state))
    async with trio.open_nursery() as edge:
        await edge.start(services.run)
        addresses = await edge.start(server.serve)
        listeners.metrics.show(*families_of(engine, server.traffic, services, parts, compaction, ledger))
        collect_garbage_rarely()

        url = f"{'ws' if parts.certificates is None else 'wss'}://{addresses[0]}"

        async def serve_as_leader() -> None:
            lifecycle.move(DaemonState.SERVING)
            await edge.start(compaction.run)
            edge.start_soon(keep, settings.data, operations.clock, engine.timers.wake)
            launch.announce(Announcement(url, settings, engine.writer.durable_head, made, listeners.admin_url))

        async def follow_and_lead(node: FollowingNode) -> None:
            if await _lead_in_turn(launch, engine, node, operator_sha256):
                services.admission.register.clock = operations.clock
                await serve_as_leader()

        if following is None:
            await serve_as_leader()
        else:
            log.info("reads and streams are served at %s", url)
            edge.start_soon(follow_and_lead, following)
        edge.start_soon(audit_beside, audit, operations.audited)
        edge.start_soon(operations.manager.watch, _journal_progress(engine))
        edge.start_soon(operations.loop_watch.run)
        if parts.certificates is not None:
            edge.start_soon(parts.certificates.watch)
        await operations.stop.wished.wait()
        lifecycle.move(DaemonState.DRAINING)
        compaction.stop()
        await drain(engine, services, server, operations)
        edge.cancel_scope.cancel()


async def _lead_in_turn(launch: Launch, engine: Engine, node: FollowingNode, operator_sha256: str) -> bool:
    """Follow until this node has taken the ledger, and can lead; False if the daemon is being stopped."""
    settings, operations, lifecycle = launch.settings, launch.operations, launch.lifecycle
    await node.follow()
    if operations.stop.wished.is_set():
        return False
    lifecycle.move(DaemonState.RECOVERING)
    last = engine.wallets.clock.moment()
    operations.clock = begin_here(settings.data, last, settings.max_clock_gap_days)
    await engine.lead(operations.clock)
    await _admit_operator(engine, operator_sha256, settings)
    return not operations.stop.wished.is_set()


def _journal_progress(engine: Engine) -> JournalProgress:
    """The condition for feeding systemd's watchdog: the loop turns, and the journal writes its queue."""
    writer = engine.writer
    return JournalProgress(
        lambda: writer.head - writer.durable_head, lambda: writer.counters.commits + writer.counters.rollbacks
    )


def _services(
    launch: Launch,
    engine: Engine,
    compaction: Compaction,
    traffic: TrafficCounters,
    following: FollowingNode | None,
) -> Services:
    settings, lifecycle = launch.settings, launch.lifecycle

    def status() -> DaemonStatus:
        return DaemonStatus(
            lifecycle=lifecycle.state,
            server_version=VERSION,
            instance=engine.store.instance,
            epoch=engine.store.epoch,
            head=engine.writer.durable_head,
            projected=engine.projector.sequence,
            warm_wallets=len(engine.wallets.roster),
            sessions=len(admission.endpoints),
            guests=traffic.guests,
            guests_dropped=traffic.dropped_guests,
            top=tuple(
                PrincipalUse(Principal(account.name), account.journaled, int(account.processor_seconds * 1000))
                for account in engine.wallets.decisions.budgets.top(SHOWN_CLIENTS)
            ),
            over_budget=sum(engine.wallets.decisions.budgets.refused.values()),
            started_at=lifecycle.started_at,
            compaction=compaction.status,
            ledger=ledger_status(store, following),
        )

    def node() -> Node | None:
        return node_of(store, following)

    admission = Admission(TokenRegister(engine.wallets.clients, engine.clock), settings.authentication_seconds)
    engine.events.clients_changed.add(admission.review)
    store = engine.store
    return Services(
        engine.wallets,
        engine.stored,
        engine.publisher.turns,
        engine.publisher,
        admission,
        engine.wallets.decisions.budgets,
        Operator(launch.operations, compaction, engine.audits, lambda: lifecycle.state, status, node),
        About(VERSION, store.instance, store.created_at, store.epoch),
        SessionTerms(session_limits(settings), int(settings.heartbeat_seconds * 1000), settings.max_event_bytes),
    )


def _tell_sessions(services: Services, state: DaemonState) -> None:
    notice = LifecycleNotice(state, RESTART_RETRY_MS if state is DaemonState.DRAINING else None)
    for endpoint in services.admission.endpoints:
        endpoint.notify("lifecycle", notice)
