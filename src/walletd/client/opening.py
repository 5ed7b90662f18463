"""Addresses, and what a failed attempt to open a connection means.

    uri, path = parse_address("unix:/run/walletd/walletd.sock")
    raise NotReachable(f"cannot reach the daemon at {url}: {why(error)}")

Shared by the clients, whatever runs them; nothing here waits.
"""

import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.http11 import Response
from websockets.uri import WebSocketURI, parse_uri

from walletd.client.errors import AuthenticationFailed, NotAnAddress, NotReachable

UNIX_SCHEME = "unix:"


class Peer(Protocol):
    """A connected socket, of any kind."""

    @property
    def family(self) -> int:
        """AF_UNIX or one of the internet."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """An option of the socket."""

    def getsockname(self) -> Any:
        """This end."""

    def getpeername(self) -> Any:
        """The other end."""


Vet = Callable[[Peer], None]
"""Raises if nothing may be sent over this connection, which is a socket's."""


def anyone(peer: Peer) -> None:
    """Send to any program at the address."""


def check_token(token: str | None) -> None:
    """Raise AuthenticationFailed for a token that no header can carry."""
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token and token):
        raise AuthenticationFailed("the token is empty or contains characters that tokens cannot have, such as a space")


def parse_address(url: str) -> tuple[WebSocketURI, str | None]:
    """The address, and the path of the unix socket if it is ``unix:/path``."""
    if url.startswith(UNIX_SCHEME) and len(url) > len(UNIX_SCHEME):
        return parse_uri("ws://localhost"), url.removeprefix(UNIX_SCHEME).removeprefix("//")
    try:
        return parse_uri(url), None
    except (InvalidURI, ValueError) as error:
        sentence = f"{url!r} is not a websocket address; write it like ws://127.0.0.1:7878 or unix:/path/of/a/socket"
        raise NotAnAddress(sentence) from error


def handshake_error(error: Exception) -> Exception:
    """What a failed opening handshake means for the client."""
    if isinstance(error, InvalidStatus):
        return _status_error(error.response)
    if isinstance(error, InvalidHandshake):
        return NotReachable(f"no websocket was opened: {error}")
    return NotReachable(f"the peer does not speak websocket: {error}")


def why(error: BaseException) -> str:
    """The innermost reason in the system's own words: trio tries every address of a host, and groups their errors."""
    while (inner := error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__) is not None:
        error = inner
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    import ssl  # Takes longer to load than most of this package.

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); name its authority (--ca, WALLETD_CA, tls=)"
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):
        return f"{os.strerror(error.errno)}; is it running?"
    return error.strerror or str(error) or type(error).__name__


def _status_error(response: Response) -> Exception:
    said = bytes(response.body or b"").decode("utf-8", "replace").strip()
    sentence = said[:200] or response.reason_phrase
    if response.status_code == 401:
        return AuthenticationFailed(f"the daemon does not accept the token: {sentence}")
    return NotReachable(f"the daemon answered {response.status_code}: {sentence}")
