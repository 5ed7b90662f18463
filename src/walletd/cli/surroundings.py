"""What a process finds around it: standard streams that are closed or full, a locale without UTF-8.

    settle(answers=True)
    arguments = written(sys.argv[1:])          # as text, whatever the locale

A person's answer is never a traceback.  Only the standard library is imported here, and little of it.
"""

import errno
import os
import sys
from typing import Any

OUTPUT_FAILURES = {errno.EBADF, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}
"""How writing to a standard stream fails, other than because its reader has left."""


class NotText(Exception):
    """An argument is no text in the locale's encoding, nor in UTF-8; the message is a sentence."""


def settle(*, answers: bool) -> None:
    """Make the standard streams such that to write to them is safe.

    A closed descriptor is given to /dev/null, so that no file that is opened later becomes stdout.  What a locale
    cannot show is shown as its escape.  With ``answers``, a stdout that was closed refuses what is written to it, so
    that no answer is lost in silence, and a stderr that takes nothing is left alone.
    """
    missing = [number for number in (0, 1, 2) if not _is_open(number)]
    for _ in missing:
        os.open(os.devnull, os.O_RDWR)  # It gets the lowest number that is free.
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        sys.stdout = _Closed() if answers else os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if answers:
        sys.stderr = _Lenient(sys.stderr)


def written(arguments: list[str]) -> list[str]:
    """The arguments as text: what the locale's encoding could not read is read as UTF-8.  Raises NotText."""
    return [_written(argument) for argument in arguments]


def drop_output() -> None:
    """Let go of what stdout still buffers and does not take, so that the interpreter does not complain at its end."""
    if sys.stdout is sys.__stdout__:
        silence(sys.stdout, 1)


def silence(stream: Any, number: int) -> None:
    """Give the stream's descriptor to /dev/null, where all that it buffers goes."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        stream.flush()
    except OSError:
        return


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _written(argument: str) -> str:
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode("utf-8")
        except UnicodeDecodeError:
            raise NotText(f"the argument {argument!a} is neither text of this locale nor UTF-8") from None
    return argument


class _Closed:
    """A stdout that was closed before the process began."""

    encoding = "utf-8"
    closed = False

    def write(self, text: str) -> int:
        """Raises OSError."""
        raise OSError(errno.EBADF, "stdout is closed")

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        """It is none."""
        return False

    def fileno(self) -> int:
        """That of /dev/null, which stands in its place."""
        return 1


class _Lenient:
    """stderr, for a command whose exit code says the same: what it does not take is lost, and nothing else happens."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """The text's length, written or not."""
        try:
            self._stream.write(text)
        except OSError:
            silence(self._stream, 2)
        return len(text)

    def flush(self) -> None:
        """What is buffered is written, or lost."""
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream, 2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
