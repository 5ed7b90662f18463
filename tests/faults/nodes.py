"""A ledger on real nodes and a real PostgreSQL, clients that know all addresses, and what is done to them.

    async with cluster(server, folder) as nodes:
        leader, follower = await nodes.ready()
        leader.daemon.kill()

Each node reaches the database through a ``Way``, which can be cut, and can lose an append or its reply.  All sockets
are unix sockets, so that no port is shared with other tests.
"""

import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.daemon.process import Daemon
from tests.faults.planted import PROGRAM
from tests.postgresql import Server

LEASE_SECONDS = 1
TOKEN = "a-token-that-all-nodes-share-0123456789abcdef"
SOCKET = ".s.PGSQL.5432"
APPEND = b"transfer.post"
"""In what a node sends only where it appends to the journal."""

_MOVE = re.compile(r"(\w+) -> (\w+)")


class Fate:
    """What happens to the next append of any node: "append lost", "reply lost" or "append held"."""

    def __init__(self) -> None:
        self.ahead = ""
        self.way: Way | None = None
        """Where it has happened."""
        self.has_happened = trio.Event()
        self.released = trio.Event()
        self.landed = trio.Event()
        """Set when the database has answered an append that was held."""

    def arm(self, what: str) -> None:
        """Have this happen."""
        self.has_happened, self.ahead = trio.Event(), what

    async def happen(self, what: str) -> None:
        """Have this happen, and wait until it has."""
        self.arm(what)
        await self.has_happened.wait()


class Passage:
    """One connection of a node through its way."""

    def __init__(self, near: trio.SocketStream, far: trio.SocketStream, scope: trio.CancelScope) -> None:
        self.near = near
        self.far = far
        self.scope = scope
        self.kept_back: trio.Event | None = None
        """Once it is there, replies are thrown away; set with the first."""

    async def down(self) -> None:
        """Pass on what the database says."""
        while data := await self.far.receive_some(65536):
            if self.kept_back is None:
                await self.near.send_all(data)
            else:
                self.kept_back.set()


