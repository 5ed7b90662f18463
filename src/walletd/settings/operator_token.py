"""The operator's token: made at the first start, kept in a file that only its owner can read.

A process that can read the file is the operator.  A file that others can write is never accepted.  One that others can
read is accepted if a platform or a package made it so, by the distinctions of ssh and PostgreSQL: if it has another
owner (a Kubernetes secret, a package's 0640 for root and a group), if not even its owner may write it (a Docker
secret), if its mount is read only, or if it was named to a daemon that runs as root.  The daemon's own file is for its
owner only.

The daemon journals the token's hash, and a new one whenever the file was replaced: an operator who is locked out
deletes the file and restarts the daemon.
"""

import os
import secrets
import stat
from pathlib import Path

from walletd.settings.settings import ConfigurationError

TOKEN_PREFIX = "walletd_"


def operator_token(file: Path, *, is_credential: bool = False, is_named: bool = False) -> str:
    """The operator's token; it is created if there is none.

    A credential is guarded by systemd, which lets the unit read it by an access list.  A named file is one that the
    configuration names.  Raises ConfigurationError if others can write the file, or read it although it is the daemon's
    own, or if it contains no token.
    """
    if is_credential:
        return _read(file)
    try:
        return _make(file)
    except FileExistsError:
        _refuse_open(file, is_named)
        return _read(file)
    except OSError as error:
        raise ConfigurationError(f"cannot write the operator's token to {file}: {error.strerror}") from error


def _make(file: Path) -> str:
    """Write a fresh token to a file that must not exist yet, complete before it has its name."""
    if file.exists():
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


def _refuse_open(file: Path, is_named: bool) -> None:
    """Raise ConfigurationError if others have access to the file that they must not have."""
    try:
        status = os.stat(file)
    except OSError as error:
        raise ConfigurationError(f"cannot read the operator's token in {file}: {error.strerror}") from error
    mode, user = stat.S_IMODE(status.st_mode), os.geteuid()
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{file} can be written by others; run: chmod go-w {file}")
    is_made_so = status.st_uid != user or not mode & stat.S_IWUSR or (user == 0 and is_named) or _is_read_only(file)
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_made_so:
        raise ConfigurationError(f"{file} can be read by others; run: chmod 600 {file}")


def _is_read_only(file: Path) -> bool:
    return bool(os.statvfs(file).f_flag & os.ST_RDONLY)


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the operator's token in {file}: {error}") from error
    if not token:
        raise ConfigurationError(f"{file} is empty; remove it, and the next start makes a fresh token")
    return token
