"""``walletd batch``: commands from a file in one entry, all or none or each by itself."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from walletd.cli.connection import DEFAULT, CommandId, Connection, talk
from walletd.cli.failures import told
from walletd.cli.output import Output, again, new_table
from walletd.cli.usage import UsageError
from walletd.client import new_command_id
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.errors import explain
from walletd.protocol.strict_json import repeated_name
from walletd.protocol.strict_types import converted
from walletd.runtime.ending import EXIT_REFUSED
from walletd.vocabulary.commands import BatchedCommand

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def batch(
    file: Path,
    /,
    *,
    each: Flag = False,
    atomic: Annotated[bool, Parameter(negative="", show=False)] = False,
    dry_run: Flag = False,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Run the commands of a file in one entry: all or none or, with --each, each by itself.

    Each line is a command of the protocol, with its method; amounts are in smallest units.  A command without a
    command_id gets the batch's id followed by its position, so that sending the same file again with the same
    --command-id changes nothing.

    For example:

        $ walletd batch salaries.jsonl --command-id salaries-2026-01
        $ walletd batch salaries.jsonl --each

    Parameters
    ----------
    file
        One JSON object per line; - reads standard input.
    each
        Each by itself: a command that is refused stops no other.
    atomic
        All or none, which is the default.
    dry_run
        Show what would happen and change nothing.
    command_id
        An id that you choose for the whole batch.
    """
    if each and atomic:
        raise UsageError("--each and --atomic exclude each other; give one of them")
    command_id = new_command_id() if command_id is None else command_id
    text = _text_of(file)
    commands = [_command(line, number, command_id) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not commands:
        raise UsageError(f"there is no command in {file}")

    async def run(client: BlockingClient, output: Output) -> int:
        done = await client.batch(commands, atomic=not each, command_id=command_id, dry_run=dry_run)
        scales = await client.assets()
        table = new_table("line", "command", "command id", "result", right=("line",), folding=("result",))
        for number, (inner, result) in enumerate(zip(commands, done.results, strict=False), 1):
            refused = None if result.refused is None else told(result.refused, scales).sentence
            made = result.transfer or result.hold or "done"
            table.add_row(str(number), str(inner.__struct_config__.tag), result.command_id, refused or made)
        output.answer(done.applied, lambda: table)
        if done.applied.replayed:
            output.line(f"This batch was sent before{again(done.applied)}.")
        number = sum(result.refused is not None for result in done.results)
        if done.applied.dry_run:
            output.line("Nothing was changed.")
        elif number:
            output.line(f"{number:,} of {len(done.results):,} commands were refused; the others are applied.")
        return EXIT_REFUSED if number else 0

    return talk(connection, run)


def _text_of(file: Path) -> str:
    """The text of the file or of standard input: UTF-8, with or without a byte order mark.  Raises UsageError."""
    try:
        return (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None


def _command(line: str, number: int, batch_id: str) -> BatchedCommand:
    try:
        document = msgspec.json.decode(line, type=dict)
        repeated = repeated_name(line.encode())
        if repeated is not None:
            raise UsageError(f"line {number}: {repeated!r} appears twice in one object; write each name once")
        document.setdefault("command_id", f"{batch_id}.{number}")
        return converted(document, BatchedCommand)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise UsageError(f"line {number}: {explain(str(error), 'the command')[1]}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"line {number} is not a JSON object: {error}") from None
