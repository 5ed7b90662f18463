"""A session: who its client is, and how many of its calls are unanswered."""

import json
from typing import Any

import msgspec
import pytest

from tests.ledger.cases import NOW, TICK
from tests.protocol.words import EXAMPLES, LIMITS, POSTING, error_of, grant, request
from walletd.protocol.methods import METHODS
from walletd.sessions.access import Grant, TokenRegister, token_hash
from walletd.sessions.session import Call, Reply, Session, notification, success
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.reasons import Reason

READ = request("wallet.get", {"wallet": "shop:1"})


def stranger() -> Session:
    """A session that has not authenticated; the token "viewer" may see shop:1, the token "operator" everything."""
    register = TokenRegister()
    register.admit("viewer", grant("view:shop:1"))
    register.admit("operator", Grant(Principal("operator"), ("admin",)))
    return Session(register, LIMITS)


def authenticate(asked: Session, token: str) -> Call | Reply:
    """Present a token."""
    return asked.receive(request("session.authenticate", {"token": token}))


# --- authentication --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [name for name in METHODS if name != "session.authenticate"])
def test_a_stranger_is_asked_to_authenticate_whatever_the_method(method: str) -> None:
    asked = stranger()
    answer = error_of(asked.receive(request(method, EXAMPLES[method])))
    assert (answer.reason, answer.id) == (Reason.AUTHENTICATION_REQUIRED, 7)
    assert "session.authenticate" in answer.message
    assert (asked.in_flight, asked.calls) == (0, 0)


def test_a_token_in_force_makes_the_stranger_its_principal() -> None:
    asked = stranger()
    reply = authenticate(asked, "viewer")
    assert isinstance(reply, Reply)
    assert reply.declined is None
    assert json.loads(reply.frame) == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"principal": "a-client", "scopes": ["view:shop:1"]},
    }
    call = asked.receive(READ)
    assert isinstance(call, Call)
    assert call.principal == "a-client"


@pytest.mark.parametrize("token", ["nobody's", "viewer ", "VIEWER", "\x00"])
def test_a_token_that_nobody_issued_fails_and_is_counted(token: str) -> None:
    asked = stranger()
    answer = error_of(authenticate(asked, token))
    assert (answer.reason, answer.id) == (Reason.AUTHENTICATION_FAILED, 7)
    assert asked.failed_authentications == 1
    assert asked.grant is None


def test_the_answer_to_a_wrong_token_does_not_repeat_it() -> None:
    reply = authenticate(stranger(), "somebody's secret")
    assert isinstance(reply, Reply)
    assert b"secret" not in reply.frame


def test_after_a_wrong_token_the_right_one_still_works() -> None:
    asked = stranger()
    authenticate(asked, "wrong")
    authenticate(asked, "viewer")
    assert isinstance(asked.receive(READ), Call)


@pytest.mark.parametrize(("first", "second"), [("operator", "viewer"), ("viewer", "operator")])
def test_a_session_never_becomes_another_client(first: str, second: str) -> None:
    asked = stranger()
    authenticate(asked, first)
    before = asked.grant
    answer = error_of(authenticate(asked, second))
    assert (answer.reason, asked.grant) == (Reason.FORBIDDEN, before)
    assert "separate connection" in answer.message


def test_another_token_of_the_same_client_takes_the_place_of_the_first() -> None:
    asked = stranger()
    authenticate(asked, "viewer")
    asked._register.admit("fresh", grant("view:shop:1"))
    authenticate(asked, "fresh")
    assert asked.grant is not None
    assert asked.grant.token_sha256 == token_hash("fresh")


def test_a_token_is_in_force_until_the_microsecond_of_its_expiry() -> None:
    now = [NOW]
    register = TokenRegister(clock=lambda: now[0])
    register.admit("viewer", msgspec.structs.replace(grant("view:shop:1"), expires_at=NOW + TICK))
    asked = Session(register, LIMITS)
    authenticate(asked, "viewer")
    assert isinstance(asked.receive(READ), Call)
    now[0] = NOW + TICK
    assert error_of(asked.receive(READ)).reason is Reason.AUTHENTICATION_FAILED
    assert error_of(authenticate(asked, "viewer")).reason is Reason.AUTHENTICATION_FAILED
    register.admit("fresh", grant("view:shop:1"))
    authenticate(asked, "fresh")
    assert isinstance(asked.receive(READ), Call)


