"""The PROXY protocol, versions 1 and 2: the client behind a load balancer that passes bytes on.

    address = await read_proxy_header(receive_exactly)      # None: the balancer itself, as for its health checks

The header precedes everything else, TLS included.  It is accepted only from addresses that the configuration names, and
is required there: a receiver must not guess.  Source: haproxy.org, doc/proxy-protocol.txt.
"""

import ipaddress
import struct
from collections.abc import Awaitable, Callable

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_LINE_BYTES = 107
"""The limit for version 1, including the line's end."""

MAX_BODY_BYTES = 4096
"""The limit for version 2, its addresses and a balancer's other fields; certificates take the most."""

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21

ReceiveExactly = Callable[[int], Awaitable[bytes]]


class NoProxyHeader(Exception):
    """The first bytes are not a header of the PROXY protocol."""


async def read_proxy_header(receive_exactly: ReceiveExactly) -> str | None:
    """The address of the client; None if the balancer speaks for itself.  Raises NoProxyHeader.

    Reads no byte after the header.
    """
    start = await receive_exactly(len(SIGNATURE))
    if start == SIGNATURE:
        head = await receive_exactly(4)
        kind, family, size = struct.unpack("!BBH", head)
        if size > MAX_BODY_BYTES:
            raise NoProxyHeader(f"a header of {size} bytes")
        return _address_of_two(kind, family, await receive_exactly(size))
    if not start.startswith(b"PROXY "):
        raise NoProxyHeader("something else")
    line = start
    while not line.endswith(b"\r\n"):
        if len(line) >= MAX_LINE_BYTES:
            raise NoProxyHeader("a line without end")
        line += await receive_exactly(1)
    return _address_of_one(line[:-2])


def _address_of_one(line: bytes) -> str | None:
    words = line.split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return None
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise NoProxyHeader("a malformed line")
    kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
    kind = ipaddress.IPv4Address if words[1] == b"TCP4" else ipaddress.IPv6Address
    try:
        return str(kind(words[2].decode("ascii")))
    except ValueError:
        raise NoProxyHeader("a malformed address") from None


def _address_of_two(kind: int, family: int, body: bytes) -> str | None:
    if kind == _LOCAL:
        return None
    if kind != _PROXY:
        raise NoProxyHeader("another version")
    if family == _TCP4 and len(body) >= 12:
        return str(ipaddress.IPv4Address(body[:4]))
    if family == _TCP6 and len(body) >= 36:
        return str(ipaddress.IPv6Address(body[:16]))
    if family in (_TCP4, _TCP6):
        raise NoProxyHeader("a body that is too short")
    return None
