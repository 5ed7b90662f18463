"""The process's surroundings: standard streams that are closed or full, a locale without UTF-8.

    settle(answers=True)
    arguments = written(sys.argv[1:])          # as text, whatever the locale

A person never sees a traceback as an answer.  Only a few modules of the standard library are imported here.
"""

import errno
import os
import sys
from typing import Any

OUTPUT_FAILURES = {errno.EBADF, errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT}
"""The errors of writing to a standard stream, other than that its reader has left."""


class NotText(Exception):
    """An argument is not text in the locale's encoding or in UTF-8; the message is a sentence."""


def settle(*, answers: bool) -> None:
    """Make it safe to write to the standard streams.

    A closed descriptor is opened on /dev/null, so that no file opened later becomes stdout.  Characters that the locale
    cannot show are escaped.  With ``answers``, a stdout that was closed refuses to be written to, so that no answer is
    lost silently, and a stderr that accepts nothing is left alone.
    """
    missing = [number for number in (0, 1, 2) if not _is_open(number)]
    for _ in missing:
        os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number.
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
    """The arguments as text; what the locale's encoding could not decode is decoded as UTF-8.  Raises NotText."""
    return [_written(argument) for argument in arguments]


def drop_output() -> None:
    """Discard what stdout still buffers but cannot write, so that the interpreter does not complain at its end."""
    if sys.stdout is sys.__stdout__:
        silence(sys.stdout, 1)


def silence(stream: Any, number: int) -> None:
    """Point the stream's descriptor to /dev/null, where its buffer is discarded."""
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
            raise NotText(f"the argument {argument!a} is neither text in this locale nor UTF-8") from None
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
        """Not a terminal."""
        return False

    def fileno(self) -> int:
        """The descriptor of /dev/null, which stands in its place."""
        return 1


class _Lenient:
    """stderr, for a command whose exit code says the same: output that it does not accept is lost without an error."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """The length of the text, written or not."""
        try:
            self._stream.write(text)
        except OSError:
            silence(self._stream, 2)
        return len(text)

    def flush(self) -> None:
        """Write the buffer, or lose it."""
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream, 2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