def test_a_session_that_was_ended_is_not_served_any_more_whatever_it_presents() -> None:
    asked = stranger()
    authenticate(asked, "viewer")
    asked.end()
    assert error_of(asked.receive(READ)).reason is Reason.AUTHENTICATION_FAILED
    assert error_of(authenticate(asked, "viewer")).reason is Reason.AUTHENTICATION_FAILED
    assert error_of(asked.receive(READ)).reason is Reason.AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("method", "params", "scope"),
    [
        ("wallet.get", {"wallet": "bob"}, "view:bob"),
        ("wallet.list", {"prefix": "shop"}, "view:shop*"),
        ("stream.subscribe", {"all": True}, "operate"),
        ("transfer.post", {"command_id": "c", "postings": [POSTING]}, "spend:shop:1"),
        ("wallet.freeze", {"command_id": "c", "wallet": "@fees", "why": "w"}, "admin"),
        ("client.revoke", {"command_id": "c", "client": "shop/x"}, "spend:WALLET"),
        ("daemon.status", {}, "metrics"),
    ],
)
def test_who_is_forbidden_something_is_told_the_scope_that_is_missing(method: str, params: Any, scope: str) -> None:
    asked = stranger()
    authenticate(asked, "viewer")
    answer = error_of(asked.receive(request(method, params)))
    assert (answer.reason, answer.data["scope"]) == (Reason.FORBIDDEN, scope)
    assert scope in answer.message


def test_a_wrong_token_takes_nothing_from_who_is_authenticated() -> None:
    asked = stranger()
    authenticate(asked, "viewer")
    authenticate(asked, "wrong")
    assert isinstance(asked.receive(READ), Call)


def test_authenticating_is_no_call_and_needs_no_room() -> None:
    asked = stranger()
    for _ in range(10 * LIMITS.max_in_flight):
        authenticate(asked, "viewer")
    assert (asked.in_flight, asked.calls) == (0, 0)


# --- order of the refusals -------------------------------------------------------------------------------------------


def full(asked: Session) -> Session:
    """The session with as many unanswered calls as it may have."""
    asked.in_flight = asked.limits.max_in_flight
    return asked


ORDER: list[tuple[Reason, bytes, bool]] = [
    # what is answered to a full session of a viewer or a stranger
    (Reason.PARSE_ERROR, b"{", False),
    (Reason.INVALID_REQUEST, b"{}", False),
    (Reason.METHOD_NOT_FOUND, request("no.such", {}), False),
    (Reason.INVALID_PARAMS, request("daemon.status", {"x": 1}), False),
    (Reason.AUTHENTICATION_REQUIRED, request("daemon.status", {}), False),
    (Reason.FORBIDDEN, request("daemon.audit", {}), True),
    (Reason.OVERLOADED, READ, True),
]


@pytest.mark.parametrize(("reason", "frame", "authenticated"), ORDER, ids=[row[0].value for row in ORDER])
def test_of_several_reasons_the_session_answers_the_earliest_of_the_enum(
    reason: Reason, frame: bytes, authenticated: bool
) -> None:
    asked = full(stranger())
    if authenticated:
        authenticate(asked, "viewer")
    assert error_of(asked.receive(frame)).reason is reason


def test_the_order_of_the_session_is_the_order_of_the_enum() -> None:
    places = [list(Reason).index(row[0]) for row in ORDER]
    assert places == sorted(places)


# --- unanswered calls ------------------------------------------------------------------------------------------------


def test_calls_are_taken_up_to_the_bound_and_then_refused_until_one_is_answered() -> None:
    asked = Session(TokenRegister(), LIMITS, grant("admin"))
    for number in range(1, LIMITS.max_in_flight + 1):
        assert isinstance(asked.receive(READ), Call)
        assert asked.in_flight == number
    answer = error_of(asked.receive(READ))
    assert answer.reason is Reason.OVERLOADED
    assert (answer.data["limit"], answer.data["retry_after_ms"]) == (LIMITS.max_in_flight, 50)
    assert "unanswered" in answer.message
    asked.answered()
    assert isinstance(asked.receive(READ), Call)


def test_a_refused_call_takes_no_room_and_is_not_counted() -> None:
    asked = Session(TokenRegister(), LIMITS, grant("view:shop:1"))
    asked.receive(request("daemon.status", {}))
    assert (asked.in_flight, asked.calls) == (0, 0)


def test_calls_are_counted_for_the_life_of_the_session() -> None:
    asked = Session(TokenRegister(), LIMITS, grant("admin"))
    for _ in range(10):
        asked.receive(READ)
        asked.answered()
    assert (asked.in_flight, asked.calls) == (0, 10)


def test_answering_more_than_was_asked_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        Session(TokenRegister(), LIMITS).answered()


def test_two_unanswered_calls_may_carry_the_same_id() -> None:
    asked = Session(TokenRegister(), LIMITS, grant("admin"))
    assert isinstance(asked.receive(READ), Call)
    assert isinstance(asked.receive(READ), Call)


# --- what the session writes -----------------------------------------------------------------------------------------


def test_a_success_carries_the_id_and_the_result() -> None:
    assert json.loads(success("a", {"x": 1})) == {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}}


def test_a_notification_carries_no_id() -> None:
    assert json.loads(notification("lifecycle", {})) == {"jsonrpc": "2.0", "method": "lifecycle", "params": {}}
