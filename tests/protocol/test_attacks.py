"""What an attack on the finished core found; each stays found."""

from typing import Any

import pytest

from tests.ledger.cases import entry, shop
from tests.ledger.refusal_cases import REFUSALS, RefusalCase
from tests.protocol.words import EXAMPLES, error_of, request, session
from walletd.protocol.errors import failure
from walletd.sessions.session import Call
from walletd.vocabulary.entries import Refusal, decode_entry, encode_entry


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.reason.value}: {case.situation}")
def test_a_refusal_is_answered_byte_for_byte_the_same_from_the_journal(case: RefusalCase) -> None:
    verdict = case.arrange(shop()).decide(case.command)
    assert isinstance(verdict, Refusal)
    stored = decode_entry(encode_entry(entry(1, case.command, verdict))).refusal
    assert stored == verdict
    assert failure(7, stored.reason, stored.facts) == failure(7, verdict.reason, verdict.facts)


@pytest.mark.parametrize(
    "selectors",
    [{"wallets": ["shop:1"], "all": True}, {"wallets": ["shop:1"], "prefix": ""}, {"prefix": "shop:", "all": True}],
)
def test_a_subscription_needs_the_right_to_all_that_it_names(selectors: dict[str, Any]) -> None:
    assert not isinstance(session("view:shop:*").receive(request("stream.subscribe", selectors)), Call)


def test_a_forbidden_method_without_a_wallet_ends_its_sentence() -> None:
    message = error_of(session("view:*").receive(request("daemon.status", {}))).message
    assert message == message.strip()


@pytest.mark.parametrize(
    ("params", "field"),
    [({"if_version": {"a b": 1}}, "if_version"), ({"metadata": {"": "x"}}, "metadata"), ({"a`b": 1}, "a`b")],
)
def test_a_bad_key_is_named(params: dict[str, Any], field: str) -> None:
    answer = error_of(session().receive(request("wallet.open", {"command_id": "c", "wallet": "a"} | params)))
    assert answer.field is not None
    assert answer.field.startswith(field)


@pytest.mark.parametrize("prefix", ["*", "shop:*", "@@"])
def test_a_bad_prefix_is_refused_in_words_and_not_by_a_regular_expression(prefix: str) -> None:
    assert "regex" not in error_of(session().receive(request("wallet.list", {"prefix": prefix}))).message


@pytest.mark.parametrize("wallets", [[], ["shop:1"] * 1001])
def test_too_few_or_too_many_wallets_are_not_called_a_bad_name(wallets: list[str]) -> None:
    answer = error_of(session().receive(request("stream.subscribe", {"wallets": wallets})))
    assert "must be a wallet name" not in answer.message


def test_if_version_is_bounded() -> None:
    many = {f"w{n}": 1 for n in range(10_000)}
    params = EXAMPLES["transfer.post"] | {"if_version": many}
    assert not isinstance(session().receive(request("transfer.post", params)), Call)
