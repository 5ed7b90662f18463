"""Loads: requests in a closed loop, to see how much is done, and in an open one, to see how long each waits.

    measured = closed_loop(daemon, clients=64, window=16, seconds=3, asking=town.transfers())
    measured = open_loop(daemon, clients=64, rate=8000, seconds=3, asking=town.transfers())

The generator is this process: raw sockets, hand-made frames, requests from templates.  What it needs of its core is
measured, too; near 100 % it would be the generator that is measured.
"""

import gc
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from bench.asking import Asking
from bench.daemon import Daemon
from bench.figures import Row, curve, summary
from bench.processes import Bystanders
from bench.wire import READ_BYTES, REFUSED_COMMAND, Connection, Incoming, answers, framed, id_of, is_refused

WARM_UP_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20.0


class Measured(NamedTuple):
    """What a load saw: latencies of what was accepted, in seconds.

    ``refused_inside`` counts the commands that were refused within batches that were accepted.
    """

    seconds: float
    latencies: list[float]
    refused: int
    unanswered: int
    busy: float
    cpu_seconds: float
    before: dict[str, float]
    after: dict[str, float]
    memory: int
    others: float
    refused_inside: int = 0

    def row(self, scenario: str, who: str, commands: int = 1) -> Row:
        """As a row of the table."""
        entries = self._counted("walletd_journal_entries_total")
        commits = self._counted("walletd_journal_group_entries_count")
        answered = (len(self.latencies) + self.refused) * commands
        return Row(
            scenario,
            who,
            per_second=(len(self.latencies) * commands - self.refused_inside) / self.seconds,
            **summary(self.latencies),
            refused=self.refused * commands + self.refused_inside,
            cpu_us=self.cpu_seconds / max(1, answered) * 1e6,
            busy=self.busy,
            others=self.others,
            commits_per_second=commits / self.seconds,
            group=entries / commits if commits else None,
            memory_mb=self.memory / 1e6,
            curve=curve(self.latencies),
        )

    def _counted(self, name: str) -> float:
        return self.after.get(name, 0) - self.before.get(name, 0)


def closed_loop(daemon: Daemon, clients: int, window: int, seconds: float, asking: Asking) -> Measured:
    """So many clients, each with so many requests unanswered.  What was asked in the warm-up is not counted."""
    connections = [daemon.connect() for _ in range(clients)]
    with _undisturbed():
        loop = ClosedLoop(connections, window, asking)
        loop.run(WARM_UP_SECONDS if seconds > 2 * WARM_UP_SECONDS else seconds / 4)
        before, cpu = daemon.metrics(), daemon.cpu()
        loop.forget()
        bystanders = Bystanders()
        own, began = time.process_time(), time.perf_counter()
        loop.run(seconds)
        took, busy = time.perf_counter() - began, time.process_time() - own
        used = daemon.cpu() - cpu
        others = bystanders.share(used + busy)
        after, memory = daemon.metrics(), daemon.memory()
        loop.settle()
    for connection in connections:
        connection.close()
    return Measured(
        took,
        loop.latencies,
        loop.refused,
        unanswered=0,
        busy=busy / took,
        cpu_seconds=used,
        before=before,
        after=after,
        memory=memory,
        others=others,
        refused_inside=loop.refused_inside,
    )


def killed_under_load(daemon: Daemon, clients: int, window: int, seconds: float, asking: Asking) -> float:
    """Kill the daemon in the midst of a closed loop; by how many entries its read tables were behind just before."""
    connections = [daemon.connect() for _ in range(clients)]
    loop = ClosedLoop(connections, window, asking)
    loop.run(seconds)
    behind = daemon.metrics()["walletd_projection_backlog_entries"]
    loop.run(0.1)
    daemon.stop(signal.SIGKILL)
    for connection in connections:
        connection.close()
    return behind


class ClosedLoop:
    """The clients' connections, what is under way on them, and what came back."""

    def __init__(self, connections: list[Connection], window: int, asking: Asking) -> None:
        self.latencies: list[float] = []
        self.refused = 0
        self.refused_inside = 0
        self._asking = asking
        self._number = 0
        self._sent_at: dict[int, float] = {}
        self._counted_from = 0
        self._selector = selectors.DefaultSelector()
        self._window = window
        for connection in connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._send(connection, [None] * window)

    def run(self, seconds: float) -> None:
        """Ask again whatever is answered."""
        end, select, sent_at = time.perf_counter() + seconds, self._selector.select, self._sent_at
        latencies, is_batch = self.latencies, self._asking.commands > 1
        while True:
            for key, _ in select(LONGEST_WAIT_SECONDS):
                connection = key.data
                messages = answers(connection.take())
                now = time.perf_counter()
                for message in messages:
                    latency = now - sent_at.pop(id_of(message))
                    if is_refused(message):
                        self.refused += 1
                    else:
                        latencies.append(latency)
                        if is_batch:
                            self.refused_inside += message.count(REFUSED_COMMAND)
                self._send(connection, messages)
            if time.perf_counter() >= end:
                return

    def forget(self) -> None:
        """Count from here on."""
        self.latencies.clear()
        self.refused = self.refused_inside = 0

    def settle(self) -> None:
        """Take in the answers that are under way, so that what comes next begins with an idle daemon."""
        end = time.perf_counter() + LONGEST_WAIT_SECONDS
        while self._sent_at and time.perf_counter() < end:
            for key, _ in self._selector.select(1):
                for message in answers(key.data.take()):
                    self._sent_at.pop(id_of(message), None)

    def _send(self, connection: Connection, after: Sequence[bytes | None]) -> None:
        now, number, asking = time.perf_counter(), self._number, self._asking
        payloads = []
        for message in after:
            number += 1
            payloads.append(asking(number, message))
            self._sent_at[number] = now
        self._number = number
        connection.send(payloads)


