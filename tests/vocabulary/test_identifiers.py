"""Names: what is well-formed, and what they say of themselves."""

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from walletd.vocabulary import identifiers as i
from walletd.vocabulary.claims import wallets_of
from walletd.vocabulary.commands import (
    AnyCommand,
    DefineAsset,
    ExecuteBatch,
    ExtendHold,
    OpenWallet,
    PlaceHold,
    Posting,
    PostTransfer,
)
from walletd.vocabulary.histories import new_mark
from walletd.vocabulary.sameness import first_difference, is_circumstance

ALL_PATTERNS = [
    i.WALLET_ID_PATTERN,
    i.ASSET_CODE_PATTERN,
    i.COMMAND_ID_PATTERN,
    i.TRANSFER_ID_PATTERN,
    i.TRANSFER_ID_PATTERN,
    i.HOLD_ID_PATTERN,
    i.WALLET_PREFIX_PATTERN,
]
GOOD = ["alice", "EUR", "c1", "t123", "t12.3-k3f9a2xq", "h4-k3f9a2xq", "shop:"]


@pytest.mark.parametrize(("pattern", "good"), list(zip(ALL_PATTERNS, GOOD, strict=True)))
def test_a_pattern_takes_the_whole_name_and_nothing_around_it(pattern: str, good: str) -> None:
    assert re.search(pattern, good)
    for bad in (good + "\n", "\n" + good, good + "\x00", good + " ", " " + good, good + "\u2028", good + "é"):
        assert not re.search(pattern, bad), bad


@pytest.mark.parametrize("prefix", ["", "@", "s", "shop:", "@f"])
def test_every_beginning_of_a_name_is_a_prefix(prefix: str) -> None:
    assert re.search(i.WALLET_PREFIX_PATTERN, prefix)


def test_every_beginning_of_the_longest_name_is_a_prefix() -> None:
    name = "@" + "a" * 63
    assert re.search(i.WALLET_ID_PATTERN, name)
    assert all(re.search(i.WALLET_PREFIX_PATTERN, name[:length]) for length in range(len(name) + 1))


@pytest.mark.parametrize("sequence", [1, 9, 10, 2**53 - 1])
def test_a_transfers_id_and_the_sequence_of_its_entry_say_the_same(sequence: int) -> None:
    transfer = i.transfer_id(sequence)
    assert re.search(i.TRANSFER_ID_PATTERN, transfer)
    assert i.sequence_of(transfer) == sequence


@pytest.mark.parametrize("make", [i.transfer_id, i.hold_id])
def test_an_id_says_the_sequence_the_index_and_the_history_that_it_was_made_of(make: Any) -> None:
    chance = random.Random(5)
    made: dict[Any, Any] = {}
    for _ in range(2000):
        place = chance.randrange(1, 40), chance.choice([None, 0, 1, 10, 999]), chance.choice(["", new_mark()])
        name = make(*place)
        assert (i.place_of(name), i.history_of(name)) == ((place[0], -1 if place[1] is None else place[1]), place[2])
        assert re.search(i.TRANSFER_ID_PATTERN if make is i.transfer_id else i.HOLD_ID_PATTERN, name)
        assert made.setdefault(name, place) == place, "two places have one name"


def test_a_wallet_is_a_system_wallet_by_its_first_letter() -> None:
    assert i.is_system_wallet(i.EXTERNAL)
    assert not i.is_system_wallet("external@")


# --- commands --------------------------------------------------------------------------------------------------------


def pay(*sides: str, **fields: object) -> PostTransfer:
    """A transfer of 1 EUR along each pair of wallets such as "alice>bob"."""
    pairs = (side.split(">") for side in sides)
    postings = tuple(Posting(source, to, "EUR", "1") for source, to in pairs)  # type: ignore[arg-type]
    return PostTransfer(**{"command_id": "c", "postings": postings, **fields})  # type: ignore[arg-type]


NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hold(**fields: Any) -> PlaceHold:
    """A hold of one cent."""
    return PlaceHold(**{"command_id": "c", "wallet": "a", "asset": "EUR", "amount": "1", **fields})


def extend(**fields: Any) -> ExtendHold:
    """Another expiry of a hold."""
    return ExtendHold(**{"command_id": "c", "wallet": "a", "hold": "h1", **fields})


def several(*commands: Any, **fields: Any) -> ExecuteBatch:
    """A batch of these commands."""
    return ExecuteBatch(**{"command_id": "b", "commands": commands, **fields})


