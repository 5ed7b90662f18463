"""What the signals mean: leave, leave faster, read the configuration again, say how it looks inside.

    stop = Stop()
    nursery.start_soon(listen, stop, reload, report)

SIGQUIT is not here: faulthandler answers it with the stacks of all threads on stderr, also when this loop hangs.
"""

import faulthandler
import logging
import signal
from collections.abc import Callable

import trio

from walletd.logs.outlet import unblocking_stderr

log = logging.getLogger("walletd.daemon")


class Stop:
    """The wish that the daemon ends.  It cuts a recovery short; from serving on, it is waited for.

    Wished a second time, it is a wish for haste.
    """

    def __init__(self) -> None:
        self.wished = trio.Event()
        self.hurried = trio.Event()
        self.recovery = trio.CancelScope()

    def wish(self, why: str) -> None:
        """Ask for the end, or, where it was asked for already, for haste."""
        if self.wished.is_set():
            log.info("told to hurry by %s", why)
            self.hurried.set()
        else:
            log.info("told to stop by %s", why)
            self.wished.set()
            self.recovery.cancel()


async def listen(
    stop: Stop,
    reload: Callable[[], object],
    report: Callable[[str], object],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Heed the signals until cancelled: SIGTERM and SIGINT, SIGHUP, SIGUSR1."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1) as signals:
        task_status.started()
        async for number in signals:
            match number:
                case signal.SIGHUP:
                    reload()
                case signal.SIGUSR1:
                    report("asked for by SIGUSR1")
                case _:
                    stop.wish(signal.Signals(number).name)


def show_threads_on_request() -> None:
    """Have the stacks of all threads written to stderr on SIGQUIT, and on what kills Python itself.

    That includes SIGABRT, with which systemd ends a daemon whose watchdog was not fed, and SIGPROF, with which the
    kernel ends one whose loop spins.
    """
    descriptor = unblocking_stderr()
    try:
        faulthandler.enable(descriptor)
        faulthandler.register(signal.SIGQUIT, descriptor, all_threads=True)
        faulthandler.register(signal.SIGPROF, descriptor, all_threads=True, chain=True)
    except (OSError, ValueError, RuntimeError):
        log.debug("stderr is no file: stacks cannot be shown there")
