"""However much a wallet sends within its windows, few records are kept: none counts too short, none much too long.

A journal without folded outflows, as earlier versions wrote it, is decided to the microsecond, as before.
"""

import random
from datetime import datetime, timedelta
from functools import cache

import msgspec
import pytest

from tests.ledger.cases import NOW, Ledger, adjust, batch, limit, pay, place, shop, void, window
from tests.ledger.core import REAL, Core, planted
from tests.ledger.test_velocity import audited
from tests.names import ALICE, EUR
from tests.state_file import fold_into, tables_in_memory
from walletd.ledger.entry_size import too_large
from walletd.ledger.velocity import EXACT_OUTFLOWS, MAX_OF_OPEN_HOLDS, Outflows
from walletd.tables.queries.books import load_books
from walletd.tables.schema import microseconds
from walletd.vocabulary.entries import Effects, OutflowRecord, Refusal, decode_entry, encode_entry
from walletd.vocabulary.identifiers import HoldId, Sequence
from walletd.vocabulary.reasons import Reason

HOUR, DAYS = 3_600, 4 * 86_400
PAYMENTS = 2 * EXACT_OUTFLOWS + 600


def spender(core: Core = REAL, *, folds: bool = True) -> Ledger:
    """Alice, who has much and may send much in an hour and in four days."""
    ledger = shop(core).bring("alice", "EUR", 10**9)
    ledger.folds = folds
    return ledger.after(limit("alice", "EUR", velocity=(window(HOUR, 10**8), window(DAYS, 10**8))))


def busy(core: Core = REAL, *, seed: int = 7, folds: bool = True) -> tuple[Ledger, datetime]:
    """The same after payments over some days, single and in batches, and holds, of which some are open."""
    chance, ledger, now = random.Random(seed), spender(core, folds=folds), NOW
    opened: list[str] = []
    while len(ledger.entries) < PAYMENTS:
        now += timedelta(microseconds=chance.randrange(300_000_000))
        kind = chance.randrange(10)
        amount = chance.randrange(1, 100)
        if kind == 0:
            ledger.at(now, place("alice", "EUR", amount))
            opened.append(f"h{len(ledger.entries)}")
        elif kind == 1 and opened:
            hold = opened.pop(chance.randrange(len(opened)))
            ledger.at(now, adjust("alice", hold, amount), void("alice", hold))
        elif kind == 2:
            ledger.at(now, batch(pay("alice", "bob", "EUR", amount), pay("alice", "bob", "EUR", 1)))
        else:
            ledger.at(now, pay("alice", "bob", "EUR", amount))
    return ledger, now


@cache
def busy_once() -> tuple[Ledger, datetime]:
    return busy()


def outflows_of(ledger: Ledger) -> Outflows:
    found: Outflows = ledger.books.wallets[ALICE].outflows[EUR]
    return found


def exact(ledger: Ledger) -> dict[tuple[int, int], OutflowRecord]:
    """Every outflow in its last state, as if nothing were ever folded."""
    return {
        (record.sequence, record.command): record
        for entry in ledger.entries
        if entry.effects is not None
        for record in entry.effects.outflows
    }


def test_few_are_kept_and_none_counts_too_short_or_more_than_a_hundredth_too_long() -> None:
    ledger, now = busy_once()
    outflows, records = outflows_of(ledger), exact(ledger)
    holds = len(ledger.books.wallets[ALICE].holds)
    assert len(records) > 3 * EXACT_OUTFLOWS
    assert len(outflows) <= 2 * EXACT_OUTFLOWS + 400 + holds
    for seconds in (HOUR, DAYS):
        for percent in range(0, 120, 3):
            moment = now + timedelta(seconds=seconds) * percent / 100
            begins, late = (moment - timedelta(seconds=seconds) * share for share in (1, 1.01))
            used = outflows.used(seconds, moment)
            assert used >= sum(int(record.amount) for record in records.values() if record.time > begins)
            assert used <= sum(int(record.amount) for record in records.values() if record.time > late)


def test_the_newest_are_exact() -> None:
    ledger, now = busy_once()
    newest = sorted(exact(ledger).values(), key=lambda record: record.time)[-EXACT_OUTFLOWS:]
    seconds = int((now - newest[0].time).total_seconds())
    for share in range(10):
        length = seconds * (share + 1) // 10
        begins = now - timedelta(seconds=length)
        assert outflows_of(ledger).used(length, now) == sum(int(r.amount) for r in newest if r.time > begins)


