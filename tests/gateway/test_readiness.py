"""One task reads from all sockets: who has something is called, who is not watched is left alone, peers do not wait."""

import socket
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.gateway.wires import Host
from walletd.gateway.network.bounds import Bounds
from walletd.gateway.network.connection import Connection
from walletd.gateway.network.readiness import NO_PASSES, NoPasses, Readiness
from walletd.gateway.network.socket_stream import SocketStream
from walletd.tables.file import ReadTablesRotten

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASKED_HELLO = b"\x81\x85\x00\x00\x00\x00hello"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


class Passes(NoPasses):
    """Notes what happens, and that no other task runs in a pass."""

    def __init__(self, *, is_pressed: bool = False) -> None:
        self.is_pressed = is_pressed
        self.is_one = False
        self.seen: list[object] = []

    def begin_pass(self) -> None:
        assert not self.is_one
        self.is_one = True

    def end_pass(self) -> None:
        assert self.is_one
        self.is_one = False
        self.seen.append("end")

    def note(self, near: socket.socket) -> None:
        self.seen.append((self.is_one, near.recv(9)))


async def test_all_who_have_something_at_the_same_time_are_called_in_one_turn() -> None:
    turns = Passes()
    readiness, pairs = Readiness(turns), [socket.socketpair() for _ in range(3)]
    for near, far in pairs:
        readiness.watch(near.fileno(), partial(turns.note, near))
        far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(readiness.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert turns.seen == [(True, b"x")] * 3 + ["end"]
    for near, far in pairs:
        readiness.forget(near.fileno())
        near.close()
        far.close()
    readiness.close()


async def test_whoever_has_something_is_called_until_it_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    readiness, read = Readiness(NO_PASSES), []
    readiness.watch(near.fileno(), lambda: read.append(near.recv(2)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(readiness.run)
        far.send(b"abcde")
        await wait_all_tasks_blocked()
        assert read == [b"ab", b"cd", b"e"]
        readiness.forget(near.fileno())
        far.send(b"f")
        await wait_all_tasks_blocked()
        assert len(read) == 3, "it is not watched any more"
        readiness.watch(near.fileno(), lambda: read.append(near.recv(2)))
        await wait_all_tasks_blocked()
        assert read[3:] == [b"f"], "what came meanwhile is found"
        nursery.cancel_scope.cancel()
    readiness.forget(near.fileno())
    readiness.close()


@pytest.mark.parametrize("turn", ["PASS_SECONDS", "PRESSED_PASS_SECONDS"])
async def test_others_have_the_loop_while_many_have_something(turn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"walletd.gateway.network.readiness.{turn}", -1)
    turns = Passes(is_pressed=turn.startswith("PRESSED"))
    readiness, seen = Readiness(turns), turns.seen
    pairs = [socket.socketpair() for _ in range(5)]

    async def other() -> None:
        while True:
            assert not turns.is_one
            seen.append("other")
            await trio.lowlevel.checkpoint()

    def note(number: int, near: socket.socket) -> None:
        seen.append((number, near.recv(9)))

    for number, (near, far) in enumerate(pairs):
        readiness.watch(near.fileno(), partial(note, number, near))
        far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(readiness.run)
        nursery.start_soon(other)
        while len([one for one in seen if isinstance(one, tuple)]) < len(pairs):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    places = [place for place, one in enumerate(seen) if isinstance(one, tuple)]
    assert {seen[place] for place in places} == {(number, b"x") for number in range(5)}
    assert len(places) == 5
    # The scheduler shuffles each batch of tasks, so that the other's turn may come before ours or after it.
    assert seen[places[0] : places[-1]].count("other") >= len(pairs) - 2
    for near, far in pairs:
        readiness.forget(near.fileno())
        near.close()
        far.close()
    readiness.close()


class Costs(Passes):
    """Sockets of principals; a call for each takes as long as the principal's requests cost, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **costs: float) -> None:
        super().__init__()
        self.now = 0.0
        self.costs = costs
        self.charged: list[tuple[str, float]] = []
        monkeypatch.setattr("walletd.gateway.network.readiness.perf_counter", lambda: self.now)
        self.waits: dict[str, float] = {}
        self.readiness = Readiness(self)
        self.pairs: list[tuple[socket.socket, socket.socket]] = []

    def charge(self, payer: str, seconds: float) -> None:
        self.charged.append((payer, seconds))

    def wait(self, payer: str) -> float:
        return self.waits.pop(payer, 0.0)

    def connect(self, kind: str, data: bytes, payer: str = "") -> None:
        near, far = socket.socketpair()
        self.pairs.append((near, far))
        far.send(data)
        self.readiness.watch(near.fileno(), partial(self.serve, kind, near), lambda: payer or kind)

    def serve(self, payer: str, near: socket.socket) -> None:
        near.recv(1)
        self.now += self.costs[payer]
        self.seen.append(payer)

    async def readiness_once(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.readiness.run)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    async def run(self) -> None:
        await self.readiness_once()
        for near, far in self.pairs:
            self.readiness.forget(near.fileno())
            near.close()
            far.close()
        self.readiness.close()


async def test_a_principal_with_many_connections_has_the_share_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(monkeypatch, greedy=0.010, honest=0.0001)
    for _ in range(30):
        costs.connect("greedy", b"xxxxx")
    costs.connect("honest", b"xxx")
    await costs.run()
    assert costs.seen.count("greedy") == 150
    places = [place for place, one in enumerate(costs.seen) if one == "honest"]
    assert len(places) == 3
    for place in (0, *places):
        assert "honest" in costs.seen[place : place + 4] or place == places[-1], "it waits for one call of the other"


async def test_a_turn_ends_before_a_principal_has_a_second_quantum_while_another_waits_for_the_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = Costs(monkeypatch, greedy=0.006, honest=0.0001)
    costs.connect("greedy", b"xxxx")
    costs.connect("honest", b"x")
    await costs.run()
    turns = ",".join(map(str, costs.seen)).split("end")
    (with_honest,) = [turn for turn in turns if "honest" in turn]
    assert with_honest.count("greedy") <= 1


async def test_one_principal_alone_has_whole_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(monkeypatch, alone=0.006)
    for _ in range(4):
        costs.connect("alone", b"xx")
    await costs.run()
    assert costs.seen == [*["alone"] * 4, "end"] * 2, "each of its sockets is read once, whatever its quantum"


async def test_of_one_principal_a_socket_that_asks_little_does_not_wait_for_all_that_ask_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = Costs(monkeypatch, heavy=0.006, light=0.0001)
    for _ in range(20):
        costs.connect("heavy", b"xxxx", "shop")
    costs.connect("light", b"xxx", "shop")
    await costs.run()
    assert costs.seen.count("heavy") == 80
    first, second, third = (place for place, one in enumerate(costs.seen) if one == "light")
    for earlier, later in ((first, second), (second, third)):
        assert costs.seen[earlier:later].count("heavy") <= 1, (
            "then the turn ends, and with it the light one is answered"
        )


async def test_of_one_principal_no_socket_waits_for_more_than_two_reads_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pass is too short for all of them, and those that were read ask again at once."""
    sockets = [f"socket {number}" for number in range(40)]
    costs = Costs(monkeypatch, **dict.fromkeys(sockets, 0.003))
    for each in sockets:
        costs.connect(each, b"x" * 10, "shop")
    await costs.run()
    served = [one for one in costs.seen if one != "end"]
    for each in sockets:
        places = [place for place, one in enumerate(served) if one == each]
        assert len(places) == 10
        assert max(later - earlier for earlier, later in pairwise([0, *places])) < 2 * len(sockets)


async def test_a_read_that_took_long_is_remembered_while_its_socket_is_not_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = Costs(monkeypatch, heavy=0.006, light=0.0001)
    for kind, is_heavy in (("heavy", True), ("light", False)):
        costs.connect(kind, b"xx")
        await costs.readiness_once()
        near, far = costs.pairs.pop()
        assert costs.readiness.forget(near.fileno()) is is_heavy
        near.close()
        far.close()
    costs.readiness.close()


async def test_the_time_of_each_call_is_charged_to_its_payer(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(monkeypatch, alice=0.25, bob=0.5)
    costs.connect("alice", b"xx")
    costs.connect("bob", b"x")
    await costs.run()
    assert sorted(costs.charged) == [("alice", 0.25), ("alice", 0.25), ("bob", 0.5)]


async def test_a_principal_that_has_to_wait_is_not_read_until_then(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    costs = Costs(monkeypatch, greedy=0.001, honest=0.001)
    costs.waits = {"greedy": 5.0}
    costs.connect("greedy", b"xx")
    costs.connect("honest", b"x")
    near, far = costs.pairs[0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(costs.readiness.run)
        await trio.sleep(4.9)
        assert costs.seen == ["honest", "end"]
        costs.connect("honest", b"x")
        await trio.sleep(0.05)
        assert costs.seen == ["honest", "end"] * 2, "others are served meanwhile"
        await trio.sleep(0.1)
        assert costs.seen.count("greedy") == 2, "its time has come"
        costs.waits = {"greedy": 5.0}
        far.send(b"x")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert costs.seen.count("greedy") == 2
    for near, far in costs.pairs:
        costs.readiness.forget(near.fileno())
        near.close()
        far.close()
    costs.readiness.close()


async def test_a_peer_that_does_not_read_is_not_read_from_and_the_others_are(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    host = Host(bounds=Bounds(high=1000, low=100))
    near, far = pair
    far.setblocking(False)
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.terms.readiness.run)
        nursery.start_soon(host.terms.flusher.run)
        connection = Connection(SocketStream(near), host.terms)
        nursery.start_soon(connection.run)
        far.send(UPGRADE)
        await wait_all_tasks_blocked()
        assert b" 101 " in far.recv(4096)
        connection.send(b"x" * 100_000)
        await wait_all_tasks_blocked()
        far.send(MASKED_HELLO)
        await wait_all_tasks_blocked()
        far.send(MASKED_HELLO)
        await wait_all_tasks_blocked()
        heard = host.traffic.messages_in
        assert connection.queued_bytes > 1000
        assert heard <= 1, "one read found it out"
        taken = 0
        while taken < 100_000:
            await wait_all_tasks_blocked()
            taken += len(far.recv(65536))
        await wait_all_tasks_blocked()
        assert connection.queued_bytes == 0
        assert host.traffic.messages_in == 2, "once everything was taken it is read again"
        nursery.cancel_scope.cancel()


async def test_what_must_end_the_daemon_comes_out_of_the_connections_own_task(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host()
    near, far = pair
    connection = Connection(SocketStream(near), host.terms)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.terms.readiness.run)
        far.send(UPGRADE)

        def rotten(messages: list[bytes]) -> None:
            raise ReadTablesRotten("a row")

        with pytest.raises(ExceptionGroup) as raised:
            async with trio.open_nursery() as inner:
                inner.start_soon(connection.run)
                await wait_all_tasks_blocked()
                monkeypatch.setattr(host.endpoint, "received", rotten)
                far.send(MASKED_HELLO)
        assert raised.group_contains(ReadTablesRotten)
        await wait_all_tasks_blocked()
        assert near.fileno() == -1, "and its socket is closed"
        nursery.cancel_scope.cancel()


async def test_a_half_closed_peer_is_answered_and_let_go(pair: tuple[socket.socket, socket.socket]) -> None:
    host = Host()
    near, far = pair
    connection = Connection(SocketStream(near), host.terms)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.terms.readiness.run)
        async with trio.open_nursery() as inner:
            inner.start_soon(connection.run)
            far.send(UPGRADE)
            far.shutdown(socket.SHUT_WR)
        far.settimeout(5)
        assert b" 101 " in far.recv(4096)
        nursery.cancel_scope.cancel()
