"""The load generator: requests at their own times, and latencies that count from those."""

import random
import socket
from collections import Counter
from typing import Any

import pytest
from bench.load import ClosedLoop, Measured, OpenLoop
from bench.town import Batches, Holds, Mixed, Transfers, zipf
from bench.wire import Connection, Incoming, answers, framed, id_of, is_refused
from msgspec import json

from walletd.protocol.methods import METHODS

ASKED = b"session.ping"
PAIRS = [(b"a", b"b"), (b"c", b"d"), (b"b", b"c")]


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ask(number: int, after: bytes | None) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"session.ping","params":{}}' % number


def answer(number: int, outcome: bytes = b'"result":{}') -> bytes:
    payload = b'{"jsonrpc":"2.0","id":%d,%b}' % (number, outcome)
    return b"\x81%c" % len(payload) + payload


def drained(peer: socket.socket) -> bytes:
    peer.setblocking(False)
    try:
        return peer.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_a_request_that_is_sent_late_counts_from_when_it_was_meant() -> None:
    here, there = socket.socketpair()
    clock = Clock()
    with here, there:
        loop = OpenLoop([here], rate=8, total=3, asking=ask, clock=clock)
        clock.now += 0.125
        loop.step()
        assert drained(there).count(ASKED) == 1
        clock.now += 0.5  # The generator was held up: requests 2 and 3 were due at 0.25 and 0.375.
        loop.step()
        assert drained(there).count(ASKED) == 2
        there.sendall(answer(1) + answer(2) + answer(3))
        clock.now += 0.375
        loop.step()
        assert [latency for _, latency in loop.accepted] == [0.875, 0.75, 0.625]
        assert loop.is_all_sent
        assert loop.meant == {}


def test_requests_go_on_although_nothing_is_answered_and_a_full_socket_holds_nobody_up() -> None:
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    clock = Clock()
    with here, there:
        loop = OpenLoop([here], rate=1000, total=5000, asking=ask, clock=clock)
        clock.now += 5
        loop.step()
        assert len(loop.meant) == 5000
        received = drained(there)
        assert 0 < received.count(ASKED) < 5000
        for _ in range(5000):
            loop.step()
            received += drained(there)
            if received.count(ASKED) == 5000:
                break
        assert received.count(ASKED) == 5000
        assert loop.accepted == []


def test_what_is_refused_has_no_latency_and_what_comes_unasked_is_no_answer() -> None:
    here, there = socket.socketpair()
    clock = Clock()
    with here, there:
        loop = OpenLoop([here], rate=8, total=2, asking=ask, clock=clock)
        clock.now += 0.25
        loop.step()
        notice = b'{"jsonrpc":"2.0","method":"warning","params":{"x":1}}'
        there.sendall(answer(1, b'"error":{"code":-32000}') + b"\x81%c" % len(notice) + notice + answer(2))
        loop.step()
        assert (loop.refused, len(loop.accepted)) == (1, 1)
        assert loop.accepted_by(clock.now) == 1
        assert loop.accepted_by(clock.now - 0.01) == 0


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_of_every_length_come_out_as_they_went_in(size: int) -> None:
    payload = bytes(size)
    frame = framed(payload)
    start = len(frame) - size - 4
    unmasked = bytes([frame[0], frame[1] & 0x7F]) + frame[2:start] + payload
    incoming = Incoming()
    assert incoming.feed(unmasked[:-1] if size else b"") == []
    assert incoming.feed(unmasked[-1:] if size else unmasked) == [payload]


class Wire(Connection):
    """A connection whose daemon answers each request with the next of these payloads."""

    def __init__(self, payloads: list[bytes]) -> None:
        self.socket, self._there = socket.socketpair()
        self._incoming = Incoming()
        self._payloads = iter(payloads)

    def send(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            outcome = next(self._payloads, None)
            if outcome is not None:
                self._there.sendall(answer(json.decode(payload)["id"], outcome))

    def close(self) -> None:
        self.socket.close()
        self._there.close()


def test_commands_refused_within_a_batch_are_no_throughput() -> None:
    two_refused = b'"result":{"outcomes":[{"error":{}},{},{"error":{}}]}'
    wire = Wire([b'"error":{"code":1}', two_refused, b'"result":{}'])
    asking = Batches(b"r1", PAIRS, atomic=False)
    loop = ClosedLoop([wire], 3, asking)
    loop.run(0)
    wire.close()
    assert (len(loop.latencies), loop.refused, loop.refused_inside) == (2, 1, 2)
    measured = Measured(2.0, loop.latencies, loop.refused, 0, 0.0, 0.0, {}, {}, 0, 0.0, loop.refused_inside)
    row = measured.row("batches", "walletd", asking.commands)
    assert (row.per_second, row.refused) == ((2 * 1000 - 2) / 2, 1000 + 2)


def test_an_answer_is_known_by_its_id_and_a_refusal_by_its_error() -> None:
    messages = [b'{"jsonrpc":"2.0","id":17,"error":{"code":1}}', b'{"jsonrpc":"2.0","method":"warning","params":{}}']
    (only,) = answers(messages)
    assert id_of(only) == 17
    assert is_refused(only)
    assert not is_refused(b'{"jsonrpc":"2.0","id":123456789,"result":{"error":null}}')


@pytest.mark.parametrize(
    "asking",
    [
        Transfers(b"r1", PAIRS),
        Batches(b"r1", PAIRS, atomic=True),
        Batches(b"r1", PAIRS, atomic=False),
        Mixed(b"r1", PAIRS),
        Holds(b"r1", PAIRS),
    ],
    ids=["transfers", "atomic batches", "batches", "mixed", "holds"],
)
def test_every_request_is_one_that_the_protocol_knows_with_ids_that_are_used_once(asking: Transfers) -> None:
    used: Counter[str] = Counter()
    for number in range(1, 21):
        request = json.decode(asking(number, None))
        assert request["id"] == number
        params: Any = json.decode(json.encode(request["params"]), type=METHODS[request["method"]].params)
        ids = [params.command_id] if hasattr(params, "command_id") else []
        ids += [inner.command_id for inner in getattr(params, "commands", ())]
        used.update(ids)
    assert used
    assert set(used.values()) == {1}


def test_a_hold_is_captured_behind_its_answer() -> None:
    asking = Holds(b"r1", PAIRS)
    placed = json.decode(asking(1, None))
    captured = json.decode(asking(2, b'{"jsonrpc":"2.0","id":1,"result":{"hold":"h7","sequence":7}}'))
    assert (placed["method"], captured["method"]) == ("hold.place", "hold.capture")
    assert captured["params"]["hold"] == "h7"
    assert captured["params"]["wallet"] == placed["params"]["wallet"]
    following = json.decode(asking(3, b'{"jsonrpc":"2.0","id":2,"result":{"sequence":8}}'))
    assert following["method"] == "hold.place"


def test_zipf_chooses_the_first_as_often_as_its_rank_says() -> None:
    names = [b"w%d" % number for number in range(1000)]
    chosen = Counter(zipf(names, 100_000, 1.0, random.Random(7)))
    assert chosen[b"w0"] / chosen[b"w9"] == pytest.approx(10, rel=0.15)
    assert chosen[b"w0"] / 100_000 == pytest.approx(1 / 7.485, rel=0.05)


def test_a_ping_is_no_message_and_waits_to_be_answered() -> None:
    incoming = Incoming()
    assert incoming.feed(b"\x89\x02hi\x81\x02{}") == [b"{}"]
    assert incoming.pings == [b"hi"]
