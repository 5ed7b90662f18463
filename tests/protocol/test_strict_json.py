"""A name that stands twice and half of a surrogate pair are refused at every level, with the request's id."""

import json
import random
from typing import Any

import msgspec
import pytest

from tests.protocol.words import error_of, is_usable, request, session
from walletd.protocol.envelope import Request
from walletd.protocol.methods import METHODS, Kind, Method
from walletd.protocol.strict_json import names_all_once, repeated_name
from walletd.sessions.session import Call
from walletd.vocabulary.reasons import Reason

PAYMENT = (
    '{"jsonrpc":"2.0","id":7,"method":"transfer.post","params":{"command_id":"c1","metadata":{"order":"7"},'
    '"if_version":{"bob":3},"postings":[{"from":"shop:1","to":"bob","asset":"EUR","amount":"5"}]}}'
)

TWICE: list[tuple[str, str, str, Reason, int | None, str]] = [
    # what it is, what is replaced in the payment, by what, the reason, the id in the answer, the field it names
    ("an amount", '"amount":"5"', '"amount":"5","amount":"7"', Reason.INVALID_PARAMS, 7, "postings[0].amount"),
    ("the same amount", '"amount":"5"', '"amount":"5","amount":"5"', Reason.INVALID_PARAMS, 7, "postings[0].amount"),
    ("with spaces", '"amount":"5"', '"amount":"5", "amount" : "7"', Reason.INVALID_PARAMS, 7, "postings[0].amount"),
    ("with a tab", '"amount":"5"', '"amount"\t:"5","amount":"7"', Reason.INVALID_PARAMS, 7, "postings[0].amount"),
    ("escaped", '"amount":"5"', '"amount":"5","am\\u006funt":"7"', Reason.INVALID_PARAMS, 7, "postings[0].amount"),
    (
        "a command id",
        '"command_id":"c1"',
        '"command_id":"c1","command_id":"c2"',
        Reason.INVALID_PARAMS,
        7,
        "command_id",
    ),
    ("in metadata", '"order":"7"', '"order":"7","order":"8"', Reason.INVALID_PARAMS, 7, "metadata.order"),
    ("in a table of versions", '"bob":3', '"bob":3,"bob":4', Reason.INVALID_PARAMS, 7, "if_version.bob"),
    (
        "a method",
        '"method":"transfer.post"',
        '"method":"session.ping","method":"transfer.post"',
        Reason.INVALID_REQUEST,
        7,
        "method",
    ),
    ("an id", '"id":7', '"id":8,"id":7', Reason.INVALID_REQUEST, None, "id"),
    ("params", '"params":{', '"params":{},"params":{', Reason.INVALID_REQUEST, 7, "params"),
    (
        "behind a value that looks like a name",
        '"order":"7"',
        '"order":"\\":","order":"\\":"',
        Reason.INVALID_PARAMS,
        7,
        "metadata.order",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "reason", "request_id", "field"), [row[1:] for row in TWICE], ids=[row[0] for row in TWICE]
)
def test_a_name_that_stands_twice_in_one_object_is_refused(
    old: str, new: str, reason: Reason, request_id: int | None, field: str
) -> None:
    assert old in PAYMENT
    asked = session()
    answer = error_of(asked.receive(PAYMENT.replace(old, new).encode()))
    assert (answer.reason, answer.id, answer.field) == (reason, request_id, field)
    assert "appears twice" in answer.message
    assert is_usable(asked)


def test_a_name_may_stand_in_several_objects_and_values_may_look_like_names() -> None:
    posting = {"from": "shop:1", "to": "bob", "asset": "EUR", "amount": "5"}
    for metadata in ({"order": '":'}, {"order": '"a":"b"'}, {"a :": "b"}, {"order": "\\"}, {'"': '":"'}):
        params = {"command_id": "c1", "postings": [posting, posting], "metadata": metadata}
        assert isinstance(session().receive(request("transfer.post", params)), Call)
    assert isinstance(session().receive(PAYMENT.replace('":', '" : ').encode()), Call)


def test_repeated_names_are_found_as_a_reader_of_every_name_finds_them() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print("seed", seed)
    found = [0, 0]
    for _ in range(5_000):
        text, is_repeated = _document(chance)
        name = repeated_name(text.encode())
        assert (name is not None) == is_repeated, (text, name)
        found[is_repeated] += 1
    assert min(found) > 500


def _document(chance: random.Random) -> tuple[str, bool]:
    """An object with small names, white space and escapes at random; whether a name stands twice in one of them."""
    if chance.random() < 0.4:
        return json.dumps(chance.choice(['":', "x", 'a":"b', "\\", " :", 5, None, "ä"])), False
    if chance.random() < 0.3:
        items = [_document(chance) for _ in range(chance.randrange(3))]
        return "[" + ",".join(text for text, _ in items) + "]", any(twice for _, twice in items)
    names = [chance.choice("abcdefgh") for _ in range(chance.randrange(4))]
    values = [_document(chance) for _ in names]
    spaces = [chance.choice(["", "", "", " ", "\n"]) for _ in names]
    written = [f"\\u{ord(name):04x}" if chance.random() < 0.1 else name for name in names]
    members = [f'"{name}"{space}:{value}' for name, space, (value, _) in zip(written, spaces, values, strict=True)]
    return "{" + ",".join(members) + "}", len(set(names)) < len(names) or any(twice for _, twice in values)


