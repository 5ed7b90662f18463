"""Who is let in, and what everybody else is told."""

import gc

import pytest

from tests.gateway.wires import TOKEN, bearer, closing, policy, request, sent_close, sent_texts, text
from walletd.gateway.websocket.frames import FrameProtocol, State
from walletd.gateway.websocket.handshake import FULL
from walletd.gateway.websocket.opening import MAX_HEAD_BYTES, MAX_HEAD_PARTS, MAX_HEAD_PIECES, Opening

PLAIN = {"Connection": None, "Upgrade": None}


def answer(data: bytes, **words: bool) -> tuple[int, bytes, FrameProtocol]:
    """The status, the whole response, and the protocol afterwards."""
    frames = FrameProtocol(policy(**words))
    assert frames.receive(data) == []
    response = frames.data_to_send()
    assert response.startswith(b"HTTP/1.1 ")
    return int(response.split(b" ")[1]), response, frames


OUTCOMES: list[tuple[str, bytes, int, str | None]] = [
    ("a bare client", request(), 101, None),
    ("a client with our subprotocol", request({"Sec-WebSocket-Protocol": "walletd.v1"}), 101, None),
    ("a host with another port", request({"Host": "127.0.0.1:1"}), 101, None),
    ("a host without a port", request({"Host": "LocalHost"}), 101, None),
    ("an IPv6 host", request({"Host": "[::1]:7878"}), 101, None),
    ("a configured host", request({"Host": "wallets.example"}), 101, None),
    ("a foreign host: DNS rebinding", request({"Host": "evil.example:7878"}), 403, "host"),
    ("a host that only begins like ours", request({"Host": "localhost.evil.example"}), 403, "host"),
    ("IPv6 in another spelling", request({"Host": "[0:0:0:0:0:0:0:1]"}), 101, None),
    ("the root's dot", request({"Host": "localhost.:7878"}), 101, None),
    ("IPv6 with something behind it", request({"Host": "[::1]evil.example"}), 403, "host"),
    ("IPv6 that does not end", request({"Host": "[::1"}), 403, "host"),
    ("IPv6 without brackets", request({"Host": "::1"}), 403, "host"),
    ("a host with a user", request({"Host": "localhost@evil.example"}), 403, "host"),
    ("a host with a path", request({"Host": "localhost/evil.example"}), 403, "host"),
    ("a host with two ports", request({"Host": "localhost:1:2"}), 403, "host"),
    ("a host whose port is no number", request({"Host": "localhost:evil"}), 403, "host"),
    ("a list of hosts", request({"Host": "localhost, evil.example"}), 403, "host"),
    ("an empty host", request({"Host": ""}), 403, "host"),
    ("an allowed origin in capitals, with its port", request({"Origin": "HTTPS://Shop.Example:443"}), 101, None),
    ("an empty origin", request({"Origin": ""}), 403, "origin"),
    ("two origins", request({"Origin": "https://shop.example\r\nOrigin: https://evil.example"}), 400, "malformed"),
    ("a list of origins", request({"Origin": "https://shop.example https://evil.example"}), 403, "origin"),
    ("an allowed origin without TLS", request({"Origin": "http://shop.example"}), 403, "origin"),
    ("an origin that only begins alike", request({"Origin": "https://shop.example.evil.example"}), 403, "origin"),
    ("an origin with a user", request({"Origin": "https://shop.example@evil.example"}), 403, "origin"),
    ("an origin with a path", request({"Origin": "https://shop.example/evil"}), 403, "origin"),
    ("no host", request({"Host": None}), 403, "host"),
    ("two hosts", request({"Host": "localhost\r\nHost: localhost"}), 400, "malformed"),
    ("an allowed origin", request({"Origin": "https://shop.example"}), 101, None),
    ("a foreign origin", request({"Origin": "https://evil.example"}), 403, "origin"),
    ("another port of an allowed origin", request({"Origin": "https://shop.example:8443"}), 403, "origin"),
    ("the null origin of a sandboxed page", request({"Origin": "null"}), 403, "origin"),
    ("a token that is in force", request({"Authorization": f"Bearer {TOKEN}"}), 101, None),
    ("a token that is not", request({"Authorization": "Bearer no"}), 401, "token"),
    ("another scheme", request({"Authorization": f"Basic {TOKEN}"}), 401, "token"),
    ("an empty authorization", request({"Authorization": ""}), 401, "token"),
    ("a foreign host with a bad token is not told so", request({"Host": "evil", "Authorization": "x"}), 403, "host"),
    ("no key", request({"Sec-WebSocket-Key": None}), 400, "malformed"),
    ("another version", request({"Sec-WebSocket-Version": "8"}), 400, "malformed"),
    ("a post", request(line="POST / HTTP/1.1"), 405, "malformed"),
    ("a page", request(PLAIN, "GET /healthz HTTP/1.1"), 200, "page"),
    ("a page with a query, in HTTP/1.0", request({**PLAIN, "Host": None}, "GET /healthz?a=b HTTP/1.0"), 200, "page"),
    ("the head of a page", request(PLAIN, "HEAD /healthz HTTP/1.1"), 200, "page"),
    ("HAProxy's check, of a daemon that is not ready", b"OPTIONS / HTTP/1.0\r\n\r\n", 503, "page"),
    ("the same in HTTP/1.1, for the server as a whole", request(PLAIN, "OPTIONS * HTTP/1.1"), 503, "page"),
    ("the options of a page", request(PLAIN, "OPTIONS /healthz HTTP/1.1"), 200, "page"),
    ("the options of another path", request(PLAIN, "OPTIONS /nothing HTTP/1.1"), 426, "not_a_websocket"),
    ("an old balancer's check", b"GET / HTTP/1.0\r\n\r\n", 503, "page"),
    ("an old balancer's check of a page", b"GET /healthz HTTP/1.0\r\n\r\n", 200, "page"),
    ("a page by its whole address", request(PLAIN, "GET http://127.0.0.1:7878/healthz?x=1 HTTP/1.1"), 200, "page"),
    ("a check by the whole address", request(PLAIN, "OPTIONS http://127.0.0.1:7878 HTTP/1.1"), 503, "page"),
    ("a websocket by its whole address", request(line="GET http://localhost:7878/ HTTP/1.1"), 101, None),
    ("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed"),
    ("the first byte of TLS", b"\x16", 400, "malformed"),
    ("another path in a browser", request(PLAIN), 426, "not_a_websocket"),
    ("a post to a page", request(PLAIN, "POST /healthz HTTP/1.1"), 426, "not_a_websocket"),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed"),
    ("a body", request({**PLAIN, "Content-Length": "5"}, "POST / HTTP/1.1") + b"hello", 400, "malformed"),
    ("too long a line", request({"Cookie": "c" * 9000}), 431, "malformed"),
    ("too large a head", request({f"X-{n}": "x" * 4000 for n in range(10)}), 431, "malformed"),
    ("an endless line", b"GET /" + b"a" * 9000, 414, "malformed"),
]


