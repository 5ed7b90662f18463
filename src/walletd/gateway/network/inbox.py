"""The incoming half of a connection: when the peer is read from, and when it is not.

    inbox = inbox_of(stream, readiness, outbox, owner)
    await inbox.run()                                   # returns when nothing more will come
    inbox.go_on()                                       # the peer took something: read from it again

A plain socket is read in the server's one task for that (``readiness``); any other stream has a task that reads.  A
peer that does not accept its answers is held: it is not read from until little enough is queued for it.  So is one
whose last message is long, until that is handled.  Reading holds no data while it waits, so that an idle connection has
no buffers.
"""

from typing import Protocol

import trio

from walletd.gateway.network.outbox import Outbox
from walletd.gateway.network.readiness import Payer, Readiness
from walletd.gateway.network.socket_stream import SocketStream

READ_BYTES = 16384
"""The bytes read at a time: about a hundred requests are one client's turn, before the others have theirs."""


class Owner(Protocol):
    """The connection that an inbox belongs to."""

    def payer(self) -> Payer:
        """The principal that pays for what is read; None for a guest."""
        ...

    def take(self, data: bytes | bytearray) -> bool:
        """Handle the bytes of one read; returns whether there may be more to read."""
        ...

    def abort(self) -> None:
        """The peer is gone."""
        ...

    @property
    def is_busy(self) -> bool:
        """True while nothing more should be read: what came is not handled yet."""
        ...


class Inbox(Protocol):
    """One way of reading from a peer."""

    @property
    def is_held(self) -> bool:
        """True while the peer is not read from: too much is queued for it, or what it sent is not handled yet."""
        ...

    async def run(self) -> None:
        """Read until nothing more will come.  Raises what the owner raises."""
        ...

    def go_on(self) -> None:
        """Little enough is queued, or what came is handled: read from the peer again, if it was held."""
        ...

    def forget(self) -> None:
        """The connection is over: drop the reference to its owner, so that both are freed by reference count."""
        ...


def inbox_of(stream: trio.abc.Stream, readiness: Readiness, outbox: Outbox, owner: Owner) -> Inbox:
    """The way to read from this stream."""
    if isinstance(stream, SocketStream):
        return SocketInbox(stream, readiness, outbox, owner)
    return StreamInbox(stream, readiness, outbox, owner)


class SocketInbox:
    """Reads whenever the kernel says that something has arrived, without a task of its own."""

    __slots__ = (
        "_failure",
        "_is_heavy",
        "_is_watched",
        "_outbox",
        "_over",
        "_owner",
        "_readiness",
        "_stream",
        "is_held",
    )

    def __init__(self, stream: SocketStream, readiness: Readiness, outbox: Outbox, owner: Owner) -> None:
        self._stream = stream
        self._readiness = readiness
        self._outbox = outbox
        self._owner: Owner | None = owner
        self._is_watched = False
        self._is_heavy = False
        """Whether its last read took long, while it is not watched."""
        self._over = trio.Event()
        self._failure: BaseException | None = None
        """A failure of reading, for the connection's own task."""
        self.is_held = False

    async def run(self) -> None:
        """Have the socket read until nothing more will come."""
        self._watch()
        try:
            await self._over.wait()
        finally:
            self._unwatch()
        if self._failure is not None:
            raise self._failure

    def go_on(self) -> None:
        """Watch the socket again, once the kernel accepted everything and the owner is done with what it has."""
        owner = self._owner
        if self.is_held and not (self._outbox.unsent or self._outbox.writing or owner is None or owner.is_busy):
            self.is_held = False
            self._watch()

    def forget(self) -> None:
        """Drop the reference to the owner."""
        self._owner = None

    def _watch(self) -> None:
        if self._owner is not None:
            self._is_watched = True
            watch, fileno = self._readiness.watch, self._stream.fileno()
            watch(fileno, self._read_now, self._owner.payer, is_heavy=self._is_heavy)

    def _unwatch(self) -> None:
        if self._is_watched:
            self._is_watched = False
            self._is_heavy = self._readiness.forget(self._stream.fileno())

    def _read_now(self) -> None:
        """One read and its results.  A peer that does not accept its answers is then held."""
        owner, outbox = self._owner, self._outbox
        if not self._is_watched or owner is None:
            return
        try:
            data = self._stream.receive_now(READ_BYTES)
            if data is None:
                return
            is_more = owner.take(data)
            outbox.flush_after_read()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._unwatch()
            owner.abort()
        except BaseException as failure:
            self._unwatch()
            self._failure = failure
            self._over.set()
        else:
            if not is_more:
                self._unwatch()
                self._over.set()
            elif outbox.unsent or outbox.is_full or owner.is_busy:
                self._unwatch()
                self.is_held = True


class StreamInbox:
    """Reads in the connection's task, in its turn among all of its kind, and writes the answers there, too."""

    __slots__ = ("_outbox", "_owner", "_read_on", "_readiness", "_stream")

    def __init__(self, stream: trio.abc.Stream, readiness: Readiness, outbox: Outbox, owner: Owner) -> None:
        self._stream = stream
        self._readiness = readiness
        self._outbox = outbox
        self._owner: Owner | None = owner
        self._read_on: trio.Event | None = None
        """Present while the peer is held; set when it is read again."""

    @property
    def is_held(self) -> bool:
        """True while the task waits for the peer to take something, or for the owner."""
        return self._read_on is not None

    async def run(self) -> None:
        """Read until nothing more will come."""
        owner = self._owner
        assert owner is not None
        try:
            while await self._take_in_turn(owner, await self._stream.receive_some(READ_BYTES)):
                if not self._outbox.writing:
                    await self._outbox.write_out()
                while self._outbox.is_full or owner.is_busy:
                    self._read_on = trio.Event()
                    await self._read_on.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            owner.abort()

    async def _take_in_turn(self, owner: Owner, data: bytes | bytearray) -> bool:
        async with self._readiness.turn(owner.payer()):
            return owner.take(data)

    def go_on(self) -> None:
        """Wake the task."""
        read_on, self._read_on = self._read_on, None
        if read_on is not None:
            read_on.set()

    def forget(self) -> None:
        """Drop the reference to the owner."""
        self._owner = None
