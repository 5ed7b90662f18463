"""What clients saw, and the checker that says whether it can be true.

The order is the one that the daemon claims: every answer carries a sequence, and every balance in it a version.  So a
check needs no search: it replays the acknowledged commands in that order and compares.  Commands that were never
answered may be there or not, so they are asked for again, with the same id, before a history is checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Command:
    """One transfer as a client sent it, and every answer that it got: the first, and those to its repetitions."""

    params: dict[str, Any]
    answers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def command_id(self) -> str:
        return str(self.params["command_id"])

    @property
    def answer(self) -> dict[str, Any] | None:
        return self.answers[0] if self.answers else None


@dataclass
class History:
    """All commands of all clients, by command id."""

    commands: dict[str, Command] = field(default_factory=dict)

    def unanswered(self) -> list[Command]:
        return [command for command in self.commands.values() if not command.answers]


def violations(history: History, funded: dict[str, int]) -> Iterator[str]:
    """Everything in the history that no honest daemon can have said.  ``funded``: what each wallet began with."""
    for command in history.commands.values():
        yield from _answers_agree(command)
    answered = [command for command in history.commands.values() if command.answer is not None]
    answered.sort(key=lambda command: _sequence(command))
    sequences = [_sequence(command) for command in answered]
    if len(set(sequences)) != len(sequences):
        yield "two commands claim one sequence"
    yield from _replay(answered, dict(funded))


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs between a first answer and its repetition."""
    body = dict(answer.get("result") or answer["error"])
    body.pop("replayed", None)
    if "data" in body:
        body["data"] = {name: value for name, value in body["data"].items() if name != "replayed"}
    return body


def _sequence(command: Command) -> int:
    assert command.answer is not None
    body = plain(command.answer)
    return int(body["sequence"] if "sequence" in body else body["data"]["sequence"])


def _answers_agree(command: Command) -> Iterator[str]:
    for answer in command.answers[1:]:
        if plain(answer) != plain(command.answers[0]):
            yield f"{command.command_id} got two answers"


def _replay(answered: list[Command], posted: dict[str, int]) -> Iterator[str]:
    versions: dict[str, int] = {}
    for command in answered:
        (posting,) = command.params["postings"]
        payer, payee, amount = posting["from"], posting["to"], int(posting["amount"])
        assert command.answer is not None
        if "error" in command.answer:
            available = int(command.answer["error"]["data"]["available"])
            if available != posted[payer] or available >= amount:
                yield f"{command.command_id} was refused for {available}, but {payer} had {posted[payer]}"
            continue
        posted[payer] -= amount
        posted[payee] += amount
        if posted[payer] < 0:
            yield f"{command.command_id} took {payer} below zero"
        for balance in command.answer["result"]["balances"]:
            wallet = balance["wallet"]
            if int(balance["posted"]) != posted[wallet]:
                yield f"{command.command_id} says {wallet} has {balance['posted']}; it has {posted[wallet]}"
            if wallet in versions and balance["version"] != versions[wallet] + 1:
                yield f"{command.command_id} makes {wallet} jump to version {balance['version']}"
            versions[wallet] = balance["version"]
