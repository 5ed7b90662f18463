"""A trio stream over a socket, for many small messages: fewer system calls and fewer passes of the scheduler.

trio's own stream tries to read before it waits, and yields after each write that succeeds at once.  Here a read waits
first, because there is nearly always nothing yet, and a write that the kernel accepts at once is only a system call.
``send_now`` and ``receive_now`` need no task: a task with messages for many peers writes them all in one pass, and a
task that knows which sockets are ready reads from them all.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Self

import trio


class SocketStream(trio.abc.HalfCloseableStream):
    """Both directions of a connected, non-blocking socket.  Raises the same errors as trio's streams."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected

    @classmethod
    def take_over(cls, accepted: trio.SocketStream) -> Self:
        """The same socket; the stream that had it is of no further use."""
        family, kind, protocol = accepted.socket.family, accepted.socket.type, accepted.socket.proto
        return cls(socket.socket(family, kind, protocol, fileno=accepted.socket.detach()))

    def fileno(self) -> int:
        """The socket's number; -1 once it is closed."""
        return self._socket.fileno()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes, once there are some; empty at the end."""
        while True:
            await self._wait(trio.lowlevel.wait_readable)
            data = self.receive_now(max_bytes or 65536)
            if data is not None:
                return data

    def receive_now(self, max_bytes: int) -> bytes | None:
        """The next bytes; empty at the end, and None if nothing has arrived yet."""
        try:
            return self._socket.recv(max_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise self._failed(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write everything, waiting for the peer if its window is full.  It may not wait at all."""
        rest = memoryview(data)[self.send_now(data) :]
        while rest:
            await self._wait(trio.lowlevel.wait_writable)
            rest = rest[self.send_now(rest) :]

    def send_now(self, data: bytes | bytearray | memoryview) -> int:
        """Write the bytes that the kernel accepts at once; returns their number."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._failed(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel accepts something."""
        await self._wait(trio.lowlevel.wait_writable)

    async def send_eof(self) -> None:
        """Signal the end of the data."""
        await trio.lowlevel.checkpoint()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._failed(error) from error

    async def aclose(self) -> None:
        """Close at once; tasks that wait on the stream get an error."""
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    async def _wait(self, wait_ready: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self._socket.fileno() == -1:
            raise trio.ClosedResourceError("the stream was closed")
        await wait_ready(self._socket)

    def _failed(self, error: OSError) -> trio.ClosedResourceError | trio.BrokenResourceError:
        if self._socket.fileno() == -1:
            return trio.ClosedResourceError("the stream was closed")
        return trio.BrokenResourceError(f"the peer is gone: {error.strerror or error}")