@pytest.mark.parametrize(("data", "status", "refused"), [row[1:] for row in OUTCOMES], ids=[row[0] for row in OUTCOMES])
def test_every_request_has_its_answer(data: bytes, status: int, refused: str | None) -> None:
    answered, response, frames = answer(data)
    assert answered == status, response
    assert frames.refused == refused
    if status == 101:
        assert frames.state is State.OPEN
        assert frames.handshake is not None
    else:
        assert b"\r\nConnection: close\r\n" in response or status == 426
        assert frames.state is State.CLOSING
        assert frames.handshake is None
        assert frames.is_finished, "the stream ends behind the response"
        assert frames.receive(text(b"too late")) == []


def test_a_handshake_may_come_in_any_pieces() -> None:
    whole = request({"Sec-WebSocket-Protocol": "walletd.v1"}) + text(b"first")
    for cut in range(1, len(whole)):
        frames = FrameProtocol(policy())
        assert frames.receive(whole[:cut]) + frames.receive(whole[cut:]) == [b"first"]


def test_a_handshake_may_come_in_very_small_pieces() -> None:
    frames = FrameProtocol(policy())
    whole = request() + text(b"first")
    pieces = [whole[at : at + 2] for at in range(0, len(whole), 2)]
    assert [message for piece in pieces for message in frames.receive(piece)] == [b"first"]


def test_frames_behind_the_request_wait_for_the_switch() -> None:
    frames = FrameProtocol(policy())
    assert frames.receive(request() + text(b"one") + closing()) == [b"one"]
    head, _, rest = frames.data_to_send().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert sent_close(rest) == 1000


SUBPROTOCOLS = [
    ("walletd.v1", b"walletd.v1", None),
    (f"walletd.v1, {bearer(TOKEN)}", b"walletd.v1", None),
    (f"{bearer(TOKEN)}, other, walletd.v1", b"walletd.v1", None),
    (bearer(TOKEN), None, None),
    (f"walletd.v1, {bearer('no')}", b"walletd.v1", 4401),
    ("walletd.v1, walletd.bearer.%%", b"walletd.v1", 4401),
    ("walletd.v1, walletd.bearer.", b"walletd.v1", 4401),
    ("walletd.v9", b"walletd.v9", 4406),
    (f"graphql-ws, {bearer(TOKEN)}", b"graphql-ws", 4406),
]