class Way:
    """A node's way to the database."""

    def __init__(self, server: Path, folder: Path, fate: Fate) -> None:
        self._server = str(server / SOCKET)
        self._fate = fate
        self.folder = folder
        self.is_cut = False
        self._connections: set[trio.CancelScope] = set()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pass connections on until cancelled."""
        listener = trio.socket.socket(trio.socket.AF_UNIX)
        await listener.bind(str(self.folder / SOCKET))
        listener.listen(64)
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                accepted, _ = await listener.accept()
                nursery.start_soon(self._pass_on, trio.SocketStream(accepted))

    def cut(self) -> None:
        """Break every connection, and let none through."""
        self.is_cut = True
        for scope in self._connections:
            scope.cancel()

    def mend(self) -> None:
        """Let connections through again."""
        self.is_cut = False

    async def _pass_on(self, near: trio.SocketStream) -> None:
        with trio.CancelScope() as scope:
            self._connections.add(scope)
            if not self.is_cut:
                try:
                    far = await trio.open_unix_socket(self._server)
                    async with far, trio.open_nursery() as nursery:
                        passage = Passage(near, far, scope)
                        nursery.start_soon(self._up, passage)
                        await passage.down()
                        nursery.cancel_scope.cancel()
                except* OSError:
                    pass  # The server is not there.
                except* (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
        self._connections.discard(scope)
        await trio.aclose_forcefully(near)

    async def _up(self, passage: Passage) -> None:
        while data := await passage.near.receive_some(65536):
            what = self._fate.ahead if APPEND in data else ""
            if what:
                self._fate.ahead, self._fate.way = "", self
                await self._mishap(what, data, passage)
                return
            await passage.far.send_all(data)
        passage.scope.cancel()

    async def _mishap(self, what: str, data: bytes, passage: Passage) -> None:
        if what == "append held":
            self._connections.discard(passage.scope)  # It outlives a cut.
            self._fate.has_happened.set()
            await self._fate.released.wait()
        if what != "append lost":
            passage.kept_back = trio.Event()
            await passage.far.send_all(data)
            await passage.kept_back.wait()  # The commit is durable: this was its reply.
            self._fate.landed.set()
        self._fate.has_happened.set()
        passage.scope.cancel()


class Node:
    """One walletd, and what it has said."""

    def __init__(self, folder: Path, way: Way, ledger: str, program: list[str], lease_seconds: int) -> None:
        folder.mkdir(mode=0o700)
        token = folder / "operator.token"
        token.touch(mode=0o600)
        token.write_text(TOKEN + "\n")
        settings = {"WALLETD_ALLOW_UNREPLICATED": "true", "WALLETD_LEASE_SECONDS": str(lease_seconds)}
        url = f"postgresql://walletd@/postgres?host={way.folder}"
        self.way = way
        self.daemon = Daemon(folder, "--postgresql", url, "--ledger", ledger, environment=settings)
        self.daemon.is_forked = True
        self.daemon.program = program
        self.address = f"unix:{folder}/walletd.sock"
        self.state = ""
        """Of the process that runs, as it has said itself; "ended" once its log has ended."""
        self.moves: list[str] = []
        """All its states, of every process."""
        self.said: list[str] = []
        self.news = trio.Event()
        self._lives = 0

    def launch(self, nursery: trio.Nursery) -> None:
        """Start the process, and read its log in the nursery."""
        self.state, self._lives = "", self._lives + 1
        said, saying = os.pipe()
        with os.fdopen(saying, "w") as log:
            self.daemon.popen["stderr"] = log
            self.daemon.launch()
        nursery.start_soon(self._listen, said, self._lives)

    async def _listen(self, log: int, life: int) -> None:
        async with trio.lowlevel.FdStream(log) as stream:
            rest = b""
            while data := await stream.receive_some(65536):
                *lines, rest = (rest + data).split(b"\n")
                self.said += [line.decode() for line in lines]
                for line in lines:
                    if (found := _MOVE.search(line.decode())) and life == self._lives:
                        self.state = found.group(2)
                        self.moves.append(self.state)
                self._tell()
        if life == self._lives:
            self.state = "ended"
        self._tell()

    @property
    def end(self) -> str:
        """The sentence about a node that has ended by itself, with its last words."""
        return "a node has ended by itself:\n" + "\n".join(line for line in self.said[-200:] if "  File" not in line)

    def _tell(self) -> None:
        self.news.set()
        self.news = trio.Event()

    async def until(self, *states: str) -> None:
        """Wait until it is in one of these states.  It must not have ended by itself."""
        while self.state not in states:
            assert self.state != "ended", self.end
            await self.news.wait()

    async def has_moved(self, state: str, since: int) -> None:
        """Wait until it has been in this state, after so many moves."""
        while state not in self.moves[since:]:
            assert self.state != "ended", self.end
            await self.news.wait()


class Nodes:
    """All nodes of the ledger."""

    def __init__(self, server: Server, ledger: str, nodes: list[Node], fate: Fate, nursery: trio.Nursery) -> None:
        self.server = server
        self.ledger = ledger
        self.all = nodes
        self.fate = fate
        self._nursery = nursery

    def launch(self, node: Node) -> None:
        """Start a node, which was not started or has ended."""
        node.launch(self._nursery)

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.all]

    async def ready(self) -> tuple[Node, Node]:
        """The leader and another that follows it, once each node is the one or the other."""
        while True:
            for node in self.all:
                await node.until("serving", "following")
            leaders = [node for node in self.all if node.state == "serving"]
            if len(leaders) == 1:
                return leaders[0], next(node for node in self.all if node is not leaders[0])
            await _any(self.all)

    async def next_leader(self, last: Node) -> Node:
        """Another node than the last leader, once it leads."""
        others = [node for node in self.all if node is not last]
        while True:
            for node in others:
                if node.state == "serving":
                    return node
                assert node.state != "ended", node.end
            await _any(others)


async def _any(nodes: list[Node]) -> None:
    """Wait until one of them says something."""

    async def heard(node: Node) -> None:
        await node.news.wait()
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(heard, node)


@asynccontextmanager
async def cluster(
    server: Server, folder: Path, bug: str = "", count: int = 2, lease_seconds: int = LEASE_SECONDS
) -> AsyncIterator[Nodes]:
    """Nodes that have begun to run, of a new ledger."""
    program = [*PROGRAM, bug] if bug else ["-m", "walletd"]
    ledger, nodes, fate = server.new_ledger(), list[Node](), Fate()
    async with trio.open_nursery() as nursery:
        for number in range(count):
            (folder / f"way-{number}").mkdir()
            way = Way(server.folder, folder / f"way-{number}", fate)
            await nursery.start(way.serve)
            nodes.append(Node(folder / f"n{number}", way, ledger, program, lease_seconds))
        try:
            for node in nodes:
                node.launch(nursery)
            yield Nodes(server, ledger, nodes, fate, nursery)
        finally:
            for node in nodes:
                if node.daemon.process is not None:
                    node.daemon.signal(signal.SIGCONT)
                    node.daemon.kill()
            nursery.cancel_scope.cancel()


# --- what is done to them --------------------------------------------------------------------------------------------

Fault = Callable[[Nodes], Awaitable[None]]


async def _leader_killed(nodes: Nodes) -> None:
    leader, _ = await nodes.ready()
    leader.daemon.kill()
    await nodes.next_leader(leader)
    nodes.launch(leader)


async def _leader_stopped(nodes: Nodes) -> None:
    leader, _ = await nodes.ready()
    leader.daemon.signal(signal.SIGTERM)
    await nodes.next_leader(leader)
    assert await trio.to_thread.run_sync(leader.daemon.wait) == 0
    nodes.launch(leader)


async def _leader_cut_off(nodes: Nodes) -> None:
    leader, _ = await nodes.ready()
    leader.way.cut()
    await nodes.next_leader(leader)
    leader.way.mend()


async def _append_lost(nodes: Nodes) -> None:
    await nodes.ready()
    await nodes.fate.happen("append lost")


async def _reply_lost(nodes: Nodes) -> None:
    await nodes.ready()
    await nodes.fate.happen("reply lost")


async def _database_restarted(nodes: Nodes) -> None:
    await nodes.ready()
    await trio.to_thread.run_sync(nodes.server.stop)
    await trio.to_thread.run_sync(nodes.server.start)


async def _database_killed(nodes: Nodes) -> None:
    await nodes.ready()
    await trio.to_thread.run_sync(nodes.server.stop, signal.SIGQUIT)
    await trio.to_thread.run_sync(nodes.server.start)


FAULTS: tuple[Fault, ...] = (
    _leader_killed,
    _append_lost,
    _reply_lost,
    _leader_cut_off,
    _leader_stopped,
    _database_killed,
    _database_restarted,
)
"""One of them, the leader stopped by SIGSTOP, is the test's, which asks the woken leader."""
