"""The gateway's server: the listening socket, the limits on connections, and the drain.

    server = GatewayServer(host, port, policy, deadlines, bounds, caps, open_endpoint)
    addresses = await nursery.start(server.serve)
    await server.drain(seconds, chance)                 # serve() returns

``places`` decides which connections have a place; when there is none, the server answers with HTTP 503.  The last file
descriptors of the process are not given to connections, because the daemon itself needs some.
"""

import errno
import ipaddress
import logging
import random
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import trio

from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.connection import Connection, Endpoint, Terms, TokenRefused
from walletd.gateway.network.counters import TrafficCounters
from walletd.gateway.network.outbox import Flusher
from walletd.gateway.network.places import TURNED_AWAY_AT_ONCE, Caps, Places
from walletd.gateway.network.proxy_header import NoProxyHeader, read_proxy_header
from walletd.gateway.network.readiness import NO_PASSES, Passes, Readiness
from walletd.gateway.network.socket_stream import SocketStream
from walletd.gateway.network.tls import Certificates
from walletd.gateway.network.unix_socket import UnixSocket, UnixSocketFailed
from walletd.gateway.websocket.handshake import DRAINING, Handshake, Policy
from walletd.protocol.close_codes import CloseCode
from walletd.runtime.ending import end_process
from walletd.sessions.access import LOCAL
from walletd.vocabulary.fatal import Fatal

JITTER_SECONDS_PER_CONNECTION = 0.002
MAX_JITTER_SECONDS = 2.0
LAST_WORDS_SECONDS = 0.5
"""The time that a peer that is cut off has to read its close frame."""

BACKLOG = 1024

TICK_SECONDS = 1.0
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
OUT_OF_RESOURCES_PAUSE_SECONDS = 0.1

GONE = "gone"
"""The address of a peer that left before it was asked for."""

