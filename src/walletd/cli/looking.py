"""``walletd balance``, ``statement``, ``entry`` and ``status``: reading without changing anything."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter
from rich.console import Group
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from walletd.cli.connection import DEFAULT, Connection, talk
from walletd.cli.groups import LOOKING
from walletd.cli.output import Output, amount, balances_table, moment, new_table, room_lines
from walletd.cli.usage import UsageError
from walletd.cli.views import show_transfer
from walletd.client.blocking_client import BlockingClient
from walletd.protocol.messages import StatementBalance, StatementLine
from walletd.protocol.messages.operator import LedgerStatus
from walletd.vocabulary.identifiers import ASSET_CODE_PATTERN
from walletd.vocabulary.states import NodeRole

PAGE = 500
Flag = Annotated[bool, Parameter(negative="", show_default=False)]

transfer = App(name="transfer", group=LOOKING, help="Show a transfer.")


def balance(
    wallets: Annotated[list[str], Parameter(negative="", name="WALLET")],
    /,
    *,
    asset: str | None = None,
    as_of: str | None = None,
    connection: Connection = DEFAULT,
) -> int:
    """Show the balances of wallets, all at one moment: posted, held and available.

    For example:

        $ walletd balance alice
        $ walletd balance alice EUR
        $ walletd balance alice bob --asset EUR --as-of 2026-01-31
        $ walletd balance alice --as-of 12

    Parameters
    ----------
    wallets
        The wallets' names; an asset's code after a single name selects this asset.
    asset
        Only this asset.
    as_of
        The balances after this entry, or at this time.
    """
    names = list(wallets)
    if asset is None and len(names) == 2 and re.fullmatch(ASSET_CODE_PATTERN, names[1]):
        asset = names.pop()
    point = point_of("--as-of", as_of)

    async def show(client: BlockingClient, output: Output) -> int:
        balances = await client.balances(names, asset, as_of=point)
        scales = await client.assets()
        if balances.balances or output.as_json:
            output.answer(balances, lambda: balances_table(balances.balances, scales))
            for line in room_lines(balances.room, scales):
                output.line(line)
            if len(names) > 1 or point is not None:
                output.line(Text(f"after entry {balances.sequence:,}, at {moment(balances.time)}", style="dim"))
        elif point is not None:
            output.line(f"{' and '.join(names)} had no balance then.")
        else:
            output.line(f"{names[0]} has no balance yet; bring money in with: walletd pay @external {names[0]} 100 EUR")
        return 0

    return talk(connection, show)


def statement(
    wallet: str,
    /,
    *,
    asset: str | None = None,
    since: str | None = None,
    until: str | None = None,
    counterparty: Annotated[str | None, Parameter(name="--with")] = None,
    kind: Literal["transfer", "refund", "capture", "sweep"] | None = None,
    newest_first: Flag = False,
    limit: int = 100,
    connection: Connection = DEFAULT,
) -> int:
    """Show a wallet's movements, line by line, between its opening and its closing balance.

    For example:

        $ walletd statement alice
        $ walletd statement alice --asset EUR --newest-first --limit 10
        $ walletd statement alice --since 2026-01-01 --until 2026-02-01 --with bob

    Parameters
    ----------
    wallet
        The wallet's name.
    asset
        Only this asset.
    since
        From this entry or time on: 12, 2026-01-31 or 2026-01-31T12:00:00+01:00.
    until
        Up to this entry or time, exclusive.
    counterparty
        Only movements from or to this wallet.
    kind
        Only lines of this kind.
    newest_first
        Start with the latest movement.
    limit
        The largest number of lines.
    """
    if limit < 1:
        raise UsageError("--limit must be at least 1")
    first, end = point_of("--since", since), point_of("--until", until)

    async def show(client: BlockingClient, output: Output) -> int:
        lines: list[StatementLine] = []
        opening: dict[str, StatementBalance] = {}
        closing: dict[str, StatementBalance] = {}
        cursor: str | None = None
        while True:
            page = await client.statement_page(
                wallet,
                asset,
                since=first,
                until=end,
                counterparty=counterparty,
                kind=kind,
                newest_first=newest_first,
                cursor=cursor,
                limit=min(PAGE, limit - len(lines)),
            )
            lines += page.lines
            opening.update((one.asset, one) for one in page.opening)
            closing.update((one.asset, one) for one in page.closing)
            cursor = page.next
            if cursor is None or len(lines) == limit:
                break
        scales = await client.assets()
        ends = tuple(tuple(stated[asset] for asset in sorted(stated)) for stated in (opening, closing))
        document = {
            "wallet": wallet,
            "opening": ends[0],
            "closing": ends[1],
            "lines": lines,
            "sequence": page.sequence,
            "is_whole": cursor is None,
        }
        output.answer(document, lambda: statement_table(ends[0], ends[1], lines, newest_first, scales))
        if cursor is not None:
            output.line(f"There are more than {limit:,} lines; show more with --limit.")
        elif not lines:
            is_chosen = any(word is not None for word in (asset, first, end, counterparty, kind))
            output.line(f"Nothing of this moved in {wallet}." if is_chosen else f"Nothing has moved in {wallet} yet.")
        return 0

    return talk(connection, show)


def statement_table(
    opening: Sequence[StatementBalance],
    closing: Sequence[StatementBalance],
    lines: Sequence[StatementLine],
    newest_first: bool,
    scales: dict[str, int],
) -> Table:
    """The lines, between the posted balances at both ends of the range."""
    table = new_table(
        *("time", "transfer", "kind", "with", "amount", "asset", "posted after", "reference"),
        right=("amount", "posted after"),
        folding=("reference",),
    )
    ends = [("opening", opening), ("closing", closing)]
    first, last = reversed(ends) if newest_first else ends
    _end_rows(table, *first, scales)
    for line in lines:
        table.add_row(
            moment(line.time),
            line.transfer or "",
            line.kind,
            line.counterparty,
            signed(line, scales),
            line.asset,
            amount(line.posted, line.asset, scales),
            line.reference or "",
        )
    _end_rows(table, *last, scales)
    return table


def _end_rows(table: Table, word: str, posted: Sequence[StatementBalance], scales: dict[str, int]) -> None:
    for one in posted:
        table.add_row(word, "", "", "", "", one.asset, amount(one.posted, one.asset, scales), "", style="bold")


def point_of(flag: str, text: str | None) -> int | datetime | None:
    """A sequence or a time as people write it; a time without an offset is in the machine's own zone."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{flag} {text!r} is neither an entry's number nor a time; write it like 12 or 2026-01-31T12:00:00"
        ) from None


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
        The id of the command that the entry decided, sent with the same token.
    """
    if (sequence is None) == (command_id is None):
        raise UsageError("name the entry: by its sequence, as in walletd entry 12, or by --command-id")

    async def show(client: BlockingClient, output: Output) -> int:
        view = await client.entry(sequence=sequence, command_id=command_id)
        record = msgspec.json.encode(view.entry).decode()
        missing = "no hash: the balances of other wallets are left out"
        hashed = Text(missing if view.entry_hash is None else f"hash {view.entry_hash}", style="dim")
        is_escaped = output.console.is_terminal or not record.isprintable()
        shown = JSON(record, highlight=output.console.is_terminal, ensure_ascii=is_escaped)
        output.answer(view, lambda: Group(shown, hashed))
        return 0

    return talk(connection, show)


@transfer.command
def get(transfer: str, /, *, connection: Connection = DEFAULT) -> int:
    """Show a transfer, refund, capture or sweep: its movements, its refunds, and its command.

    For example:

        $ walletd transfer get t12

    Parameters
    ----------
    transfer
        The transfer's id.
    """
    return talk(connection, lambda client, output: show_transfer(client, output, transfer))


def status(*, connection: Connection = DEFAULT) -> int:
    """Show the daemon at a glance.

    For example:

        $ walletd status
    """

    async def show(client: BlockingClient, output: Output) -> int:
        seen = await client.status()
        table = new_table("", "")
        table.show_header = False
        table.add_row("daemon", f"walletd {seen.server_version} at {connection.address()}")
        table.add_row("state", seen.lifecycle.value)
        table.add_row("started", moment(seen.started_at))
        table.add_row("journal", f"{seen.instance}, epoch {seen.epoch}")
        if seen.ledger is not None:
            copies = "" if seen.ledger.replicated else ", NOT replicated"
            table.add_row("ledger", f"{seen.ledger.name} in PostgreSQL, term {seen.ledger.term}{copies}")
            table.add_row("node", _node(seen.ledger))
        behind = "" if seen.projected == seen.head else f", of which {seen.projected:,} are readable already"
        table.add_row("entries", f"{seen.head:,}{behind}")
        if seen.compaction is not None and seen.compaction.archived:
            table.add_row("archived", f"up to entry {seen.compaction.archived:,}")
        if seen.compaction is not None and seen.compaction.step != "idle":
            done = f", {seen.compaction.done:,} of {seen.compaction.whole:,} entries" if seen.compaction.whole else ""
            table.add_row("compaction", f"{seen.compaction.step}{done}")
        if seen.compaction is not None and seen.compaction.last_failure is not None:
            table.add_row("last compaction", f"not done: {seen.compaction.last_failure}")
        table.add_row("wallets in memory", f"{seen.warm_wallets:,}")
        table.add_row("sessions", f"{seen.sessions:,}")
        dropped = f", {seen.guests_dropped:,} dropped for newcomers" if seen.guests_dropped else ""
        table.add_row("guests", f"{seen.guests:,}{dropped}")
        for use in seen.top:
            about = f"{use.journal_bytes / 1e6:,.1f} MB journaled, {use.processor_ms / 1e3:,.1f} s of the processor"
            table.add_row(f"client {use.principal}", about)
        if seen.over_budget:
            table.add_row("over a budget", f"{seen.over_budget:,} requests")
        output.answer(seen, lambda: table)
        return 0

    return talk(connection, show)


def discover(*, connection: Connection = DEFAULT) -> int:
    """Print the daemon's contract, an AsyncAPI 3.1 document: every method and notification, error and limit.

    For example:

        $ walletd discover
        $ walletd discover > walletd.asyncapi.json
    """

    async def show(client: BlockingClient, output: Output) -> int:
        output.raw(await client.call("rpc.discover"))
        return 0

    return talk(connection, show)


def _node(ledger: LedgerStatus) -> str:
    """This daemon's part in its ledger, in words."""
    if ledger.role is NodeRole.LEADER:
        known_as = f", known to the others as {ledger.leader}" if ledger.leader else ""
        lease = "" if ledger.lease_seconds is None else f", for {ledger.lease_seconds:.1f} s unless it is renewed"
        return f"leads{known_as}{lease}"
    behind = f"{ledger.lag_entries:,} entries ({ledger.lag_seconds:.1f} s)" if ledger.lag_entries else "nothing"
    return f"follows {ledger.leader or 'no known leader'}, {behind} behind"


def signed(line: StatementLine, scales: dict[str, int]) -> Text:
    """The amount of a statement's line with its sign, green for money received."""
    came_in = not line.amount.startswith("-")
    words = amount(line.amount, line.asset, scales)
    return Text(f"+{words}" if came_in else words, style="green" if came_in else "")
