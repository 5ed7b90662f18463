"""One task that waits for all the sockets of a server, and reads from those that have something.

A separate task for each connection takes some 25 µs to park and to wake at every message, most of the cost of a request
by a client with one in flight.  Here the kernel reports in one call which sockets are ready, and their owners are
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
"""The time after which other tasks run, although each command costs less the larger the commits are."""

PRESSED_TURN_SECONDS = 0.010
"""The same while the daemon is pressed: a finished commit and the fold that frees the backlog come first."""


class Turns(Protocol):
    """Observes the turns in which sockets are read."""

    @property
    def is_pressed(self) -> bool:
        """True if more arrives than can be done, so that turns should be short."""
        ...

    def begin_turn(self) -> None:
        """From here on no other task runs."""
        ...

    def end_turn(self) -> None:
        """Other tasks run again."""
        ...


class NoTurns:
    """Turns that nothing depends on."""

    is_pressed = False

    def begin_turn(self) -> None:
        """Does nothing."""

    def end_turn(self) -> None:
        """Does nothing."""


NO_TURNS = NoTurns()


class Readiness:
    """The sockets that can be read from."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._selector = selectors.DefaultSelector()

    def watch(self, fileno: int, on_ready: Callable[[], None]) -> None:
        """Call ``on_ready`` whenever there is something to read, and perhaps once after ``forget``.

        It must not raise.
        """
        self._selector.register(fileno, selectors.EVENT_READ, on_ready)

    def forget(self, fileno: int) -> None:
        """Stop watching this socket."""
        self._selector.unregister(fileno)

    async def run(self) -> None:
        """Call the owners of readable sockets, until cancelled."""
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
        """Release the kernel's list, when no socket is watched any more."""
        self._selector.close()
