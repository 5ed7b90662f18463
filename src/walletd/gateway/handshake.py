"""The handshake: what a client says of itself before it is a websocket, and whether it may knock here at all.

A browser sends ``Origin`` and cannot set ``Authorization``; everybody else can set headers and sends no ``Origin``.
Host is checked too: a page of another site can be made to resolve to this address (DNS rebinding), and then its own
origin would look like ours.
"""

import base64
import binascii
from dataclasses import dataclass

from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request

BEARER_PREFIX = "walletd.bearer."
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Handshake:
    """A client's first words.  ``token`` is what a header or a subprotocol carried."""

    path: str
    user_agent: str
    subprotocols: tuple[str, ...]
    token: str | None
    has_authorization: bool

    def offers_only_unknown(self, known: str) -> bool:
        """Whether the client speaks other protocols only."""
        names = [name for name in self.subprotocols if not name.startswith(BEARER_PREFIX)]
        return bool(names) and known not in names


def read_handshake(request: Request) -> Handshake:
    """What the request says; malformed tokens read as an empty one, which nobody issued."""
    headers = request.headers
    offered = tuple(
        name.strip() for line in headers.get_all("Sec-WebSocket-Protocol") for name in line.split(",") if name.strip()
    )
    authorization = _single(headers, "Authorization")
    carried = [name for name in offered if name.startswith(BEARER_PREFIX)]
    token = None
    if authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        token = credentials.strip() if scheme.lower() == "bearer" else ""
    elif carried:
        token = _decode_token(carried[0].removeprefix(BEARER_PREFIX))
    return Handshake(request.path, _single(headers, "User-Agent") or "", offered, token, authorization is not None)


def refused_host(request: Request, allowed: frozenset[str]) -> str | None:
    """The Host that is not allowed; None where it is."""
    host = _single(request.headers, "Host") or ""
    name = _host_name(host)
    return None if name in allowed else host or "(none)"


def refused_origin(request: Request, allowed: frozenset[str]) -> str | None:
    """The Origin that is not allowed; None where it is, or where there is none."""
    origin = _single(request.headers, "Origin")
    if origin is None or origin in allowed:
        return None
    return origin


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _single(headers: Headers, name: str) -> str | None:
    try:
        return headers.get(name)
    except MultipleValuesError:
        return ""


def _decode_token(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
