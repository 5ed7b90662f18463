"""One wallet, hold or transfer: drawn for people with all its parts, or as JSON for scripts.

return talk(connection, lambda client, output: show_wallet(client, output, "alice"))
"""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from walletd.cli.durations import SECONDS
from walletd.cli.output import Output, amount, balances_table, moment, new_table
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.messages import TransferView, WalletView
from walletd.protocol.messages.holds import HoldView
from walletd.vocabulary.commands import WalletLimits, Window
from walletd.vocabulary.entries import Freeze
from walletd.vocabulary.identifiers import AssetCode
from walletd.vocabulary.room import Room, WindowRoom
from walletd.vocabulary.states import FrozenSide

"""The units of time for a velocity limit, the longest first."""

STOPPED = {FrozenSide.DEBITS: "debits", FrozenSide.CREDITS: "credits", FrozenSide.BOTH: "debits and credits"}


async def show_wallet(client: BlockingClient, output: Output, name: str) -> int:
    """Show the wallet with all its parts."""
    view = await client.wallet(name)
    scales = await client.assets()
    output.answer(view, lambda: Group(*_spaced(_wallet_parts(view, scales))))
    return 0


async def show_metadata(client: BlockingClient, output: Output, name: str) -> int:
    """The wallet's metadata."""
    view = await client.wallet(name)
    table = metadata_table(view.metadata)
    document = {"wallet": view.wallet, "metadata": view.metadata}
    output.answer(document, lambda: table if view.metadata else f"{name} has no metadata")
    return 0


async def show_limits(client: BlockingClient, output: Output, name: str, asset: str | None) -> int:
    """Show the wallet's limits for one asset or for all, and the room that they leave."""
    view = await client.wallet(name)
    scales = await client.assets()
    limits = {code: limit for code, limit in view.limits.items() if asset in (None, code)}
    rooms = [room for room in view.room if room.asset in limits]
    table = limits_table(limits, rooms, scales)
    of = "" if asset is None else f" for {asset}"
    document = {"wallet": view.wallet, "limits": limits, "room": rooms}
    output.answer(document, lambda: table if limits else f"{name} has no limits{of}")
    return 0


async def show_freeze(client: BlockingClient, output: Output, name: str) -> int:
    """Show the wallet's freeze: the side, the reason, and the end."""
    view = await client.wallet(name)
    freeze = view.freeze
    document = {"wallet": view.wallet, "status": view.status, "freeze": freeze}
    output.answer(document, lambda: f"{name} is not frozen" if freeze is None else _facts(_freeze_rows(freeze)))
    return 0


async def show_hold(client: BlockingClient, output: Output, wallet: str, hold: str) -> int:
    """Show a hold."""
    view = await client.hold(wallet, hold)
    scales = await client.assets()
    output.answer(view, lambda: Group(*_spaced(_hold_parts(view, scales))))
    return 0


async def show_transfer(client: BlockingClient, output: Output, transfer: str) -> int:
    """Show a transfer, refund, capture or sweep, with its refunds."""
    view = await client.transfer(transfer)
    scales = await client.assets()
    output.answer(view, lambda: Group(*_spaced(_transfer_parts(view, scales))))
    return 0


def metadata_table(words: Mapping[str, str]) -> Table:
    """A client's own words, under a separate heading, so that none of them looks like the daemon's."""
    table = new_table("metadata", "", folding=("",))
    for key, word in words.items():
        table.add_row(key, word)
    return table


def limits_table(limits: Mapping[AssetCode, WalletLimits], rooms: Iterable[Room], scales: Mapping[str, int]) -> Table:
    """Each limit in main units, with the room that it leaves and when it will leave more."""
    table = new_table("asset", "limit", "amount", "left", "more from", right=("amount", "left"))
    left = {room.asset: room for room in rooms}
    for asset, limit in limits.items():
        room = left.get(asset)
        for word, units in (("credit", limit.credit_limit), ("minimum", limit.minimum)):
            if units is not None:
                table.add_row(asset, word, coded(units, asset, scales))
        if limit.maximum is not None:
            receivable = None if room is None else room.receivable
            table.add_row(asset, "maximum", coded(limit.maximum, asset, scales), coded(receivable, asset, scales))
        for window in limit.velocity:
            now = _window_room(room, window)
            remaining = coded(None if now is None else now.remaining, asset, scales)
            frees_at = "" if now is None or now.frees_at is None else moment(now.frees_at)
            bound = coded(window.amount, asset, scales)
            table.add_row(asset, f"velocity {length_of(window.seconds)}", bound, remaining, frees_at)
    return table


