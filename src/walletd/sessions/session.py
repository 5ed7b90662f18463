"""One client's session, sans I/O: text frames go in; calls come out, or a reply that settles the request at once.

    session = Session(register, limits)
    match session.receive(frame):
        case Call() as call: ...               # a request that may run: answer it with success() or failure()
        case Reply(frame, declined): ...       # malformed, not permitted or a session method: send the frame

A session knows its client and the number of its unanswered calls.  It has no clock and no socket.
"""

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import msgspec

from walletd.protocol.envelope import Notification, Request, SessionLimits, Success
from walletd.protocol.errors import explain, failure
from walletd.protocol.long_batches import Faulty, batch_in_steps
from walletd.protocol.messages import Authenticate, Authenticated, RequestId
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.protocol.strict_json import lone_surrogate, names_all_once, repeated_name
from walletd.protocol.utc import in_utc
from walletd.sessions.access import LOCAL, Grant, Need, Right, TokenRegister
from walletd.sessions.needs import NEEDS, needs_in_parts
from walletd.sessions.rates import Throttle
from walletd.vocabulary.commands import ExecuteBatch
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.reasons import Reason

IsKnown = Callable[[Principal, CommandId], bool]

TakePlace = Callable[[Grant], Declined | None]
"""Count the connection as this client's from now on, or tell what is full."""


class _Named(msgspec.Struct):
    """The part of a command's params that identifies a repetition."""

    command_id: CommandId


_request_decoder = msgspec.json.Decoder(Request)
_name_decoder = msgspec.json.Decoder(_Named)
_encode = msgspec.json.Encoder().encode

BYTES_OF_A_NEED = 64
"""To judge one costs about as much as to decode so many bytes."""

OVERLOAD_RETRY_MS = 50
"""The milliseconds to wait that a session at its limit of unanswered requests is told."""

ONE_PRINCIPAL = "the session belongs to another client; use a separate connection for this token"
"""Streams and unanswered calls were permitted to the first client; another token of the same client is welcome."""

STANDS_TWICE = "{field!r} appears twice in one object; send each name once"

HALF_A_PAIR = "{field!r} contains half of a surrogate pair, which is not a character; send both halves or leave it out"

STREAMS_ELSEWHERE = "streams need the websocket; over HTTP there is one request and one response"

TOKEN_IN_THE_HEADER = "the request has no token; send it in the header, as Authorization: Bearer TOKEN"

WITHOUT_STREAMS = {name: method for name, method in METHODS.items() if method.kind is not Kind.STREAM}
"""The methods of a session that is one request long."""

SHARE_USED = Declined(Reason.OVERLOADED, {"what": "the session's share of what is under way", "retry_after_ms": 100})

NO_REQUEST = Declined(Reason.INVALID_REQUEST)


class Call(NamedTuple):
    """A request that is well-formed and permitted."""

    id: int | str
    method: Method
    params: Any
    principal: Principal
    size: int = 0
    """The size of its frame, in bytes."""


class Reply(NamedTuple):
    """The response to a request that the session settles at once."""

    frame: bytes
    declined: Declined | None = None
    """What it tells, if it is an error."""


