"""One task that waits for all the sockets of a server, and reads from those that have something.

A separate task for each connection takes some 25 µs to park and to wake at every message, most of the cost of a request
by a client with one in flight.  Here the kernel reports in one call which sockets are ready, and their owners are
called one after the other: by deficit round robin over their principals, by the time that each call takes, so that a
client with a thousand connections, or with requests that cost a thousand times as much, has the share of one client.

    readiness = Readiness(turns)
    nursery.start_soon(readiness.run)
    readiness.watch(fileno, on_ready, payer)           # called at every turn in which there is something to read
    readiness.forget(fileno)                           # before the socket is closed
"""

import selectors
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import trio

from walletd.runtime.fair_queue import FairQueue
from walletd.runtime.fair_turns import FairTurns, Turn

TURN_SECONDS = 0.05
"""The time after which other tasks run, although each command costs less the larger the commits are."""

PRESSED_TURN_SECONDS = 0.010
"""The same while the daemon is pressed: a finished commit and the fold that frees the backlog come first."""


QUANTUM_SECONDS = 0.005
"""The time of a turn that each principal may use while others wait: a read of 16 KiB, about a hundred requests."""

Payer = Callable[[], str]
"""The principal that a socket is read for, as of now; guests together are one, with the empty name."""


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


class _Watched:
    """A socket's owner; ``is_ready`` while it waits to be called."""

    __slots__ = ("is_ready", "on_ready", "payer")

    def __init__(self, on_ready: Callable[[], None], payer: Payer) -> None:
        self.on_ready = on_ready
        self.payer = payer
        self.is_ready = False


class Readiness:
    """The sockets that can be read from.  ``charge`` is told the seconds of each call, with its payer."""

    def __init__(self, turns: Turns, charge: Callable[[str, float], None] = lambda payer, seconds: None) -> None:
        self._turns = turns
        self._charge = charge
        self._selector = selectors.DefaultSelector()
        self._ready: FairQueue[str, _Watched] = FairQueue(QUANTUM_SECONDS)
        self._streams: FairTurns[str] = FairTurns(1, 1, charge)

    def watch(self, fileno: int, on_ready: Callable[[], None], payer: Payer = lambda: "") -> None:
        """Call ``on_ready`` whenever there is something to read, and perhaps once after ``forget``.

        It must not raise.
        """
        self._selector.register(fileno, selectors.EVENT_READ, _Watched(on_ready, payer))

    def forget(self, fileno: int) -> None:
        """Stop watching this socket."""
        self._selector.unregister(fileno)

    def turn(self, payer: str) -> Turn[str]:
        """The turn of a stream that has a task of its own, among all those of its kind."""
        return self._streams.turn(payer)

    async def run(self) -> None:
        """Call the owners of readable sockets, until cancelled."""
        while True:
            if len(self._ready):
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._selector.fileno())
            self._turns.begin_turn()
            self._turn()
            self._turns.end_turn()

    def _turn(self) -> None:
        """Call the owners of what is ready, until the turn is long enough for the others that wait for its end."""
        self._find_ready()
        ready, turns, charge = self._ready, self._turns, self._charge
        begun = before = perf_counter()
        payers: set[str] = set()
        while len(ready):
            if ready.is_round_over:
                if len(payers) > 1:
                    break  # Only those are left that had their quantum; the others' commands wait for their commit.
                self._find_ready()
            payer, watched = ready.take()
            watched.is_ready = False
            watched.on_ready()
            now = perf_counter()
            ready.charge(payer, now - before)
            charge(payer, now - before)
            payers.add(payer)
            if now - begun > (PRESSED_TURN_SECONDS if turns.is_pressed else TURN_SECONDS):
                break
            before = now

    def _find_ready(self) -> None:
        """Queue the sockets that became ready, each of them once."""
        for key, _ in self._selector.select(0):
            watched: _Watched = key.data
            if not watched.is_ready:
                watched.is_ready = True
                self._ready.put(watched.payer(), watched)

    def close(self) -> None:
        """Release the kernel's list, when no socket is watched any more."""
        self._selector.close()
