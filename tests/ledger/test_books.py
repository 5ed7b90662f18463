"""Books: what apply asserts, and that records say all there is to say about a book."""

from typing import Any

import pytest

from tests.ledger import cases
from tests.ledger.cases import NOW, Ledger, asset, closing, open_wallet, pay, posting, shop, snapshot, transfer
from walletd.ledger.book import Balance, Book, Books, apply, restore_book
from walletd.vocabulary.entries import BalanceRecord, Effects, WalletRecord
from walletd.vocabulary.identifiers import Version, WalletId
from walletd.vocabulary.states import WalletStatus

ALICE = WalletId("alice")


def wallet(name: str = "alice", version: int = 1, **others: Any) -> WalletRecord:
    """A wallet's record."""
    fields: dict[str, Any] = {"status": WalletStatus.OPEN, "opened_at": NOW, **others}
    return WalletRecord(wallet=WalletId(name), version=Version(version), **fields)


def balance(name: str = "alice", posted: str = "1", held: str = "0", version: int = 2) -> BalanceRecord:
    """A balance's record."""
    return cases.balance(name, "EUR", posted, held, posted, version)


def one_wallet() -> Books:
    """Books with EUR and alice at version 1."""
    books = Books()
    apply(books, Effects(assets=(asset("EUR", 2),), wallets=(wallet(),)))
    return books


BROKEN_EFFECTS: list[tuple[str, Effects]] = [
    ("an asset that is defined already", Effects(assets=(asset("EUR", 3),))),
    ("a new wallet that is not at version 1", Effects(wallets=(wallet("bob", version=2),))),
    ("a wallet that skips a version", Effects(wallets=(wallet(version=3),))),
    ("a wallet that stays at its version", Effects(wallets=(wallet(version=1),))),
    (
        "a wallet that was opened at another time",
        Effects(wallets=(wallet(version=2, opened_at=NOW.replace(year=2029)),)),
    ),
    ("a balance that skips a version", Effects(balances=(balance(version=3),))),
    ("a balance that goes back a version", Effects(balances=(balance(version=0),))),
    ("two balances two versions apart", Effects(balances=(balance(version=2), balance(version=4)))),
    ("a hold of less than nothing", Effects(balances=(balance(held="-1"),))),
]


@pytest.mark.parametrize("effects", [row[1] for row in BROKEN_EFFECTS], ids=[row[0] for row in BROKEN_EFFECTS])
def test_effects_that_cannot_follow_trip_an_assertion(effects: Effects) -> None:
    with pytest.raises(AssertionError):
        apply(one_wallet(), effects)


def test_a_balance_of_a_wallet_that_is_not_among_the_books_cannot_be_applied() -> None:
    with pytest.raises(KeyError):
        apply(one_wallet(), Effects(balances=(balance("ghost"),)))


def test_several_balances_of_one_wallet_share_one_step_of_its_version() -> None:
    books = one_wallet()
    apply(books, Effects(balances=(balance(version=2), balance(version=2, posted="7"))))
    assert books.wallets[ALICE].version == 2


def test_a_wallet_and_its_balances_in_one_entry_share_one_step_of_its_version() -> None:
    books = one_wallet()
    apply(books, Effects(wallets=(wallet(version=2, metadata={"k": "v"}),), balances=(balance(version=2),)))
    assert books.wallets[ALICE].version == 2


def test_an_applied_record_changes_status_and_metadata() -> None:
    books = one_wallet()
    apply(books, closing(wallet(metadata={"k": "v"})))
    assert books.wallets[ALICE].record() == wallet(version=2, status=WalletStatus.CLOSED, metadata={"k": "v"})


# --- restoring -----------------------------------------------------------------------------------------------------


def busy() -> Ledger:
    """A ledger whose wallets have several assets, holds, and one is closed."""
    ledger = shop().bring("alice", "BTC", 10**36 - 1).hold("alice", "EUR", 300)
    return ledger.after(transfer(posting("alice", "bob", "EUR", 1), posting("alice", "@fees", "BTC", 7)))


@pytest.mark.interpreted
@pytest.mark.parametrize("name", ["alice", "bob", "carol", "@external", "@fees"])
def test_a_book_restored_from_its_records_is_the_same_book(name: str) -> None:
    book: Book = busy().books.wallets[name]
    restored = restore_book(book.record(), book.balance_records(), book.holds.values())
    assert {slot: getattr(restored, slot) for slot in Book.__slots__} == {
        slot: getattr(book, slot) for slot in Book.__slots__
    }


def test_the_rules_see_no_difference_between_a_book_and_its_restoration() -> None:
    ledger = busy()
    command = pay("alice", "bob", "EUR", 700)
    before = ledger.decide(command)
    for name, book in ledger.books.wallets.items():
        ledger.books.wallets[name] = restore_book(book.record(), book.balance_records(), book.holds.values())
    assert ledger.decide(command) == before


def test_a_book_can_be_restored_from_balances_that_are_older_than_its_wallet() -> None:
    assert restore_book(wallet(version=9), (balance(version=2),)).version == 9


def test_a_book_cannot_be_restored_from_a_balance_that_is_newer_than_its_wallet() -> None:
    with pytest.raises(AssertionError):
        restore_book(wallet(version=1), (balance(version=2),))


def test_a_book_cannot_be_restored_from_the_balance_of_another_wallet() -> None:
    with pytest.raises(AssertionError):
        restore_book(wallet("bob", version=2), (balance("alice", version=2),))


# --- reading a book ------------------------------------------------------------------------------------------------


def test_an_asset_that_a_wallet_was_never_touched_in_is_nothing_and_is_not_remembered() -> None:
    book = shop().books.wallets["bob"]
    assert (book.balance("BTC"), book.available("BTC")) == (Balance(0, 0), 0)
    assert "BTC" not in book.balances


def test_balances_are_listed_by_the_code_of_their_asset() -> None:
    assert [record.asset for record in busy().books.wallets["alice"].balance_records()] == ["BTC", "EUR"]


def test_available_is_what_is_posted_less_what_is_held() -> None:
    assert shop().hold("alice", "EUR", 300).books.wallets["alice"].available("EUR") == 700


def test_a_system_wallet_has_no_floor() -> None:
    book = shop().books.wallets["@external"]
    assert (book.floor("EUR"), book.available("EUR")) == (None, None)


def test_the_books_of_two_runs_of_the_same_commands_are_the_same() -> None:
    assert snapshot(busy().books) == snapshot(busy().books)


def test_a_wallet_that_was_opened_in_between_does_not_disturb_the_others() -> None:
    ledger = shop()
    alice = ledger.books.wallets["alice"].record()
    assert ledger.after(open_wallet("zoe")).books.wallets["alice"].record() == alice
