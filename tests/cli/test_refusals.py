"""Every way in which a command can fail: one line that says what to do, and the exit code."""

import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import StandIn
from walletd.client import (
    AuthenticationFailed,
    ClientError,
    NotAnAddress,
    NotReachable,
    OutcomeUnknown,
    Refused,
    RequestFailed,
)
from walletd.vocabulary.reasons import Outcome, Reason

PAY = ("pay", "alice", "bob", "12.50", "EUR")


def failed(reason: Reason | str, message: str = "no", **facts: object) -> RequestFailed:
    kind = Refused if isinstance(reason, Reason) and reason.is_refusal else RequestFailed
    retry = reason.retry if isinstance(reason, Reason) else Reason.FORBIDDEN.retry
    return kind(reason, message, outcome=Outcome.NOT_APPLIED, retry=retry, facts=facts, command_id="c1")


SHORT = failed(Reason.INSUFFICIENT_FUNDS, wallet="alice", asset="EUR", available="300", required="1250", short_by="950")


@pytest.mark.parametrize(
    ("failure", "exit_code", "words"),
    [
        (SHORT, 1, "alice has 3.00 EUR available and needs 12.50 EUR: 9.50 EUR short (insufficient_funds)"),
        (failed(Reason.WALLET_NOT_FOUND, "there is no wallet bob", wallet="bob"), 1, "walletd wallet open bob"),
        (failed(Reason.ASSET_NOT_FOUND, "there is no asset XYZ", asset="XYZ"), 1, "walletd asset define XYZ/2"),
        (failed(Reason.SELF_TRANSFER, "to itself"), 1, "to itself (self_transfer)"),
        (failed(Reason.DRAINING, "it stops"), 1, "it stops (draining)"),
        (failed("a_new_reason", "new"), 1, "new (a_new_reason)"),
        (failed(Reason.INVALID_PARAMS, "'from' must be a wallet name"), 64, "must be a wallet name"),
        (failed(Reason.FORBIDDEN, "the token does not permit it"), 77, "does not permit"),
        (NotAnAddress("'http://x' is not a websocket address"), 64, "not a websocket address"),
        (NotReachable("the daemon answered 403: no"), 69, "the daemon answered 403: no\n"),
        (AuthenticationFailed("the daemon needs a token"), 77, "--token-file"),
        (OutcomeUnknown("c1", "transfer.post"), 75, "--command-id c1"),
        (ClientError("strange"), 70, "strange"),
    ],
)
def test_a_failure_is_one_line_and_an_exit_code(
    walletd: Walletd, daemon: StandIn, failure: ClientError, exit_code: int, words: str
) -> None:
    daemon.failing["submit"] = failure
    ended = walletd(*PAY)
    assert ended.exit_code == exit_code
    assert ended.out == ""
    assert ended.err.startswith("walletd: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


def test_a_failure_while_connecting_is_told_alike(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["connect"] = NotReachable("cannot reach the daemon at ws://127.0.0.1:7878")
    assert walletd(*PAY).exit_code == 69


def test_a_script_gets_the_error_object_with_its_facts(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["submit"] = SHORT
    error = walletd(*PAY, "--json").document["error"]
    assert error["reason"] == "insufficient_funds"
    assert error["facts"]["short_by"] == "950"
    assert (error["outcome"], error["retry"], error["command_id"]) == ("not_applied", "new_command_id", "c1")

    daemon.failing["connect"] = NotReachable("gone")
    assert walletd(*PAY, "--json").document["error"]["reason"] == "not_reachable"


FAST = {"wallet": "alice", "asset": "EUR", "window_seconds": 3600, "limit": "10000", "remaining": "2000"}


def test_a_refusal_with_amounts_is_told_in_main_units_and_its_facts_have_the_scale(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.failing["submit"] = failed(Reason.VELOCITY_EXCEEDED, "in cents", **FAST, required="3000", command=3)
    said = walletd(*PAY).err
    assert "command 3 of the batch: wallet alice may send 100.00 EUR within 3600 s; 20.00 EUR of that is left" in said
    assert "needs 30.00 EUR (velocity_exceeded)" in said
    error = walletd(*PAY, "--json").document["error"]
    assert (error["facts"]["scale"], error["facts"]["remaining"]) == (2, "2000")


def test_a_refusal_without_all_its_facts_is_told_in_the_daemons_words(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["submit"] = failed(Reason.ABOVE_MAXIMUM, "too much", wallet="alice", asset="EUR", maximum="5")
    assert walletd(*PAY).err == "walletd: too much (above_maximum)\n"


def test_a_shortfall_is_told_in_the_daemons_words_where_the_scales_cannot_be_had(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.failing["submit"] = SHORT
    daemon.fails_after["assets"] = (1, NotReachable("gone"))
    ended = walletd(*PAY)
    assert ended.exit_code == 1
    assert ended.err == "walletd: no (insufficient_funds)\n"


def test_of_several_wallets_each_is_tried_and_the_refused_one_decides_the_exit_code(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.failing["open_wallet"] = failed(Reason.WALLET_ALREADY_EXISTS, "wallet exists")
    daemon.failing["wallet"] = failed(Reason.FORBIDDEN)
    ended = walletd("wallet", "open", "alice", "bob", "--json")
    assert ended.exit_code == 1
    assert len(daemon.asked("open_wallet")) == 2
    assert [row["error"]["reason"] for row in ended.document] == ["wallet_already_exists"] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pay", "alice", "bob", "1e3", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", "-1", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", "1_000", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", ".5", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", "", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", "NaN", "EUR"), "write it like 12.50"),
        (("pay", "alice", "bob", "0.00", "EUR"), "more than zero"),
        (("pay", "alice", "bob", "1"), "ASSET"),
        (("pay", "alice", "bob", "1", "EUR", "--refrence", "x"), "--refrence"),
        (("asset", "define", "EUR"), "CODE/SCALE"),
        (("asset", "define", "EUR/31"), "CODE/SCALE"),
        (("asset", "define"), "ASSETS"),
        (("wallet", "open", "a", "b", "--command-id", "c"), "one command"),
        (("statement", "alice", "--limit", "0"), "at least 1"),
        (("wallet", "list", "--limit", "0"), "at least 1"),
        (("wallet", "list", "--limit", "-1"), "at least 1"),
        (("watch", "alice", "--all"), "one of"),
        (("watch", "--prefix", "a", "--all"), "one of"),
        (("entry",), "by its sequence"),
        (("entry", "12", "--command-id", "c"), "by its sequence"),
        (("entry", "twelve"), "twelve"),
        (("completion", "tcsh"), "tcsh"),
        (("demo", "--operations", "0"), "operations"),
        (("demo", "--seconds", "0"), "seconds"),
        (("paay",), "paay"),
    ],
)
def test_wrong_usage_asks_the_daemon_for_nothing_and_ends_with_64(
    walletd: Walletd, daemon: StandIn, arguments: tuple[str, ...], words: str
) -> None:
    ended = walletd(*arguments)
    assert ended.exit_code == 64
    assert ended.out == ""
    assert words in ended.err
    assert "--help" in ended.err
    assert ended.err.count("\n") == 1
    assert not daemon.calls


def test_an_amount_finer_than_the_asset_is_wrong_usage(walletd: Walletd, daemon: StandIn) -> None:
    ended = walletd("pay", "alice", "bob", "1.234", "EUR")
    assert ended.exit_code == 64
    assert "finer than the smallest unit" in ended.err
    assert "see: walletd pay --help" in ended.err


def test_ctrl_c_ends_a_command_as_a_shell_expects(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["submit"] = KeyboardInterrupt()
    assert walletd(*PAY).exit_code == 130


def test_a_payment_that_ctrl_c_interrupts_names_the_command_id_with_which_to_find_out(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.failing["submit"] = KeyboardInterrupt()
    ended = walletd(*PAY)
    (paid,) = daemon.asked("submit")
    assert len(paid.arguments[0].command_id) == 32
    assert f"repeat it with --command-id {paid.arguments[0].command_id}" in ended.err
    assert walletd(*PAY, "--dry-run").err == ""


def test_an_empty_command_id_is_wrong_usage_and_not_replaced(walletd: Walletd, daemon: StandIn) -> None:
    ended = walletd(*PAY, "--command-id", "")
    assert ended.exit_code == 64
    assert "'command_id' must be" in ended.err
    assert not daemon.asked("submit")


def test_what_was_done_before_the_daemon_went_away_is_answered_all_the_same(walletd: Walletd, daemon: StandIn) -> None:
    daemon.fails_after["open_wallet"] = (1, NotReachable("gone"))
    ended = walletd("wallet", "open", "alice", "bob", "carol", "--json")
    assert ended.exit_code == 69
    assert [row.get("sequence") or row["error"]["reason"] for row in ended.document] == [7, "not_reachable"]
