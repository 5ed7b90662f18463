"""Frames: what counts as a message, what ends a connection and with which code."""

import codecs
import random
from collections.abc import Callable

import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State as LibraryState
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tests.gateway.wires import (
    LIMIT,
    closing,
    frame,
    opened,
    ping,
    policy,
    request,
    sent_close,
    sent_frames,
    sent_texts,
    text,
)
from walletd.gateway.websocket.fragments import MAX_FRAGMENTS
from walletd.gateway.websocket.frames import CONTROL_BURST_SECONDS, FrameProtocol, State

CONTROL_FRAMES_PER_SECOND = policy().pings_per_second
CONTROL_FRAMES_AT_ONCE = CONTROL_FRAMES_PER_SECOND * CONTROL_BURST_SECONDS

CONT, TEXT, BINARY, CLOSE, PING, PONG = Opcode


# --- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1000, LIMIT - 1, LIMIT])
def test_a_message_of_any_size_up_to_the_limit_comes_whole_and_is_echoed(size: int) -> None:
    frames = opened()
    payload = b"x" * size
    assert frames.receive(text(payload)) == [payload]
    frames.send_text(payload)
    assert frames.pending_bytes > size
    assert sent_texts(frames.data_to_send()) == [payload]
    assert frames.pending_bytes == 0


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000])
def test_a_message_beyond_65535_bytes_has_a_long_header(size: int) -> None:
    frames = opened(max_message_bytes=1024 * 1024)
    payload = b"y" * size
    assert frames.receive(text(payload)) == [payload]
    frames.send_text(payload)
    assert sent_texts(frames.data_to_send()) == [payload]


def test_all_messages_of_one_read_come_together_and_their_answers_leave_together() -> None:
    frames = opened()
    messages = [b"%d" % number for number in range(1000)]
    assert frames.receive(b"".join(map(text, messages))) == messages
    for message in messages:
        frames.send_text(message)
    assert sent_texts(frames.data_to_send()) == messages
    assert frames.data_to_send() == b""


def test_frames_may_be_cut_anywhere() -> None:
    whole = text(b"a" * 5) + ping(b"now") + text(b"b" * 200) + frame(TEXT, b"c\xc3", fin=False) + ping() + text(b"")[:0]
    whole += frame(CONT, b"\xa9d") + text("é".encode()) + closing(4000)
    for first in range(len(whole) + 1):
        for second in (first, first + 1, first + 3, first + 50):
            frames = opened()
            pieces = [whole[:first], whole[first:second], whole[second:]]
            messages = [message for piece in pieces for message in frames.receive(piece)]
            assert messages == [b"a" * 5, b"b" * 200, "céd".encode(), "é".encode()]
            sent = sent_frames(frames.data_to_send())
            assert sent == [(PONG, b"now"), (PONG, b""), (CLOSE, b"\x0f\xa0")]
            assert (frames.state, frames.close_code, frames.is_finished) == (State.CLOSING, 4000, True)


@pytest.mark.interpreted
def test_a_long_frame_that_comes_byte_by_byte_is_looked_at_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = opened(max_message_bytes=1024 * 1024)
    looks = []
    split = FrameProtocol._split

    def noting_split(self: FrameProtocol, data: bytes, messages: list[bytes]) -> int:
        looks.append(len(data))
        return split(self, data, messages)

    monkeypatch.setattr(FrameProtocol, "_split", noting_split)
    whole = text(b"z" * 60_000)
    messages = [message for at in range(len(whole)) for message in frames.receive(whole[at : at + 1])]
    assert messages == [b"z" * 60_000]
    assert looks == [1, 2, 8, len(whole)]


def test_fragments_are_one_message_with_pings_between_them() -> None:
    frames = opened()
    data = frame(TEXT, b"one ", fin=False) + ping(b"?") + frame(CONT, b"", fin=False) + frame(CONT, b"message")
    assert frames.receive(data) == [b"one message"]
    assert sent_frames(frames.data_to_send()) == [(PONG, b"?")]
    assert frames.receive(text(b"next")) == [b"next"]


# --- what ends a connection ----------------------------------------------------------------------------------------

