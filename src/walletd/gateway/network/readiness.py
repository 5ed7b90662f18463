"""One task that waits for all the sockets of a server, and reads from those that have something.

A task of its own for each connection takes some 25 µs to park and to wake at every message, most of what a request of
a client with one in flight costs.  Here the kernel says at one look which sockets are ready, and their owners are
called one after the other.

    readiness = Readiness(turns)
    nursery.start_soon(readiness.run)
    readiness.watch(fileno, on_ready)                  # called at every turn in which there is something to read
    readiness.forget(fileno)                           # before the socket is closed
"""

import selectors
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import trio

TURN_SECONDS = 0.05
"""Others have the event loop after so long, though the larger the commits, the less each command costs."""

PRESSED_TURN_SECONDS = 0.010
"""The same while the daemon is pressed: the commit that has returned, the fold that frees the backlog, come first."""


class Turns(Protocol):
    """Who is told of the turns in which sockets are read."""

    @property
    def is_pressed(self) -> bool:
        """Whether more comes than can be done, so that turns should be short."""
        ...

    def begin_turn(self) -> None:
        """From here on nobody else runs."""
        ...

    def end_turn(self) -> None:
        """Others run again."""
        ...


class NoTurns:
    """Where nothing hangs on them."""

    is_pressed = False

    def begin_turn(self) -> None:
        """Nothing to be done."""

    def end_turn(self) -> None:
        """Nothing to be done."""


NO_TURNS = NoTurns()


class Readiness:
    """Which sockets can be read from."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
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
            turns = self._turns
            begun = perf_counter()
            turns.begin_turn()
            for key, _ in self._selector.select(0):
                key.data()
                if perf_counter() - begun > (PRESSED_TURN_SECONDS if turns.is_pressed else TURN_SECONDS):
                    turns.end_turn()
                    await trio.lowlevel.checkpoint()
                    begun = perf_counter()
                    turns.begin_turn()
            turns.end_turn()

    def close(self) -> None:
        """Give the kernel's list back, when nobody is watched any more."""
        self._selector.close()
