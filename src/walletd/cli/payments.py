"""``walletd pay``: move an exact amount from one wallet to another."""

from typing import Annotated

from cyclopts import Parameter

from walletd.cli.changes import PLAIN, Options, check_movement, command, submit, units_of
from walletd.cli.connection import DEFAULT, Connection
from walletd.client.blocking_client import BlockingClient
from walletd.vocabulary.commands import AnyCommand


def pay(
    source: Annotated[str, Parameter(name="FROM")],
    to: str,
    amount: str,
    asset: str,
    /,
    *,
    reference: str | None = None,
    options: Options = PLAIN,
    connection: Connection = DEFAULT,
) -> int:
    """Pay from one wallet to another.  Money enters from @external and leaves to it.

    For example:

        $ walletd pay @external alice 100 EUR
        $ walletd pay alice bob 12.50 EUR --reference "dinner"
        $ walletd pay alice bob 12.50 EUR --command-id order-4711
        $ walletd pay alice bob 12.50 EUR --if-balance "bob EUR <= 20" --dry-run

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
        Free text that the statement shows.
    """
    check_movement(amount)

    async def make(client: BlockingClient) -> AnyCommand:
        posting = {"from": source, "to": to, "asset": asset, "amount": await units_of(client, amount, asset)}
        return command("transfer.post", postings=[posting], reference=reference)

    return submit(
        connection,
        options,
        make,
        lambda applied: f"paid {amount} {asset} from {source} to {to}, as transfer {applied.transfer}",
    )
