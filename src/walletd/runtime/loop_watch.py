"""A watch over the event loop and over its end, from a separate thread: a loop that stands answers no request and
reports nothing.

    watch = LoopWatch()
    nursery.start_soon(watch.run)                      # from when it serves

The process ends within ``MOST_TICKS`` seconds of the loop's last pass, or the watch ends it: the interpreter waits for
every remaining thread, and the code that would end the process in spite of them may lack the memory for it (measured).

Systemd's watchdog does the same from outside, if there is systemd.  The loop or the end can be stopped by a call that
should not block and does, or by a thread that dies at its start and leaves its caller waiting (measured, when memory
ran out).  And by the interpreter itself, which tries the same step of an exception again and again while there is no
memory for it (CPython 3.11 to 3.13: the position of a handler is a number on the heap), and lets no thread run
meanwhile: the kernel, which counts the processor time since the last pass, ends it then by SIGPROF.
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
"""The seconds without a pass of the loop, or without the end, after which the process is ended.  The watching thread
counts them: a process that was stopped, or a machine that slept, has not counted meanwhile.
"""

MOST_CPU_SECONDS = 60.0
"""The processor time of all threads without a pass of the loop after which the process is ended if no thread can
count.
"""


LEAST_TOLD_SECONDS = 0.1
"""Shorter standstills are told of once they add up to it."""


class LoopWatch:
    """Counts the passes of the loop; ends the process with 70 if they stop."""

    def __init__(self) -> None:
        self.clock = AwakeClock()
        """The clock of trio's deadlines."""
        self._told_seconds = 0.0
        self._turns = 0
        self._is_over = False

    async def run(self) -> None:
        """Watch until ``over``; once this is cancelled, passes no longer count, and the end has to come."""
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()
        sys.unraisablehook = _unraisable
        while True:
            self._turns += 1
            signal.setitimer(signal.ITIMER_PROF, MOST_CPU_SECONDS)
            self._tell_of_standstills()
            await trio.sleep(1)

    def _tell_of_standstills(self) -> None:
        stood = self.clock.stood_seconds - self._told_seconds
        if stood >= LEAST_TOLD_SECONDS:
            self._told_seconds = self.clock.stood_seconds
            log.warning(
                "walletd stood still for %.1f s: it was stopped, or the machine was paused or had no time for it; "
                "no deadline counts them",
                stood,
            )

    def over(self) -> None:
        """Stop watching: for a process that outlives this loop, as a node that leads no longer, or a test."""
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
    """Handle, for example, a thread for whose start memory ran out: its caller would wait without end."""
    if isinstance(raised.exc_value, MemoryError):
        _end()
    sys.__unraisablehook__(raised)


def _end() -> None:
    """Print every thread's stack, without the locks that logging takes, and end."""
    say_last("walletd: the event loop stands, or does not end, or cannot go on; the process ends\n")
    faulthandler.dump_traceback(unblocking_stderr(), all_threads=True)
    os._exit(EXIT_SOFTWARE)
