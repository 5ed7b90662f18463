"""The PROXY protocol: who is behind a balancer, what is no header, and from whom one is believed."""

import ipaddress
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio

from tests.gateway.test_server import ROOM, http, serving, until
from tests.gateway.wires import Host, policy, request
from walletd.gateway.network.bounds import Bounds, Deadlines
from walletd.gateway.network.places import Caps
from walletd.gateway.network.proxy_header import MAX_BODY_BYTES, SIGNATURE, NoProxyHeader, read_proxy_header
from walletd.gateway.network.server import GatewayServer

BEHIND = b"the rest"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def version_two(kind: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", kind, family, len(body)) + body


FOUR = ipaddress.IPv4Address("203.0.113.7").packed + ipaddress.IPv4Address("10.0.0.1").packed + b"\x01\xbb\x01\xbb"
SIX = ipaddress.IPv6Address("2001:db8::7").packed + ipaddress.IPv6Address("::1").packed + b"\x01\xbb\x01\xbb"

HEADERS: list[tuple[str, bytes, str | None]] = [
    ("version 1, IPv4", b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n", "203.0.113.7"),
    ("version 1, IPv6", b"PROXY TCP6 2001:db8::7 ::1 5000 443\r\n", "2001:db8::7"),
    ("version 1, unknown", b"PROXY UNKNOWN\r\n", None),
    ("version 1, unknown with words", b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    ("version 2, IPv4", version_two(0x21, 0x11, FOUR), "203.0.113.7"),
    ("version 2, IPv6 with more behind", version_two(0x21, 0x21, SIX + b"\x04\x00\x03abc"), "2001:db8::7"),
    ("version 2, the balancer itself", version_two(0x20, 0x00, b""), None),
    ("version 2, a unix socket", version_two(0x21, 0x31, bytes(216)), None),
    ("version 2, the largest", version_two(0x21, 0x11, FOUR.ljust(MAX_BODY_BYTES, b"x")), "203.0.113.7"),
]

NO_HEADERS: list[tuple[str, bytes]] = [
    ("HTTP", HEALTH),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20)),
    ("a short line", b"PROXY TCP4 203.0.113.7 10.0.0.1 5000\r\n"),
    ("an address of the other kind", b"PROXY TCP4 2001:db8::7 ::1 5000 443\r\n"),
    ("no address", b"PROXY TCP4 somebody 10.0.0.1 5000 443\r\n"),
    ("a line without end", b"PROXY TCP4 " + b"1" * 200),
    ("the end of the stream", b"PROXY TC"),
    ("another version", version_two(0x31, 0x11, FOUR)),
    ("too short a body", version_two(0x21, 0x21, FOUR)),
    ("too long a body", version_two(0x21, 0x11, FOUR.ljust(MAX_BODY_BYTES + 1, b"x"))),
]


def reading(data: bytes) -> tuple[bytearray, Callable[[int], object]]:
    rest = bytearray(data)

    async def receive_exactly(size: int) -> bytes:
        if size > len(rest):
            raise NoProxyHeader("nothing more")
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    return rest, receive_exactly


@pytest.mark.parametrize(("data", "address"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS])
async def test_a_header_says_who_is_behind_and_nothing_behind_it_is_taken(data: bytes, address: str | None) -> None:
    rest, receive_exactly = reading(data + BEHIND)
    assert await read_proxy_header(receive_exactly) == address  # type: ignore[arg-type]
    assert rest == BEHIND


@pytest.mark.parametrize("data", [row[1] for row in NO_HEADERS], ids=[row[0] for row in NO_HEADERS])
async def test_what_is_no_header_is_said_to_be_none(data: bytes) -> None:
    _, receive_exactly = reading(data)
    with pytest.raises(NoProxyHeader):
        await read_proxy_header(receive_exactly)  # type: ignore[arg-type]


def behind_a_proxy(host: Host, *networks: str, caps: Caps = ROOM) -> GatewayServer:
    proxies = tuple(ipaddress.ip_network(network) for network in networks)
    return GatewayServer("127.0.0.1", 0, policy(), Deadlines(), Bounds(), caps, host.open_endpoint, proxies=proxies)


@pytest.mark.parametrize("header", [row[1] for row in HEADERS], ids=[row[0] for row in HEADERS])
async def test_a_balancers_clients_are_served(header: bytes) -> None:
    async with serving(behind_a_proxy(Host(), "127.0.0.0/8")) as address:
        assert (await http(address, header + HEALTH)).startswith(b"HTTP/1.1 200 ")


async def test_clients_behind_one_balancer_are_counted_by_their_own_addresses() -> None:
    server = behind_a_proxy(Host(), "127.0.0.1", caps=Caps(connections=10, connections_per_address=1, guests=10))
    async with serving(server) as address:
        name, _, port = address.rpartition(":")
        streams = [await trio.open_tcp_stream(name, int(port)) for _ in range(3)]
        statuses = []
        for stream, client in zip(streams, (b"203.0.113.7", b"203.0.113.8", b"203.0.113.7"), strict=True):
            await stream.send_all(b"PROXY TCP4 " + client + b" 10.0.0.1 5000 443\r\n" + request())
            statuses.append((await stream.receive_some(4096)).split(b" ")[1])
        assert statuses == [b"101", b"101", b"503"]
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_a_named_address_must_send_a_header_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    server = behind_a_proxy(Host(), "127.0.0.1")
    async with serving(server) as address:
        with suppress(trio.BrokenResourceError):  # What was not read makes the end a reset.
            assert await http(address, HEALTH) == b""
        await until(lambda: server.traffic.refused["proxy_header"] > 0)
    assert server.traffic.refused["proxy_header"] == 1
    assert "proxy_protocol_from" in caplog.text


async def test_from_any_other_address_a_header_is_no_valid_request() -> None:
    async with serving(behind_a_proxy(Host(), "10.0.0.0/8")) as address:
        answer = await http(address, b"PROXY TCP4 203.0.113.7 10.0.0.1 5000 443\r\n" + HEALTH)
    assert answer.startswith(b"HTTP/1.1 400 ")
