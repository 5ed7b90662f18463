"""The checker is checked: an honest history passes, and every way to falsify one is found, at its entry."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.ledger.cases import (
    NOW,
    THE_CLIENT,
    TICK,
    Ledger,
    asset,
    balance,
    batch,
    capture,
    closing,
    entry,
    limit,
    market,
    open_wallet,
    pay,
    place,
    posting,
    refund,
    shop,
    snapshot,
    transfer,
    window,
)
from tests.ledger.core import REAL, Core
from walletd.ledger import audit
from walletd.ledger.book import Balance, Books
from walletd.vocabulary.commands import (
    AnyCommand,
    CaptureHold,
    ExecuteBatch,
    PostTransfer,
    RefusedCommand,
    WalletLimits,
)
from walletd.vocabulary.entries import ClientRecord, Effects, Entry, Refusal, decode_entry, encode_entry
from walletd.vocabulary.identifiers import AssetCode, CommandId, Principal, WalletId, hold_id
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import WalletStatus

History = list[Entry]
changed = msgspec.structs.replace


def honest_history() -> History:
    """Two assets, five openings, then movements and refusals a second apart; entries 1 to 12."""
    ledger = market()  # 1-2 assets, 3-7 wallets, 8 brings 1000 EUR to alice
    ledger.run(pay("alice", "bob", "EUR", 250))  # 9
    ledger.run(pay("alice", "bob", "EUR", 751))  # 10, refused
    ledger.run(transfer(posting("bob", "carol", "EUR", 50), posting("@fees", "carol", "BTC", 5)))  # 11
    ledger.run(pay("carol", "ghost", "BTC", 5, valid_until=NOW + timedelta(hours=1)))  # 12, refused
    return [changed(e, time=NOW + timedelta(seconds=e.sequence)) if e.sequence > 7 else e for e in ledger.entries]


def violations_of(history: History, core: Core = REAL) -> list[str]:
    """What the audit says about this history, after it went through its bytes."""
    checker = core.audit()
    for record in history:
        checker.fold(decode_entry(encode_entry(record)))
    violations: list[str] = checker.close()
    return violations


def test_an_honest_history_has_no_violation() -> None:
    assert violations_of(honest_history()) == []


def test_a_history_of_a_version_that_judged_postings_together_has_no_violation() -> None:
    ledger = market(REAL._replace(decide=partial(REAL.decide, leniently=True)))
    circle = transfer(posting("bob", "carol", "BTC", 10**30), posting("carol", "bob", "BTC", 10**30))
    applied = [circle, transfer(posting("bob", "carol", "EUR", 5), posting("alice", "bob", "EUR", 5))]
    refused: list[AnyCommand] = [
        transfer(posting("alice", "bob", "EUR", 600), posting("alice", "bob", "EUR", 401)),
        batch(transfer(posting("bob", "carol", "EUR", 5), posting("alice", "bob", "EUR", 4))),
    ]
    for each in applied:
        assert isinstance(ledger.decide(each), Effects)
        assert isinstance(REAL.decide(ledger.books, each, NOW, 99), Refusal)
        ledger.run(each)
    for command in refused:
        assert ledger.decide(command) != REAL.decide(ledger.books, command, NOW, 99)
        assert isinstance(ledger.run(command), Refusal)
    ledger.run(batch(circle, pay("bob", "alice", "EUR", 9), atomic=False))
    assert violations_of(ledger.entries) == []


def test_what_one_version_refuses_and_no_version_would_apply_so_is_a_violation() -> None:
    ledger = market()
    circle = transfer(posting("bob", "carol", "BTC", 5), posting("carol", "bob", "BTC", 6))
    verdict = ledger.decide(transfer(posting("bob", "carol", "BTC", 5), posting("carol", "bob", "BTC", 5)))
    assert isinstance(verdict, Refusal)
    lenient = REAL.decide(ledger.books, circle, NOW, len(ledger.entries) + 1, leniently=True)
    assert isinstance(lenient, Refusal)
    for wrong in (changed(verdict, facts={**verdict.facts, "available": "1"}), Refusal(Reason.ABOVE_MAXIMUM)):
        history = [*ledger.entries, entry(len(ledger.entries) + 1, circle, wrong)]
        assert any("refused for another reason" in sentence for sentence in violations_of(history))


def test_the_words_of_an_earlier_version_for_the_same_refusal_are_no_violation() -> None:
    ledger = market().after(limit("alice", "EUR", velocity=(window(60, 50), window(3600, 60))))
    ledger.after(pay("alice", "bob", "EUR", 45))
    paid = f"t{len(ledger.entries)}"
    late, batched = pay("alice", "bob", "EUR", 20), batch(pay("alice", "bob", "EUR", 20), atomic=False)
    lost = refund(paid, posting("carol", "alice", "EUR", 1))
    for command in (late, batched, lost):
        ledger.run(command)
    limited, inside, unknown = ledger.entries[-3:]
    assert limited.refusal is not None
    assert limited.refusal.facts["fits_at"] == msgspec.to_builtins(NOW + timedelta(hours=1))
    before = Refusal(Reason.VELOCITY_EXCEEDED, {**limited.refusal.facts, "fits_at": msgspec.to_builtins(NOW)})
    assert inside.effects is not None
    facts = {"wallet": "carol", "to": "alice", "asset": "EUR", "transfer": paid, "refundable": "0", "required": "1"}
    ledger.entries[-3:] = [
        changed(limited, refusal=before),
        changed(inside, effects=changed(inside.effects, outcomes=(before,))),
        changed(unknown, refusal=Refusal(Reason.REFUND_EXCEEDS_ORIGINAL, facts)),
    ]
    assert violations_of(ledger.entries) == []
    ledger.entries[-3] = changed(limited, refusal=Refusal(before.reason, {**before.facts, "used": "1"}))
    assert len(violations_of(ledger.entries)) == 1


@pytest.mark.parametrize("kind", ["alone", "outer", "atomic", "each"])
def test_a_command_that_came_too_late_by_its_own_seconds_is_refused_for_that_again(kind: str) -> None:
    ledger = market()
    late = pay("alice", "bob", "EUR", 1, valid_for_seconds=3)
    commands: dict[str, AnyCommand] = {
        "alone": late,
        "outer": batch(pay("alice", "bob", "EUR", 1), valid_for_seconds=3),
        "atomic": batch(pay("alice", "bob", "EUR", 1), late),
        "each": batch(pay("alice", "bob", "EUR", 1), late, atomic=False),
    }
    command = commands[kind]
    now = NOW + timedelta(seconds=5)
    verdict = ledger.core.decide(ledger.books, command, now, len(ledger.entries) + 1, by=THE_CLIENT, received=NOW)
    reasons = [verdict] if isinstance(verdict, Refusal) else [one for one in verdict.outcomes if one is not None]
    assert [refusal.reason for refusal in reasons] == [Reason.COMMAND_EXPIRED]
    decided = entry(len(ledger.entries) + 1, command, verdict, now, THE_CLIENT)
    assert violations_of([*ledger.entries, decided]) == []


def test_the_audit_counts_what_was_applied_and_what_was_refused() -> None:
    checker = audit.Audit()
    for record in honest_history():
        checker.fold(record)
    assert (checker.sequence, checker.applied, checker.refused) == (12, 10, 2)


def test_the_audit_arrives_at_the_books_of_the_ledger() -> None:
    ledger, checker = Ledger(), audit.Audit()
    for record in honest_history():
        assert not isinstance(record.command, RefusedCommand)
        ledger.run(record.command, record.time)
        checker.fold(record)
    assert snapshot(checker.books) == snapshot(ledger.books)


# --- histories that were falsified: what was done, to which entry, and what the audit says about it ------------------


def edit(sequence: int, change: Callable[[Entry], Entry]) -> Callable[[History], History]:
    """One entry, changed."""
    return lambda history: [change(e) if e.sequence == sequence else e for e in history]


def effects_of(record: Entry) -> Effects:
    """The effects of an entry that was applied."""
    assert record.effects is not None
    return record.effects


def edit_balance(sequence: int, index: int, **fields: Any) -> Callable[[History], History]:
    """One balance of one entry, changed."""

    def change(record: Entry) -> Entry:
        balances = list(effects_of(record).balances)
        balances[index] = changed(balances[index], **fields)
        return changed(record, effects=changed(effects_of(record), balances=tuple(balances)))

    return edit(sequence, change)


def edit_amount(sequence: int, amount: str) -> Callable[[History], History]:
    """The amount of a transfer's first posting, changed."""

    def change(record: Entry) -> Entry:
        assert isinstance(record.command, PostTransfer)
        postings = record.command.postings
        first = changed(postings[0], amount=amount)
        return changed(record, command=changed(record.command, postings=(first, *postings[1:])))

    return edit(sequence, change)


