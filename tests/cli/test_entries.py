"""The entries of a journal that a stranger may have made."""

from datetime import UTC, datetime

import pytest

from walletd.cli.entries import read_entry
from walletd.journal.failures import JournalCorrupt
from walletd.vocabulary.commands import OpenWallet
from walletd.vocabulary.entries import Effects, Entry, encode_entry
from walletd.vocabulary.identifiers import CommandId, Principal, SequenceNumber, WalletId


def entry_of(wallet: str, command_id: str = "c") -> bytes:
    command = OpenWallet(command_id=CommandId(command_id), wallet=WalletId(wallet))
    return encode_entry(
        Entry(
            sequence=SequenceNumber(7),
            time=datetime(2026, 1, 1, tzinfo=UTC),
            principal=Principal("operator"),
            command=command,
            effects=Effects(),
        )
    )


def test_an_entry_whose_names_a_client_may_send_is_read() -> None:
    assert read_entry(entry_of("alice"), 7).command == OpenWallet(command_id=CommandId("c"), wallet=WalletId("alice"))


@pytest.mark.parametrize(
    ("wallet", "command_id", "named"),
    [("\x1b[2Jalice", "c", "wallet"), ("", "c", "wallet"), ("alice", "two words", "command_id")],
)
def test_a_name_that_no_client_may_send_is_damage(wallet: str, command_id: str, named: str) -> None:
    with pytest.raises(JournalCorrupt, match=rf"entry 7 cannot be read: .*command.{named}"):
        read_entry(entry_of(wallet, command_id), 7)
