"""What the signals mean: leave, leave faster, read the configuration again, say how it looks inside.

    stop = Stop()
    nursery.start_soon(listen, stop, reload, report)

SIGQUIT is not here: faulthandler answers it with the stacks of all threads on stderr, also when this loop hangs.
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
            log.info("hurrying on %s", why)
            self.hurried.set()
        else:
            log.info("stopping on %s", why)
            self.wished.set()
            self.recovery.cancel()


async def listen(
    stop: Stop,
    reload: Callable[[], object],
    report: Callable[[str], object],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Heed the signals until cancelled: SIGTERM and SIGINT, SIGHUP, SIGUSR1.

    The default of the last two is to end the process, which is not meant by an operator who reloads a daemon that is
    just starting or ending.  Those that came before, which the console entry holds back, are heeded now; those that
    come afterwards do nothing.
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
    """What the receiver puts back when it closes does nothing; a signal that already waits would be lost if ignored."""
    for number in OF_OPERATORS:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in OF_OPERATORS:
            signal.signal(number, signal.SIG_IGN)  # The interpreter's end leaves this as it is.


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
        log.debug("stderr is not a file, so stacks cannot be dumped to it")
