"""Budgets: what one principal may take, whatever it asks for."""

import random
from datetime import UTC, datetime

import pytest

from walletd.sessions.budgets import DAY_SECONDS, KEPT_ACCOUNTS, Account, Budgets, Defaults
from walletd.vocabulary.budgets import KIBIBYTE, MEBIBYTE, STRANGERS, TRUSTED, Budget
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import Principal

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SMALL = Budget(
    journal_bytes_per_second=100,
    journal_burst_bytes=300,
    journal_bytes_per_day=0,
    processor_ms_per_second=250,
    in_flight=2,
    in_flight_bytes=1_000,
    subscriptions=1,
).over(STRANGERS)


def client(name: str, *scopes: str) -> ClientRecord:
    return ClientRecord(
        client=Principal(name), scopes=scopes, tokens=(), created_by=Principal("operator"), created_at=NOON
    )


def budgets(*records: ClientRecord, strangers: Budget = STRANGERS) -> Budgets:
    known = {record.client: record for record in records}
    return Budgets(lambda: 0.0, known, Defaults(strangers=strangers))


def test_a_principal_with_anything_left_may_take_one_more_entry_and_then_pays_its_debt() -> None:
    account = Account("a", SMALL)
    account.charge_journal(299, 0.0)
    assert account.journal_refusal(0.0) is None
    account.charge_journal(501, 0.0)
    assert account.journal_refusal(0.0) == {
        "budget": "journal_bytes_per_second",
        "limit": 100,
        "retry_after_ms": 5001,
    }
    assert account.journal_refusal(4.9) is not None
    assert account.journal_refusal(5.002) is None


def test_who_waits_as_long_as_it_was_told_is_not_refused_again() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, now, account = random.Random(seed), 0.0, Account("a", SMALL)
    for _ in range(500):
        now += chance.uniform(0, 3)
        account.charge_journal(chance.randrange(1, 2000), now)
        facts = account.journal_refusal(now)
        while facts is not None and facts["retry_after_ms"] == 60_000:
            now += 60
            facts = account.journal_refusal(now)
        if facts is not None:
            now += facts["retry_after_ms"] / 1000
        assert account.journal_refusal(now) is None


def test_no_second_takes_more_than_the_burst_and_one_seconds_worth_and_one_entry() -> None:
    account, now, taken = Account("a", STRANGERS), 0.0, []
    while now < 20:
        if account.journal_refusal(now) is None:
            account.charge_journal(8 * KIBIBYTE, now)
            taken.append(now)
        else:
            now += 0.01
    worst = max(sum(begin <= at < begin + 1 for at in taken) for begin in taken)
    assert worst * 8 * KIBIBYTE <= MEBIBYTE + 8 * KIBIBYTE
    assert len(taken) * 8 * KIBIBYTE <= 20 * 256 * KIBIBYTE + MEBIBYTE


def test_no_day_takes_more_than_its_bytes() -> None:
    budget = Budget(journal_bytes_per_second=0, journal_bytes_per_day=1_000_000).over(STRANGERS)
    account, now, taken = Account("a", budget), 0.0, 0
    while now < DAY_SECONDS:
        facts = account.journal_refusal(now)
        if facts is None:
            account.charge_journal(1000, now)
            taken += 1000
        else:
            assert facts["budget"] == "journal_bytes_per_day"
            now += facts["retry_after_ms"] / 1000
    assert 990_000 <= taken <= 1_001_000


def test_the_processor_is_due_again_when_its_debt_is_paid() -> None:
    account = Account("a", SMALL)
    account.charge_processor(0.75, 0.0)
    assert account.due(0.0) == pytest.approx(2.0, abs=0.01)
    assert account.due(2.1) == 0.0
    assert account.processor_seconds == 0.75


def test_requests_are_open_until_there_are_as_many_as_may_be_and_one_always_may() -> None:
    account = Account("a", SMALL)
    assert account.take_request(5_000) is None, "however large it is"
    assert account.take_request(1) == {"budget": "in_flight_bytes", "limit": 1_000, "retry_after_ms": 100}
    account.give_request(5_000)
    assert account.take_request(10) is account.take_request(10) is None
    assert account.take_request(10) == {"budget": "in_flight", "limit": 2, "retry_after_ms": 100}
    account.give_request(10)
    assert account.take_request(10) is None


def test_places_are_taken_until_there_are_none_and_given_back() -> None:
    account = Account("a", SMALL)
    assert account.take("subscriptions") is None
    assert account.take("subscriptions") == {"budget": "subscriptions", "limit": 1, "retry_after_ms": 100}
    account.give("subscriptions")
    assert account.take("subscriptions") is None
    assert account.taken("subscriptions") == 1


