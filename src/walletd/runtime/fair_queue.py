"""A fair queue: what waits is served by deficit round robin over keys, whatever each of them enqueues.

    queue: FairQueue[str, Request] = FairQueue(quantum=0.005)
    queue.put("alice", request)
    key, request = queue.take()                        # the next in its turn
    queue.charge(key, seconds)                         # what serving it took, as measured

Time goes by rounds.  In each round a key may use its quantum: items are taken from the keys in turn, and a key whose
quantum is used up waits for the next round.  The cost of an item is known only once it was served, so a key may use
more than its quantum; it owes the rest, and is passed over in as many rounds as that takes.  A key that waits alone is
served at once, whatever it owes.

Within a key, items are served in the order of their arrival; patient ones wait for the others, but at least every
sixteenth item is a patient one while any waits.

So an item waits for at most one item of each other key, and then for their quanta; it never waits for the length of
another key's queue (Shreedhar and Varghese, Efficient Fair Queuing Using Deficit Round-Robin, 1995).
"""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

PATIENCE = 15
"""The number of a key's other items that are served before a patient one that waits."""

KEPT = 4_096
"""The number of keys that are remembered although nothing of theirs waits: those that owe something."""

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class _Share(Generic[Key, Item]):
    """A key's items, oldest first, and what it may still use of its quantum; below 0: what it owes."""

    __slots__ = ("credit", "is_listed", "items", "key", "passed_over", "patient", "round")

    def __init__(self, key: Key, credit: float, round_: int) -> None:
        self.key = key
        self.items: deque[Item] = deque()
        self.patient: deque[Item] = deque()
        self.passed_over = 0
        """The number of items that were served while patient ones waited, since the last of these."""
        self.credit = credit
        self.round = round_
        """The last round whose quantum is in ``credit``."""
        self.is_listed = False

    def next(self) -> Item:
        """Remove the item that is served next and return it."""
        if not self.patient:
            return self.items.popleft()
        if self.items and self.passed_over < PATIENCE:
            self.passed_over += 1
            return self.items.popleft()
        self.passed_over = 0
        return self.patient.popleft()


class FairQueue(Generic[Key, Item]):
    """Items by key.  It has no clock, and knows nothing of what is served."""

    def __init__(self, quantum: float) -> None:
        assert quantum > 0
        self._quantum = quantum
        self._shares: dict[Key, _Share[Key, Item]] = {}
        self._now: deque[_Share[Key, Item]] = deque()
        """The keys that may be served in this round, next one first."""
        self._later: list[_Share[Key, Item]] = []
        """Those that have used up their quantum."""
        self._length = 0
        self._tidy_at = KEPT
        self.round = 0

    def __len__(self) -> int:
        return self._length

    def put(self, key: Key, item: Item, *, is_patient: bool = False) -> None:
        """Add an item to those of the key; a patient one lets the others pass.  O(1)."""
        share = self._share(key)
        (share.patient if is_patient else share.items).append(item)
        self._length += 1
        if not share.is_listed:
            self._list(share)

    def take(self) -> tuple[Key, Item]:
        """Remove the next item and return it with its key.  Raises IndexError if nothing waits.  O(1) over all calls,
        besides O(keys that wait) for each round.
        """
        if not self._length:
            raise IndexError("nothing waits")
        if self.is_round_over:
            self._begin_round()
        share = self._now.popleft()
        item = share.next()
        self._length -= 1
        if share.items or share.patient:
            self._now.append(share)
        else:
            share.is_listed = False
        return share.key, item

    def charge(self, key: Key, cost: float) -> None:
        """Note what an item of the key cost, once it was served."""
        assert cost >= 0
        self._share(key).credit -= cost

    def owes(self, key: Key) -> bool:
        """True if the key has used up its quantum of this round."""
        share = self._shares.get(key)
        return share is not None and self._earned(share) <= 0

    @property
    def is_round_over(self) -> bool:
        """True if every key that waits has used up its quantum of this round: the next item begins another."""
        while self._now and self._now[0].credit <= 0:
            self._later.append(self._now.popleft())
        return not self._now

    def _share(self, key: Key) -> _Share[Key, Item]:
        share = self._shares.get(key)
        if share is None:
            if len(self._shares) >= self._tidy_at:
                self._tidy()
            share = self._shares[key] = _Share(key, self._quantum, self.round)
        return share

    def _list(self, share: _Share[Key, Item]) -> None:
        share.is_listed = True
        (self._now if self._earned(share) > 0 else self._later).append(share)

    def _earned(self, share: _Share[Key, Item]) -> float:
        """The share's credit, with the quanta of the rounds since; what it did not use is not kept."""
        if share.round < self.round:
            share.credit = min(self._quantum, share.credit + self._quantum * (self.round - share.round))
            share.round = self.round
        return share.credit

    def _begin_round(self) -> None:
        """Begin the next round, or the one in which the first of those that wait may be served again."""
        while not self._now:  # Once, besides where the division was rounded.
            least = min(-share.credit for share in self._later)
            self.round += int(max(0.0, least) // self._quantum) + 1
            waiting, self._later = self._later, []
            for share in waiting:
                (self._now if self._earned(share) > 0 else self._later).append(share)

    def _tidy(self) -> None:
        """Forget the keys that neither wait nor owe anything and, beyond ``KEPT``, those that were idle longest."""
        idle = [share for share in self._shares.values() if not share.is_listed]
        surplus = len(idle) - KEPT
        for number, share in enumerate(idle):
            if number < surplus or self._earned(share) >= self._quantum:
                del self._shares[share.key]
        self._tidy_at = 2 * len(self._shares) + KEPT
