"""``walletd balance``, ``statement``, ``entry`` and ``status``: looking, without changing anything."""

from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group
from rich.json import JSON
from rich.text import Text

from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.failures import UsageError
from walletd.cli.output import Output, amount, balances_table, clean, moment, new_table
from walletd.client import Client
from walletd.protocol.messages import StatementLine

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def balance(wallet: str, asset: str | None = None, /, *, connection: Connection = DEFAULT) -> int:
    """Show what a wallet has: posted, held, and available to be paid.

    For example:

        $ walletd balance alice
        $ walletd balance alice EUR

    Parameters
    ----------
    wallet
        The wallet's name.
    asset
        Only this asset.
    """

    async def show(client: Client, output: Output) -> int:
        balances = await client.balance(wallet, asset)
        scales = await client.assets()
        if balances.balances or output.as_json:
            output.answer(balances, lambda: balances_table(balances.balances, scales))
        else:
            output.line(f"{wallet} has nothing yet; bring money in with: walletd pay @external {wallet} 100 EUR")
        return 0

    return talk(connection, show)


def statement(
    wallet: str,
    /,
    *,
    asset: str | None = None,
    newest_first: Flag = False,
    limit: int = 100,
    connection: Connection = DEFAULT,
) -> int:
    """Show what moved in a wallet, line by line, with the balance after each.

    For example:

        $ walletd statement alice
        $ walletd statement alice --asset EUR --newest-first --limit 10

    Parameters
    ----------
    wallet
        The wallet's name.
    asset
        Only this asset.
    newest_first
        Begin with what moved last.
    limit
        How many lines at most.
    """
    if limit < 1:
        raise UsageError("--limit must be at least 1")

    async def show(client: Client, output: Output) -> int:
        lines: list[StatementLine] = []
        is_whole = True
        async for line in client.statement(wallet, asset, newest_first=newest_first):
            if len(lines) == limit:
                is_whole = False
                break
            lines.append(line)
        scales = await client.assets()
        table = new_table(
            *("time", "transfer", "with", "amount", "asset", "posted after", "reference"),
            right=("amount", "posted after"),
            folding=("reference",),
        )
        for line in lines:
            table.add_row(
                moment(line.time),
                line.transfer or "",
                line.counterparty,
                signed(line, scales),
                line.asset,
                amount(line.posted, line.asset, scales),
                clean(line.reference),
            )
        output.answer({"wallet": wallet, "lines": lines, "is_whole": is_whole}, lambda: table)
        if not is_whole:
            output.line(f"There are more than {limit:,} lines; ask for more with --limit.")
        elif not lines:
            output.line(f"Nothing has moved in {wallet} yet.")
        return 0

    return talk(connection, show)


def entry(
    sequence: int | None = None,
    /,
    *,
    command_id: str | None = None,
    connection: Connection = DEFAULT,
) -> int:
    """Show an entry of the journal, by its sequence or by the command id that it answered.

    For example:

        $ walletd entry 12
        $ walletd entry --command-id order-4711

    Parameters
    ----------
    sequence
        The entry's number in the journal, from 1.
    command_id
        The id of the command that the entry decided; of commands sent with the same token.
    """
    if (sequence is None) == (command_id is None):
        raise UsageError("say which entry: by its sequence, as in walletd entry 12, or by --command-id")

    async def show(client: Client, output: Output) -> int:
        view = await client.entry(sequence=sequence, command_id=command_id)
        record = msgspec.json.encode(view.entry).decode()
        hashed = Text(f"hash {view.entry_hash}", style="dim")
        output.answer(view, lambda: Group(JSON(record, highlight=output.console.is_terminal), hashed))
        return 0

    return talk(connection, show)


def status(*, connection: Connection = DEFAULT) -> int:
    """Show the daemon at a glance.

    For example:

        $ walletd status
    """

    async def show(client: Client, output: Output) -> int:
        seen = await client.status()
        table = new_table("", "")
        table.show_header = False
        table.add_row("daemon", f"walletd {seen.server_version} at {connection.address()}")
        table.add_row("state", seen.lifecycle.value)
        table.add_row("started", moment(seen.started_at))
        table.add_row("journal", f"{seen.instance}, epoch {seen.epoch}")
        behind = "" if seen.projected == seen.head else f", of which {seen.projected:,} can be read already"
        table.add_row("entries", f"{seen.head:,}{behind}")
        if seen.compaction is not None and seen.compaction.archived:
            table.add_row("archived", f"up to entry {seen.compaction.archived:,}")
        if seen.compaction is not None and seen.compaction.step != "idle":
            done = f", {seen.compaction.done:,} of {seen.compaction.whole:,} entries" if seen.compaction.whole else ""
            table.add_row("compaction", f"{seen.compaction.step}{done}")
        if seen.compaction is not None and seen.compaction.last_failure is not None:
            table.add_row("last compaction", f"not done: {clean(seen.compaction.last_failure)}")
        table.add_row("wallets in memory", f"{seen.warm_wallets:,}")
        table.add_row("sessions", f"{seen.sessions:,}")
        output.answer(seen, lambda: table)
        return 0

    return talk(connection, show)


def signed(line: StatementLine, scales: dict[str, int]) -> Text:
    """The amount of a statement's line with its sign, green where it came in."""
    came_in = not line.amount.startswith("-")
    words = amount(line.amount, line.asset, scales)
    return Text(f"+{words}" if came_in else words, style="green" if came_in else "")