def test_the_strongest_scope_chooses_the_budget() -> None:
    seen = budgets(client("app", "operate"), client("root", "view:a", "admin"), client("user", "spend:a", "view:*"))
    assert seen.account(Principal("app")).budget == seen.account(Principal("root")).budget == TRUSTED
    assert seen.account(Principal("user")).budget == seen.account(None).budget == STRANGERS
    assert seen.account(Principal("@walletd")).budget == TRUSTED


def test_a_viewing_key_of_a_stranger_uses_its_owners_account() -> None:
    keys = client("user/a", "view:a"), client("user/b", "view:a"), client("app/c", "view:a")
    seen = budgets(client("app", "operate"), client("user", "spend:a"), *keys)
    owner = seen.account(Principal("user"))
    assert seen.account(Principal("user/a")) is seen.account(Principal("user/b")) is owner
    assert seen.account(Principal("app/c")).budget == STRANGERS
    assert seen.account(Principal("app/c")) is not seen.account(Principal("app"))


def test_what_is_refused_is_counted_by_its_budget() -> None:
    seen = budgets(client("user", "spend:a"), strangers=SMALL)
    seen.charge_journal(Principal("user"), 1000)
    assert seen.journal_refusal(Principal("user")) is not None
    assert seen.refused == {"journal_bytes_per_second": 1}
    assert [(account.name, account.journaled) for account in seen.top(5)] == [("user", 1000)]


def test_idle_accounts_go_and_busy_ones_stay() -> None:
    seen = budgets(*(client(f"p{number}", "view:a") for number in range(3)))
    busy = seen.account(Principal("p0"))
    assert busy.take("subscriptions") is None
    for number in range(KEPT_ACCOUNTS + 100):
        seen.account(Principal(f"other{number}"))
    assert len(seen) <= KEPT_ACCOUNTS + 1
    assert seen.account(Principal("p0")) is busy


def test_a_client_that_changes_goes_on_with_its_new_budget() -> None:
    records = {Principal("user"): client("user", "spend:a")}
    seen = Budgets(lambda: 0.0, records)
    account = seen.account(Principal("user"))
    records[Principal("user")] = client("user", "operate")
    seen.review(records.values())
    assert account.budget == TRUSTED


def crowd() -> tuple[Budgets, list[float]]:
    """Two strangers, each with a quarter of the processor, and the time."""
    now = [0.0]
    known = {record.client: record for record in (client("mallory", "spend:m"), client("alice", "spend:a"))}
    return Budgets(lambda: now[0], known, Defaults(strangers=SMALL)), now


def test_the_processor_is_rationed_only_while_others_use_it() -> None:
    budgets, now = crowd()
    mallory, alice = budgets.account(Principal("mallory")), budgets.account(Principal("alice"))
    for _ in range(100):
        budgets.charge_processor(mallory, 1.0)
        now[0] += 1.0
    assert budgets.processor_wait(mallory) == 0, "what is left over belongs to the one that asks for it"
    budgets.charge_processor(alice, 0.001)
    budgets.charge_processor(mallory, 0.5)
    assert budgets.processor_wait(alice) == 0
    assert budgets.processor_wait(mallory) == pytest.approx(1.0, abs=0.01)
    assert budgets.processor_refusal(mallory) == {
        "budget": "processor_ms_per_second",
        "limit": 250,
        "retry_after_ms": 1001,
    }
    assert budgets.refused == {"processor_ms_per_second": 1}
    now[0] += 0.5
    budgets.charge_processor(alice, 0.001)
    assert 0.4 < budgets.processor_wait(mallory) < 0.6
    now[0] += 1.5
    assert budgets.processor_wait(mallory) == 0
    assert mallory.processor_seconds == 100.5


def test_the_other_that_uses_the_processor_may_be_a_guest() -> None:
    budgets, _ = crowd()
    mallory = budgets.account(Principal("mallory"))
    budgets.charge_processor(None, 0.1)
    budgets.charge_processor(mallory, 3.0)
    assert budgets.processor_wait(mallory) > 0
    assert budgets.processor_wait(None) == 0


def test_a_trusted_client_is_never_held_back_for_its_use_of_the_processor() -> None:
    shop = budgets(client("shop", "operate"))
    account = shop.account(Principal("shop"))
    shop.charge_processor(None, 0.1)
    shop.charge_processor(account, 1000.0)
    assert shop.processor_wait(account) == 0
    assert shop.processor_refusal(account) is None
