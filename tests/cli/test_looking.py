"""A command that sets something, called without what it should set, shows what is and changes nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.cli.conftest import Walletd
from tests.cli.standin import NOON, StandIn, balance, hold_view, refused, view
from tests.cli.test_commands import rows
from walletd.cli.output import moment
from walletd.protocol.messages import PostingView, TransferView
from walletd.vocabulary.commands import ExtendHold, FreezeWallet, UpdateWallet, WalletLimits, Window
from walletd.vocabulary.entries import Freeze, Refundable
from walletd.vocabulary.identifiers import AssetCode, WalletId
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.room import Room, WindowRoom
from walletd.vocabulary.states import FrozenSide, WalletStatus

ALICE, EUR = WalletId("alice"), AssetCode("EUR")
LIMITS = WalletLimits(
    credit_limit="1000",
    maximum="500000",
    velocity=(Window(seconds=3600, amount="10000"), Window(seconds=86_400, amount="50000")),
)
ROOM = Room(
    wallet=ALICE,
    asset=EUR,
    payable="2000",
    receivable="491250",
    windows=(
        WindowRoom(seconds=3600, limit="10000", used="8000", remaining="2000", frees_at=NOON),
        WindowRoom(seconds=86_400, limit="50000", used="8000", remaining="42000"),
    ),
)
FREEZE = Freeze(frozen=FrozenSide.DEBITS, why="chargeback 7", until=NOON + timedelta(hours=24))


@pytest.fixture
def alice(daemon: StandIn) -> StandIn:
    """A daemon with a wallet that has everything a wallet can have, and a hold of it."""
    daemon.views = [
        view(
            "alice",
            balance("alice", "EUR", 8750),
            metadata={"tier": "gold", "status": "of a client's own"},
            status=WalletStatus.FROZEN,
            limits={EUR: LIMITS},
            freeze=FREEZE,
            room=(ROOM,),
        )
    ]
    daemon.holds_of_all = [hold_view()]
    return daemon


LOOKS = [
    (("wallet", "describe", "alice"), [["tier", "gold"]]),
    (("wallet", "limit", "alice", "EUR"), [["EUR", "maximum", "5000.00", "EUR", "4912.50", "EUR"]]),
    (("wallet", "limit", "alice"), [["EUR", "credit", "10.00", "EUR"]]),
    (("wallet", "freeze", "alice"), [["frozen", "debits"], ["why", "chargeback", "7"]]),
    (("hold", "extend", "alice", "h7"), [["expires", "at", *moment(NOON).split()]]),
    (("hold", "adjust", "alice", "h7"), [["reserved", "15.00", "EUR"]]),
]


@pytest.mark.parametrize(("arguments", "shown"), LOOKS, ids=[" ".join(look[0]) for look in LOOKS])
def test_without_what_it_should_set_a_command_shows_what_is_and_changes_nothing(
    walletd: Walletd, alice: StandIn, arguments: tuple[str, ...], shown: list[list[str]]
) -> None:
    ended = walletd(*arguments)
    assert ended.exit_code == 0
    assert not alice.asked("submit")
    for row in shown:
        assert row in rows(ended.out)
    assert walletd(*arguments, "--json").document
    assert not alice.asked("submit")


@pytest.mark.parametrize("arguments", [arguments for arguments, _ in LOOKS], ids=" ".join)
@pytest.mark.parametrize("option", [("--command-id", "c"), ("--if-version", "alice=1"), ("--dry-run",)], ids=" ".join)
def test_an_id_or_a_condition_without_anything_to_set_is_wrong_usage(
    walletd: Walletd, alice: StandIn, arguments: tuple[str, ...], option: tuple[str, ...]
) -> None:
    ended = walletd(*arguments, *option)
    assert ended.exit_code == 64
    assert "what to set" in ended.err
    assert not alice.calls


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("wallet", "describe", "alice", "--none"), {"metadata": {}}),
        (("wallet", "limit", "alice", "EUR", "--none"), {"limits": {"EUR": None}}),
        (("hold", "extend", "alice", "h7", "--none"), {"expires_at": None}),
    ],
)
def test_what_is_to_go_is_taken_away_by_a_word_of_its_own(
    walletd: Walletd, alice: StandIn, arguments: tuple[str, ...], sent: dict[str, Any]
) -> None:
    assert walletd(*arguments).exit_code == 0
    (command,) = (call.arguments[0] for call in alice.asked("submit"))
    assert {name: getattr(command, name) for name in sent} == sent


@pytest.mark.parametrize(
    "arguments",
    [
        ("wallet", "describe", "alice", "tier=gold", "--none"),
        ("wallet", "limit", "alice", "EUR", "--maximum", "5", "--none"),
        ("wallet", "limit", "alice", "--none"),
        ("wallet", "limit", "alice", "--maximum", "5"),
        ("wallet", "freeze", "alice", "--hours", "3"),
        ("wallet", "freeze", "alice", "--side", "debits"),
        ("hold", "extend", "alice", "h7", "--minutes", "5", "--none"),
    ],
    ids=" ".join,
)
def test_a_wish_that_contradicts_itself_or_lacks_a_part_is_wrong_usage(
    walletd: Walletd, alice: StandIn, arguments: tuple[str, ...]
) -> None:
    assert walletd(*arguments).exit_code == 64
    assert not alice.asked("submit")


def test_setting_one_limit_takes_no_other_away_unnamed(walletd: Walletd, alice: StandIn) -> None:
    ended = walletd("wallet", "limit", "alice", "EUR", "--maximum", "200")
    assert ended.exit_code == 64
    assert "--credit 10.00 --velocity 100.00/1h --velocity 500.00/1d" in ended.err
    assert not alice.asked("submit")

    named = ("--maximum", "200", "--credit", "none", "--velocity", "none")
    assert walletd("wallet", "limit", "alice", "EUR", *named).exit_code == 0
    (sent,) = (call.arguments[0] for call in alice.asked("submit"))
    assert isinstance(sent, UpdateWallet)
    assert sent.limits == {"EUR": WalletLimits(maximum="20000")}


def test_a_limit_that_is_set_again_under_its_id_gets_its_first_answer_whatever_stands_now(
    walletd: Walletd, alice: StandIn
) -> None:
    alice.ids_used = {"limit-1"}
    ended = walletd("wallet", "limit", "alice", "EUR", "--maximum", "200", "--command-id", "limit-1")
    assert ended.exit_code == 0
    assert len(alice.asked("submit")) == 1


def test_limits_of_a_wallet_that_cannot_be_looked_at_are_the_daemons_to_refuse(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.failing["wallet"] = refused(Reason.UNKNOWN_WALLET, "there is no wallet alice")
    assert walletd("wallet", "limit", "alice", "EUR", "--maximum", "200").exit_code == 0
    assert len(daemon.asked("submit")) == 1


def test_a_freeze_and_an_extension_that_say_what_they_want_are_sent(walletd: Walletd, alice: StandIn) -> None:
    assert walletd("wallet", "freeze", "alice", "--why", "chargeback 8").exit_code == 0
    assert walletd("hold", "extend", "alice", "h7", "--minutes", "5").exit_code == 0
    frozen, extended = (call.arguments[0] for call in alice.asked("submit"))
    assert isinstance(frozen, FreezeWallet)
    assert (frozen.frozen, frozen.why) == (FrozenSide.BOTH, "chargeback 8")
    assert isinstance(extended, ExtendHold)


def test_a_wallet_is_shown_with_limits_windows_freeze_and_metadata(walletd: Walletd, alice: StandIn) -> None:
    out = rows(walletd("wallet", "get", "alice").out)
    assert ["status", "frozen"] in out
    assert ["frozen", "debits"] in out
    assert ["why", "chargeback", "7"] in out
    assert FREEZE.until is not None
    assert ["until", *moment(FREEZE.until).split()] in out
    assert ["tier", "gold"] in out
    assert ["status", "of", "a", "client's", "own"] in out[out.index(["metadata"]) :]
    assert ["EUR", "credit", "10.00", "EUR"] in out
    assert ["EUR", "maximum", "5000.00", "EUR", "4912.50", "EUR"] in out
    assert ["EUR", "velocity", "1h", "100.00", "EUR", "20.00", "EUR", *moment(NOON).split()] in out
    assert ["EUR", "velocity", "1d", "500.00", "EUR", "420.00", "EUR"] in out
    assert ["alice", "EUR", "87.50", "0.00", "87.50"] in out
    document = walletd("wallet", "get", "alice", "--json").document
    assert document["freeze"]["why"] == "chargeback 7"
    assert document["room"][0]["windows"][0]["remaining"] == "2000"


def test_a_wallet_without_any_of_it_shows_none_of_it(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice")]
    out = walletd("wallet", "get", "alice").out
    assert not re.search("limit|metadata|why", out)
    assert "alice has no limits" in walletd("wallet", "limit", "alice").out
    assert "alice has no metadata" in walletd("wallet", "describe", "alice").out
    assert "alice is not frozen" in walletd("wallet", "freeze", "alice").out


def test_a_freeze_without_an_end_says_so(walletd: Walletd, daemon: StandIn) -> None:
    daemon.views = [view("alice", status=WalletStatus.FROZEN, freeze=Freeze(frozen=FrozenSide.BOTH, why="fraud"))]
    assert ["until", "it", "is", "lifted"] in rows(walletd("wallet", "get", "alice").out)


def test_a_hold_can_be_looked_at(walletd: Walletd, alice: StandIn) -> None:
    out = rows(walletd("hold", "get", "alice", "h7").out)
    for row in (
        ["hold", "h7"],
        ["wallet", "alice"],
        ["state", "open"],
        ["amount", "20.00", "EUR"],
        ["captured", "5.00", "EUR"],
        ["reserved", "15.00", "EUR"],
        ["reference", "room-12"],
        ["guest", "7"],
    ):
        assert row in out
    assert walletd("hold", "get", "alice", "h7", "--json").document["reserved"] == "1500"
    assert walletd("hold", "get", "alice", "h8").exit_code == 1


def test_a_transfer_can_be_looked_at(walletd: Walletd, daemon: StandIn) -> None:
    daemon.transfers = [
        TransferView(
            transfer="t9",
            sequence=9,
            time=NOON,
            principal="shop",
            command_id="order-9",
            kind="refund",
            postings=(PostingView(WalletId("bob"), ALICE, EUR, "1250"),),
            original="t7",
            refunded=(Refundable(WalletId("bob"), ALICE, EUR, "1250", "250"),),
            reference="dinner",
            metadata={"table": "7"},
        )
    ]
    out = rows(walletd("transfer", "get", "t9").out)
    for row in (
        ["transfer", "t9"],
        ["kind", "refund"],
        ["of", "t7"],
        ["entry", "9"],
        ["sent", "by", "shop"],
        ["command", "id", "order-9"],
        ["reference", "dinner"],
        ["table", "7"],
        ["bob", "alice", "12.50", "EUR", "2.50"],
    ):
        assert row in out, row
    assert walletd("transfer", "get", "t9", "--json").document["refunded"][0]["refunded"] == "250"


def test_what_was_passed_on_goes_back_from_its_end(walletd: Walletd, daemon: StandIn) -> None:
    ways = [("alice", "shop", "1000"), ("shop", "fees", "20")]
    daemon.transfers = [
        TransferView(
            transfer="t9",
            sequence=9,
            time=NOON,
            kind="transfer",
            postings=tuple(PostingView(WalletId(source), WalletId(to), EUR, amount) for source, to, amount in ways),
        )
    ]
    assert walletd("refund", "t9").exit_code == 0
    (sent,) = [call.arguments[0] for call in daemon.calls if call.name == "submit"]
    assert [(each.source, each.to, each.amount) for each in sent.postings] == [
        ("fees", "shop", "20"),
        ("shop", "alice", "1000"),
    ]


def view_of(*refunded: Refundable) -> TransferView:
    ways = [("alice", "shop", "1000"), ("shop", "fees", "20")]
    return TransferView(
        transfer="t9",
        sequence=9,
        time=NOON,
        postings=tuple(PostingView(WalletId(source), WalletId(to), EUR, amount) for source, to, amount in ways),
        refunded=refunded,
    )


@pytest.mark.parametrize(
    ("refunded", "left"),
    [
        (("0", "0"), [("fees", "shop", "20"), ("shop", "alice", "1000")]),
        (("250", "0"), [("fees", "shop", "20"), ("shop", "alice", "750")]),
        (("250", "20"), [("shop", "alice", "750")]),
        (("1000", "20"), [("fees", "shop", "20"), ("shop", "alice", "1000")]),
    ],
)
def test_a_refund_without_an_amount_returns_what_is_left(
    walletd: Walletd, daemon: StandIn, refunded: tuple[str, str], left: list[tuple[str, str, str]]
) -> None:
    """If nothing is left, the daemon says so."""
    first = Refundable(WalletId("alice"), WalletId("shop"), EUR, "1000", refunded[0])
    daemon.transfers = [view_of(first, Refundable(WalletId("shop"), WalletId("fees"), EUR, "20", refunded[1]))]
    assert walletd("refund", "t9").exit_code == 0
    (sent,) = [call.arguments[0] for call in daemon.calls if call.name == "submit"]
    assert [(each.source, each.to, each.amount) for each in sent.postings] == left


def test_the_log_levels_are_shown_where_none_is_named(walletd: Walletd, daemon: StandIn) -> None:
    ended = walletd("log-level")
    assert ended.exit_code == 0
    assert ["journal", "info"] in rows(ended.out)
    assert daemon.asked("call")[-1] == ("call", ("daemon.log_level",), {})
