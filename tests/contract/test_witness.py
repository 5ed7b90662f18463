"""The witness of connections sees what is not as the contract has it."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.contract.witness import LONG_LIST, THEN_EACH, Witness

PING = {"jsonrpc": "2.0", "id": 1, "method": "session.ping", "params": {}}
PONG = {"time": "2030-01-31T12:00:00Z", "head": 7}
DATA = {"reason": "forbidden", "outcome": "not_applied", "retry": "never"}


@pytest.fixture(autouse=True)
def fresh_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests showed it in this process, it looks at every frame of these."""
    monkeypatch.setattr("tests.contract.witness._seen", Counter())


def reply(**result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": {**PONG, **result}}


def error(code: int = 1003, **data: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no", "data": {**DATA, **data}}}


def judge(asked: Any, answered: Any) -> None:
    witness = Witness()
    witness.sent(json.dumps(asked))
    witness.received(json.dumps(answered))


@pytest.mark.parametrize("answered", [reply(), error(), error(1006, reason="rate_limited", retry="same_command_id")])
def test_what_the_contract_has_passes(answered: dict[str, Any]) -> None:
    judge(PING, answered)


FALSE: list[tuple[str, Any, Any]] = [
    ("a field that is not declared", PING, reply(mood="good")),
    ("a missing field", PING, {"jsonrpc": "2.0", "id": 1, "result": {"head": 7}}),
    ("another type", PING, reply(head="7")),
    ("no time", PING, reply(time="noon")),
    ("a field beside the result", PING, {**reply(), "took": 1}),
    ("a result of what was not asked", {**PING, "id": 2}, reply()),
    ("params that were not permitted", {**PING, "params": {"x": 1}}, reply()),
    ("a reason that does not exist", PING, error(reason="tired")),
    ("a reason that the method does not list", PING, error(2003, reason="unknown_wallet")),
    ("another code", PING, error(1004)),
    ("another retry class", PING, error(retry="same_command_id")),
    ("a fact that is not declared", PING, error(mood="bad")),
    ("a method that the contract has", PING, error(-32601, reason="method_not_found")),
    ("an unknown notification", PING, {"jsonrpc": "2.0", "method": "gossip", "params": {}}),
]


@pytest.mark.parametrize(("asked", "answered"), [row[1:] for row in FALSE], ids=[row[0] for row in FALSE])
def test_what_the_contract_does_not_have_does_not_pass(asked: Any, answered: Any) -> None:
    with pytest.raises((AssertionError, LookupError)):
        judge(asked, answered)


@pytest.mark.parametrize("place", [0, LONG_LIST - 1, LONG_LIST + THEN_EACH])
def test_of_a_long_list_the_first_items_and_some_others_are_looked_at(place: int) -> None:
    assets: list[dict[str, Any]] = [{"asset": f"A{number}", "scale": 2} for number in range(2 * THEN_EACH)]
    listed = {"jsonrpc": "2.0", "id": 1, "result": {"assets": assets}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "asset.list", "params": {}}
    judge(asked, listed)
    assets[place]["scale"] = "two"
    with pytest.raises(AssertionError, match=r"asset\.list"):
        judge(asked, listed)


def test_a_close_code_has_its_row() -> None:
    Witness().closed(4508)
    with pytest.raises(AssertionError):
        Witness().closed(4999)
