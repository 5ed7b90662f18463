"""A watch over the event loop, from a thread of its own: a loop that stands answers nobody, and can tell nobody.

    nursery.start_soon(LoopWatch().run)

Systemd's watchdog does the same from outside, where there is systemd.  What can stop the loop: a call that should not
block and does, as a thread's start does for ever where memory ran out at the wrong moment (measured with RLIMIT_AS).
"""

import faulthandler
import os
import sys
import threading
import time

import trio

from walletd.journal.failures import EXIT_JOURNAL_UNCERTAIN

MOST_TICKS = 60
"""So many seconds, counted by the watching thread, without a turn of the loop end the process.  A process that was
stopped and goes on, or a machine that slept, has not counted meanwhile."""


class LoopWatch:
    """Counts the turns of the loop; ends the process with 70 where they do not come."""

    def __init__(self) -> None:
        self._turns = 0
        self._is_over = False

    async def run(self) -> None:
        """Watch until cancelled."""
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()
        try:
            while True:
                self._turns += 1
                await trio.sleep(1)
        finally:
            self._is_over = True

    def _watch(self) -> None:
        seen, ticks = -1, 0
        while not self._is_over:
            time.sleep(1)
            ticks = ticks + 1 if self._turns == seen else 0
            seen = self._turns
            if ticks >= MOST_TICKS:
                _end()


def _end() -> None:
    """Say what every thread does, without the locks that logging takes, and end."""
    os.write(2, b"walletd: the event loop has not answered and not turned for a minute; the process ends\n")
    faulthandler.dump_traceback(sys.__stderr__ or 2, all_threads=True)
    os._exit(EXIT_JOURNAL_UNCERTAIN)
