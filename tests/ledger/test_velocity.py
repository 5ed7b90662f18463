"""Velocity, to the microsecond: what counts, until when, and what gives it back; and that nothing resets it."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest

from tests.ledger.cases import (
    NOW,
    TICK,
    Ledger,
    adjust,
    batch,
    capture,
    close,
    extend,
    limit,
    pay,
    place,
    posting,
    refund,
    shop,
    transfer,
    void,
    window,
)
from tests.ledger.core import REAL, Core, planted
from tests.names import ALICE, EUR
from walletd.ledger.book import restore_book
from walletd.ledger.draft import Draft
from walletd.ledger.velocity import Outflows
from walletd.vocabulary.entries import Effects, OutflowRecord, Refusal
from walletd.vocabulary.identifiers import Sequence
from walletd.vocabulary.reasons import Reason

MINUTE = timedelta(minutes=1)
LIMITED = limit("alice", "EUR", velocity=(window(60, 100), window(3600, 250)))


def limited(core: Core = REAL) -> Ledger:
    """The shop; alice, who has 1000, may let out 100 in a minute and 250 in an hour."""
    return shop(core).after(LIMITED)


def most(ledger: Ledger, at: datetime = NOW) -> int:
    """The largest amount that alice can pay at this moment."""
    low, high = 0, 2000
    while low < high:
        middle = (low + high + 1) // 2
        fits = isinstance(ledger.core.decide(ledger.books, pay("alice", "bob", "EUR", middle), at, 99), Effects)
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


SITUATIONS: list[tuple[str, Callable[[Ledger], Ledger], datetime, int]] = [
    ("nothing went out", lambda ledger: ledger, NOW, 100),
    ("what went out counts at once", lambda ledger: ledger.after(pay("alice", "bob", "EUR", 30)), NOW, 70),
    (
        "it counts to the last tick",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 30)),
        NOW + MINUTE - TICK,
        70,
    ),
    ("and not at the next", lambda ledger: ledger.after(pay("alice", "bob", "EUR", 30)), NOW + MINUTE, 100),
    (
        "the longer window still counts it",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 100)).at(NOW + MINUTE, pay("alice", "bob", "EUR", 100)),
        NOW + 2 * MINUTE,
        50,
    ),
    (
        "what comes in gives nothing back",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 30), pay("bob", "alice", "EUR", 30)),
        NOW,
        70,
    ),
    (
        "a refund to the payer gives nothing back",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 30), refund("t11", posting("bob", "alice", "EUR", 30))),
        NOW,
        70,
    ),
    (
        "all postings of a transfer count, also against what comes in with it",
        lambda ledger: ledger.after(
            transfer(
                posting("@external", "alice", "EUR", 40),
                posting("alice", "bob", "EUR", 40),
                posting("alice", "@fees", "EUR", 5),
            )
        ),
        NOW,
        55,
    ),
    (
        "another asset does not count",
        lambda ledger: ledger.after(pay("@external", "alice", "BTC", 9), pay("alice", "bob", "BTC", 9)),
        NOW,
        100,
    ),
    ("a hold counts when it is placed", lambda ledger: ledger.after(place("alice", "EUR", 60)), NOW, 40),
    (
        "a capture does not count again",
        lambda ledger: ledger.after(place("alice", "EUR", 60), capture("alice", "h11", ("bob", 60))),
        NOW,
        40,
    ),
    (
        "a capture is paid although the window is full",
        lambda ledger: ledger.after(
            place("alice", "EUR", 60), pay("alice", "bob", "EUR", 40), capture("alice", "h11", ("bob", 60))
        ),
        NOW,
        0,
    ),
    (
        "a final capture gives the rest back",
        lambda ledger: ledger.after(place("alice", "EUR", 60), capture("alice", "h11", ("bob", 20), final=True)),
        NOW,
        80,
    ),
    (
        "a partial capture gives nothing back",
        lambda ledger: ledger.after(place("alice", "EUR", 60), capture("alice", "h11", ("bob", 20))),
        NOW,
        40,
    ),
    ("a void gives all back", lambda ledger: ledger.after(place("alice", "EUR", 60), void("alice", "h11")), NOW, 100),
    (
        "a void gives back what is not captured",
        lambda ledger: ledger.after(
            place("alice", "EUR", 60), capture("alice", "h11", ("bob", 20)), void("alice", "h11")
        ),
        NOW,
        80,
    ),
    (
        "an expiry gives back, before an entry says so",
        lambda ledger: ledger.after(place("alice", "EUR", 60, expires_at=NOW + TICK)),
        NOW + TICK,
        100,
    ),
    ("not a tick earlier", lambda ledger: ledger.after(place("alice", "EUR", 60, expires_at=NOW + TICK)), NOW, 40),
    (
        "an extension gives nothing back",
        lambda ledger: ledger.after(place("alice", "EUR", 60), extend("alice", "h11", NOW + MINUTE)),
        NOW,
        40,
    ),
    (
        "what a hold is raised by counts",
        lambda ledger: ledger.after(place("alice", "EUR", 60), adjust("alice", "h11", 70)),
        NOW,
        30,
    ),
    (
        "what it is lowered by is given back",
        lambda ledger: ledger.after(place("alice", "EUR", 60), adjust("alice", "h11", 10)),
        NOW,
        90,
    ),
    (
        "the raise counts from its own moment",
        lambda ledger: ledger.after(place("alice", "EUR", 60)).at(NOW + MINUTE / 2, adjust("alice", "h11", 70)),
        NOW + MINUTE,
        90,
    ),
    (
        "what was raised last is given back first",
        lambda ledger: ledger.after(place("alice", "EUR", 60)).at(
            NOW + MINUTE / 2, adjust("alice", "h11", 70), adjust("alice", "h11", 55)
        ),
        NOW + MINUTE - TICK,
        45,
    ),
    (
        "and what has left the window gives nothing back",
        lambda ledger: ledger.after(place("alice", "EUR", 60)).at(
            NOW + MINUTE, pay("alice", "bob", "EUR", 70), void("alice", "h11")
        ),
        NOW + MINUTE,
        30,
    ),
    (
        "a refund of alice's counts",
        lambda ledger: ledger.bring("bob", "EUR", 9).after(
            pay("bob", "alice", "EUR", 9), refund("t12", posting("alice", "bob", "EUR", 9))
        ),
        NOW,
        91,
    ),
    (
        "a batch counts each command",
        lambda ledger: ledger.after(batch(pay("alice", "bob", "EUR", 9), pay("alice", "bob", "EUR", 9))),
        NOW,
        82,
    ),
    (
        "a limit that comes later does not count what went out before",
        lambda ledger: ledger.after(limit("alice", "EUR"), pay("alice", "bob", "EUR", 9), LIMITED),
        NOW,
        100,
    ),
    (
        "another limit of the same window does not reset the count",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 9), limit("alice", "EUR", velocity=(window(60, 20),))),
        NOW,
        11,
    ),
    (
        "a shorter window counts what lies in it",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 9)).at(
            NOW + 2 * TICK, limit("alice", "EUR", velocity=(window(1, 20),))
        ),
        NOW + 2 * TICK,
        11,
    ),
    (
        "a longer one counts what the shorter one remembered",
        lambda ledger: ledger.after(
            limit("alice", "EUR", velocity=(window(60, 100),)), pay("alice", "bob", "EUR", 9)
        ).at(NOW + MINUTE - TICK, limit("alice", "EUR", velocity=(window(600, 100),))),
        NOW + 5 * MINUTE,
        91,
    ),
    (
        "and nothing that it had let go of",
        lambda ledger: ledger.after(
            limit("alice", "EUR", velocity=(window(60, 100),)), pay("alice", "bob", "EUR", 9)
        ).at(NOW + MINUTE, limit("alice", "EUR", velocity=(window(600, 100),))),
        NOW + 5 * MINUTE,
        100,
    ),
    (
        "a window below what went out lets nothing out",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 9), limit("alice", "EUR", velocity=(window(60, 5),))),
        NOW,
        0,
    ),
    (
        "without the limit all can go out",
        lambda ledger: ledger.after(pay("alice", "bob", "EUR", 9), limit("alice", "EUR")),
        NOW,
        991,
    ),
    (
        "a batch that limits and pays counts what it pays",
        lambda ledger: ledger.after(
            limit("alice", "EUR"), batch(pay("alice", "bob", "EUR", 7), LIMITED, pay("alice", "bob", "EUR", 9))
        ),
        NOW,
        91,
    ),
    (
        "a batch that ends the limit and sets it again begins from zero",
        lambda ledger: ledger.after(
            batch(pay("alice", "bob", "EUR", 7), limit("alice", "EUR"), LIMITED, pay("alice", "bob", "EUR", 9))
        ),
        NOW,
        91,
    ),
    ("a sweep at the closing is not limited", lambda ledger: ledger.after(close("alice", "bob")), NOW, 0),
]


@pytest.mark.parametrize(
    ("arrange", "at", "expected"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS]
)
def test_what_counts(arrange: Callable[[Ledger], Ledger], at: datetime, expected: int) -> None:
    ledger = arrange(limited())
    assert most(ledger, at) == expected
    assert most(reloaded(ledger), at) == expected, "the same, once the wallet was loaded again"
    assert audited(ledger) == []


def audited(ledger: Ledger) -> list[str]:
    """What an audit finds, which decides every entry again."""
    audit = ledger.core.audit()
    for entry in ledger.entries:
        audit.fold(entry)
    return list(audit.close())


def reloaded(ledger: Ledger) -> Ledger:
    """The same ledger, where alice is restored from the records that the entries left."""
    records: dict[tuple[int, int], OutflowRecord] = {}
    for entry in ledger.entries:
        for record in entry.effects.outflows if entry.effects is not None else ():
            if (record.wallet, record.asset) == ("alice", "EUR"):
                records[record.sequence, record.command] = record
    again = Ledger(ledger.core)
    again.books = ledger.books
    book = ledger.books.wallets["alice"]
    restored = restore_book(book.record(), book.balance_records(), book.holds.values(), records.values())
    again.books.wallets["alice"] = restored
    return again


def test_the_answer_says_when_it_will_fit() -> None:
    ledger = limited().after(pay("alice", "bob", "EUR", 60)).at(NOW + TICK, pay("alice", "bob", "EUR", 30))
    refused = ledger.core.decide(ledger.books, pay("alice", "bob", "EUR", 71), NOW + 2 * TICK, 99)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.VELOCITY_EXCEEDED
    fits_at = msgspec.convert(refused.facts["fits_at"], type(NOW))
    assert fits_at == NOW + TICK + MINUTE
    for moment, verdict in ((fits_at - TICK, Refusal), (fits_at, Effects)):
        assert isinstance(ledger.core.decide(ledger.books, pay("alice", "bob", "EUR", 71), moment, 99), verdict)


def test_the_answer_says_when_every_window_lets_it_out() -> None:
    minute, hour = window(60, 50), window(3600, 80)
    ledger = shop().after(limit("alice", "EUR", velocity=(minute, hour)))
    ledger = ledger.after(pay("alice", "bob", "EUR", 40)).at(NOW + MINUTE, pay("alice", "bob", "EUR", 30))
    again = pay("alice", "bob", "EUR", 45)
    refused = ledger.core.decide(ledger.books, again, NOW + MINUTE + TICK, 99)
    assert isinstance(refused, Refusal)
    assert refused.facts["window_seconds"] == 60
    fits_at = msgspec.convert(refused.facts["fits_at"], type(NOW))
    assert fits_at == NOW + timedelta(hours=1)
    for moment, verdict in ((fits_at - TICK, Refusal), (fits_at, Effects)):
        assert isinstance(ledger.core.decide(ledger.books, again, moment, 99), verdict)


def test_a_clock_that_is_set_back_finds_the_same_sum() -> None:
    ledger = limited().after(pay("alice", "bob", "EUR", 60))
    assert most(ledger, NOW + MINUTE) == 100
    assert most(ledger, NOW + MINUTE / 2) == 40


def test_the_draft_of_a_read_shows_what_is_used() -> None:
    ledger = limited().after(place("alice", "EUR", 60, expires_at=NOW + TICK), pay("alice", "bob", "EUR", 5))
    for moment, used in ((NOW, 65), (NOW + TICK, 5), (NOW + MINUTE, 0)):
        draft = Draft(ledger.books, moment)
        draft.touch(ALICE)
        assert draft.used(ALICE, EUR, window(60, 100)) == used


def test_many_outflows_cost_each_window_one_step_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has left the windows is let go of, and the sums agree with a naive reckoning."""
    chance = random.Random(5)
    outflows, naive, now = Outflows(), [], NOW
    for sequence in range(1, 3000):
        now += timedelta(seconds=chance.randrange(4))
        amount = chance.randrange(100)
        outflows.put(
            OutflowRecord(
                wallet=ALICE,
                asset=EUR,
                sequence=Sequence(sequence),
                time=now,
                amount=str(amount),
            )
        )
        naive.append((now, amount))
        outflows.prune(now - timedelta(seconds=600))
        for seconds in (10, 60, 600):
            begins = now - timedelta(seconds=seconds)
            assert outflows.used(seconds, now) == sum(amount for time, amount in naive[-1000:] if time > begins)
    assert len(outflows) < 1300


