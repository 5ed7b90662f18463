"""File descriptors: their limit, and their distribution, so that connections leave some for other uses.

    raise_limit()
    most = most_connections(settings.max_connections)

The daemon itself needs few, but at moments that it does not choose: an old entry is in a file, a compaction starts a
process, a certificate was renewed.  Those are reserved, and some more for the operators' listener: the gateway gives no
connection a descriptor from the upper end of the system's limit (``GatewayServer``).
"""

import logging
import resource
import sys

from walletd.gateway.network.places import TURNED_AWAY_AT_ONCE
from walletd.settings.settings import ConfigurationError

KEPT_FOR_THE_DAEMON = 40
"""Files and databases of a compaction and the pipes of its process, a backup, reports, certificates, name look-ups."""

KEPT_FOR_OPERATORS = 16
"""Connections to the operators' listener that find a descriptor when clients have taken all others."""

SPARED_BY_CLIENTS = KEPT_FOR_THE_DAEMON + KEPT_FOR_OPERATORS
SPARED_BY_OPERATORS = KEPT_FOR_THE_DAEMON

OPEN_AT_WORK = 40
"""The approximate number open in a serving daemon: databases, locks, listeners, pipes of the event loop."""

LEAST = OPEN_AT_WORK + SPARED_BY_CLIENTS + 32

log = logging.getLogger("walletd.daemon")


def raise_limit() -> None:
    """Raise the soft limit on open files to the hard one.  Raises ConfigurationError if that is too low.

    Nothing here uses select(2), the reason why systems keep the soft limit low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit on open files stays at %d: %s", soft, error)
    if (limit := _limit()) < LEAST:
        raise ConfigurationError(
            f"{limit} open files are permitted, but walletd needs at least {LEAST}: raise the limit (ulimit -n, or "
            "LimitNOFILE= under systemd)"
        )


def most_connections(wanted: int) -> int:
    """The number of connections possible at once: the wanted number or, with a line in the log, fewer."""
    limit = _limit()
    room = limit - SPARED_BY_CLIENTS - OPEN_AT_WORK
    most = min(wanted, max(1, room - TURNED_AWAY_AT_ONCE, room // 2))
    if most < wanted:
        log.warning(
            "max_connections is %d, but %d open files are permitted: %d connections at most; raise the limit "
            "(ulimit -n, or LimitNOFILE= under systemd) or lower max_connections",
            wanted,
            limit,
            most,
        )
    return most


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
