"""Set-up that is run again, and questions before what cannot be taken back."""

import io

import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import StandIn, view
from walletd.client import Refused
from walletd.vocabulary.reasons import Outcome, Reason, Retry
from walletd.vocabulary.states import WalletStatus


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def refused(reason: Reason, **facts: object) -> Refused:
    return Refused(reason, "there already", outcome=Outcome.NOT_APPLIED, retry=Retry.NEVER, facts=facts)


def test_an_asset_that_is_defined_alike_is_no_error(walletd: Walletd, daemon: StandIn) -> None:
    daemon.failing["define_asset"] = refused(Reason.ASSET_ALREADY_DEFINED, asset="EUR", scale=2)
    ended = walletd("asset", "define", "EUR/2")
    assert (ended.exit_code, ended.out) == (0, "EUR was defined before, with 2 decimal places\n")
    (answer,) = walletd("asset", "define", "EUR/2", "--json").document
    assert (answer["already_there"], answer["asset"], answer["scale"]) == (True, "EUR", 2)
    assert walletd("asset", "define", "EUR/3").exit_code == 1


@pytest.mark.parametrize(
    ("metadata", "status", "exit_code"),
    [
        ([], "open", 0),
        ([], "frozen", 0),
        ([], "closed", 1),
        (["tier=gold"], "open", 0),
        (["tier=silver"], "open", 1),
        (["tier=gold", "city=Ulm"], "open", 1),
    ],
)
def test_a_wallet_that_is_open_alike_is_no_error(
    walletd: Walletd, daemon: StandIn, metadata: list[str], status: str, exit_code: int
) -> None:
    daemon.failing["open_wallet"] = refused(Reason.WALLET_ALREADY_EXISTS, wallet="alice")
    daemon.views = [view("alice", status=WalletStatus(status), metadata={"tier": "gold"})]
    options = [word for pair in metadata for word in ("--metadata", pair)]
    ended = walletd("wallet", "open", "alice", *options)
    assert ended.exit_code == exit_code
    assert ended.out == ("wallet alice was open before\n" if exit_code == 0 else "")


FINAL = [["wallet", "close", "alice"], ["client", "revoke", "shop"]]


@pytest.mark.parametrize("words", FINAL, ids=" ".join)
def test_what_cannot_be_taken_back_is_asked_at_a_terminal(
    walletd: Walletd, daemon: StandIn, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def at_a_terminal(*more: str) -> int:
        with monkeypatch.context() as there:
            there.setattr("sys.stdin", Terminal("n\n"))
            there.setattr("walletd.cli.confirmation.sys.stderr", Terminal())
            return walletd(*words, *more).exit_code

    assert at_a_terminal() == 1
    assert daemon.calls == []
    assert at_a_terminal("--yes") == 0
    assert daemon.calls != []
    daemon.calls.clear()
    assert walletd(*words).exit_code == 0
