"""The operator's token: made at the first start, kept in a file that only its owner can read.

A process that can read the file is the operator.  A file that others can write, or that belongs to a user other than
the daemon's and root, is never accepted: that user could have planted it, and would be the operator.  One that others
can read is accepted if a platform or a package made it so, by the distinctions of ssh and PostgreSQL: if it is root's
(a Kubernetes secret, a package's 0640 for root and a group), if not even its owner may write it (a Docker secret), if
its mount is read only, or if it was named to a daemon that runs as root.  The daemon's own file is for its owner only,
and no symbolic link.

The daemon journals the token's hash, and a new one whenever the file was replaced: an operator who is locked out
deletes the file and restarts the daemon.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

from walletd.settings.settings import ConfigurationError

TOKEN_PREFIX = "walletd_"


TOKEN_FILE_BYTES = 64 * 1024
"""More than any token with its spaces; a file of another kind is not read whole."""

_ROOT_USER = 0


def operator_token(file: Path, *, is_credential: bool = False, is_named: bool = False) -> str:
    """The operator's token; it is created if there is none.

    A credential is guarded by systemd, which lets the unit read it by an access list.  A named file is one that the
    configuration names; it may be a symbolic link, as in a Kubernetes secret.  Raises ConfigurationError if others can
    write the file, own it, or read it although it is the daemon's own, or if it contains no token.
    """
    if not is_credential:
        try:
            return _make(file)
        except FileExistsError:
            pass
        except OSError as error:
            raise ConfigurationError(f"cannot write the operator's token to {file}: {error.strerror}") from error
    descriptor = _opened(file, follows_links=is_credential or is_named)
    with open(descriptor, "rb") as opened:
        if not is_credential:
            _refuse_open(file, os.fstat(descriptor), is_named)
        return _token_in(file, opened.read(TOKEN_FILE_BYTES))


def _make(file: Path) -> str:
    """Write a fresh token to a file that must not exist yet, complete before it has its name."""
    if os.path.lexists(file):
        raise FileExistsError
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    unfinished = file.with_name(file.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as output:
        output.write(token + "\n")
        output.flush()
        os.fsync(output.fileno())
    unfinished.rename(file)
    return token


def _opened(file: Path, *, follows_links: bool) -> int:
    """A descriptor of the file, so that what is checked is what is read.  Raises ConfigurationError."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follows_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(file, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not follows_links:
            raise ConfigurationError(
                f"{file} is a symbolic link; remove it, or name the file that it leads to as operator_token_file"
            ) from error
        raise ConfigurationError(f"cannot read the operator's token in {file}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigurationError(f"cannot read the operator's token in {file}: it is not a file")
    return descriptor


def _refuse_open(file: Path, status: os.stat_result, is_named: bool) -> None:
    """Raise ConfigurationError if others have access to the file that they must not have."""
    mode, user = stat.S_IMODE(status.st_mode), os.geteuid()
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{file} can be written by others; run: chmod go-w {file}")
    is_fixed = is_named and _is_read_only(file)
    if status.st_uid not in (user, _ROOT_USER) and not is_fixed:
        raise ConfigurationError(
            f"{file} belongs to user {status.st_uid}, who may have planted it; look at it, then remove it or run: "
            f"chown {user} {file}"
        )
    is_made_so = status.st_uid != user or not mode & stat.S_IWUSR or (user == _ROOT_USER and is_named) or is_fixed
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_made_so:
        raise ConfigurationError(f"{file} can be read by others; run: chmod 600 {file}")


def _is_read_only(file: Path) -> bool:
    return bool(os.statvfs(file).f_flag & os.ST_RDONLY)


def _token_in(file: Path, content: bytes) -> str:
    try:
        token = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"cannot read the operator's token in {file}: {error}") from error
    if not token:
        raise ConfigurationError(f"{file} is empty; remove it, and the next start makes a fresh token")
    return token
