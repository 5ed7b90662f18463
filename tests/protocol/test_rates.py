"""How fast a session may ask: what may come at once, what is refused until when, and who is warned and closed."""

import heapq
import random
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from walletd.sessions.budgets import NO_CLIENTS, Budgets, Defaults
from walletd.sessions.rates import RateBook, Rates, Throttle, TokenBucket
from walletd.vocabulary.budgets import STRANGERS, TRUSTED, Budget
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal

SHOP, TILL = Principal("shop"), Principal("till")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """Sessions at these rates, and the accounts of their clients."""

    def __init__(
        self, session: float, principal: int, guest: float, clients: Mapping[Principal, ClientRecord] = NO_CLIENTS
    ) -> None:
        requests = Budget(requests_per_second=principal)
        self.book = RateBook(Rates(session, guest))
        self.budgets = Budgets(lambda: 0.0, clients, Defaults(requests.over(STRANGERS), requests.over(TRUSTED)))

    def throttle(self) -> Throttle:
        return self.book.throttle(self.budgets.account)


def asked(throttle: Throttle, principal: Principal | None, times: int, now: float) -> list[int]:
    throttle.now = now
    return [throttle.take(principal) for _ in range(times)]


def test_a_seconds_worth_may_come_at_once_and_then_as_much_as_the_rate_gives() -> None:
    throttle = Desk(10, 100, 1).throttle()
    assert asked(throttle, SHOP, 10, 5.0) == [0] * 10
    assert asked(throttle, SHOP, 1, 5.0) == [100], "in milliseconds, until there is one"
    assert asked(throttle, SHOP, 2, 5.1) == [0, 100]
    assert asked(throttle, SHOP, 11, 99.0) == [0] * 10 + [100], "an hour of silence does not pay for a flood"


def test_who_waits_as_it_is_told_is_let_through_and_never_warned() -> None:
    throttle, now = Desk(10, 100, 1).throttle(), 0.0
    for _ in range(1000):
        (wait,) = asked(throttle, SHOP, 1, now)
        if wait:
            now += wait / 1000
            assert asked(throttle, SHOP, 1, now) == [0]
        assert not throttle.needs_warning()
        assert not throttle.is_worn_out


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_pace_no_more_gets_through_than_rate_and_burst(seed: int) -> None:
    chance, now, through = random.Random(seed), 0.0, 0
    rate = chance.choice((1, 7, 50, 1000))
    throttle = Desk(rate, 10 * rate, 1).throttle()
    for _ in range(3000):
        now += chance.choice((0, 0, 0.001, 0.1)) * chance.random()
        through += asked(throttle, SHOP, 1, now) == [0]
    assert through <= rate + rate * now + 1, seed
    assert through >= min(3000, rate), seed


@pytest.mark.parametrize("pending", [1, 5, 40, 300])
def test_many_who_wait_as_they_are_told_come_spread_out_and_nobody_is_warned(pending: int) -> None:
    throttle = Desk(20, 1000, 1).throttle()
    agenda = [(0.0, number) for number in range(pending)]
    refusals = 0
    while agenda:
        now, number = heapq.heappop(agenda)
        (wait,) = asked(throttle, SHOP, 1, now)
        if wait:
            refusals += 1
            heapq.heappush(agenda, (now + wait / 1000, number))
        assert not throttle.is_worn_out or pending > 60
    assert refusals <= 2 * pending


def test_all_sessions_of_a_principal_share_its_rate_and_another_has_its_own() -> None:
    desk = Desk(100, 10, 1)
    one, two, other = desk.throttle(), desk.throttle(), desk.throttle()
    assert asked(one, SHOP, 6, 0.0) == [0] * 6
    assert asked(two, SHOP, 6, 0.0) == [0] * 4 + [100, 200]
    assert asked(other, TILL, 10, 0.0) == [0] * 10
    assert desk.book.limited == 2


def test_reconnecting_fills_no_bucket_of_a_principal() -> None:
    desk = Desk(100, 10, 1)
    assert [asked(desk.throttle(), SHOP, 1, 0.0) for _ in range(11)] == [[0]] * 10 + [[100]]


def test_authenticating_again_fills_no_bucket() -> None:
    throttle = Desk(10, 100, 1).throttle()
    assert asked(throttle, SHOP, 10, 0.0) == [0] * 10
    assert asked(throttle, Principal("".join("shop")), 1, 0.0) == [100]


def test_what_the_principals_rate_refuses_does_not_cost_the_session_its_own() -> None:
    desk = Desk(10, 10, 1)
    asked(desk.throttle(), SHOP, 10, 0.0)
    throttle = desk.throttle()
    asked(throttle, SHOP, 5, 0.0)
    assert asked(throttle, TILL, 10, 0.0) == [0] * 10


def test_a_guest_may_ask_little_and_more_once_it_is_somebody() -> None:
    throttle = Desk(50, 100, 2).throttle()
    assert asked(throttle, None, 3, 0.0) == [0, 0, 500]
    assert asked(throttle, SHOP, 50, 0.0) == [0] * 50


def test_who_goes_on_is_warned_once_and_then_worn_out() -> None:
    desk = Desk(10, 100, 1)
    throttle = desk.throttle()
    asked(throttle, SHOP, 10, 0.0)
    seen = []
    for _ in range(21):
        asked(throttle, SHOP, 1, 0.0)
        seen.append((throttle.needs_warning(), throttle.is_worn_out))
    assert seen[:9] == [(False, False)] * 9
    assert seen[9] == (True, False), "a warning when half of the patience is used up"
    assert seen[10:20] == [(False, False)] * 10
    assert seen[20] == (False, True)
    assert (desk.book.limited, desk.book.warned) == (21, 1)


def test_patience_comes_back_and_with_it_the_warning() -> None:
    throttle = Desk(10, 100, 1).throttle()
    for now in (0.0, 100.0):
        asked(throttle, SHOP, 10 + 11, now)
        assert throttle.needs_warning()
        assert not throttle.needs_warning()
    throttle.now = 200.0
    assert not throttle.needs_warning()


def test_a_budget_of_its_own_bounds_a_client_and_a_new_one_holds_at_once() -> None:
    record = ClientRecord(client=SHOP, scopes=(), tokens=(), created_by=SHOP, created_at=NOW)
    slower = msgspec.structs.replace(record, budget=Budget(requests_per_second=3))
    clients = {SHOP: slower}
    desk = Desk(100, 10, 1, clients)
    one, two = desk.throttle(), desk.throttle()
    assert [asked(one, SHOP, 2, 0.0), asked(two, SHOP, 2, 0.0)] == [[0, 0], [0, 334]]
    assert asked(one, TILL, 10, 0.0) == [0] * 10, "the others have the default"
    clients[SHOP] = msgspec.structs.replace(record, budget=Budget(requests_per_second=0))
    desk.budgets.review(clients.values())
    assert asked(two, SHOP, 60, 0.0) == [0] * 60, "0: no limit but the session's"


def test_a_bucket_holds_at_least_one() -> None:
    bucket = TokenBucket(0.5, 0.1)
    assert bucket.take(0.0) == 0
    assert bucket.take(0.0) == 2.0
    assert bucket.take(2.0) == 0
