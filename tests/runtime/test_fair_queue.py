"""A fair queue: turns by key, quanta of measured cost, debts; and no key waits longer than its fair turn."""

import random
from collections import Counter

import pytest

from walletd.runtime import fair_queue
from walletd.runtime.fair_queue import FairQueue


def taken(queue: FairQueue[str, object], cost: float = 0.0) -> list[object]:
    """Everything that waits, in the order in which it is served."""
    found = []
    while len(queue):
        key, item = queue.take()
        queue.charge(key, cost)
        found.append(item)
    return found


def test_items_of_one_key_are_served_in_the_order_of_their_arrival() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    for item in range(5):
        queue.put("a", item)
    assert taken(queue, cost=3) == [0, 1, 2, 3, 4]


def test_a_patient_item_lets_others_of_its_key_pass_but_not_for_long() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    for number in range(3):
        queue.put("a", f"patient {number}", is_patient=True)
    for number in range(2 * fair_queue.PATIENCE):
        queue.put("a", number)
    served = taken(queue)
    assert [one for one in served if isinstance(one, int)] == list(range(2 * fair_queue.PATIENCE))
    places = [served.index(f"patient {number}") for number in range(3)]
    assert places == [fair_queue.PATIENCE, 2 * fair_queue.PATIENCE + 1, 2 * fair_queue.PATIENCE + 2]


def test_keys_are_served_in_turn_however_many_items_one_of_them_has() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    for item in ("a1", "a2", "a3", "a4"):
        queue.put("a", item)
    queue.put("b", "b1")
    queue.put("c", "c1")
    assert taken(queue) == ["a1", "b1", "c1", "a2", "a3", "a4"]


def test_a_key_whose_items_cost_more_is_served_less_often() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    for number in range(40):
        queue.put("dear", f"d{number}")
        queue.put("cheap", f"c{number}")
    served: Counter[str] = Counter()
    while served["cheap"] < 40:
        key, _ = queue.take()
        queue.charge(key, 10 if key == "dear" else 1)
        served[key] += 1
    assert 3 <= served["dear"] <= 5


def test_a_key_that_waits_alone_is_served_whatever_it_owes() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    queue.put("a", 1)
    assert queue.take() == ("a", 1)
    queue.charge("a", 1_000_000)
    queue.put("a", 2)
    assert queue.take() == ("a", 2)


def test_what_a_key_owes_outlives_its_queue() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    queue.put("a", 1)
    queue.take()
    queue.charge("a", 3)
    queue.put("a", 2)
    for number in range(5):
        queue.put("b", number)
    order = []
    while len(queue):
        key, _ = queue.take()
        queue.charge(key, 1)
        order.append(key)
    assert order == ["b", "b", "b", "a", "b", "b"]


def test_what_a_key_does_not_use_of_its_quantum_is_not_kept() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    for number in range(10):
        queue.put("busy", number)
        queue.take()
        queue.charge("busy", 2)
    for number in range(4):
        queue.put("idle", number)
        queue.put("busy", number)
    order = []
    while len(queue):
        key, _ = queue.take()
        queue.charge(key, 1)
        order.append(key)
    assert order[:4].count("idle") <= 3, "the rounds in which it was idle gave it nothing"


def test_a_round_is_over_when_all_that_wait_have_used_up_their_quantum() -> None:
    queue: FairQueue[str, object] = FairQueue(2)
    for key in ("a", "b"):
        for item in range(3):
            queue.put(key, item)
    queue.take()
    queue.charge("a", 2)
    assert not queue.is_round_over
    queue.take()
    queue.charge("b", 5)
    assert queue.is_round_over
    assert queue.owes("a")
    assert queue.take() == ("a", 1)
    assert queue.round == 1


def test_nothing_is_taken_from_an_empty_queue() -> None:
    queue: FairQueue[str, object] = FairQueue(1)
    with pytest.raises(IndexError):
        queue.take()


def test_idle_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_queue, "KEPT", 10)
    queue: FairQueue[str, object] = FairQueue(1)
    for number in range(1000):
        queue.put(f"k{number}", number)
        queue.take()
        queue.charge(f"k{number}", number % 3)
    assert len(queue._shares) <= 4 * 10


def test_no_key_waits_longer_than_its_fair_turn_whatever_the_others_enqueue(chance: random.Random) -> None:
    """Keys come and go with queues and costs of all sizes.  A key that owes nothing waits for at most one item of each
    other key; and while two keys wait, neither gets more than the other by more than a quantum and what an item costs.
    """
    quantum, most_cost = 1.0, 20.0
    for _ in range(30):
        queue: FairQueue[int, int] = FairQueue(quantum)
        keys = range(chance.randint(2, 12))
        weight = [chance.choice((0.1, 1.0, most_cost)) for _ in keys]
        waiting: Counter[int] = Counter()
        overtaken: dict[int, Counter[int]] = {}
        """For each key that waits and owed nothing when it came: the items of the others served since."""
        used: dict[tuple[int, int], float] = {}
        """For two keys that both wait: what the first has used since, less what the second has."""
        for step in range(2_000):
            while chance.random() < 0.4 or not len(queue):
                key = chance.choice(keys)
                if not waiting[key] and not queue.owes(key):
                    overtaken[key] = Counter()
                for _ in range(chance.choice((1, 1, 1, 50))):
                    queue.put(key, step)
                    waiting[key] += 1
            served, _ = queue.take()
            cost = chance.random() * weight[served]
            queue.charge(served, cost)
            waiting[served] -= 1
            overtaken.pop(served, None)
            for one, passed in overtaken.items():
                passed[served] += 1
                assert passed[served] <= 1, f"{one} waits while {served} is served again"
            for one in keys:
                for other in keys:
                    if not (waiting[one] and waiting[other]):
                        used.pop((one, other), None)
                    elif one != other:
                        change = cost if one == served else -cost if other == served else 0.0
                        used[one, other] = used.get((one, other), 0.0) + change
                        assert abs(used[one, other]) <= 2 * (quantum + most_cost)
