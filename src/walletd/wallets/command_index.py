"""Which command ids were used, for ever, in bounded memory.

A new command asks once: "was this id ever used?"  The answer for ids that are projected is one probe of the B-tree in
``state.db``, made right in the event loop: a hop to a thread costs forty times as much.  Memory is SQLite's page
cache, however many ids there are; a probe costs O(log ids), a few microseconds while the inner pages are cached and
one read of the disk when they are not.  Ids that are not projected yet are the supervisor's to remember.
"""

import sqlite3
from pathlib import Path

from walletd.wallets.read_tables import check_seal, open_for_reading, rot_reported

PROBE = "SELECT sequence, seal FROM command WHERE principal = ? AND command_id = ?"


class CommandIndex:
    """Look-ups of command ids in the read tables."""

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection = open_for_reading(path)
        self.probes = 0

    def find(self, principal: str, command_id: str) -> int | None:
        """The sequence of the entry with this command id of this principal; None where the id is new."""
        self.probes += 1
        with rot_reported():
            row = self._connection.execute(PROBE, (principal, command_id)).fetchone()
        if row is None:
            return None
        sequence, sealed = row
        check_seal("command", sealed, principal, command_id, sequence)
        return int(sequence)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
