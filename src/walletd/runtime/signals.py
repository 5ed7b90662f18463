"""The signals: stop, stop faster, reload the configuration, write a report.

    stop = Stop()
    nursery.start_soon(listen, stop, reload, report)

SIGQUIT is not here: faulthandler answers it with the stacks of all threads on stderr, even if this loop hangs.
"""

import faulthandler
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from walletd.logs.outlet import unblocking_stderr

OF_ENDS = (signal.SIGTERM, signal.SIGINT)
OF_OPERATORS = frozenset({signal.SIGHUP, signal.SIGUSR1})

log = logging.getLogger("walletd.daemon")


class Stop:
    """The request to stop the daemon.  It interrupts a recovery, and the wait for another node's end; once the daemon
    serves, it is awaited.

    A second request asks for haste.
    """

    def __init__(self) -> None:
        self.wished = trio.Event()
        self.hurried = trio.Event()
        self.following = trio.CancelScope()
        self.recovery = trio.CancelScope()

    def wish(self, why: str) -> None:
        """Request the end or, if it was requested before, haste."""
        if self.wished.is_set():
            log.info("hurrying on %s", why)
            self.hurried.set()
        else:
            log.info("stopping on %s", why)
            self.wished.set()
            self.following.cancel()
            self.recovery.cancel()


async def listen(
    stop: Stop,
    reload: Callable[[], object],
    report: Callable[[str], object],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Handle the signals until cancelled: SIGTERM and SIGINT, SIGHUP, SIGUSR1.

    By default the last two end the process, which is not what an operator wants who reloads a daemon that is just
    starting or ending.  Those that came before, which the console entry holds back, are handled now; those that come
    afterwards have no effect.
    """
    with _left_without_effect(), trio.open_signal_receiver(*OF_ENDS, *OF_OPERATORS) as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_OPERATORS)
        task_status.started()
        async for number in signals:
            match number:
                case signal.SIGHUP:
                    reload()
                case signal.SIGUSR1:
                    report("requested with SIGUSR1")
                case _:
                    stop.wish(signal.Signals(number).name)


@contextmanager
def _left_without_effect() -> Iterator[None]:
    """The handlers that the receiver restores when it closes do nothing; if a signal were ignored, a pending one would
    be lost.
    """
    for number in OF_OPERATORS:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in OF_OPERATORS:
            signal.signal(number, signal.SIG_IGN)  # The interpreter's end leaves this unchanged.


def show_threads_on_request() -> None:
    """Write the stacks of all threads to stderr on SIGQUIT, and on fatal errors of Python itself.

    That includes SIGABRT, with which systemd ends a daemon whose watchdog was not fed, and SIGPROF, with which the
    kernel ends one whose loop spins.
    """
    descriptor = unblocking_stderr()
    try:
        faulthandler.enable(descriptor)
        faulthandler.register(signal.SIGQUIT, descriptor, all_threads=True)
        faulthandler.register(signal.SIGPROF, descriptor, all_threads=True, chain=True)
    except (OSError, ValueError, RuntimeError):
        log.debug("stderr is not a file, so stacks cannot be dumped to it")
