"""Any frame, however broken: the session answers with a well-formed error or takes it as a call, and never raises."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import times
from tests.protocol.words import EXAMPLES, error_of, is_usable, request, session
from walletd.sessions.session import Call, Reply
from walletd.vocabulary.reasons import Reason

MUTANTS = times(2000)
FRAMES = [request(method, params) for method, params in EXAMPLES.items()]
SPLINTERS = [
    *b'{}[]:,"\\/ \n\x00\x7f\x80\xff0129-+.eE',
    *(b"null", b"true", b"1e999", b"-0", b"9" * 40, b"\\ud800", b"\\u0000", b'""', b"{}", b"[]", b"\xf0\x9f\x92\xb6"),
]
MALFORMED = {reason for reason in Reason if reason.is_malformed} - {Reason.INTERNAL_ERROR}


def mutants(dice: random.Random, count: int) -> Iterator[bytes]:
    """Frames of the protocol with up to four bytes changed, cut, doubled, or replaced by something of the other's."""
    for _ in range(count):
        frame = bytearray(dice.choice(FRAMES))
        for _ in range(dice.randint(1, 4)):
            _mutate(dice, frame)
        yield bytes(frame)


def _mutate(dice: random.Random, frame: bytearray) -> None:
    start = dice.randrange(len(frame) + 1)
    end = min(len(frame), start + dice.choice((0, 1, 1, 1, 8)))
    splinter = dice.choice(SPLINTERS)
    match dice.randrange(5):
        case 0:
            del frame[start:end]
        case 1:
            frame[start:start] = frame[start:end]
        case 2:
            frame[start:end] = bytes([splinter]) if isinstance(splinter, int) else splinter
        case 3:
            frame[start:start] = bytes([splinter]) if isinstance(splinter, int) else splinter
        case _:
            other = dice.choice(FRAMES)
            place = dice.randrange(len(other))
            frame[start:end] = other[place : place + 12]


def test_a_mutated_frame_is_a_call_or_gets_the_right_error(seed: int) -> None:
    asked = session()
    for number, frame in enumerate(mutants(random.Random(seed), MUTANTS)):
        try:
            answer_is_right(asked.receive(frame), frame)
        except BaseException as broken:
            raise AssertionError(f"TEST_SEED={seed}, frame {number}: {frame!r}") from broken
        asked.in_flight = 0
    assert is_usable(asked)


def answer_is_right(reply: Call | Reply, frame: bytes) -> None:
    """A call may be answered with success; an error says malformed, and parse error only for what is not JSON."""
    if isinstance(reply, Call):
        assert msgspec.json.decode(frame)["id"] == reply.id
        return
    document = json.loads(reply.frame)
    if "result" in document or document["error"]["data"]["reason"] == Reason.AUTHENTICATION_FAILED.value:
        return
    answer = error_of_any(reply)
    assert answer in MALFORMED
    if answer is Reason.PARSE_ERROR:
        assert not _is_json(frame)


def error_of_any(reply: Reply) -> Reason:
    """The reason of an error; what it quotes of the frame may hold braces."""
    document: dict[str, Any] = json.loads(reply.frame)
    reason = msgspec.convert(document["error"]["data"]["reason"], Reason)
    assert document["error"]["code"] == reason.code
    assert document["error"]["message"]
    return reason


def _is_json(frame: bytes) -> bool:
    try:
        msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=times(2), deadline=None)
@given(frame=st.binary(max_size=64))
def test_any_bytes_are_answered(frame: bytes) -> None:
    assert error_of(session().receive(frame)).reason in {Reason.PARSE_ERROR, Reason.INVALID_REQUEST}


@settings(max_examples=times(2), deadline=None)
@given(document=_json)
def test_any_json_is_answered(document: Any) -> None:
    reply = session().receive(json.dumps(document).encode())
    assert isinstance(reply, Reply)
    assert error_of_any(reply) in {Reason.PARSE_ERROR, Reason.INVALID_REQUEST}


@settings(max_examples=times(4), deadline=None)
@given(method=st.sampled_from(sorted(set(EXAMPLES) - {"session.authenticate"})), data=st.data())
def test_any_json_in_the_place_of_any_field_is_taken_or_refused_by_name(method: str, data: st.DataObject) -> None:
    params = dict(EXAMPLES[method])
    field = data.draw(st.sampled_from(sorted(params) or ["surprise"]))
    params[field] = data.draw(_json)
    reply = session().receive(request(method, params))
    if isinstance(reply, Reply) and error_of_any(reply) is Reason.INVALID_PARAMS:
        named = json.loads(reply.frame)["error"]["data"]["field"]
        # The keys of a free object stand in no declared field.
        assert named.startswith(field) or isinstance(params[field], dict)
