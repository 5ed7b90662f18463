"""The daemon: everything that walletd is made of, put together in one place.

    exit_code = serve(settings, announce, report, read)

Reads from top to bottom like a table of contents.  Only this module knows everyone; it owns the clock and the
randomness, and moves the lifecycle.  The nesting is the order of the end: first nobody new is let in, then what is
under way is answered, then the journal is closed.
"""

import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, NoReturn

import trio

from walletd.daemon.admin_listener import VERSION, Ways, status_pages, ways_in
from walletd.daemon.auditing import audit_at_start, audit_beside
from walletd.daemon.compacting import compacting
from walletd.daemon.descriptors import SPARED_BY_CLIENTS, raise_limit
from walletd.daemon.engine import Core, caches_of, wall_clock
from walletd.daemon.inside_view import inside_view
from walletd.daemon.listeners import limits_of, terms_of
from walletd.daemon.metrics import DaemonCollector
from walletd.daemon.operations import Operations, refuse_unknown_components
from walletd.gateway.admission import Admission
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods import dispatch
from walletd.gateway.network.bounds import Deadlines
from walletd.gateway.network.connection import Connection
from walletd.gateway.network.server import LAST_WORDS_SECONDS, Caps, GatewayServer, ListenFailed
from walletd.gateway.network.tls import CertificateUnusable
from walletd.gateway.services import Services, connection_id
from walletd.gateway.websocket.handshake import Handshake, Policy
from walletd.journal.failures import (
    JournalCorrupt,
    JournalFailure,
    JournalLocked,
    JournalUnsupported,
)
from walletd.journal.sqlite.store import SqliteJournalStore, open_journal
from walletd.logs.context import about_connection
from walletd.logs.setup import set_levels
from walletd.protocol.envelope import LifecycleNotice
from walletd.protocol.messages.operator import DaemonStatus
from walletd.runtime.ending import (
    EXIT_CONFIGURATION,
    EXIT_DAMAGED,
    EXIT_INPUT_OUTPUT,
    EXIT_SOFTWARE,
    EXIT_TRY_LATER,
    EXIT_UNAVAILABLE,
    end_process,
)
from walletd.runtime.fault_reports import FaultReports, ReportFaults, first_failure
from walletd.runtime.garbage import collect_garbage_rarely
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.signals import Stop, listen, show_threads_on_request
from walletd.runtime.systemd import EXTENSION_SECONDS, JournalProgress, ServiceManager
from walletd.runtime.threads import is_of_threads
from walletd.sessions.access import TokenRegister, token_hash
from walletd.sessions.session import Session
from walletd.settings.layers import TOKEN_CREDENTIAL
from walletd.settings.operator_token import operator_token
from walletd.settings.settings import ConfigurationError, Settings
from walletd.tables.file import ReadTablesRotten, unfit_library
from walletd.tables.queries.wallets import Readings, open_readings
from walletd.tables.writer import delete_read_tables
from walletd.upkeep.books_audit import Audit, BooksAudits
from walletd.upkeep.recovery import Recovered, Report, recover
from walletd.vocabulary.states import DaemonState
from walletd.wallets.clock_file import begin_here, keep
from walletd.wallets.commit_at_once import CommitAtOnce

log = logging.getLogger("walletd.daemon")


MEBIBYTE = 1024 * 1024
RESTART_RETRY_MS = 1000


class Announcement(NamedTuple):
    """What a person who started the daemon wants to know once it serves."""

    url: str
    settings: Settings
    head: int
    rebuilt: bool
    admin_url: str = ""


Announce = Callable[[Announcement], None]


