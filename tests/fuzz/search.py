"""The search: inputs from one seed until one fails; that one is made as small as it can be and given a name.

    search(20_000, seed, inputs.frames, judge)      # judge raises for an input that goes wrong

``TEST_FUZZ`` says how many inputs are tried in memory; on sockets it is a tenth of them.
"""

import hashlib
import os
import random
from collections.abc import Callable

from tests.faults.rows import figure

INPUTS = figure("TEST_FUZZ")
SEED = os.environ.get("TEST_FUZZ_SEED") or os.environ.get("TEST_SEED", "walletd")

Judge = Callable[[bytes], None]


class Failed(AssertionError):
    """An input that goes wrong: ``smallest`` is what is left of it when nothing more can be taken away."""

    def __init__(self, kind: str, number: int, smallest: bytes, why: BaseException) -> None:
        name = hashlib.sha256(smallest).hexdigest()[:8]
        super().__init__(
            f"{kind} {name}, input {number} of seed {SEED!r}: {smallest!r}\n{type(why).__name__}: {why}\n"
            f'to keep it, add to tests/fuzz/corpus/found.jsonl: {{"kind": "{kind}", "hex": "{smallest.hex()}"}}'
        )
        self.smallest = smallest
        self.why = why


def search(kind: str, count: int, make: Callable[[random.Random], bytes], judge: Judge) -> None:
    """Judge so many inputs.  Raises Failed for the first that goes wrong."""
    chance = random.Random(f"{SEED} {kind}")
    for number in range(count):
        data = make(chance)
        try:
            judge(data)
        except Exception as why:
            smallest, why = smallest_of(data, judge, why)
            raise Failed(kind, number, smallest, why) from why


def smallest_of(data: bytes, judge: Judge, why: Exception) -> tuple[bytes, Exception]:
    """Take away as much as can be taken away, so that it still goes wrong in the same way."""
    size = max(1, len(data) // 2)
    while True:
        at, is_smaller = 0, False
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            failure = _failure(shorter, judge)
            if failure is not None and type(failure) is type(why):
                data, why, is_smaller = shorter, failure, True
            else:
                at += size
        if size == 1 and not is_smaller:
            return data, why
        size = max(1, size // 2)


def _failure(data: bytes, judge: Judge) -> Exception | None:
    try:
        judge(data)
    except Exception as failure:
        return failure
    return None
