"""``walletd wallet``: open wallets, look at one, list many."""

from collections.abc import Mapping
from typing import Annotated

from cyclopts import App, Parameter

from walletd.cli.changes import metadata_of
from walletd.cli.connection import DEFAULT, CommandId, Connection, talk
from walletd.cli.each import AlreadyThere, each
from walletd.cli.groups import MONEY
from walletd.cli.output import Output, amount, new_table
from walletd.cli.usage import UsageError
from walletd.cli.views import show_wallet
from walletd.client import Applied, Refused, RequestFailed
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.messages import WalletView
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import WalletStatus

wallet = App(name="wallet", group=MONEY, help="Open, show and list wallets.")

for _change in ("describe", "freeze", "unfreeze", "limit", "close"):
    wallet.command(f"walletd.cli.wallet_state:{_change}", name=_change)


@wallet.command(name="open")
def open_(
    names: Annotated[list[str], Parameter(negative="")],
    /,
    *,
    metadata: Annotated[list[str] | None, Parameter(negative="")] = None,
    command_id: CommandId = None,
    connection: Connection = DEFAULT,
) -> int:
    """Open wallets.  A name that starts with @ makes a system wallet, which may go below zero.

    A wallet that is open already, and has this metadata, is no error.

    For example:

        $ walletd wallet open alice bob
        $ walletd wallet open @fees
        $ walletd wallet open carol --metadata tier=gold

    Parameters
    ----------
    names
        Names of letters, digits and . _ : / - , at most 64 each.
    metadata
        A key and a value, such as tier=gold, by which wallets can be listed; may be repeated.
    command_id
        An id for this one opening: sent again, it returns the first answer.
    """

    words = metadata_of(metadata or ())

    async def open_one(client: BlockingClient, name: str) -> tuple[Applied | AlreadyThere, str]:
        try:
            return await client.open_wallet(name, words, command_id=command_id), f"wallet {name} is open"
        except Refused as refusal:
            if refusal.reason is not Reason.WALLET_ALREADY_EXISTS or not await _is_alike(client, name, words):
                raise
        return {"already_there": True, "wallet": name}, f"wallet {name} was open before"

    return each(connection, names, open_one, command_id)


async def _is_alike(client: BlockingClient, name: str, metadata: Mapping[str, str]) -> bool:
    """True if the wallet is not closed and has all this metadata; false also if this client may not see it."""
    try:
        there = await client.wallet(name)
    except RequestFailed:
        return False
    return there.status is not WalletStatus.CLOSED and metadata.items() <= dict(there.metadata).items()


@wallet.command
def get(name: str, /, *, connection: Connection = DEFAULT) -> int:
    """Show a wallet: freeze, metadata, limits and the room they leave, balances.

    For example:

        $ walletd wallet get alice

    Parameters
    ----------
    name
        The wallet's name.
    """

    return talk(connection, lambda client, output: show_wallet(client, output, name))


@wallet.command(name="list")
def list_(
    prefix: str = "",
    /,
    *,
    status: WalletStatus | None = None,
    metadata: Annotated[list[str] | None, Parameter(negative="")] = None,
    limit: int = 1000,
    connection: Connection = DEFAULT,
) -> int:
    """List wallets by name, with their posted balances.

    For example:

        $ walletd wallet list
        $ walletd wallet list shop/
        $ walletd wallet list --status frozen
        $ walletd wallet list --metadata tier=gold --metadata city=Ulm

    Parameters
    ----------
    prefix
        The beginning of the names.
    status
        Only open, frozen or closed ones.
    metadata
        Only wallets with exactly this value under this key; repeated, all of them must match.
    limit
        The largest number of wallets.
    """
    if limit < 1:
        raise UsageError("--limit must be at least 1")
    words = metadata_of(metadata or ())

    async def show(client: BlockingClient, output: Output) -> int:
        views: list[WalletView] = []
        is_whole = True
        async for view in client.wallets(prefix, status=status, metadata=words):
            if len(views) == limit:
                is_whole = False
                break
            views.append(view)
        scales = await client.assets()
        table = new_table("wallet", "status", "version", "posted", "asset", right=("version", "posted"))
        for view in views:
            posted = "\n".join(amount(balance.posted, balance.asset, scales) for balance in view.balances)
            assets = "\n".join(balance.asset for balance in view.balances)
            table.add_row(view.wallet, view.status.value, str(view.version), posted, assets)
        output.answer({"wallets": views, "is_whole": is_whole}, lambda: table)
        if not is_whole:
            output.line(f"There are more than {limit:,}; show more with --limit, or fewer with a prefix.")
        return 0

    return talk(connection, show)