CLAIMS: list[tuple[AnyCommand, list[str]]] = [
    (DefineAsset(command_id="c", asset="EUR", scale=2), []),  # type: ignore[arg-type]
    (DefineAsset(command_id="c", asset="EUR", scale=2, if_version={"zoe": 1, "al": 2}), ["al", "zoe"]),  # type: ignore[arg-type,dict-item]
    (OpenWallet(command_id="c", wallet="bob"), ["bob"]),  # type: ignore[arg-type]
    (OpenWallet(command_id="c", wallet="bob", if_version={"bob": 0}), ["bob"]),  # type: ignore[arg-type,dict-item]
    (pay("bob>alice"), ["alice", "bob"]),
    (pay("bob>alice", "alice>bob", "bob>@fees"), ["@fees", "alice", "bob"]),
    (pay("bob>alice", if_version={"carol": 1, "bob": 1}), ["alice", "bob", "carol"]),
    (pay("bob>bob"), ["bob"]),
]


@pytest.mark.parametrize(("command", "wallets"), CLAIMS)
def test_a_command_claims_every_wallet_in_it_once_in_sorted_order(command: AnyCommand, wallets: list[str]) -> None:
    assert wallets_of(command) == wallets


DIFFERENCES: list[tuple[AnyCommand, AnyCommand, str | None]] = [
    (pay("a>b"), pay("a>b"), None),
    (pay("a>b"), OpenWallet(command_id="c", wallet="a"), "method"),  # type: ignore[arg-type]
    (pay("a>b"), pay("a>b", command_id="d"), "command_id"),
    (pay("a>b"), pay("a>b", if_version={"a": 1}), "if_version"),
    (pay("a>b"), pay("a>b", dry_run=True), "dry_run"),
    (pay("a>b"), pay("a>c"), "postings[0].to"),
    (pay("a>b"), pay("c>b"), "postings[0].from"),
    (pay("a>b", "a>b"), pay("a>b", "c>d"), "postings[1].from"),
    (pay("a>b"), pay("a>b", "a>b"), "postings"),
    (pay("a>b"), pay("a>b", reference="x"), "reference"),
    (pay("a>b", metadata={"k": "1"}), pay("a>b", metadata={"k": "2"}), "metadata"),
    (pay("a>b", dry_run=True, reference="x"), pay("b>a"), "dry_run"),
    # until when to decide is no part of what is asked for
    (pay("a>b", valid_until=NOON), pay("a>b", valid_until=NOON + HOUR), None),
    (pay("a>b", valid_until=NOON), pay("a>b", valid_for_seconds=60), None),
    (pay("a>b", valid_for_seconds=60), pay("a>b"), None),
    (several(pay("a>b", valid_until=NOON)), several(pay("a>b", valid_for_seconds=60), valid_until=NOON), None),
    (pay("a>b", valid_until=NOON), pay("a>c", valid_until=NOON + HOUR), "postings[0].to"),
    # a time that is counted is compared as it was sent
    (hold(expires_in_seconds=60), hold(expires_in_seconds=60), None),
    (hold(expires_in_seconds=60), hold(expires_in_seconds=61), "expires_in_seconds"),
    (hold(expires_in_seconds=60), hold(expires_at=NOON), "expires_at"),
    (extend(expires_at=None), extend(expires_in_seconds=60), "expires_at"),
    (several(hold(expires_at=NOON)), several(hold(expires_at=NOON + HOUR)), "commands[0].expires_at"),
    # what is wanted is named before the circumstances
    (pay("a>b", if_version={"a": 1}), pay("b>a", if_version={"a": 2}), "postings[0].from"),
    (pay("a>b", if_version={"a": 1}), pay("a>b", if_version={"a": 2}), "if_version"),
    (hold(expires_at=NOON, reference="x"), hold(expires_at=NOON + HOUR), "reference"),
    (several(hold(expires_at=NOON)), several(hold(expires_at=NOON + HOUR, amount="2")), "commands[0].amount"),
]


@pytest.mark.parametrize(("one", "other", "field"), DIFFERENCES)
def test_the_first_field_in_which_two_commands_differ_is_named_as_on_the_wire(
    one: AnyCommand, other: AnyCommand, field: str | None
) -> None:
    assert first_difference(one, other) == field
    assert first_difference(other, one) == field


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("expires_at", True),
        ("commands[3].until_in_seconds", True),
        ("if_version", True),
        ("if_balance[0].gte", True),
        ("commands", False),
        ("commands[3].amount", False),
        ("metadata", False),
        ("method", False),
    ],
)
def test_ends_and_conditions_are_circumstances_and_what_is_asked_for_is_none(path: str, is_one: bool) -> None:
    assert is_circumstance(path) is is_one