def drop(sequence: int) -> Callable[[History], History]:
    """One entry, taken out."""
    return lambda history: [e for e in history if e.sequence != sequence]


def drop_and_renumber(sequence: int) -> Callable[[History], History]:
    """One entry, taken out, and the numbers of the rest made to look whole."""
    return lambda history: [changed(e, sequence=n) for n, e in enumerate(drop(sequence)(history), 1)]


def duplicate(sequence: int) -> Callable[[History], History]:
    """One entry, written twice."""
    return lambda history: history[:sequence] + history[sequence - 1 :]


def duplicate_and_renumber(sequence: int) -> Callable[[History], History]:
    """One entry, written twice, and the numbers of the rest made to look whole."""
    return lambda history: [changed(e, sequence=n) for n, e in enumerate(duplicate(sequence)(history), 1)]


def swap(sequence: int) -> Callable[[History], History]:
    """An entry and the one behind it, in the wrong order."""
    return lambda h: [*h[: sequence - 1], h[sequence], h[sequence - 1], *h[sequence + 1 :]]


def swap_and_renumber(sequence: int) -> Callable[[History], History]:
    """The same, with the numbers and the times made to look right."""
    return lambda history: [
        changed(e, sequence=n, time=NOW + timedelta(seconds=n)) for n, e in enumerate(swap(sequence)(history), 1)
    ]


