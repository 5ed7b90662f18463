"""The used command ids, permanently, in bounded memory.

    index = CommandIndex(path)
    nursery.start_soon(index.survey)                   # reads every id once, and then new ids are known at once
    index.note("operator", "order-17")                 # an id that the tables show from now on
    index.find("operator", "order-17")                 # its entry's sequence

A new command asks once: "was this id ever used?"  A filter in memory says "never" to nearly all new ids, once it has
seen every id.  Otherwise one probe of the B-tree in ``state.db`` answers, right on the event loop: a hop to a thread
costs forty times as much.  The survey at the start fills the filter, and reads every page of the ids: a damaged key
would hide a used id, and its command could be applied twice.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import msgspec
import trio

from walletd.tables import writer
from walletd.tables.file import (
    READER_CACHE_KIBIBYTES,
    ReadTablesRotten,
    Tables,
    open_for_reading,
    rot_reported,
)
from walletd.tables.id_filter import IdFilter
from walletd.tables.seals import (
    check_seal,
)

PROBE: Final = "SELECT sequence, seal FROM command WHERE principal = ? AND command_id = ?"

SURVEY: Final = """
SELECT json_group_array(json_array(principal, command_id, sequence, hex(seal)))
FROM (SELECT * FROM command WHERE (principal, command_id) > (?, ?) ORDER BY principal, command_id LIMIT ?)
"""
"""One row for many ids: a thread that fetches each row asks for the interpreter as often."""

SURVEY_ROWS: Final = 1_000
"""The rows read at a time; adding them to the filter occupies the event loop for some two milliseconds."""

SURVEY_PAUSE_SECONDS: Final = 0.002

log = logging.getLogger("walletd.wallets")

_decode = msgspec.json.Decoder(list[tuple[str, str, int, str]]).decode


class CommandIndex:
    """Look-ups of command ids in the read tables."""

    def __init__(self, path: Path, expected: int = 0, cache_kibibytes: int = READER_CACHE_KIBIBYTES) -> None:
        """``expected``: the approximate number of ids in the tables."""
        self._path = path
        self._cache_kibibytes = cache_kibibytes
        self._connection: apsw.Connection = open_for_reading(path, cache_kibibytes)
        self._filter = IdFilter(2 * expected)
        self._is_surveyed = False
        self.probes = 0

    @property
    def is_surveyed(self) -> bool:
        """True if every id of the tables was seen, so that the filter can say "never"."""
        return self._is_surveyed

    def find(self, principal: str, command_id: str) -> int | None:
        """The sequence of the entry with this command id of this principal; None if the id is new."""
        if self._is_surveyed and not self._filter.may_have(principal, command_id):
            return None
        self.probes += 1
        with rot_reported():
            row = self._connection.execute(PROBE, (principal, command_id)).fetchone()
        if row is None:
            return None
        sequence, sealed = row
        check_seal("command", sealed, principal, command_id, sequence)
        return int(sequence)

    def note(self, principal: str, command_id: str) -> None:
        """Note that the tables show this id from now on."""
        self._filter.add(principal, command_id)

    async def survey(self) -> None:
        """Read every id of the tables and add it to the filter.  Until then every id is looked up.

        Raises ReadTablesRotten.
        """
        connection = await writer.in_thread(lambda: open_for_reading(self._path, self._cache_kibibytes))
        seen, last = 0, ("", "")
        try:
            while rows := await writer.in_thread(partial(_page, connection, *last)):
                for principal, command_id, sequence, sealed in rows:
                    check_seal("command", bytes.fromhex(sealed), principal, command_id, sequence)
                    self._filter.add(principal, command_id)
                seen, last = seen + len(rows), rows[-1][:2]
                await trio.sleep(SURVEY_PAUSE_SECONDS)
        finally:
            connection.close()
        log.debug("checked %d command ids", seen)
        self._is_surveyed = True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _page(connection: Tables, principal: str, command_id: str) -> list[tuple[str, str, int, str]]:
    with rot_reported():
        ((page,),) = connection.execute(SURVEY, (principal, command_id, SURVEY_ROWS)).fetchall()
        try:
            return _decode(page)
        except msgspec.DecodeError as error:
            raise ReadTablesRotten("a command id") from error
