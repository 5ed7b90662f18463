"""Lines on their way to stderr or stdout: the daemon never waits for the program that reads them.

    outlet = Outlet(2, "log")
    outlet.write("stopping on SIGTERM\\n")              # returns at once, whatever the reader does
    outlet.flush(LAST_WORDS_SECONDS)                   # the last lines before the end

Text that the stream accepts is written at once.  For a reader that stalls, a thread waits, with at most
``MAX_HELD_BYTES`` of text; further lines are lost and counted, and a line reports their number once writing works
again.  A stream that is closed or full loses lines in the same way.
"""

import errno
import io
import logging
import os
import select
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

MAX_HELD_BYTES = 1024 * 1024
"""Some ten thousand lines, enough for a reader that restarts, or a terminal held with Ctrl-S."""

LAST_WORDS_SECONDS = 1.0
"""The seconds that the end of the process waits for a reader that stalls."""

STDOUT, STDERR = 1, 2


class Outlet:
    """The queue before one descriptor.  Every method may be called from any thread."""

    def __init__(self, descriptor: int, what: str, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self.descriptor = descriptor
        self.lost = 0
        """The number of lost writes since the start."""
        self._what = what
        self._max_held_bytes = max_held_bytes
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._unsaid = 0
        """The number of lost writes that no line has reported yet."""
        self._changed = threading.Condition()
        self._write_now = _unblocking_write(descriptor)
        try:
            threading.Thread(target=self._run, name=f"{what} writer", daemon=True).start()
        except RuntimeError:  # The system starts no thread: text that is not accepted at once is lost.
            self._max_held_bytes = 0

    def write(self, text: str) -> None:
        """Queue the text, or count it as lost if too much waits.  Never blocks, never raises."""
        with suppress(MemoryError):
            data = text.encode(errors="backslashreplace")
            with self._changed:
                if not self._held:
                    data = self._written_now(data)
                if data:
                    self._queue(data)

    def lose(self) -> None:
        """Count a line that could not even be formatted."""
        with self._changed:
            self._lose()

    def flush(self, seconds: float = LAST_WORDS_SECONDS) -> None:
        """Return once everything queued has been written, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._held and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _written_now(self, data: bytes) -> bytes:
        """Write the text that the stream accepts at once; returns the rest."""
        try:
            data = data[self._write_now(data) :]
        except BlockingIOError:
            return data
        except OSError:
            self._lose()
            return b""
        if self._unsaid and not data:
            data, self._unsaid = self._confession(self._unsaid), 0
        return data

    def _queue(self, data: bytes) -> None:
        if self._held + len(data) > self._max_held_bytes:
            self._lose()
        else:
            self._waiting.append(data)
            self._held += len(data)
            self._changed.notify_all()

    def _lose(self) -> None:
        self.lost += 1
        self._unsaid += 1

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                data = self._waiting.popleft()
            is_written = self._written(data)
            with self._changed:
                if not is_written:
                    self._lose()
                self._held -= len(data)
                unsaid = self._unsaid if is_written and not self._waiting else 0
                self._changed.notify_all()
            if unsaid and self._written(self._confession(unsaid)):
                with self._changed:
                    self._unsaid -= unsaid

    def _written(self, data: bytes) -> bool:
        """Write all of it, however long the reader takes; returns whether the stream accepted it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except BlockingIOError:  # Another process has made the stream non-blocking.
                _wait_until_writable(self.descriptor, None)
            except OSError:
                return False
        return True

    def _confession(self, lost: int) -> bytes:
        return f"walletd: {lost} {self._what} lines were lost: the stream accepted none\n".encode()


class OutletStream(io.TextIOBase):
    """An outlet as ``sys.stderr`` or ``sys.stdout``, so that output of Python or a library does not block either."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, whatever the locale."""
        return "utf-8"

    def write(self, text: str) -> int:
        """Queue the text."""
        self._outlet.write(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the outlet's thread writes as soon as it can."""

    def fileno(self) -> int:
        """The descriptor under the outlet."""
        return self._outlet.descriptor

    def isatty(self) -> bool:
        """True if the stream is a terminal."""
        return os.isatty(self._outlet.descriptor)

    def writable(self) -> bool:
        """Always true."""
        return True


class OutletHandler(logging.Handler):
    """Logs to an outlet."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self._outlet = outlet

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line."""
        try:
            self._outlet.write(f"{self.format(record)}\n")
        except Exception:
            self._outlet.lose()

    def flush(self) -> None:
        """Wait briefly until everything is written."""
        self._outlet.flush()


@contextmanager
def outlets() -> Iterator[tuple[Outlet, Outlet]]:
    """Stdout and stderr behind outlets, in ``sys`` too, while the body runs; then their last lines are written.

    A standard stream that is closed at the start is opened on ``/dev/null`` first: otherwise the next file that is
    opened, a database perhaps, would get its number and every line.
    """
    open_standard_streams()
    stdout, stderr = Outlet(STDOUT, "output"), Outlet(STDERR, "log")
    before: tuple[TextIO, TextIO] = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = OutletStream(stdout), OutletStream(stderr)
    try:
        yield stdout, stderr
    finally:
        sys.stdout, sys.stderr = before
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        for outlet in (stdout, stderr):
            outlet.flush(deadline - time.monotonic())


def open_standard_streams() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed."""
    for descriptor in (0, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # The lowest free number: this one.
            assert opened == descriptor


def say_last(text: str) -> None:
    """Write to stderr without logging's locks, if it accepts the text at once or within a moment."""
    if _wait_until_writable(STDERR, LAST_WORDS_SECONDS):
        with suppress(OSError):
            os.write(STDERR, text.encode(errors="backslashreplace")[: select.PIPE_BUF])


def unblocking_stderr() -> int:
    """A descriptor of stderr for writing in a signal handler without blocking: for a pipe or a terminal, a separate
    non-blocking description; otherwise stderr itself.
    """
    try:
        return _unblocking(STDERR) if _may_block(STDERR) else STDERR
    except OSError:
        return STDERR


def _may_block(descriptor: int) -> bool:
    """True if the descriptor is a pipe or a terminal."""
    return stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor)


def _unblocking(descriptor: int) -> int:
    """A separate description of a pipe or a terminal, so that other users of the stream are not affected.

    Raises OSError if it belongs to another user.
    """
    return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _unblocking_write(descriptor: int) -> Callable[[bytes], int]:
    """The function that writes what the stream accepts at once; it raises BlockingIOError if that is nothing, OSError
    on failure.
    """
    try:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            connected = socket.socket(fileno=os.dup(descriptor))
            return lambda data: connected.send(data, socket.MSG_DONTWAIT)
        taken = _unblocking(descriptor) if _may_block(descriptor) else descriptor
    except OSError:
        return _never
    return lambda data: os.write(taken, data)


def _never(data: bytes) -> int:
    raise BlockingIOError(errno.EAGAIN, "only a thread may write")


def _wait_until_writable(descriptor: int, seconds: float | None) -> bool:
    """True if the stream accepts something, after at most ``seconds``; None waits without limit."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    try:
        return bool(poll.poll(None if seconds is None else int(seconds * 1000)))
    except OSError as error:
        return error.errno == errno.EINTR
