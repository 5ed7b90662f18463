"""``walletd watch``: changes applied to wallets, live, one line per event."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.text import Text

from walletd.cli.connection import DEFAULT, Connection
from walletd.cli.live import talk_live
from walletd.cli.output import Output, amount, new_console
from walletd.cli.usage import UsageError
from walletd.client import Client, Event
from walletd.logs.plain import plain
from walletd.vocabulary.claims import parts_of
from walletd.vocabulary.commands import (
    AnyCommand,
    CaptureHold,
    CreateClient,
    DefineAsset,
    ExecuteBatch,
    OpenWallet,
    PlaceHold,
    Posting,
    PostTransfer,
    RefundTransfer,
    RefusedCommand,
    RevokeClient,
    RotateClient,
    UpdateClient,
)
from walletd.vocabulary.entries import BalanceRecord, Entry
from walletd.vocabulary.identifiers import is_system_wallet


def watch(
    wallets: Annotated[list[str] | None, Parameter(negative="")] = None,
    /,
    *,
    prefix: str | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False,
    connection: Connection = DEFAULT,
) -> int:
    """Show changes to wallets live, until Ctrl-C; without arguments, to all wallets.

    For example:

        $ walletd watch
        $ walletd watch alice bob
        $ walletd watch --prefix shop/ --json

    Parameters
    ----------
    wallets
        The wallets to watch.
    prefix
        Watch every wallet whose name begins with this.
    all_
        Watch every wallet.
    """
    if sum((bool(wallets), prefix is not None, all_)) > 1:
        raise UsageError("give one of: names of wallets, --prefix, --all")

    async def follow(client: Client, output: Output) -> int:
        named = wallets or None
        everything = named is None and prefix is None
        async with client.subscribe(wallets=named, prefix=prefix, all=everything) as stream:
            what = ", ".join(named) if named else "all wallets" if everything else f"wallets that begin with {prefix}"
            new_console(stderr=True).print(f"Watching {what} from entry {stream.cursor.sequence} on; Ctrl-C stops.")
            async for event in stream:
                await _show(event, client, output, named or ())
        return 0

    try:
        return talk_live(connection, follow)
    except KeyboardInterrupt:
        return 0


async def _show(event: Event, client: Client, output: Output, named: Collection[str]) -> None:
    scales = await client.assets()
    named_assets = {balance.asset for balance in _balances(event.entry)}
    if not named_assets <= scales.keys():
        scales = await client.assets(refresh=True)
    if output.as_json:
        document = {"epoch": event.epoch, "sequence": event.sequence, "entry": msgspec.Raw(event.record)}
        known = {asset: scales[asset] for asset in sorted(named_assets & scales.keys())}
        output.raw({**document, "scales": known} if known else document)
        return
    output.line(event_line(event.entry, scales, named))


def event_line(entry: Entry, scales: Mapping[str, int], named: Collection[str] = ()) -> Text:
    """An entry on one line: its time, its movements, and the wallets' balances after it.

    Balances of system wallets are left out, unless the wallet is watched by name.
    """
    line = Text()
    line.append(entry.time.astimezone().strftime("%H:%M:%S  "), style="dim")
    line.append(happened(entry, scales), style="bold")
    reference = getattr(entry.command, "reference", None)
    if reference is not None:
        line.append(f"  “{plain(reference)}”")
    if entry.refusal is not None:
        line.append(f"  refused: {entry.refusal.reason.value}", style="red")
    after = [
        f"{b.wallet} {amount(b.posted, b.asset, scales)} {b.asset}"
        for b in _balances(entry)
        if b.wallet in named or not is_system_wallet(b.wallet)
    ]
    if after:
        line.append(f"   now: {', '.join(after)}", style="dim")
    return line


def happened(entry: Entry, scales: Mapping[str, int]) -> str:
    """An entry in a few words; for a batch, each of its commands in a few words."""
    if isinstance(entry.command, RefusedCommand):
        return entry.command.kind
    parts = [_words(command, scales) for command in parts_of(entry.command)]
    moved = entry.effects.moved if entry.effects is not None else ()
    parts += [f"{m.source} → {m.to}  {amount(m.amount, m.asset, scales)} {m.asset}" for m in moved]
    return "; ".join(parts)


def _words(command: AnyCommand, scales: Mapping[str, int]) -> str:
    match command:
        case PostTransfer(postings=postings):
            return _moves(postings, scales)
        case RefundTransfer(transfer=transfer, postings=postings):
            return f"refund of {transfer}: {_moves(postings, scales)}"
        case OpenWallet(wallet=wallet):
            return f"wallet {wallet} opened"
        case DefineAsset(asset=asset, scale=scale):
            return f"asset {asset}/{scale} defined"
        case PlaceHold(wallet=wallet, asset=asset, amount=units):
            return f"hold of {amount(units, asset, scales)} {asset} on {wallet}"
        case CaptureHold(wallet=wallet, hold=hold):
            return f"capture of {hold} of {wallet}"
        case ExecuteBatch():
            return "batch"
        case (
            CreateClient(client=client)
            | UpdateClient(client=client)
            | RotateClient(client=client)
            | RevokeClient(client=client)
        ):
            return f"{type(command).__struct_config__.tag} {client}"
        case _:
            about = (str(type(command).__struct_config__.tag), getattr(command, "hold", ""), command.wallet)
            return " ".join(word for word in about if word)


def _moves(postings: Iterable[Posting], scales: Mapping[str, int]) -> str:
    return "; ".join(f"{p.source} → {p.to}  {amount(p.amount, p.asset, scales)} {p.asset}" for p in postings)


def _balances(entry: Entry) -> tuple[BalanceRecord, ...]:
    return entry.effects.balances if entry.effects is not None else ()
