"""``walletd clock``: this machine's clock beside the ledger's time, and an operator's confirmation that it is right."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import RenderableType

from walletd.cli.journal_failures import failed
from walletd.cli.output import Output, new_table
from walletd.cli.usage import UsageError
from walletd.journal.failures import JournalFailure
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.runtime.ending import EXIT_OK
from walletd.wallets.clock_file import accept as leave_word
from walletd.wallets.clock_file import boot_id, machine_time, read_seen
from walletd.wallets.ledger_clock import length, shown, steady_microseconds


class ClockSeen(msgspec.Struct, frozen=True):
    """The two clocks, and whether this command accepts the machine's."""

    machine: datetime
    ledger: datetime | None
    ahead_seconds: float | None
    """How far the machine's clock is ahead of the ledger's time."""
    accepted: bool


def clock(
    data: Path,
    /,
    *,
    accept: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Show this machine's clock beside the ledger's time or, with --accept, have the daemon adopt it.

    The daemon adopts a clock that jumped only gradually, and refuses to start on one that is far ahead.  If the clock
    is right, as after a long pause of the machine, confirm it with --accept.  Time in the ledger never goes back:
    check twice before you do.

    For example:

        $ walletd clock /var/lib/walletd
        $ walletd clock /var/lib/walletd --accept

    Parameters
    ----------
    data
        The data directory of the daemon, running or not.
    accept
        Confirm that this machine's clock is right.
    as_json
        Answer with one JSON document, for scripts.
    """
    output = Output(as_json)
    if not (data / DATABASE_NAME).exists():
        raise UsageError(f"there is no journal in {data}")
    try:
        machine = leave_word(data) if accept else machine_time()
        seen, ledger = read_seen(data), None
    except JournalFailure as failure:
        return failed(failure, output)
    if seen is not None:
        is_this_boot = seen.boot == boot_id()
        ledger = seen.time + timedelta(microseconds=steady_microseconds() - seen.steady if is_this_boot else 0)
    ahead = None if ledger is None else (machine - ledger).total_seconds()
    found = ClockSeen(machine, ledger, ahead, accept)
    output.answer(found, lambda: _shown(found))
    return EXIT_OK


def _shown(found: ClockSeen) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("this machine", shown(found.machine))
    facts.add_row("the ledger", "not known" if found.ledger is None else shown(found.ledger))
    if found.ledger is not None:
        apart = found.machine - found.ledger
        side = "ahead" if apart > timedelta(0) else "behind"
        facts.add_row("the machine is", f"{length(apart)} {side}" if abs(apart) >= timedelta(seconds=2) else "right")
    if found.accepted:
        facts.add_row("accepted", "a running daemon adopts it within a second or two, a stopped one when it starts")
    return facts
