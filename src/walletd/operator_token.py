"""The operator's token: made at the first start, kept in a file that its owner alone can read.

Whoever can read the file is the operator.  The daemon journals the token's hash, and a new one whenever the file was
replaced: to remove the file and start the daemon again is the way back in for who was locked out.
"""

import os
import secrets
import stat
from pathlib import Path

from walletd.config import ConfigurationError

TOKEN_PREFIX = "walletd_"


def operator_token(file: Path, *, is_credential: bool = False) -> str:
    """The operator's token; it is made where there is none yet.

    A credential is guarded by systemd, which lets the unit read it by an access list.  Raises ConfigurationError where
    the file can be read by others or holds no token.
    """
    if is_credential:
        return _read(file, is_guarded=True)
    try:
        return _make(file)
    except FileExistsError:
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
    with open(descriptor, "w") as output:
        output.write(token + "\n")
        output.flush()
        os.fsync(output.fileno())
    unfinished.rename(file)
    return token


def _read(file: Path, *, is_guarded: bool = False) -> str:
    try:
        mode = file.stat().st_mode
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the operator's token in {file}: {error}") from error
    if stat.S_IMODE(mode) & 0o077 and not is_guarded:
        raise ConfigurationError(f"{file} can be read by others; run: chmod 600 {file}")
    if not token:
        raise ConfigurationError(f"{file} is empty; remove it, and a fresh token is made at the next start")
    return token