@pytest.mark.parametrize(("offered", "echoed", "code"), SUBPROTOCOLS)
def test_a_subprotocol_is_ours_or_ends_with_4406_and_a_token_is_never_echoed(
    offered: str, echoed: bytes | None, code: int | None
) -> None:
    status, response, frames = answer(request({"Sec-WebSocket-Protocol": offered}))
    assert status == 101
    head, _, rest = response.partition(b"\r\n\r\n")
    line = None if echoed is None else b"Sec-WebSocket-Protocol: " + echoed
    assert [found for found in head.split(b"\r\n") if found.startswith(b"Sec-WebSocket-Protocol")] == [line] * bool(
        line
    )
    assert b"bearer" not in head
    assert sent_close(rest) == code
    assert frames.state is (State.OPEN if code is None else State.CLOSING)
    assert frames.close_code == (code or 1006)


def test_a_daemon_that_drains_refuses_websockets_and_answers_pages() -> None:
    status, response, frames = answer(request(), is_draining=True)
    assert status == 503
    assert b"\r\nRetry-After: " in response
    assert frames.refused == "draining"
    assert answer(request(PLAIN, "GET /healthz HTTP/1.1"), is_draining=True)[0] == 200


def test_who_finds_no_room_is_told_so_and_may_see_pages() -> None:
    frames = FrameProtocol(policy(), FULL)
    frames.receive(request())
    assert frames.data_to_send().startswith(b"HTTP/1.1 503 ")
    frames = FrameProtocol(policy(), FULL)
    frames.receive(request(PLAIN, "GET /healthz HTTP/1.1"))
    assert frames.data_to_send().startswith(b"HTTP/1.1 200 ")


def test_the_head_of_a_page_has_its_length_and_no_body() -> None:
    _, page, _ = answer(request(PLAIN, "GET /healthz HTTP/1.1"))
    _, head, _ = answer(request(PLAIN, "HEAD /healthz HTTP/1.1"))
    assert page.endswith(b'\r\n\r\n{"alive":true}')
    assert head.endswith(b"\r\n\r\n")
    assert b"\r\nContent-Length: 14\r\n" in head


def test_closing_while_a_request_is_awaited_answers_503() -> None:
    frames = FrameProtocol(policy())
    frames.receive(request()[:20])
    frames.close(1012, "restart")
    assert frames.data_to_send().startswith(b"HTTP/1.1 503 ")
    assert frames.is_finished


def test_who_leaves_without_a_request_is_counted_as_gone() -> None:
    frames = FrameProtocol(policy())
    frames.receive_eof()
    assert frames.refused == "gone"
    assert frames.state is State.CLOSED
    assert frames.is_finished


def test_what_a_client_says_of_itself_is_handed_on() -> None:
    headers = {"Origin": "https://shop.example", "User-Agent": "shop/1", "Sec-WebSocket-Protocol": "walletd.v1"}
    _, _, frames = answer(request(headers, "GET /here HTTP/1.1"))
    handshake = frames.handshake
    assert handshake is not None
    assert (handshake.path, handshake.origin, handshake.user_agent) == ("/here", "https://shop.example", "shop/1")
    assert handshake.token is None


@pytest.mark.parametrize("carrier", ["Authorization", "Sec-WebSocket-Protocol"])
def test_a_token_is_neither_shown_nor_kept(carrier: str) -> None:
    value = f"Bearer {TOKEN}" if carrier == "Authorization" else f"walletd.v1, {bearer(TOKEN)}"
    _, _, frames = answer(request({carrier: value}))
    assert frames.handshake is not None
    assert frames.handshake.token == TOKEN
    assert TOKEN not in repr(frames.handshake)
    assert bearer(TOKEN) not in repr(frames.handshake)
    frames.handshake = None
    for kept in reachable(frames):
        assert TOKEN not in kept
        assert bearer(TOKEN) not in kept


def reachable(frames: FrameProtocol) -> list[str]:
    """Every text that the protocol keeps alive by itself, its library's suspended parser included."""
    seen: dict[int, object] = {}
    waiting: list[object] = [frames]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing) or type(thing).__name__ == "module":
            continue
        seen[id(thing)] = thing
        waiting.extend(gc.get_referents(thing))
    assert len(seen) > 10
    texts = [thing for thing in seen.values() if isinstance(thing, str)]
    return texts + [thing.decode("latin-1") for thing in seen.values() if isinstance(thing, bytes | bytearray)]


