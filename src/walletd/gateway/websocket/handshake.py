"""The handshake: the request before the websocket, and the decision whether this client may connect at all.

    verdict = judge(request, policy, turned_away=None)
    match verdict:
        case Handshake(): ...                    # it may become a websocket
        case TurnedAway(): ...                   # a status and a sentence that says what to do
        case Response(): ...                     # a status page

A browser sends ``Origin`` and cannot set ``Authorization``; any other client can set headers and sends no ``Origin``.
Host is checked too: a page of another site can be made to resolve to this address (DNS rebinding), and then its own
origin would look like ours.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from walletd.gateway.websocket.allow_lists import canonical_origin, host_name, is_address
from walletd.gateway.websocket.fragments import MAX_FRAGMENTS
from walletd.protocol.messages import SUBPROTOCOL

BEARER_PREFIX = "walletd.bearer."
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
ALLOW_IT = "{} of the configuration can allow it."
SHOWN_OF_A_HEADER = 100
"""Characters of a header that a log line or an answer repeats."""

READINESS = "/readyz"

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)

Page = Callable[[str], tuple[int, Mapping[str, str], bytes] | None]
"""From a path to the status, the headers and the body of a status page."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The terms of admission for all connections.

    ``allowed_hosts`` and ``allowed_origins`` are canonical, as ``allow_lists`` makes them.  ``page`` gives the status
    pages of plain HTTP; ``admits`` tells whether a token is valid; ``is_draining`` whether connections are no longer
    admitted.
    """

    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    max_message_bytes: int
    page: Page
    admits: Callable[[str], bool]
    is_draining: Callable[[], bool]
    compresses: bool = False
    max_fragments: int = MAX_FRAGMENTS
    allows_addresses: bool = False
    """True if every literal address is an allowed Host."""
    checks_pages: bool = False
    """True if the status pages, too, are only for an allowed Host."""
    answers_requests: bool = False
    """True if ``POST /v1/rpc`` is answered, too."""
    pings_per_second: int = 16
    """Pings and pongs; a client that pings every second is far below.  Four seconds' worth may come at once."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's opening request.  ``token`` is from a header or a subprotocol; it is never logged nor echoed."""

    path: str
    host: str
    origin: str | None
    user_agent: str
    subprotocols: tuple[str, ...] = field(repr=False)
    token: str | None = field(repr=False)
    has_authorization: bool
    body: bytes | None = field(default=None, repr=False)
    """The request of ``POST /v1/rpc``; None for a websocket."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """An HTTP answer instead of a websocket: a word for the counters, and a sentence that says what to do."""

    word: str
    status: HTTPStatus
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_for_the_operator: bool = False
    """True if the configuration may be wrong, so that the log reports it, too."""

    def response(self) -> Response:
        """The refusal as an HTTP response."""
        return http_response(self.status, {"Content-Type": "text/plain", **self.headers}, f"{self.sentence}\n".encode())


MALFORMED = TurnedAway("malformed", HTTPStatus.BAD_REQUEST, "This is not a valid HTTP request.")
HEAD_TOO_LARGE = TurnedAway("malformed", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.")
LINE_TOO_LONG = TurnedAway("malformed", HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")
TLS_HELLO = TurnedAway(
    "malformed",
    HTTPStatus.BAD_REQUEST,
    "A client started TLS on a port without TLS: connect with ws:// or http://, or set tls_certificate.",
    is_for_the_operator=True,
)
NOT_A_WEBSOCKET = TurnedAway(
    "not_a_websocket",
    HTTPStatus.UPGRADE_REQUIRED,
    "This is a websocket: connect with a websocket client, such as `python -m websockets URL`, "
    "or POST one request to /v1/rpc.",
    {"Upgrade": "websocket", "Connection": "Upgrade, close"},
)
DRAINING = TurnedAway(
    "draining", HTTPStatus.SERVICE_UNAVAILABLE, "The daemon is stopping; try again soon.", {"Retry-After": "2"}
)
FAULT = TurnedAway("fault", HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error in the daemon; see its log.")
FULL = TurnedAway(
    "full", HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections; try again soon.", {"Retry-After": "5"}
)
TOKEN_REFUSED = TurnedAway(
    "token", HTTPStatus.UNAUTHORIZED, "The token is unknown, expired or revoked.", {"WWW-Authenticate": "Bearer"}
)


def judge(request: Request, policy: Policy, turned_away: TurnedAway | None) -> Handshake | TurnedAway | Response:
    """Tell a handshake that may continue from a request that plain HTTP answers.  ``turned_away`` is for lack of
    room.
    """
    headers = request.headers
    repeated = _repeated(headers)
    if repeated is not None:
        return repeated
    if not any("websocket" in value.lower() for value in headers.get_all("Upgrade")):
        return _plain(request, policy)
    refusal = judge_sender(headers, policy, turned_away)
    if refusal is not None:
        return refusal
    handshake = read_handshake(request.path, headers)
    if handshake.has_authorization and not is_admitted(handshake, policy):
        return TOKEN_REFUSED
    return handshake


def judge_sender(headers: Headers, policy: Policy, turned_away: TurnedAway | None) -> TurnedAway | None:
    """Refuse a sender, whatever it asks for: for lack of room, in a drain, under a foreign name, from a foreign
    page.
    """
    repeated = _repeated(headers)
    if repeated is not None:
        return repeated
    if turned_away is not None:
        return turned_away
    if policy.is_draining():
        return DRAINING
    host, origin = headers.get("Host", ""), headers.get("Origin")
    if not _is_allowed(host, policy):
        return _not_allowed("Host", host, "allowed_hosts")
    if origin is not None and canonical_origin(origin) not in policy.allowed_origins:
        return _not_allowed("Origin", origin, "allowed_origins")
    return None


def _repeated(headers: Headers) -> TurnedAway | None:
    for name in ("Host", "Origin", "Authorization", "User-Agent"):
        if len(headers.get_all(name)) > 1:
            return TurnedAway("malformed", HTTPStatus.BAD_REQUEST, f"The header {name} appears more than once.")
    return None


def _is_allowed(host: str, policy: Policy) -> bool:
    name = host_name(host)
    return name in policy.allowed_hosts or (policy.allows_addresses and name is not None and is_address(name))


def _not_allowed(header: str, value: str, setting: str) -> TurnedAway:
    sentence = f"{header} {value[:SHOWN_OF_A_HEADER]!r} is not allowed here; {ALLOW_IT.format(setting)}"
    return TurnedAway(header.lower(), HTTPStatus.FORBIDDEN, sentence, is_for_the_operator=True)


def is_admitted(handshake: Handshake, policy: Policy) -> bool:
    """True if the client presents a valid token."""
    return handshake.token is not None and policy.admits(handshake.token)


def choose_subprotocol(offered: Iterable[str]) -> str | None:
    """The subprotocol to echo: ours if it is offered, never a token.

    An unknown one is echoed just before close 4406: a browser that sees nothing echoed reports 1006 and no reason.
    """
    names = [name for name in offered if not name.startswith(BEARER_PREFIX)]
    if SUBPROTOCOL in names:
        return SUBPROTOCOL
    return names[0] if names else None


def http_response(status: int, headers: Mapping[str, str], body: bytes, *, is_head: bool = False) -> Response:
    """An HTTP response, the last one on its connection; without its body if only its head was requested."""
    fields = {
        "Date": formatdate(usegmt=True),
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **headers,
    }
    return Response(int(status), HTTPStatus(status).phrase, Headers(fields), b"" if is_head else body)


def _plain(request: Request, policy: Policy) -> Response | TurnedAway:
    host = request.headers.get("Host")
    if policy.checks_pages and host is not None and not _is_allowed(host, policy):
        return _not_allowed("Host", host, "allowed_hosts")
    path = _path(request.path)
    page = policy.page(READINESS if _is_check(request, path) else path)
    if page is None or request.method not in ("GET", "HEAD", "OPTIONS"):
        return NOT_A_WEBSOCKET
    status, headers, body = page
    if request.method == "OPTIONS":
        headers = {**headers, "Allow": "GET, HEAD, OPTIONS"}
    return http_response(status, headers, body, is_head=request.method == "HEAD")


def _path(target: str) -> str:
    """The path of a request's target: the path itself or, from a proxy, a whole address (RFC 9112, 3.2)."""
    if found := _ABSOLUTE.match(target):
        target = target[found.end() :]
    return target.partition("?")[0] or "/"


