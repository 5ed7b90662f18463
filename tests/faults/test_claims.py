"""The checker is checked: an honest history passes, and each mutation of it is flagged by the rule that it breaks."""

import random
from collections.abc import Callable

import pytest

from tests.faults.claims import Reading, Told, Transfer, violations

WALLETS = [f"w{number}" for number in range(4)]
FUNDS = dict.fromkeys(WALLETS, 100)
VERSIONS = dict.fromkeys(WALLETS, 2)


def honest(seed: int, count: int = 200) -> tuple[list[Transfer], list[Reading]]:
    """What a serial daemon tells clients whose requests overlap a little."""
    chance = random.Random(seed)
    posted, versions = dict(FUNDS), dict(VERSIONS)
    transfers: list[Transfer] = []
    readings: list[Reading] = []
    for number in range(count):
        now = 10 * number
        invoked, returned = now - chance.randrange(30), now + chance.randrange(1, 30)
        payer, payee = chance.sample(WALLETS, 2)
        amount = chance.randrange(1, 60)
        if posted[payer] < amount:
            transfers.append(Transfer(payer, payee, amount, invoked, returned, number + 1, posted[payer]))
        else:
            posted[payer] -= amount
            posted[payee] += amount
            versions[payer] += 1
            versions[payee] += 1
            told = tuple(Told(wallet, posted[wallet], versions[wallet]) for wallet in (payer, payee))
            transfers.append(Transfer(payer, payee, amount, invoked, returned, number + 1, None, told))
        wallet = chance.choice(WALLETS)
        shown = Told(wallet, posted[wallet], versions[wallet])
        readings.append(Reading(shown, now + 1 - chance.randrange(30), now + 2 + chance.randrange(30), number + 1))
    chance.shuffle(transfers)
    return transfers, readings


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_history_passes(seed: int) -> None:
    assert list(violations(*honest(seed), FUNDS, VERSIONS)) == []


def applied(transfers: list[Transfer]) -> int:
    """The place of some transfer in the middle that was applied."""
    return next(place for place, one in enumerate(transfers) if one.available is None and 50 < one.sequence < 150)


def refused(transfers: list[Transfer]) -> int:
    return next(place for place, one in enumerate(transfers) if one.available is not None)


def lose(transfers: list[Transfer], readings: list[Reading]) -> None:
    del transfers[applied(transfers)]


def apply_twice(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    transfers.append(transfers[place])


def claim_the_same_entry(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = refused(transfers)
    transfers.append(transfers[place])


def tell_another_balance(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    first, second = transfers[place].balances
    transfers[place] = transfers[place]._replace(balances=(first._replace(posted=first.posted + 1), second))


def tell_another_version(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    first, second = transfers[place].balances
    transfers[place] = transfers[place]._replace(balances=(first, second._replace(version=second.version + 1)))


def tell_one_balance_only(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    transfers[place] = transfers[place]._replace(balances=transfers[place].balances[:1])


def refuse_wrongly(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = refused(transfers)
    transfers[place] = transfers[place]._replace(amount=transfers[place].available or 0)


def refuse_what_was_applied(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    transfers[place] = transfers[place]._replace(available=0, balances=())


def answer_before_an_earlier_one_was_asked(transfers: list[Transfer], readings: list[Reading]) -> None:
    place = applied(transfers)
    transfers[place] = transfers[place]._replace(invoked=-1000, returned=-999)


def read_too_old(transfers: list[Transfer], readings: list[Reading]) -> None:
    readings[100] = readings[100]._replace(invoked=1900, returned=1990)


def read_too_new(transfers: list[Transfer], readings: list[Reading]) -> None:
    readings[100] = readings[100]._replace(invoked=1, returned=2)


def read_another_balance(transfers: list[Transfer], readings: list[Reading]) -> None:
    told = readings[100].told
    readings[100] = readings[100]._replace(told=told._replace(posted=told.posted + 1))


Mutate = Callable[[list[Transfer], list[Reading]], None]
MUTATIONS: dict[Mutate, str] = {
    lose: "it has",
    apply_twice: "two commands claim",
    claim_the_same_entry: "two commands claim",
    tell_another_balance: "it has",
    tell_another_version: "it has",
    tell_one_balance_only: "does not tell both",
    refuse_wrongly: "was refused for",
    refuse_what_was_applied: "was refused for",
    answer_before_an_earlier_one_was_asked: "had returned before an earlier",
    read_too_old: "misses entry",
    read_too_new: "asked for only later",
    read_another_balance: "a reading tells",
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=[mutate.__name__ for mutate in MUTATIONS])
@pytest.mark.parametrize("seed", range(5))
def test_a_mutated_history_is_flagged_by_its_rule(mutate: Mutate, seed: int) -> None:
    transfers, readings = honest(seed)
    mutate(transfers, readings)
    found = list(violations(transfers, readings, FUNDS, VERSIONS))
    assert any(MUTATIONS[mutate] in wrong for wrong in found), found[:3]


def test_a_transfer_below_zero_is_flagged() -> None:
    told = (Told("w0", -20, 3), Told("w1", 220, 3))
    found = list(violations([Transfer("w0", "w1", 120, 0, 1, 1, None, told)], [], FUNDS, VERSIONS))
    assert any("below zero" in wrong for wrong in found)
