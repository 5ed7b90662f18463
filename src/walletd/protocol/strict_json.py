"""JSON that this protocol refuses: a name that appears twice in one object, half of a surrogate pair.

    repeated_name(b'{"amount":"5","amount":"7"}')      ->  "amount"
    lone_surrogate(rb'{"reference":"\\ud800"}')          ->  ("reference", {"reference": "\\ud800"})

RFC 8259, 4 leaves the meaning of a repeated name open, and readers differ: one takes the first value, another the
last.  Two readers of one payment must not differ about its amount, so a repeated name is refused at every level.  Half
of a surrogate pair is JSON (RFC 8259, 8.2) but not text: it has no UTF-8.
"""

import json
from collections.abc import Callable
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_FIRST_SURROGATE, _LAST_SURROGATE = chr(0xD800), chr(0xDFFF)

AROUND_PARAMS = 12
"""The quotes of a request around its params, if its id is a number: ``jsonrpc``, its value, ``id``, ``method``, its
value, ``params``.
"""

TAG = 4
"""The quotes of a command's tag, which is in its JSON, but not in a request's params."""

MOST_OF_A_NAME = 64
"""The number of characters of a client's own name that are echoed to it."""


def has_each_name_once(document: bytes, command: Any) -> bool:
    """True if no name certainly appears twice in the JSON of a command of a batch, of which this was decoded."""
    return document.count(b'"') == _encode(command).count(b'"') and b"\\" not in document


def names_all_once(frame: bytes, command: Any, request_id: int | str) -> bool:
    """True if no name certainly appears twice in the request ``frame``, of which this command and this id were decoded.

    The JSON of a command has every name and text of its params and nothing else, because it omits all defaults, and
    the request has at least that many quotes: a repeated name, or a default that was sent, has quotes beyond these.
    Strings with an escape may contain quotes; then, and for sent defaults, the answer is False.
    """
    quotes = _encode(command).count(b'"') + AROUND_PARAMS - TAG
    return frame.count(b'"') == (quotes + 2 if isinstance(request_id, str) else quotes) and b"\\" not in frame


def repeated_name(document: bytes) -> str | None:
    """The path of the first name that appears twice in its object, such as ``params.postings[0].amount``; else None.

    ``document`` is JSON that was decoded before.  The plain case looks at no single name: decoding and encoding a
    document drops each repeated name, and so leaves fewer quotes in its text.  That is valid if no string contains an
    escape; otherwise the text is read name by name.
    """
    if b"\\" not in document and document.count(b'"') == _encode(_decode(document)).count(b'"'):
        return None
    read = json.loads(document, object_pairs_hook=_marked, parse_int=str, parse_float=str)
    return _first(read, _is_repeated)


def lone_surrogate(document: bytes) -> tuple[str, Any] | None:
    """The path of the first name or value with half of a surrogate pair, and the document with it.

    None if there is none, or if the document is not JSON.
    """
    if b"\\u" not in document:  # Half of a pair has no bytes of its own.
        return None
    try:
        read = json.loads(document)
        path = _first(read, _is_no_text)
    except (ValueError, RecursionError):
        return None
    return None if path is None else (path, read)


class _Repeated(dict[str, Any]):
    """Raised for an object in which a name appears twice, with that name."""

    name: str


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) == len(pairs):
        return dict(pairs)
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            break
        seen.add(name)
    marked = _Repeated(pairs)
    marked.name = name
    return marked


def _is_repeated(value: Any) -> str | None:
    """The name that appears twice in this object."""
    return value.name if isinstance(value, _Repeated) else None


def _is_no_text(value: Any) -> str | None:
    """The name in this object that is not text; "" if the value itself is a string that is not."""
    if isinstance(value, str):
        return "" if _has_no_utf8(value) else None
    if isinstance(value, dict):
        return next((name.encode(errors="replace").decode() for name in value if _has_no_utf8(name)), None)
    return None


def _has_no_utf8(text: str) -> bool:
    return any(_FIRST_SURROGATE <= character <= _LAST_SURROGATE for character in text)


def _first(value: Any, fault: Callable[[Any], str | None], path: str = "") -> str | None:
    """The path of the first value with this fault, outer ones first."""
    name = fault(value)
    if name is not None:
        return _join(path, name)
    if isinstance(value, dict):
        inside = [(_join(path, name), inner) for name, inner in value.items()]
    elif isinstance(value, list):
        inside = [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    else:
        return None
    for inner_path, inner in inside:
        found = _first(inner, fault, inner_path)
        if found is not None:
            return found
    return None


def _join(path: str, name: str) -> str:
    name = name[:MOST_OF_A_NAME]
    return f"{path}.{name}" if path and name else path or name
