"""The daemon: everything that walletd is made of, put together in one place.

    exit_code = serve(settings, announce, report)

Reads from top to bottom like a table of contents.  Only this module knows everyone; it owns the clock and the
randomness, and moves the lifecycle.  The nesting is the order of the end: first nobody new is let in, then what is
under way is answered, then the journal is closed.
"""

import gc
import logging
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import NamedTuple, NoReturn

import trio

from walletd.config import ConfigurationError, Settings
from walletd.core import Core, wall_clock
from walletd.gateway import dispatch
from walletd.gateway.connection import Bounds, Connection, Deadlines
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.handshake import LOOPBACK_HOSTS, Handshake, Policy
from walletd.gateway.http_pages import StatusPages
from walletd.gateway.server import Caps, GatewayServer, ListenFailed
from walletd.gateway.services import Services, connection_id
from walletd.journal.failures import JournalCorrupt, JournalFailure, JournalLocked, JournalUnsupported
from walletd.journal.sqlite_store import SqliteJournalStore, open_journal
from walletd.lifecycle import Lifecycle
from walletd.metrics import DaemonCollector, MetricsPage
from walletd.operator_token import operator_register
from walletd.protocol.access import TokenRegister
from walletd.protocol.envelope import LifecycleNotice, Limits
from walletd.protocol.messages import CompactionStatus, DaemonStatus
from walletd.protocol.session import Session
from walletd.vocabulary.lifecycle import DaemonState
from walletd.wallets.compaction import Compaction, CompactionPolicy
from walletd.wallets.read_tables import ReadTablesRotten, delete_read_tables
from walletd.wallets.readings import Readings, open_readings
from walletd.wallets.recovery import Recovered, Report, recover

log = logging.getLogger(__name__)

MEBIBYTE = 1024 * 1024
RESTART_RETRY_MS = 1000
MAX_ADMIN_CONNECTIONS = 64
GARBAGE_THRESHOLDS = (50_000, 20, 50)

# sysexits.h: what a service manager can tell apart.
EXIT_DAMAGED = 65
EXIT_UNAVAILABLE = 69
EXIT_SOFTWARE = 70
EXIT_INPUT_OUTPUT = 74
EXIT_LOCKED = 75
EXIT_CONFIGURATION = 78


class Announcement(NamedTuple):
    """What a person who started the daemon wants to know once it serves."""

    url: str
    settings: Settings
    head: int
    rebuilt: bool
    admin_url: str = ""


Announce = Callable[[Announcement], None]


def serve(settings: Settings, announce: Announce, report: Report) -> int:
    """Run the daemon until it is told to stop.  Returns the exit code; what ended it is logged in one line."""
    try:
        trio.run(_run, settings, announce, report, restrict_keyboard_interrupt_to_checkpoints=True)
        return 0
    except Exception as raised:
        failure = _first(raised)
        if isinstance(failure, ReadTablesRotten):
            delete_read_tables(settings.data)
        if isinstance(failure, ConfigurationError | ListenFailed | JournalFailure | ReadTablesRotten | OSError):
            log.error("%s", failure)
        else:
            log.exception("walletd met a fault of its own and ends")
        return _exit_code(failure)


class Stop:
    """The wish that the daemon ends.  It cuts a recovery short; from serving on, it is waited for."""

    def __init__(self) -> None:
        self.wished = trio.Event()
        self.recovery = trio.CancelScope()

    async def listen(self) -> None:
        """Take SIGTERM and SIGINT as the wish."""
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                log.info("told to stop by %s", signal.Signals(number).name)
                self.wished.set()
                self.recovery.cancel()


async def _run(settings: Settings, announce: Announce, report: Report) -> None:
    lifecycle, stop = Lifecycle(wall_clock), Stop()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop.listen)
            async with open_journal(
                settings.data, space_floor_bytes=settings.space_floor_mebibytes * MEBIBYTE
            ) as store:
                register = operator_register(settings.token_file)
                lifecycle.move(DaemonState.RECOVERING)
                await _recover_and_serve(settings, store, register, lifecycle, stop, announce, report)
            nursery.cancel_scope.cancel()
        if lifecycle.state is not DaemonState.DRAINING:
            lifecycle.move(DaemonState.DRAINING)
        lifecycle.move(DaemonState.STOPPED)
    except BaseException:
        lifecycle.move(DaemonState.FAILED)
        raise


