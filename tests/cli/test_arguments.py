"""Arguments as people type them: help and version in every form, common options first, a mistyped command."""

import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import StandIn
from walletd.cli.app import COMMANDS


@pytest.mark.parametrize("words", [["version"], ["-V"], ["--version"], ["--json", "version"]], ids=" ".join)
def test_the_version_is_asked_for_in_every_way(walletd: Walletd, words: list[str]) -> None:
    ended = walletd(*words)
    assert (ended.exit_code, ended.out) == (0, "0.1.0\n")


@pytest.mark.parametrize("words", [[], ["wallet"], ["wallet", "open"], ["balance"]], ids=" ".join)
def test_help_before_a_command_is_its_help(walletd: Walletd, words: list[str]) -> None:
    ended = walletd("help", *words)
    assert ended.exit_code == 0
    assert ended.out == walletd(*words, "--help").out
    assert f"Usage: walletd {' '.join(words)}".rstrip() in ended.out


def test_common_options_stand_before_the_command_or_after_it(walletd: Walletd, daemon: StandIn) -> None:
    after = walletd("balance", "alice", "--json", "--url", "ws://127.0.0.1:1", "--token", "x")
    assert daemon.connected_with == {"url": "ws://127.0.0.1:1", "token": "x"}
    daemon.connected_with.clear()
    before = walletd("--json", "--url", "ws://127.0.0.1:1", "--token=x", "balance", "alice")
    assert daemon.connected_with == {"url": "ws://127.0.0.1:1", "token": "x"}
    assert before.document == after.document
    assert walletd("--json", "balance", "--", "alice").document == after.document


def test_an_unknown_command_names_one_that_is_alike_and_all_that_exist(walletd: Walletd) -> None:
    ended = walletd("blance", "alice")
    assert ended.exit_code == 64
    assert ended.err.startswith("walletd: there is no command 'blance', did you mean 'balance'? walletd has: asset, ")
    for name, _, _ in COMMANDS:
        assert f" {name}" in ended.err
    assert "did you mean" not in walletd("frobnicate").err


def test_an_unknown_command_below_a_command_names_those_below_it(walletd: Walletd) -> None:
    ended = walletd("wallet", "opn", "x")
    assert ended.exit_code == 64
    assert "there is no command 'wallet opn', did you mean 'open'? wallet has: close, describe, freeze" in ended.err
    assert ended.err.endswith("; see: walletd wallet --help\n")


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["wallet"], ["balance"], ["pay", "a", "b", "x", "EUR"], ["verify", "here", "--there"]]
)
def test_a_mistake_in_the_arguments_is_json_if_json_was_asked_for(walletd: Walletd, words: list[str]) -> None:
    ended = walletd(*words, "--json")
    assert ended.exit_code == 64
    assert ended.document["error"]["reason"] == "usage"
    assert ended.err == f"walletd: {ended.document['error']['message']}\n"


@pytest.mark.parametrize(
    ("asset", "words"),
    [
        ("eur", "there is no asset eur; did you mean EUR?"),
        ("EURO", "there is no asset EURO; did you mean EUR?"),
        ("btc", "define it with: walletd asset define BTC/2"),
        ("€", "'€' is not the code of an asset; write it like EUR"),
    ],
)
def test_advice_about_an_asset_works(walletd: Walletd, daemon: StandIn, asset: str, words: str) -> None:
    ended = walletd("pay", "alice", "bob", "5", asset)
    assert ended.exit_code == 64
    assert words in ended.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["status", "check"], "'check' is an argument too many for walletd status; see: walletd status --help"),
        (
            ["config", "check", "x", "y"],
            "'x' is an argument too many for walletd config check; see: walletd config check --help",
        ),
    ],
)
def test_an_argument_too_many_is_named(walletd: Walletd, words: list[str], sentence: str) -> None:
    ended = walletd(*words)
    assert (ended.exit_code, ended.err) == (64, f"walletd: {sentence}\n")
