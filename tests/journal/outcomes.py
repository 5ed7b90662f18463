"""The writer's listener, made of functions: each test says only what it wants to hear.

writer = JournalWriter(store, frontier, head, outcome=Told(durable=lambda commit: told.extend(commit)))
"""

from collections.abc import Callable, Sequence
from typing import Any

from walletd.journal.failures import JournalFull
from walletd.journal.queue import Pending


def _ignore(*_: object) -> None:
    """Nothing is heard."""


class Told:
    """An ``Outcome`` of the journal writer."""

    def __init__(
        self,
        durable: Callable[[Sequence[Pending[Any]]], None] = _ignore,
        rolled_back: Callable[[Sequence[Pending[Any]], JournalFull], None] = _ignore,
        writable: Callable[[], None] = _ignore,
    ) -> None:
        self.durable = durable
        self.rolled_back = rolled_back
        self.writable = writable
        self.idle: Callable[[], None] = _ignore
