"""The listeners in the configuration: certificates, the unix socket, the permitted peers, and the limits.

parts = listener_parts_of(settings)                # at the start: the parts that stay until the end
policy, deadlines, caps = terms_of(settings, ...)  # at the start, and with every reload
"""

import ipaddress
import logging
from collections.abc import Callable, Sequence
from socket import gethostname, socket
from typing import NamedTuple

from walletd.daemon.descriptors import most_connections
from walletd.daemon.limits import MEBIBYTE
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.places import Caps
from walletd.gateway.network.server import Network
from walletd.gateway.network.tls import CertificateFiles, Certificates
from walletd.gateway.network.unix_socket import UnixSocket
from walletd.gateway.websocket.allow_lists import canonical_origin, configured_host
from walletd.gateway.websocket.handshake import LOOPBACK_HOSTS, Page, Policy
from walletd.sessions.rates import RateBook, Rates
from walletd.settings.settings import ConfigurationError, Settings

log = logging.getLogger("walletd.daemon")


class ListenerParts(NamedTuple):
    """The parts that are made once and last."""

    certificates: Certificates | None
    unix_socket: UnixSocket
    bounds: Bounds
    rates: RateBook
    proxies: tuple[Network, ...]
    traffic: TrafficCounters

    def refresh(self) -> None:
        """Load a new certificate, if there is one."""
        if self.certificates is not None:
            self.certificates.refresh()


def listener_parts_of(settings: Settings, inherited: Sequence[socket] = ()) -> ListenerParts:
    """The listeners' lasting parts; ``inherited`` are the clients' listeners that systemd opened.

    Raises ConfigurationError and CertificateUnusable.
    """
    if settings.tls_certificate is None:
        _refuse_plain_text(settings, inherited)
    bounds = Bounds(
        high=settings.max_reply_bytes,
        low=min(64 * 1024, settings.max_reply_bytes),
        in_all=settings.max_buffered_mebibytes * MEBIBYTE,
    )
    return ListenerParts(
        certificates_of(settings),
        unix_socket_of(settings),
        bounds,
        RateBook(rates_of(settings)),
        proxies_of(settings),
        TrafficCounters(),
    )


def terms_of(
    settings: Settings, page: Page, admits: Callable[[str], bool], is_draining: Callable[[], bool]
) -> tuple[Policy, Deadlines, Caps]:
    """The reloadable terms: which connections are admitted, and the time limits of a peer."""
    policy = Policy(
        allowed_hosts=LOOPBACK_HOSTS | {configured_host(host) for host in (settings.host, *settings.allowed_hosts)},
        allowed_origins=frozenset(map(canonical_origin, settings.allowed_origins)),
        max_message_bytes=settings.max_frame_bytes,
        page=page,
        admits=admits,
        is_draining=is_draining,
        compresses=settings.compression,
        answers_requests=True,
        max_fragments=settings.max_fragments,
        pings_per_second=settings.max_pings_per_second,
    )
    deadlines = Deadlines(
        handshake_seconds=settings.handshake_seconds,
        write_stall_seconds=settings.write_stall_seconds,
        ping_seconds=settings.ping_seconds,
        ping_timeout_seconds=settings.ping_seconds,
    )
    return policy, deadlines, caps_of(settings)


def caps_of(settings: Settings) -> Caps:
    """The limits on connections, each as far as there are so many in all."""
    most = most_connections(settings.max_connections)
    return Caps(
        connections=most,
        connections_per_address=settings.max_connections_per_address,
        guests=min(most, settings.max_connections_of_guests),
        reserved=min(most // 2, settings.connections_for_operators),
    )


def certificates_of(settings: Settings) -> Certificates | None:
    """The certificates, loaded.  Raises ConfigurationError and CertificateUnusable."""
    if settings.tls_certificate is None:
        for name in ("tls_key", "tls_client_authority"):
            if getattr(settings, name) is not None:
                raise ConfigurationError(f"{name} is set but tls_certificate is not: set the certificate, too")
    if settings.certificate_principals and settings.tls_client_authority is None:
        raise ConfigurationError(
            "certificate_principals needs tls_client_authority, which names the authority to trust"
        )
    if settings.tls_certificate is None:
        return None
    files = CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
    return Certificates(files, settings.certificate_principals)


def unix_socket_of(settings: Settings) -> UnixSocket:
    """The clients' unix socket; the default one is for the daemon's user only, and not needed."""
    if settings.unix_socket is None:
        return UnixSocket(settings.socket, is_needed=False)
    return UnixSocket(settings.unix_socket, int(settings.unix_socket_mode, 8))


def node_url_of(settings: Settings, bound: Sequence[socket]) -> str:
    """The URL at which clients reach this node; ``bound`` are their listeners."""
    if settings.node_url:
        return settings.node_url
    names = [name for one in bound if isinstance(name := one.getsockname(), tuple)]
    host, port = (str(names[0][0]), names[0][1]) if names else (settings.host, settings.port)
    if host in ("0.0.0.0", "::"):
        host = gethostname()
    scheme = "ws" if settings.tls_certificate is None else "wss"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def admin_socket_of(settings: Settings) -> UnixSocket | None:
    """The operators' unix socket, if one is configured."""
    if settings.admin_unix_socket is None:
        return None
    return UnixSocket(settings.admin_unix_socket, int(settings.unix_socket_mode, 8))


def proxies_of(settings: Settings) -> tuple[Network, ...]:
    """The networks whose connections begin with a header of the PROXY protocol.  Raises ConfigurationError."""
    try:
        return tuple(ipaddress.ip_network(network) for network in settings.proxy_protocol_from)
    except ValueError as error:
        raise ConfigurationError(
            f'proxy_protocol_from takes addresses and networks such as "10.0.0.7" or "10.1.0.0/16": {error}'
        ) from None


def rates_of(settings: Settings) -> Rates:
    """The request rates of sessions."""
    return Rates(
        session=settings.max_requests_per_second,
        guest=settings.max_requests_per_second_of_guest,
    )


def _refuse_plain_text(settings: Settings, inherited: Sequence[socket]) -> None:
    """Raise ConfigurationError if tokens would cross a network in plain text, unless the configuration says so."""
    names = [one.getsockname() for one in inherited]
    hosts = [str(name[0]) for name in names if isinstance(name, tuple)] if names else [settings.host]
    beyond = [host for host in hosts if not _is_loopback(host)]
    if beyond and not settings.plain_text:
        raise ConfigurationError(
            f"{beyond[0]} can be reached from other machines without TLS, so tokens could be read in transit: set "
            "tls_certificate, or, if something before walletd encrypts or the network is trusted, plain_text = true "
            "(WALLETD_PLAIN_TEXT=true)"
        )
    for host in beyond:
        log.warning("%s is reachable without TLS, so tokens can be read in transit; set tls_certificate", host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
