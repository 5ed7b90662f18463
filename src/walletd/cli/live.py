"""For the commands that stay with the daemon: the client of an event loop, with its streams and its tasks.

    return talk_live(connection, action)        # action(client, output) -> exit code

They begin later than those of ``talk``, which load no event loop.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import trio

from walletd.cli.connection import Connection, acted, reported
from walletd.cli.output import Output
from walletd.client import Client, connect

LiveAction = Callable[[Client, Output], Awaitable[int]]


def connected(connection: Connection) -> AbstractAsyncContextManager[Client]:
    """A client of the daemon.  Raises like ``Connection.options``; entering it like ``connect``."""
    return connect(connection.address(), **connection.options())


def talk_live(connection: Connection, action: LiveAction) -> int:
    """Run an action on a connected client and return its exit code; a failure prints one line."""

    def act(output: Output) -> int:
        async def main() -> int:
            async with connected(connection) as client:
                return await acted(client, output, lambda: action(client, output))

        try:
            # Anywhere else Ctrl-C might strike in a callback, where it would go unnoticed.
            return trio.run(main, restrict_keyboard_interrupt_to_checkpoints=True)
        except KeyboardInterrupt:
            raise
        except BaseExceptionGroup as group:
            raise _first(group) from None

    return reported(connection, act)


def _first(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
