"""A watch over the event loop and over its end, from a thread of its own: what stands answers nobody, and tells nobody.

    watch = LoopWatch()
    nursery.start_soon(watch.run)                      # from when it serves

The process has ended within ``MOST_TICKS`` seconds of the loop's last turn, or the watch ends it: the interpreter waits
for every thread that is left, and what would end the process in spite of them may lack the memory for it (measured).

Systemd's watchdog does the same from outside, where there is systemd.  What can stop the loop or the end: a call that
should not block and does, a thread that dies at its start and leaves who waits for it waiting (measured, where memory
ran out).  And the interpreter itself, which tries the same step of an exception again and again while there is no
memory for it (CPython 3.11 to 3.13: the position of a handler is a number on the heap), and lets no thread run
meanwhile: the kernel, which counts the processor time since the last turn, ends it then by SIGPROF.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time

import trio

from walletd.logs.outlet import say_last, unblocking_stderr
from walletd.runtime.awake_clock import AwakeClock
from walletd.runtime.ending import EXIT_SOFTWARE

log = logging.getLogger("walletd.daemon")

MOST_TICKS = 30
"""So many seconds without a turn of the loop, or of an end that does not come, end the process.  The watching thread
counts them: a process that was stopped, or a machine that slept, has not counted meanwhile."""

MOST_CPU_SECONDS = 60.0
"""So much processor time of all threads without a turn of the loop: what ends the process where no thread can count."""


class LoopWatch:
    """Counts the turns of the loop; ends the process with 70 where they do not come."""

    def __init__(self) -> None:
        self.clock = AwakeClock()
        """What trio's deadlines go by."""
        self._told_seconds = 0.0
        self._turns = 0
        self._is_over = False

    async def run(self) -> None:
        """Watch until ``over``; once this is cancelled, no turns count any more, and the end has to come."""
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()
        sys.unraisablehook = _unraisable
        while True:
            self._turns += 1
            signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)
            self._tell_of_standstills()
            await trio.sleep(1)

    def _tell_of_standstills(self) -> None:
        stood, self._told_seconds = self.clock.stood_seconds - self._told_seconds, self.clock.stood_seconds
        if stood:
            log.warning(
                "walletd stood still for %.1f s: it was stopped, or the machine was paused or had no time for it; "
                "no deadline counts them",
                stood,
            )

    def over(self) -> None:
        """Watch no longer: for a process that goes on after its daemon, as one of tests does."""
        self._is_over = True
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _watch(self) -> None:
        seen, ticks = -1, 0
        while not self._is_over:
            time.sleep(1)
            ticks = ticks + 1 if self._turns == seen else 0
            seen = self._turns
            if ticks >= MOST_TICKS and not self._is_over:
                _end()


def _unraisable(raised: "sys.UnraisableHookArgs") -> None:
    """A thread that memory ran out for at its start, for one: who started it waits for it for ever."""
    if isinstance(raised.exc_value, MemoryError):
        _end()
    sys.__unraisablehook__(raised)


def _end() -> None:
    """Say what every thread does, without the locks that logging takes, and end."""
    say_last("walletd: the event loop stands, or does not end, or cannot go on; the process ends\n")
    faulthandler.dump_traceback(unblocking_stderr(), all_threads=True)
    os._exit(EXIT_SOFTWARE)
