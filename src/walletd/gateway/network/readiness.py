"""One task that waits for all the sockets of a server, and reads from those that have something.

A separate task for each connection takes some 25 µs to park and to wake at every message, most of the cost of a request
by a client with one in flight.  Here the kernel reports in one call which sockets are ready, and their owners are
called one after the other: by deficit round robin over their principals, by the time that each call takes, so that a
client with a thousand connections, or with requests that cost a thousand times as much, has the share of one client.
Of one principal, the sockets whose last read was cheap come first: a payment does not wait for every session of the
same client that sends a hundred requests at once.

    readiness = Readiness(passes)
    nursery.start_soon(readiness.run)
    readiness.watch(fileno, on_ready, payer)           # called at every pass in which there is something to read
    is_heavy = readiness.forget(fileno)                # before the socket is closed
"""

import selectors
from collections.abc import Callable, Hashable, Set
from heapq import heappop, heappush
from time import perf_counter
from typing import Any, Protocol

import trio

from walletd.runtime.fair_queue import FairQueue
from walletd.runtime.fair_turns import FairTurns, Turn

PASS_SECONDS = 0.05
"""The time after which other tasks run, although each command costs less the larger the commits are."""

PRESSED_PASS_SECONDS = 0.010
"""The same while the daemon is pressed: a finished commit and the fold that frees the backlog come first; and for
reads that take long, if something else has come meanwhile.
"""


QUANTUM_SECONDS = 0.005
"""The time of a pass that each principal may use while others wait: a read of 16 KiB, about a hundred requests."""

HEAVY_SECONDS = QUANTUM_SECONDS
"""The time of a read from which on its socket waits for the others of its principal."""

Payer = Hashable
"""The one that a socket is read for: a principal's account; guests together are one, ``None``."""


class Passes(Protocol):
    """Observes the passes in which sockets are read."""

    @property
    def is_pressed(self) -> bool:
        """True if more arrives than can be done, so that passes should be short."""
        ...

    def charge(self, payer: Any, seconds: float) -> None:
        """A call for this payer took so long."""
        ...

    def wait(self, payer: Any) -> float:
        """The seconds for which nothing should be read for this payer, because others need the time."""
        ...

    def begin_pass(self) -> None:
        """From here on no other task runs."""
        ...

    def end_pass(self) -> None:
        """Other tasks run again."""
        ...


class NoPasses:
    """Passes that nothing depends on."""

    is_pressed = False

    def charge(self, payer: Any, seconds: float) -> None:
        """Does nothing."""

    def wait(self, payer: Any) -> float:
        """Nothing waits."""
        return 0.0

    def begin_pass(self) -> None:
        """Does nothing."""

    def end_pass(self) -> None:
        """Does nothing."""


NO_PASSES = NoPasses()


class _Watched:
    """A socket and its owner; ``is_ready`` while it waits to be called, ``is_heavy`` if its last read took long."""

    __slots__ = ("fileno", "is_forgotten", "is_heavy", "is_held_back", "is_ready", "on_ready", "payer")

    def __init__(self, fileno: int, on_ready: Callable[[], None], payer: Callable[[], Payer], is_heavy: bool) -> None:
        self.fileno = fileno
        self.on_ready = on_ready
        self.payer = payer
        self.is_heavy = is_heavy
        self.is_ready = False
        self.is_held_back = False
        self.is_forgotten = False


