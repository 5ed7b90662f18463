"""``walletd compact``: have the daemon archive old entries, and follow its progress."""

import trio
from rich.console import RenderableType

from walletd.cli.bar import Bar
from walletd.cli.connection import DEFAULT, Connection
from walletd.cli.live import talk_live
from walletd.cli.output import Output, new_table
from walletd.cli.usage import UsageError
from walletd.client import Client, requests
from walletd.protocol.messages.journal import CompactionStatus
from walletd.runtime.ending import EXIT_OK, EXIT_REFUSED

SECONDS_BETWEEN_LOOKS = 0.2


def compact(*, keep_entries: int | None = None, connection: Connection = DEFAULT) -> int:
    """Move old entries from journal.db into compressed archive files, while the daemon serves.

    Nothing is lost: every entry can still be read, and every command id is still answered.  The daemon continues if
    this command is interrupted.

    For example:

        $ walletd compact
        $ walletd compact --keep-entries 10000

    Parameters
    ----------
    keep_entries
        The number of newest entries that stay in journal.db; default from the configuration.
    """
    if keep_entries is not None and keep_entries < 1:
        raise UsageError("--keep-entries must be at least 1")

    async def run(client: Client, output: Output) -> int:
        before = (await client.status()).compaction
        status = await client.ask(requests.compact(keep_entries))
        with Bar("compacting", None) as advanced:
            while status.step != "idle":
                await trio.sleep(SECONDS_BETWEEN_LOOKS)
                seen = (await client.status()).compaction
                assert seen is not None
                status = seen
                advanced(status.done, status.done)
        output.answer(status, lambda: _drawn(status))
        has_failed = before is not None and status.failures > before.failures
        return EXIT_REFUSED if has_failed else EXIT_OK

    return talk_live(connection, run)


def _drawn(status: CompactionStatus) -> RenderableType:
    facts = new_table("", "")
    facts.show_header = False
    facts.add_row("archived", f"up to entry {status.archived:,}" if status.archived else "nothing yet")
    if status.last_failure is not None:
        facts.add_row("not done", status.last_failure)
    return facts
