"""What is not a request gets its own clear error, changes nothing and leaves the session usable."""

from typing import Any

import pytest

from tests.protocol.words import Answer, error_of, is_usable, request, session
from walletd.sessions.session import Call
from walletd.vocabulary.reasons import Reason

PING = b'"jsonrpc":"2.0","method":"session.ping"'
AT_ITS_DEPTH = 100_000

NOT_JSON: list[tuple[str, bytes]] = [
    ("an empty frame", b""),
    ("white space", b" \n\t"),
    ("words", b"hello"),
    ("half an object", b'{"jsonrpc":"2.0","id":7'),
    ("a string that does not end", b'{"jsonrpc":"2.0'),
    ("two documents", b"{} {}"),
    ("a comma too many", b'{"id":7,}'),
    ("single quotes", b"{'id':7}"),
    ("a comment", b"{} // so"),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
    ("UTF-16", '{"id":7}'.encode("utf-16")),
    ("not a number", b"NaN"),
    ("a bare control character in a string", b'{"id":"\n"}'),
    ("bytes that are not UTF-8", b'{"jsonrpc":"2.0","id":"\xff","method":"session.ping"}'),
    ("arrays without end", b"[" * AT_ITS_DEPTH),
    ("objects without end", b'{"a":' * AT_ITS_DEPTH),
    ("deep params", b'{"jsonrpc":"2.0","id":7,"method":"asset.list","params":' + b"[" * AT_ITS_DEPTH),
    ("a number longer than anyone reads", b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"session.ping"}'),
]


@pytest.mark.parametrize("frame", [row[1] for row in NOT_JSON], ids=[row[0] for row in NOT_JSON])
def test_what_is_not_json_is_a_parse_error_without_an_id(frame: bytes) -> None:
    asked = session()
    answer = error_of(asked.receive(frame))
    assert (answer.reason, answer.id) == (Reason.PARSE_ERROR, None)
    assert answer.message.startswith("the frame is not a JSON document")
    assert is_usable(asked)


NOT_REQUESTS: list[tuple[str, bytes, int | str | None, str | None, str]] = [
    # what it is, the frame, the id in the answer, the field that the answer names, what its message says
    ("null", b"null", None, None, "a request must be a JSON object"),
    ("a number", b"7", None, None, "a request must be a JSON object"),
    ("a string", b'"session.ping"', None, None, "a request must be a JSON object"),
    ("a batch", b'[{"id":1,' + PING + b"}]", None, None, "send one request per frame"),
    ("an empty batch", b"[]", None, None, "send one request per frame"),
    ("an empty object", b"{}", None, "jsonrpc", '"2.0"'),
    ("no jsonrpc", b'{"id":7,"method":"session.ping"}', 7, "jsonrpc", '"2.0"'),
    ("jsonrpc of another version", b'{"jsonrpc":"1.0","id":7,"method":"session.ping"}', 7, "jsonrpc", '"2.0"'),
    ("jsonrpc as a number", b'{"jsonrpc":2.0,"id":7,"method":"session.ping"}', 7, "jsonrpc", '"2.0"'),
    ("a notification", b"{" + PING + b"}", None, "id", "notifications are not supported"),
    ("id null", b'{"id":null,' + PING + b"}", None, "id", "a whole number up to 2^53-1 or a string"),
    ("id true", b'{"id":true,' + PING + b"}", None, "id", "a whole number up to 2^53-1 or a string"),
    ("id a fraction", b'{"id":1.5,' + PING + b"}", None, "id", "a whole number up to 2^53-1 or a string"),
    ("id an array", b'{"id":[7],' + PING + b"}", None, "id", "a whole number up to 2^53-1 or a string"),
    ("id an object", b'{"id":{},' + PING + b"}", None, "id", "a whole number up to 2^53-1 or a string"),
    ("id 2^53", b'{"id":9007199254740992,' + PING + b"}", None, "id", "a whole number up to 2^53-1"),
    ("id -2^53", b'{"id":-9007199254740992,' + PING + b"}", None, "id", "a whole number up to 2^53-1"),
    ("id 10^29", b'{"id":1' + b"0" * 29 + b"," + PING + b"}", None, "id", "a whole number up to 2^53-1"),
    ("id of 65 letters", b'{"id":"' + b"a" * 65 + b'",' + PING + b"}", None, "id", "at most 64"),
    ("no method", b'{"jsonrpc":"2.0","id":7}', 7, "method", "'method' is missing"),
    ("method a number", b'{"jsonrpc":"2.0","id":7,"method":5}', 7, "method", "expected `str`"),
    ("method null", b'{"jsonrpc":"2.0","id":7,"method":null}', 7, "method", "expected `str`"),
    ("an extra field", b'{"id":7,"token":"x",' + PING + b"}", 7, "token", "remove it"),
    ("a response", b'{"jsonrpc":"2.0","id":7,"result":{}}', 7, "result", "remove it"),
]


