"""Every field of every method: missing, unknown or of the wrong type, it is named, and nothing else happens.

The cases are made from the registry of methods, so that a new method is covered once it has its row in ``EXAMPLES``.
"""

from typing import Any, NamedTuple

import pytest

from tests.protocol.shapes import Place, changed, objects_in, places_of, without
from tests.protocol.words import EXAMPLES, POSTING, error_of, is_usable, request, session
from walletd.protocol.methods import METHODS
from walletd.sessions.session import Call
from walletd.vocabulary.commands import MAX_SECONDS
from walletd.vocabulary.reasons import Reason


class Case(NamedTuple):
    """A request with one thing wrong."""

    method: str
    params: Any
    field: str

    def __repr__(self) -> str:
        return f"{self.method} {self.field}"


def _places(method: str) -> list[Place]:
    return places_of(METHODS[method].params, EXAMPLES[method])


MISSING = [
    Case(method, without(example, place.path), place.name)
    for method, example in EXAMPLES.items()
    for place in _places(method)
    if place.is_required
]
MISTYPED = [
    Case(method, changed(example, place.path, value), place.name)
    for method, example in EXAMPLES.items()
    for place in _places(method)
    for value in place.wrong_values
]
UNKNOWN = [
    Case(method, changed(example, (*path, "surprise"), 1), Place((*path, "surprise"), False, frozenset()).name)
    for method, example in EXAMPLES.items()
    for path in objects_in(METHODS[method].params, example)
]


def test_every_method_has_an_example() -> None:
    assert set(EXAMPLES) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_every_field_of_a_method_is_in_its_example(method: str) -> None:
    assert {place.path[0] for place in _places(method)} == set(EXAMPLES[method])


@pytest.mark.parametrize("method", [name for name in METHODS if name != "session.authenticate"])
def test_the_example_of_a_method_is_taken_as_it_is(method: str) -> None:
    call = session().receive(request(method, EXAMPLES[method]))
    assert isinstance(call, Call), call
    assert call.method is METHODS[method]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "session.authenticate"])
def test_a_method_needs_no_more_than_its_required_fields(method: str) -> None:
    params = EXAMPLES[method]
    for place in _places(method):
        if not place.is_required and len(place.path) == 1:
            params = without(params, place.path)
    assert isinstance(session().receive(request(method, params)), Call)


@pytest.mark.parametrize("case", MISSING, ids=repr)
def test_a_missing_field_is_named(case: Case) -> None:
    assert f"{case.field!r} is missing" in refused(case)


@pytest.mark.parametrize("case", UNKNOWN, ids=repr)
def test_a_field_that_does_not_exist_is_named_and_is_to_be_removed(case: Case) -> None:
    message = refused(case)
    assert message.startswith(f"{case.field!r} is not a field of ")
    assert message.endswith("; remove it")


@pytest.mark.parametrize("case", MISTYPED, ids=repr)
def test_a_field_of_the_wrong_type_is_named_with_what_belongs_there(case: Case) -> None:
    message = refused(case)
    assert case.field in message
    assert "must be" in message or "expected" in message or "invalid enum value" in message


def refused(case: Case) -> str:
    """The message of the refusal, which must name the field and leave the session as it was."""
    asked = session()
    answer = error_of(asked.receive(request(case.method, case.params)))
    assert (answer.reason, answer.id, answer.field) == (Reason.INVALID_PARAMS, 7, case.field)
    assert (asked.in_flight, asked.calls) == (0, 0)
    assert is_usable(asked)
    return answer.message


# --- values of the right type that are not well-formed ---------------------------------------------------------------

FULLWIDTH_ONE = "\uff11"
ARABIC_ONE = "\u0661"

BAD_AMOUNTS = [
    "",
    "0",
    "00",
    "01",
    "-1",
    "+1",
    "-0",
    "1.5",
    "1.0",
    "1.",
    ".5",
    "1e3",
    "1E3",
    "0x10",
    "1_000",
    "1,000",
    " 1",
    "1 ",
    "1\n",
    "1\x00",
    "1" + "0" * 36,
    "9" * 1000,
    "NaN",
    "Infinity",
    "one",
    FULLWIDTH_ONE,
    ARABIC_ONE,
]
BAD_WALLETS = ["", "@", "@@a", "-a", ".a", ":a", "a b", "a\n", "a\x00", "ä", "a*", "a@b", "a" * 64, "@" + "a" * 64, "~"]
BAD_ASSETS = ["", "eur", "Eur", "1EUR", "-EUR", "E R", "EUR\n", "€", "E/R", "E" * 17, "\uff25"]
BAD_COMMAND_IDS = ["", " ", "a b", "a\n", "a\t", "ä", "a" * 65, "\x7f", "\x00"]
BAD_TRANSFERS = [
    "",
    "t",
    "t0",
    "t01",
    "123",
    "T1",
    "t-1",
    "t1.",
    "t1.1234",
    "t1\n",
    "t" + FULLWIDTH_ONE,
    "t" + "9" * 20,
]
BAD_INSTANTS = ["", "now", "2030-01-31", "2030-01-31T12:00:00", "2030-02-30T12:00:00Z", "2030-01-31T25:00:00Z", "0"]
BAD_SECONDS = [0, -1, 0.5, "60", True, MAX_SECONDS + 1, 2**63, 10**30]