FAULTS: list[tuple[str, bytes, int]] = [
    ("binary", frame(BINARY, b"x"), 1003),
    ("binary, not final", frame(BINARY, b"x", fin=False), 1003),
    ("not masked", frame(TEXT, b"x", mask=False), 1002),
    ("not masked and empty", frame(PING, mask=False), 1002),
    ("a reserved bit", b"\xc1\x81\0\0\0\0x", 1002),
    ("a reserved opcode", b"\x83\x80\0\0\0\0", 1002),
    ("a reserved control opcode", b"\x8b\x80\0\0\0\0", 1002),
    ("a ping in fragments", b"\x09\x80\0\0\0\0", 1002),
    ("a ping of 126 bytes", b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126, 1002),
    ("a continuation of nothing", frame(CONT, b"x"), 1002),
    ("text within fragments", frame(TEXT, b"x", fin=False) + text(b"y"), 1002),
    ("fragments within fragments", frame(TEXT, b"x", fin=False) * 2, 1002),
    ("close of one byte", frame(CLOSE, b"x"), 1002),
    ("close with a reserved code", frame(CLOSE, b"\x03\xed"), 1002),
    ("close with a reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
    ("text that is not UTF-8", text(b"\xff"), 1007),
    ("a truncated character", text(b"caf\xc3"), 1007),
    ("an overlong slash", text(b"\xc0\xaf"), 1007),
    ("a surrogate", text(b"\xed\xa0\x80"), 1007),
    ("beyond the last code point", text(b"\xf4\x90\x80\x80"), 1007),
    ("a fragment that cannot become UTF-8", frame(TEXT, b"ok \xc3", fin=False) + frame(CONT, b"(", fin=False), 1007),
    ("fragments that end within a character", frame(TEXT, b"caf", fin=False) + frame(CONT, b"\xc3"), 1007),
    ("one byte too large", text(b"x" * (LIMIT + 1)), 1009),
    ("a tebibyte, announced", b"\x81\xff" + (2**40).to_bytes(8, "big") + b"\0\0\0\0", 1009),
    ("a length beyond 63 bits", b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", 1009),
    ("fragments too large together", frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONT, b"y"), 1009),
    ("too many fragments", frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * MAX_FRAGMENTS, 1009),
    ("a flood of pings", ping() * (CONTROL_FRAMES_AT_ONCE + 1), 4529),
    ("a flood of pongs", frame(PONG) * (CONTROL_FRAMES_AT_ONCE + 1), 4529),
]


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_ends_the_connection_with_its_code(data: bytes, code: int) -> None:
    before, behind = text(b"before"), text(b"behind") + ping()
    whole = before + data + behind
    for size in (len(whole), 1, 3, 7):
        frames = opened()
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        messages = [message for piece in pieces for message in frames.receive(piece)]
        assert messages == [b"before"], "what stands before the fault counts, what stands behind it does not"
        assert sent_close(frames.data_to_send()) == code
        assert (frames.state, frames.close_code, frames.is_finished) == (State.CLOSING, code, True)
        frames.send_text(b"nothing more")
        frames.ping()
        frames.close(1000, "")
        assert frames.data_to_send() == b""
        frames.receive_eof()
        assert frames.state is State.CLOSED


def test_a_fault_is_seen_before_the_frame_is_whole() -> None:
    for beginning in (b"\x81\xfe\x10\x01", b"\x83\x80\0\0\0\0", b"\x81\x05"):
        frames = opened()
        frames.receive(beginning + b"\0\0\0\0")
        assert frames.state is State.CLOSING, beginning


def test_as_many_fragments_as_are_allowed_are_a_message() -> None:
    frames = opened()
    data = frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) * (MAX_FRAGMENTS - 2) + frame(CONT, b"c")
    assert frames.receive(data) == [b"a" + b"b" * (MAX_FRAGMENTS - 2) + b"c"]


def test_pings_at_a_steady_pace_are_answered_for_ever() -> None:
    now = 0.0
    frames = opened(clock=lambda: now)
    for number in range(10 * CONTROL_FRAMES_AT_ONCE):
        now += 1 / CONTROL_FRAMES_PER_SECOND
        assert frames.receive(ping(b"%d" % number)) == []
        assert sent_frames(frames.data_to_send()) == [(PONG, b"%d" % number)]
    now += 3600
    frames.receive(ping() * (CONTROL_FRAMES_AT_ONCE + 1))
    assert frames.state is State.CLOSING, "an hour of silence does not pay for a flood"


# --- closing -------------------------------------------------------------------------------------------------------


def test_what_came_before_the_peers_close_counts() -> None:
    frames = opened()
    assert frames.receive(text(b"a command") + closing(1001)) == [b"a command"]
    assert (sent_close(frames.data_to_send()), frames.close_code) == (1001, 1001)
    assert frames.is_finished


def test_what_comes_behind_our_own_close_does_not_count_and_the_peers_close_ends_it() -> None:
    frames = opened()
    frames.send_text(b"last")
    frames.close(1012, "restart")
    sent = frames.data_to_send()
    assert (sent_texts(sent), sent_close(sent)) == ([b"last"], 1012)
    assert frames.receive(text(b"too late") + ping()) == []
    assert sent_frames(frames.data_to_send()) == [(PONG, b"")]
    assert not frames.is_finished
    assert frames.receive(closing(1000)) == []
    assert (frames.close_code, frames.is_finished) == (1012, True), "the code of the side that closed first"


def test_the_stream_may_end_without_a_word() -> None:
    frames = opened()
    frames.receive(text(b"whole") + text(b"half")[:-1])
    frames.receive_eof()
    assert (frames.state, frames.close_code, frames.is_finished) == (State.CLOSED, 1006, True)
    assert sent_close(frames.data_to_send()) is None


