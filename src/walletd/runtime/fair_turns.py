"""Fair turns: a few places, granted to those that wait for one by deficit round robin over keys.

    turns = FairTurns(places=8, places_of_one=2)
    async with turns.turn("alice"):
        ...                                            # bounded work: others wait

The cost of a turn is the time for which it keeps its place.  A key has ``places_of_one`` at most, so that what it does
slowly leaves places for the others.  While a place is free and the key has not used up its quantum, a turn begins at
once, in the same step of the event loop; otherwise other tasks run first.  A key that has had all turns for a while has
``places_alone``: many sessions of one client are no slower than those of many.
"""

from collections import deque
from collections.abc import Callable, Hashable
from time import perf_counter
from types import TracebackType
from typing import Generic, TypeVar

import trio

from walletd.runtime.fair_queue import FairQueue

QUANTUM_SECONDS = 0.005
"""The time of a round that each key may use: some small reads of the tables, or one step of a long one."""

ALONE_SECONDS = 1.0
"""A key that has had all turns for so long has them alone."""

Key = TypeVar("Key", bound=Hashable)
Charge = Callable[[Key, float], None]


class _Waiter:
    """One that waits for its turn."""

    __slots__ = ("is_gone", "is_granted", "moved")

    def __init__(self) -> None:
        self.moved = trio.Event()
        """It is granted its turn or, if it was behind others of its key that has to wait, it is admitted."""
        self.is_granted = False
        self.is_gone = False


class Turn(Generic[Key]):
    """One turn, from ``async with`` to its end."""

    __slots__ = ("_began", "_key", "_turns")

    def __init__(self, turns: "FairTurns[Key]", key: Key) -> None:
        self._turns = turns
        self._key = key
        self._began = 0.0

    async def __aenter__(self) -> None:
        await self._turns.enter(self._key)
        self._began = self._turns.seconds()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._turns.leave(self._key, self._turns.seconds() - self._began)


class FairTurns(Generic[Key]):
    """The places, those that hold one, and those that wait.

    ``charge`` is told the seconds of each turn, with its key.  ``wait`` says for how many seconds the next turn of
    a key must not begin.
    """

    def __init__(
        self,
        places: int,
        places_of_one: int,
        charge: Charge[Key] = lambda key, seconds: None,
        wait: Callable[[Key], float] = lambda key: 0.0,
        *,
        places_alone: int = 0,
        seconds: Callable[[], float] = perf_counter,
    ) -> None:
        assert 1 <= places_of_one <= places
        self._places = places
        self._places_of_one = places_of_one
        self._more_places = max(places_alone - places_of_one, 0)
        self._charge = charge
        self._wait = wait
        self.seconds = seconds
        self._queue: FairQueue[Key, _Waiter] = FairQueue(QUANTUM_SECONDS)
        self._held = 0
        self._admitted: dict[Key, int] = {}
        """For each key, the turns that it holds and those of its waiters that are in the queue."""
        self._behind: dict[Key, deque[_Waiter]] = {}
        """The waiters beyond ``places_of_one``, which are not in the queue yet."""
        self._more: dict[Key, int] = {}
        """For a key that was alone, the turns that it holds beyond ``places_of_one``, besides the places of all."""
        self._newest: Key | None = None
        self._newest_since = 0.0
        """The key of the last turn that ended, and when it ended one after another key's."""

    def __len__(self) -> int:
        """The number of turns that are held."""
        return self._held + sum(self._more.values())

    @property
    def waiting(self) -> int:
        """The number of those that wait, including some that have given up.  O(keys that wait)."""
        return len(self._queue) + sum(map(len, self._behind.values()))

    def turn(self, key: Key) -> Turn[Key]:
        """The next turn of this key, as an asynchronous context."""
        return Turn(self, key)

    async def enter(self, key: Key) -> None:
        """Wait for a turn; ``leave`` ends it."""
        admitted = self._admitted.get(key, 0)
        if admitted < self._places_of_one:
            self._admitted[key] = admitted + 1
            if not self._wait(key):
                if self._held < self._places and not len(self._queue) and not self._queue.owes(key):
                    self._held += 1
                    return
                waiter = _Waiter()
                self._queue.put(key, waiter)
                self._grant()
                await self._granted(key, waiter)
                return
        elif key not in self._behind and self._may_have_more(key):
            self._more[key] = self._more.get(key, 0) + 1
            return
        else:
            waiter = _Waiter()
            self._behind.setdefault(key, deque()).append(waiter)
            await self._granted(key, waiter)
            if waiter.is_granted:
                return
        await self._enter_later(key)

    async def _enter_later(self, key: Key) -> None:
        """The key has admitted this one, and has to wait."""
        try:
            while True:
                seconds = self._wait(key)
                if not seconds:
                    break
                await trio.sleep(seconds)
        except BaseException:
            self._withdraw(key)
            raise
        waiter = _Waiter()
        self._queue.put(key, waiter)
        self._grant()
        await self._granted(key, waiter)

    async def _granted(self, key: Key, waiter: _Waiter) -> None:
        try:
            await waiter.moved.wait()
        except BaseException:
            waiter.is_gone = True
            if waiter.is_granted:
                self._end(key)
            elif waiter.moved.is_set():
                self._withdraw(key)
            raise

    def leave(self, key: Key, seconds: float) -> None:
        """End a turn of this key, which took this long."""
        if key != self._newest:
            self._newest, self._newest_since = key, self.seconds()
        self._queue.charge(key, seconds)
        self._charge(key, seconds)
        self._end(key)

    def _may_have_more(self, key: Key) -> bool:
        """True if the key, which has all ``places_of_one``, may begin another turn at once, because it is alone."""
        return (
            self._more.get(key, 0) < self._more_places
            and len(self._admitted) == 1
            and key == self._newest
            and not len(self._queue)
            and not self._queue.owes(key)
            and not self._wait(key)
            and self.seconds() - self._newest_since >= ALONE_SECONDS
        )

    def _end(self, key: Key) -> None:
        more = self._more.get(key, 0)
        if more:
            self._leave_one_of_more(key, more)
        else:
            self._held -= 1
            self._withdraw(key)
            self._grant()
        self._grant_more(key)

    def _leave_one_of_more(self, key: Key, more: int) -> None:
        if more > 1:
            self._more[key] = more - 1
        else:
            del self._more[key]

    def _grant_more(self, key: Key) -> None:
        """Grant turns to those behind the others of a key that is alone."""
        behind = self._behind.get(key)
        while behind and self._may_have_more(key):
            waiter = behind.popleft()
            if not waiter.is_gone:
                self._more[key] = self._more.get(key, 0) + 1
                waiter.is_granted = True
                waiter.moved.set()
        if behind is not None and not behind:
            self._behind.pop(key, None)

    def _withdraw(self, key: Key) -> None:
        """One of those that the key has admitted is done: the next one behind them follows."""
        behind = self._behind.get(key)
        while behind:
            waiter = behind.popleft()
            if not behind:
                del self._behind[key]
            if waiter.is_gone:
                continue
            if self._wait(key):
                waiter.moved.set()
            else:
                self._queue.put(key, waiter)
            return
        if self._admitted[key] > 1:
            self._admitted[key] -= 1
        else:
            del self._admitted[key]

    def _grant(self) -> None:
        while self._held < self._places and len(self._queue):
            key, waiter = self._queue.take()
            if waiter.is_gone:
                self._withdraw(key)
            else:
                self._held += 1
                waiter.is_granted = True
                waiter.moved.set()
