"""``walletd wallet describe``, ``freeze``, ``limit``, ``close`` and so on: changes of a wallet that move nothing."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from walletd.cli.changes import PLAIN, Options, command, submit, units_of
from walletd.cli.connection import DEFAULT, Connection
from walletd.cli.failures import UsageError
from walletd.cli.metadata import metadata_of
from walletd.client import Client
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.lifecycle import FrozenSide

WINDOW = re.compile(r"([0-9.]+)/([0-9]{1,6})?([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def describe(
    name: str,
    words: Annotated[tuple[str, ...], Parameter(name="METADATA", negative="")] = (),
    /,
    *,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Replace a wallet's metadata, all of it; without any, it has none.

    For example:

        $ walletd wallet describe alice tier=gold city=Ulm

    Parameters
    ----------
    name
        The wallet's name.
    words
        Keys and values of your own, such as tier=gold.
    """
    metadata = metadata_of(words)

    async def make(client: Client) -> AnyCommand:
        return command("wallet.update", wallet=name, metadata=metadata)

    return submit(connection, options, make, lambda applied: f"wallet {name} is described by {len(metadata)} words")


def freeze(
    name: str,
    /,
    *,
    why: str,
    side: FrozenSide = FrozenSide.BOTH,
    hours: float | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Stop money out of a wallet, into it, or both.

    For example:

        $ walletd wallet freeze alice --why "chargeback 7"
        $ walletd wallet freeze alice --why "under review" --side debits --hours 24

    Parameters
    ----------
    name
        The wallet's name.
    why
        The reason, which refusals name.
    side
        debits, credits or both.
    hours
        After how long the freeze ends by itself; without it, it lasts until it is lifted.
    """
    until = None if hours is None else datetime.now(UTC) + timedelta(hours=hours)

    async def make(client: Client) -> AnyCommand:
        return command("wallet.freeze", wallet=name, frozen=side.value, why=why, until=until)

    return submit(connection, options, make, lambda applied: f"wallet {name} is frozen: {side.value}")


def unfreeze(name: str, /, *, options: Options = PLAIN, connection: Connection = DEFAULT) -> int:
    """Lift a wallet's freeze.

    For example:

        $ walletd wallet unfreeze alice
    """

    async def make(client: Client) -> AnyCommand:
        return command("wallet.unfreeze", wallet=name)

    return submit(connection, options, make, lambda applied: f"wallet {name} is not frozen any more")


def limit(
    name: str,
    asset: str,
    /,
    *,
    credit: str | None = None,
    minimum: str | None = None,
    maximum: str | None = None,
    velocity: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Set what a wallet may have of an asset; without a limit, take the asset's limits away.

    For example:

        $ walletd wallet limit alice EUR --credit 100 --maximum 5000
        $ walletd wallet limit alice EUR --velocity 100/1h --velocity 500/1d

    Parameters
    ----------
    name
        The wallet's name.
    asset
        The asset's code.
    credit
        How far below zero it may go, in the main unit.
    minimum
        What must always stay in it.
    maximum
        What it may hold at most.
    velocity
        How much may go out within any window of a length, as AMOUNT/LENGTH: s, m, h, d and w count; may be repeated.
    """

    async def make(client: Client) -> AnyCommand:
        async def units(amount: str | None) -> str | None:
            return None if amount is None else await units_of(client, amount, asset)

        given = {"credit_limit": await units(credit), "minimum": await units(minimum), "maximum": await units(maximum)}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if velocity:
            chosen["velocity"] = [await _window(units, text) for text in velocity]
        return command("wallet.update", wallet=name, limits={asset: chosen or None})

    return submit(connection, options, make, lambda applied: f"the limits of {name} for {asset} are set")


async def _window(units: Callable[[str], Awaitable[str | None]], text: str) -> dict[str, Any]:
    """The window of AMOUNT/LENGTH.  Raises UsageError."""
    found = WINDOW.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no velocity: write an amount, a slash and a length of time, such as 500/1d")
    amount, count, unit = found.groups()
    return {"seconds": int(count or 1) * SECONDS[unit], "amount": await units(amount)}


def close(
    name: str,
    /,
    *,
    sweep_to: str | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Close a wallet for ever.  It must be empty, or say which wallet gets what is in it.

    For example:

        $ walletd wallet close alice --sweep-to bob
    """

    async def make(client: Client) -> AnyCommand:
        return command("wallet.close", wallet=name, sweep_to=sweep_to)

    return submit(connection, options, make, lambda applied: f"wallet {name} is closed for ever")
