"""``walletd hold`` and ``walletd refund``: reserve money, pay from a hold, and refund payments."""

from typing import Annotated

from cyclopts import App, Parameter

from walletd.cli.changes import PLAIN, Options, check_movement, command, only_looks, submit, units_of
from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.durations import SECONDS, one_of
from walletd.cli.groups import MONEY
from walletd.cli.output import Output, amount, moment, new_table
from walletd.cli.usage import UsageError
from walletd.cli.views import show_hold
from walletd.client import Applied, RequestFailed
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.messages import TransferView
from walletd.vocabulary.commands import AnyCommand, RefundTransfer

hold = App(name="hold", group=MONEY, help="Reserve money, and pay from it.")


@hold.command
def place(
    wallet: str,
    amount: str,
    asset: str,
    /,
    *,
    expires: str | None = None,
    minutes: Annotated[float | None, Parameter(show=False)] = None,
    reference: str | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Reserve money in a wallet, so that a later capture cannot fail for lack of funds.

    For example:

        $ walletd hold place alice 20 EUR --expires 30m --reference "room 12"

    Parameters
    ----------
    wallet
        The wallet whose money is reserved.
    amount
        In the asset's main unit, exact.
    asset
        The asset's code, such as EUR.
    expires
        How long it lasts: 30m, 24h or 7d; without it, the hold stays open until it is captured or voided.
    minutes
        The same in minutes, as in earlier versions.
    reference
        Free text that states the purpose.
    """
    check_movement(amount)
    expires_in_seconds = one_of("--expires", expires, "--minutes", minutes, SECONDS["m"])

    async def make(client: BlockingClient) -> AnyCommand:
        return command(
            "hold.place",
            wallet=wallet,
            asset=asset,
            amount=await units_of(client, amount, asset),
            expires_in_seconds=expires_in_seconds,
            reference=reference,
        )

    return submit(connection, options, make, lambda applied: f"{amount} {asset} of {wallet} held, as {applied.hold}")


@hold.command
def capture(
    wallet: str,
    hold: str,
    to: str,
    amount: str,
    /,
    *,
    final: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    reference: str | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Pay from a hold: all of it or a part, repeatedly while something is left.

    For example:

        $ walletd hold capture alice h12 shop 15 --final

    Parameters
    ----------
    wallet
        The wallet of the hold.
    hold
        The hold's id.
    to
        The wallet that receives.
    amount
        In the main unit of the hold's asset, exact.
    final
        Release the rest of the hold.
    reference
        Free text that the statement shows.
    """
    check_movement(amount)

    async def make(client: BlockingClient) -> AnyCommand:
        asset = await _asset_of(client, wallet, hold)
        part = {"to": to, "amount": await units_of(client, amount, asset)}
        return command(
            "hold.capture",
            wallet=wallet,
            hold=hold,
            parts=[part],
            final=final,
            reference=reference,
        )

    return submit(
        connection,
        options,
        make,
        lambda applied: f"captured {_coded(amount, applied)} of {hold} for {to}, as {applied.transfer}",
    )


@hold.command
def extend(
    wallet: str,
    hold: str,
    /,
    *,
    expires: str | None = None,
    minutes: Annotated[float | None, Parameter(show=False)] = None,
    none: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Change an open hold's expiry: a length of time from now, or none; with neither, show the hold.

    For example:

        $ walletd hold extend alice h12 --expires 60m
        $ walletd hold extend alice h12 --none
        $ walletd hold extend alice h12

    Parameters
    ----------
    wallet
        The wallet of the hold.
    hold
        The hold's id.
    expires
        How long from now it lasts: 30m, 24h or 7d.
    minutes
        The same in minutes, as in earlier versions.
    none
        Keep it open until it is captured or voided.
    """
    if only_looks(options, expires, minutes, none, to_set="--expires 60m, or --none"):
        return talk(connection, lambda client, output: show_hold(client, output, wallet, hold))
    expires_in_seconds = one_of("--expires", expires, "--minutes", minutes, SECONDS["m"])
    if expires_in_seconds is not None and none:
        raise UsageError("--expires and --none exclude each other; give one of them")

    async def make(client: BlockingClient) -> AnyCommand:
        if expires_in_seconds is None:
            return command("hold.extend", nullable="expires_at", wallet=wallet, hold=hold, expires_at=None)
        return command("hold.extend", wallet=wallet, hold=hold, expires_in_seconds=expires_in_seconds)

    return submit(connection, options, make, lambda applied: f"hold {hold} has a new expiry")


@hold.command
def adjust(
    wallet: str,
    hold: str,
    amount: str | None = None,
    /,
    *,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Raise or lower the amount that an open hold reserves; without an amount, show the hold.

    For example:

        $ walletd hold adjust alice h12 35
        $ walletd hold adjust alice h12

    Parameters
    ----------
    wallet
        The wallet of the hold.
    hold
        The hold's id.
    amount
        In the main unit of the hold's asset, exact; what was captured stays captured.
    """
    if only_looks(options, amount, to_set="the new amount"):
        return talk(connection, lambda client, output: show_hold(client, output, wallet, hold))
    assert amount is not None
    check_movement(amount)

    async def make(client: BlockingClient) -> AnyCommand:
        asset = await _asset_of(client, wallet, hold)
        units = await units_of(client, amount, asset)
        return command("hold.adjust", wallet=wallet, hold=hold, amount=units)

    return submit(connection, options, make, lambda applied: f"hold {hold} now reserves {_coded(amount, applied)}")


@hold.command
def void(wallet: str, hold: str, /, *, options: Options = PLAIN, connection: Connection = DEFAULT) -> int:
    """Release everything that an open hold still reserves.

    For example:

        $ walletd hold void alice h12
    """

    async def make(client: BlockingClient) -> AnyCommand:
        return command("hold.void", wallet=wallet, hold=hold)

    return submit(connection, options, make, lambda applied: f"hold {hold} is released")


@hold.command
def get(wallet: str, hold: str, /, *, connection: Connection = DEFAULT) -> int:
    """Show a hold: the amounts reserved and captured, and its expiry.

    For example:

        $ walletd hold get alice h12

    Parameters
    ----------
    wallet
        The wallet of the hold.
    hold
        The hold's id.
    """
    return talk(connection, lambda client, output: show_hold(client, output, wallet, hold))


@hold.command(name="list")
def list_(
    wallet: str,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False,
    connection: Connection = DEFAULT,
) -> int:
    """List a wallet's open holds; with --all, also those that were captured, voided or have expired.

    For example:

        $ walletd hold list alice
    """

    async def show(client: BlockingClient, output: Output) -> int:
        holds = [found async for found in client.holds(wallet, also_closed=every)]
        scales = await client.assets()
        columns = ("hold", "state", "reserved", "captured", "asset", "expires at", "reference")
        table = new_table(*columns, right=("reserved", "captured"))
        for found in holds:
            table.add_row(
                found.hold,
                found.state.value,
                amount(found.reserved, found.asset, scales),
                amount(found.captured, found.asset, scales),
                found.asset,
                "" if found.expires_at is None else moment(found.expires_at),
                found.reference or "",
            )
        output.answer({"holds": holds}, lambda: table)
        return 0

    return talk(connection, show)


def refund(
    transfer: str,
    amount: str | None = None,
    /,
    *,
    reference: str | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Refund a transfer or a capture: what is left of it, or an amount if it has a single posting.

    For example:

        $ walletd refund t12
        $ walletd refund t12 4.50 --reference "one plate broken"

    Parameters
    ----------
    transfer
        The transfer's id.
    amount
        In the asset's main unit, exact; default all that was not refunded before.
    reference
        Free text that the statement shows.
    """

    async def make(client: BlockingClient) -> AnyCommand:
        if amount is None:
            back = await _sent_before(client, transfer, options) or _what_is_left(await client.transfer(transfer))
        else:
            moved = (await client.transfer(transfer)).postings
            if len(moved) != 1:
                raise UsageError(
                    f"{transfer} has {len(moved)} postings; an amount can be refunded only if there is a single one"
                )
            units = await units_of(client, amount, moved[0].asset)
            back = [_posting(moved[0].to, moved[0].source, moved[0].asset, units)]
        return command("transfer.refund", transfer=transfer, postings=back, reference=reference)

    return submit(connection, options, make, lambda applied: f"refunded {transfer}, as transfer {applied.transfer}")


async def _sent_before(client: BlockingClient, transfer: str, options: Options) -> list[dict[str, str]]:
    """The postings of the refund that this command id sent before; empty for a new one.

    What is left of a transfer changes, and the same line again must be the same command.
    """
    if options.command_id is None:
        return []
    try:
        before = (await client.entry(command_id=options.command_id)).entry.command
    except RequestFailed:
        return []
    if not isinstance(before, RefundTransfer) or before.transfer != transfer:
        return []
    return [_posting(posting.source, posting.to, posting.asset, posting.amount) for posting in before.postings]


def _what_is_left(view: TransferView) -> list[dict[str, str]]:
    """The postings that return what was not refunded; all of it if nothing is left, which the daemon refuses.

    The last posting goes back first, so that money that was passed on is back when its turn comes.
    """
    left = [
        _posting(moved.to, moved.source, moved.asset, str(int(moved.amount) - int(moved.refunded)))
        for moved in reversed(view.refunded)
        if int(moved.amount) > int(moved.refunded)
    ]
    if left and any(moved.refunded != "0" for moved in view.refunded):
        return left
    return [_posting(moved.to, moved.source, moved.asset, moved.amount) for moved in reversed(view.postings)]


async def _asset_of(client: BlockingClient, wallet: str, hold: str) -> str:
    return (await client.hold(wallet, hold)).asset


def _coded(amount: str, applied: Applied) -> str:
    """The amount with the code of the hold's asset, if the answer shows the hold."""
    return " ".join([amount, *(hold.asset for hold in applied.holds[:1])])


def _posting(source: str, to: str, asset: str, amount: str) -> dict[str, str]:
    return {"from": source, "to": to, "asset": asset, "amount": amount}
