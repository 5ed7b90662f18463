"""Histories: they tell which entries of a journal belong together across restores, so that an id names one thing only.

    histories = (*FIRST_HISTORY, History(7, new_mark()))       # a restore kept six entries and began another history
    given_up(histories, TransferId("t7"))                      # True: t7 belonged to an entry that was discarded
    given_up(histories, TransferId("t6"))                      # False

A restore to an earlier point discards the entries after that point, and later entries reuse their sequences.  An id
therefore names its entry's history beside its sequence, by a random mark; the first history has none.  A mark is not
the epoch: the epoch also rises when one writer follows another in the same history.
"""

from secrets import choice
from string import ascii_lowercase, digits
from typing import NamedTuple

from walletd.vocabulary.identifiers import HoldId, TransferId, history_of, sequence_of

MARK_LENGTH = 8
"""Each of 36 characters, 41 bits: among a thousand restores of one ledger, two share a mark once in four million."""


class History(NamedTuple):
    """A history: the sequence of its first entry, written or to be written, and its mark."""

    first_sequence: int
    mark: str


Histories = tuple[History, ...]
"""The histories of a journal, in order.  One that ended without an entry is left out; the last is the present one."""

FIRST_HISTORY: Histories = (History(1, ""),)


def new_mark() -> str:
    """A mark that no other history has."""
    return "".join(choice(digits + ascii_lowercase) for _ in range(MARK_LENGTH))


def begun_by(histories: Histories, sequence: int, mark: str) -> Histories:
    """The histories after this entry: one more if it is the first of its history.

    Raises ValueError if the entry claims a history that ended before it.
    """
    if mark == histories[-1].mark:
        return histories
    if any(history.mark == mark for history in histories):
        raise ValueError(f"is of history {mark!r}, which ended before it")
    return (*histories, History(sequence, mark))


def given_up(histories: Histories, name: TransferId | HoldId) -> bool:
    """True if a restore discarded the id's entry: its history is not this journal's, or it lies after the history's
    end.
    """
    mark, sequence = history_of(name), sequence_of(name)
    for history, following in zip(histories, (*histories[1:], None), strict=True):
        if history.mark == mark:
            return following is not None and sequence >= following.first_sequence
    return True


def about_lost(histories: Histories, name: TransferId | HoldId) -> dict[str, bool]:
    """The fact that explains why nothing has this id; empty if no restore is involved."""
    return {"given_up": True} if given_up(histories, name) else {}
