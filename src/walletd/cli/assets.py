"""``walletd asset``: the assets, and the number of decimal places of each."""

import re
from typing import Annotated, Any

from cyclopts import App, Parameter

from walletd.cli.connection import DEFAULT, CommandId, Connection, talk
from walletd.cli.each import each
from walletd.cli.groups import MONEY
from walletd.cli.output import Output, new_table
from walletd.cli.usage import UsageError
from walletd.client import Refused
from walletd.client.blocking_client import BlockingClient
from walletd.vocabulary.money import MAX_SCALE
from walletd.vocabulary.reasons import Reason

asset = App(name="asset", group=MONEY, help="Define assets and list them.")


@asset.command
def define(
    assets: Annotated[list[str], Parameter(negative="")],
    /,
    *,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Define assets: a code and, permanently, the number of decimal places of the main unit.

    An asset that is defined already with the same number of decimal places is no error.

    For example:

        $ walletd asset define EUR/2
        $ walletd asset define EUR/2 BTC/8 ETH/18

    Parameters
    ----------
    assets
        Each as CODE/SCALE, such as EUR/2: one euro has two decimal places.
    command_id
        An id for this one definition: sent again, it returns the first answer.
    """
    wanted = [_code_and_scale(text) for text in assets]

    async def define_one(client: BlockingClient, one: tuple[str, int]) -> tuple[Any, str]:
        code, scale = one
        try:
            applied = await client.define_asset(code, scale, command_id=command_id)
        except Refused as refusal:
            if refusal.reason is not Reason.ASSET_ALREADY_DEFINED or refusal.facts.get("scale") != scale:
                raise
            there = {"already_there": True, "asset": code, "scale": scale}
            return there, f"{code} was defined before, with {scale} decimal places"
        return applied, f"{code} is defined, with {scale} decimal places"

    return each(connection, wanted, define_one, command_id)


@asset.command(name="list")
def list_(*, connection: Connection = DEFAULT) -> int:
    """List the defined assets.

    For example:

        $ walletd asset list
    """

    async def show(client: BlockingClient, output: Output) -> int:
        scales = dict(sorted((await client.assets()).items()))
        table = new_table("asset", "decimal places", right=("decimal places",))
        for code, scale in scales.items():
            table.add_row(code, str(scale))
        if scales or output.as_json:
            output.answer(
                {"assets": [{"asset": code, "scale": scale} for code, scale in scales.items()]}, lambda: table
            )
        else:
            output.line("No asset is defined yet; define one with: walletd asset define EUR/2")
        return 0

    return talk(connection, show)


def _code_and_scale(text: str) -> tuple[str, int]:
    code, slash, scale = text.partition("/")
    if not slash or not re.fullmatch("[0-9]{1,2}", scale) or int(scale) > MAX_SCALE:
        raise UsageError(f"{text!r} is not CODE/SCALE; write it like EUR/2, with a scale from 0 to {MAX_SCALE}")
    return code, int(scale)