def serve(settings: Settings, announce: Announce, report: Report, read: Callable[[], Settings] | None = None) -> int:
    """Run the daemon until it is told to stop.  Returns the exit code; what ended it is logged in one line.

    ``read`` reads the configuration again, when the daemon is told to.
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
        clock = operations.loop_watch.clock
        trio.run(
            _run, settings, announce, report, operations, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True
        )
        return 0
    except Exception as raised:
        failure = first_failure(raised)
        if isinstance(failure, ReadTablesRotten):
            delete_read_tables(settings.data)
        if isinstance(
            failure,
            ConfigurationError | CertificateUnusable | ListenFailed | JournalFailure | ReadTablesRotten | OSError,
        ):
            log.error("%s", failure)
        elif is_of_threads(failure):
            log.error("cannot start a thread: raise the limit (ulimit -u, or TasksMax= under systemd)")
        else:
            log.exception("walletd stops after an internal error")
        manager.notify(STATUS=f"failed: {failure}", EXIT_STATUS=str(_exit_code(failure)))
        return _exit_code(failure)
    finally:
        logging.getLogger("walletd").removeHandler(on_fault)


async def _run(settings: Settings, announce: Announce, report: Report, operations: Operations) -> None:
    lifecycle = Lifecycle(wall_clock)
    lifecycle.watch(operations.manager.told)
    operations.manager.told(lifecycle.state)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(listen, operations.stop, operations.reload, operations.reports.write)
            ways = await ways_in(settings, lifecycle, operations, nursery)
            async with open_journal(
                settings.data, space_floor_bytes=settings.space_floor_mebibytes * MEBIBYTE
            ) as store:
                named = settings.operator_token_file
                is_credential = named is not None and named.name == TOKEN_CREDENTIAL
                token = operator_token(settings.token_file, is_credential=is_credential, is_named=named is not None)
                operator_sha256 = token_hash(token)
                lifecycle.move(DaemonState.RECOVERING)
                await _recover_and_serve(
                    settings, ways, store, operator_sha256, lifecycle, operations, announce, report
                )
            nursery.cancel_scope.cancel()
        if lifecycle.state is not DaemonState.DRAINING:
            lifecycle.move(DaemonState.DRAINING)
        lifecycle.move(DaemonState.STOPPED)
    except BaseException:
        lifecycle.move(DaemonState.FAILED)
        raise


async def _recover_and_serve(
    settings: Settings,
    ways: Ways,
    store: SqliteJournalStore,
    operator_sha256: str,
    lifecycle: Lifecycle,
    operations: Operations,
    announce: Announce,
    report: Report,
) -> None:
    def report_progress(done: int, whole: int) -> None:
        operations.recovery.told(done, whole)
        report(done, whole)
        operations.manager.progress(done, whole)

    stop = operations.stop
    with stop.recovery:
        recovered = await recover(store, settings.data, report_progress, caches_of(settings))
    if stop.recovery.cancelled_caught:
        return
    try:
        async with (
            _reading(recovered, settings.reader_cache_kibibytes) as readings,
            BooksAudits(recovered.tables.path, settings.reader_cache_kibibytes).begun(counts_wallets=False) as audit,
        ):
            await audit_at_start(audit, operations.audited)
            last = recovered.progress.time
            clock = operations.clock = begin_here(settings.data, last, settings.max_clock_gap_days)
            die = _die_with_a_report(operations)
            core = Core(settings, store, recovered, readings, await store.head(), clock, die)
            core.books.assets.update({asset.asset: asset for asset in await readings.assets()})
            await _serve(
                settings, ways, core, audit, operator_sha256, lifecycle, operations, announce, recovered.rebuilt
            )
            if not stop.hurried.is_set():
                await core.projector.drain()
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
async def _reading(recovered: Recovered, cache_kibibytes: int) -> AsyncIterator[Readings]:
    readings = await open_readings(recovered.tables.path, cache_kibibytes)
    try:
        yield readings
    finally:
        with trio.CancelScope(shield=True):
            await readings.aclose()


async def _serve(
    settings: Settings,
    ways: Ways,
    core: Core,
    audit: Audit,
    operator_sha256: str,
    lifecycle: Lifecycle,
    operations: Operations,
    announce: Announce,
    rebuilt: bool,
) -> None:
    doors = ways.doors
    async with core.running():
        if core.writer.head == 0:
            await core.open_external()
        if not await core.admit_operator(operator_sha256):
            log.warning(
                "the token in %s is not valid; remove the file and restart to get a fresh one", settings.token_file
            )
        services = _services(settings, core, lifecycle, operations)
        server = _gateway(settings, ways, services, core.turns, lifecycle, operations)
        core.on_idle = server.flush
        operations.takers.append(lambda taken: doors.refresh())
        operations.takers.append(lambda taken: server.amend(*_terms(taken, services, lifecycle, operations)))
        operations.reports.sections = lambda: inside_view(core, lifecycle, server.traffic, operations.settings)
        compaction = compacting(settings, core, services, lifecycle)
        lifecycle.watch(lambda state: _tell_sessions(services, state))
        async with trio.open_nursery() as edge:
            await edge.start(services.run)
            addresses = await edge.start(server.serve)
            ways.metrics.show(DaemonCollector(core, server.traffic, services, doors, compaction))
            collect_garbage_rarely()
            lifecycle.move(DaemonState.SERVING)
            await edge.start(compaction.run)
            edge.start_soon(audit_beside, audit, operations.audited)
            edge.start_soon(operations.manager.watch, _journal_progress(core))
            edge.start_soon(operations.loop_watch.run)
            edge.start_soon(keep, settings.data, operations.clock, core.timers.wake)
            if doors.certificates is not None:
                edge.start_soon(doors.certificates.watch)
            scheme = "ws" if doors.certificates is None else "wss"
            url, admin_url = f"{scheme}://{addresses[0]}", f"http://{ways.admin_address}"
            announce(Announcement(url, settings, core.writer.durable_head, rebuilt, admin_url))
            await operations.stop.wished.wait()
            lifecycle.move(DaemonState.DRAINING)
            compaction.stop()
            await _drain(core, services, server, operations)
            edge.cancel_scope.cancel()


async def _drain(core: Core, services: Services, server: GatewayServer, operations: Operations) -> None:
    """Answer what is under way, then close everybody; both within ``drain_seconds``, or at once on a second wish."""
    seconds, begun = operations.settings.drain_seconds, trio.current_time()
    operations.manager.extend(seconds + EXTENSION_SECONDS)
    async with trio.open_nursery() as hurrying:
        patience = trio.CancelScope(deadline=begun + seconds)
        hurrying.start_soon(_hurry, operations.stop, patience, server)
        with patience:
            await core.writer.drain()
            await services.answered()
        left = 0 if operations.stop.hurried.is_set() else begun + seconds - trio.current_time()
        late = await server.drain(max(left, LAST_WORDS_SECONDS), random.Random())
        if late:
            log.warning("%d connections were cut off at the deadline", late)
        hurrying.cancel_scope.cancel()


async def _hurry(stop: Stop, patience: trio.CancelScope, server: GatewayServer) -> None:
    await stop.hurried.wait()
    patience.cancel()
    server.hurry()


def _journal_progress(core: Core) -> JournalProgress:
    """What systemd's watchdog is fed for: the loop turns, and the journal writes what it has to write."""
    writer = core.writer
    return JournalProgress(
        lambda: writer.head - writer.durable_head, lambda: writer.counters.commits + writer.counters.rollbacks
    )


