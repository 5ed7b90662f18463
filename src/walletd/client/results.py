"""The results of calls for which the protocol's own types leave something open, and the legs of a transfer.

Every other result is a type of ``walletd.protocol.messages``.
"""

from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from walletd.protocol import messages as m
from walletd.vocabulary.entries import Entry, decode_entry
from walletd.vocabulary.money import format_amount, parse_amount

Amount = int | Decimal
"""An int is a number of smallest units, a Decimal is in the asset's main unit.

A str is neither: in results it is a number of smallest units, and on paper it is in the main unit.  ``int(found)`` pays
an amount from a result, ``Decimal("12.50")`` one that a person wrote.
"""


class Leg(NamedTuple):
    """One movement of a transfer: an amount of an asset leaves one wallet and reaches another."""

    source: str
    to: str
    amount: Amount
    asset: str


class Applied(m.Applied, frozen=True, kw_only=True):
    """A command was applied and is durable; ``command_id`` is the id it was sent with, given or generated."""

    command_id: str = ""


class EntryView(m.EntryView, frozen=True, kw_only=True):
    """A journal entry and its hash; no hash if the entry is redacted."""

    entry: Entry


class EntryPage(m.EntryPage, frozen=True, kw_only=True):
    """One page of the journal."""

    entries: tuple[EntryView, ...]


class Event:
    """An entry that touched a watched wallet; ``record`` holds its exact bytes, over which its hash is computed."""

    def __init__(self, epoch: int, sequence: int, record: bytes) -> None:
        self.epoch = epoch
        self.sequence = sequence
        self.record = record

    @cached_property
    def entry(self) -> Entry:
        """The entry.  Raises msgspec.DecodeError if it is of a kind that this version does not know."""
        return decode_entry(self.record)

    def __repr__(self) -> str:
        return f"Event(epoch={self.epoch}, sequence={self.sequence})"


def needs_scale(amount: Amount) -> bool:
    """True if the amount is in the main unit.  Raises TypeError for a str, which could mean either unit, and for a
    float, which cannot be exact.
    """
    if isinstance(amount, str):
        raise TypeError(
            f"{amount[:60]!r} could be in either unit: write int('...') for smallest units, as results have them, "
            "or Decimal('...') for the main unit"
        )
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise TypeError(
            f"an amount is an int of smallest units or a Decimal in the main unit, not {type(amount).__name__}"
            f": write Decimal('{amount}')"
        )
    return not isinstance(amount, int)


def smallest_units(amount: Amount, scale: int) -> int:
    """The amount in smallest units, exactly.  Raises ValueError if it is finer than the asset allows."""
    return parse_amount(amount, scale) if needs_scale(amount) else int(amount)


def main_units(units: int | str, scale: int) -> Decimal:
    """Smallest units in the main unit, exactly and with all its decimal places, whatever the decimal context."""
    return Decimal(format_amount(int(units), scale))
