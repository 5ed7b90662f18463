"""A start after a clean end reads as much of the files, however many entries there are."""

from pathlib import Path
from typing import Any

from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.sqlite.opening import open_journal
from walletd.tables.queries.wallets import open_queries
from walletd.upkeep.books_audit import open_audit
from walletd.upkeep.recovery import recover

SMALL, LARGE = 100, 2_000
SEGMENT = 50


def bytes_read() -> int:
    """What this process has read, from the disk or from the system's memory of it."""
    return int(Path("/proc/self/io").read_text().split()[1])


async def furnish(directory: Path, transfers: int) -> None:
    """A journal and read tables after so many transfers, ended cleanly."""
    async with (
        open_journal(directory, ballast_bytes=0, space_floor_bytes=0) as store,
        open_core(directory, store) as core,
    ):
        submit(core, define())
        for wallet in ("alice", "bob"):
            submit(core, opening(wallet))
        for first in range(0, transfers, SEGMENT):  # A start reads the last segment, which may have a megabyte.
            numbers = range(first, first + SEGMENT)
            await answered(*(submit(core, transfer(f"t{number}", ("@external", "alice", 1))) for number in numbers))
        await core.projector.reach(core.writer.durable_head)


async def start(directory: Path) -> int:
    """How many bytes a start reads before it could serve."""
    before = bytes_read()
    async with open_journal(directory, ballast_bytes=0, space_floor_bytes=0) as store:
        recovered = await recover(store, directory, _nothing_is_missing)
        queries = await open_queries(recovered.tables.path)
        audit = await open_audit(recovered.tables.path, counts_wallets=False)
        await queries.assets()
        await queries.expiries(None, 1)
        count = bytes_read() - before
        await audit.aclose()
        await queries.aclose()
        await recovered.tables.aclose()
    return count


def _nothing_is_missing(*_: Any) -> None:
    raise AssertionError("entries were folded")


async def test_a_start_after_a_clean_end_reads_no_more_where_there_are_twenty_times_as_many_entries(
    tmp_path: Path,
) -> None:
    counts, sizes = [], []
    for transfers in (SMALL, LARGE):
        directory = tmp_path / str(transfers)
        directory.mkdir()
        await furnish(directory, transfers)
        sizes.append((directory / "state.db").stat().st_size)
        counts.append(await start(directory))
    print(f"{sizes} bytes of tables, {counts} bytes read")
    assert sizes[1] > 4 * sizes[0]
    assert counts[1] < counts[0] + 64 * 1024, counts
