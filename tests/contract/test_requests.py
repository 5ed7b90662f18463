"""What the contract permits is what a session takes, and nothing else: examples of all methods, mutated."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.witness import published
from tests.protocol.words import EXAMPLES, session
from walletd.protocol.methods import METHODS
from walletd.vocabulary.error_codes import Reason

STRANGE: list[Any] = [
    None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 1.5, "", "0", "1", "-1", "01", "+1", "1e3", "9" * 36, "9" * 37,
    "a", "A", "@x", "a b", "a\n", "\u00e9", "x" * 64, "x" * 65, "t1", "h1", "EUR", [], [None], {}, {"a": "b"}, {"": 1},
    "2030-01-31T12:00:00Z", "2030-01-31", "view:*", "admin", "a" * 64,
]  # fmt: skip
ROUNDS = 150


def mutations(params: dict[str, Any], chance: random.Random) -> Iterator[dict[str, Any]]:
    """The params as they are, then with something taken away, added or replaced, somewhere."""
    yield params
    for _ in range(ROUNDS):
        changed = copy.deepcopy(params)
        for _ in range(chance.choice((1, 1, 1, 2))):
            _mutate(changed, chance)
        yield changed


def _mutate(document: Any, chance: random.Random) -> None:
    places = list(_places(document))
    parent, key = chance.choice(places) if places else (document, None)
    if key is None or chance.random() < 0.1:
        if isinstance(parent, dict):
            parent[chance.choice(("unknown", "dry_run", "limit", "method", ""))] = copy.deepcopy(chance.choice(STRANGE))
        return
    if chance.random() < 0.2:
        del parent[key]
    elif isinstance(parent[key], list) and parent[key] and chance.random() < 0.3:
        parent[key] = parent[key] * chance.choice((2, 101))
    else:
        parent[key] = copy.deepcopy(chance.choice(STRANGE))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from _places(document[key])


@pytest.mark.parametrize("method", METHODS)
def test_the_contract_permits_what_a_session_takes_and_nothing_else(method: str) -> None:
    seed = f"{method} 1"
    verdicts = [0, 0]
    for params in mutations(EXAMPLES[method], random.Random(seed)):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        faults = published().faults(f"{method}.request", request)
        answer = session("admin").receive(json.dumps(request).encode())
        reason = (
            json.loads(answer).get("error", {}).get("data", {}).get("reason") if isinstance(answer, bytes) else None
        )
        is_taken = reason != Reason.INVALID_PARAMS.value
        assert is_taken == (not faults), f"seed {seed}: {params}\nthe session: {answer!r}\nthe contract: {faults}"
        verdicts[is_taken] += 1
    assert verdicts[True] >= 1
    assert verdicts[False] >= 10
