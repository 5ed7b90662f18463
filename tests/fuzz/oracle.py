"""What ought to happen: a naive reading of RFC 6455 and of the request's envelope, written without the code under test.

read(frames, limit=4096)     ->  Reading(messages, pongs, closed): all in one piece, from the first byte to the last
verdict(text)                ->  the reasons with which this text may be answered, or TAKEN
"""

import codecs
import json
import re
from typing import Any, NamedTuple

from tests.contract.witness import published

TEXT, BINARY, CLOSE, PING, PONG, CONT = 1, 2, 8, 9, 10, 0
PINGS_AT_ONCE = 64
MAX_FRAGMENTS = 128
TAKEN = "taken"


class Reading(NamedTuple):
    """What a server makes of a client's bytes; ``closed`` is the payload of its close frame, None while it is open."""

    messages: list[bytes]
    pongs: list[bytes]
    closed: bytes | None

    @property
    def code(self) -> int | None:
        """The close code; 1005 for a close frame without one."""
        if self.closed is None:
            return None
        return int.from_bytes(self.closed[:2], "big") if self.closed else 1005


class _Closed(Exception):
    """The connection ends here."""


def read(data: bytes, limit: int) -> Reading:
    """Take the client's frames apart, as far as the connection lives."""
    reader = _Reader(limit)
    try:
        while (end := reader.frame(data)) is not None:
            data = data[end:]
    except _Closed as closed:
        (payload,) = closed.args
        return Reading(reader.messages, reader.pongs, payload)
    return Reading(reader.messages, reader.pongs, None)


class _Reader:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []
        self.controls = 0
        self.fragments: list[bytes] | None = None
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def frame(self, data: bytes) -> int | None:
        """Read one frame; where it ends, or None where it has not come whole."""
        if len(data) < 2:
            return None
        if not data[1] & 0x80:
            _close(1002)
        more = {126: 2, 127: 8}.get(data[1] & 0x7F, 0)
        payload = 2 + more + 4
        if len(data) < payload:
            return None
        length = int.from_bytes(data[2 : 2 + more], "big") if more else data[1] & 0x7F
        opcode, is_final = data[0] & 0x0F, bool(data[0] & 0x80)
        if opcode not in (TEXT, BINARY, CLOSE, PING, PONG, CONT):
            _close(1002)
        # The library bounds control frames, too, by what is left of the message that they come in between.
        if length > self.limit - sum(map(len, self.fragments or ())):
            _close(1009)
        end = payload + length
        if len(data) < end:
            return None
        mask = data[payload - 4 : payload]
        content = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[payload:end]))
        if data[0] & 0x70 or (opcode >= CLOSE and (length > 125 or not is_final)):
            _close(1002)
        if opcode >= CLOSE:
            self.control(opcode, content)
        else:
            self.data(opcode, content, is_final)
        return end

    def control(self, opcode: int, content: bytes) -> None:
        if opcode == CLOSE:
            self.close(content)
        if opcode == PING:
            self.pongs.append(content)
        self.controls += 1
        if self.controls > PINGS_AT_ONCE:
            _close(4529)

    def close(self, content: bytes) -> None:
        if len(content) == 1:
            _close(1002)
        try:
            content[2:].decode()
        except UnicodeDecodeError:
            _close(1007)
        code = int.from_bytes(content[:2], "big")
        if content and not (code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code < 5000):
            _close(1002)
        if self.fragments is not None:
            _close(1002)
        raise _Closed(content)

    def data(self, opcode: int, content: bytes, is_final: bool) -> None:
        if (opcode == CONT) == (self.fragments is None):
            _close(1002)
        if opcode == BINARY:
            _close(1003)
        fragments = self.fragments or []
        try:
            self.decoder.decode(content, is_final)
        except UnicodeDecodeError:
            _close(1007)
        fragments.append(content)
        if len(fragments) > MAX_FRAGMENTS:
            _close(1009)
        self.fragments = None if is_final else fragments
        if is_final:
            self.decoder.reset()
            self.messages.append(b"".join(fragments))


def _close(code: int) -> None:
    raise _Closed(code.to_bytes(2, "big"))


# --- requests ------------------------------------------------------------------------------------------------------

MALFORMED = {"parse_error", "invalid_request", "method_not_found", "invalid_params"}
LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
DEEP = 100


class Doubtful(Exception):
    """One reader of JSON takes it and another does not; both are right."""


class Repeated(Exception):
    """A name stands twice in one object."""


def verdict(frame: bytes) -> set[str]:
    """The reasons with which this text may be answered; TAKEN stands for a call, and for an answer to a token."""
    if LONE_SURROGATE.search(frame) or frame.count(b"[") + frame.count(b"{") > DEEP:
        return MALFORMED | {TAKEN}
    try:
        request = json.loads(
            frame.decode(),
            parse_constant=_no_constant,
            parse_float=_doubt,
            parse_int=_int,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        # The adapter lets no such text through; a session stops at the first thing that it has to look at, which need
        # not be what is no UTF-8.
        return MALFORMED | {TAKEN}
    except ValueError:
        return {"parse_error"}
    except Doubtful:
        return MALFORMED | {TAKEN}
    except Repeated:
        return MALFORMED
    if not _is_request(request):
        return {"invalid_request"}
    if request["method"] not in published().methods:
        return {"method_not_found"}
    return {"invalid_params"} if published().faults(f"{request['method']}.request", request) else {TAKEN}


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _doubt(word: str) -> None:
    """A number with a point or an exponent: 7.0 may be taken for a whole number."""
    raise Doubtful


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259, 4 leaves open what a name means that stands twice: the protocol refuses it."""
    if len(dict(pairs)) < len(pairs):
        raise Repeated
    return dict(pairs)


def _int(word: str) -> int:
    if len(word) > 18:
        raise Doubtful
    return int(word)


def _is_request(request: Any) -> bool:
    return (
        isinstance(request, dict)
        and set(request) <= {"jsonrpc", "id", "method", "params"}
        and request.get("jsonrpc") == "2.0"
        and isinstance(request.get("method"), str)
        and _is_id(request.get("id"))
    )


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 64
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
