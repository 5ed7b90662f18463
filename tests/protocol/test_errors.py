"""Errors as a client reads them: a code, a sentence that says what to do, the facts for programs."""

import json
from itertools import pairwise
from string import Formatter
from typing import Any

import msgspec
import pytest

from tests.ledger.cases import shop
from tests.ledger.client_cases import CLIENT_REFUSALS
from tests.ledger.refusal_cases import REFUSALS, RefusalCase
from tests.protocol.words import error_in
from walletd.protocol.errors import AMOUNTS, SENTENCES, failure, sentence, with_scale
from walletd.vocabulary.entries import AssetRecord, Refusal
from walletd.vocabulary.identifiers import AssetCode
from walletd.vocabulary.reasons import Outcome, Reason, Retry

# For every reason with a sentence of its own, its place holders: the facts that a refusal must give.
FACTS: dict[Reason, set[str]] = {
    Reason.METHOD_NOT_FOUND: {"method"},
    Reason.FORBIDDEN: {"method", "scope"},
    Reason.OVERLOADED: {"what", "retry_after_ms"},
    Reason.RATE_LIMITED: {"what", "retry_after_ms"},
    Reason.UNAVAILABLE: {"why", "retry_after_ms"},
    Reason.WALLET_QUARANTINED: {"wallet"},
    Reason.QUOTA_EXCEEDED: {"budget", "limit", "retry_after_ms"},
    Reason.ENTRY_NOT_FOUND: {"asked"},
    Reason.TRANSFER_NOT_FOUND: {"transfer"},
    Reason.NOT_REACHED: {"head", "at_least", "retry_after_ms"},
    Reason.UNKNOWN_WALLET: {"wallet"},
    Reason.SUBSCRIPTION_NOT_FOUND: {"subscription"},
    Reason.TOO_MANY_SUBSCRIPTIONS: {"limit"},
    Reason.SNAPSHOT_TOO_LARGE: {"limit"},
    Reason.INVALID_CURSOR: {"field"},
    Reason.FUTURE_MOMENT: {"field", "asked", "head", "time"},
    Reason.EPOCH_CHANGED: {"cursor_epoch", "epoch"},
    Reason.FUTURE_CURSOR: {"cursor", "head"},
    Reason.CURSOR_EXPIRED: {"oldest"},
    Reason.HOLD_NOT_FOUND: {"wallet", "hold"},
    Reason.COMMAND_ID_REUSED: {"command_id", "sequence", "field"},
    Reason.COMMAND_EXPIRED: {"valid_until", "time"},
    Reason.ASSET_ALREADY_DEFINED: {"asset", "scale"},
    Reason.ASSET_NOT_FOUND: {"asset"},
    Reason.WALLET_ALREADY_EXISTS: {"wallet", "opened_at"},
    Reason.WALLET_NOT_FOUND: {"wallet"},
    Reason.SELF_TRANSFER: {"posting", "wallet"},
    Reason.ORIGINAL_NOT_FOUND: {"transfer"},
    Reason.BEYOND_OWN_ACCESS: {"field", "principal", "needs"},
    Reason.CLIENT_ALREADY_EXISTS: {"client", "created_at"},
    Reason.CLIENT_NOT_FOUND: {"client"},
    Reason.KEPT_IN_FILE: {"client"},
    Reason.VERSION_MISMATCH: {"wallet", "version", "demanded"},
    Reason.BALANCE_MISMATCH: {"condition", "amount", "wallet", "stands"},
    Reason.REFUND_EXCEEDS_ORIGINAL: {"transfer", "wallet", "to", "refundable", "required"},
    Reason.WALLET_CLOSED: {"wallet"},
    Reason.INSUFFICIENT_FUNDS: {"wallet", "available", "required", "short_by"},
    Reason.WALLET_FROZEN: {"wallet", "frozen", "why"},
    Reason.WALLET_NOT_FROZEN: {"wallet"},
    Reason.HOLD_NOT_OPEN: {"wallet", "hold"},
    Reason.MOMENT_PASSED: {"field", "moment", "time"},
    Reason.TOO_MANY_HOLDS: {"wallet", "limit"},
    Reason.HOLDS_OPEN: {"wallet", "holds"},
    Reason.CAPTURE_EXCEEDS_HOLD: {"hold", "reserved", "required"},
    Reason.WALLET_NOT_EMPTY: {"wallet", "posted"},
    Reason.LIMITS_NOT_MET: {"wallet", "posted"},
    Reason.VELOCITY_EXCEEDED: {"wallet", "window_seconds", "limit", "remaining", "required"},
    Reason.ABOVE_MAXIMUM: {"wallet", "maximum", "would_have"},
    Reason.CLIENT_REVOKED: {"client", "revoked_at"},
    Reason.TOKEN_IN_USE: set(),
    Reason.TOO_MANY_TOKENS: {"client", "limit"},
    Reason.TOO_MANY_CLIENTS: {"limit"},
    Reason.LAST_ADMIN: {"client"},
    Reason.ENTRY_TOO_LARGE: {"what", "number", "limit"},
}


