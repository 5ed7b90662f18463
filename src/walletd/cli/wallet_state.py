"""``walletd wallet describe``, ``freeze``, ``limit``, ``close`` and so on: changes of a wallet that move nothing."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from walletd.cli.changes import PLAIN, Options, command, only_looks, seconds_of, submit, units_of
from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.failures import UsageError
from walletd.cli.metadata import metadata_of
from walletd.cli.views import SECONDS, limit_options, show_freeze, show_limits, show_metadata
from walletd.client import Client, RequestFailed
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.identifiers import AssetCode
from walletd.vocabulary.lifecycle import FrozenSide

WINDOW = re.compile(r"([0-9.]+)/([0-9]{1,6})?([smhdw])")
NONE = "none"
"""What stands instead of a limit that is to go."""

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def describe(
    name: str,
    words: Annotated[tuple[str, ...], Parameter(name="METADATA", negative="")] = (),
    /,
    *,
    none: Flag = False,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Replace a wallet's metadata, all of it; without any words, show it.

    For example:

        $ walletd wallet describe alice tier=gold city=Ulm
        $ walletd wallet describe alice
        $ walletd wallet describe alice --none

    Parameters
    ----------
    name
        The wallet's name.
    words
        Keys and values of your own, such as tier=gold.
    none
        Take all metadata away.
    """
    metadata = metadata_of(words)
    if only_looks(options, words, none, to_set="words such as tier=gold, or --none"):
        return talk(connection, lambda client, output: show_metadata(client, output, name))
    if words and none:
        raise UsageError("--none takes all metadata away; give it without words")

    async def make(client: Client) -> AnyCommand:
        return command("wallet.update", wallet=name, metadata=metadata)

    return submit(connection, options, make, lambda applied: f"wallet {name} is described by {len(metadata)} words")


def freeze(
    name: str,
    /,
    *,
    why: str | None = None,
    side: FrozenSide | None = None,
    hours: float | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Stop money out of a wallet, into it, or both; without a reason, show its freeze.

    A freeze takes the place of the one before it.

    For example:

        $ walletd wallet freeze alice --why "chargeback 7"
        $ walletd wallet freeze alice --why "under review" --side debits --hours 24
        $ walletd wallet freeze alice

    Parameters
    ----------
    name
        The wallet's name.
    why
        The reason, which refusals name.
    side
        debits, credits or both; by default both.
    hours
        After how long the freeze ends by itself; without it, it lasts until it is lifted.
    """
    if only_looks(options, why, side, hours, to_set="a reason, with --why"):
        return talk(connection, lambda client, output: show_freeze(client, output, name))
    if why is None:
        raise UsageError("a freeze needs a reason: say it with --why")
    stopped = side or FrozenSide.BOTH
    seconds = None if hours is None else seconds_of("--hours", hours, 3600)

    async def make(client: Client) -> AnyCommand:
        return command("wallet.freeze", wallet=name, frozen=stopped.value, why=why, until_in_seconds=seconds)

    return submit(connection, options, make, lambda applied: f"wallet {name} is frozen: {stopped.value}")


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
    asset: str | None = None,
    /,
    *,
    credit: str | None = None,
    minimum: str | None = None,
    maximum: str | None = None,
    velocity: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    none: Flag = False,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Set what a wallet may have of an asset; without a limit, show its limits and what they leave.

    The limits of an asset are set together: name each that stands, or say none for one that is to go.

    For example:

        $ walletd wallet limit alice EUR --credit 100 --maximum 5000
        $ walletd wallet limit alice EUR --velocity 100/1h --velocity 500/1d
        $ walletd wallet limit alice EUR --velocity 100/1h --maximum none
        $ walletd wallet limit alice
        $ walletd wallet limit alice EUR --none

    Parameters
    ----------
    name
        The wallet's name.
    asset
        The asset's code.
    credit
        How far below zero it may go, in the main unit; or none.
    minimum
        What must always stay in it; or none.
    maximum
        What it may hold at most; or none.
    velocity
        How much may go out within any window of a length, as AMOUNT/LENGTH: s, m, h, d and w count; may be repeated;
        or none.
    none
        Take all limits of the asset away.
    """
    named = {"credit": credit, "minimum": minimum, "maximum": maximum, "velocity": velocity or None}
    if only_looks(options, *named.values(), none, to_set="a limit, such as --maximum 5000, or --none"):
        return talk(connection, lambda client, output: show_limits(client, output, name, asset))
    if asset is None:
        raise UsageError("say of which asset, as in walletd wallet limit alice EUR --maximum 5000")
    wanted = {word: value for word, value in named.items() if value is not None}
    if wanted and none:
        raise UsageError("--none takes all limits of the asset away; give it without any limit")

    async def make(client: Client) -> AnyCommand:
        if not none:
            await _check_that_none_is_lost(client, name, asset, wanted, options)
        chosen = await _limits_of(client, asset, wanted)
        return command("wallet.update", wallet=name, limits={asset: chosen or None})

    gone = "taken away" if none else "set"
    return submit(connection, options, make, lambda applied: f"the limits of {name} for {asset} are {gone}")


async def _limits_of(client: Client, asset: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The limits as the protocol has them, without those that are to go.  Raises UsageError."""

    async def units(amount: str) -> str:
        return await units_of(client, amount, asset)

    chosen: dict[str, Any] = {}
    for word, value in wanted.items():
        if value in (NONE, (NONE,)):
            continue
        if word == "velocity":
            chosen[word] = [await _window(units, text) for text in value]
        else:
            chosen["credit_limit" if word == "credit" else word] = await units(value)
    return chosen


async def _check_that_none_is_lost(
    client: Client, name: str, asset: str, wanted: Mapping[str, Any], options: Options
) -> None:
    """Raises UsageError where a limit stands that was not named, for it would go without a word.

    What was decided under this command id before is answered again, and changes nothing.
    """
    if options.command_id is not None and await _is_decided(client, options.command_id):
        return
    try:
        standing = (await client.wallet(name)).limits.get(AssetCode(asset))
    except RequestFailed:
        return
    if standing is None:
        return
    lost = {
        word: spelled
        for word, spelled in limit_options(standing, asset, await client.assets()).items()
        if word not in wanted
    }
    if lost:
        kept = " ".join(option for spelled in lost.values() for option in spelled)
        gone = " ".join(f"--{word} none" for word in lost)
        raise UsageError(f"the limits of an asset are set together: keep the others with {kept}, or say {gone}")


async def _is_decided(client: Client, command_id: str) -> bool:
    try:
        await client.entry(command_id=command_id)
    except RequestFailed:
        return False
    return True


async def _window(units: Callable[[str], Awaitable[str]], text: str) -> dict[str, Any]:
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