BUGS = [
    (
        "velocity",
        "while place < len(times) and times[place] <= begins:",
        "while place < len(times) and times[place] < begins:",
    ),
    ("velocity", "            cursor[1] += amount", "            pass"),
    ("velocity", "                cursor[1] += change", "                pass"),
    ("guards", "if used > limit:", "if used >= limit:"),
    ("guards", "if used > limit:", "if used > limit + 1:"),
    ("holds", "        draft.give_back(hold, left - taken)", "        pass"),
    ("holds", "        draft.give_back(hold, -more)", "        pass"),
    ("holds", "    draft.give_back(hold, reserved(hold))", "    pass"),
    ("draft", "            self.give_back(hold, reserved(hold))", "            pass"),
    ("draft", "            amount -= taken", "            pass"),
    ("draft", "self.let_out.get(place, 0) + amount", "amount"),
    ("refunds", "        draft.let_go(posting.source, posting.asset, amount, origin)", "        pass"),
    ("transfers", "        draft.let_go(posting.source, posting.asset, amount, origin)", "        pass"),
    (
        "wallets",
        "            counted_from[asset] = msgspec.structs.replace(known, after=after)",
        "            counted_from[asset] = known",
    ),
    ("book", "            outflows.forget(counted.after)", "            pass"),
]


@pytest.mark.interpreted
@pytest.mark.parametrize(("module", "old", "new"), BUGS)
def test_a_planted_bug_shows(module: str, old: str, new: str) -> None:
    core = planted(module, old=old, new=new)
    for _name, arrange, at, expected in SITUATIONS:
        try:
            if most(arrange(limited(core)), at) != expected:
                return
        except AssertionError:
            return
    pytest.fail(f"no situation shows {new!r} in {module}")
