"""Inputs: the corpus, and what chance makes of it.

    chance = random.Random(seed)
    frames(chance)                  # a client's bytes behind the handshake: frames whole, cut, changed and spliced
    request(chance)                 # one text: a request with something else in one place, or with other bytes

The corpus is three files of one JSON document a line: requests of every method and odd documents; frames in
hexadecimal, of each kind and of each fault; and ``found``, what once went wrong.  A new method is added by
``python -m tests.fuzz.inputs``.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from walletd.protocol.methods import METHODS
from walletd.vocabulary.sameness import ABSOLUTE

CORPUS = Path(__file__).parent / "corpus"

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 1.5, "", "0", "1", "-1", "01", "+1", "1e3", "9" * 36, "9" * 37,
    "a", "A", "@x", "a b", "a\n", "\u00e9", "x" * 64, "x" * 65, "t1", "h1", "EUR", [], [None], {}, {"a": "b"}, {"": 1},
    "2030-01-31T12:00:00Z", "2030-01-31", "view:*", "admin", "a" * 64, 2**63 - 1, 2**64, -(2**63), 1e308, "t0", "h0",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
]  # fmt: skip

SPLINTERS = [
    *(bytes((byte,)) for byte in b'{}[]:,"\\/ \n\x00\x7f\x80\xff0129-+.eE'),
    *(b"null", b"true", b"NaN", b"1e999", b"-0", b"9" * 40, b"\\ud800", b"\\u0000", b'""', b"{}", b"[]"),
    *(b"\xf0\x9f\x92\xb6", b"\xc3", b"[" * 3000, b'"id":1,', b'{"a":' * 40, b'{"a":' * 2000, b"\xef\xbb\xbf"),
]


@cache
def requests() -> list[bytes]:
    """The corpus of texts."""
    return [line.encode() for line in (CORPUS / "requests.jsonl").read_text().splitlines()]


@cache
def pieces() -> list[bytes]:
    """The corpus of frames."""
    return [bytes.fromhex(json.loads(line)["hex"]) for line in (CORPUS / "frames.jsonl").read_text().splitlines()]


def found(kind: str) -> list[bytes]:
    """What once went wrong, of frames or of requests."""
    lines = map(json.loads, (CORPUS / "found.jsonl").read_text().splitlines())
    return [bytes.fromhex(line["hex"]) for line in lines if line["kind"] == kind]


# --- requests over HTTP --------------------------------------------------------------------------------------------

HEADERS = [
    *(
        b"Host: localhost",
        b"Host: evil.example",
        b"Host:",
        b"Authorization: Bearer let-me-in",
        b"Authorization: Basic x",
    ),
    *(b"Content-Length: %d" % size for size in (0, 1, 5, 60, 4096, 4097)),
    *(
        b"Content-Length: 5, 5",
        b"Content-Length: -1",
        b"Content-Length : 5",
        b"Content-Length:\t5 ",
        b"Content-Length:5",
    ),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding : chunked", b"Transfer-Encoding: x, chunked", b"\x00: a"),
    *(b"Expect: 100-continue", b"Expect: x", b"Content-Encoding: gzip", b"Origin: https://shop.example", b" folded"),
    *(b"Connection: keep-alive", b"Upgrade: websocket", b"Upgrade: h2c", b"X: " + b"x" * 9000, b"", b"no colon"),
]


def post(chance: random.Random) -> bytes:
    """A request to ``/v1/rpc``, with headers and a body of any kind, or with other bytes somewhere."""
    body = chance.choice((*requests()[:40], b"", b"0\r\n\r\n", b"x" * 4096))
    length = b"Content-Length: %d" % len(body)
    lines = [b"POST /v1/rpc HTTP/1.1", b"Host: localhost", length, b"Authorization: Bearer let-me-in"]
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        match chance.randrange(3):
            case 0:
                lines[chance.randrange(1, len(lines))] = chance.choice(HEADERS)
            case 1:
                lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(HEADERS))
            case _:
                body += chance.choice((body, b"POST /v1/rpc HTTP/1.1\r\n", b"\r\n", b"\x00"))
    data = bytearray(b"\r\n".join([*lines, b"", b""]) + body)
    if chance.random() < 0.3:
        at = chance.randrange(len(data))
        data[at : at + chance.choice((0, 1, 3))] = chance.choice(SPLINTERS)
    return bytes(data)


# --- requests ------------------------------------------------------------------------------------------------------


def request(chance: random.Random) -> bytes:
    """One text; it need not be UTF-8."""
    text = chance.choice(requests())
    if chance.random() < 0.6:
        document = json.loads(text)
        for _ in range(chance.choice((1, 1, 2))):
            change(document, chance)
        text = json.dumps(document, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.35:
        return mutated(text, chance, SPLINTERS, requests())
    return text


def with_its_own_id(text: bytes, number: int) -> bytes:
    """The request under a command id of its own; all of the corpus have the same."""
    return text.replace(b'"c1"', b'"c%d"' % number)


def change(document: Any, chance: random.Random) -> None:
    """Take away, add or replace something, somewhere in a JSON document."""
    places = list(_places(document))
    if not places or chance.random() < 0.15:
        objects = [document, *(parent[key] for parent, key in places)]
        grown = chance.choice([found for found in objects if isinstance(found, dict)] or [{}])
        name = chance.choice(("unknown", "dry_run", "limit", "method", "id", ""))
        grown[name] = copy.deepcopy(chance.choice(STRANGE))
        return
    parent, key = chance.choice(places)
    if chance.random() < 0.2:
        del parent[key]
    elif isinstance(parent[key], list) and parent[key] and chance.random() < 0.3:
        parent[key] = parent[key] * chance.choice((2, 101))
    elif chance.random() < 0.3 and not isinstance(parent[key], dict | list):
        parent[key] = _of_another_type(parent[key])
    else:
        parent[key] = copy.deepcopy(chance.choice(STRANGE))


def every_strange() -> Iterator[bytes]:
    """Every request of the corpus, and what is left of it with one optional field or none, with every strange value in
    every one of its places."""
    for text in requests():
        for known in [text, *_with_one_optional_field(json.loads(text))]:
            for number, _ in enumerate(_places(json.loads(known))):
                for strange in STRANGE:
                    document = json.loads(known)
                    parent, key = list(_places(document))[number]
                    parent[key] = strange
                    yield json.dumps(document).encode()


def _with_one_optional_field(document: Any) -> Iterator[bytes]:
    method = METHODS.get(document.get("method", "")) if isinstance(document, dict) else None
    if method is None:
        return
    required = {field.encode_name for field in msgspec.structs.fields(method.params) if field.required}
    optional = [name for name in document["params"] if name not in required]
    for one in (None, *optional):
        params = {name: value for name, value in document["params"].items() if name in required or name == one}
        yield json.dumps({**document, "params": params}).encode()


def _of_another_type(value: Any) -> Any:
    """The same value as a careless program writes it."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return str(value)
    return int(value) if value.isascii() and value.isdigit() else [value]


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from _places(document[key])