def _services(settings: Settings, core: Core, lifecycle: Lifecycle, operations: Operations) -> Services:
    def status() -> DaemonStatus:
        return DaemonStatus(
            lifecycle=lifecycle.state,
            server_version=VERSION,
            instance=core.store.instance,
            epoch=core.store.epoch,
            head=core.writer.durable_head,
            projected=core.projector.sequence,
            warm_wallets=len(core.roster),
            sessions=len(services.endpoints),
            started_at=lifecycle.started_at,
            compaction=services.compaction(),
        )

    admission = Admission(TokenRegister(core.clients, core.clock))
    core.on_clients_changed = admission.review
    services = Services(
        decisions=core.decisions,
        command_ids=core.command_ids,
        reads=core.reads,
        visibility=core.visibility,
        history_clock=core.history_clock,
        load=core.load,
        publisher=core.publisher,
        projector=core.projector,
        readings=core.readings,
        audits=core.audits,
        history=core.history,
        index=core.index,
        books=core.books,
        admission=admission,
        operations=operations,
        limits=limits_of(settings),
        clock=core.clock,
        lifecycle=lambda: lifecycle.state,
        status=status,
        server_version=VERSION,
        instance=core.store.instance,
        created_at=core.store.created_at,
        epoch=core.store.epoch,
        heartbeat_ms=int(settings.heartbeat_seconds * 1000),
        max_event_bytes=settings.max_event_bytes,
        authentication_seconds=settings.authentication_seconds,
    )
    return services


def _gateway(
    settings: Settings,
    ways: Ways,
    services: Services,
    turns: CommitAtOnce,
    lifecycle: Lifecycle,
    operations: Operations,
) -> GatewayServer:
    doors = ways.doors

    def open_endpoint(connection: Connection, handshake: Handshake) -> ClientEndpoint:
        grant = None
        if handshake.token is not None:
            grant = services.register.grant_of(handshake.token)
        elif connection.certified is not None:
            grant = services.register.grant_of_principal(connection.certified)
        session = Session(services.register, services.limits, grant, doors.rates.throttle())
        endpoint = ClientEndpoint(services, session, connection, connection_id(), dispatch.answer)
        about_connection(endpoint.connection_id)
        return endpoint

    policy, deadlines, caps = _terms(settings, services, lifecycle, operations)
    return GatewayServer(
        settings.host,
        settings.port,
        policy,
        deadlines,
        doors.bounds,
        caps,
        open_endpoint,
        ways.inherited,
        reserved=ways.reserved,
        certificates=doors.certificates,
        unix_socket=doors.unix_socket,
        turns=turns,
        proxies=doors.proxies,
        spares_descriptors=SPARED_BY_CLIENTS,
    )


def _terms(
    settings: Settings, services: Services, lifecycle: Lifecycle, operations: Operations
) -> tuple[Policy, Deadlines, Caps]:
    """The reloadable terms: which connections are admitted, and the time limits of a peer."""
    return terms_of(
        settings,
        status_pages(lifecycle, operations).page,
        admits=lambda token: services.register.grant_of(token) is not None,
        is_draining=lambda: lifecycle.state is DaemonState.DRAINING,
    )


def _tell_sessions(services: Services, state: DaemonState) -> None:
    notice = LifecycleNotice(state, RESTART_RETRY_MS if state is DaemonState.DRAINING else None)
    for endpoint in services.endpoints:
        endpoint.notify("lifecycle", notice)


def _exit_code(failure: BaseException) -> int:
    match failure:
        case ConfigurationError() | CertificateUnusable():
            return EXIT_CONFIGURATION
        case JournalCorrupt():
            return EXIT_DAMAGED
        case JournalLocked():
            return EXIT_TRY_LATER
        case ListenFailed():
            return EXIT_UNAVAILABLE
        case JournalUnsupported():
            return EXIT_CONFIGURATION
        case JournalFailure() | OSError():
            return EXIT_INPUT_OUTPUT
        case _:
            return EXIT_SOFTWARE
