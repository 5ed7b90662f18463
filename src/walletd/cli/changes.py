"""What every command that changes something does alike: make it, send it, and say what came of it."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from rich.console import Group

from walletd.cli.connection import Connection, talk
from walletd.cli.failures import UsageError
from walletd.cli.output import Output, balances_table
from walletd.client import Applied, Client, new_command_id
from walletd.protocol.errors import explain
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.money import parse_amount


def submit(
    connection: Connection, make: Callable[[Client], Awaitable[AnyCommand]], sentence: Callable[[Applied], str]
) -> int:
    """Send the command that ``make`` makes; answer with the sentence and the balances after it."""

    async def act(client: Client, output: Output) -> int:
        applied = await client.submit(await make(client))
        scales = await client.assets()
        said = sentence(applied) + (" (answered before, to the same command id)" if applied.replayed else "")
        output.answer(
            applied, lambda: Group(said, balances_table(applied.balances, scales)) if applied.balances else said
        )
        return 0

    return talk(connection, act)


def command(method: str, command_id: str | None, *, nullable: str = "", **params: Any) -> AnyCommand:
    """The command of this method; what is None is left out, but for the param that may be null.

    Raises UsageError where the parts are malformed.
    """
    given = {name: value for name, value in params.items() if value is not None or name == nullable}
    try:
        document = {"method": method, "command_id": new_command_id() if command_id is None else command_id, **given}
        return msgspec.convert(document, AnyCommand)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise UsageError(explain(str(error), method)[1]) from None


async def units_of(client: Client, amount: str, asset: str) -> str:
    """An amount in the main unit as the protocol has it.  Raises UsageError where it is none."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", amount):
        raise UsageError(f"{amount!r} is not an amount; write it like 12.50: digits, and a point before the decimals")
    scales = await client.assets()
    if asset not in scales:
        raise UsageError(f"there is no asset {asset}; define it with: walletd asset define {asset}/2")
    try:
        return str(parse_amount(amount, scales[asset]))
    except ValueError as error:
        raise UsageError(str(error)) from None
