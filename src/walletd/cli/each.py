"""One command for each of several arguments: all are tried and answered, and the worst outcome is the exit code."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from walletd.cli.connection import Connection, scales_of, talk
from walletd.cli.failures import told
from walletd.cli.lines import say
from walletd.cli.output import Output, again
from walletd.cli.usage import UsageError
from walletd.client import Applied, ClientError, RequestFailed
from walletd.client.blocking_client import BlockingClient

One = TypeVar("One")

AlreadyThere = dict[str, Any]
"""What was there before, alike: not a failure of a script that sets things up."""


def each(
    connection: Connection,
    ones: Sequence[One],
    do: Callable[[BlockingClient, One], Awaitable[tuple[Applied | AlreadyThere, str]]],
    command_id: str | None,
) -> int:
    """Do it for each, until the daemon is gone.  As JSON: a list of results and errors, in the order of the arguments.

    Commands answered before the daemon went away are reported nonetheless.
    """
    if command_id is not None and len(ones) > 1:
        raise UsageError("--command-id identifies one command; give a single argument with it")

    async def do_all(client: BlockingClient, output: Output) -> int:
        documents: list[Any] = []
        exit_code = 0
        for one in ones:
            try:
                applied, sentence = await do(client, one)
                documents.append(applied)
                output.line(sentence + (again(applied) if isinstance(applied, Applied) else ""))
            except ClientError as error:
                failure = told(error, await scales_of(client))
                documents.append({"error": failure.document})
                say(f"walletd: {failure.sentence}")
                exit_code = max(exit_code, failure.exit_code)
                if not isinstance(error, RequestFailed):
                    break
        if output.as_json:
            output.document(documents)
        return exit_code

    return talk(connection, do_all)