class Session:
    """The server's knowledge of one connection's client."""

    __slots__ = (
        "_address",
        "_methods",
        "_register",
        "calls",
        "failed_authentications",
        "grant",
        "in_flight",
        "in_flight_bytes",
        "is_ended",
        "limits",
        "take_place",
        "throttle",
    )

    def __init__(
        self,
        register: TokenRegister,
        limits: SessionLimits,
        grant: Grant | None = None,
        throttle: Throttle | None = None,
        take_place: TakePlace = lambda grant: None,
        address: str = LOCAL,
        methods: dict[str, Method] = METHODS,
    ) -> None:
        self._register = register
        self._methods = methods
        self.limits = limits
        self.grant = grant
        self.is_ended = False
        self.throttle = throttle
        """None: no rate limit."""
        self.take_place = take_place
        self._address = address
        self.in_flight = 0
        self.in_flight_bytes = 0
        self.calls = 0
        self.failed_authentications = 0

    def receive(self, frame: bytes, knows: IsKnown | None = None) -> Call | Reply:
        """Read one text frame.  A call counts as unanswered until ``answered``.

        With ``knows``, only repeated commands are admitted: the others are refused as overload after a look at their
        ids, because a refusal must be as cheap as possible.
        """
        request = self._request(frame, knows)
        return request if isinstance(request, Reply) else self._read(frame, request)

    def receive_in_steps(self, frame: bytes, knows: IsKnown | None = None) -> Generator[int, None, Call | Reply]:
        """The same for a long frame: a batch is read command by command, and each step says how many bytes it cost."""
        request = self._request(frame, knows)
        yield len(frame) // 8
        if isinstance(request, Reply):
            return request
        if self._methods[request.method].params is not ExecuteBatch:
            return self._read(frame, request)
        try:
            batch = yield from batch_in_steps(frame, request.params)
        except msgspec.DecodeError as error:
            return _no_text(frame) or _invalid_params(request.id, error)
        except (UnicodeDecodeError, RecursionError) as error:
            return _declined(request.id, Declined(Reason.INVALID_PARAMS, {"field": ""}), f"params: {error}")
        except Faulty as fault:
            is_half = fault.what == "half a pair"
            request_id = request.id if is_half or fault.path != "id" else None
            return _faulty(request_id, fault.path, HALF_A_PAIR if is_half else STANDS_TWICE)
        return (yield from self._permit_in_steps(request, batch, len(frame)))

    def _request(self, frame: bytes, knows: IsKnown | None) -> Request | Reply:
        """The request in the frame, whose params are not decoded."""
        retry_after_ms = self._too_fast()
        try:
            request = _request_decoder.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return _limited(None, retry_after_ms) if retry_after_ms else _malformed(frame, error)
        if retry_after_ms:
            return _limited(request.id, retry_after_ms)
        method = self._methods.get(request.method)
        if method is None:
            return _no_method(request)
        if knows is not None and self._is_new_command(method, request.params, knows):
            return _declined(request.id, SHARE_USED)
        return request

    def _read(self, frame: bytes, request: Request) -> Call | Reply:
        method = self._methods[request.method]
        try:
            params = in_utc(method.decoder.decode(request.params))
            is_plain = method.kind is Kind.COMMAND and names_all_once(frame, params, request.id)
            repeated = None if is_plain else repeated_name(frame)
        except msgspec.DecodeError as error:
            return _no_text(frame) or _invalid_params(request.id, error)
        except (UnicodeDecodeError, RecursionError) as error:
            return _declined(request.id, Declined(Reason.INVALID_PARAMS, {"field": ""}), f"params: {error}")
        if repeated is not None:
            return _faulty(None if repeated == "id" else request.id, repeated, STANDS_TWICE)
        if isinstance(params, Authenticate):
            return self._authenticate(request.id, params)
        return self._permit(request.id, method, params, len(frame))

    def _is_new_command(self, method: Method, params: msgspec.Raw, knows: IsKnown) -> bool:
        if method.kind is not Kind.COMMAND or self.grant is None:
            return False
        try:
            return not knows(self.grant.principal, _name_decoder.decode(params).command_id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False  # The full decoding finds what is wrong with it.

    def answered(self, size: int = 0) -> None:
        """Note that a call of this session, of this size, was answered."""
        assert self.in_flight > 0
        self.in_flight -= 1
        self.in_flight_bytes -= size

    def _too_fast(self) -> int:
        """0, or the milliseconds after which the request may come again."""
        if self.throttle is None:
            return 0
        return self.throttle.take(None if self.grant is None else self.grant.principal)

    def end(self) -> None:
        """Note that the client's token is no longer valid: from now on, nothing of this session is served."""
        self.is_ended = True
        self.grant = None

    def _authenticate(self, request_id: int | str, params: Authenticate) -> Reply:
        grant = self._register.grant_of(params.token)
        if grant is None or self.is_ended or not grant.is_valid_at(self._address):
            self.failed_authentications += 1
            return _declined(request_id, Declined(Reason.AUTHENTICATION_FAILED))
        if self.grant is not None and self.grant.principal != grant.principal:
            return _declined(request_id, Declined(Reason.FORBIDDEN, {"method": "session.authenticate"}), ONE_PRINCIPAL)
        if self.grant is None and (full := self.take_place(grant)) is not None:
            return _declined(request_id, full)
        self.grant = grant
        authenticated = Authenticated(principal=grant.principal, scopes=grant.scopes, expires_at=grant.expires_at)
        return Reply(success(request_id, authenticated))

    def _permit_in_steps(self, request: Request, batch: ExecuteBatch, size: int) -> Generator[int, None, Call | Reply]:
        method, grant = self._methods[request.method], self.grant
        if grant is not None and not grant.permits_everything and self._unserved(request.id) is None:
            for needs in needs_in_parts(batch):
                for need in needs:
                    if not grant.permits(need):
                        return _declined(request.id, Declined(Reason.FORBIDDEN, _lacking(method, need)))
                    yield BYTES_OF_A_NEED
        return self._permit(request.id, method, batch, size, judged_by=grant)

    def _unserved(self, request_id: int | str) -> Reply | None:
        """Why nothing is served to the client now; None if requests are."""
        if self.is_ended:
            return _declined(request_id, Declined(Reason.AUTHENTICATION_FAILED))
        if self.grant is None:
            message = None if self._methods is METHODS else TOKEN_IN_THE_HEADER
            return _declined(request_id, Declined(Reason.AUTHENTICATION_REQUIRED), message)
        if self.grant.expires_at is not None and self._register.clock() >= self.grant.expires_at:
            return _declined(request_id, Declined(Reason.AUTHENTICATION_FAILED))
        return None

    def _permit(
        self, request_id: int | str, method: Method, params: Any, size: int, judged_by: Grant | None = None
    ) -> Call | Reply:
        """``judged_by``: a grant that permits the request; if it is still the session's, its scopes are not asked."""
        unserved = self._unserved(request_id)
        if unserved is not None:
            return unserved
        assert self.grant is not None
        if self.grant is not judged_by and not self.grant.permits_everything:
            for need in NEEDS[method.name](params):
                if not self.grant.permits(need):
                    return _declined(request_id, Declined(Reason.FORBIDDEN, _lacking(method, need)))
        is_full = self.in_flight_bytes + size > self.limits.max_in_flight_bytes and self.in_flight > 0
        if is_full or self.in_flight >= self.limits.max_in_flight:
            return _declined(request_id, _window_full(self.limits.max_in_flight))
        self.in_flight += 1
        self.in_flight_bytes += size
        self.calls += 1
        return Call(request_id, method, params, self.grant.principal, size)


def _no_method(request: Request) -> Reply:
    declined = Declined(Reason.METHOD_NOT_FOUND, {"method": request.method[:64]})
    return _declined(request.id, declined, STREAMS_ELSEWHERE if request.method in METHODS else None)


def _lacking(method: Method, need: Need) -> dict[str, Any]:
    right = need.scope.partition(":")[0] if need.right is Right.CLIENT else need.right.value
    facts = {"method": method.name, "right": right, "scope": need.scope}
    return facts | ({"wallet": need.wallet} if need.wallet else {})


def _window_full(limit: int) -> Declined:
    what = "the session's window of unanswered requests"
    return Declined(Reason.OVERLOADED, {"what": what, "retry_after_ms": OVERLOAD_RETRY_MS, "limit": limit})


def success(request_id: int | str, result: Any) -> bytes:
    """The response that carries a result."""
    return _encode(Success(id=request_id, result=result))


def notification(method: str, params: Any) -> bytes:
    """The bytes of a notification."""
    return _encode(Notification(method=method, params=params))


def _declined(request_id: int | str | None, declined: Declined, message: str | None = None) -> Reply:
    return Reply(failure(request_id, declined.reason, declined.facts, message=message), declined)


def _limited(request_id: int | str | None, retry_after_ms: int) -> Reply:
    facts = {"what": "the session", "retry_after_ms": retry_after_ms}
    return _declined(request_id, Declined(Reason.RATE_LIMITED, facts))


def _invalid_params(request_id: int | str, error: msgspec.DecodeError) -> Reply:
    field, message = explain(str(error), "params")
    return _declined(request_id, Declined(Reason.INVALID_PARAMS, {"field": field}), message)


def _faulty(request_id: int | str | None, path: str, sentence: str) -> Reply:
    """The response to a JSON document that violates this protocol, at this path."""
    in_params = path.startswith("params.")
    field = path.removeprefix("params.")
    reason = Reason.INVALID_PARAMS if in_params else Reason.INVALID_REQUEST
    return _declined(request_id, Declined(reason, {"field": field}), sentence.format(field=field))


def _no_text(frame: bytes) -> Reply | None:
    """The response to JSON with half of a surrogate pair; None for anything else."""
    found = lone_surrogate(frame)
    if found is None or not isinstance(found[1], Mapping):
        return None
    path, document = found
    return _faulty(None if path == "id" else _readable_id(document), path, HALF_A_PAIR)


def _malformed(frame: bytes, error: Exception) -> Reply:
    try:
        document = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        return _no_text(frame) or _declined(
            None, Declined(Reason.PARSE_ERROR), f"the frame is not a JSON document: {unreadable}"
        )
    if isinstance(document, list):
        return _declined(None, NO_REQUEST, "JSON-RPC batches are not supported; send one request per frame")
    if not isinstance(document, Mapping):
        return _declined(None, NO_REQUEST, "a request must be a JSON object")
    if "method" in document and "id" not in document:
        no_id = Declined(Reason.INVALID_REQUEST, {"field": "id"})
        return _declined(None, no_id, "'id' is missing: notifications are not supported")
    field, message = explain(str(error), "the request")
    return _declined(_readable_id(document), Declined(Reason.INVALID_REQUEST, {"field": field}), message)


def _readable_id(document: Mapping[Any, Any]) -> int | str | None:
    """The request's id, if it is valid in this protocol; a malformed one is not echoed in full length."""
    try:
        request_id: int | str = msgspec.convert(document.get("id"), RequestId)
    except msgspec.ValidationError:
        return None
    return request_id
