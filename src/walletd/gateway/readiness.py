"""One task that waits for all the sockets of a server, and reads from those that have something.

A task of its own for each connection takes some 25 µs to park and to wake at every message, most of what a request of
a client with one in flight costs.  Here the kernel says at one look which sockets are ready, and their owners are
called one after the other.

    readiness = Readiness()
    nursery.start_soon(readiness.run)
    readiness.watch(fileno, on_ready)                  # called at every turn in which there is something to read
    readiness.forget(fileno)                           # before the socket is closed
"""

import selectors
from collections.abc import Callable

import trio


class Readiness:
    """Which sockets can be read from."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fileno: int, on_ready: Callable[[], None]) -> None:
        """Have ``on_ready`` called whenever there is something to read, and perhaps once after ``forget``.

        It must not raise.
        """
        self._selector.register(fileno, selectors.EVENT_READ, on_ready)

    def forget(self, fileno: int) -> None:
        """Look at this socket no more."""
        self._selector.unregister(fileno)

    async def run(self) -> None:
        """Call whoever has something to read, until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._selector.fileno())
            for key, _ in self._selector.select(0):
                key.data()

    def close(self) -> None:
        """Give the kernel's list back, when nobody is watched any more."""
        self._selector.close()
