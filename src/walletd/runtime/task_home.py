"""A home for tasks that synchronous code starts: a nursery while it runs, and nothing before and after.

tasks = TaskHome()
nursery.start_soon(tasks.run)
tasks.start_soon(look_up, 17)                      # dropped if the home does not run: at the end of the daemon
"""

from collections.abc import Awaitable, Callable
from typing import Any

import trio


class TaskHome:
    """Tasks that live as long as ``run`` does at most."""

    __slots__ = ("_nursery",)

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run tasks until cancelled.  Raises the error of any of them."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def start_soon(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Start a task; does nothing if the home does not run."""
        if self._nursery is not None:
            self._nursery.start_soon(function, *arguments)
