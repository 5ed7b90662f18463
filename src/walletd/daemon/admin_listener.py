"""The listeners: bound before anything long begins, and open for operators from the first second.

    listeners = await open_listeners(settings, lifecycle, operations, nursery)
    listeners.metrics.show(collector)                       # once there is more to count

A recovery may take minutes.  An address that cannot be bound is found before it, and an operator can see that the
daemon lives, and how far it is.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from socket import socket
from typing import NamedTuple, NoReturn

import trio

from walletd.daemon.descriptors import SPARED_BY_OPERATORS
from walletd.daemon.listeners import ListenerParts, admin_socket_of, listener_parts_of
from walletd.daemon.metrics import MetricsPage, StartCollector
from walletd.daemon.operations import Operations
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.connection import Connection
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import GatewayServer, ListenFailed, reserve
from walletd.gateway.network.unix_socket import UnixSocketFailed
from walletd.gateway.pages.status import StatusPages
from walletd.gateway.websocket.allow_lists import configured_host
from walletd.gateway.websocket.handshake import LOOPBACK_HOSTS, Handshake, Policy
from walletd.journal.sqlite.directory import unlocked
from walletd.runtime.lifecycle import Lifecycle
from walletd.runtime.systemd import inherited_sockets
from walletd.settings.settings import Settings

VERSION = version("walletd")
"""From a file, once."""
MAX_ADMIN_CONNECTIONS = 64
"""The oldest one is dropped for a newcomer: Prometheus is served, whatever else is connected."""
ADMIN_CAPS = Caps(MAX_ADMIN_CONNECTIONS, MAX_ADMIN_CONNECTIONS, MAX_ADMIN_CONNECTIONS)
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})

log = logging.getLogger("walletd.daemon")


class Listeners(NamedTuple):
    """The listeners, bound before anything long begins; the operators' is open."""

    parts: ListenerParts
    inherited: Sequence[socket]
    """The clients' listeners that systemd opened."""
    reserved: Sequence[socket]
    """The clients' future addresses; connections before that are refused."""
    metrics: MetricsPage
    admin_url: str
    """http://HOST:PORT, or unix:PATH."""


async def open_listeners(
    settings: Settings, lifecycle: Lifecycle, operations: Operations, nursery: trio.Nursery
) -> Listeners:
    """Bind the addresses, and open the operators': a recovery may take minutes.

    Raises ConfigurationError, CertificateUnusable, ListenFailed; JournalLocked if that is why an address is in use.
    """
    sockets = inherited_sockets()
    parts = listener_parts_of(settings, sockets["ws"])
    metrics = MetricsPage(StartCollector(lifecycle, operations, VERSION), status_pages(lifecycle, operations).page)
    try:
        admin = _admin(settings, metrics, sockets["admin"])
        (admin_address, *_) = await nursery.start(_serve_operators, admin)
        operations.takers.append(lambda taken: admin.amend(*_admin_terms(taken, metrics)))
        admin_url = admin_address if admin_address.startswith("unix:") else f"http://{admin_address}"
        log.info("listening for operators at %s", admin_url)
        reserved = () if sockets["ws"] else await reserve(settings.host, settings.port)
        if parts.unix_socket.is_needed:
            parts.unix_socket.make_room()
    except (ListenFailed, UnixSocketFailed) as error:
        with unlocked(settings.data):
            raise ListenFailed(str(error)) from error
    return Listeners(parts, sockets["ws"], reserved, metrics, admin_url)


def status_pages(lifecycle: Lifecycle, operations: Operations) -> StatusPages:
    """The pages that tell whether the process lives, and whether it serves."""
    return StatusPages(lambda: lifecycle.state, operations.recovery)


def _admin(settings: Settings, metrics: MetricsPage, inherited: Sequence[socket]) -> GatewayServer:
    """The listener for operators: metrics and status pages over plain HTTP, without websockets."""

    def no_endpoint(connection: Connection, handshake: Handshake) -> NoReturn:
        raise AssertionError("this listener admits no client")

    host = settings.admin_host if settings.has_admin_port else ""
    return GatewayServer(
        host,
        settings.admin_listen_port,
        *_admin_terms(settings, metrics)[:2],
        Bounds(),
        ADMIN_CAPS,
        no_endpoint,
        inherited,
        unix_socket=admin_socket_of(settings),
        spares_descriptors=SPARED_BY_OPERATORS,
    )


def _admin_terms(settings: Settings, metrics: MetricsPage) -> tuple[Policy, Deadlines, Caps]:
    """The operators' terms.  A page of another site can be made to resolve to this address, but not to be a literal
    address: where the daemon listens on all of them, each is allowed.
    """
    hosts = (settings.admin_host, *settings.allowed_hosts)
    policy = Policy(
        allowed_hosts=LOOPBACK_HOSTS | {configured_host(host) for host in hosts},
        allowed_origins=frozenset(),
        max_message_bytes=settings.max_frame_bytes,
        page=metrics.page,
        admits=lambda token: False,
        is_draining=lambda: False,
        allows_addresses=settings.admin_host in ANY_ADDRESS,
        checks_pages=True,
    )
    return policy, Deadlines(handshake_seconds=settings.handshake_seconds), ADMIN_CAPS


async def _serve_operators(admin: GatewayServer, task_status: trio.TaskStatus[list[str]]) -> None:
    try:
        await admin.serve(task_status)
    except ListenFailed as error:
        raise ListenFailed(f"the listener for operators, set by admin_port (or WALLETD_ADMIN_PORT): {error}") from error
