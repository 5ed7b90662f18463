"""A hook: what one part of the daemon says, and the functions of other parts that want to hear it.

    durable: Hook[[Sequence[Pending]]] = Hook()
    writer = JournalWriter(..., on_durable=durable)     # a part is handed the hook when it is built
    durable.add(decisions.on_durable)                   # a part that is built later adds what it does

Parts that call each other are built one after the other this way, and none is changed from outside.
"""

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Hook(Generic[P]):
    """Calls what was added, in the order in which it was added; nothing, as long as nothing was."""

    __slots__ = ("_followers",)

    def __init__(self) -> None:
        self._followers: list[Callable[P, None]] = []

    def add(self, follower: Callable[P, None]) -> None:
        """Have this called from now on, too."""
        self._followers.append(follower)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all that was added."""
        for follower in self._followers:
            follower(*args, **kwargs)