FALSIFICATIONS: list[tuple[str, Callable[[History], History], str]] = [
    ("an entry is missing", drop(9), "entry 10 follows entry 8"),
    ("the first entry is missing", drop(1), "entry 2 follows entry 0"),
    ("a refused entry is missing", drop(10), "entry 11 follows entry 9"),
    ("a payment is missing and the rest renumbered", drop_and_renumber(9), "has other effects"),
    ("an entry stands twice", duplicate(9), "entry 9 follows entry 9"),
    ("a payment stands twice and the rest is renumbered", duplicate_and_renumber(9), "has a command id"),
    ("a refusal stands twice and the rest is renumbered", duplicate_and_renumber(10), "has a command id"),
    ("two entries changed places", swap(9), "entry 10 follows entry 8"),
    ("two entries changed places and numbers", swap_and_renumber(8), "insufficient_funds"),
    ("an entry is earlier than the one before", edit(9, lambda e: changed(e, time=NOW)), "entry 9 is earlier"),
    ("a smaller amount was ordered", edit_amount(9, "249"), "entry 9 has other effects"),
    ("a larger amount was ordered", edit_amount(9, "251"), "entry 9 has other effects"),
    ("more was ordered than there was", edit_amount(9, "1001"), "insufficient_funds"),
    ("the payee has one unit more", edit_balance(9, 1, posted="251"), "entry 9 has other effects"),
    ("the payer has one unit more", edit_balance(9, 0, posted="751"), "entry 9 has other effects"),
    ("something is held", edit_balance(9, 0, held="1"), "entry 9 has other effects"),
    ("less than nothing is held", edit_balance(9, 0, held="-1"), "entry 9 has other effects"),
    ("more is available", edit_balance(9, 0, available="751"), "entry 9 has other effects"),
    ("another wallet was paid", edit_balance(9, 1, wallet="carol"), "entry 9 has other effects"),
    ("a wallet that was never opened was paid", edit_balance(9, 1, wallet="ghost"), "entry 9 cannot be applied"),
    ("another asset was paid", edit_balance(9, 1, asset="BTC"), "entry 9 has other effects"),
    ("a version was not counted", edit_balance(9, 0, version=2), "entry 9 has other effects"),
    ("a version was counted twice", edit_balance(9, 0, version=4), "entry 9 cannot be applied"),
    (
        "a balance was left out",
        edit(9, lambda e: changed(e, effects=Effects(balances=effects_of(e).balances[:1]))),
        "entry 9",
    ),
    (
        "a scale is another",
        edit(1, lambda e: changed(e, effects=Effects(assets=(asset("EUR", 3),)))),
        "entry 1 has",
    ),
    (
        "a wallet was opened at another time",
        edit(3, lambda e: changed(e, time=NOW - TICK)),
        "entry 3 has other effects",
    ),
    (
        "an applied command is said to be refused",
        edit(9, lambda e: changed(e, effects=None, refusal=Refusal(Reason.WALLET_CLOSED))),
        "entry 9 was refused, but its command can be applied",
    ),
    (
        "a refused command is said to be applied",
        edit(10, lambda e: changed(e, refusal=None, effects=Effects())),
        "entry 10 has other effects",
    ),
    (
        "a command was refused for another reason",
        edit(10, lambda e: changed(e, refusal=Refusal(Reason.WALLET_CLOSED))),
        "entry 10 was refused for another reason",
    ),
    (
        "a command came too late, but was applied",
        edit(9, lambda e: changed(e, command=changed(e.command, valid_until=NOW))),
        "command_expired",
    ),
    (
        "a command expects another version, but was applied",
        edit(9, lambda e: changed(e, command=changed(e.command, if_version={"bob": 5}))),
        "version_mismatch",
    ),
]