def test_a_plain_request_is_told_from_one_with_a_repeated_name_by_its_quotes() -> None:
    """The answer "once" must never be given to a name that stands twice; for a request as programs write it, it is."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print("seed", seed)
    told = 0
    for _ in range(2_000):
        frame, is_repeated = _payment(chance)
        request = msgspec.json.decode(frame, type=Request)
        if names_all_once(frame, METHODS["transfer.post"].decoder.decode(request.params), request.id):
            assert not is_repeated, frame
            told += 1
    assert told > 200
    for params in (DEFINED, OPENED, LIMITED):
        for request_id in (7, "7"):
            frame = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": params[0], "params": params[1]})
            assert names_all_once(frame, METHODS[params[0]].decoder.decode(msgspec.json.encode(params[1])), request_id)


DEFINED = ("asset.define", {"command_id": "c1", "asset": "EUR", "scale": 2})
OPENED = ("wallet.open", {"command_id": "c1", "wallet": "bob", "metadata": {"a": "b"}})
LIMITED = ("wallet.update", {"command_id": "c1", "wallet": "bob", "limits": {"EUR": {"minimum": "0"}, "USD": None}})


def _payment(chance: random.Random) -> tuple[bytes, bool]:
    """A request to pay whose objects repeat names, name defaults and escape at random; whether a name stands twice."""

    def members(*pairs: tuple[str, str]) -> tuple[str, bool]:
        chosen = [pair for pair in pairs for _ in range(2 if chance.random() < 0.04 else 1)]
        return "{" + ",".join(f'"{name}":{value}' for name, value in chosen) + "}", len(chosen) > len(pairs)

    posting, first = members(("from", '"a"'), ("to", '"b"'), ("asset", '"EUR"'), ("amount", '"5"'))
    metadata, second = members(("order", chance.choice(['"7"', r'"\":\""', '"x"'])), ("k", '"v"'))
    sent = [("command_id", '"c1"'), ("postings", f"[{posting}]"), ("metadata", metadata)]
    sent += chance.sample(
        [("dry_run", "false"), ("dry_run", "true"), ("reference", "null"), ("method", '"transfer.post"')],
        k=chance.choice([0, 0, 1]),
    )
    params, third = members(*sent)
    request_id = chance.choice(["7", '"7"'])
    frame, fourth = members(("jsonrpc", '"2.0"'), ("id", request_id), ("method", '"transfer.post"'), ("params", params))
    return frame.encode(), first or second or third or fourth


@pytest.mark.parametrize("method", [method for method in METHODS.values() if method.kind is Kind.COMMAND])
def test_the_json_of_a_command_names_no_field_that_was_not_sent(method: Method) -> None:
    """What ``names_all_once`` relies on: every default is omitted, at every level."""
    info = msgspec.inspect.type_info(method.params)
    kinds, seen = [info], set()
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in seen:
            seen.add(kind.cls)
            assert kind.cls.__struct_config__.omit_defaults or all(field.required for field in kind.fields), kind.cls
            kinds += [field.type for field in kind.fields]
        for name in ("type", "item_type", "key_type", "value_type"):
            if isinstance(inner := getattr(kind, name, None), msgspec.inspect.Type):
                kinds.append(inner)
        kinds += [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
    assert method.params in seen


LONE: list[tuple[str, str, str, Reason, int | None, str]] = [
    ("in a value", '"order":"7"', '"order":"\\ud800"', Reason.INVALID_PARAMS, 7, "metadata.order"),
    ("before a letter", '"order":"7"', '"order":"\\ud800\\u0041"', Reason.INVALID_PARAMS, 7, "metadata.order"),
    ("the second half", '"order":"7"', '"order":"\\udc00"', Reason.INVALID_PARAMS, 7, "metadata.order"),
    ("in a name", '"order":"7"', '"\\ud800":"7"', Reason.INVALID_PARAMS, 7, "metadata.?"),
    ("in the command id", '"c1"', '"c\\udfff"', Reason.INVALID_PARAMS, 7, "command_id"),
    ("in the method", '"transfer.post"', '"\\ud800"', Reason.INVALID_REQUEST, 7, "method"),
    ("in the id", '"id":7', '"id":"\\ud800"', Reason.INVALID_REQUEST, None, "id"),
]


@pytest.mark.parametrize(
    ("old", "new", "reason", "request_id", "field"), [row[1:] for row in LONE], ids=[row[0] for row in LONE]
)
def test_half_of_a_surrogate_pair_is_named_and_keeps_the_request_id(
    old: str, new: str, reason: Reason, request_id: int | None, field: str
) -> None:
    assert old in PAYMENT
    asked = session()
    answer = error_of(asked.receive(PAYMENT.replace(old, new, 1).encode()))
    assert (answer.reason, answer.id, answer.field) == (reason, request_id, field)
    assert "half of a surrogate pair" in answer.message
    assert is_usable(asked)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    call: Any = session().receive(PAYMENT.replace('"order":"7"', '"order":"\\ud83d\\ude00"').encode())
    assert isinstance(call, Call)
    assert call.params.metadata == {"order": "\U0001f600"}
