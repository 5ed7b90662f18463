"""The daemon's end as an exit code and a line in the log."""

import logging

from walletd.gateway.network.server import ListenFailed
from walletd.gateway.network.tls import CertificateUnusable
from walletd.journal.failures import (
    JournalCorrupt,
    JournalFailure,
    JournalLocked,
    JournalUnsupported,
    LeadershipLost,
)
from walletd.runtime.ending import (
    EXIT_CONFIGURATION,
    EXIT_DAMAGED,
    EXIT_INPUT_OUTPUT,
    EXIT_SOFTWARE,
    EXIT_TRY_LATER,
    EXIT_UNAVAILABLE,
)
from walletd.runtime.threads import is_of_threads
from walletd.settings.settings import ConfigurationError
from walletd.tables.file import ReadTablesRotten

EXPLAINED = (ConfigurationError, CertificateUnusable, ListenFailed, JournalFailure, ReadTablesRotten, OSError)
"""Failures whose message says what to do: a traceback would say less."""

log = logging.getLogger("walletd.daemon")


def log_end(failure: BaseException) -> None:
    """Log in one line what ended the daemon, with its traceback if it is an internal error.  For an ``except``
    clause.
    """
    if isinstance(failure, EXPLAINED):
        log.error("%s", failure)
    elif is_of_threads(failure):
        log.error("cannot start a thread: raise the limit (ulimit -u, or TasksMax= under systemd)")
    else:
        log.exception("walletd stops after an internal error")


def exit_code_of(failure: BaseException) -> int:
    """The exit code for the failure that ended the daemon."""
    match failure:
        case ConfigurationError() | CertificateUnusable():
            return EXIT_CONFIGURATION
        case JournalCorrupt():
            return EXIT_DAMAGED
        case JournalLocked() | LeadershipLost():
            return EXIT_TRY_LATER
        case ListenFailed():
            return EXIT_UNAVAILABLE
        case JournalUnsupported():
            return EXIT_CONFIGURATION
        case JournalFailure() | OSError():
            return EXIT_INPUT_OUTPUT
        case _:
            return EXIT_SOFTWARE
