"""The files of the ledger's clock in the data folder, and the operator's confirmation.

    begun = begin_here(data, last_time, max_gap)       # at a start
    await keep(data, clock, wake)                      # beside the daemon
    accept(data)                                       # walletd clock FOLDER --accept

``clock.json`` has the clock's last reading; without it a start knows only the journal's last entry.  ``clock.accepted``
is the confirmation that the wall clock is right: it is valid for an hour, for a clock that continues from there.
"""

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import trio

from walletd.journal.failures import JournalCorrupt
from walletd.journal.sqlite.private import open_regular
from walletd.runtime.threads import in_thread
from walletd.wallets.ledger_clock import (
    LedgerClock,
    Microseconds,
    Seen,
    begin,
    steady_microseconds,
    wall_microseconds,
)

log = logging.getLogger("walletd.daemon")

SEEN_NAME = "clock.json"
ACCEPTED_NAME = "clock.accepted"
CLOCK_FILE_BYTES = 4096
LONGEST_UPTIME: int = 10**17
"""In microseconds; no machine runs for three thousand years."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOOK_SECONDS = 1.0
"""The interval at which the wall clock is read if no command needs it, and the confirmation is looked for."""
LOOKS_BETWEEN = 60
"""The number of such intervals between two recordings of the clock."""
WORD_HOLDS = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def boot_id() -> str:
    """The id of the machine's present boot; empty if the platform has none, and then no two are equal."""
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def read_seen(data: Path) -> Seen | None:
    """The clock's last recorded reading in this folder; None if nothing is known."""
    with suppress(OSError, msgspec.DecodeError):
        seen = msgspec.json.decode(_read(data / SEEN_NAME), type=Seen)
        return seen if 0 <= seen.steady < LONGEST_UPTIME and seen.time.tzinfo is not None else None
    return None


def write_seen(data: Path, seen: Seen) -> None:
    """Record the clock's reading; a folder that cannot be written loses nothing but this."""
    with suppress(OSError):
        _write(data / SEEN_NAME, msgspec.json.encode(seen))


def machine_time(wall: Microseconds = wall_microseconds) -> datetime:
    """The wall clock's time."""
    return _EPOCH + timedelta(microseconds=wall())


def accept(data: Path, wall: Microseconds = wall_microseconds) -> datetime:
    """Leave the confirmation that the wall clock is right; returns its time.  Raises OSError."""
    now = machine_time(wall)
    _write(data / ACCEPTED_NAME, json.dumps({"accepted": now.isoformat()}).encode())
    return now


def _read(file: Path) -> bytes:
    """The content of the file, which is short.  Raises JournalCorrupt if it is a pipe or the like, or OSError."""
    with open(open_regular(file, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
        return opened.read(CLOCK_FILE_BYTES)


def _write(file: Path, content: bytes) -> None:
    """Write the file whole, for the owner of its folder alone.  Raises OSError."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(unfinished, flags, 0o600), "wb") as output:
        output.write(content)
        owner = os.stat(file.parent)
        if os.geteuid() != owner.st_uid:  # Root's, for a daemon of another user, which has to read and remove it.
            os.fchown(output.fileno(), owner.st_uid, owner.st_gid)
    unfinished.replace(file)


def take_word(data: Path, wall: Microseconds = wall_microseconds) -> bool:
    """True if an operator has confirmed the wall clock's reading.  The confirmation counts once."""
    file = data / ACCEPTED_NAME
    if not file.exists():
        return False
    try:
        given = datetime.fromisoformat(json.loads(_read(file))["accepted"])
        file.unlink()
    except FileNotFoundError:
        return False
    except (JournalCorrupt, OSError, ValueError, KeyError, TypeError) as error:
        log.error("cannot use %s: %s", file, error)
        return False
    holds = timedelta(0) <= machine_time(wall) - given <= WORD_HOLDS
    if not holds:
        log.error("ignoring the operator's confirmation of %s: the clock reads differently now", given)
    return holds


def begin_here(
    data: Path,
    last: datetime,
    max_gap_days: int,
    wall: Microseconds = wall_microseconds,
    steady: Microseconds = steady_microseconds,
) -> LedgerClock:
    """The ledger's clock of this folder, whose journal ends with an entry of the time ``last``.

    Raises ClockUnbelievable.
    """
    seen, boot = read_seen(data), boot_id()
    if seen is not None and not boot:
        seen = seen._replace(boot="unknown")
    max_gap, is_right = timedelta(days=max_gap_days), take_word(data, wall)
    clock = LedgerClock(wall, steady, begin(machine_time(wall), steady(), boot, last, seen, max_gap, is_right))
    write_seen(data, clock.seen(boot))
    return clock


async def keep(data: Path, clock: LedgerClock, wake: Callable[[], None]) -> None:
    """Read the clock until cancelled; ``wake`` is called when the time was set forward."""
    boot, looks = boot_id(), 0
    while True:
        await trio.sleep(LOOK_SECONDS)
        clock()
        looks += 1
        if await in_thread(take_word, data):
            clock.accept()
            wake()
            looks = LOOKS_BETWEEN
        if looks >= LOOKS_BETWEEN:
            looks = 0
            await in_thread(write_seen, data, clock.seen(boot))
