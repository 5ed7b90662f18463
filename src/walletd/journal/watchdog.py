"""The watchdog of the journal: calls of the store that end the process if they fail, or never return.

watchdog = Watchdog(die, seconds=30)
await watchdog.call(store.append, head, segment)   # JournalFull passes
"""

import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

import trio

from walletd.journal.failures import JournalFull, LeadershipLost

log = logging.getLogger("walletd.journal")


class Watchdog:
    """Ends the process when nothing in memory may be trusted any more."""

    __slots__ = ("_die", "_seconds")

    def __init__(self, die: Callable[[str], NoReturn], seconds: float) -> None:
        self._die = die
        self._seconds = seconds

    async def call(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Await a call of the store, shielded.  JournalFull and LeadershipLost pass; any other failure ends the
        process, and so does silence.

        The deadline exists because a dead worker thread never answers.
        """
        patience = trio.CancelScope(deadline=trio.current_time() + self._seconds, shield=True)
        try:
            with patience:
                await function(*arguments)
        except (JournalFull, LeadershipLost):
            raise
        except BaseException as failure:
            self.end(str(failure) or repr(failure))
        if patience.cancelled_caught:
            self._die(f"the journal has not answered for {self._seconds:g} s")

    def end(self, reason: str) -> NoReturn:
        """End the process, because of the exception that is being handled."""
        log.critical("%s", reason, exc_info=True)
        self._die(reason)
