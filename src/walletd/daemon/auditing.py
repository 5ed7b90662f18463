"""The audit at a start: books in which money was created or lost are not served, and a long audit does not delay the
start.

    await audit_at_start(audit, operations.audited)    # about a second of it, before any client is admitted
    nursery.start_soon(audit_beside, audit, operations.audited)

The part that takes longer than a second continues while the daemon serves.  A violation found then ends the daemon, as
it would have at the start.
"""

import logging
from collections.abc import Callable

import trio

from walletd.journal.failures import JournalCorrupt
from walletd.upkeep.books_audit import Audit

PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.02
"""The pause between two pages while serving: the audit takes a tenth of a processor."""

log = logging.getLogger("walletd.daemon")


async def audit_at_start(audit: Audit, audited: Callable[[int], None]) -> None:
    """Audit for a while.  Raises JournalCorrupt if the books do not add up, ReadTablesRotten."""
    with trio.move_on_after(PATIENCE_SECONDS):
        await audit.go_on()
    if audit.is_done:
        _conclude(audit, audited)


async def audit_beside(audit: Audit, audited: Callable[[int], None]) -> None:
    """Audit the rest, slowly.  Raises the same as ``audit_at_start``."""
    if not audit.is_done:
        await audit.go_on(PAUSE_SECONDS)
        _conclude(audit, audited)
        log.info("audit passed: every balance was checked")


def _conclude(audit: Audit, audited: Callable[[int], None]) -> None:
    audited(len(audit.violations))
    if audit.violations:
        raise JournalCorrupt(f"the books do not add up: {'; '.join(audit.violations[:3])}")