@pytest.mark.parametrize(("falsify", "finding"), [r[1:] for r in FALSIFICATIONS], ids=[r[0] for r in FALSIFICATIONS])
def test_a_falsified_history_is_found(falsify: Callable[[History], History], finding: str) -> None:
    falsified = falsify(honest_history())
    assert falsified != honest_history()
    assert any(finding in sentence for sentence in violations_of(falsified)), violations_of(falsified)


def test_the_first_violation_names_the_entry_that_was_falsified() -> None:
    for sequence, index in ((8, 0), (8, 1), (9, 0), (9, 1), (11, 0), (11, 1), (11, 2)):
        found = violations_of(edit_balance(sequence, index, posted="123456789")(honest_history()))
        assert found[0].startswith(f"entry {sequence} "), found


def test_an_audit_of_a_history_that_is_wrong_all_over_stops_listing() -> None:
    checker = audit.Audit()
    for sequence in range(2, 2 * audit.MAX_VIOLATIONS + 2):
        checker.fold(entry(sequence, open_wallet("alice"), Refusal(Reason.WALLET_CLOSED)))
    assert len(checker.violations) == audit.MAX_VIOLATIONS


# --- the truths about whole books ----------------------------------------------------------------------------------


def set_balance(wallet: str, asset: str, **fields: int) -> Callable[[Books], None]:
    """A balance, put to something else behind the rules' back."""

    def change(books: Any) -> None:
        balance = books.wallets[wallet].balances.setdefault(asset, Balance())
        for name, value in fields.items():
            setattr(balance, name, value)

    return change


def set_status_closed(wallet: str) -> Callable[[Books], None]:
    """A wallet, closed behind the rules' back."""
    return lambda books: setattr(books.wallets[WalletId(wallet)], "status", WalletStatus.CLOSED)


def owner(name: str, *scopes: str) -> ClientRecord:
    """A client that no command created."""
    return ClientRecord(
        client=Principal(name), scopes=scopes, tokens=(), created_by=Principal("nobody"), created_at=NOW
    )


def key_of(name: str, *scopes: str) -> ClientRecord:
    """A viewing key that no command created."""
    return owner(f"{name}/x", *scopes)


def put_clients(*records: ClientRecord) -> Callable[[Books], None]:
    """Make these clients known."""

    def change(books: Books) -> None:
        for record in records:
            books.clients.put(record)

    return change


BROKEN_BOOKS: list[tuple[str, Callable[[Books], object], list[str]]] = [
    (
        "posted_sums_to_zero",
        set_balance("@external", "EUR", posted=-999),
        ["posted balances of EUR sum to 0.01 EUR, not to zero"],
    ),
    (
        "customers_are_above_their_floor",
        lambda books: (set_balance("bob", "BTC", posted=-1)(books), set_balance("@fees", "BTC", posted=1)(books))[0],
        ["wallet bob has -0.00000001 BTC available"],
    ),
    (
        "customers_are_above_their_floor",
        lambda books: books.wallets[WalletId("alice")].limits.update({AssetCode("EUR"): WalletLimits(minimum="1001")}),
        ["wallet alice has -0.01 EUR available"],
    ),
    (
        "held_is_not_negative",
        set_balance("@fees", "EUR", held=-1),
        ["wallet @fees holds -0.01 EUR"],
    ),
    (
        "held_is_what_open_holds_reserve",
        set_balance("alice", "EUR", held=7),
        ["wallet alice holds 0.07 EUR, its holds reserve 0.00 EUR"],
    ),
    ("closed_wallets_are_empty", set_status_closed("alice"), ["wallet alice is closed but not empty"]),
    (
        "assets_are_defined",
        set_balance("bob", "DOGE", posted=0),
        ["wallet bob has DOGE, which is not defined"],
    ),
    (
        "keys_see_what_their_owners_own",
        put_clients(key_of("shop", "view:bob")),
        ["viewing key shop/x has no owner"],
    ),
    (
        "keys_see_what_their_owners_own",
        put_clients(key_of("shop", "view:bob"), owner("shop", "spend:alice")),
        ["viewing key shop/x sees more than its owner may spend"],
    ),
]


