"""``walletd verify``: read a journal that no daemon has open, or a backup, trust nothing, and report what was checked.

It checks each segment's digest and Merkle root, decides each entry again by the rules, and checks the resulting books.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Group, RenderableType

from walletd.cli.bar import Bar
from walletd.cli.entries import expected_root, read_entry
from walletd.cli.journal import at_rest, is_in_postgresql
from walletd.cli.journal_failures import JournalMissing, failed
from walletd.cli.lines import say
from walletd.cli.output import Output, amount, new_table
from walletd.journal.archive.archive import is_archive
from walletd.journal.failures import JournalCorrupt, JournalFailure
from walletd.journal.merkle import Frontier
from walletd.journal.offline import OfflineJournal, open_offline
from walletd.journal.segment import Segment, records
from walletd.journal.sqlite.charter import Charter
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.sqlite.mark import Mark, read_mark, refuse_missing, refuse_replaced
from walletd.journal.store import GENESIS
from walletd.journal.verification import advance
from walletd.ledger.audit import Audit, totals
from walletd.runtime.ending import EXIT_DAMAGED, EXIT_OK
from walletd.vocabulary.entries import Entry

LISTED_VIOLATIONS = 20

IMPOSSIBLE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    msgspec.MsgspecError,
)
"""What values that no daemon writes can raise in the rules."""


class AssetSum(msgspec.Struct, frozen=True):
    """Per asset: the sum over all wallets, which must be zero, and the total of the customers' wallets, in smallest
    units.

    ``scale`` is null only for an undefined asset, which no sound journal has.
    """

    asset: str
    sum: str
    in_customer_wallets: str
    scale: int | None


class Verification(msgspec.Struct, kw_only=True):
    """The extent of the check and its findings.  No violation: the journal is whole and the books are right."""

    journal: str
    instance: str = ""
    segments: int = 0
    entries: int = 0
    applied: int = 0
    refused: int = 0
    wallets: int = 0
    bytes: int = 0
    epoch: int = 0
    archived: int = 0
    head: int = 0
    root: str = ""
    mark: int | None = None
    sums: list[AssetSum] = []
    violations: list[str] = []


def verify(
    place: str,
    /,
    *,
    root: str | None = None,
    ledger: str = "main",
    as_json: Annotated[bool, Parameter(name="--json", negative="", show_default=False)] = False,
) -> int:
    """Check a journal that no daemon has open, or a backup: digests, Merkle roots, every decision, every book.

    It changes nothing.  Exits with 0 if all is well, 65 if something is wrong, 75 while a daemon uses the journal.

    For example:

        $ walletd verify var
        $ walletd verify /backup/walletd --json
        $ walletd verify postgresql://walletd@db-1/walletd --ledger eu
        $ walletd verify /backup/walletd --root "$(cat /elsewhere/root)"

    Parameters
    ----------
    place
        A data directory, a backup, or a journal's file; or the connection string of a database that has a ledger.
    root
        The Merkle root that the journal must have, as backup and verify printed it.  Keep it elsewhere: a person
        who can write the files can append entries whose digests and roots fit.
    ledger
        The ledger's name in that database.
    as_json
        Answer with one JSON document, for scripts.
    """
    output = Output(as_json)
    root = expected_root(root)
    path = Path(place)
    database = path / DATABASE_NAME if path.is_dir() and not is_archive(path) else path
    found = Verification(journal=ledger if is_in_postgresql(place) else str(database))
    try:
        if is_in_postgresql(place):
            with at_rest(place, ledger) as journal:
                _verify(journal, found, None)
        elif not database.exists() and read_mark(database.parent) is None:
            return failed(JournalMissing(f"there is no journal at {database}"), output)
        else:
            _verify_files(database, found)
    except JournalCorrupt as corrupt:
        found.violations.append(str(corrupt))
    except (JournalFailure, OSError) as failure:
        return failed(failure, output)
    if root is not None and found.root != root:
        found.violations.append(f"the root at entry {found.head} is {found.root}, not the expected {root}")
    output.answer(found, lambda: _drawn(found))
    for violation in found.violations[:LISTED_VIOLATIONS]:
        say(f"walletd: {violation}")
    if len(found.violations) > LISTED_VIOLATIONS:
        say(f"walletd: and {len(found.violations) - LISTED_VIOLATIONS} more violations")
    return EXIT_DAMAGED if found.violations else EXIT_OK


def _verify_files(database: Path, found: Verification) -> None:
    is_backup = is_archive(database)
    if not is_backup:
        refuse_missing(database)
    journal = open_offline(database)
    _verify(journal, found, None if is_backup else read_mark(database.parent))


def _verify(journal: OfflineJournal, found: Verification, mark: Mark | None) -> None:
    """Read and check everything; if it raises JournalFailure, ``found`` keeps the findings so far."""
    charter = journal.charter
    found.instance, found.epoch, found.archived = charter.instance, charter.epoch, journal.archived
    found.mark = None if mark is None else mark.sequence
    audit, frontier, root_at_mark = Audit(), Frontier(), None
    head = GENESIS
    found.root = head.root.hex()
    with Bar("verifying", None if journal.archived else journal.size_bytes) as advanced:
        for segment in journal.segments():
            _refuse_foreign_epoch(segment, charter)
            head = advance(head, frontier, segment)
            for index, record in enumerate(records(segment)):
                _fold(audit, _entry(record, segment.first_sequence + index))
            if mark is not None and head.sequence == mark.sequence:
                root_at_mark = head.root
            _count(found, segment, audit)
            advanced(found.bytes, found.entries)
    refuse_replaced(mark, charter.instance, head.sequence, root_at_mark)
    _close(found, audit)


def _refuse_foreign_epoch(segment: Segment, charter: Charter) -> None:
    if segment.epoch > charter.epoch:
        raise JournalCorrupt(
            f"the segment at sequence {segment.first_sequence} is of epoch {segment.epoch}, "
            f"but the journal is at epoch {charter.epoch}"
        )


def _entry(record: bytes, sequence: int) -> Entry:
    entry = read_entry(record, sequence)
    if (entry.refusal is None) == (entry.effects is None):
        raise JournalCorrupt(f"entry {sequence} does not have exactly one outcome")
    return entry


def _fold(audit: Audit, entry: Entry) -> None:
    """Decide the entry again.  What the rules cannot even consider was not written by them."""
    try:
        audit.fold(entry)
    except IMPOSSIBLE as error:
        raise JournalCorrupt(
            f"entry {entry.sequence} cannot be decided again: {type(error).__name__}: {error}"
        ) from error


def _count(found: Verification, segment: Segment, audit: Audit) -> None:
    found.segments += 1
    found.entries += segment.count
    found.bytes += len(segment.body)
    found.head, found.root = segment.last_sequence, segment.root.hex()
    found.applied, found.refused, found.wallets = audit.applied, audit.refused, len(audit.books.wallets)
    found.violations = audit.violations


def _close(found: Verification, audit: Audit) -> None:
    """The checks of the books as a whole, and the sums that show them."""
    found.violations = audit.close()
    scales = {asset.asset: asset.scale for asset in audit.books.assets.values()}
    for asset, total in sorted(totals(audit.books).items()):
        held_by_customers = sum(
            book.balances[asset].posted
            for book in audit.books.wallets.values()
            if not book.is_system and asset in book.balances
        )
        found.sums.append(AssetSum(asset, str(total), str(held_by_customers), scales.get(asset)))


def _drawn(found: Verification) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("journal", f"{found.journal} ({found.instance})")
    facts.add_row("segments", f"{found.segments:,}, each with its digest and its Merkle root ({found.bytes:,} bytes)")
    facts.add_row("entries", f"{found.entries:,}, each decided again")
    if found.archived:
        facts.add_row("  archived", f"{found.archived:,}")
    facts.add_row("  applied", f"{found.applied:,}")
    facts.add_row("  refused", f"{found.refused:,}")
    facts.add_row(
        "wallets", f"{found.wallets:,}, none below its floor" if not found.violations else f"{found.wallets:,}"
    )
    facts.add_row("head", f"entry {found.head:,}, epoch {found.epoch}")
    facts.add_row("root", found.root)
    if found.mark is not None:
        facts.add_row(
            "mark", f"entry {found.mark:,}, which the journal reaches" if not found.violations else str(found.mark)
        )
    sums = new_table(
        "asset", "sum over all wallets", "held by customers", right=("sum over all wallets", "held by customers")
    )
    scales = {row.asset: row.scale for row in found.sums if row.scale is not None}
    for row in found.sums:
        sums.add_row(row.asset, amount(row.sum, row.asset, scales), amount(row.in_customer_wallets, row.asset, scales))
    verdict = (
        f"NOT well: {len(found.violations):,} violations, listed below"
        if found.violations
        else "All is well: the journal is unbroken and every book is right."
    )
    return Group(facts, "", sums, "", verdict) if found.sums else Group(facts, "", verdict)
