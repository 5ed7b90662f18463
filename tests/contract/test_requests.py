"""What the contract permits is what a session takes, and nothing else: examples of all methods, mutated."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.witness import published
from tests.fuzz.inputs import change
from tests.protocol.words import EXAMPLES, session
from walletd.protocol.methods import METHODS
from walletd.sessions.session import Reply
from walletd.vocabulary.reasons import Reason

ROUNDS = 150


def mutations(params: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
    """The params as they are, then with something taken away, added or replaced, somewhere."""
    yield params
    for _ in range(ROUNDS):
        changed = copy.deepcopy(params)
        for _ in range(chance.choice((1, 1, 1, 2))):
            change(changed, chance)
        yield changed


@pytest.mark.parametrize("method", METHODS)
def test_the_contract_permits_what_a_session_takes_and_nothing_else(method: str) -> None:
    seed = f"{method} 1"
    verdicts = [0, 0]
    for params in mutations(EXAMPLES[method], random.Random(seed)):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        faults = published().faults(f"{method}.request", request)
        answer = session("admin").receive(json.dumps(request).encode())
        reason = answer.declined.reason if isinstance(answer, Reply) and answer.declined is not None else None
        is_taken = reason is not Reason.INVALID_PARAMS
        assert is_taken == (not faults), f"seed {seed}: {params}\nthe session: {answer!r}\nthe contract: {faults}"
        verdicts[is_taken] += 1
    assert verdicts[True] >= 1
    assert verdicts[False] >= 10
