"""Whether a command that is sent again is the one that was decided: which fields count, and which is named first."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from tests.ledger.cases import (
    adjust,
    batch,
    capture,
    close,
    define,
    demand,
    expire,
    extend,
    freeze,
    limit,
    open_wallet,
    pay,
    place,
    posting,
    refund,
    transfer,
    unfreeze,
    update,
    void,
)
from walletd.vocabulary.budgets import Budget
from walletd.vocabulary.commands import AnyCommand, CreateClient, Part, RevokeClient, RotateClient, UpdateClient
from walletd.vocabulary.identifiers import CommandId, Principal
from walletd.vocabulary.sameness import first_difference, is_circumstance
from walletd.vocabulary.states import FrozenSide

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(microseconds=1)

VALIDITY = ("valid_until", "valid_for_seconds")
"""Fields that may differ."""

CIRCUMSTANCES = (
    "if_version",
    "if_balance",
    "until",
    "until_in_seconds",
    "expires_at",
    "expires_in_seconds",
    "overlap_until",
    "overlap_for_seconds",
)
"""Fields of which the difference is named only where there is no other."""

OF_CLIENTS: dict[str, Any] = {"command_id": CommandId("c"), "client": Principal("shop")}
COMMANDS: list[AnyCommand] = [
    define("EUR", 2),
    open_wallet("alice", metadata={"tier": "gold"}),
    pay("alice", "bob", "EUR", 5, reference="r", metadata={"k": "v"}),
    refund("t1", posting("bob", "alice", "EUR", 5), reference="r", metadata={"k": "v"}),
    update("alice", {"tier": "gold"}),
    limit("alice", "EUR", maximum=5),
    freeze("alice"),
    unfreeze("alice"),
    close("alice", "bob"),
    place("alice", "EUR", 5, reference="r", metadata={"k": "v"}),
    capture("alice", "h1", ("bob", 5), reference="r", metadata={"k": "v"}),
    extend("alice", "h1", NOW),
    adjust("alice", "h1", 5),
    void("alice", "h1"),
    expire("alice", "h1"),
    batch(pay("alice", "bob", "EUR", 5), define("BTC", 8)),
    CreateClient(**OF_CLIENTS, scopes=("view:alice",), token_sha256="0" * 64),
    UpdateClient(**OF_CLIENTS, scopes=("view:alice",), addresses=("10.0.0.7",)),
    RotateClient(**OF_CLIENTS, token_sha256="0" * 64),
    RevokeClient(**OF_CLIENTS),
]

OTHERS: dict[str, Any] = {
    "asset": "BTC",
    "scale": 3,
    "wallet": "carol",
    "metadata": {"k": "another"},
    "postings": (posting("alice", "carol", "EUR", 5), posting("alice", "bob", "EUR", 5)),
    "reference": "another",
    "addresses": ("10.0.0.7", "10.0.0.8"),
    "budget": Budget(connections=7),
    "transfer": "t2",
    "limits": {"BTC": None},
    "frozen": FrozenSide.DEBITS,
    "why": "another",
    "until": LATER,
    "until_in_seconds": 7,
    "sweep_to": "carol",
    "amount": "6",
    "expires_at": LATER,
    "expires_in_seconds": 7,
    "hold": "h2",
    "parts": (Part("carol", "5"), Part("bob", "5")),  # type: ignore[arg-type]
    "final": True,
    "most": 2,
    "commands": (),
    "atomic": False,
    "client": "other",
    "scopes": ("view:bob", "view:carol"),
    "token_sha256": "1" * 64,
    "overlap_until": LATER,
    "overlap_for_seconds": 7,
    "if_version": {"alice": 7},
    "if_balance": (demand("alice", gte="7"),),
    "dry_run": True,
    "command_id": "another",
}
"""For each field of a command, a value that none of COMMANDS has."""

EVERY_FIELD = [
    (command, field.name)
    for command in COMMANDS
    for field in msgspec.structs.fields(command)
    if field.name not in VALIDITY
]
NAMES = [f"{type(command).__name__}.{field}" for command, field in EVERY_FIELD]


def test_there_is_an_example_of_every_command() -> None:
    assert {type(command) for command in COMMANDS} == set(get_args(AnyCommand))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_command_sent_again_as_it_was_is_the_same(command: AnyCommand) -> None:
    again = msgspec.json.decode(msgspec.json.encode(command), type=type(command))
    assert first_difference(command, again) is None


@pytest.mark.parametrize(("command", "field"), EVERY_FIELD, ids=NAMES)
def test_a_command_that_differs_in_one_field_only_is_another_and_the_field_is_named(
    command: AnyCommand, field: str
) -> None:
    other = msgspec.structs.replace(command, **{field: OTHERS[field]})
    assert first_difference(command, other) == field
    assert first_difference(other, command) == field


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_until_when_to_decide_does_not_count(command: AnyCommand) -> None:
    assert first_difference(command, msgspec.structs.replace(command, valid_until=NOW)) is None
    assert first_difference(command, msgspec.structs.replace(command, valid_for_seconds=7)) is None


INSIDE: list[tuple[AnyCommand, AnyCommand, str]] = [
    (pay("a", "b", "EUR", 5), pay("x", "b", "EUR", 5), "postings[0].from"),
    (pay("a", "b", "EUR", 5), pay("a", "x", "EUR", 5), "postings[0].to"),
    (pay("a", "b", "EUR", 5), pay("a", "b", "BTC", 5), "postings[0].asset"),
    (
        transfer(posting("a", "b", "EUR", 5), posting("a", "b", "EUR", 5)),
        transfer(posting("a", "b", "EUR", 5), posting("a", "b", "EUR", 6)),
        "postings[1].amount",
    ),
    (
        batch(pay("a", "b", "EUR", 5), pay("a", "b", "EUR", 5, reference="r")),
        batch(pay("a", "b", "EUR", 5), pay("a", "b", "EUR", 5, reference="another")),
        "commands[1].reference",
    ),
    (batch(define("EUR", 2)), batch(open_wallet("a")), "commands[0]"),
    (batch(void("a", "h1")), batch(void("a", "h1", if_version={"a": 7})), "commands[0].if_version"),
    (capture("a", "h1", ("b", 5)), capture("a", "h1", ("b", 6)), "parts[0].amount"),
    (pay("a", "b", "EUR", 5), define("EUR", 2), "method"),
]


@pytest.mark.parametrize(("one", "other", "field"), INSIDE, ids=[field for *_, field in INSIDE])
def test_the_place_of_the_difference_is_named(one: AnyCommand, other: AnyCommand, field: str) -> None:
    assert first_difference(one, other) == field


@pytest.mark.parametrize("circumstance", CIRCUMSTANCES)
def test_what_is_asked_for_is_named_before_a_circumstance(circumstance: str) -> None:
    commands = [command for command in COMMANDS if hasattr(command, circumstance) and hasattr(command, "wallet")]
    for command in commands or [COMMANDS[-2]]:
        changed = {circumstance: OTHERS[circumstance]}
        asked = "wallet" if hasattr(command, "wallet") else "client"
        other = msgspec.structs.replace(command, **changed, **{asked: OTHERS[asked]})
        assert first_difference(command, other) == asked


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("if_version", True),
        ("if_balance[0].gte", True),
        ("commands[3].expires_in_seconds", True),
        ("until", True),
        ("reference", False),
        ("postings[0].amount", False),
        ("commands[0].reference", False),
        ("method", False),
    ],
)
def test_a_circumstance_is_told_from_what_is_asked_for(path: str, expected: bool) -> None:
    assert is_circumstance(path) is expected
