"""Velocity: the exact amount of an asset that left a wallet within each of its rolling windows.

    outflows = Outflows()
    outflows.put(record)                               # one command's outflow, in its present state
    outflows.used(window_seconds, now)                 # the sum over (now - window, now]

An outflow counts from its own time until it leaves the window, to the microsecond.  An amount that a hold gives back
reduces the record of its placing, so that it leaves the window at that record's time.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta

from walletd.vocabulary.entries import OutflowRecord
from walletd.vocabulary.identifiers import HoldId

Key = tuple[int, int]
"""The entry and, in a batch, the index of the command that caused an outflow."""


class Outflows:
    """The outflows of one wallet in one asset, in order of time.

    ``used`` costs O(outflows that left or entered the window since the last call): every outflow once per window, and
    nothing while nothing moves.  About 400 bytes for each outflow within the longest window.
    """

    __slots__ = ("_amounts", "_cursors", "_of_holds", "_places", "_records", "_times")

    def __init__(self) -> None:
        self._records: list[OutflowRecord] = []
        self._times: list[datetime] = []
        self._amounts: list[int] = []
        self._places: dict[Key, int] = {}
        self._of_holds: dict[HoldId, list[Key]] = {}
        self._cursors: dict[int, list[int]] = {}
        """For each window: its first place, and the sum from there to the end."""

    def __len__(self) -> int:
        return len(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outflows) and self._records == other._records

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[OutflowRecord]:
        return iter(self._records)

    def put(self, record: OutflowRecord) -> None:
        """Store an outflow's present state: a new one, which is the latest, or a known one."""
        amount = int(record.amount)
        place = self._places.get(key_of(record))
        if place is None:
            assert not self._times or record.time >= self._times[-1]
            self._append(record, amount)
            return
        change = amount - self._amounts[place]
        self._records[place] = record
        self._amounts[place] = amount
        for cursor in self._cursors.values():
            if cursor[0] <= place:
                cursor[1] += change

    def used(self, seconds: int, now: datetime) -> int:
        """The amount sent in the window that ends now, its beginning excluded."""
        cursor = self._cursor(seconds, now)
        return cursor[1]

    def amount_of(self, key: Key) -> int:
        """The amount that counts for the outflow; zero if it is unknown."""
        place = self._places.get(key)
        return 0 if place is None else self._amounts[place]

    def of_hold(self, hold: HoldId, after: datetime) -> Iterator[OutflowRecord]:
        """The outflows that count for a hold since that time, the latest first."""
        for key in reversed(self._of_holds.get(hold, ())):
            record = self._records[self._places[key]]
            if record.time > after:
                yield record

    def count_of(self, hold: HoldId) -> int:
        """The number of outflows remembered for a hold, including those that no longer count.  O(1)."""
        return len(self._of_holds.get(hold, ()))

    def frees(self, seconds: int, now: datetime, enough: int) -> datetime | None:
        """The time at which this much of the window's present amount will have left it; None if it does not contain
        that much.
        """
        place = self._cursor(seconds, now)[0]
        left = 0
        for at in range(place, len(self._amounts)):
            left += self._amounts[at]
            if left >= enough:
                return self._times[at] + timedelta(seconds=seconds)
        return None

    def forget(self, upto: datetime) -> None:
        """Drop outflows up to this time."""
        count = bisect_right(self._times, upto)
        if count == 0:
            return
        for record in self._records[:count]:
            del self._places[key_of(record)]
            if record.hold is not None:
                keys = self._of_holds[record.hold]
                keys.remove(key_of(record))
                if not keys:
                    del self._of_holds[record.hold]
        for cursor in self._cursors.values():
            cursor[1] -= sum(self._amounts[cursor[0] : count])
            cursor[0] = max(0, cursor[0] - count)
        del self._records[:count], self._times[:count], self._amounts[:count]
        self._places = {key: place - count for key, place in self._places.items()}

    def prune(self, upto: datetime) -> None:
        """Drop outflows up to this time, once they are most of those stored: amortized O(1) for each."""
        if 2 * bisect_right(self._times, upto) > len(self._times):
            self.forget(upto)

    def copy(self) -> "Outflows":
        """A copy of the outflows; later changes affect only one of the two."""
        copied = Outflows()
        copied._records = list(self._records)
        copied._times = list(self._times)
        copied._amounts = list(self._amounts)
        copied._places = dict(self._places)
        copied._of_holds = {hold: list(keys) for hold, keys in self._of_holds.items()}
        copied._cursors = {seconds: list(cursor) for seconds, cursor in self._cursors.items()}
        return copied

    def _append(self, record: OutflowRecord, amount: int) -> None:
        self._places[key_of(record)] = len(self._records)
        if record.hold is not None:
            self._of_holds.setdefault(record.hold, []).append(key_of(record))
        self._records.append(record)
        self._times.append(record.time)
        self._amounts.append(amount)
        for cursor in self._cursors.values():
            cursor[1] += amount

    def _cursor(self, seconds: int, now: datetime) -> list[int]:
        """The window's first place and sum, moved to its present beginning: forward or, with the clock, back."""
        cursor = self._cursors.get(seconds)
        if cursor is None:
            cursor = self._cursors[seconds] = [0, sum(self._amounts)]
        begins = now - timedelta(seconds=seconds)
        place, total = cursor
        times, amounts = self._times, self._amounts
        while place < len(times) and times[place] <= begins:
            total -= amounts[place]
            place += 1
        while place > 0 and times[place - 1] > begins:
            place -= 1
            total += amounts[place]
        cursor[0], cursor[1] = place, total
        return cursor


def key_of(record: OutflowRecord) -> Key:
    """The identity of an outflow among those of a wallet and asset."""
    return record.sequence, record.command
