"""Malformed input in memory: the right code or the right error, nothing changed, nothing raised.

``TEST_FUZZ=100000000`` for a soak; ``TEST_FUZZ_SEED`` for other inputs.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.fuzz import inputs
from tests.fuzz.search import INPUTS, SEED, search
from tests.fuzz.targets import Requests, judge_frames, judge_post
from tests.gateway.sessions import ADMIN, Desk, furnish, open_desk, payment
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods import dispatch
from walletd.journal.memory.store import MemoryJournalStore
from walletd.protocol.methods import METHODS
from walletd.sessions.session import Session

ON_THE_DESK = INPUTS // 20
FRAMES = INPUTS // 2
REQUESTS = INPUTS - FRAMES - ON_THE_DESK
POSTS = INPUTS // 100
AT_ONCE = 50


@pytest.mark.timeout(0)
def test_whatever_a_client_sends_the_adapter_reads_it_as_the_rfc_does() -> None:
    search("frames", FRAMES, inputs.frames, judge_frames)


def test_whatever_is_posted_is_one_request_or_a_refusal() -> None:
    search("post", POSTS, inputs.post, judge_post)


@pytest.mark.timeout(0)
def test_whatever_text_comes_a_session_takes_it_or_says_what_is_wrong_with_it() -> None:
    requests = Requests()
    search("request", REQUESTS, inputs.request, requests.judge)
    assert min(requests.answers.values()) > REQUESTS // 200, requests.answers


@pytest.mark.parametrize("data", inputs.found("frames") + inputs.pieces(), ids=range(len(inputs.pieces())))
def test_frames_that_once_went_wrong_go_right(data: bytes) -> None:
    judge_frames(data)


def test_requests_that_once_went_wrong_go_right() -> None:
    requests = Requests()
    for text in inputs.found("request") + inputs.requests():
        requests.judge(text)


def test_the_corpus_has_a_request_of_every_method() -> None:
    known = [json.loads(text) for text in inputs.requests()]
    asked = {document.get("method") for document in known if isinstance(document, dict)}
    assert set(METHODS) <= asked, "write it again: python -m tests.fuzz.inputs"


class Answers:
    """A wire that counts: every request is answered once, and each sequence is given to one command."""

    queued_bytes = 0
    peer = "192.0.2.1"

    def __init__(self, desk: Desk) -> None:
        session = Session(desk.services.admission.register, desk.services.terms.limits, ADMIN)
        self.endpoint = ClientEndpoint(desk.services, session, self, "fuzz", dispatch.answer)
        self.answered = 0
        self.sequences: set[int] = set()
        self.arrived = trio.Event()

    def send(self, payload: bytes) -> None:
        message: dict[str, Any] = json.loads(payload)
        if "method" in message:
            return
        self.answered += 1
        assert message.get("error", {}).get("data", {}).get("reason") != "internal_error", payload
        told = message.get("result") or message["error"]["data"]
        # An admin is told the hash of every command, and of every transfer that is read, which names its command.
        is_applied = isinstance(told, dict) and "entry_hash" in told and "command_id" not in told
        if (
            (is_applied or "error" in message)
            and told.get("sequence")
            and not told.get("replayed")
            and told.get("reason") != "command_id_reused"
        ):
            self.sequences.add(told["sequence"])
        self.arrived.set()

    def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code}: {reason}")

    def read_on(self) -> None:
        pass

    async def until(self, count: int) -> None:
        with trio.fail_after(60):
            while self.answered < count:
                self.arrived = trio.Event()
                await self.arrived.wait()


@pytest.mark.timeout(0)
async def test_nothing_but_a_valid_command_changes_anything(tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} desk")
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        honest = desk.client()
        await furnish(honest, "honest", "shop")
        await honest.call("transfer.post", **payment("fund", "honest", 1_000_000))
        fuzz = Answers(desk)
        head, sent, paid = desk.core.writer.durable_head, 0, 0
        while sent < ON_THE_DESK:
            made = [inputs.with_its_own_id(inputs.request(chance), sent + at) for at in range(AT_ONCE)]
            texts = [text for text in made if b"daemon.drain" not in text]
            fuzz.endpoint.received(texts)
            sent += len(texts)
            await honest.call("transfer.post", **payment(f"honest-{sent}", "shop", 1, "honest"))
            paid += 1
            await fuzz.until(sent)
        assert fuzz.answered == sent, f"seed {SEED!r}"
        assert fuzz.endpoint.session.in_flight == 0
        assert desk.core.writer.durable_head == head + paid + len(fuzz.sequences), f"seed {SEED!r}"
        assert len(fuzz.sequences) > ON_THE_DESK // 50, "some commands were valid"
        (balance,) = (await honest.call("balance.get", wallet="honest"))["balances"]
        assert balance["posted"] == str(1_000_000 - paid)
        assert (await honest.call("daemon.audit"))["violations"] == []


@pytest.mark.timeout(0)
async def test_no_value_is_too_strange_in_any_place(tmp_path: Path) -> None:
    async with open_desk(tmp_path, MemoryJournalStore()) as desk:
        honest = desk.client()
        await furnish(honest, "shop:1", "bob")
        paid = await honest.call("transfer.post", **payment("fund", "shop:1", 1_000_000))
        holds = [
            await honest.call("hold.place", command_id=f"h-{n}", wallet="shop:1", asset="EUR", amount="1300")
            for n in range(100)
        ]
        fuzz, sent = Answers(desk), 0
        for texts, held in zip(batched(inputs.every_strange(), AT_ONCE), cycle(holds)):
            there = {b"t123": paid["transfer"].encode(), b"h123": held["hold"].encode()}
            asked = [
                inputs.with_its_own_id(replaced(text, there), sent + at)
                for at, text in enumerate(texts)
                if b".drain" not in text
            ]
            fuzz.endpoint.received(asked)
            sent += len(asked)
            await fuzz.until(sent)
        assert fuzz.answered == sent > 10_000
        assert len(fuzz.sequences) > 100, "some commands were valid"
        assert (await honest.call("daemon.audit"))["violations"] == []


def replaced(text: bytes, there: Mapping[bytes, bytes]) -> bytes:
    """The text about transfers and holds that there are."""
    for name, known in there.items():
        text = text.replace(name, known)
    return text


def batched(texts: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """So many at a time, until there are no more."""
    rest = iter(texts)
    while some := list(islice(rest, size)):
        yield some