class Readiness:
    """The sockets that can be read from, and those that are held back because their payers have to wait."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, _Watched] = {}
        self._ready: FairQueue[Payer, _Watched] = FairQueue(QUANTUM_SECONDS)
        self._held_back: list[tuple[float, int, _Watched]] = []
        """By the time at which they may be read again, soonest first; a number tells those of one time apart."""
        self._ever_held_back = 0
        self._streams: FairTurns[Payer] = FairTurns(1, 1, passes.charge, passes.wait)

    def watch(
        self,
        fileno: int,
        on_ready: Callable[[], None],
        payer: Callable[[], Payer] = lambda: None,
        *,
        is_heavy: bool = False,
    ) -> None:
        """Call ``on_ready`` whenever there is something to read, and perhaps once after ``forget``.

        It must not raise.  ``is_heavy`` is what ``forget`` said of the same socket.
        """
        watched = self._watched[fileno] = _Watched(fileno, on_ready, payer, is_heavy)
        self._selector.register(fileno, selectors.EVENT_READ, watched)

    def forget(self, fileno: int) -> bool:
        """Stop watching this socket; returns whether its last read took long."""
        watched = self._watched.pop(fileno)
        watched.is_forgotten = True
        if not watched.is_held_back:
            self._selector.unregister(fileno)
        return watched.is_heavy

    def turn(self, payer: Payer) -> Turn[Payer]:
        """The turn of a stream that has a task of its own, among all those of its kind."""
        return self._streams.turn(payer)

    async def run(self) -> None:
        """Call the owners of readable sockets, until cancelled."""
        while True:
            if len(self._ready):
                await trio.lowlevel.checkpoint()
            elif self._held_back:
                with trio.move_on_at(self._held_back[0][0]):
                    await trio.lowlevel.wait_readable(self._selector.fileno())
            else:
                await trio.lowlevel.wait_readable(self._selector.fileno())
            if self._held_back:
                self._release()
            self._passes.begin_pass()
            self._one_pass()
            self._passes.end_pass()

    def _one_pass(self) -> None:
        """Call the owners of what is ready, until the pass is long enough for the others that wait for its end."""
        found = self._selector.select(0)
        if len(found) == 1 and not len(self._ready):
            self._call_alone(found[0][0].data)
            return
        self._queue(found)
        ready, passes = self._ready, self._passes
        begun = before = perf_counter()
        payers: set[Payer] = set()
        has_light = False
        while len(ready):
            if ready.is_round_over:
                if len(payers) > 1:
                    break  # Only those are left that had their quantum; the others' commands wait for their commit.
                self._queue(self._selector.select(0), served=payers)
            payer, watched = ready.take()
            watched.is_ready = False
            if seconds := passes.wait(payer):
                self._hold_back(watched, seconds)
                continue
            watched.on_ready()
            now = perf_counter()
            watched.is_heavy = now - before > HEAVY_SECONDS
            ready.charge(payer, now - before)
            passes.charge(payer, now - before)
            payers.add(payer)
            if not watched.is_heavy:
                has_light = True
            elif has_light or (now - begun > PRESSED_PASS_SECONDS and self._light_one_waits()):
                break  # The commands of the light ones wait for their commit, or to be read at all.
            if now - begun > (PRESSED_PASS_SECONDS if passes.is_pressed else PASS_SECONDS):
                break
            before = now

    def _light_one_waits(self) -> bool:
        """True if something has come meanwhile for a socket whose last read was cheap."""
        return any(not (key.data.is_heavy or key.data.is_ready) for key, _ in self._selector.select(0))

    def _call_alone(self, watched: _Watched) -> None:
        """Call the owner of the only socket that is ready: the queue would cost a twentieth of a request."""
        payer = watched.payer()
        if seconds := self._passes.wait(payer):
            self._hold_back(watched, seconds)
            return
        begun = perf_counter()
        watched.on_ready()
        taken = perf_counter() - begun
        watched.is_heavy = taken > HEAVY_SECONDS
        self._passes.charge(payer, taken)
        if taken > QUANTUM_SECONDS:
            self._ready.charge(payer, taken)

    def _queue(self, found: list[tuple[selectors.SelectorKey, int]], served: Set[Payer] = frozenset()) -> None:
        """Queue the sockets that became ready, but not those of payers that were served in this pass: each of their
        sockets is read once, before the commands of the pass are committed.
        """
        for key, _ in found:
            watched: _Watched = key.data
            if not watched.is_ready and (payer := watched.payer()) not in served:
                watched.is_ready = True
                self._ready.put(payer, watched, is_patient=watched.is_heavy)

    def _hold_back(self, watched: _Watched, seconds: float) -> None:
        """Leave the socket's data to the kernel for so long: its peer waits, and nothing of it takes memory here."""
        if not watched.is_forgotten:
            watched.is_held_back = True
            self._selector.unregister(watched.fileno)
            self._ever_held_back += 1
            heappush(self._held_back, (trio.current_time() + seconds, self._ever_held_back, watched))

    def _release(self) -> None:
        """Watch those again whose time has come."""
        now = trio.current_time()
        while self._held_back and self._held_back[0][0] <= now:
            _, _, watched = heappop(self._held_back)
            if not watched.is_forgotten:
                watched.is_held_back = False
                self._selector.register(watched.fileno, selectors.EVENT_READ, watched)

    def close(self) -> None:
        """Release the kernel's list, when no socket is watched any more."""
        self._selector.close()
