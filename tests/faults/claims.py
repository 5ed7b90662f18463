"""What clients were told, in small, and the checker that says whether it can be true.

Every answer claims its place: a sequence, and for each balance a version.  So no search is needed: the claims are
replayed in the order that they claim, and that order must agree with the clients' one clock.  Per wallet this is
linearizability, and the sequence extends it to transfers between wallets.

    wrong = violations(transfers, readings, funds={"w1": 500}, versions={"w1": 2})
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple


class Told(NamedTuple):
    """What an answer says of one balance."""

    wallet: str
    posted: int
    version: int


class Transfer(NamedTuple):
    """A transfer and what came of it: what was available, where it was refused; else the balances after it.

    ``invoked`` and ``returned`` are ticks of the clients' clock: before the first byte was sent, after the first answer
    was read.
    """

    payer: str
    payee: str
    amount: int
    invoked: int
    returned: int
    sequence: int
    available: int | None
    balances: tuple[Told, ...] = ()


class Reading(NamedTuple):
    """A balance that was read, and after which entry it stood."""

    told: Told
    invoked: int
    returned: int
    sequence: int


def violations(
    transfers: Sequence[Transfer], readings: Sequence[Reading], funds: Mapping[str, int], versions: Mapping[str, int]
) -> Iterator[str]:
    """Everything that no honest daemon can have said.  O(n log n)."""
    in_order = sorted(transfers, key=lambda transfer: transfer.sequence)
    yield from _order(in_order)
    yield from _replay(in_order, sorted(readings, key=lambda reading: reading.sequence), dict(funds), dict(versions))
    yield from _freshness(transfers, readings)


def _order(in_order: Sequence[Transfer]) -> Iterator[str]:
    """Sequences are unique, and what had returned before another was invoked comes before it."""
    last, latest_invoked = 0, -1
    for transfer in in_order:
        if transfer.sequence == last:
            yield f"two commands claim entry {last}"
        last = transfer.sequence
        if transfer.returned < latest_invoked:
            yield f"entry {transfer.sequence} had returned before an earlier entry was asked for"
        latest_invoked = max(latest_invoked, transfer.invoked)


def _replay(
    transfers: Sequence[Transfer], readings: Sequence[Reading], posted: dict[str, int], versions: dict[str, int]
) -> Iterator[str]:
    total = sum(posted.values())
    next_reading = 0
    for transfer in transfers:
        while next_reading < len(readings) and readings[next_reading].sequence < transfer.sequence:
            yield from _compare(readings[next_reading].told, posted, versions, "a reading")
            next_reading += 1
        name = f"entry {transfer.sequence}"
        if transfer.available is not None:
            if transfer.available != posted[transfer.payer] or transfer.available >= transfer.amount:
                yield f"{name} was refused for {transfer.available}; {transfer.payer} had {posted[transfer.payer]}"
            continue
        for wallet, change in ((transfer.payer, -transfer.amount), (transfer.payee, transfer.amount)):
            posted[wallet] += change
            versions[wallet] += 1
        if posted[transfer.payer] < 0:
            yield f"{name} took {transfer.payer} below zero"
        for told in transfer.balances:
            yield from _compare(told, posted, versions, name)
        if {told.wallet for told in transfer.balances} != {transfer.payer, transfer.payee}:
            yield f"{name} does not tell both balances"
    for reading in readings[next_reading:]:
        yield from _compare(reading.told, posted, versions, "a reading")
    if sum(posted.values()) != total:
        yield f"{total} units became {sum(posted.values())}"


def _compare(told: Told, posted: Mapping[str, int], versions: Mapping[str, int], name: str) -> Iterator[str]:
    if (told.posted, told.version) != (posted[told.wallet], versions[told.wallet]):
        yield (
            f"{name} tells {told.posted} at version {told.version} of {told.wallet}; "
            f"it has {posted[told.wallet]} at version {versions[told.wallet]}"
        )


def _freshness(transfers: Sequence[Transfer], readings: Sequence[Reading]) -> Iterator[str]:
    """A reading shows all that had returned before it was asked for, and nothing asked for after it returned."""
    by_return = sorted(transfers, key=lambda transfer: transfer.returned)
    returns = [transfer.returned for transfer in by_return]
    highest = list(accumulate((transfer.sequence for transfer in by_return), max))
    by_invocation = sorted(transfers, key=lambda transfer: transfer.invoked)
    invocations = [transfer.invoked for transfer in by_invocation]
    lowest = list(accumulate((transfer.sequence for transfer in reversed(by_invocation)), min))[::-1]
    for reading in readings:
        before = bisect_left(returns, reading.invoked)
        if before and highest[before - 1] > reading.sequence:
            yield f"a reading after entry {reading.sequence} misses entry {highest[before - 1]}, which had returned"
        after = bisect_right(invocations, reading.returned)
        if after < len(lowest) and lowest[after] <= reading.sequence:
            yield f"a reading shows entry {lowest[after]}, which was asked for only later"