def test_every_sentence_has_its_facts_listed() -> None:
    assert set(FACTS) == set(SENTENCES)


@pytest.mark.parametrize("reason", SENTENCES, ids=lambda reason: reason.value)
def test_a_sentence_asks_for_the_facts_that_are_listed(reason: Reason) -> None:
    assert {name for _, name, _, _ in Formatter().parse(SENTENCES[reason]) if name} == FACTS[reason]


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_every_reason_can_be_said_with_its_facts_and_without_them(reason: Reason) -> None:
    assert sentence(reason, {}) == reason.meaning or not FACTS[reason]
    facts = {name: f"<{name}>" for name in FACTS.get(reason, ())}
    said = sentence(reason, facts)
    assert said
    assert all(value in said for value in facts.values())


@pytest.mark.parametrize("case", REFUSALS + CLIENT_REFUSALS, ids=lambda case: f"{case.reason.value}: {case.situation}")
def test_a_refusal_of_the_rules_is_said_with_its_own_facts(case: RefusalCase) -> None:
    verdict = case.arrange(shop()).decide(case.command)
    assert isinstance(verdict, Refusal)
    answer = error_in(failure(7, verdict.reason, verdict.facts))
    assert answer.message != case.reason.meaning
    assert {name: answer.data[name] for name in case.facts} == case.facts
    assert set(answer.data) == {"reason", "outcome", "retry", *case.facts}


@pytest.mark.parametrize("case", REFUSALS + CLIENT_REFUSALS, ids=lambda case: f"{case.reason.value}: {case.situation}")
def test_the_facts_of_a_refusal_hide_none_of_the_words_that_every_error_has(case: RefusalCase) -> None:
    assert not {"reason", "outcome", "retry", "replayed"} & set(case.facts)


AMOUNTS_SAID = [
    (Reason.INSUFFICIENT_FUNDS, {"available": "300", "required": "1250", "short_by": "950"}, "3.00 12.50 9.50"),
    (Reason.VELOCITY_EXCEEDED, {"limit": "10000", "remaining": "2000", "required": "3000"}, "100.00 20.00 30.00"),
    (
        Reason.REFUND_EXCEEDS_ORIGINAL,
        {"transfer": "t1", "to": "bob", "refundable": "5", "required": "12"},
        "0.05 0.12",
    ),
    (Reason.ABOVE_MAXIMUM, {"maximum": "20000", "would_have": "20001"}, "200.00 200.01"),
    (Reason.BALANCE_MISMATCH, {"condition": 0, "amount": "available", "stands": "-50"}, "-0.50"),
    (Reason.LIMITS_NOT_MET, {"posted": "-1", "held": "0", "floor": "0"}, "-0.01"),
    (Reason.WALLET_NOT_EMPTY, {"posted": "7"}, "0.07"),
    (Reason.CAPTURE_EXCEEDS_HOLD, {"hold": "h7", "reserved": "1500", "required": "2000"}, "15.00 20.00"),
]


