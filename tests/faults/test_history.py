"""The checker is checked: an honest history passes, and each kind of lie is found."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from tests.daemon.process import transfer
from tests.faults.history import Command, History, violations

FUNDED = {"a": 100, "b": 100}


def honest() -> History:
    posted, versions, history = dict(FUNDED), {"a": 2, "b": 2}, History()
    for number in range(20):
        payer, payee = ("a", "b") if number % 3 else ("b", "a")
        params = transfer(f"c{number}", payer, payee, 30)
        if posted[payer] < 30:
            data = {"available": str(posted[payer]), "sequence": number + 10}
            answer = {"error": {"code": 3050, "data": data}}
        else:
            posted[payer] -= 30
            posted[payee] += 30
            versions = {wallet: version + 1 for wallet, version in versions.items()}
            balances = [
                {"wallet": wallet, "posted": str(posted[wallet]), "version": versions[wallet]} for wallet in "ab"
            ]
            answer = {"result": {"sequence": number + 10, "balances": balances}}
        history.commands[f"c{number}"] = Command(params, [answer])
    return history


def applied(history: History) -> list[Command]:
    return [command for command in history.commands.values() if "result" in command.answers[0]]


def refused(history: History) -> list[Command]:
    return [command for command in history.commands.values() if "error" in command.answers[0]]


def a_lost_acknowledgement(history: History) -> None:
    del history.commands[applied(history)[2].command_id]


def a_command_applied_twice(history: History) -> None:
    twice = deepcopy(applied(history)[1])
    twice.params["command_id"] = "twin"
    history.commands["twin"] = twice


def another_answer_to_a_repetition(history: History) -> None:
    command = applied(history)[3]
    other = deepcopy(command.answers[0])
    other["result"]["sequence"] += 1
    command.answers.append(other)


def an_altered_balance(history: History) -> None:
    applied(history)[4].answers[0]["result"]["balances"][0]["posted"] = "7"


def a_skipped_version(history: History) -> None:
    for command in applied(history)[5:]:
        for balance in command.answers[0]["result"]["balances"]:
            balance["version"] += 1


def a_wrong_refusal(history: History) -> None:
    refused(history)[0].answers[0]["error"]["data"]["available"] = "29999"


def two_swapped_sequences(history: History) -> None:
    one, other = applied(history)[6], applied(history)[7]
    first, second = one.answers[0]["result"], other.answers[0]["result"]
    first["sequence"], second["sequence"] = second["sequence"], first["sequence"]


LIES: list[Callable[[History], None]] = [
    a_lost_acknowledgement,
    a_command_applied_twice,
    another_answer_to_a_repetition,
    an_altered_balance,
    a_skipped_version,
    a_wrong_refusal,
    two_swapped_sequences,
]


def test_an_honest_history_passes() -> None:
    assert list(violations(honest(), FUNDED)) == []
    assert applied(honest())
    assert refused(honest())


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_is_found(lie: Callable[[History], None]) -> None:
    history = honest()
    lie(history)
    assert list(violations(history, FUNDED))
