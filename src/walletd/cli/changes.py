"""What all changing commands share: build, send, report the outcome.

return submit(connection, options, make, lambda applied: "done")
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType

from walletd.cli.connection import Connection, talk
from walletd.cli.durations import seconds_in
from walletd.cli.groups import CONDITIONS
from walletd.cli.lines import say, write_json
from walletd.cli.output import Output, again, balances_table, room_lines
from walletd.cli.usage import UsageError
from walletd.client import Applied, new_command_id
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.errors import explain
from walletd.protocol.strict_types import converted
from walletd.vocabulary.commands import AnyCommand
from walletd.vocabulary.identifiers import ASSET_CODE_PATTERN
from walletd.vocabulary.money import parse_amount

COMPARISONS = {">=": "gte", "<=": "lte", "=": "eq"}
CONDITION = re.compile(r"(\S+)\s+(\S+)\s+(?:(posted|available)\s+)?(>=|<=|=)\s*(-?)([0-9.]+)")
VERSION = re.compile(r"(.+)=([0-9]{1,16})")


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """A command's id, and the conditions under which it is decided at all."""

    command_id: Annotated[str | None, Parameter(group=CONDITIONS)] = None
    """An id that you choose: sent again, it changes nothing and returns the first answer."""

    if_version: Annotated[tuple[str, ...], Parameter(group=CONDITIONS, negative="", show_default=False)] = ()
    """Only if a wallet has this version, as WALLET=VERSION; may be repeated."""

    if_balance: Annotated[tuple[str, ...], Parameter(group=CONDITIONS, negative="", show_default=False)] = ()
    """Only if a wallet has this balance, such as "alice EUR >= 10" or "alice EUR posted = 0"; may be repeated."""

    valid_for: Annotated[str | None, Parameter(group=CONDITIONS)] = None
    """Only if the command is decided within this time after the daemon received it, such as 30s or 5m."""

    dry_run: Annotated[bool, Parameter(group=CONDITIONS, negative="", show_default=False)] = False
    """Show what would happen and how much room it would leave, and change nothing."""


PLAIN = Options()
"""The defaults."""


def only_looks(options: Options, *wishes: object, to_set: str) -> bool:
    """True if a command that sets something was given nothing to set, and therefore shows the present state.

    Raises UsageError if an id or a condition was given nonetheless: its sender means a change.
    """
    if any(wish not in (None, (), False) for wish in wishes):
        return False
    if options != PLAIN:
        raise UsageError(
            f"say what to set: {to_set}; to see the present state, give neither a value nor an id nor a condition"
        )
    return True


def submit(
    connection: Connection,
    options: Options,
    make: Callable[[BlockingClient], Awaitable[AnyCommand]],
    sentence: Callable[[Applied], str],
) -> int:
    """Send the command that ``make`` builds; answer with the sentence and the balances after it."""
    command_id = new_command_id() if options.command_id is None else options.command_id

    async def act(client: BlockingClient, output: Output) -> int:
        bare = await make(client)
        applied = await client.submit(await _with_options(client, bare, command_id, options))
        scales = await client.assets()
        balances = _balances(applied, scales)
        lines = list(room_lines(applied.room, scales))
        output.answer(applied, lambda: Group(_told(applied, sentence), *balances, *lines))
        return 0

    try:
        return talk(connection, act)
    except (KeyboardInterrupt, OSError) as cause:
        if not options.dry_run:
            _leave_word(connection, cause, command_id)
        raise


def _leave_word(connection: Connection, cause: BaseException, command_id: str) -> None:
    """The command may have been applied: say so, and how to find out."""
    what = "interrupted" if isinstance(cause, KeyboardInterrupt) else "not answered"
    word = f"{what}, and it may or may not have been applied; to find out, repeat it with"
    sentence = f"{word} --command-id {shlex.quote(command_id)}"
    if connection.as_json and isinstance(cause, KeyboardInterrupt):
        write_json({"error": {"reason": "outcome_unknown", "message": sentence, "command_id": command_id}})
    say(f"walletd: {sentence}")


def _told(applied: Applied, sentence: Callable[[Applied], str]) -> str:
    if applied.dry_run:
        return "it would be applied; nothing has changed"
    return sentence(applied) + again(applied)


