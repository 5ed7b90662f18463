"""A data folder belongs to its owner alone: nothing in it is another user's, and only its owner can read or write it.

The promise: a folder that another user of the machine owns or can write is refused before any file in it is opened, and
so is such a file; what others could only read is closed to them, with a line in the log.  Root counts as an owner,
because it can do everything in any case, and platforms make folders and secrets as root.

    refuse_exposed(directory)                          # raises JournalExposed or JournalCorrupt
    close_to_others(directory)
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from walletd.journal.failures import JournalCorrupt, JournalExposed

ROOT_USER = 0

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

_SECRET = "operator.token"
_BEGINNINGS = ("journal.", "state.db", "snapshot-", "clock.", _SECRET, "archive", "reports", "walletd.sock")
_ENDINGS = (".segments", ".unfinished", ".restoring")
_FOLDERS = ("archive", "reports")
_SOCKETS = ("walletd.sock",)
_NO_LINKS = ("journal.lock", "journal.mark", "journal.ballast", "clock.", "archive.lock", _SECRET)
"""Files that are written in place, or that are secrets: a link would lead the daemon to a file of another place."""

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}

log = logging.getLogger("walletd.journal")


def refuse_exposed(directory: Path) -> None:
    """Raise JournalExposed if another user owns the folder or a file of ours in it, or can write it.

    Raises JournalCorrupt if something that must be a file is none: opening a pipe would wait without an end.  A folder
    that is not there exposes nothing.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _refuse_folder(directory, os.fstat(descriptor))
    finally:
        os.close(descriptor)
    for path in _ours(directory):
        _refuse_member(path)


def close_to_others(directory: Path) -> None:
    """Take from others the right to read the folder and the files of ours in it, as far as they belong to us.

    The operator's token is left as it is: one that others could read is no secret any more, and its reader refuses it.
    """
    closed = [directory] if _closed(directory, os.O_DIRECTORY) else []
    closed += [path for path in _ours(directory) if not path.name.startswith(_SECRET) and _closed(path)]
    if closed:
        names = ", ".join(path.name or str(path) for path in closed[:3])
        more = f" and {len(closed) - 3} more" if len(closed) > 3 else ""
        log.info("others could read %s%s in %s; now only its owner can", names, more, directory)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file; its opening never waits.  A file that it creates is its owner's alone.

    Raises JournalCorrupt if it is anything else, or OSError.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_NOFOLLOW:
            raise JournalCorrupt(f"{path} is a symbolic link, not a file") from error
        if error.errno in (errno.ENXIO, errno.EISDIR):
            refuse_irregular(path, path.stat())
        raise
    try:
        refuse_irregular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_irregular(path: Path, status: os.stat_result) -> None:
    """Raise JournalCorrupt unless this is the status of a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise JournalCorrupt(f"{path} is {kind}, not a file")


def _ours(directory: Path) -> Iterator[Path]:
    """Everything in the folder that has a name of ours, and what is in its folders."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.startswith(_BEGINNINGS) or name.endswith(_ENDINGS):
            path = directory / name
            yield path
            if name in _FOLDERS and path.is_dir():
                yield from sorted(path.iterdir())


def _refuse_folder(directory: Path, status: os.stat_result) -> None:
    user = os.geteuid()
    if status.st_uid not in (user, ROOT_USER):
        raise JournalExposed(
            f"{directory} belongs to user {status.st_uid}, but walletd runs as user {user}: run it as the owner, or "
            f"run: chown {user} {directory}"
        )
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise JournalExposed(
            f"others can write {directory}: run: chmod go-w {directory} (or name a folder in it that does not exist "
            "yet, which walletd creates for itself)"
        )


def _refuse_member(path: Path) -> None:
    try:
        status = path.lstat()
        _refuse_owner(path, status)
        if stat.S_ISLNK(status.st_mode):
            if path.name.startswith(_NO_LINKS):
                raise JournalExposed(f"{path} is a symbolic link, which walletd does not follow: put the file here")
            status = path.stat()
            _refuse_owner(path, status)
    except FileNotFoundError:  # removed meanwhile, or a link that leads nowhere
        return
    if path.name in _SOCKETS and stat.S_ISSOCK(status.st_mode):
        return
    if not (path.name in _FOLDERS and stat.S_ISDIR(status.st_mode)):
        refuse_irregular(path, status)
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise JournalExposed(f"others can write {path}: look at it, then run: chmod go-w {path}")


def _refuse_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), ROOT_USER):
        raise JournalExposed(
            f"{path} belongs to user {status.st_uid}, who may have planted it: look at it, then remove it or run: "
            f"chown {os.geteuid()} {path}"
        )


def _closed(path: Path, flags: int = os.O_NOFOLLOW) -> bool:
    """Take others' rights to this file or folder; returns whether they had any."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except OSError:  # a link, a socket, or gone
        return False
    try:
        status = os.fstat(descriptor)
        if not status.st_mode & _OF_OTHERS or os.geteuid() not in (status.st_uid, ROOT_USER):
            return False
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OF_OTHERS)
    except OSError as error:  # a file system without owners
        log.debug("cannot close %s to others: %s", path, error)
        return False
    finally:
        os.close(descriptor)
    return True
