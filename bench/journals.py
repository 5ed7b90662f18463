"""Write a long journal fast: entries decided by walletd's rules, sealed and committed by its journal, without a socket.

    python -m bench.journals FOLDER --wallets 1000000 --transfers 9000000

What comes out is what a daemon would have written, of which ``walletd verify`` says that it holds; the read tables are
made by the daemon's own first start.  Only a few wallets' books are in memory at a time, because a command needs no
others.  It runs under the walletd that it imports.
"""

import argparse
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from walletd.journal.merkle import Frontier
from walletd.journal.segment import seal
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.sqlite.store import SqliteJournalStore
from walletd.ledger.book import Books, apply
from walletd.ledger.rules import decide
from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, Posting, PostTransfer
from walletd.vocabulary.entries import Effects, Entry, encode_entry
from walletd.vocabulary.identifiers import (
    DAEMON,
    EXTERNAL,
    OPERATOR,
    AssetCode,
    CommandId,
    Principal,
    Sequence,
    WalletId,
)

SEGMENT_BYTES = 1024 * 1024
FUNDED_AT_ONCE = 100
PAYING = 10_000
"""So many wallets take part in the transfers."""

FUNDS = str(10**12)
ASSET = AssetCode("EUR")
BETWEEN_ENTRIES = timedelta(microseconds=50)


class Scribe:
    """Decides commands one after the other; the records of what was decided."""

    def __init__(self, began: datetime) -> None:
        self.books = Books()
        self.sequence = Sequence(0)
        self.bytes = 0
        self._now = began

    def record(self, command: AnyCommand, principal: Principal = OPERATOR) -> bytes:
        """Decide a command that must be applied, apply it, and encode its entry."""
        self._now += BETWEEN_ENTRIES
        self.sequence = Sequence(self.sequence + 1)
        verdict = decide(self.books, command, self._now, self.sequence, by=principal)
        assert isinstance(verdict, Effects), verdict
        apply(self.books, verdict)
        record = encode_entry(
            Entry(sequence=self.sequence, time=self._now, principal=principal, command=command, effects=verdict)
        )
        self.bytes += len(record)
        return record


def town(scribe: Scribe, wallets: int, transfers: int) -> Iterator[bytes]:
    """Records: the asset, the wallets ``w0``... with money in each, then transfers between the first of them."""
    yield scribe.record(OpenWallet(command_id=CommandId("open-external"), wallet=EXTERNAL), DAEMON)
    yield scribe.record(DefineAsset(command_id=CommandId("asset"), asset=ASSET, scale=2))
    for start in range(0, wallets, FUNDED_AT_ONCE):
        names = [WalletId(f"w{number}") for number in range(start, min(start + FUNDED_AT_ONCE, wallets))]
        for name in names:
            yield scribe.record(OpenWallet(command_id=CommandId(f"open-{name}"), wallet=name))
        postings = tuple(Posting(EXTERNAL, name, ASSET, FUNDS) for name in names)
        yield scribe.record(PostTransfer(command_id=CommandId(f"fund-{start}"), postings=postings))
        if start >= PAYING:
            for name in names:
                del scribe.books.wallets[name]
    chance = random.Random(7)
    paying = [WalletId(f"w{number}") for number in range(min(PAYING, wallets))]
    for number in range(transfers):
        source, to = chance.sample(paying, 2)
        posting = Posting(source, to, ASSET, "1")
        yield scribe.record(PostTransfer(command_id=CommandId(f"t-{number}"), postings=(posting,)))


async def write(folder: Path, wallets: int, transfers: int) -> Scribe:
    """Make the journal in a new folder.  O(entries) time; memory for the paying wallets and one segment."""
    scribe = Scribe(datetime.now(UTC) - timedelta(days=1))
    async with open_journal(folder) as store:
        assert (await store.head()).sequence == 0, "there is a journal already"
        frontier, batch, size = Frontier(), [], 0
        for record in town(scribe, wallets, transfers):
            batch.append(record)
            size += len(record)
            if size >= SEGMENT_BYTES - 65_536:
                await _commit(store, frontier, batch)
                batch, size = [], 0
        await _commit(store, frontier, batch)
    return scribe


async def _commit(store: SqliteJournalStore, frontier: Frontier, batch: list[bytes]) -> None:
    if batch:
        head = frontier.size
        await store.append(head, seal(frontier, head + 1, store.epoch, batch))
        if store.checkpoint_due:
            await store.checkpoint()


def main() -> None:
    """Write one, and say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wallets", type=int, default=1_000_000)
    parser.add_argument("--transfers", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    scribe = trio.run(write, options.folder, options.wallets, options.transfers)
    seconds = time.perf_counter() - began
    print(f"{scribe.sequence} entries, {scribe.bytes} bytes of records, {seconds:.1f} s")


if __name__ == "__main__":
    main()