def coded(units: str | None, asset: str, scales: Mapping[str, int]) -> str:
    """An amount in the main unit with its code, as ``12.50 EUR``; empty for none."""
    return "" if units is None else f"{amount(units, asset, scales)} {asset}"


def length_of(seconds: int) -> str:
    """A length of time in the form that the command line accepts: ``1h``, ``90s``."""
    unit = next(unit for unit, length in SECONDS.items() if seconds % length == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def _window_room(room: Room | None, window: Window) -> WindowRoom | None:
    windows = () if room is None else room.windows
    return next((left for left in windows if (left.seconds, left.limit) == (window.seconds, window.amount)), None)


def _wallet_parts(view: WalletView, scales: Mapping[str, int]) -> list[RenderableType]:
    rows = [
        ("wallet", view.wallet),
        ("status", view.status.value),
        *([] if view.freeze is None else _freeze_rows(view.freeze)),
        ("version", str(view.version)),
        ("opened at", moment(view.opened_at)),
    ]
    parts: list[RenderableType] = [_facts(rows)]
    if view.metadata:
        parts.append(metadata_table(view.metadata))
    if view.limits:
        parts.append(limits_table(view.limits, view.room, scales))
    if view.balances:
        parts.append(balances_table(view.balances, scales))
    return parts


def _freeze_rows(freeze: Freeze) -> list[tuple[str, str]]:
    until = "it is lifted" if freeze.until is None else moment(freeze.until)
    return [("frozen", STOPPED[freeze.frozen]), ("why", freeze.why), ("until", until)]


def _hold_parts(view: HoldView, scales: Mapping[str, int]) -> list[RenderableType]:
    until = "it is captured or voided" if view.expires_at is None else moment(view.expires_at)
    rows = [
        ("hold", view.hold),
        ("wallet", view.wallet),
        ("state", view.state.value),
        ("amount", coded(view.amount, view.asset, scales)),
        ("captured", coded(view.captured, view.asset, scales)),
        ("reserved", coded(view.reserved, view.asset, scales)),
        ("placed at", moment(view.placed_at)),
        ("stands until" if view.expires_at is None else "expires at", until),
        ("reference", view.reference or ""),
    ]
    return [_facts(rows), *([metadata_table(view.metadata)] if view.metadata else [])]


def _transfer_parts(view: TransferView, scales: Mapping[str, int]) -> list[RenderableType]:
    rows = [
        ("transfer", view.transfer),
        ("kind", view.kind),
        ("of", view.original or ""),
        ("entry", f"{view.sequence:,}"),
        ("time", moment(view.time)),
        ("sent by", view.principal or ""),
        ("command id", view.command_id or ""),
        ("reference", view.reference or ""),
    ]
    back = {(part.source, part.to, part.asset): part.refunded for part in view.refunded}
    columns = ("from", "to", "amount", "asset", *(("refunded",) if back else ()))
    table = new_table(*columns, right=("amount", "refunded"))
    for posting in view.postings:
        row = [posting.source, posting.to, amount(posting.amount, posting.asset, scales), posting.asset]
        refunded = back.get((posting.source, posting.to, posting.asset), "0")
        table.add_row(*row, *([amount(refunded, posting.asset, scales)] if back else []))
    return [_facts(rows), table, *([metadata_table(view.metadata)] if view.metadata else [])]


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    """The facts that have a value, one per line."""
    table = new_table("", "", folding=("",))
    table.show_header = False
    for name, word in rows:
        if word:
            table.add_row(name, word)
    return table


def _spaced(parts: list[RenderableType]) -> list[RenderableType]:
    """The parts, separated by empty lines."""
    return [part for index, one in enumerate(parts) for part in ((one,) if index == 0 else ("", one))]


def limit_options(limits: WalletLimits, asset: str, scales: Mapping[str, int]) -> dict[str, list[str]]:
    """The options of ``walletd wallet limit`` that set these limits, by name."""
    given = {"credit": limits.credit_limit, "minimum": limits.minimum, "maximum": limits.maximum}
    options = {name: [f"--{name} {amount(units, asset, scales)}"] for name, units in given.items() if units is not None}
    windows = [
        f"--velocity {amount(window.amount, asset, scales)}/{length_of(window.seconds)}" for window in limits.velocity
    ]
    return options | ({"velocity": windows} if windows else {})