def test_a_server_speaks_first() -> None:
    frames = FrameProtocol(policy())
    frames.receive(request())
    frames.send_text(b"hello")
    _, _, rest = frames.data_to_send().partition(b"\r\n\r\n")
    assert sent_texts(rest) == [b"hello"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            request({"Host": "evil.example"}),
            "Host 'evil.example' is not allowed here; allowed_hosts of the configuration",
        ),
        (request({"Origin": "https://evil"}), "Origin 'https://evil' is not allowed here; allowed_origins of the conf"),
        (b"\x16\x03\x01\x02\x00\x01", "started TLS on a port without TLS"),
    ],
    ids=["host", "origin", "tls"],
)
def test_what_the_configuration_may_be_to_blame_for_is_in_the_log_with_the_setting(
    data: bytes, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, response, _ = answer(data)
    (line,) = [record.getMessage() for record in caplog.records]
    assert says in line
    assert says.encode() in response


def test_a_line_of_the_log_about_a_header_is_short_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    answer(request({"Host": "\x9b31m" + "x" * 5000}))
    (line,) = [record.getMessage() for record in caplog.records]
    assert len(line) < 300
    assert line.isprintable()


def test_a_token_that_is_wrong_is_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    answer(request({"Authorization": "Bearer no"}))
    assert not caplog.records


# --- what a head may cost ------------------------------------------------------------------------------------------


class Fed:
    """Counts the parses of an opening's head, and the bytes that were parsed."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.parses: list[int] = []
        feed = opening._library.receive_data

        def counted(data: bytes | bytearray) -> None:
            self.parses.append(len(data))
            feed(data)

        opening._library.receive_data = counted  # type: ignore[method-assign]

    def receive(self, data: bytes, size: int) -> bytes:
        """The response to the data, which arrives in pieces of this size; the rest is not sent once there is one."""
        for at in range(0, len(data), size):
            if self.opening.response:
                break
            self.opening.receive(data[at : at + size])
        return bytes(self.opening.response)


def fed(data: bytes, size: int = 16384) -> tuple[bytes, list[int]]:
    """The status and the sizes of all parses."""
    reading = Fed(Opening(policy(), None))
    return reading.receive(data, size)[9:12], reading.parses


FILLED = request({f"X-{number}": "x" * 500 for number in range(15)})


@pytest.mark.parametrize("size", [1, 2, 64, 100, 1000, len(FILLED), 16384])
def test_a_head_is_parsed_once_however_it_arrives(size: int) -> None:
    status, parses = fed(FILLED, size)
    is_in_few = len(FILLED) / size <= MAX_HEAD_PIECES
    assert (status, parses) == ((b"101", [len(FILLED)]) if is_in_few else (b"400", []))


COSTLY = {
    "nine kilobytes": (request({f"X-{number}": "x" * 900 for number in range(10)}), b"431"),
    "sixteen kilobytes of one-letter headers": (request()[:-2] + b"a:\r\n" * 4096 + b"\r\n", b"431"),
    "a hundred and ninety headers": (request()[:-2] + b"a:\r\n" * 190 + b"\r\n", b"431"),
    "a list of thousands": (request({"Sec-WebSocket-Protocol": ",".join("a" * 3000)}), b"431"),
    "thousands of extensions": (request({"Sec-WebSocket-Extensions": "a;" * 3000 + "a"}), b"431"),
    "no request at all": (b"hello\r\n" * 100 + b"\r\n\r\n", b"400"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_a_head_that_would_cost_much_is_refused_by_its_counts_and_never_parsed(name: str) -> None:
    data, expected = COSTLY[name]
    for size in (100, 1000, 16384):
        status, parses = fed(data, size)
        assert status == expected
        assert sum(parses) <= 8192
        if expected == b"431":
            assert parses == []


@pytest.mark.parametrize(
    "line", [b"hello\r\n", b"GET /\r\n", b"GET / HTTP/2.0\r\n", b"GET / HTTP/1.1\n", b"\r\n", b"\n"]
)
def test_a_line_that_begins_no_request_is_refused_before_the_rest_arrives(line: bytes) -> None:
    assert fed(line) == (b"400", [])


def test_a_browsers_head_is_far_from_every_limit() -> None:
    head = request(
        {
            "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0",
            "Accept-Language": "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
            "Cookie": "; ".join(f"name{number}={'v' * 40}" for number in range(20)),
            "Origin": "https://shop.example",
            "Sec-WebSocket-Protocol": f"walletd.v1, {bearer('t' * 60)}",
            "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        }
    )
    assert len(head) * 3 < MAX_HEAD_BYTES
    assert sum(map(head.count, (b"\n", b",", b";"))) * 2 < MAX_HEAD_PARTS
    assert fed(head, 64)[0] == b"101"
