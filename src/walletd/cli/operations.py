"""``walletd audit``, ``report``, ``log-level`` and ``drain``: an operator's commands for a running daemon."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.text import Text

from walletd.cli.confirmation import Yes, confirm
from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.output import Output, amount, new_table
from walletd.client.blocking_client import BlockingClient
from walletd.runtime.ending import EXIT_DAMAGED

Level = Literal["debug", "info", "warning", "error"]


def audit(*, connection: Connection = DEFAULT) -> int:
    """Have a running daemon check all balances: each asset sums to zero, no wallet is below its floor.

    Exits with 65 if they are wrong.  The customers' total is shown, too.  `walletd verify` checks a whole journal.

    For example:

        $ walletd audit
        $ walletd audit --json
    """

    async def sum_up(client: BlockingClient, answer: Output) -> int:
        made = await client.audit()
        scales = await client.assets()
        table = new_table(
            "asset", "sum of all wallets", "customers have", right=("sum of all wallets", "customers have")
        )
        for total in made.totals:
            customers = amount(total.in_customer_wallets, total.asset, scales)
            table.add_row(total.asset, amount(total.sum, total.asset, scales), customers)
        answer.answer(made, lambda: table)
        answer.line(f"{made.wallets:,} wallets, as of entry {made.sequence:,}.")
        for violation in made.violations:
            answer.line(f"wrong: {violation}")
        return EXIT_DAMAGED if made.violations else 0

    return talk(connection, sum_up)


def report(
    *, output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None, connection: Connection = DEFAULT
) -> int:
    """Show a running daemon from the inside: tasks, queues, last entries, settings, memory; no secrets, no amounts.

    For example:

        $ walletd report
        $ walletd report --output walletd-report.txt

    Parameters
    ----------
    output
        Write the report to this new file, readable by you alone.
    """

    async def show(client: BlockingClient, answer: Output) -> int:
        made = await client.call("daemon.report")
        if output is not None:
            _save(output, made["report"])
        answer.answer(made, lambda: Text(made["report"] if output is None else f"the report is in {output}"))
        if made.get("file"):
            answer.line(f"The daemon keeps it in {made['file']}")
        return 0

    return talk(connection, show)


def log_level(level: Level | None = None, component: str | None = None, /, *, connection: Connection = DEFAULT) -> int:
    """Change the log level of a running daemon, or of one component, until its configuration is reloaded.

    Without a level, show the level of each component.

    For example:

        $ walletd log-level
        $ walletd log-level debug
        $ walletd log-level debug journal

    Parameters
    ----------
    level
        The level.
    component
        One component: audit, configuration, daemon, gateway, journal, lifecycle, report or wallets; default all but
        audit.
    """

    async def change(client: BlockingClient, answer: Output) -> int:
        params = {name: word for name, word in (("level", level), ("component", component)) if word is not None}
        levels = (await client.call("daemon.log_level", **params))["levels"]
        table = new_table("component", "level")
        for name, own in levels.items():
            table.add_row(name, own)
        answer.answer({"levels": levels}, lambda: table)
        return 0

    return talk(connection, change)


def drain(*, yes: Yes = False, connection: Connection = DEFAULT) -> int:
    """Stop a running daemon gracefully: it answers the requests in progress, accepts no others, and tells every client.

    For example:

        $ walletd drain

    Parameters
    ----------
    yes
        Do not ask at a terminal.
    """
    confirm("stop the daemon", yes)

    async def stop(client: BlockingClient, answer: Output) -> int:
        draining = await client.call("daemon.drain")
        leaving = f"the daemon answers the requests in progress and closes {draining['sessions']} sessions"
        answer.answer(draining, lambda: Text(leaving))
        return 0

    return talk(connection, stop)


def _save(file: Path, text: str) -> None:
    with open(file, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        output.write(text)
