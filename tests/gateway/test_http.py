"""``POST /v1/rpc``: one request, one response, one connection; whatever is not exactly that is refused."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock, memory_stream_pair

from tests.gateway.wires import LIMIT, TOKEN, Host, NotingEndpoint, policy, tick_for_ever
from walletd.gateway.http.exchange import HTTP_STATUSES, RpcExchange
from walletd.gateway.network.connection import Connection, Endpoint
from walletd.gateway.websocket.frames import FrameProtocol, State
from walletd.gateway.websocket.handshake import FULL, Handshake
from walletd.protocol.errors import failure
from walletd.protocol.over_http import STATUSES
from walletd.sessions.session import notification, success
from walletd.vocabulary.reasons import Reason

NONE: Mapping[str, str | None] = {}
BODY = b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}'


def post(headers: Mapping[str, str | None] = NONE, body: bytes = BODY, line: str = "POST /v1/rpc HTTP/1.1") -> bytes:
    """A request; a header given as None is left out."""
    fields: dict[str, str | None] = {
        "Host": "localhost:7878",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Length": str(len(body)),
        **headers,
    }
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


ACCEPTED: list[tuple[str, bytes]] = [
    ("a request", post()),
    ("without a token: the session refuses it", post({"Authorization": None})),
    ("in HTTP/1.0", post(line="POST /v1/rpc HTTP/1.0")),
    ("with a query", post(line="POST /v1/rpc?trace=1 HTTP/1.1")),
    ("by its whole address, from a proxy", post(line="POST http://localhost:7878/v1/rpc HTTP/1.1")),
    ("as curl says it is a form", post({"Content-Type": "application/x-www-form-urlencoded"})),
    ("that would rather be HTTP/2", post({"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"})),
    ("from an allowed page", post({"Origin": "https://shop.example"})),
    ("without a body", post(body=b"")),
    ("of the largest size", post(body=b" " * LIMIT)),
    ("followed by another one", post() + post()),
    ("followed by garbage", post() + b"\x00\xff" * 100),
]


@pytest.mark.parametrize("data", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_a_request_is_taken_whole_and_nothing_after_it(data: bytes) -> None:
    frames = FrameProtocol(policy())
    assert frames.receive(data) == []
    assert frames.handshake is not None
    size = int(data.partition(b"Content-Length: ")[2].partition(b"\r")[0])
    assert frames.handshake.body == data.partition(b"\r\n\r\n")[2][:size]
    assert frames.data_to_send() == b""
    assert str(frames.handshake.body) not in repr(frames.handshake)


REFUSED: list[tuple[str, bytes, int, str]] = [
    ("chunked", post({"Transfer-Encoding": "chunked", "Content-Length": None}), 411, "malformed"),
    ("chunked and measured: smuggling", post({"Transfer-Encoding": "chunked"}), 411, "malformed"),
    ("in an unknown coding", post({"Transfer-Encoding": "identity"}), 411, "malformed"),
    ("without a length", post({"Content-Length": None}), 411, "malformed"),
    ("with an empty length", post({"Content-Length": ""}), 411, "malformed"),
    ("with two lengths", post({"Content-Length": "5\r\nContent-Length: 6"}), 400, "malformed"),
    ("with the same length twice", post({"Content-Length": "5\r\nContent-Length: 5"}), 400, "malformed"),
    ("with a list of lengths", post({"Content-Length": "5, 5"}), 400, "malformed"),
    ("with a negative length", post({"Content-Length": "-1"}), 400, "malformed"),
    ("with a signed length", post({"Content-Length": "+5"}), 400, "malformed"),
    ("with a length in hexadecimals", post({"Content-Length": "0x10"}), 400, "malformed"),
    ("with Arabic digits", post({"Content-Length": "\xb2"}), 400, "malformed"),
    ("with an endless length", post({"Content-Length": "9" * 400}), 400, "malformed"),
    ("that says that it is too large", post({"Content-Length": str(LIMIT + 1)}, b""), 413, "malformed"),
    ("that is compressed", post({"Content-Encoding": "gzip"}), 415, "malformed"),
    ("that expects something else", post({"Expect": "a miracle"}), 417, "malformed"),
    ("with a folded header", post({"X-A": "a\r\n b"}), 400, "malformed"),
    ("with a space before the colon", post({"Content-Length ": "5"}), 400, "malformed"),
    ("with a foreign host", post({"Host": "evil.example"}), 403, "host"),
    ("with two hosts", post({"Host": "localhost\r\nHost: localhost"}), 400, "malformed"),
    ("without a host", post({"Host": None}), 403, "host"),
    ("from a foreign page", post({"Origin": "https://evil.example"}), 403, "origin"),
    ("with a token that is not in force", post({"Authorization": "Bearer no"}), 401, "token"),
    ("with two tokens", post({"Authorization": f"Bearer {TOKEN}\r\nAuthorization: Bearer no"}), 400, "malformed"),
    ("with another scheme", post({"Authorization": f"Basic {TOKEN}"}), 401, "token"),
]


def document(response: bytes) -> dict[str, object]:
    head, _, body = response.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"\r\nConnection: close" in head
    assert b"Content-Type: application/json" in head
    answer: dict[str, object] = json.loads(body)
    return answer


@pytest.mark.parametrize(("data", "status", "word"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused_is_refused_by_its_head(data: bytes, status: int, word: str) -> None:
    frames = FrameProtocol(policy())
    assert frames.receive(data) == []
    response = frames.data_to_send()
    assert response.startswith(f"HTTP/1.1 {status} ".encode()), response
    error = document(response)["error"]
    assert isinstance(error, dict)
    assert error["data"]["outcome"] == "not_applied"
    assert (frames.refused, frames.handshake) == (word, None)
    assert frames.is_finished
    assert frames.receive(data) == []


@pytest.mark.parametrize(
    ("frames", "status", "reason"),
    [
        (FrameProtocol(policy(is_draining=True)), 503, "draining"),
        (FrameProtocol(policy(), FULL), 503, "overloaded"),
    ],
)
def test_a_daemon_that_admits_nothing_says_when_to_come_back(frames: FrameProtocol, status: int, reason: str) -> None:
    frames.receive(post())
    response = frames.data_to_send()
    assert response.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nRetry-After: " in response
    error = document(response)["error"]
    assert isinstance(error, dict)
    assert error["data"]["reason"] == reason


@pytest.mark.parametrize("line", ["GET /v1/rpc HTTP/1.1", "PUT /v1/rpc HTTP/1.1", "POST /v1/rpc/ HTTP/1.1"])
def test_no_other_method_and_no_other_path_is_a_request(line: str) -> None:
    frames = FrameProtocol(policy())
    frames.receive(post({"Content-Length": None}, b"", line))
    assert frames.data_to_send().startswith(b"HTTP/1.1 426 ")


def test_a_request_may_come_in_any_pieces() -> None:
    whole = post()
    for cut in range(1, len(whole)):
        frames = FrameProtocol(policy())
        frames.receive(whole[:cut])
        assert (frames.handshake, frames.state) == (None, State.OPENING)
        frames.receive(whole[cut:])
        assert frames.handshake is not None
        assert frames.handshake.body == BODY


def test_of_a_body_only_what_was_announced_is_kept() -> None:
    frames = FrameProtocol(policy())
    frames.receive(post({"Content-Length": str(LIMIT)}, b""))
    for _ in range(LIMIT - 1):
        frames.receive(b"x")
        assert frames.held_bytes <= LIMIT
    assert frames.handshake is None


def test_who_waits_for_a_sign_before_the_body_gets_it() -> None:
    frames = FrameProtocol(policy())
    frames.receive(post({"Expect": "100-Continue", "Content-Length": str(len(BODY))}, b""))
    assert frames.data_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    frames.receive(BODY)
    assert frames.handshake is not None
    impatient = FrameProtocol(policy())
    impatient.receive(post({"Expect": "100-continue"}))
    assert impatient.data_to_send() == b""


# --- the response --------------------------------------------------------------------------------------------------


def answered(payload: bytes) -> tuple[int, bytes]:
    exchange = RpcExchange(BODY, Counter())
    exchange.take_request()
    exchange.send_text(payload)
    response = exchange.data_to_send()
    assert response.endswith(b"\r\n\r\n" + payload)
    assert exchange.is_finished
    assert exchange.close_code == 1000
    return int(response.split()[1]), response


def test_a_result_is_200_and_every_error_has_its_status() -> None:
    assert answered(success(1, {}))[0] == 200
    for reason in Reason:
        status, response = answered(failure(1, reason, {"what": "x", "retry_after_ms": 1500}))
        assert status == STATUSES.get(reason, 422)
        assert status in HTTP_STATUSES
        assert b"\r\nRetry-After: 2\r\n" in response
        assert (b"WWW-Authenticate: Bearer" in response) == (status == 401)
    assert {reason for reason in Reason if reason.is_refusal}.isdisjoint(STATUSES)


def test_notifications_are_no_response_and_the_first_response_is_the_only_one() -> None:
    exchange = RpcExchange(BODY, Counter())
    exchange.send_text(notification("hello", {}))
    assert exchange.take_request() == BODY
    exchange.send_text(notification("lifecycle", {}))
    assert exchange.data_to_send() == b""
    exchange.send_text(success(1, "first"))
    exchange.send_text(success(1, "second"))
    assert b"first" in (response := exchange.data_to_send())
    assert b"second" not in response


def test_a_connection_that_ends_before_the_request_was_handed_on_says_that_nothing_was_done() -> None:
    for code, status, reason in (
        (4401, 401, "authentication_failed"),
        (4503, 503, "overloaded"),
        (1012, 503, "draining"),
    ):
        exchange = RpcExchange(BODY, Counter())
        exchange.close(code, "an end")
        response = exchange.data_to_send()
        assert response.startswith(f"HTTP/1.1 {status} ".encode())
        error = document(response)["error"]
        assert isinstance(error, dict)
        assert (error["data"]["reason"], error["data"]["outcome"]) == (reason, "not_applied")


def test_a_connection_that_ends_while_the_outcome_is_unknown_says_nothing() -> None:
    exchange = RpcExchange(BODY, Counter())
    exchange.take_request()
    exchange.close(1012, "the daemon restarts")
    exchange.send_text(success(1, "too late"))
    assert exchange.data_to_send() == b""
    assert exchange.is_finished
    assert (exchange.close_code, exchange.status) == (1006, 0)


# --- over a stream -------------------------------------------------------------------------------------------------


class Answering(NotingEndpoint):
    """Greets, and answers when it is told to."""

    def opened(self) -> None:
        self.noted.append("opened")
        self.connection.send(notification("hello", {}))

    def received(self, messages: list[bytes]) -> None:
        self.noted.append(messages)

    def answer(self, result: str = "done") -> None:
        self.connection.send(success(1, result))


class AnsweringHost(Host):
    def open_endpoint(self, connection: Connection, handshake: Handshake) -> Endpoint:
        self.endpoints.append(Answering(connection, handshake))
        return self.endpoints[-1]

    @property
    def answering(self) -> Answering:
        assert isinstance(self.endpoint, Answering)
        return self.endpoint


@pytest.fixture
def host() -> AnsweringHost:
    return AnsweringHost()


@asynccontextmanager
async def posted(host: AnsweringHost, data: bytes) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    near, far = memory_stream_pair()
    connection = Connection(far, host.terms)
    async with trio.open_nursery() as ticking:
        ticking.start_soon(tick_for_ever, connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            await near.send_all(data)
            await trio.testing.wait_all_tasks_blocked()
            yield near
        ticking.cancel_scope.cancel()


async def until_eof(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([bytes(data) async for data in stream])


async def test_a_request_is_answered_and_the_connection_ends(host: AnsweringHost, autojump_clock: MockClock) -> None:
    async with posted(host, post() + b"more") as stream:
        assert host.answering.noted == ["opened", [BODY]]
        host.answering.answer()
        response = await until_eof(stream)
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert response.count(b"HTTP/1.1") == 1
    assert host.answering.noted[-1] == 1000
    assert host.traffic.exchanges == {200: 1}
    assert host.traffic.closes == {}
    assert trio.current_time() < 10, "a client that does not hang up is not waited for"


async def test_a_client_that_ends_its_half_gets_its_response(host: AnsweringHost) -> None:
    async with posted(host, post()) as stream:
        await stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        host.answering.answer()
        assert (await until_eof(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_answer_may_take_long(host: AnsweringHost, autojump_clock: MockClock) -> None:
    async with posted(host, post()) as stream:
        await trio.sleep(600)
        host.answering.answer()
        assert (await until_eof(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("said", [post()[:30], post({"Content-Length": str(len(BODY) + 1)})])
async def test_a_slow_body_is_cut_off_as_a_slow_head_is(
    host: AnsweringHost, said: bytes, autojump_clock: MockClock
) -> None:
    async with posted(host, said) as stream:
        assert await until_eof(stream) == b""
    assert 10 <= trio.current_time() <= 12
    assert host.endpoints == []
    assert host.traffic.refused == {"handshake_timeout": 1}


async def test_a_client_that_does_not_read_its_response_is_cut_off(
    host: AnsweringHost, autojump_clock: MockClock
) -> None:
    near, far = trio.testing.lockstep_stream_pair()
    connection = Connection(far, host.terms)
    async with trio.open_nursery() as ticking:
        ticking.start_soon(tick_for_ever, connection)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.run)
            await near.send_all(post())
            await trio.testing.wait_all_tasks_blocked()
            host.answering.answer("x" * 500_000)
        ticking.cancel_scope.cancel()
    assert 30 <= trio.current_time() <= 32
