"""The conversation without sockets: what goes out, what comes in, what an answer means."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.client.fake_daemon import applied, hello
from walletd.client import requests
from walletd.client.conversation import Conversation
from walletd.client.errors import (
    AuthenticationFailed,
    ClientError,
    NotReachable,
    OutcomeUnknown,
    Refused,
    RequestFailed,
    UnreadableAnswer,
)
from walletd.client.exchange import Exchange
from walletd.client.requests import Request
from walletd.protocol.methods import METHODS
from walletd.vocabulary.reasons import Reason

ENDED: list[Exchange[Any]] = []


def greeted(conversation: Conversation, **changes: Any) -> None:
    """A connection is open and the daemon has spoken."""
    say(conversation, method="hello", params=hello(**changes))


def say(conversation: Conversation, now: float = 0.0, **message: Any) -> None:
    """The daemon says this."""
    conversation.receive(msgspec.json.encode({"jsonrpc": "2.0", **message}), now)


def fail(
    conversation: Conversation, exchange: Exchange[Any], reason: Reason, outcome: str = "not_applied", **facts: Any
) -> None:
    """The daemon answers the exchange with an error."""
    data = {"reason": reason.value, "outcome": outcome, "retry": reason.retry.value, **facts}
    say(conversation, id=exchange.id, error={"code": reason.code, "message": "no", "data": data})


def a_command() -> Request[Any]:
    return requests.open_wallet("alice", None, "c1")


def a_read() -> Request[Any]:
    return requests.wallet("alice")


@pytest.fixture
def conversation() -> Conversation:
    """A conversation with a connection."""
    conversation = Conversation(random=lambda: 0.0)
    greeted(conversation)
    ENDED.clear()
    return conversation


def begin(conversation: Conversation, asked: Request[Any]) -> Exchange[Any]:
    """A request that was sent."""
    exchange = conversation.begin(asked, ENDED.append)
    assert conversation.outgoing(0.0) == [exchange.frame]
    return exchange


EVERY_REQUEST: list[Request[Any]] = [
    requests.define_asset("EUR", 2, None),
    requests.open_wallet("alice", {"note": "x"}, None),
    requests.open_wallet("alice", None, "mine"),
    requests.post(
        [("alice", "bob", "EUR", 1250)],
        reference="r",
        metadata={"a": "b"},
        command_id=None,
        if_version={"alice": 3},
        valid_until=datetime(2030, 1, 1, tzinfo=UTC),
        dry_run=True,
    ),
    requests.assets(),
    requests.wallet("alice"),
    requests.wallet_page("a", "alice", 10),
    requests.balances("alice", None),
    requests.statement_page("alice", "EUR", True, "1.0", 10),
    requests.transfer("t12"),
    requests.entry(1, None),
    requests.entry(None, "mine"),
    requests.entry_page(0, 10),
    requests.ping(),
    requests.status(),
    requests.audit(),
    requests.raw("wallet.open", {"wallet": "alice"}),
]


@pytest.mark.parametrize("asked", EVERY_REQUEST, ids=lambda asked: asked.method)
def test_every_request_fits_its_method(asked: Request[Any]) -> None:
    METHODS[asked.method].decoder.decode(msgspec.json.encode(asked.params))
    assert issubclass(asked.result, METHODS[asked.method].result) or asked.result == dict[str, Any]


def test_nothing_goes_out_before_the_hello() -> None:
    conversation = Conversation(random=lambda: 0.0)
    exchange = conversation.begin(a_read(), ENDED.append)
    assert conversation.outgoing(0.0) == []
    greeted(conversation)
    assert conversation.outgoing(0.0) == [exchange.frame]


def test_a_token_that_lost_its_header_on_the_way_is_the_first_request_and_alone() -> None:
    conversation = Conversation(random=lambda: 0.0, token="secret")
    waiting = conversation.begin(a_command(), ENDED.append)
    greeted(conversation, auth={"required": True})
    (frame,) = conversation.outgoing(0.0)
    introduction = msgspec.json.decode(frame)
    assert (introduction["method"], introduction["params"]) == ("session.authenticate", {"token": "secret"})
    assert conversation.outgoing(0.0) == []
    say(conversation, id=introduction["id"], result={"principal": "operator", "scopes": ["admin"]})
    assert conversation.outgoing(0.0) == [waiting.frame]


def test_a_token_that_is_not_taken_as_the_first_request_stops_the_client() -> None:
    conversation = Conversation(random=lambda: 0.0, token="secret")
    greeted(conversation, auth={"required": True})
    introduction = msgspec.json.decode(conversation.outgoing(0.0)[0])
    reason = Reason.AUTHENTICATION_FAILED
    say(
        conversation,
        id=introduction["id"],
        error={"code": reason.code, "message": "no", "data": {"reason": reason.value}},
    )
    assert isinstance(conversation.stopped, AuthenticationFailed)
    assert "secret" not in str(conversation.stopped)


def test_a_connection_lost_before_the_token_was_taken_decides_nothing_about_it() -> None:
    conversation = Conversation(random=lambda: 0.0, token="secret")
    for answered in (False, True):
        greeted(conversation, auth={"required": True})
        frames = conversation.outgoing(0.0) if answered else []
        conversation.lost()
        assert conversation.stopped is None
        assert conversation.outgoing(0.0) == [], frames


def test_an_empty_command_id_is_the_callers_mistake_and_is_not_replaced() -> None:
    for asked in (
        requests.open_wallet("alice", None, ""),
        requests.raw("wallet.open", {"wallet": "alice", "command_id": ""}),
    ):
        assert asked.params["command_id"] == ""


def test_what_its_caller_gave_up_leaves_nothing_behind_while_there_is_no_connection(conversation: Conversation) -> None:
    conversation.lost()
    for _ in range(1000):
        conversation.abandon(conversation.begin(a_command(), ENDED.append))
    kept = conversation.begin(a_read(), ENDED.append)
    assert len(conversation._waiting) == 1
    greeted(conversation)
    assert conversation.outgoing(0.0) == [kept.frame]


def test_frames_that_cannot_be_read_or_were_not_asked_for_are_passed_over(conversation: Conversation) -> None:
    for frame in (b"", b"\xff", b"[]", b'{"id":77,"result":{}}', b'{"method":"later.notice","params":[]}'):
        conversation.receive(frame, 0.0)
    say(conversation, method="stream.event", params={"subscription": 9})
    assert ENDED == []


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.INVALID_PARAMS, RequestFailed),
        (Reason.INTERNAL_ERROR, RequestFailed),
        (Reason.FORBIDDEN, RequestFailed),
        (Reason.WALLET_QUARANTINED, RequestFailed),
        (Reason.UNKNOWN_WALLET, RequestFailed),
        (Reason.COMMAND_ID_REUSED, Refused),
        (Reason.INSUFFICIENT_FUNDS, Refused),
    ],
)
def test_an_error_ends_the_exchange(conversation: Conversation, reason: Reason, error: type[RequestFailed]) -> None:
    exchange = begin(conversation, a_command())
    fail(conversation, exchange, reason)
    assert type(exchange.error) is error
    assert exchange.error.reason is reason
    assert exchange.error.command_id == "c1"


def test_a_reason_of_a_later_version_is_kept_as_its_word(conversation: Conversation) -> None:
    exchange = begin(conversation, a_command())
    say(conversation, id=exchange.id, error={"code": 3999, "message": "no", "data": {"reason": "moon_is_full"}})
    assert isinstance(exchange.error, Refused)
    assert exchange.error.reason == exchange.error.word == "moon_is_full"


@pytest.mark.parametrize("reason", [Reason.DRAINING, Reason.OVERLOADED, Reason.RATE_LIMITED, Reason.UNAVAILABLE])
def test_a_busy_answer_is_followed_by_the_same_frame_when_the_daemon_says(
    conversation: Conversation, reason: Reason
) -> None:
    exchange = begin(conversation, a_command())
    fail(conversation, exchange, reason, retry_after_ms=250)
    assert conversation.next_due == 0.25
    assert conversation.outgoing(0.2) == []
    assert conversation.outgoing(0.25) == [exchange.frame]
    say(conversation, id=exchange.id, result=applied(3))
    assert exchange.outcome().sequence == 3


def test_those_who_are_told_the_same_time_do_not_come_back_together() -> None:
    due = []
    for chance in (0.0, 0.5, 1.0):
        conversation = Conversation(random=lambda chance=chance: chance)  # type: ignore[misc]
        greeted(conversation)
        fail(conversation, begin(conversation, a_command()), Reason.OVERLOADED, retry_after_ms=1000)
        due.append(conversation.next_due)
    assert due == [1.0, 1.25, 1.5]


def test_an_error_with_unknown_outcome_is_asked_again(conversation: Conversation) -> None:
    exchange = begin(conversation, a_command())
    fail(conversation, exchange, Reason.INTERNAL_ERROR, "unknown")
    assert isinstance(exchange.overdue(1), OutcomeUnknown)
    assert conversation.outgoing(9.0) == [exchange.frame]


DOUBTS: list[tuple[Reason, type[Exception]]] = [
    (Reason.FORBIDDEN, OutcomeUnknown),
    (Reason.AUTHENTICATION_REQUIRED, OutcomeUnknown),
    (Reason.WALLET_QUARANTINED, OutcomeUnknown),
    (Reason.INVALID_PARAMS, RequestFailed),
    (Reason.COMMAND_ID_REUSED, Refused),
    (Reason.COMMAND_EXPIRED, Refused),
    (Reason.INSUFFICIENT_FUNDS, Refused),
]


@pytest.mark.parametrize(("reason", "error"), DOUBTS)
def test_after_a_lost_connection_only_a_decision_removes_the_doubt(
    conversation: Conversation, reason: Reason, error: type[Exception]
) -> None:
    exchange = begin(conversation, a_command())
    conversation.lost()
    greeted(conversation)
    assert conversation.outgoing(0.0) == [exchange.frame]
    fail(conversation, exchange, reason)
    assert type(exchange.error) is error


OVERDUE: list[tuple[Request[Any], str, type[Exception]]] = [
    (a_command(), "queued", NotReachable),
    (a_command(), "sent", OutcomeUnknown),
    (a_command(), "lost", OutcomeUnknown),
    (a_command(), "busy", RequestFailed),
    (a_command(), "lost and busy", OutcomeUnknown),
    (a_read(), "sent", NotReachable),
    (a_read(), "busy", RequestFailed),
]


@pytest.mark.parametrize(("asked", "fate", "error"), OVERDUE)
def test_what_a_passed_deadline_means(
    conversation: Conversation, asked: Request[Any], fate: str, error: type[Exception]
) -> None:
    exchange = conversation.begin(asked, ENDED.append)
    if fate != "queued":
        conversation.outgoing(0.0)
    if "lost" in fate:
        conversation.lost()
        greeted(conversation)
        conversation.outgoing(0.0)
    if "busy" in fate:
        fail(conversation, exchange, Reason.OVERLOADED)
    elif fate == "lost":
        conversation.lost()
    assert type(exchange.overdue(1)) is error


def test_unanswered_requests_go_first_on_the_next_connection_and_in_order(conversation: Conversation) -> None:
    sent = [begin(conversation, a_read()) for _ in range(3)]
    abandoned = begin(conversation, a_read())
    conversation.abandon(abandoned)
    waiting = conversation.begin(a_read(), ENDED.append)
    conversation.lost()
    greeted(conversation)
    assert conversation.outgoing(0.0) == [exchange.frame for exchange in (*sent, waiting)]


def test_an_unknown_method_without_a_command_id_is_not_sent_twice(conversation: Conversation) -> None:
    exchange = begin(conversation, requests.raw("wallet.paint", {"name": "x"}))
    conversation.lost()
    assert type(exchange.error) is OutcomeUnknown


def test_an_abandoned_request_keeps_its_place_in_the_window_until_it_is_answered(conversation: Conversation) -> None:
    greeted(conversation, limits={"max_frame_bytes": 1000, "max_in_flight": 1, "max_subscriptions": 1})
    first = begin(conversation, a_read())
    conversation.abandon(first)
    second = conversation.begin(a_read(), ENDED.append)
    assert conversation.outgoing(0.0) == []
    say(conversation, id=first.id, result={})
    assert conversation.outgoing(0.0) == [second.frame]
    assert ENDED == []


def test_a_result_that_cannot_be_read_says_that_the_request_succeeded(conversation: Conversation) -> None:
    exchange = begin(conversation, a_command())
    say(conversation, id=exchange.id, result={"sequence": "seven"})
    assert isinstance(exchange.error, UnreadableAnswer)


def test_after_it_stopped_every_call_gets_the_reason(conversation: Conversation) -> None:
    sent, waiting = begin(conversation, a_command()), conversation.begin(a_command(), ENDED.append)
    conversation.stop(ClientError("over"))
    assert type(sent.error) is OutcomeUnknown
    assert str(waiting.error) == "over"
    with pytest.raises(ClientError, match="over"):
        conversation.begin(a_read(), ENDED.append)


def test_the_lifecycle_in_hello_follows_the_daemon(conversation: Conversation) -> None:
    say(conversation, method="lifecycle", params={"lifecycle": "draining", "retry_after_ms": 100})
    assert conversation.hello is not None
    assert conversation.hello.lifecycle.value == "draining"