BAD_VALUES: list[tuple[str, tuple[str | int, ...], list[Any], str]] = [
    # the method, the place, what may not stand there, what the message says
    ("transfer.post", ("postings", 0, "amount"), [*BAD_AMOUNTS, 10], 'as a decimal string such as "1250"'),
    ("transfer.post", ("postings", 0, "from"), BAD_WALLETS, "a wallet name: letters, digits"),
    ("transfer.post", ("postings", 0, "to"), BAD_WALLETS, "a wallet name: letters, digits"),
    ("transfer.post", ("postings", 0, "asset"), BAD_ASSETS, "an asset code: capital letters"),
    ("transfer.post", ("command_id",), BAD_COMMAND_IDS, "1 to 64 printable ASCII characters"),
    ("transfer.post", ("valid_until",), BAD_INSTANTS, "a time with an offset"),
    ("transfer.post", ("valid_for_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("hold.place", ("expires_in_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("hold.extend", ("expires_in_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("wallet.freeze", ("until_in_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("client.create", ("expires_in_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("client.rotate", ("overlap_for_seconds",), BAD_SECONDS, "a whole number of seconds from 1 to 3162240000"),
    ("transfer.post", ("postings",), [[], [POSTING] * 101], "expected `array` of length"),
    ("transfer.post", ("reference",), ["", "a" * 129], "expected `str` of length"),
    ("transfer.post", ("metadata",), [{f"k{n}": "" for n in range(17)}], "expected `object` of length <= 16"),
    ("wallet.open", ("wallet",), BAD_WALLETS, "a wallet name: letters, digits"),
    ("wallet.get", ("wallet",), BAD_WALLETS, "a wallet name: letters, digits"),
    ("wallet.list", ("limit",), [0, -1, 1001, 2**63, 10**30], "limit: "),
    ("asset.define", ("asset",), BAD_ASSETS, "an asset code: capital letters"),
    ("asset.define", ("scale",), [-1, 31, 2**63, 10**30], "a whole number from 0 to 30"),
    ("transfer.get", ("transfer",), BAD_TRANSFERS, 'a transfer id such as "t123"'),
    ("entry.get", ("sequence",), [-1, 2**53, 10**30], "sequence: "),
    ("entry.list", ("after",), [-1, 2**53, 10**30], "after: "),
    ("statement.get", ("cursor",), ["a" * 65], "expected `str` of length <= 64"),
    ("stream.subscribe", ("wallets", 0), BAD_WALLETS, "a wallet name: letters, digits"),
    ("stream.subscribe", ("after",), [1, 7], "after: "),
    ("stream.subscribe", ("after", "epoch"), [0, -1], "after.epoch: expected `int` >= 1"),
    ("stream.subscribe", ("after", "sequence"), [-1, 2**53], "after.sequence: expected `int`"),
    ("stream.unsubscribe", ("subscription",), [0, -1], "subscription: expected `int` >= 1"),
    ("session.authenticate", ("token",), ["", "a" * 257], "a token: a string of at most 256 characters"),
]


@pytest.mark.parametrize(
    ("method", "path", "value", "says"),
    [
        pytest.param(method, path, value, says, id=f"{method} {path[-1]} {value!r:.20}")
        for method, path, values, says in BAD_VALUES
        for value in values
    ],
)
def test_a_malformed_value_is_refused_with_what_belongs_there(
    method: str, path: tuple[str | int, ...], value: Any, says: str
) -> None:
    case = Case(method, changed(EXAMPLES[method], path, value), Place(path, True, frozenset()).name)
    assert says in refused(case)


GOOD_VALUES: list[tuple[str, tuple[str | int, ...], list[Any]]] = [
    ("transfer.post", ("postings", 0, "amount"), ["1", "10", "9" * 36]),
    ("transfer.post", ("postings", 0, "to"), ["a", "A.b_c:d/e-f", "9", "a" * 63, "@" + "a" * 63, "@fees", "a.."]),
    ("transfer.post", ("postings", 0, "asset"), ["E", "EUR", "X9._-", "E" * 16]),
    ("transfer.post", ("postings",), [[POSTING] * 100]),
    ("transfer.post", ("command_id",), ["!", "~", "a" * 64, '"', "\\"]),
    ("transfer.post", ("reference",), ["x", "ü" * 128, "\n", None]),
    ("transfer.post", ("metadata",), [{}, {"k" * 40: "v" * 500}, {f"k{n}": "" for n in range(16)}]),
    ("transfer.post", ("valid_until",), [None, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"]),
    ("transfer.post", ("valid_for_seconds",), [None, 1, MAX_SECONDS]),
    ("hold.place", ("expires_in_seconds",), [None, 1, MAX_SECONDS]),
    ("asset.define", ("scale",), [0, 30]),
    ("wallet.list", ("prefix",), ["", "@", "shop", "shop:", "@f"]),
    ("wallet.list", ("limit",), [1, 1000]),
    ("entry.list", ("after",), [0, 2**53 - 1]),
    ("stream.subscribe", ("after",), [None, 0, {"epoch": 1, "sequence": 0}]),
    ("stream.subscribe", ("wallets",), [["shop:1"] * 1000]),
]


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        pytest.param(method, path, value, id=f"{method} {path[-1]} {value!r:.20}")
        for method, path, values in GOOD_VALUES
        for value in values
    ],
)
def test_a_value_just_inside_its_bounds_is_taken(method: str, path: tuple[str | int, ...], value: Any) -> None:
    assert isinstance(session().receive(request(method, changed(EXAMPLES[method], path, value))), Call)


def test_of_several_things_that_are_wrong_one_is_named() -> None:
    answer = error_of(session().receive(request("transfer.post", {"postings": [{"amount": 1}]})))
    assert answer.reason is Reason.INVALID_PARAMS
    assert answer.field == "postings[0].amount"
