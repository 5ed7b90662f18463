"""A process that appends to a journal until it is killed, and prints each sequence once it is durable: to be killed.

    python -m tests.journal.appending DIRECTORY [early]
    python -m tests.journal.appending URL LEDGER DIRECTORY [early]         # a ledger in PostgreSQL

With ``early`` it has a planted fault: it prints the sequence before the commit.  Every second process makes its commits
in SQLite's thread, as on a slow disk.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import trio

from tests.journal.chains import record
from tests.journal.outcomes import Told
from tests.journal.slow_disk import make_disks_slow
from walletd.journal.merkle import Frontier
from walletd.journal.postgresql.opening import open_ledger
from walletd.journal.queue import Pending
from walletd.journal.segment import records
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.store import GENESIS, JournalStore
from walletd.journal.verification import advance
from walletd.journal.writer import JournalWriter

LEASE_SECONDS = 0.3
"""Of a killed process, for which the next has to wait."""


def say(sequence: int) -> None:
    os.write(1, b"%d\n" % sequence)


def opened(place: list[str]) -> AbstractAsyncContextManager[JournalStore]:
    if len(place) == 1:
        return open_journal(Path(place[0]), ballast_bytes=0, space_floor_bytes=0, checkpoint_bytes=200_000)
    url, ledger, directory = place
    return open_ledger(url, ledger, Path(directory), allow_unreplicated=True, lease_seconds=LEASE_SECONDS)


async def main(place: list[str], early: bool) -> None:
    def durable(batch: Sequence[Pending[None]]) -> None:
        if not early:
            say(batch[-1].sequence)

    async with opened(place) as store, trio.open_nursery() as nursery:
        frontier, head = Frontier(), GENESIS
        while segments := await store.read(head.sequence):
            for segment in segments:
                head = advance(head, frontier, segment)
                assert records(segment)[-1] == record(segment.last_sequence, segment.last_sequence % 1000)
        say(head.sequence)
        writer: JournalWriter[None] = JournalWriter(store, frontier, head, outcome=Told(durable, lambda *_: os.abort()))
        await nursery.start(writer.run)
        while True:
            for _ in range(1 + writer.head % 7):
                sequence = writer.head + 1
                if early:
                    say(sequence)
                writer.append(sequence, record(sequence, sequence % 1000), None)
            await writer.drain()


if __name__ == "__main__":
    if os.getpid() % 2:
        make_disks_slow()
    trio.run(main, [word for word in sys.argv[1:] if word != "early"], sys.argv[-1] == "early")