def test_the_audit_decides_the_same_again_and_takes_no_false_sum() -> None:
    ledger, _ = busy_once()
    assert audited(ledger) == []
    place, folding = next(
        (place, entry)
        for place, entry in enumerate(ledger.entries)
        if entry.effects is not None and entry.effects.folded
    )
    assert folding.effects is not None
    one = folding.effects.folded[0]
    for wrong in (
        msgspec.structs.replace(one, amount=str(int(one.amount) + 1)),
        msgspec.structs.replace(one, first=one.sequence, first_command=one.command),
        msgspec.structs.replace(one, first=Sequence(1)),
    ):
        forged = Ledger()
        effects = msgspec.structs.replace(folding.effects, folded=(wrong, *folding.effects.folded[1:]))
        forged.entries = ledger.entries[: place + 1]
        forged.entries[place] = msgspec.structs.replace(folding, effects=effects)
        assert audited(forged), wrong


def test_a_journal_that_folds_nothing_is_decided_as_before() -> None:
    ledger, now = busy(folds=False)
    assert all(not entry.effects.folded for entry in ledger.entries if entry.effects is not None)
    assert len(outflows_of(ledger)) > 3 * EXACT_OUTFLOWS
    assert audited(ledger) == []
    folded = busy_once()[0]
    assert [e.effects.balances for e in ledger.entries if e.effects] == [
        e.effects.balances for e in folded.entries if e.effects
    ]
    ledger.folds = True
    ledger.at(now, pay("alice", "bob", "EUR", 1))
    assert len(outflows_of(ledger)) <= 2 * EXACT_OUTFLOWS + 400 + len(ledger.books.wallets[ALICE].holds)
    assert audited(ledger) == []


@pytest.mark.parametrize("seed", range(3))
def test_the_tables_know_the_same_however_entries_are_gathered(seed: int) -> None:
    ledger, now = busy_once()
    chance, tables, place = random.Random(seed), tables_in_memory(), 0
    tables.execute("INSERT INTO progress VALUES (1, 0, '', 0, 0, x'', ?)", (microseconds(now),))
    stored = [decode_entry(encode_entry(entry)) for entry in ledger.entries]
    while place < len(stored):
        more = chance.choice((1, 3, 40, 700))
        fold_into(tables, stored[place : place + more])
        place += more
    book = load_books(tables, [ALICE])[ALICE]
    begins = now - timedelta(seconds=DAYS)
    kept = [record for record in ledger.books.wallets[ALICE].outflow_records() if record.time > begins]
    assert [*book.outflow_records()] == kept
    assert tables.execute("SELECT count(*) FROM outflow WHERE wallet = 'alice'").fetchall() == [(len(kept),)]


def test_what_an_open_hold_counts_is_given_back_however_old_it_is() -> None:
    again, now = busy()
    hold = min(again.books.wallets[ALICE].holds.values(), key=lambda hold: hold.placed_at)
    before = outflows_of(again).used(DAYS, now)
    again.at(now, void("alice", hold.hold))
    assert before - outflows_of(again).used(DAYS, now) == int(hold.amount)


def test_what_open_holds_keep_is_bounded() -> None:
    ledger = spender()
    raises = tuple(
        OutflowRecord(
            wallet=ALICE,
            asset=EUR,
            sequence=Sequence(100_000 + number),
            time=NOW,
            amount="1",
            hold=HoldId(f"h1.{number % 1000}"),
        )
        for number in range(MAX_OF_OPEN_HOLDS)
    )
    ledger.with_many_holds("alice", 1000)
    ledger.core.apply(ledger.books, Effects(outflows=raises))
    entry = ledger.entries[-1]
    verdict = ledger.decide(adjust("alice", "h1.5", 7))
    assert isinstance(verdict, Effects)
    entry = msgspec.structs.replace(entry, sequence=Sequence(len(ledger.entries) + 1), effects=verdict)
    refusal = too_large(ledger.books, entry, encode_entry(entry))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.facts["limit"]) == (Reason.ENTRY_TOO_LARGE, MAX_OF_OPEN_HOLDS)


BUGS = [
    ("velocity", "if record.hold is not None and is_open(record.hold):\n            return None", "pass"),
    ("velocity", "            at = last + 1", "            at = last"),
    ("velocity", "1 << (seconds", "64 << (seconds"),
    ("outflow_folding", "first=first.sequence,", "first=last.sequence,"),
    ("outflow_folding", "amount=str(total)", "amount=str(int(last.amount))"),
]


@pytest.mark.interpreted
@pytest.mark.parametrize(("module", "old", "new"), BUGS)
def test_a_planted_bug_shows(module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    core = planted(module, old=old, new=new)
    with pytest.raises((AssertionError, KeyError)):
        ledger, now = busy(core)
        monkeypatch.setattr(f"{__name__}.busy_once", lambda: (ledger, now))
        monkeypatch.setattr(f"{__name__}.busy", lambda: (ledger, now))
        test_few_are_kept_and_none_counts_too_short_or_more_than_a_hundredth_too_long()
        test_what_an_open_hold_counts_is_given_back_however_old_it_is()
