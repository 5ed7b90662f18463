"""A hook: an event of one part of the daemon, and the functions of other parts that follow it.

    on_idle: Hook[[]] = Hook()                          # a part receives the hook when it is built
    on_idle.add(server.flush)                           # a part that is built later adds its function

Parts that call each other are built one after the other this way, and none is changed from outside.
"""

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Hook(Generic[P]):
    """Calls the added functions, in the order in which they were added."""

    __slots__ = ("_followers",)

    def __init__(self) -> None:
        self._followers: list[Callable[P, None]] = []

    def add(self, follower: Callable[P, None]) -> None:
        """Call this function, too, from now on."""
        self._followers.append(follower)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all added functions."""
        for follower in self._followers:
            follower(*args, **kwargs)
