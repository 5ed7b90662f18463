"""Watching: one line for each event, until Ctrl-C."""

import json
from typing import Any

import msgspec

from tests.cli.conftest import Walletd
from tests.cli.standin import NOON, StandIn, balance
from tests.ledger import cases
from tests.names import ALICE, BOB, EUR
from walletd.cli.watch import event_line
from walletd.client import Event, NotReachable
from walletd.vocabulary.commands import AnyCommand, Posting, PostTransfer
from walletd.vocabulary.entries import Effects, Entry, Moved, Refusal, encode_entry
from walletd.vocabulary.identifiers import CommandId, Principal, Sequence
from walletd.vocabulary.reasons import Reason

CARD = cases.posting("@external", "alice", "EUR", 10_000)
DINNER = cases.posting("alice", "bob", "EUR", 1250)


def entry(command: AnyCommand, *balances: Any) -> Entry:
    return Entry(
        sequence=Sequence(7),
        time=NOON,
        principal=Principal("operator"),
        command=command,
        effects=Effects(balances=balances),
    )


def transfer(*postings: Posting, **more: Any) -> PostTransfer:
    return PostTransfer(command_id=CommandId("c1"), postings=postings, **more)


def event(command: AnyCommand, *balances: Any) -> Event:
    return Event(1, 7, encode_entry(entry(command, *balances)))


def test_a_payment_is_told_with_amount_reference_and_balances_after_it() -> None:
    paid = entry(transfer(DINNER, reference="dinner"), balance("alice", "EUR", 8750), balance("bob", "EUR", 1250))
    line = event_line(paid, {"EUR": 2}).plain
    assert line.startswith(NOON.astimezone().strftime("%H:%M:%S"))
    assert line[8:] == "  alice → bob  12.50 EUR  “dinner”   now: alice 87.50 EUR, bob 12.50 EUR"


def test_what_system_wallets_have_is_told_only_where_they_are_watched_by_name() -> None:
    paid = entry(transfer(CARD), balance("@external", "EUR", -10000), balance("alice", "EUR", 10000))
    assert "@external -100.00" not in event_line(paid, {"EUR": 2}).plain
    assert "@external -100.00" in event_line(paid, {"EUR": 2}, ["@external"]).plain


def test_openings_and_definitions_are_told_too() -> None:
    assert event_line(entry(cases.open_wallet("alice", command_id="c")), {}).plain.endswith("wallet alice opened")
    assert event_line(entry(cases.define("EUR", 2, command_id="c")), {}).plain.endswith("asset EUR/2 defined")


def test_ctrl_c_ends_a_watch_well(walletd: Walletd, daemon: StandIn) -> None:
    daemon.events = [event(transfer(DINNER))]
    daemon.after_events = KeyboardInterrupt()
    ended = walletd("watch", "alice", "bob")
    assert ended.exit_code == 0
    assert "alice → bob  12.50 EUR" in ended.out
    assert "Ctrl-C" in ended.err
    assert "Traceback" not in ended.err


def test_a_daemon_that_does_not_come_back_ends_a_watch_with_69(walletd: Walletd, daemon: StandIn) -> None:
    daemon.after_events = NotReachable("gone")
    assert walletd("watch").exit_code == 69


def test_a_script_gets_one_document_for_each_event_with_the_entrys_own_bytes(walletd: Walletd, daemon: StandIn) -> None:
    daemon.events = [event(transfer(CARD)), event(transfer(DINNER))]
    lines = walletd("watch", "--json").out.splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [7, 7]
    assert daemon.events[1].record.decode() in lines[1]


def test_what_is_watched_is_what_was_said(walletd: Walletd, daemon: StandIn) -> None:
    walletd("watch")
    walletd("watch", "--all")
    walletd("watch", "--prefix", "shop/")
    walletd("watch", "alice", "bob")
    asked = [call.named for call in daemon.asked("subscribe")]
    assert asked == [
        {"wallets": None, "prefix": None, "all": True},
        {"wallets": None, "prefix": None, "all": True},
        {"wallets": None, "prefix": "shop/", "all": False},
        {"wallets": ["alice", "bob"], "prefix": None, "all": False},
    ]


def test_an_event_for_a_script_is_the_entry_as_it_is_with_the_scales_of_its_assets(
    walletd: Walletd, daemon: StandIn
) -> None:
    daemon.events = [event(transfer(DINNER), balance("bob", "EUR", 1250))]
    document = walletd("watch", "--json").document
    assert document["scales"] == {"EUR": 2}
    assert msgspec.json.encode(document["entry"]) == daemon.events[0].record


def test_an_asset_that_was_defined_meanwhile_is_shown_in_its_main_unit(walletd: Walletd, daemon: StandIn) -> None:
    daemon.events = [event(transfer(DINNER), balance("bob", "EUR", 1250))]
    walletd("watch")
    daemon.scales = {}
    assert "1250 units" in walletd("watch").out


def test_a_refused_payment_is_not_shown_as_if_it_had_happened() -> None:
    command = PostTransfer(command_id=CommandId("c"), postings=(cases.posting("alice", "bob", "EUR", 100),))
    refused = Entry(
        sequence=Sequence(7),
        time=NOON,
        principal=Principal("p"),
        command=command,
        refusal=Refusal(Reason.WALLET_FROZEN, {"wallet": "alice"}),
    )
    assert event_line(refused, {"EUR": 2}).plain.endswith("alice → bob  1.00 EUR  refused: wallet_frozen")


def test_what_a_capture_moved_is_shown() -> None:
    command = cases.capture("alice", "h6", ("bob", 1500), command_id="c")
    moved = Effects(moved=(Moved(ALICE, BOB, EUR, "1500"),))
    captured = Entry(sequence=Sequence(7), time=NOON, principal=Principal("p"), command=command, effects=moved)
    assert event_line(captured, {"EUR": 2}).plain.endswith("capture of h6 of alice; alice → bob  15.00 EUR")
