"""``walletd wallet describe``, ``freeze``, ``limit``, ``close`` and so on: changes to a wallet that move no money."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from walletd.cli.changes import PLAIN, Options, command, metadata_of, only_looks, submit, units_of
from walletd.cli.confirmation import Yes, confirm
from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.durations import SECONDS, one_of
from walletd.cli.usage import UsageError
from walletd.cli.views import limit_options, show_freeze, show_limits, show_metadata
from walletd.client import RequestFailed
from walletd.client.blocking_client import BlockingClient
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.identifiers import AssetCode
from walletd.vocabulary.states import FrozenSide

WINDOW = re.compile(r"([0-9.]+)/([0-9]{1,6})?([smhdw])")
NONE = "none"
"""The word that removes a limit."""

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
    """Replace all of a wallet's metadata; without arguments, show it.

    For example:

        $ walletd wallet describe alice tier=gold city=Ulm
        $ walletd wallet describe alice
        $ walletd wallet describe alice --none

    Parameters
    ----------
    name
        The wallet's name.
    words
        Keys and values, such as tier=gold.
    none
        Remove all metadata.
    """
    metadata = metadata_of(words)
    if only_looks(options, words, none, to_set="words such as tier=gold, or --none"):
        return talk(connection, lambda client, output: show_metadata(client, output, name))
    if words and none:
        raise UsageError("--none removes all metadata; give it without words")

    async def make(client: BlockingClient) -> AnyCommand:
        return command("wallet.update", wallet=name, metadata=metadata)

    return submit(connection, options, make, lambda applied: f"wallet {name} has {len(metadata)} metadata keys")


def freeze(
    name: str,
    /,
    *,
    why: str | None = None,
    side: FrozenSide | None = None,
    lasts: Annotated[str | None, Parameter(name="--for")] = None,
    hours: Annotated[float | None, Parameter(show=False)] = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Stop money into a wallet, out of it, or both; without a reason, show its freeze.

    A freeze replaces the previous one.

    For example:

        $ walletd wallet freeze alice --why "chargeback 7"
        $ walletd wallet freeze alice --why "under review" --side debits --for 24h
        $ walletd wallet freeze alice

    Parameters
    ----------
    name
        The wallet's name.
    why
        The reason, which refusals quote.
    side
        debits, credits or both; default both.
    lasts
        How long the freeze lasts: 30m, 24h or 7d; default until it is lifted.
    hours
        The same in hours, as in earlier versions.
    """
    if only_looks(options, why, side, lasts, hours, to_set="a reason, with --why"):
        return talk(connection, lambda client, output: show_freeze(client, output, name))
    if why is None:
        raise UsageError("a freeze needs a reason: give it with --why")
    stopped = side or FrozenSide.BOTH
    seconds = one_of("--for", lasts, "--hours", hours, SECONDS["h"])

    async def make(client: BlockingClient) -> AnyCommand:
        return command("wallet.freeze", wallet=name, frozen=stopped.value, why=why, until_in_seconds=seconds)

    return submit(connection, options, make, lambda applied: f"wallet {name} is frozen: {stopped.value}")


def unfreeze(name: str, /, *, options: Options = PLAIN, connection: Connection = DEFAULT) -> int:
    """Lift a wallet's freeze.

    For example:

        $ walletd wallet unfreeze alice
    """

    async def make(client: BlockingClient) -> AnyCommand:
        return command("wallet.unfreeze", wallet=name)

    return submit(connection, options, make, lambda applied: f"wallet {name} is no longer frozen")


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
    """Set a wallet's limits for an asset; without a limit, show its limits and the room they leave.

    The limits of an asset are set together: repeat those to keep, and set to none those to remove.

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
        How far below zero the wallet may go, in the main unit; or none.
    minimum
        The lowest balance; or none.
    maximum
        The highest balance; or none.
    velocity
        The most that may leave within any window, as AMOUNT/LENGTH with s, m, h, d or w; may be repeated;
        or none.
    none
        Remove all limits of the asset.
    """
    named = {"credit": credit, "minimum": minimum, "maximum": maximum, "velocity": velocity or None}
    if only_looks(options, *named.values(), none, to_set="a limit, such as --maximum 5000, or --none"):
        return talk(connection, lambda client, output: show_limits(client, output, name, asset))
    if asset is None:
        raise UsageError("name the asset, as in walletd wallet limit alice EUR --maximum 5000")
    wanted = {word: value for word, value in named.items() if value is not None}
    if wanted and none:
        raise UsageError("--none removes all limits of the asset; give it without any limit")

    async def make(client: BlockingClient) -> AnyCommand:
        if not none:
            await _check_that_none_is_lost(client, name, asset, wanted, options)
        chosen = await _limits_of(client, asset, wanted)
        return command("wallet.update", wallet=name, limits={asset: chosen or None})

    gone = "taken away" if none else "set"
    return submit(connection, options, make, lambda applied: f"the limits of {name} for {asset} are {gone}")


async def _limits_of(client: BlockingClient, asset: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The limits as the protocol writes them, without those to remove.  Raises UsageError."""

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
    client: BlockingClient, name: str, asset: str, wanted: Mapping[str, Any], options: Options
) -> None:
    """Raises UsageError if an existing limit was not named, since it would vanish silently.

    A command id that was used before gets its first answer and changes nothing.
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
        raise UsageError(
            f"the limits of an asset are set together: keep the others with {kept}, or remove them with {gone}"
        )


async def _is_decided(client: BlockingClient, command_id: str) -> bool:
    try:
        await client.entry(command_id=command_id)
    except RequestFailed:
        return False
    return True


async def _window(units: Callable[[str], Awaitable[str]], text: str) -> dict[str, Any]:
    """The window of AMOUNT/LENGTH.  Raises UsageError."""
    found = WINDOW.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a velocity: write an amount, a slash and a length of time, such as 500/1d")
    amount, count, unit = found.groups()
    return {"seconds": int(count or 1) * SECONDS[unit], "amount": await units(amount)}


def close(
    name: str,
    /,
    *,
    sweep_to: str | None = None,
    yes: Yes = False,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Close a wallet permanently.  It must be empty, or --sweep-to names the wallet that receives its balances.

    For example:

        $ walletd wallet close alice --sweep-to bob

    Parameters
    ----------
    name
        The wallet's name.
    sweep_to
        The wallet that receives its balances.
    yes
        Do not ask at a terminal.
    """
    if not options.dry_run:
        confirm(f"close wallet {name} permanently", yes)

    async def make(client: BlockingClient) -> AnyCommand:
        return command("wallet.close", wallet=name, sweep_to=sweep_to)

    return submit(connection, options, make, lambda applied: f"wallet {name} is closed permanently")
