"""What the commands ask the daemon, and how they show the answer to people and to scripts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import NOON, StandIn, applied, balance, line, refused, view
from tests.names import ALICE, BOB, EUR
from walletd.protocol.messages import BatchOutcome, ErrorObject, StatementBalance
from walletd.vocabulary.commands import BalanceCondition, Posting, PostTransfer, WalletLimits
from walletd.vocabulary.identifiers import AssetCode, CommandId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import WalletStatus


def rows(out: str) -> list[list[str]]:
    """The words of each line that has any."""
    return [words.split() for words in out.splitlines() if words.strip()]


def test_a_payment_is_sent_exactly_as_written_and_told_with_the_balances_after_it(
    walletd: Walletd, daemon: StandIn
) -> None:
    ended = walletd("pay", "alice", "bob", "12.50", "EUR", "--reference", "dinner", "--command-id", "order-1")

    assert ended.exit_code == 0
    (paid,) = daemon.asked("submit")
    posting = Posting(ALICE, BOB, EUR, "1250")
    assert paid.arguments == (PostTransfer(command_id=CommandId("order-1"), postings=(posting,), reference="dinner"),)
    assert ended.out.splitlines()[0] == "paid 12.50 EUR from alice to bob, as transfer t7"
    assert ["alice", "EUR", "87.50", "0.00", "87.50"] in rows(ended.out)


def test_money_comes_in_from_external_without_any_quoting(walletd: Walletd, daemon: StandIn) -> None:
    daemon.answer = applied(balance("@external", "EUR", -10000), transfer="t7")
    ended = walletd("pay", "@external", "alice", "100", "EUR")

    assert ended.exit_code == 0
    assert ["@external", "EUR", "-100.00", "0.00", "no", "limit"] in rows(ended.out)


def test_a_payment_that_was_made_before_and_one_that_is_only_tried_are_told_apart(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.answer = applied(transfer="t7", replayed=True)
    assert "as transfer t7 (answered before" in walletd("pay", "alice", "bob", "1", "EUR").out
    daemon.answer = applied(dry_run=True)
    assert "nothing has changed" in walletd("pay", "alice", "bob", "1", "EUR", "--dry-run").out


def test_what_must_hold_for_a_command_is_sent_with_it(walletd: Walletd, daemon: StandIn) -> None:
    conditions = (
        "--if-balance",
        "alice EUR >= 10",
        "--if-balance",
        "bob EUR posted = -0.50",
        "--if-version",
        "alice=3",
    )
    ended = walletd("hold", "place", "alice", "5", "EUR", *conditions, "--valid-for", "60", "--dry-run")

    assert ended.exit_code == 0
    ((sent,),) = (call.arguments for call in daemon.asked("submit"))
    assert sent.if_balance == (
        BalanceCondition(wallet=ALICE, asset=EUR, gte="1000"),
        BalanceCondition(wallet=BOB, asset=EUR, amount="posted", eq="-50"),
    )
    assert sent.if_version == {"alice": 3}
    assert (sent.valid_for_seconds, sent.valid_until) == (60, None)
    assert sent.dry_run


COUNTED: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("hold", "place", "alice", "5", "EUR", "--expires", "1h"), {"expires_in_seconds": 3600, "expires_at": None}),
    (("hold", "place", "alice", "5", "EUR", "--expires", "0.5m"), {"expires_in_seconds": 30}),
    (("hold", "extend", "alice", "h7", "--expires", "7d"), {"expires_in_seconds": 604_800}),
    (("wallet", "freeze", "alice", "--why", "w", "--for", "24h"), {"until_in_seconds": 86_400, "until": None}),
    (("pay", "alice", "bob", "5", "EUR", "--valid-for", "30s"), {"valid_for_seconds": 30, "valid_until": None}),
    (("hold", "place", "alice", "5", "EUR", "--minutes", "60"), {"expires_in_seconds": 3600, "expires_at": None}),
    (("hold", "place", "alice", "5", "EUR", "--minutes", "0.5"), {"expires_in_seconds": 30}),
    (("hold", "extend", "alice", "h7", "--minutes", "5"), {"expires_in_seconds": 300, "expires_at": msgspec.UNSET}),
    (("wallet", "freeze", "alice", "--why", "w", "--hours", "24"), {"until_in_seconds": 86_400, "until": None}),
    (("pay", "alice", "bob", "5", "EUR", "--valid-for", "30"), {"valid_for_seconds": 30, "valid_until": None}),
]


@pytest.mark.parametrize(("words", "sent"), COUNTED, ids=[" ".join(words) for words, _ in COUNTED])
def test_a_time_is_sent_as_it_was_said_so_that_the_same_line_again_is_the_same_command(
    walletd: Walletd, daemon: StandIn, words: tuple[str, ...], sent: dict[str, Any]
) -> None:
    for _ in range(2):
        assert walletd(*words, "--command-id", "c1").exit_code == 0
    first, again = (call.arguments[0] for call in daemon.asked("submit"))
    assert first == again
    assert {name: getattr(first, name) for name in sent} == sent


@pytest.mark.parametrize("time", ["0", "-1", "nan", "inf", "1e12", "0.001"])
def test_a_time_that_cannot_be_meant_is_wrong_usage(walletd: Walletd, daemon: StandIn, time: str) -> None:
    ended = walletd("hold", "place", "alice", "5", "EUR", "--minutes", time)
    assert (ended.exit_code, daemon.asked("submit")) == (64, [])
    assert "--minutes must be between one second and a hundred years" in ended.err


@pytest.mark.parametrize("length", ["60", "1y", "m", "-1h", "tomorrow"])
def test_a_length_of_time_needs_its_unit(walletd: Walletd, daemon: StandIn, length: str) -> None:
    ended = walletd("hold", "place", "alice", "5", "EUR", f"--expires={length}")
    assert (ended.exit_code, daemon.asked("submit")) == (64, [])
    assert "--expires must be a length of time, such as 30m, 24h or 7d" in ended.err


def test_a_length_of_time_is_said_once(walletd: Walletd, daemon: StandIn) -> None:
    ended = walletd("hold", "place", "alice", "5", "EUR", "--expires", "1h", "--minutes", "60")
    assert (ended.exit_code, daemon.asked("submit")) == (64, [])


def test_the_end_of_a_clients_token_is_sent_as_it_was_said(walletd: Walletd, daemon: StandIn) -> None:
    for _ in range(2):
        walletd("client", "create", "shop", "--scope", "metrics", "--expires", "90d", "--out", "shop.token")
    walletd("client", "rotate", "shop", "--expires", "2030-01-31T12:00:00Z", "--overlap", "30m")
    first, again = daemon.asked("create_client")
    assert first == again
    assert (first.named["expires_at"], first.named["expires_in_seconds"]) == (None, 90 * 86_400)
    (rotated,) = daemon.asked("rotate_client")
    assert (rotated.named["expires_at"], rotated.named["expires_in_seconds"]) == (
        datetime(2030, 1, 31, 12, tzinfo=UTC),
        None,
    )
    assert (rotated.named["overlap_until"], rotated.named["overlap_for_seconds"]) == (None, 1800)


REPLAYED: list[tuple[str, ...]] = [
    ("pay", "alice", "bob", "1", "EUR"),
    ("hold", "place", "alice", "5", "EUR"),
    ("hold", "void", "alice", "h7"),
    ("wallet", "freeze", "alice", "--why", "w"),
    ("wallet", "open", "alice"),
    ("asset", "define", "EUR/2"),
    ("client", "create", "shop", "--scope", "metrics"),
    ("client", "rotate", "shop"),
    ("client", "revoke", "shop"),
    ("batch", "batch.jsonl"),
]


@pytest.mark.parametrize("words", REPLAYED, ids=[" ".join(words[:2]) for words in REPLAYED])
def test_an_answer_that_was_given_before_says_so(
    walletd: Walletd, daemon: StandIn, words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "batch.jsonl").write_text('{"method":"wallet.open","wallet":"x"}\n')
    outcomes = (BatchOutcome(command_id="b.1"),) if words[0] == "batch" else ()
    daemon.answer = applied(balance("alice", "EUR", 5), replayed=True, outcomes=outcomes)
    said = walletd(*words, "--command-id", "b").out
    assert "answered before, by entry 7 of 2026-01-31" in said
    assert ("Balances at that time, after entry 7:" in said) == ("5" in words or "0.05" in said)
    document = walletd(*words, "--command-id", "b", "--json").document
    document = document[0] if isinstance(document, list) else document.get("applied", document)
    assert document["replayed"] is True
    daemon.answer = applied(balance("alice", "EUR", 5), outcomes=outcomes)
    fresh = walletd(*words, "--command-id", "b").out
    assert "before" not in fresh
    assert "then" not in fresh


def test_a_refusal_that_was_given_before_says_so(walletd: Walletd, daemon: StandIn) -> None:
    failure = refused(Reason.WALLET_CLOSED, "wallet alice was closed")
    failure.facts.update(sequence=5, replayed=True)
    daemon.failing["submit"] = failure
    assert "(wallet_closed; answered before, by entry 5)" in walletd("pay", "alice", "bob", "1", "EUR").err


@pytest.mark.parametrize(
    "malformed", [("--if-balance", "alice EUR 10"), ("--if-version", "alice"), ("--if-version", "alice=x")]
)
def test_a_condition_that_says_nothing_is_wrong_usage(
    walletd: Walletd, daemon: StandIn, malformed: tuple[str, ...]
) -> None:
    ended = walletd("wallet", "unfreeze", "alice", *malformed)
    assert ended.exit_code == 64
    assert "such as" in ended.err
    assert not daemon.asked("submit")


def test_a_wallet_is_described_anew(walletd: Walletd, daemon: StandIn) -> None:
    assert walletd("wallet", "describe", "alice", "tier=gold", "city=Ulm").exit_code == 0
    assert walletd("wallet", "describe", "alice", "--none").exit_code == 0
    first, second = (call.arguments[0] for call in daemon.asked("submit"))
    assert (first.metadata, second.metadata) == ({"tier": "gold", "city": "Ulm"}, {})
    assert walletd("wallet", "describe", "alice", "gold").exit_code == 64


def test_amounts_stand_to_the_right(walletd: Walletd, daemon: StandIn) -> None:
    daemon.answer = applied(balance("alice", "EUR", 5), balance("bob", "EUR", 123456789))
    small, large = walletd("balance", "alice").out.splitlines()[2:4]
    assert small.index("0.05") + len("0.05") == large.index("1234567.89") + len("1234567.89")


def test_an_amount_is_never_cut_however_narrow_the_terminal(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("walletd.cli.output.PIPE_WIDTH", 20)
    daemon.scales = {"ETH": 18}
    daemon.answer = applied(balance("alice", "ETH", 123456789012345678901234))
    assert "123456.789012345678901234" in walletd("balance", "alice").out


def test_every_answer_is_one_json_document_for_a_script(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice", balance("alice", "EUR", 8750))]
    daemon.lines = [line(-1250, 8750)]

    paid = walletd("pay", "alice", "bob", "12.50", "EUR", "--json").document
    assert (paid["sequence"], paid["transfer"], paid["command_id"]) == (7, "t7", "c1")
    assert walletd("balance", "alice", "--json").document["balances"][0]["posted"] == "8750"
    assert walletd("wallet", "get", "alice", "--json").document["wallet"] == "alice"
    assert walletd("wallet", "list", "--json").document["wallets"][0]["wallet"] == "alice"
    assert walletd("statement", "alice", "--json").document["lines"][0]["amount"] == "-1250"
    assert walletd("asset", "list", "--json").document == {"assets": [{"asset": "EUR", "scale": 2}]}
    assert walletd("asset", "define", "EUR/2", "--json").document[0]["sequence"] == 7
    assert walletd("wallet", "open", "alice", "bob", "--json").document[1]["sequence"] == 7
    assert walletd("status", "--json").document["head"] == 1234


def test_a_document_that_names_assets_has_their_scales(walletd: Walletd, daemon: StandIn) -> None:
    daemon.scales = {"BTC": 8, "EUR": 2, "JPY": 0}
    daemon.views = [view("alice", balance("alice", "EUR", 8750), limits={AssetCode("JPY"): WalletLimits(maximum="5")})]
    assert walletd("balance", "alice", "--json").document["scales"] == {"EUR": 2}
    assert walletd("wallet", "get", "alice", "--json").document["scales"] == {"EUR": 2, "JPY": 0}
    assert walletd("wallet", "limit", "alice", "--json").document["scales"] == {"JPY": 0}
    assert walletd("asset", "define", "EUR/2", "--json").document[0]["scales"] == {"EUR": 2}
    assert walletd("pay", "alice", "bob", "1", "EUR", "--json").document["scales"] == {"EUR": 2}
    assert "scales" not in walletd("status", "--json").document


def test_nothing_is_shown_with_an_exponent(walletd: Walletd, daemon: StandIn) -> None:
    daemon.scales = {"EUR": 8}
    assert ["EUR", "0.00000000", "0.00012345"] in rows(walletd("audit").out)
    assert walletd("audit", "--json").document["totals"][0]["sum"] == "0"


def test_several_assets_and_wallets_are_made_one_after_the_other(walletd: Walletd, daemon: StandIn) -> None:
    walletd("asset", "define", "EUR/2", "ETH/18", "JPY/0")
    walletd("wallet", "open", "alice", "@fees")
    assert [call.arguments for call in daemon.asked("define_asset")] == [("EUR", 2), ("ETH", 18), ("JPY", 0)]
    assert [call.arguments[0] for call in daemon.asked("open_wallet")] == ["alice", "@fees"]


def test_a_statement_shows_signs_balances_and_references(walletd: Walletd, daemon: StandIn) -> None:
    daemon.lines = [line(10000, 10000), line(-1250, 8750, reference="dinner")]
    ended = walletd("statement", "alice", "--asset", "EUR", "--newest-first")

    (asked,) = daemon.asked("statement_page")
    assert asked.arguments == ("alice", "EUR")
    assert {name: word for name, word in asked.named.items() if word is not None} == {"newest_first": True}
    _, _, first, second = rows(ended.out)
    assert first[2:] == ["t7", "transfer", "bob", "+100.00", "EUR", "100.00"]
    assert second[2:] == ["t7", "transfer", "bob", "-12.50", "EUR", "87.50", "dinner"]


def test_a_statement_stands_between_its_opening_and_its_closing_balance(walletd: Walletd, daemon: StandIn) -> None:
    daemon.lines = [line(-1250, 8750)]
    daemon.opening, daemon.closing = (StatementBalance(EUR, "10000"),), (StatementBalance(EUR, "8750"),)
    ended = walletd("statement", "alice", "--since", "12", "--until", "2026-02-01T00:00:00Z", "--with", "bob")
    (asked,) = daemon.asked("statement_page")
    assert (asked.named["since"], asked.named["until"]) == (12, datetime(2026, 2, 1, tzinfo=UTC))
    assert asked.named["counterparty"] == "bob"
    assert [row[0] for row in (rows(ended.out)[2], rows(ended.out)[-1])] == ["opening", "closing"]
    assert rows(ended.out)[2][1:] == ["EUR", "100.00"]
    turned = walletd("statement", "alice", "--newest-first")
    assert [row[0] for row in (rows(turned.out)[2], rows(turned.out)[-1])] == ["closing", "opening"]
    assert "neither an entry's number nor a time" in walletd("statement", "alice", "--since", "soon").err


def test_the_past_of_several_wallets_is_asked_for_at_once(walletd: Walletd, daemon: StandIn) -> None:
    ended = walletd("balance", "alice", "bob", "--asset", "EUR", "--as-of", "7")
    (asked,) = daemon.asked("balances")
    assert asked == ("balances", (["alice", "bob"], "EUR"), {"as_of": 7})
    assert "after entry 7" in ended.out
    walletd("balance", "alice", "EUR")
    assert daemon.asked("balances")[-1] == ("balances", (["alice"], "EUR"), {"as_of": None})


def test_wallets_are_listed_by_status_and_metadata(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice")]
    walletd("wallet", "list", "a", "--status", "open", "--metadata", "tier=gold", "--metadata", "city=a=b")
    (asked,) = daemon.asked("wallets")
    assert asked.named == {"status": WalletStatus.OPEN, "metadata": {"tier": "gold", "city": "a=b"}}
    assert "such as tier=gold" in walletd("wallet", "list", "--metadata", "gold").err


def test_a_batch_is_a_command_on_each_line(walletd: Walletd, daemon: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "batch.jsonl"
    file.write_text('{"method":"wallet.open","wallet":"x"}\n\n{"method":"wallet.open","wallet":"y","command_id":"o"}\n')
    refused = ErrorObject(3020, "wallet y exists", {"reason": "wallet_already_exists", "outcome": "not_applied"})
    daemon.answer = applied(outcomes=(BatchOutcome(command_id="b.1"), BatchOutcome(command_id="o", error=refused)))
    ended = walletd("batch", str(file), "--each", "--command-id", "b")
    assert ended.exit_code == 1
    (asked,) = daemon.asked("batch")
    assert [command.command_id for command in asked.arguments[0]] == ["b.1", "o"]
    assert asked.named == {"atomic": False, "command_id": "b", "dry_run": False}
    assert "wallet y exists (wallet_already_exists)" in ended.out
    assert "1 of 2 commands were refused" in ended.out
    file.write_text('{"method":"wallet.open","wallet":"!"}')
    assert "line 1: 'wallet' must be a wallet name" in walletd("batch", str(file)).err
    file.write_text("nonsense")
    assert "line 1 is not a JSON object" in walletd("batch", str(file)).err
    file.write_text('{"method":"wallet.open","wallet":"a","wallet":"b"}\n')
    assert "line 1: 'wallet' appears twice in one object" in walletd("batch", str(file)).err


def test_a_limited_statement_says_that_there_is_more(walletd: Walletd, daemon: StandIn) -> None:
    daemon.lines = [line(1, 1), line(1, 2)]
    assert "more than 1 lines" in walletd("statement", "alice", "--limit", "1").out
    assert "more than" not in walletd("statement", "alice", "--limit", "2").out
    assert walletd("statement", "alice", "--limit", "1", "--json").document["is_whole"] is False


def test_words_of_a_client_cannot_command_the_terminal(walletd: Walletd, daemon: StandIn) -> None:
    daemon.lines = [line(1, 1, reference="\x1b[31mred [bold]bold[/bold]\n")]
    daemon.views = [view("alice", metadata={"name": "\x07\x1b]0;title\x07"})]
    for ended in (walletd("statement", "alice"), walletd("wallet", "get", "alice")):
        assert "\x1b" not in ended.out
        assert "\x07" not in ended.out
    assert r"\x1b[31mred [bold]bold[/bold]\n" in walletd("statement", "alice").out


def test_a_wallet_is_shown_with_its_metadata(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice", balance("alice", "EUR", 8750), metadata={"owner": "Alice A."})]
    out = rows(walletd("wallet", "get", "alice").out)
    assert ["owner", "Alice", "A."] in out
    assert ["alice", "EUR", "87.50", "0.00", "87.50"] in out


def test_an_empty_ledger_says_what_to_do_next(walletd: Walletd, daemon: StandIn) -> None:
    daemon.scales = {}
    daemon.answer = applied()
    assert "walletd asset define EUR/2" in walletd("asset", "list").out
    assert "walletd pay @external alice" in walletd("balance", "alice").out
    assert "Nothing has moved" in walletd("statement", "alice").out


def test_the_status_names_the_daemon_and_its_head(walletd: Walletd, daemon: StandIn) -> None:
    out = walletd("status").out
    assert "walletd 0.1.0 at ws://127.0.0.1:7878" in out
    assert "1,234" in out
    assert NOON.astimezone().strftime("%Y-%m-%d") in out


def test_an_audit_shows_what_customers_have_and_ends_with_65_where_the_books_do_not_add_up(
    walletd: Walletd, daemon: StandIn
) -> None:
    ended = walletd("audit")
    assert ended.exit_code == 0
    assert ["EUR", "0.00", "123.45"] in rows(ended.out)
    assert "3 wallets, as of entry 7" in ended.out + ended.err

    daemon.violations = ("posted balances of EUR sum to 1, not to zero",)
    ended = walletd("audit")
    assert ended.exit_code == 65
    assert "posted balances of EUR sum to 1" in ended.out + ended.err
