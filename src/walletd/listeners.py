"""What the configuration says of the ways in: certificates, who is meant by a client's, the unix socket, limits.

certificates = certificates_of(settings)           # None without TLS
unix_socket = unix_socket_of(settings)             # None without one
"""

import ipaddress
import logging

from walletd.config import ConfigurationError, Settings
from walletd.gateway.tls import CertificateFiles, Certificates
from walletd.gateway.unix_socket import UnixSocket
from walletd.protocol.envelope import Limits
from walletd.protocol.rates import Rates

log = logging.getLogger(__name__)


def certificates_of(settings: Settings) -> Certificates | None:
    """The certificates, loaded.  Raises ConfigurationError and CertificateUnusable."""
    if settings.tls_certificate is None:
        for name in ("tls_key", "tls_client_authority"):
            if getattr(settings, name) is not None:
                raise ConfigurationError(f"{name} is set and tls_certificate is not: name the certificate, too")
        _warn_of_plain_text(settings.host)
    if settings.certificate_principals and settings.tls_client_authority is None:
        raise ConfigurationError("certificate_principals needs tls_client_authority, which says whom to believe")
    if settings.tls_certificate is None:
        return None
    files = CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
    return Certificates(files, settings.certificate_principals)


def unix_socket_of(settings: Settings) -> UnixSocket | None:
    """The unix socket to listen on, too."""
    if settings.unix_socket is None:
        return None
    return UnixSocket(settings.unix_socket, int(settings.unix_socket_mode, 8))


def limits_of(settings: Settings) -> Limits:
    """What a session is told in its hello."""
    return Limits(
        max_frame_bytes=settings.max_frame_bytes,
        max_in_flight=settings.max_in_flight,
        max_subscriptions=settings.max_subscriptions,
        rate=settings.max_requests_per_second,
        principal_rate=settings.max_requests_per_second_of_principal,
        guest_rate=settings.max_requests_per_second_of_guest,
        max_in_flight_bytes=settings.max_in_flight_bytes,
        max_fragments=settings.max_fragments,
        pings_per_second=settings.max_pings_per_second,
        authentication_ms=int(settings.authentication_seconds * 1000),
        write_stall_ms=int(settings.write_stall_seconds * 1000),
    )


def rates_of(settings: Settings) -> Rates:
    """How fast sessions may ask."""
    return Rates(
        session=settings.max_requests_per_second,
        principal=settings.max_requests_per_second_of_principal,
        guest=settings.max_requests_per_second_of_guest,
    )


def _warn_of_plain_text(host: str) -> None:
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        log.warning("%s is reached without TLS: tokens can be read on the way; set tls_certificate", host)
