"""Blocking calls to the disk, in a thread; on the event loop if the system gives no further thread.

    rows = await in_thread(ask)
    segments = await once_files_may_open(archive.read, after)

A limit on processes (RLIMIT_NPROC, a cgroup's pids.max) may be reached while the daemon serves.  Then the call is made
nonetheless: everything waits for it, which is better than to do without.
"""

import errno
import logging
from collections.abc import Callable
from typing import TypeVar

import trio

Found = TypeVar("Found")

RETRY_SECONDS = 0.1
"""The time until a descriptor may have been released."""

log = logging.getLogger("walletd.journal")


def is_of_threads(failure: BaseException) -> bool:
    """True if the failure means that the system gives no further thread."""
    return isinstance(failure, RuntimeError) and "start new thread" in str(failure)


async def in_thread(call: Callable[..., Found], *arguments: object) -> Found:
    """The result of the call.  Raises what it raises; once begun, it runs to completion despite cancellation."""
    is_begun = False

    def begin() -> Found:
        nonlocal is_begun
        is_begun = True
        return call(*arguments)

    try:
        return await trio.to_thread.run_sync(begin)
    except RuntimeError as error:
        if is_begun or not is_of_threads(error):
            raise
        log.warning("cannot start a thread (%s); its work runs on the event loop instead", error)
    return begin()


async def once_files_may_open(read: Callable[..., Found], *arguments: object) -> Found:
    """The result of a read of files; if no file descriptor is left, the read is repeated until there is one."""
    is_said = False
    while True:
        try:
            return await in_thread(read, *arguments)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if not is_said:
                log.error("cannot read the archive, retrying: %s; raise the limit (ulimit -n)", error)
            is_said = True
        await trio.sleep(RETRY_SECONDS)