def _balances(applied: Applied, scales: Mapping[str, int]) -> list[RenderableType]:
    """The balances after the command; for a repeated command, the balances after its first entry, marked as such."""
    if not applied.balances:
        return []
    then = [f"Balances at that time, after entry {applied.sequence}:"] if applied.replayed else []
    return [*then, balances_table(applied.balances, scales)]


def command(method: str, *, nullable: str = "", **params: Any) -> AnyCommand:
    """The command of this method.  Params that are None are omitted, except the one that may be null.

    Raises UsageError if a part is malformed.
    """
    given = {name: value for name, value in params.items() if value is not None or name == nullable}
    return _converted(method, {"command_id": new_command_id(), **given})


def check_amount(amount: str) -> None:
    """Raises UsageError if this is not an amount of any asset, without asking the daemon."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", amount):
        raise UsageError(f"{amount!r} is not an amount; write it like 12.50: digits, and a point before the decimals")


def check_movement(amount: str) -> None:
    """Raises UsageError if this amount cannot be moved or held."""
    check_amount(amount)
    if not amount.strip("0."):
        raise UsageError("an amount must be more than zero")


async def units_of(client: BlockingClient, amount: str, asset: str) -> str:
    """An amount in the main unit, as the protocol writes it.  Raises UsageError if it is malformed."""
    check_amount(amount)
    scales = await client.assets()
    if asset not in scales:
        raise UsageError(no_asset(asset, scales))
    try:
        return str(parse_amount(amount, scales[asset]))
    except ValueError as error:
        raise UsageError(str(error)) from None


def no_asset(asset: str, scales: Mapping[str, int]) -> str:
    """The sentence about an asset that is not defined: the one that is meant perhaps, or how to define it."""
    code = asset.upper()
    alike = [code] if code in scales else get_close_matches(code, scales, n=1)
    if alike:
        return f"there is no asset {asset}; did you mean {alike[0]}?"
    if re.fullmatch(ASSET_CODE_PATTERN, code) is None:
        return f"{asset!r} is not the code of an asset; write it like EUR"
    return f"there is no asset {asset}; define it with: walletd asset define {code}/2 (2 decimal places)"


async def _with_options(client: BlockingClient, bare: AnyCommand, command_id: str, options: Options) -> AnyCommand:
    """The command with its id and its conditions.  Raises UsageError if one is malformed."""
    document = msgspec.to_builtins(bare)
    document["command_id"] = command_id
    if options.if_version:
        document["if_version"] = dict(_version(text) for text in options.if_version)
    if options.if_balance:
        document["if_balance"] = [await _balance_condition(client, text) for text in options.if_balance]
    if options.valid_for is not None:
        document["valid_for_seconds"] = seconds_in("--valid-for", options.valid_for, 1)
    if options.dry_run:
        document["dry_run"] = True
    return _converted(document.pop("method"), document)


def _converted(method: str, params: dict[str, Any]) -> AnyCommand:
    try:
        return converted({"method": method, **params}, AnyCommand)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise UsageError(explain(str(error), method)[1]) from None


def _version(text: str) -> tuple[str, int]:
    found = VERSION.fullmatch(text)
    if found is None:
        raise UsageError(f"--if-version {text!r} must be a wallet and its version, such as alice=3")
    return found[1], int(found[2])


async def _balance_condition(client: BlockingClient, text: str) -> dict[str, str]:
    found = CONDITION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f'--if-balance {text!r} must be a condition on a balance, such as "alice EUR >= 10"')
    wallet, asset, amount, comparison, sign, number = found.groups()
    units = await units_of(client, number, asset)
    bound = {COMPARISONS[comparison]: f"{sign}{units}" if units != "0" else units}
    return {"wallet": wallet, "asset": asset, "amount": amount or "available", **bound}


def metadata_of(words: Iterable[str]) -> dict[str, str]:
    """The metadata from ``key=value`` words.  Raises UsageError."""
    return dict(_pair(word) for word in words)


def _pair(word: str) -> tuple[str, str]:
    key, sign, value = word.partition("=")
    if not (key and sign):
        raise UsageError(f"{word!r} must be a key and a value, such as tier=gold")
    return key, value