def _is_check(request: Request, path: str) -> bool:
    """True if a load balancer checks for life: HAProxy's ``OPTIONS /``, an old one's ``GET / HTTP/1.0``."""
    if request.method == "OPTIONS":
        return path in ("/", "*")
    return path == "/" and request.protocol == "HTTP/1.0" and request.method in ("GET", "HEAD")


def read_handshake(path: str, headers: Headers) -> Handshake:
    """The contents of the request, no header repeated; a malformed token reads as an empty one, which was never
    issued.
    """
    offered = tuple(
        name.strip() for line in headers.get_all("Sec-WebSocket-Protocol") for name in line.split(",") if name.strip()
    )
    authorization = headers.get("Authorization")
    return Handshake(
        path=path,
        host=headers.get("Host", ""),
        origin=headers.get("Origin"),
        user_agent=headers.get("User-Agent", ""),
        subprotocols=offered,
        token=_carried_token(authorization, offered),
        has_authorization=authorization is not None,
    )


def _carried_token(authorization: str | None, offered: tuple[str, ...]) -> str | None:
    if authorization is not None:
        scheme, _, credentials = authorization.partition(" ")
        return credentials.strip() if scheme.lower() == "bearer" else ""
    carried = [name for name in offered if name.startswith(BEARER_PREFIX)]
    return _decode_token(carried[0].removeprefix(BEARER_PREFIX)) if carried else None


def _decode_token(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
