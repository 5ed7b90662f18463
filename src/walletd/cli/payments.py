"""``walletd pay``: move an exact amount from one wallet to another."""

import re
import shlex
import sys
from typing import Annotated

from cyclopts import Parameter
from rich.console import Group

from walletd.cli.connection import DEFAULT, CommandId, Connection, talk
from walletd.cli.failures import UsageError
from walletd.cli.output import Output, balances_table, room_lines
from walletd.client import Applied, Client
from walletd.client.asks import new_command_id


def pay(
    source: Annotated[str, Parameter(name="FROM")],
    to: str,
    amount: str,
    asset: str,
    /,
    *,
    reference: str | None = None,
    command_id: CommandId = None,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: Connection = DEFAULT,
) -> int:
    """Pay from one wallet to another.  Money comes in from @external and goes out to it.

    For example:

        $ walletd pay @external alice 100 EUR
        $ walletd pay alice bob 12.50 EUR --reference "dinner"
        $ walletd pay alice bob 12.50 EUR --command-id order-4711

    Parameters
    ----------
    source
        The wallet that pays.
    to
        The wallet that receives.
    amount
        In the asset's main unit, exact: 12.50 is twelve euros fifty.
    asset
        The asset's code, such as EUR.
    reference
        Free words that the statement shows.
    command_id
        An id of your own: sent again, it moves nothing and gets the first answer again.
    dry_run
        Say what would happen, and change nothing.
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", amount):
        raise UsageError(f"{amount!r} is not an amount; write it like 12.50: digits, and a point before the decimals")
    if not amount.strip("0."):
        raise UsageError("an amount must be more than zero")
    command_id = new_command_id() if command_id is None else command_id

    async def post(client: Client, output: Output) -> int:
        try:
            applied = await client.pay(
                source, to, amount, asset, reference=reference, command_id=command_id, dry_run=dry_run
            )
        except ValueError as error:
            raise UsageError(str(error)) from None
        scales = await client.assets()
        sentence = _sentence(applied, f"{amount} {asset} from {source} to {to}")
        lines = list(room_lines(applied.room, scales))
        output.answer(applied, lambda: Group(sentence, balances_table(applied.balances, scales), *lines))
        return 0

    try:
        return talk(connection, post)
    except KeyboardInterrupt:
        if not dry_run:
            sys.stderr.write(
                "walletd: interrupted, and it may or may not have been paid; "
                f"to find out, repeat it with --command-id {shlex.quote(command_id)}\n"
            )
        raise


def _sentence(applied: Applied, what: str) -> str:
    if applied.dry_run:
        return f"would pay {what}; nothing was changed"
    if applied.replayed:
        return f"paid {what} before, as transfer {applied.transfer}; the same command id moves nothing again"
    return f"paid {what}, as transfer {applied.transfer}"
