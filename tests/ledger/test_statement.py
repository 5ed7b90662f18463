"""Statement lines: what one entry means to each wallet in it."""

from tests.ledger.cases import Ledger, capture, close, define, open_wallet, pay, posting, refund, shop, transfer
from walletd.ledger.statement import Line, lines_of
from walletd.vocabulary.commands import AnyCommand


def lines_after(ledger: Ledger, command: AnyCommand) -> list[Line]:
    """The lines of the entry that records this command."""
    ledger.run(command)
    return lines_of(ledger.entries[-1])


def test_a_posting_is_a_debit_of_the_payer_and_a_credit_of_the_payee() -> None:
    assert lines_after(shop(), pay("alice", "bob", "EUR", 250, reference="invoice 7")) == [
        ("alice", 0, "EUR", -250, 750, "bob", "invoice 7", "transfer", "t10"),
        ("bob", 0, "EUR", 250, 250, "alice", "invoice 7", "transfer", "t10"),
    ]


def test_each_posting_has_its_own_running_balance() -> None:
    postings = [
        posting("alice", "bob", "EUR", 30),
        posting("bob", "@fees", "EUR", 10),
        posting("bob", "alice", "EUR", 5),
    ]
    lines = lines_after(shop(), transfer(*postings))
    assert [(line.line, line.amount, line.posted) for line in lines if line.wallet == "bob"] == [
        (0, 30, 30),
        (1, -10, 20),
        (2, -5, 15),
    ]


def test_assets_run_apart() -> None:
    lines = lines_after(shop(), transfer(posting("alice", "bob", "EUR", 1), posting("@fees", "alice", "BTC", 2)))
    assert [(line.asset, line.posted) for line in lines if line.wallet == "alice"] == [("EUR", 999), ("BTC", 2)]


def test_a_refund_a_capture_and_a_sweep_say_what_they_are_and_for_what() -> None:
    ledger = shop().after(pay("alice", "bob", "EUR", 9)).hold("alice", "EUR", 20)
    back = lines_after(ledger, refund("t10", posting("bob", "alice", "EUR", 4), reference="broken"))
    assert back == [
        ("bob", 0, "EUR", -4, 5, "alice", "broken", "refund", "t12"),
        ("alice", 0, "EUR", 4, 995, "bob", "broken", "refund", "t12"),
    ]
    taken = lines_after(ledger, capture("alice", "h11", ("bob", 3), ("@fees", 1), reference="parcel 2"))
    assert taken == [
        ("alice", 0, "EUR", -3, 992, "bob", "parcel 2", "capture", "t13"),
        ("bob", 0, "EUR", 3, 8, "alice", "parcel 2", "capture", "t13"),
        ("alice", 1, "EUR", -1, 991, "@fees", "parcel 2", "capture", "t13"),
        ("@fees", 1, "EUR", 1, 1, "alice", "parcel 2", "capture", "t13"),
    ]
    assert lines_after(ledger, close("bob", "@fees")) == [
        ("bob", 0, "EUR", -8, 0, "@fees", None, "sweep", "t14"),
        ("@fees", 0, "EUR", 8, 9, "bob", None, "sweep", "t14"),
    ]


def test_a_refused_transfer_has_no_lines() -> None:
    assert lines_after(shop(), pay("alice", "bob", "EUR", 1001)) == []


def test_what_moves_no_money_has_no_lines() -> None:
    assert lines_after(shop(), open_wallet("dave")) == []
    assert lines_after(shop(), define("ETH", 18)) == []
