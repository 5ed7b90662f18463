"""A long batch is read command by command, and every answer is that to the same frame read in one piece."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.protocol.shapes import changed, objects_in, places_of, without
from tests.protocol.words import EXAMPLES, error_of, request, session
from walletd.protocol.methods import METHODS
from walletd.sessions.access import Grant
from walletd.sessions.session import Call, Reply, Session
from walletd.vocabulary.identifiers import Principal
from walletd.vocabulary.reasons import Reason

BATCH = EXAMPLES["batch.execute"]
PAYMENT = {"method": "transfer.post", "postings": [{"from": "shop:1", "to": "bob", "asset": "EUR", "amount": "1"}]}


def in_steps(asked: Session, frame: bytes, between: Callable[[], object] = lambda: None) -> Call | Reply:
    """What comes of the frame, with something done between any two steps."""
    steps = asked.receive_in_steps(frame)
    while True:
        try:
            assert next(steps) >= 0
        except StopIteration as done:
            answer: Call | Reply = done.value
            return answer
        between()


def batch(count: int, **more: Any) -> dict[str, Any]:
    return {
        "command_id": "b",
        "commands": [{**copy.deepcopy(PAYMENT), "command_id": f"c{at}"} for at in range(count)],
        **more,
    }


def frames() -> Iterator[bytes]:
    """Frames with a batch that is well-formed, and with one that is wrong in one place."""
    yield request("batch.execute", BATCH)
    yield request("batch.execute", batch(300), "a name")
    yield request("batch.execute", batch(3, atomic=True, dry_run=False))
    yield request("batch.execute", {**BATCH, "commands": []})
    yield request("batch.execute", batch(1_001))
    for place in places_of(METHODS["batch.execute"].params, BATCH):
        if place.is_required:
            yield request("batch.execute", without(BATCH, place.path))
        for value in (*place.wrong_values, "", "ü", "x" * 100):
            yield request("batch.execute", changed(BATCH, place.path, value))
    for path in objects_in(METHODS["batch.execute"].params, BATCH):
        yield request("batch.execute", changed(BATCH, (*path, "surprise"), 1))
    times = batch(2, valid_until="2030-01-01T02:00:00+02:00")
    times["commands"][1]["valid_until"] = "2030-01-01T02:00:00+02:00"
    yield request("batch.execute", times)
    whole = request("batch.execute", batch(3))
    for old, new in (
        (b'"c1"', b'"c1", "command_id": "c9"'),
        (b'"amount": "1"', b'"amount": "1", "amount": "2"'),
        (b'"b"', b'"b", "command_id": "b"'),
        (b'"id": 7', b'"id": 7, "id": 8'),
        (b'"c2"', b'"c\\u0032"'),
        (b'"c2"', b'"c2", "reference": "\\ud800"'),
        (b'"c2"', b'"c2", "metadata": {"a": "1", "\\u0061": "2"}'),
        (b'"b"', b'"\\ud800"'),
        (b'"b"', b'"b\xff"'),
        (b'"bob"', b'"bob\xff"'),
        (b'"commands": [', b'"commands": [], "commands": ['),
        (b'"commands": [', b'"commands" : [ '),
    ):
        assert old in whole
        yield whole.replace(old, new, 1)
    yield request("wallet.get", {"wallet": "shop:1"})
    yield request("no.method", {})
    yield b"no json"


def answer_of(reply: Call | Reply) -> object:
    return reply if isinstance(reply, Call) else (reply.frame, reply.declined)


def test_every_frame_has_the_answer_that_it_has_in_one_piece() -> None:
    seen = {Call: 0, Reply: 0}
    for frame in frames():
        whole = session().receive(frame)
        assert answer_of(in_steps(session(), frame)) == answer_of(whole), frame[:300]
        seen[type(whole)] += 1
    assert min(seen.values()) >= 5


def test_frames_with_random_damage_are_answered_as_in_one_piece(chance: random.Random) -> None:
    whole = request("batch.execute", batch(20))
    for _ in range(500):
        place = chance.randrange(len(whole))
        frame = whole[:place] + bytes([chance.randrange(256)]) + whole[place + chance.randrange(2) :]
        one, other = in_steps(session(), frame), session().receive(frame)
        assert type(one) is type(other), repr(frame)
        if isinstance(one, Call):
            assert one == other, repr(frame)


def test_a_batch_of_two_faults_names_the_one_that_comes_first() -> None:
    asked = batch(3)
    asked["commands"][1]["postings"][0]["amount"] = 1
    asked["commands"][2]["surprise"] = 1
    assert error_of(in_steps(session(), request("batch.execute", asked))).field == "commands[1].postings[0].amount"


def test_a_long_batch_needs_the_rights_of_each_of_its_commands() -> None:
    asked = batch(300)
    assert isinstance(in_steps(session("spend:shop:*"), request("batch.execute", asked)), Call)
    asked["commands"][200]["postings"][0]["from"] = "bob"
    assert error_of(in_steps(session("spend:shop:*"), request("batch.execute", asked))).reason is Reason.FORBIDDEN


@pytest.mark.parametrize("steps", [1, 150, 900])
def test_a_session_that_ends_between_two_steps_asks_for_nothing(steps: int) -> None:
    asked, left = session("spend:shop:*"), steps

    def between() -> None:
        nonlocal left
        left -= 1
        if not left:
            asked.end()

    reply = in_steps(asked, request("batch.execute", batch(300)), between)
    assert error_of(reply).reason is Reason.AUTHENTICATION_FAILED
    assert asked.in_flight == 0


def test_scopes_that_are_narrowed_between_two_steps_count() -> None:
    asked, left = session("spend:shop:*"), 450

    def between() -> None:
        nonlocal left
        left -= 1
        if not left:
            asked.grant = Grant(Principal("a-client"), ("spend:bob",))

    reply = in_steps(asked, request("batch.execute", batch(300)), between)
    assert left <= 0
    assert error_of(reply).reason is Reason.FORBIDDEN


def test_no_step_of_a_batch_reads_more_than_one_command() -> None:
    frame = request("batch.execute", batch(1_000))
    steps = session().receive_in_steps(frame)
    costs = list(steps)
    assert len(costs) > 2_000
    assert max(costs) <= len(frame) // 8
    assert len(json.dumps({**PAYMENT, "command_id": "c999"})) >= sorted(costs)[-5]
