"""Velocity: the exact amount of an asset that left a wallet within each of its rolling windows.

    outflows = Outflows()
    outflows.put(record)                               # one command's outflow, in its present state
    outflows.used(window_seconds, now)                 # the sum over (now - window, now]
    outflows.fold(folded)                              # some of the older ones count as one from now on

An outflow counts from its own time until it leaves the window, to the microsecond.  An amount that a hold gives back
reduces the record of its placing, so that it leaves the window at that record's time.

However many there are, few are stored: once there are more than ``EXACT_OUTFLOWS`` newer ones, those within one step of
time count together, until the last of them leaves the window.  A step is at most a hundredth of the shortest window
that contains it, so they count that much too long at most, and never too short.  The entry of a command records what
it folds (``outflow_folding``); without such a record nothing is folded.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from walletd.vocabulary.entries import FoldedOutflow, OutflowRecord
from walletd.vocabulary.identifiers import HoldId

EXACT_OUTFLOWS: Final = 500
"""The newest outflows of a wallet and asset, which are never folded: a limit on fewer payments than this is exact."""

STEPS: Final = 100
"""The number of steps of a window at least."""

MAX_OF_OPEN_HOLDS: Final = 20_000
"""The outflows of one wallet and asset that belong to open holds: each placing and raise, none of which is folded."""

MAX_LOOKED_AT: Final = 2 * MAX_OF_OPEN_HOLDS
"""The outflows among which one entry looks for those to fold: more than open holds can keep, and some 40 ms."""

Key = tuple[int, int]
"""The entry and, in a batch, the index of the command that caused an outflow."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


class Outflows:
    """The outflows of one wallet in one asset, in order of time.

    ``used`` costs O(outflows that left or entered the window since the last call): every outflow once per window, and
    nothing while nothing moves.  About 900 bytes for each record: at most some 1,000 new ones, 200 for each window and
    those of open holds.
    """

    __slots__ = ("_amounts", "_cursors", "_new", "_of_holds", "_places", "_records", "_times")

    def __init__(self) -> None:
        self._records: list[OutflowRecord] = []
        self._times: list[datetime] = []
        self._amounts: list[int] = []
        self._places: dict[Key, int] = {}
        self._of_holds: dict[HoldId, list[Key]] = {}
        self._cursors: dict[int, list[int]] = {}
        """For each window: its first place, and the sum from there to the end."""
        self._new = 0
        """The outflows since it was last seen that nothing can be folded; for speed only."""

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

    def count_of_open(self, is_open: Callable[[HoldId], bool], after: datetime) -> int:
        """The number of outflows since that time that belong to open holds; if few, the number of all of holds.

        O(holds), and O(their outflows) if these are many.
        """
        number = sum(map(len, self._of_holds.values()))
        if number < MAX_OF_OPEN_HOLDS:
            return number
        return sum(1 for hold in self._of_holds if is_open(hold) for _ in self.of_hold(hold, after))

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

    def is_long(self) -> bool:
        """True if it is worth looking for outflows to fold.  O(1)."""
        return self._new >= EXACT_OUTFLOWS and len(self._records) > 2 * EXACT_OUTFLOWS

    def foldable(
        self, now: datetime, windows: Iterable[int], is_open: Callable[[HoldId], bool], most: int
    ) -> list[tuple[OutflowRecord, OutflowRecord, int]]:
        """At most so many runs of outflows that fall into one step each: the first, the last, and their sum.

        O(outflows), at most ``MAX_LOOKED_AT``; if that was all, it is not worth looking again before there are more.
        """
        lengths = sorted(windows)
        place = bisect_right(self._times, now - timedelta(seconds=lengths[-1]))
        end = len(self._records) - EXACT_OUTFLOWS
        upto = min(end, place + MAX_LOOKED_AT)
        steps = [(length, _step_of(length)) for length in lengths]
        found: list[tuple[OutflowRecord, OutflowRecord, int]] = []
        while place < upto and len(found) < most:
            first, at, total = place, self._step(place, now, steps, is_open), self._amounts[place]
            place += 1
            while at is not None and place < upto and self._step(place, now, steps, is_open) == at:
                total += self._amounts[place]
                place += 1
            if place - first > 1:
                found.append((self._records[first], self._records[place - 1], total))
        if place >= end:
            self._new = 0
        return found

    def _step(
        self, place: int, now: datetime, steps: Sequence[tuple[int, int]], is_open: Callable[[HoldId], bool]
    ) -> tuple[int, int] | None:
        """The step of time that contains an outflow; None for one whose amount may still change."""
        record = self._records[place]
        if record.hold is not None and is_open(record.hold):
            return None
        age = (now - record.time) // _SECOND
        width = next((width for length, width in steps if age < length), steps[-1][1])
        return width, (record.time - _EPOCH) // _MICROSECOND // width

    def may_fold(self, one: FoldedOutflow, is_open: Callable[[HoldId], bool]) -> bool:
        """True if these are a run of outflows, none of an open hold."""
        first, last = self._places.get((one.first, one.first_command)), self._places.get((one.sequence, one.command))
        return (
            first is not None
            and last is not None
            and first < last
            and not any(record.hold is not None and is_open(record.hold) for record in self._records[first : last + 1])
        )

    def fold(self, folded: Sequence[FoldedOutflow]) -> None:
        """Count each run of outflows, in order of time, as one.  O(outflows)."""
        records: list[OutflowRecord] = []
        at = 0
        for one in folded:
            first, last = self._places[one.first, one.first_command], self._places[one.sequence, one.command]
            assert at <= first < last
            assert self._records[last].time == one.time
            assert sum(self._amounts[first : last + 1]) == int(one.amount)
            records += self._records[at:first]
            records.append(
                OutflowRecord(
                    wallet=one.wallet,
                    asset=one.asset,
                    sequence=one.sequence,
                    command=one.command,
                    time=one.time,
                    amount=one.amount,
                )
            )
            at = last + 1
        records += self._records[at:]
        self._fill(records)

    def copy(self) -> "Outflows":
        """A copy of the outflows; later changes affect only one of the two."""
        copied = Outflows()
        copied._records = list(self._records)
        copied._times = list(self._times)
        copied._amounts = list(self._amounts)
        copied._places = dict(self._places)
        copied._of_holds = {hold: list(keys) for hold, keys in self._of_holds.items()}
        copied._cursors = {seconds: list(cursor) for seconds, cursor in self._cursors.items()}
        copied._new = self._new
        return copied

    def _fill(self, records: Iterable[OutflowRecord]) -> None:
        """Store these records, in order, and no others."""
        new = self._new
        for stored in (self._records, self._times, self._amounts, self._places, self._of_holds, self._cursors):
            stored.clear()
        for record in records:
            self._append(record, int(record.amount))
        self._new = new

    def _append(self, record: OutflowRecord, amount: int) -> None:
        self._places[key_of(record)] = len(self._records)
        if record.hold is not None:
            self._of_holds.setdefault(record.hold, []).append(key_of(record))
        self._records.append(record)
        self._times.append(record.time)
        self._amounts.append(amount)
        self._new += 1
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


def _step_of(seconds: int) -> int:
    """The microseconds of a window's steps: a power of two, so that a longer step contains whole shorter ones."""
    return 1 << (seconds * 1_000_000 // STEPS).bit_length() - 1


def key_of(record: OutflowRecord) -> Key:
    """The identity of an outflow among those of a wallet and asset."""
    return record.sequence, record.command
