"""Histories: which ids of entries still name something after restores, and which were given up."""

import pytest

from walletd.vocabulary.histories import (
    FIRST_HISTORY,
    Histories,
    History,
    about_lost,
    begun_by,
    given_up,
    new_mark,
)
from walletd.vocabulary.identifiers import HoldId, TransferId

SECOND, THIRD = "secondxx", "thirdxxx"
TWICE_RESTORED: Histories = (*FIRST_HISTORY, History(7, SECOND), History(20, THIRD))
"""First to entry 6, then, from a backup of the second history, to entry 19."""

IDS = [
    ("t6", False),
    ("t7", True),
    ("t6.3", False),
    ("t7.3", True),
    (f"t7-{SECOND}", False),
    (f"t19.2-{SECOND}", False),
    (f"t20-{SECOND}", True),
    (f"t20-{THIRD}", False),
    (f"t20000-{THIRD}", False),
    ("t8-unheards", True),
]


@pytest.mark.parametrize(("name", "is_lost"), IDS)
def test_an_id_is_given_up_with_the_entries_that_a_restore_left_out(name: str, is_lost: bool) -> None:
    assert given_up(TWICE_RESTORED, TransferId(name)) is is_lost
    assert given_up(TWICE_RESTORED, HoldId("h" + name[1:])) is is_lost
    assert about_lost(TWICE_RESTORED, TransferId(name)) == ({"given_up": True} if is_lost else {})


def test_a_journal_that_was_never_restored_gives_nothing_up() -> None:
    assert not any(given_up(FIRST_HISTORY, TransferId(f"t{sequence}")) for sequence in (1, 7, 2**53 - 1))


def test_a_history_begins_with_its_first_entry_and_never_comes_back() -> None:
    histories = FIRST_HISTORY
    for sequence, mark in ((1, ""), (6, ""), (7, SECOND), (8, SECOND), (20, THIRD), (21, THIRD)):
        histories = begun_by(histories, sequence, mark)
    assert histories == TWICE_RESTORED
    for ended in ("", SECOND):
        with pytest.raises(ValueError, match="ended before it"):
            begun_by(histories, 22, ended)


def test_no_two_marks_are_the_same() -> None:
    assert len({new_mark() for _ in range(5000)}) == 5000