def open_loop(daemon: Daemon, clients: int, rate: float, seconds: float, asking: Asking) -> Measured:
    """Requests at their own times, ``rate`` a second over all connections, answered or not before.

    A latency counts from the moment at which its request was meant to be sent: a client that is held up, here or by a
    full socket, does not hide what it would have waited (coordinated omission).  What is not answered when the time is
    over and has not been for ``LONGEST_WAIT_SECONDS`` is counted as unanswered.  Throughput is what was accepted
    within the time.
    """
    connections = [daemon.connect() for _ in range(clients)]
    with _undisturbed():
        before, cpu = daemon.metrics(), daemon.cpu()
        own, bystanders = time.process_time(), Bystanders()
        loop = OpenLoop([connection.socket for connection in connections], rate, int(rate * seconds), asking)
        loop.run(until=lambda: loop.is_all_sent)
        busy, used = time.process_time() - own, daemon.cpu() - cpu
        others = bystanders.share(used + busy)
        after, memory = daemon.metrics(), daemon.memory()
        in_time = loop.accepted_by(loop.began + seconds)
        loop.run(until=lambda: not loop.meant, longest=LONGEST_WAIT_SECONDS)
    for connection in connections:
        connection.close()
    latencies = [latency for _, latency in loop.accepted]
    measured = Measured(
        seconds,
        latencies,
        loop.refused,
        unanswered=len(loop.meant),
        busy=busy / seconds,
        cpu_seconds=used,
        before=before,
        after=after,
        memory=memory,
        others=others,
    )
    measured.after["in_time"] = in_time
    return measured


class OpenLoop:
    """The schedule, what waits to be sent, and what came back.  Request n is meant for ``began + n / rate``."""

    def __init__(
        self,
        sockets: list[socket.socket],
        rate: float,
        total: int,
        asking: Callable[[int, bytes | None], bytes],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._rate = rate
        self._total = total
        self._asking = asking
        self._peers = [_Peer(one) for one in sockets]
        self._selector = selectors.DefaultSelector()
        for peer in self._peers:
            peer.socket.setblocking(False)
            self._selector.register(peer.socket, selectors.EVENT_READ, peer)
        self.meant: dict[int, float] = {}
        self.accepted: list[tuple[float, float]] = []
        """When an accepted request was answered, and how long after its time that was."""
        self.refused = 0
        self._number = 0
        self.began = clock()

    @property
    def is_all_sent(self) -> bool:
        """Whether the time of every request has come."""
        return self._number >= self._total

    def accepted_by(self, moment: float) -> int:
        """How many were answered until then."""
        return sum(at <= moment for at, _ in self.accepted)

    def run(self, until: Callable[[], bool], longest: float = float("inf")) -> None:
        """Send what is due and take in what comes."""
        end = self._clock() + longest
        while not until() and self._clock() < end:
            self.step()

    def step(self) -> None:
        """Once around."""
        self._ask()
        for key, events in self._selector.select(self._wait()):
            peer: _Peer = key.data
            if events & selectors.EVENT_WRITE:
                self._flush(peer)
            if events & selectors.EVENT_READ:
                self._take(peer)

    def _wait(self) -> float:
        if self.is_all_sent:
            return 0.1
        return max(0.0, self.began + (self._number + 1) / self._rate - self._clock())

    def _ask(self) -> None:
        due = min(self._total, int((self._clock() - self.began) * self._rate))
        touched = set()
        while self._number < due:
            self._number += 1
            self.meant[self._number] = self.began + self._number / self._rate
            peer = self._peers[self._number % len(self._peers)]
            peer.outgoing.append(framed(self._asking(self._number, None)))
            touched.add(peer)
        for peer in touched:
            self._flush(peer)

    def _flush(self, peer: "_Peer") -> None:
        data = b"".join(peer.outgoing)
        peer.outgoing.clear()
        try:
            sent = peer.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            peer.outgoing.append(data[sent:])
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outgoing else 0)
        if events != peer.events:
            peer.events = events
            self._selector.modify(peer.socket, events, peer)

    def _take(self, peer: "_Peer") -> None:
        data = peer.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the daemon closed the connection")
        now = self._clock()
        for message in answers(peer.messages(data)):
            meant = self.meant.pop(id_of(message))
            if is_refused(message):
                self.refused += 1
            else:
                self.accepted.append((now, now - meant))


class _Peer:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.outgoing: deque[bytes] = deque()
        self.events = selectors.EVENT_READ
        self._incoming = Incoming()

    def messages(self, data: bytes) -> list[bytes]:
        return self._incoming.feed(data)


@contextmanager
def _undisturbed() -> Any:
    """No garbage collection of ours in the midst of a measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
