"""What is fuzzed in memory: one connection's frames, and one session's requests, each with its oracle."""

import json
import random
import re

from tests.contract.witness import published
from tests.fuzz.oracle import TAKEN, read, verdict
from tests.gateway.wires import LIMIT, opened, policy, sent_frames
from tests.protocol.words import session
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.sessions.session import Call, Reply, Session

CLOSE, PONG = 8, 10
SCHEMA_EACH = 10
"""Of so many errors one is held against the contract's schema, which takes longer than all else."""


def judge_frames(data: bytes) -> None:
    """The adapter makes of these bytes what RFC 6455 says, in one read or in several."""
    expected = read(data, LIMIT)
    chance = random.Random(len(data))
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
    frames = opened()
    messages: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        messages += frames.receive(data[start:end])
        assert frames.held_bytes < 4 * LIMIT + 8 * 1024
    sent = sent_frames(frames.data_to_send())
    closed = next((payload for opcode, payload in sent if opcode == CLOSE), None)
    assert messages == expected.messages
    assert [payload for opcode, payload in sent if opcode == PONG] == expected.pongs
    assert (None if closed is None else closed[:2]) == (None if expected.closed is None else expected.closed[:2])
    assert closed is None or sent[-1][0] == CLOSE, "nothing follows a close frame"
    assert frames.is_finished == (expected.closed is not None)
    frames.receive_eof()
    assert frames.is_finished


def judge_post(data: bytes) -> None:
    """A request over HTTP is taken with exactly the body that it announced once, or refused as JSON, or waited for."""
    chance = random.Random(len(data))
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
    frames = FrameProtocol(policy())
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        assert frames.receive(data[start:end]) == []
        assert frames.held_bytes < 2 * LIMIT + 8 * 1024
        if frames.handshake is not None:
            break
    sent = frames.data_to_send().removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if frames.handshake is None:
        assert not sent or (frames.is_finished and frames.refused)
        if sent.partition(b"\r\n\r\n")[0].count(b"application/json") and frames.refused != "page":
            assert json.loads(sent.partition(b"\r\n\r\n")[2])["error"]["data"]["outcome"] == "not_applied"
        return
    if frames.handshake.body is None:
        assert sent.startswith(b"HTTP/1.1 101 ")
        return
    head, _, rest = data.partition(b"\r\n\r\n")
    lengths = re.findall(rb"^content-length:[ \t]*([0-9]+)[ \t]*\r?$", head, re.IGNORECASE | re.MULTILINE)
    assert len(lengths) == 1
    assert frames.handshake.body == rest[: int(lengths[0])]
    assert len(frames.handshake.body) == int(lengths[0]) <= LIMIT
    assert b"transfer-encoding" not in head.lower()
    assert not sent


class Requests:
    """A session of an admin, which lives through all of them."""

    def __init__(self) -> None:
        self.session: Session = session("admin")
        self.answers: dict[str, int] = {}
        self.judged = 0

    def judge(self, frame: bytes) -> None:
        """The text is taken, or answered with the right error, and then nothing of the session is changed."""
        asked = self.session
        before = (asked.grant, asked.calls, asked.in_flight, asked.in_flight_bytes, asked.is_ended)
        answer = asked.receive(frame)
        if isinstance(answer, Call):
            asked.answered(answer.size)
            found = TAKEN
        else:
            assert (asked.grant, asked.calls, asked.in_flight, asked.in_flight_bytes, asked.is_ended) == before
            found = self._judge_error(answer)
        self.answers[found] = self.answers.get(found, 0) + 1
        allowed = verdict(frame)
        assert found in allowed, f"{found}, where it ought to be {allowed}: {answer!r}"

    def _judge_error(self, answer: Reply) -> str:
        response = json.loads(answer.frame)
        self.judged += 1
        assert self.judged % SCHEMA_EACH or not published().faults("error", response), response
        error = response["error"]
        assert error["message"]
        assert error["data"]["outcome"] == "not_applied"
        reason: str = error["data"]["reason"]
        assert answer.declined is not None
        assert answer.declined.reason.value == reason
        assert error["code"] == published().rows[reason]["code"]
        assert (response["id"] is None) >= (reason == "parse_error")
        return TAKEN if reason == "authentication_failed" else reason