@pytest.mark.parametrize(("truth", "spoil", "sentences"), BROKEN_BOOKS)
def test_a_truth_that_does_not_hold_is_said_in_a_sentence(
    truth: str, spoil: Callable[[Books], None], sentences: list[str]
) -> None:
    books = shop().books
    spoil(books)
    assert set(sentences) <= set(audit.violations(books))
    assert list(getattr(audit, truth)(books)) == sentences


def test_every_truth_has_a_book_that_breaks_it() -> None:
    assert {row[0] for row in BROKEN_BOOKS} == {truth.__name__ for truth in audit.WHOLE_BOOK_TRUTHS}


def test_good_books_break_no_truth() -> None:
    assert audit.violations(shop().hold("alice", "EUR", 1000).books) == []


def test_a_closed_wallet_whose_balances_are_all_zero_is_empty() -> None:
    ledger = shop().after(pay("alice", "bob", "EUR", 1000)).close("alice")
    assert audit.violations(ledger.books) == []


def test_a_closed_wallet_with_a_hold_is_not_empty() -> None:
    books = shop().books
    REAL.apply(books, closing(books.wallets["bob"].record()))
    set_balance("bob", "EUR", held=1)(books)
    assert "wallet bob is closed but not empty" in audit.violations(books)


def test_the_totals_list_every_asset_also_one_that_nobody_has() -> None:
    assert audit.totals(shop().books) == {"EUR": 0, "BTC": 0}


def test_books_that_were_spoiled_by_the_history_itself_are_found_at_the_close() -> None:
    made = Effects(balances=(balance("bob", "EUR", "5", "0", "5", 2),))
    history = [*honest_history()[:8], entry(9, pay("@fees", "bob", "EUR", 5, command_id="x"), made, NOW + timedelta(1))]
    assert "posted balances of EUR sum to 0.05 EUR, not to zero" in violations_of(history)


def captured_too_much() -> History:
    """A hold, and a capture of more than it reserves."""
    ledger = market()
    ledger.run(place("alice", "EUR", 300))
    ledger.run(capture("alice", hold_id(ledger.entries[-1].sequence), ("bob", 301)))
    return ledger.entries


@pytest.mark.parametrize(
    ("change", "is_the_same"),
    [
        (lambda facts: facts, True),
        (lambda facts: {name: fact for name, fact in facts.items() if name != "asset"}, True),
        (lambda facts: {**facts, "reserved": "299"}, False),
        (lambda facts: {**facts, "more": 1}, False),
    ],
    ids=["as today", "with fewer facts, as an earlier version told", "another fact", "a fact that is not told"],
)
def test_a_refusal_of_an_earlier_version_may_tell_fewer_facts_but_no_other_ones(
    change: Callable[[dict[str, Any]], dict[str, Any]], is_the_same: bool
) -> None:
    *before, refused = captured_too_much()
    assert refused.refusal is not None
    assert refused.refusal.facts["asset"] == "EUR"
    recorded = Refusal(refused.refusal.reason, change(dict(refused.refusal.facts)))
    assert (violations_of([*before, changed(refused, refusal=recorded)]) == []) is is_the_same
    assert isinstance(refused.command, CaptureHold)
    batch = ExecuteBatch(command_id=CommandId("b"), commands=(refused.command,), atomic=False)
    in_a_batch = changed(refused, command=batch, refusal=None, effects=Effects(outcomes=(recorded,)))
    assert (violations_of([*before, in_a_batch]) == []) is is_the_same