async def _recover_and_serve(
    settings: Settings,
    store: SqliteJournalStore,
    register: TokenRegister,
    lifecycle: Lifecycle,
    stop: Stop,
    announce: Announce,
    report: Report,
) -> None:
    with stop.recovery:
        recovered = await recover(store, settings.data, report)
    if stop.recovery.cancelled_caught:
        return
    try:
        async with _reading(recovered) as readings:
            await _audit(readings)
            core = Core(settings, store, recovered, readings, await store.head())
            core.books.assets.update({asset.asset: asset for asset in await readings.assets()})
            await _serve(settings, core, register, lifecycle, stop, announce, recovered.rebuilt)
            await core.projector.drain()
    finally:
        with trio.CancelScope(shield=True):
            await recovered.tables.aclose()


@asynccontextmanager
async def _reading(recovered: Recovered) -> AsyncIterator[Readings]:
    readings = await open_readings(recovered.tables.path)
    try:
        yield readings
    finally:
        with trio.CancelScope(shield=True):
            await readings.aclose()


async def _audit(readings: Readings) -> None:
    """Refuse to serve books in which money was made or lost."""
    audit = await readings.audit()
    if audit.violations:
        raise JournalCorrupt(f"the books do not add up: {'; '.join(audit.violations[:3])}")


async def _serve(
    settings: Settings,
    core: Core,
    register: TokenRegister,
    lifecycle: Lifecycle,
    stop: Stop,
    announce: Announce,
    rebuilt: bool,
) -> None:
    async with core.running():
        if core.writer.head == 0:
            await core.open_external()
        services = _services(settings, core, register, lifecycle)
        server = _gateway(settings, services, lifecycle)
        compaction = _compaction(settings, core, services, lifecycle)
        _follow_the_journal(core, lifecycle, compaction)
        lifecycle.watch(lambda state: _tell_sessions(services, state))
        async with trio.open_nursery() as edge:
            await edge.start(services.run)
            addresses = await edge.start(server.serve)
            admin = _admin(settings, core, server, lifecycle, compaction)
            admin_addresses = await edge.start(_serve_operators, admin)
            _collect_garbage_rarely()
            lifecycle.move(DaemonState.SERVING)
            await edge.start(compaction.run)
            url, admin_url = f"ws://{addresses[0]}", f"http://{admin_addresses[0]}"
            announce(Announcement(url, settings, core.writer.durable_head, rebuilt, admin_url))
            await stop.wished.wait()
            lifecycle.move(DaemonState.DRAINING)
            compaction.stop()
            await core.writer.drain()
            await server.drain(settings.drain_seconds, random.Random())
            edge.cancel_scope.cancel()