@pytest.mark.parametrize(("reason", "facts", "said"), AMOUNTS_SAID, ids=lambda value: str(getattr(value, "value", "")))
def test_people_read_amounts_in_the_main_unit_with_the_code_and_programs_get_units_with_the_scale(
    reason: Reason, facts: dict[str, Any], said: str
) -> None:
    whole = {"wallet": "alice", "asset": "EUR", "window_seconds": 3600, **facts}
    answer = error_in(failure(7, reason, with_scale(whole, {AssetCode("EUR"): AssetRecord(AssetCode("EUR"), 2)})))
    words = answer.message.replace(":", " ").replace(",", " ").replace(";", " ").split()
    assert [number for number, code in pairwise(words) if code == "EUR"] == said.split()
    assert answer.data["scale"] == 2
    assert {name: answer.data[name] for name in facts} == facts


def test_every_reason_with_an_amount_is_in_the_table_of_those_that_people_read() -> None:
    spoken = {reason for reason in Reason if (AMOUNTS - {"limit"}).intersection(FACTS.get(reason, ()))}
    assert spoken == {reason for reason, _, _ in AMOUNTS_SAID}


def test_an_amount_of_an_asset_that_nothing_defines_is_said_in_units() -> None:
    facts = {"wallet": "alice", "asset": "XXX", "posted": "7"}
    assert with_scale(facts, {}) == facts
    assert "has 7 units of XXX" in sentence(Reason.WALLET_NOT_EMPTY, facts)


def test_braces_in_a_fact_are_only_text() -> None:
    assert sentence(Reason.METHOD_NOT_FOUND, {"method": "{wallet} {0} %s"}) == "there is no method '{wallet} {0} %s'"


@pytest.mark.parametrize("outcome", Outcome)
def test_an_error_says_what_became_of_the_command(outcome: Outcome) -> None:
    document = json.loads(failure(7, Reason.INTERNAL_ERROR, outcome=outcome))
    assert document["error"]["data"]["outcome"] == outcome.value


def test_a_message_of_its_own_stands_before_the_sentence() -> None:
    assert json.loads(failure(None, Reason.PARSE_ERROR, message="so"))["error"]["message"] == "so"


@pytest.mark.parametrize("value", ["x" * 10_000, "\x00", "ü", 10**29, None, [1], {"a": 1}], ids=lambda v: f"{v!r:.10}")
def test_any_value_can_be_a_fact(value: Any) -> None:
    assert json.loads(failure(7, Reason.UNKNOWN_WALLET, {"wallet": value}))["error"]["data"]["wallet"] == value


@pytest.mark.parametrize(
    ("field", "retry", "says"),
    [
        ("amount", "new_command_id", "amount differs; use a new command id"),
        ("commands", "new_command_id", "commands differs; use a new command id"),
        ("expires_at", "never", "repeat it exactly as first sent: with a new command id it would be applied twice"),
        ("commands[2].until", "never", "repeat it exactly as first sent"),
        ("if_version", "never", "repeat it exactly as first sent"),
    ],
)
def test_another_command_id_is_advised_only_for_another_thing(field: str, retry: str, says: str) -> None:
    facts = {"command_id": "c1", "sequence": 7, "field": field}
    answer = error_in(failure(7, Reason.COMMAND_ID_REUSED, facts))
    assert answer.data["retry"] == retry
    assert says in answer.message
    assert ("use a new command id" in answer.message) == (retry == "new_command_id")
    assert field in answer.message


# --- the table of reasons --------------------------------------------------------------------------------------------


def test_malformed_requests_are_never_to_be_sent_again_as_they_are() -> None:
    assert {reason.retry for reason in Reason if reason.is_malformed} == {Retry.NEVER, Retry.SAME_COMMAND_ID}
    assert [r for r in Reason if r.is_malformed and r.retry is not Retry.NEVER] == [Reason.INTERNAL_ERROR]


def test_what_never_reached_a_decision_may_be_sent_again_under_the_same_id() -> None:
    passing = {Reason.DRAINING, Reason.OVERLOADED, Reason.RATE_LIMITED, Reason.UNAVAILABLE, Reason.WALLET_QUARANTINED}
    assert all(reason.retry is Retry.SAME_COMMAND_ID for reason in passing)
    assert not any(reason.is_refusal for reason in passing)


def test_a_refusal_is_never_to_be_asked_again_under_its_id() -> None:
    assert not [reason for reason in Reason if reason.is_refusal and reason.retry is Retry.SAME_COMMAND_ID]


def test_a_reason_is_found_by_its_word() -> None:
    assert all(msgspec.convert(reason.value, Reason) is reason for reason in Reason)