@pytest.mark.parametrize(
    ("frame", "request_id", "field", "message"), [row[1:] for row in NOT_REQUESTS], ids=[row[0] for row in NOT_REQUESTS]
)
def test_json_that_is_not_a_request_is_refused_by_what_is_wrong_with_it(
    frame: bytes, request_id: int | str | None, field: str | None, message: str
) -> None:
    asked = session()
    answer = error_of(asked.receive(frame))
    assert (answer.reason, answer.id, answer.field) == (Reason.INVALID_REQUEST, request_id, field)
    assert message in answer.message
    assert is_usable(asked)


@pytest.mark.parametrize("request_id", [0, -1, 2**53 - 1, -(2**53) + 1, "", "a", "a" * 64, "ü", "7"])
def test_an_id_comes_back_as_it_was_sent(request_id: int | str) -> None:
    call = session().receive(request("wallet.get", {"wallet": "bob"}, request_id))
    assert isinstance(call, Call)
    assert (call.id, type(call.id)) == (request_id, type(request_id))
    assert error_of(session().receive(request("wallet.get", {}, request_id))).id == request_id


@pytest.mark.parametrize("method", ["", "ping", "wallet", "wallet.Get", "wallet.get ", "rpc.discover\n", "__class__"])
def test_a_method_that_does_not_exist_is_named(method: str) -> None:
    asked = session()
    answer = error_of(asked.receive(request(method, {})))
    assert (answer.reason, answer.id, answer.data["method"]) == (Reason.METHOD_NOT_FOUND, 7, method)
    assert repr(method) in answer.message
    assert is_usable(asked)


def test_a_long_name_of_a_method_is_cut_in_the_answer() -> None:
    answer = error_of(session().receive(request("x" * 10_000, {})))
    assert answer.data["method"] == "x" * 64


def test_a_request_without_params_has_empty_ones() -> None:
    assert isinstance(session().receive(b'{"id":7,' + PING + b"}"), Call)


@pytest.mark.parametrize("params", [None, [], ["shop:1"], 5, "shop:1", True], ids=repr)
def test_params_that_are_not_an_object_are_refused(params: Any) -> None:
    asked = session()
    answer = error_of(asked.receive(request("wallet.get", params)))
    assert isinstance(answer, Answer)
    assert answer.reason is Reason.INVALID_PARAMS
    assert "expected `object`" in answer.message
    assert is_usable(asked)


def test_params_that_are_not_utf_8_are_refused() -> None:
    answer = error_of(session().receive(b'{"jsonrpc":"2.0","id":7,"method":"wallet.get","params":{"wallet":"\xff"}}'))
    assert (answer.reason, answer.id) == (Reason.INVALID_PARAMS, 7)


def test_what_was_refused_as_malformed_does_not_count_as_unanswered() -> None:
    asked = session()
    for frame in [row[1] for row in NOT_JSON] + [row[1] for row in NOT_REQUESTS]:
        asked.receive(frame)
    assert (asked.in_flight, asked.calls) == (0, 0)


@pytest.mark.parametrize("request_id", [2**53, -(2**53), 1.5, True, None, [], {}, "x" * 65, "x" * 100_000])
def test_an_id_that_is_none_of_this_protocol_does_not_come_back(request_id: Any) -> None:
    answer = error_of(session().receive(request("session.ping", {}, request_id)))
    assert (answer.reason, answer.id, answer.data["field"]) == (Reason.INVALID_REQUEST, None, "id")