def _collect_garbage_rarely() -> None:
    """What is there now stays; what commands allocate dies by reference count.

    With Python's own thresholds a tenth to a third of the time of a busy daemon went into looking for cycles that are
    not there (measured: 1.2 times the commands per second, a third of the p99 at 64 clients).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _services(settings: Settings, core: Core, register: TokenRegister, lifecycle: Lifecycle) -> Services:
    def status() -> DaemonStatus:
        return DaemonStatus(
            lifecycle=lifecycle.state,
            server_version=version("walletd"),
            instance=core.store.instance,
            epoch=core.store.epoch,
            head=core.writer.durable_head,
            projected=core.projector.sequence,
            warm_wallets=len(core.roster),
            sessions=len(services.endpoints),
            started_at=lifecycle.started_at,
            compaction=services.compaction(),
        )

    services = Services(
        supervisor=core.supervisor,
        publisher=core.publisher,
        projector=core.projector,
        readings=core.readings,
        history=core.history,
        index=core.index,
        books=core.books,
        register=register,
        limits=Limits(settings.max_frame_bytes, settings.max_in_flight, settings.max_subscriptions),
        clock=wall_clock,
        lifecycle=lambda: lifecycle.state,
        status=status,
        server_version=version("walletd"),
        instance=core.store.instance,
        created_at=core.store.created_at,
        epoch=core.store.epoch,
        heartbeat_ms=int(settings.heartbeat_seconds * 1000),
        max_event_bytes=settings.max_event_bytes,
        authentication_seconds=settings.authentication_seconds,
    )
    return services


def _gateway(settings: Settings, services: Services, lifecycle: Lifecycle) -> GatewayServer:
    def open_endpoint(connection: Connection, handshake: Handshake) -> ClientEndpoint:
        grant = None if handshake.token is None else services.register.grant_of(handshake.token)
        session = Session(services.register, services.limits, grant)
        return ClientEndpoint(services, session, connection, connection_id(), dispatch.answer)

    policy = Policy(
        allowed_hosts=LOOPBACK_HOSTS | {settings.host.lower()} | set(settings.allowed_hosts),
        allowed_origins=frozenset(settings.allowed_origins),
        max_message_bytes=settings.max_frame_bytes,
        page=StatusPages(lambda: lifecycle.state).page,
        admits=lambda token: services.register.grant_of(token) is not None,
        is_draining=lambda: lifecycle.state is DaemonState.DRAINING,
    )
    deadlines = Deadlines(
        handshake_seconds=settings.handshake_seconds, write_stall_seconds=settings.write_stall_seconds
    )
    caps = Caps(settings.max_connections, settings.max_connections_per_address)
    return GatewayServer(settings.host, settings.port, policy, deadlines, Bounds(), caps, open_endpoint)


def _admin(
    settings: Settings, core: Core, gateway: GatewayServer, lifecycle: Lifecycle, compaction: Compaction
) -> GatewayServer:
    """The listener for operators: metrics and status pages over plain HTTP, and nothing that speaks websocket."""

    def no_endpoint(connection: Connection, handshake: Handshake) -> NoReturn:
        raise AssertionError("nobody can be let in here")

    collector = DaemonCollector(core, gateway.traffic, lifecycle, compaction, version("walletd"))
    policy = Policy(
        allowed_hosts=frozenset(),
        allowed_origins=frozenset(),
        max_message_bytes=settings.max_frame_bytes,
        page=MetricsPage(collector, StatusPages(lambda: lifecycle.state).page).page,
        admits=lambda token: False,
        is_draining=lambda: False,
    )
    deadlines = Deadlines(handshake_seconds=settings.handshake_seconds)
    caps = Caps(MAX_ADMIN_CONNECTIONS, MAX_ADMIN_CONNECTIONS)
    return GatewayServer(
        settings.admin_host, settings.admin_listen_port, policy, deadlines, Bounds(), caps, no_endpoint
    )


async def _serve_operators(admin: GatewayServer, task_status: trio.TaskStatus[list[str]]) -> None:
    try:
        await admin.serve(task_status)
    except ListenFailed as error:
        raise ListenFailed(f"the listener for operators, set by admin_port (or WALLETD_ADMIN_PORT): {error}") from error


def _compaction(settings: Settings, core: Core, services: Services, lifecycle: Lifecycle) -> Compaction:
    """Compaction is a state of its own, and begins only while the daemon serves."""
    policy = CompactionPolicy(
        settings.compact_keep_entries,
        settings.compact_when_mebibytes * MEBIBYTE or None,
        timedelta(days=settings.compact_when_days) or None,
        settings.compact_at or None,
    )
    assert isinstance(core.store, SqliteJournalStore)
    floor = settings.space_floor_mebibytes * MEBIBYTE
    compaction = Compaction(
        core.store, core.projector, settings.data, policy, clock=wall_clock, space_floor_bytes=floor
    )

    def begin() -> bool:
        is_serving = lifecycle.state is DaemonState.SERVING
        if is_serving:
            lifecycle.move(DaemonState.COMPACTING)
        return is_serving

    def end() -> None:
        if lifecycle.state is DaemonState.COMPACTING:
            lifecycle.move(DaemonState.SERVING)

    def compact(keep_entries: int | None) -> CompactionStatus | None:
        if lifecycle.state not in (DaemonState.SERVING, DaemonState.COMPACTING):
            return None
        compaction.request(keep_entries)
        return compaction.status

    compaction.on_begin, compaction.on_end = begin, end
    services.compact, services.compaction = compact, lambda: compaction.status
    return compaction


def _follow_the_journal(core: Core, lifecycle: Lifecycle, compaction: Compaction) -> None:
    """A full disk degrades the daemon; space that is there again makes it serve."""

    def degraded() -> None:
        if lifecycle.state in (DaemonState.SERVING, DaemonState.COMPACTING):
            compaction.stop()
            lifecycle.move(DaemonState.DEGRADED)

    def writable() -> None:
        if lifecycle.state is DaemonState.DEGRADED:
            lifecycle.move(DaemonState.SERVING)

    core.on_degraded, core.on_writable = degraded, writable


def _tell_sessions(services: Services, state: DaemonState) -> None:
    notice = LifecycleNotice(state, RESTART_RETRY_MS if state is DaemonState.DRAINING else None)
    for endpoint in services.endpoints:
        endpoint.notify("lifecycle", notice)


def _first(failure: BaseException) -> BaseException:
    """The failure that a group of groups was made for."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _exit_code(failure: BaseException) -> int:
    match failure:
        case ConfigurationError():
            return EXIT_CONFIGURATION
        case JournalCorrupt():
            return EXIT_DAMAGED
        case JournalLocked():
            return EXIT_LOCKED
        case ListenFailed():
            return EXIT_UNAVAILABLE
        case JournalUnsupported():
            return EXIT_CONFIGURATION
        case JournalFailure() | OSError():
            return EXIT_INPUT_OUTPUT
        case _:
            return EXIT_SOFTWARE
