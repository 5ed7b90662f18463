"""``walletd backup``: a copy of a running daemon's journal that proves itself.

The daemon hands out its journal as stored, one block at a time; this command decides where to write it and checks that
it fits.  A backup is a directory of archive files; each entry follows the one before it.
"""

from pathlib import Path

import msgspec
import trio
from rich.console import RenderableType

from walletd.cli.bar import Advance, Bar
from walletd.cli.connection import DEFAULT, Connection
from walletd.cli.journal_failures import failed
from walletd.cli.live import talk_live
from walletd.cli.output import Output, new_table
from walletd.client import Client, requests
from walletd.journal.archive.archive import Archive, archive_for_writing
from walletd.journal.archive.file import ArchiveWriter, Origin, unpack
from walletd.journal.failures import JournalCorrupt, JournalFailure, damage_is_the_copys
from walletd.protocol.messages.journal import JournalBlock
from walletd.runtime.ending import EXIT_OK

FILE_BYTES = 64 * 1024 * 1024
"""The approximate size of one file of a backup.  If a long backup is cut short, the files already finished are kept."""


class OtherHistory(JournalFailure):
    """The backup belongs to another journal, or to another history of this one."""

    advice = "Keep that backup, and back up into a new directory."


class BackedUp(msgspec.Struct, frozen=True):
    """The contents of the backup now, and the part of it that is new."""

    destination: str
    instance: str
    entries: int
    new_entries: int
    new_bytes: int
    files: int
    root: str


def backup(destination: Path, /, *, connection: Connection = DEFAULT) -> int:
    """Copy a running daemon's journal into a directory; later runs copy only new entries.

    The copy is read back from the disk and proved, entry by entry, before it counts as backed up.  A backup that is
    cut short leaves the previous one intact.

    For example:

        $ walletd backup /backup/walletd
        $ walletd backup /backup/walletd --json

    Parameters
    ----------
    destination
        The directory of the backup, on this machine; created if missing.
    """

    async def copy(client: Client, output: Output) -> int:
        try:
            with archive_for_writing(destination) as archive:
                done = await _back_up(client, archive)
        except JournalFailure as failure:
            return failed(failure, output)
        except OSError as error:
            return failed(error, output)
        output.answer(done, lambda: _backed_up(done))
        return EXIT_OK

    return talk_live(connection, copy)


async def _back_up(client: Client, archive: Archive) -> BackedUp:
    """Bring the backup up to the journal's present head; under load, the journal has moved on when this is done."""
    before, size_before = archive.head.sequence, archive.size_bytes
    page = await client.ask(requests.journal_block(max(0, before - 1)))
    _refuse_other_history(archive, page)
    target, origin = page.head, Origin(page.instance, page.created_ns)
    with Bar("backing up", target - before) as advanced:
        while archive.head.sequence < target:
            with archive.writer(origin) as writer:
                await _fill(client, writer, target)
                await _prove(writer, lambda done, entries: advanced(done - before, entries))
                archive.extend(writer.commit())
    return BackedUp(
        destination=str(archive.directory),
        instance=origin.instance,
        entries=archive.head.sequence,
        new_entries=archive.head.sequence - before,
        new_bytes=archive.size_bytes - size_before,
        files=len(archive.files),
        root=archive.head.root.hex(),
    )


def _refuse_other_history(archive: Archive, page: JournalBlock) -> None:
    """Raise OtherHistory unless the journal continues what the backup has."""
    end = archive.head
    if archive.origin is None:
        return
    if archive.origin.instance != page.instance:
        raise OtherHistory(
            f"{archive.directory} is a backup of journal {archive.origin.instance}, but the daemon has {page.instance}"
        )
    joint = next((s for s in (unpack(page.block) if page.block else []) if s.last_sequence == end.sequence), None)
    if joint is None or joint.root != end.root:
        raise OtherHistory(
            f"{archive.directory} goes up to entry {end.sequence}, but the daemon's journal has another history there"
        )


async def _fill(client: Client, writer: ArchiveWriter, target: int) -> None:
    """Request blocks and write them, until the target is reached or the file is full."""
    after = writer.head.sequence
    while after < target and writer.size_bytes < FILE_BYTES:
        page = await client.ask(requests.journal_block(after))
        if not page.block:
            raise JournalCorrupt(f"the daemon has no entry {after + 1}, although its head is {page.head}")
        after = unpack(page.block)[-1].last_sequence
        await trio.to_thread.run_sync(writer.add, page.block)
    await trio.to_thread.run_sync(writer.sync)


async def _prove(writer: ArchiveWriter, advanced: Advance) -> None:
    """Read the file back from the disk and check every digest and every root, while the connection stays alive."""
    for index in range(writer.blocks):
        with damage_is_the_copys("the backup"):
            segments = await trio.to_thread.run_sync(writer.read_back, index)
            for head in writer.prove(segments):
                advanced(head.sequence, head.sequence)
                await trio.lowlevel.checkpoint()


def _backed_up(done: BackedUp) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("backup", f"{done.destination} ({done.instance})")
    facts.add_row("entries", f"{done.entries:,}, of which {done.new_entries:,} are new")
    facts.add_row("written", f"{done.new_bytes:,} bytes, read back and proved")
    facts.add_row("files", f"{done.files:,}")
    facts.add_row("root", done.root)
    return facts
