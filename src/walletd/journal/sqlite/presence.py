"""The check that the open files are still the ones under their names.

The promise: nothing is acknowledged that exists only in a file without a name.  Linux lets a process keep writing to a
file that was removed, moved or covered by another mount; SQLite does not notice.

    presence = Presence(directory)
    presence.refuse_detached()                       # before each commit: two or three stat(2), some microseconds
"""

import os
from pathlib import Path

from walletd.journal.failures import JournalDetached
from walletd.journal.sqlite.directory import DATABASE_NAME

_FILES = (DATABASE_NAME, f"{DATABASE_NAME}-wal")


class Presence:
    """Remembers the files as they were at the first check."""

    def __init__(self, directory: Path) -> None:
        self._paths = [str(directory / name) for name in _FILES]
        self._seen: dict[str, tuple[int, int]] = {}

    def refuse_detached(self) -> None:
        """Raise JournalDetached if a file is missing or was replaced."""
        for path in self._paths:
            found = _identity(path)
            if found is not None:
                known = self._seen.setdefault(path, found)
                if found == known:
                    continue
            elif path not in self._seen:
                continue  # The log is created with the first commit.
            what = "another file is" if found else "no file is"
            raise JournalDetached(f"{what} at {path} than the one that was opened")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
