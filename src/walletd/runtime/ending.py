"""The end of a walletd process: one table of exit codes, after sysexits.h, and an end that nothing can hold up.

Scripts and service managers distinguish the codes; the manual page lists them.
"""

import logging
import os
import sys
from typing import NoReturn

EXIT_OK = 0
EXIT_REFUSED = 1
"""The daemon refused the request; for ``demo``, a proof failed."""

EXIT_USAGE = 64
EXIT_DAMAGED = 65
EXIT_NO_INPUT = 66
EXIT_UNAVAILABLE = 69
"""The daemon cannot be reached; for ``serve``: an address to listen on is taken."""

EXIT_SOFTWARE = 70
"""An internal error, or a journal whose state is uncertain: the service manager starts the daemon again."""

EXIT_INPUT_OUTPUT = 74
EXIT_TRY_LATER = 75
"""For ``serve``: another process has the journal."""

EXIT_AUTHENTICATION = 77
EXIT_CONFIGURATION = 78

EXIT_INTERRUPTED = 130
"""The shell's code for a command that Ctrl-C ended."""

log = logging.getLogger("walletd.journal")


def end_process(reason: str) -> NoReturn:
    """End at once with exit code 70, without unwinding: no handler may send another answer.

    The process ends even if the reason cannot be logged, for example without memory.
    """
    try:
        log.critical("walletd can no longer guarantee anything and stops now: %s", reason)
        for handler in logging.getLogger().handlers:
            handler.flush()
    finally:
        os._exit(EXIT_SOFTWARE)


def end_despite_threads(code: int) -> None:
    """End the process if a thread is left that cannot be ended, because the interpreter would wait for it.

    Memory may be exhausted: then nothing can be said or looked up, and the process ends nonetheless.
    """
    must_end = True
    try:
        import threading
        import traceback

        others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
        must_end = not all(thread.daemon for thread in others)
        if must_end:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        if must_end:
            os._exit(code)