# --- frames --------------------------------------------------------------------------------------------------------


def frames(chance: random.Random) -> bytes:
    """A client's bytes."""
    data = b"".join(chance.choice(_PARTS)(chance) for _ in range(chance.randint(1, 4)))
    if chance.random() < 0.5:
        data = mutated(data, chance, [b"\x00", b"\xff", b"\x80", b"\x7f\xff", b"\xc3"], pieces())
    return data


def _text(chance: random.Random) -> bytes:
    return framed(1, chance.choice(requests()), chance)


def _fragments(chance: random.Random) -> bytes:
    text = chance.choice(requests())
    made, opcode = b"", 1
    while text:
        size = chance.choice((0, 1, 2, 7, 60, 500, len(text)))
        made += framed(opcode, text[:size], chance, is_final=size >= len(text) and chance.random() < 0.95)
        text, opcode = text[size:], 0
        if chance.random() < 0.2:
            made += framed(chance.choice((9, 10, 8, 1)), b"?", chance)
    return made


def _any(chance: random.Random) -> bytes:
    content = chance.choice(
        (b"", b"\x03\xe8", b"\x0f\xa0bye", b"\xff", "ü".encode(), chance.randbytes(chance.randint(0, 130)))
    )
    return framed(chance.randrange(16), content, chance, is_final=chance.random() < 0.8)


_PARTS: list[Callable[[random.Random], bytes]] = [
    _text,
    _text,
    _fragments,
    _any,
    lambda chance: chance.choice(pieces()),
]


def framed(opcode: int, content: bytes, chance: random.Random, *, is_final: bool = True) -> bytes:
    """A client's frame, its length written the short way or, as RFC 6455 forbids, a longer one."""
    size = len(content)
    if size < 126 and chance.random() < 0.95:
        head = bytes((0x80 | size,))
    elif size < 65536 and chance.random() < 0.95:
        head = b"\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\xff" + size.to_bytes(8, "big")
    mask = chance.randbytes(4)
    stream = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
    return bytes((0x80 * is_final | opcode,)) + head + mask + masked


def mutated(data: bytes, chance: random.Random, splinters: list[bytes], others: list[bytes]) -> bytes:
    """The bytes with up to four places changed."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.choice((0, 1, 1, 1, 8)))
        kind = chance.randrange(6)
        if kind == 0:
            del changed[start:end]
        elif kind == 1:
            changed[start:end] = chance.choice(splinters)
        elif kind == 2 and start < len(changed):
            changed[start] ^= 1 << chance.randrange(8)
        elif kind == 3:
            changed[start:start] = changed[start:end]
        elif kind == 4:
            other = chance.choice(others)
            changed[start:] = other[chance.randrange(len(other) + 1) :]
        elif kind == 5:
            del changed[start:]
    return bytes(changed)


COUNTED = ("transfer.post", "wallet.freeze", "hold.place", "hold.extend", "client.create", "client.rotate")
"""Methods whose moments are also said in seconds."""


def _counted(params: dict[str, Any]) -> dict[str, Any]:
    """The same with each moment said in seconds."""
    moments = {moment for seconds, moment in ABSOLUTE.items() if seconds in params}
    return {name: 60 if name in ABSOLUTE else value for name, value in params.items() if name not in moments}


def write_corpus() -> None:
    """The requests of all methods as the tables of the protocol have them, odd documents, and each fault of frames."""
    from tests.gateway.test_frames import FAULTS
    from tests.protocol.words import EXAMPLES

    odd = ["{}", "[]", "null", "0", '""', "true", '{"jsonrpc":"2.0"}', '[{"jsonrpc":"2.0","id":1,"method":"x"}]']
    known = [{"jsonrpc": "2.0", "id": 7, "method": name, "params": params} for name, params in EXAMPLES.items()]
    known += [{"jsonrpc": "2.0", "id": 7, "method": name, "params": _counted(EXAMPLES[name])} for name in COUNTED]
    lines = [json.dumps(document) for document in known] + odd
    (CORPUS / "requests.jsonl").write_text("".join(f"{line}\n" for line in lines))
    rows = [{"name": name, "hex": data.hex()} for name, data, _ in FAULTS if len(data) < 2000]
    (CORPUS / "frames.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    write_corpus()
