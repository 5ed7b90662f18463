"""The directory of a journal: exclusive use, fitness, and free space.

The promise: at most one process holds a journal, by a lock on a separate file (opening and closing the database file
itself would drop SQLite's locks: POSIX drops them with the first close); and a full disk has a reserve to recover with.

    with locked(directory):
        refuse_network_file_system(directory)
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from walletd.journal.failures import JournalLocked, JournalUnsupported
from walletd.journal.sqlite.private import open_regular

DATABASE_NAME = "journal.db"
LOCK_NAME = "journal.lock"
BALLAST_NAME = "journal.ballast"

_NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
    | {"fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"}
)
_PRIVATE = 0o700
_CHUNK_BYTES = 64 * 1024


def make_directory(directory: Path) -> None:
    """Create the directory, readable by its owner only, so that it survives a power cut."""
    if not directory.exists():
        directory.mkdir(mode=_PRIVATE, parents=True)
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    sync_file(directory, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path, flags: int = os.O_RDWR) -> None:
    """Make a file's content and length durable."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the journal while the body runs; raises JournalLocked at once if another process holds it."""
    descriptor = open_regular(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise JournalLocked(f"the journal in {directory} is held by process {holder or 'unknown'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(
            descriptor
        )  # which also releases the lock; the file stays, or two processes could lock two files of one name


@contextmanager
def unlocked(directory: Path) -> Iterator[None]:
    """Keep daemons out while the body reads the files; raises JournalLocked if one is running."""
    try:
        descriptor = open_regular(directory / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:  # a copy, where no daemon ever ran
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalLocked(f"a running walletd holds the journal in {directory}") from None
        yield
    finally:
        os.close(descriptor)


def refuse_network_file_system(directory: Path) -> None:
    """Raise JournalUnsupported if the kernel reports that the directory lies on a network file system.

    If it does not report one (no /proc, or a file system with anonymous devices), the operator has to know.
    """
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for kind in file_systems(mounts, wanted):
        if kind in _NETWORK_FILE_SYSTEMS:
            raise JournalUnsupported(
                f"{directory} lies on a network file system ({kind}), whose syncs and locks may lie"
            )


def file_systems(mounts: list[str], device: str) -> list[str]:
    """The types of file systems mounted from ``device`` ("major:minor"), from the lines of mountinfo (proc(5))."""
    found = []
    for line in mounts:
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [device] and after:
            found.append(after.split()[0])
    return found


def free_bytes(directory: Path | str) -> int:
    """The free space of the file system that is available to us."""
    room = os.statvfs(directory)
    return room.f_bavail * room.f_frsize


class Ballast:
    """A file of real blocks that is dropped when the disk is full, so that pending work can be cleaned up.

    ``reserve_bytes`` of it stay then, for the entries that must be possible on a full disk.
    """

    def __init__(self, directory: Path, size_bytes: int, reserve_bytes: int = 0) -> None:
        self._path = directory / BALLAST_NAME
        self._size_bytes = size_bytes + reserve_bytes
        self._reserve_bytes = reserve_bytes

    @property
    def held_bytes(self) -> int:
        """The number of bytes that it occupies."""
        return self._path.stat().st_size if self._path.exists() else 0

    @property
    def missing_bytes(self) -> int:
        """The number of bytes missing from it."""
        return max(0, self._size_bytes - self.held_bytes)

    def restore(self) -> None:
        """Write the missing part, by real writes: a hole or compressible zeros would reserve nothing.

        Raises OSError if there is no space; bytes already written stay and are continued the next time.
        """
        if not self.missing_bytes:
            return
        with open(open_regular(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW), "ab") as file:
            while self.missing_bytes:
                file.write(os.urandom(min(_CHUNK_BYTES, self.missing_bytes)))
                file.flush()
            os.fsync(file.fileno())
        sync_directory(self._path.parent)

    def drop(self) -> None:
        """Release the blocks except the reserve, durably, because some file systems reuse them only then."""
        if self._reserve_bytes:
            self._shorten(self._reserve_bytes)
        else:
            self.drop_all()

    def drop_all(self) -> None:
        """Release the reserve, too."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)

    def spend(self, count: int) -> None:
        """Release so many bytes of the reserve, or as many as are left."""
        self._shorten(max(0, self.held_bytes - count))

    def _shorten(self, size: int) -> None:
        if self.held_bytes > size:
            os.truncate(self._path, size)
            sync_file(self._path)
