"""``walletd journal move``: copy a journal from a data folder into PostgreSQL, or back; and where a journal is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Group, RenderableType

from walletd.cli.bar import Bar
from walletd.cli.groups import DAEMON
from walletd.cli.journal_failures import failed
from walletd.cli.output import Output, new_table
from walletd.cli.usage import UsageError
from walletd.journal.archive.archive import is_archive
from walletd.journal.failures import JournalFailure
from walletd.journal.offline import OfflineJournal, open_offline
from walletd.journal.sqlite.building import build_journal
from walletd.journal.store import Head
from walletd.runtime.ending import EXIT_OK

SCHEMES = ("postgresql://", "postgres://")
NEEDED = "PostgreSQL needs psycopg: pip install 'walletd[postgresql]'"

journal = App(name="journal", group=DAEMON, help="Move a journal between a data folder and PostgreSQL.")


class Moved(msgspec.Struct, frozen=True):
    """The journal that was copied; the source is unchanged."""

    source: str
    destination: str
    instance: str
    entries: int
    root: str
    epoch: int


def is_in_postgresql(place: str) -> bool:
    """True if the place is a connection string, not a path."""
    return place.startswith(SCHEMES)


@contextmanager
def at_rest(place: str, ledger: str) -> Iterator[OfflineJournal]:
    """The journal at a place that no daemon uses: a ledger in PostgreSQL, a data folder, a file or a backup.

    Raises JournalFailure, OSError, UsageError.
    """
    if not is_in_postgresql(place):
        yield open_offline(Path(place))
        return
    try:
        from walletd.journal.postgresql.offline import ledger_at_rest
    except ImportError as error:
        raise UsageError(NEEDED) from error
    with ledger_at_rest(place, ledger) as found:
        yield found


@journal.command
def move(
    source: str,
    destination: str,
    /,
    *,
    ledger: str = "main",
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Copy a journal that no daemon uses, entry by entry, between a data folder and PostgreSQL.

    Every entry is proved on the way and again in the copy: it has the same root, the same ids and the same epoch, so
    that clients notice nothing.  The source is left as it is: put it away, because two daemons must not go on from one
    journal.

    For example:

        $ walletd journal move var postgresql://walletd@db-1/walletd
        $ walletd journal move postgresql://walletd@db-1/walletd var-2 --ledger eu

    Parameters
    ----------
    source
        A data folder; or the connection string of the database that has the ledger.
    destination
        The connection string of a database; or a folder that does not exist yet.
    ledger
        The ledger's name in PostgreSQL.
    as_json
        Answer with one JSON document, for scripts.
    """
    output = Output(as_json)
    if is_in_postgresql(source) == is_in_postgresql(destination):
        raise UsageError("one of the two must be a folder, and the other a connection string (postgresql://...)")
    if not is_in_postgresql(source) and is_archive(Path(source)):
        raise UsageError("the source is a backup; make a data folder of it first, with `walletd restore`")
    try:
        with at_rest(source, ledger) as found:
            head = _copied(found, destination, ledger)
    except (JournalFailure, OSError) as failure:
        return failed(failure, output)
    done = Moved(
        _shown(source, ledger),
        _shown(destination, ledger),
        found.charter.instance,
        head.sequence,
        head.root.hex(),
        found.charter.epoch,
    )
    output.answer(done, lambda: _drawn(done))
    return EXIT_OK


def _copied(found: OfflineJournal, destination: str, ledger: str) -> Head:
    charter = found.charter
    with Bar("copying", None) as advanced:

        def progress(head: Head) -> None:
            advanced(head.sequence, head.sequence)

        if not is_in_postgresql(destination):
            return build_journal(
                Path(destination),
                found.origin,
                found.segments(),
                charter.epoch,
                lambda head: charter.histories,
                progress=progress,
            )
        try:
            from walletd.journal.postgresql.offline import build_ledger
        except ImportError as error:
            raise UsageError(NEEDED) from error
        return build_ledger(destination, ledger, charter, found.segments(), progress=progress)


def _shown(place: str, ledger: str) -> str:
    """The place without a password."""
    if not is_in_postgresql(place):
        return place
    from walletd.journal.postgresql.connection import without_password

    return f"ledger {ledger} in {without_password(place)}"


def _drawn(done: Moved) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("from", done.source)
    facts.add_row("to", f"{done.destination} ({done.instance})")
    facts.add_row("entries", f"{done.entries:,}, each proved twice")
    facts.add_row("root", done.root)
    return Group(facts, "", "Put the source away: two daemons must not go on from one journal.")