def test_a_reason_is_cut_to_what_a_close_frame_holds() -> None:
    frames = opened()
    frames.close(4508, "é" * 100)
    ((opcode, payload),) = sent_frames(frames.data_to_send())
    assert (opcode, payload) == (CLOSE, b"\x11\x9c" + "é".encode() * 61)


def test_our_ping_is_a_ping() -> None:
    frames = opened()
    frames.ping()
    assert sent_frames(frames.data_to_send()) == [(PING, b"")]
    assert frames.receive(frame(PONG)) == []
    assert frames.state is State.OPEN


# --- beside the library --------------------------------------------------------------------------------------------


class Plain:
    """The same promises, kept naively: the library sees every byte, one at a time."""

    def __init__(self) -> None:
        self.library = ServerProtocol(max_size=LIMIT, state=LibraryState.OPEN)
        self.pieces: list[bytes] = []

    def receive(self, data: bytes) -> list[bytes]:
        messages = []
        for at in range(len(data)):
            if self.library.eof_sent:
                break
            self.library.receive_data(data[at : at + 1])
            for event in self.library.events_received():
                assert isinstance(event, Frame)
                messages += self.take(event)
        return messages

    def take(self, event: Frame) -> list[bytes]:
        if event.opcode is BINARY:
            self.library.fail(1003)
        if event.opcode not in (TEXT, CONT):
            return []
        self.pieces.append(bytes(event.data))
        message = b"".join(self.pieces)
        try:
            codecs.utf_8_decode(message, "strict", event.fin)
        except UnicodeDecodeError:
            self.library.fail(1007)
            return []
        if event.fin:
            self.pieces.clear()
        return [message] if event.fin else []


SOME: list[Callable[[random.Random], bytes]] = [
    lambda chance: text(chance.randbytes(chance.choice((0, 3, 130))).hex().encode()),
    lambda chance: text(chance.randbytes(chance.choice((0, 3, 130))).hex().encode()),
    lambda chance: text("wörter".encode() * chance.randint(1, 30)),
    lambda chance: ping(b"p" * chance.randint(0, 3)),
    lambda chance: frame(TEXT, b"begin ", fin=False) + ping() + frame(CONT, b"end"),
    lambda chance: frame(TEXT, "ü".encode()[:1], fin=False) + frame(CONT, "ü".encode()[1:]),
]
ODD: list[Callable[[random.Random], bytes]] = [
    lambda chance: chance.choice(FAULTS[:-4])[1],
    lambda chance: closing(chance.choice((1000, 1001, 4000))),
    lambda chance: chance.randbytes(chance.randint(1, 20)),
    lambda chance: text(b"x" * chance.choice((LIMIT, LIMIT + 1))),
]


@pytest.mark.parametrize("seed", range(400))
def test_the_fast_path_gives_what_the_library_gives(seed: int) -> None:
    chance = random.Random(seed)
    parts = [chance.choice(SOME)(chance) for _ in range(chance.randint(0, 12))]
    parts.insert(chance.randint(0, len(parts)), chance.choice(ODD)(chance))
    whole = b"".join(parts) + bytes(20)  # So that the header of the last frame is whole, and judged, in both.
    plain, frames = Plain(), opened()
    expected = plain.receive(whole)
    messages = []
    while whole:
        size = chance.choice((1, 2, 5, 14, 100, 5000))
        messages += frames.receive(whole[:size])
        whole = whole[size:]
    assert messages == expected
    mine, theirs = sent_frames(frames.data_to_send()), sent_frames(b"".join(plain.library.data_to_send()))
    assert [opcode for opcode, _ in mine] == [opcode for opcode, _ in theirs]
    assert [data[:2] for opcode, data in mine if opcode is CLOSE] == [d[:2] for opcode, d in theirs if opcode is CLOSE]
    assert frames.is_finished == plain.library.eof_sent


def test_compression_is_off_unless_asked_for() -> None:
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    for compresses in (False, True):
        frames = opened(compresses=compresses)
        assert frames.state is State.OPEN
        compressing = FrameProtocol(frames._policy)
        compressing.receive(request(headers))
        assert (b"permessage-deflate" in compressing.data_to_send()) == compresses


def test_compressed_messages_are_bounded_by_what_they_unfold_to() -> None:
    frames = FrameProtocol(opened(compresses=True)._policy)
    client = ClientProtocol(parse_uri("ws://localhost/"), extensions=[ClientPerMessageDeflateFactory()])
    client.send_request(client.connect())
    frames.receive(b"".join(client.data_to_send()))
    client.receive_data(frames.data_to_send())
    client.events_received()
    for size in (10, LIMIT):
        client.send_text(b"x" * size)
        assert frames.receive(b"".join(client.data_to_send())) == [b"x" * size]
        frames.send_text(b"y" * size)
        client.receive_data(frames.data_to_send())
        (event,) = client.events_received()
        assert isinstance(event, Frame)
        assert bytes(event.data) == b"y" * size
    client.send_text(b"x" * (LIMIT + 1))
    frames.receive(b"".join(client.data_to_send()))
    assert sent_close(frames.data_to_send()) == 1009
