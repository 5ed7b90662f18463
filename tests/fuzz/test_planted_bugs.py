"""The fuzzers are fuzzers: each of these bugs, planted, is found among a few inputs and made small."""

import codecs
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.fuzz import inputs
from tests.fuzz.search import Failed, search
from tests.fuzz.targets import Requests, judge_frames
from walletd.gateway.websocket import frames
from walletd.gateway.websocket.fragments import FragmentedText
from walletd.gateway.websocket.frames import FrameProtocol
from walletd.protocol.messages import GetWallet
from walletd.protocol.methods import METHODS
from walletd.sessions import session as sessions
from walletd.sessions.session import Reply, Session

Plant = Callable[[pytest.MonkeyPatch], None]
ENOUGH = 20_000


def no_utf8_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_is_utf8", lambda text: True)


def no_utf8_check_of_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless:
        def decode(self, data: bytes, final: bool) -> None:
            """Whatever comes."""

    monkeypatch.setattr(codecs, "getincrementaldecoder", lambda name: Careless)


def utf8_checked_fragment_by_fragment(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: FragmentedText, data: bytes, is_final: bool) -> bytes | None:
        data.decode()
        return whole(self, data, is_final)

    whole = FragmentedText.add
    monkeypatch.setattr(FragmentedText, "add", add)


def unbounded_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = FragmentedText.__init__
    monkeypatch.setattr(FragmentedText, "__init__", lambda self, limit=0: plain(self, 1_000_000))


def unbounded_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrameProtocol, "_has_control_credit", lambda self: True)


def binary_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = FrameProtocol._fail
    monkeypatch.setattr(
        FrameProtocol, "_fail", lambda self, code, reason: None if code == 1003 else fail(self, code, reason)
    )


def a_header_cut_in_two_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    split = FrameProtocol._split

    def forgetful(self: FrameProtocol, data: bytes, messages: list[bytes]) -> int:
        end = split(self, data, messages)
        return len(data) if len(data) - end == 1 else end

    monkeypatch.setattr(FrameProtocol, "_split", forgetful)


FRAME_BUGS: list[Plant] = [
    no_utf8_check,
    no_utf8_check_of_fragments,
    utf8_checked_fragment_by_fragment,
    unbounded_fragments,
    unbounded_pings,
    binary_is_ignored,
    a_header_cut_in_two_is_forgotten,
]


@pytest.mark.parametrize("plant", FRAME_BUGS, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_adapter_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Failed) as failed:
        search("frames", ENOUGH, inputs.frames, judge_frames)
    assert len(failed.value.smallest) < 2000, "129 fragments have 774 bytes of headers alone"


def a_text_that_is_no_json_is_not_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    def malformed(frame: bytes, error: Exception) -> Reply:
        raise error

    monkeypatch.setattr(sessions, "_malformed", malformed)


def depth_is_not_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sessions._malformed

    def malformed(frame: bytes, error: Exception) -> Reply:
        if isinstance(error, RecursionError):
            raise error
        return plain(frame, error)

    monkeypatch.setattr(sessions, "_malformed", malformed)


def any_field_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    method = METHODS["wallet.get"]
    lenient: Any = msgspec.defstruct("GetWallet", [("wallet", GetWallet.__annotations__["wallet"])], frozen=True)
    monkeypatch.setitem(METHODS, "wallet.get", method._replace(decoder=msgspec.json.Decoder(lenient)))


def numbers_are_taken_for_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    method = METHODS["transfer.post"]
    monkeypatch.setitem(
        METHODS, "transfer.post", method._replace(decoder=msgspec.json.Decoder(method.params, strict=False))
    )


def a_refused_request_stays_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sessions._invalid_params
    asked: list[Session] = []
    receive = Session.receive

    def counting(self: Session, frame: bytes) -> Any:
        asked[:] = [self]
        return receive(self, frame)

    def leaking(request_id: Any, error: Any) -> Reply:
        asked[0].in_flight += 1
        return plain(request_id, error)

    monkeypatch.setattr(Session, "receive", counting)
    monkeypatch.setattr(sessions, "_invalid_params", leaking)


REQUEST_BUGS: list[Plant] = [
    a_text_that_is_no_json_is_not_expected,
    depth_is_not_expected,
    any_field_is_taken,
    numbers_are_taken_for_texts,
    a_refused_request_stays_in_flight,
]


@pytest.mark.parametrize("plant", REQUEST_BUGS, ids=lambda plant: plant.__name__)
def test_a_bug_of_the_session_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Failed) as failed:
        search("request", ENOUGH, inputs.request, Requests().judge)
    assert len(failed.value.smallest) < 5000, "the depth that Python stands is a thousand brackets and more"