ADVICE = {
    errno.EADDRINUSE: "the address is in use, perhaps by another walletd; stop that or choose another port with --port",
    errno.EADDRNOTAVAIL: "no interface of this machine has this address; choose one that exists",
    errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

log = logging.getLogger(__name__)


class ListenFailed(Exception):
    """Listening on the address failed; the message says which address and what to do."""


class GatewayServer:
    """Accepts connections and runs each of them; ``traffic`` counts."""

    def __init__(
        self,
        host: str,
        port: int,
        policy: Policy,
        deadlines: Deadlines,
        bounds: Bounds,
        caps: Caps,
        open_endpoint: Callable[[Connection, Handshake], Endpoint],
        inherited: Sequence[socket.socket] = (),
        *,
        reserved: Sequence[socket.socket] = (),
        certificates: Certificates | None = None,
        unix_socket: UnixSocket | None = None,
        passes: Passes = NO_PASSES,
        proxies: Sequence[Network] = (),
        spares_descriptors: int = 0,
        traffic: TrafficCounters | None = None,
        token_refused: TokenRefused = lambda peer: None,
        is_silenced: Callable[[], bool] | None = None,
    ) -> None:
        """``spares_descriptors``: the number of file descriptors of the process that no connection may take.

        ``is_silenced`` says when nothing may be sent any more.  From the networks of ``proxies`` each connection begins
        with a header of the PROXY protocol.
        """
        self._proxies = tuple(proxies)
        self._arriving = 0
        self._spares_descriptors = spares_descriptors
        self._inherited = inherited
        self._reserved = reserved
        self._certificates = certificates
        self._unix_socket = unix_socket
        self._host = host
        self._port = port
        self.traffic = traffic or TrafficCounters()
        self.places = Places(caps, self.traffic)
        self._terms = Terms(
            policy,
            deadlines,
            bounds,
            open_endpoint,
            self.traffic,
            Flusher(is_silenced),
            Readiness(passes),
            self.places,
            token_refused,
        )
        self._connections: set[Connection] = set()
        self._is_draining = False
        self._scope = trio.CancelScope()
        self._accepting: list[trio.CancelScope] = []
        """One for each listener."""
        self._patience = trio.CancelScope()
        self._left = trio.Event()

    def __len__(self) -> int:
        return len(self._connections)

    # --- serving ---------------------------------------------------------------------------------------------------

    async def serve(self, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until drained or cancelled; starts with the addresses of the network, as ``host:port``.

        Without a host it listens on the unix socket only.  Inherited sockets are used as they are, and reserved ones
        listen from now on, instead of the address.  Raises ListenFailed.
        """
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(taken)) for taken in self._inherited]
        if not listeners and self._host:
            listeners = _listen(self._reserved or await reserve(self._host, self._port))
        addresses = [_address(listener.socket.getsockname()) for listener in listeners]
        if self._unix_socket is not None:
            try:
                listeners.append(self._unix_socket.open())
                addresses = addresses or [f"unix:{self._unix_socket.path}"]
            except UnixSocketFailed as error:
                if self._unix_socket.is_needed:
                    for listener in listeners:
                        await listener.aclose()
                    raise ListenFailed(str(error)) from error
                log.info("serving without a unix socket: %s", error)
        try:
            with self._scope:
                async with trio.open_nursery() as connections:
                    for listener in listeners:
                        connections.start_soon(self._accept, listener, connections)
                    connections.start_soon(self._tick)
                    connections.start_soon(self._terms.flusher.run)
                    connections.start_soon(self._terms.readiness.run)
                    task_status.started(addresses)
        finally:
            self._terms.readiness.close()

    async def serve_stream(self, stream: trio.abc.Stream, address: str = "") -> None:
        """Serve a stream that did not come through the listeners, under the same caps; until it ends.

        ``address`` is empty for a local one, as over the unix socket.
        """
        self.traffic.accepted += 1
        counted = _counted_as(address)
        refusal = DRAINING if self._is_draining else self.places.make_room(counted)
        connection = Connection(stream, self._terms, refusal, address or LOCAL)
        self._connections.add(connection)
        if refusal is None:
            self.places.enter(connection, counted)
        else:
            self.places.turn_away(connection)
        self.traffic.open += 1
        try:
            await connection.run()
        except* Fatal:
            raise
        except* MemoryError:
            # Other tasks that were refused memory may wait without end, and it is impossible to tell which.
            end_process("memory ran out")
        except* Exception:
            log.exception("connection closed after an internal error")
        finally:
            self._leave(connection)

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        async with listener:
            with trio.CancelScope() as accepting:
                self._accepting.append(accepting)
                await self._accept_until_cancelled(listener, connections)

    async def _accept_until_cancelled(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in OUT_OF_RESOURCES:
                    raise
                self._count_accept_failure(error)
                await trio.sleep(OUT_OF_RESOURCES_PAUSE_SECONDS)
            else:
                is_scarce = stream.socket.fileno() >= _limit_of_descriptors() - self._spares_descriptors
                if is_scarce and not self.places.drop_oldest_guest():
                    self._count_accept_failure(OSError(errno.EMFILE, "the remaining file descriptors are reserved"))
                    await trio.aclose_forcefully(stream)
                    continue
                if self._is_proxy(stream):
                    connections.start_soon(self._serve_proxied, stream)
                else:
                    address = _peer(stream)
                    connections.start_soon(self.serve_stream, self._secured(stream), address)

    def _is_proxy(self, stream: trio.SocketStream) -> bool:
        if not self._proxies:
            return False
        try:
            name = stream.socket.getpeername()
            peer = ipaddress.ip_address(str(name[0]).partition("%")[0]) if isinstance(name, tuple) else None
        except (OSError, ValueError):
            return False
        if peer is not None and peer.version == 6 and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        return peer is not None and any(peer.version == known.version and peer in known for known in self._proxies)

    async def _serve_proxied(self, stream: trio.SocketStream) -> None:
        """Serve a client behind a balancer, counted under the client's own address."""
        if self._arriving >= self.places.caps.connections + TURNED_AWAY_AT_ONCE:
            self.traffic.refused["flood"] += 1
            await trio.aclose_forcefully(stream)
            return
        self._arriving += 1
        try:
            with trio.fail_after(self._terms.deadlines.handshake_seconds):
                behind = await read_proxy_header(lambda size: _receive_exactly(stream, size))
        except (NoProxyHeader, trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            if isinstance(error, NoProxyHeader):
                log.warning(
                    "a connection from %s, which proxy_protocol_from names, began without a header of the PROXY "
                    "protocol: %s; have the proxy send it (send-proxy-v2), or take the address out",
                    _peer(stream),
                    error,
                )
            self.traffic.refused["proxy_header"] += 1
            await trio.aclose_forcefully(stream)
            return
        finally:
            self._arriving -= 1
        address = _peer(stream) if behind is None else behind
        await self.serve_stream(self._secured(stream), address)

    def _secured(self, stream: trio.SocketStream) -> trio.abc.HalfCloseableStream:
        """Put the stream under TLS, if there is a certificate."""
        is_local = stream.socket.family == socket.AF_UNIX
        taken = SocketStream.take_over(stream)
        return taken if self._certificates is None or is_local else self._certificates.secure(taken)

    def _count_accept_failure(self, error: OSError) -> None:
        if not self.traffic.accept_failures:
            log.error("cannot accept connections: %s; raise the limit of open files (ulimit -n)", error.strerror)
        self.traffic.accept_failures += 1

    async def _tick(self) -> None:
        """Check the deadlines of all connections: a third of a microsecond for each, instead of a timer for each."""
        while True:
            await trio.sleep(TICK_SECONDS)
            now = trio.current_time()
            held = 0
            for connection in self._connections:
                connection.tick(now)
                held += connection.held_bytes
            self.traffic.held_bytes = held
            if held > self._terms.bounds.in_all:
                self._cut_off_the_greediest(held)

    def _cut_off_the_greediest(self, held: int) -> None:
        """One peer may hold its bound, but not all peers at once: the one that holds most is cut off, until there is
        space.
        """
        for connection in sorted(self._connections, key=lambda one: one.held_bytes, reverse=True):
            if held <= self._terms.bounds.in_all:
                return
            held -= connection.held_bytes
            self.traffic.cut_off += 1
            connection.abort()

    def _leave(self, connection: Connection) -> None:
        self.traffic.open -= 1
        self._connections.discard(connection)
        self.places.leave(connection)
        self._left.set()

    # --- draining --------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float, chance: random.Random) -> int:
        """Admit no more connections and close all, spread over a moment; returns how many had to be cut off at the end.

        Until all have left, new connections get 503 and the time to return, and the status pages answer; on an
        inherited socket, new connections wait for the next daemon instead.  Then ``serve`` returns.
        """
        self._is_draining = True
        if self._inherited:
            for accepting in self._accepting:
                accepting.cancel()
        leaving = set(self._connections)
        window = min(MAX_JITTER_SECONDS, JITTER_SECONDS_PER_CONNECTION * len(leaving), seconds / 2)
        begun = trio.current_time()
        moments = sorted(chance.uniform(0, window) for _ in leaving)
        self._patience.deadline = begun + seconds
        with self._patience:
            for moment, connection in zip(moments, list(leaving), strict=True):
                await trio.sleep_until(begun + moment)
                connection.close(CloseCode.RESTART, "the daemon restarts; come back in a moment")
            while leaving & self._connections:
                self._left = trio.Event()
                await self._left.wait()
        late = await self._cut_off(leaving, is_hurried=trio.current_time() < begun + seconds)
        self._scope.cancel()
        return late

    def hurry(self) -> None:
        """Cut a drain short: close all connections now."""
        self._patience.cancel()

    async def _cut_off(self, leaving: set[Connection], *, is_hurried: bool) -> int:
        """Drop connections that have not left; in a hurry, those not told to leave yet are told, and have a moment."""
        for connection in leaving & self._connections:
            connection.close(CloseCode.RESTART, "the daemon restarts; come back in a moment")
        with trio.move_on_after(LAST_WORDS_SECONDS if is_hurried else 0):
            while leaving & self._connections:
                self._left = trio.Event()
                await self._left.wait()
        late = leaving & self._connections
        for connection in late:
            connection.abort()
        return len(late)

    def flush(self) -> None:
        """Write all queued bytes, as far as the kernel accepts them at once."""
        self._terms.flusher.flush()

    # --- other terms -----------------------------------------------------------------------------------------------

    def amend(self, policy: Policy, deadlines: Deadlines, caps: Caps) -> None:
        """Serve later connections under these terms; present ones keep the old terms."""
        self.places.caps = caps
        self._terms = replace(self._terms, policy=policy, deadlines=deadlines)


async def reserve(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of this name, which do not listen yet: connections are refused.

    An unavailable address is therefore found before anything long begins.  Raises ListenFailed.
    """
    reserved: list[socket.socket] = []
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for place, (family, kind, protocol, _, name) in enumerate(found, 1):
            try:
                reserved.append(_bound(family, kind, protocol, name))
            except OSError as error:
                if error.errno != errno.EAFNOSUPPORT or (place == len(found) and not reserved):
                    raise  # A kernel without IPv6 may still know IPv6 names.
    except socket.gaierror as error:
        raise ListenFailed(f"cannot listen on {host}:{port}: the name {host!r} has no address") from error
    except OSError as error:
        for bound in reserved:
            bound.close()
        raise _listen_failed((host, port), error) from error
    return reserved


def _bound(family: int, kind: int, protocol: int, name: Any) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(name)
    except BaseException:
        bound.close()
        raise
    return bound


def _listen(reserved: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Make bound sockets listen; if one of them cannot, none does.  Raises ListenFailed."""
    for bound in reserved:
        try:
            bound.listen(BACKLOG)
        except OSError as error:
            name = bound.getsockname()
            for other in reserved:
                other.close()
            raise _listen_failed(name, error) from error
    return [trio.SocketListener(trio.socket.from_stdlib_socket(bound)) for bound in reserved]


def _listen_failed(name: tuple[object, ...], error: OSError) -> ListenFailed:
    advice = ADVICE.get(error.errno or 0, "try another address or port")
    return ListenFailed(f"cannot listen on {_address(name)}: {advice} ({error.strerror or error})")


def _limit_of_descriptors() -> int:
    """The first number that no file descriptor gets: the system gives the lowest free one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _peer(stream: trio.SocketStream) -> str:
    """The address of the other end; empty for one over a unix socket."""
    try:
        name = stream.socket.getpeername()
    except OSError:
        return GONE
    if not isinstance(name, tuple):
        return ""
    return str(name[0])


async def _receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    """This many bytes and not one more.  Raises NoProxyHeader at the end of the stream."""
    taken = b""
    while len(taken) < size:
        piece = await stream.receive_some(size - len(taken))
        if not piece:
            raise NoProxyHeader("nothing more")
        taken += piece
    return taken


def _counted_as(address: str) -> str:
    """The name under which a connection is counted: an IPv4 address, or the network of an IPv6 address."""
    if ":" not in address:
        return address
    mapped = ipaddress.IPv6Address(address.partition("%")[0]).ipv4_mapped
    if mapped is not None:  # A socket for both kinds, as a service manager passes it.
        return str(mapped)
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))


def _address(name: tuple[object, ...]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
