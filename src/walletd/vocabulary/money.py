"""Amounts: whole numbers of an asset's smallest unit, never a float.

Inside the daemon an amount is a Python int.  On the wire and in the journal it is a decimal string without sign,
leading zero or exponent, so that every language reads it exactly (wei do not fit into 64 bits).  People see
amounts in the asset's main unit: 1250 of EUR/2 is 12.50.

    >>> parse_amount("12.50", scale=2)
    1250
    >>> format_amount(1250, scale=2)
    '12.50'
"""

import re
from decimal import Decimal
from typing import Annotated

import msgspec

from walletd.vocabulary.forms import Form

MAX_AMOUNT = 10**36 - 1
"""The largest amount of one posting.  Sums may grow beyond it: Python ints do not overflow."""

MAX_SCALE = 30

AMOUNT_PATTERN = r"^[1-9][0-9]{0,35}\Z"
AmountText = Annotated[str, Form(AMOUNT_PATTERN)]
"""A movement of money: 1 to 10^36 - 1, as a decimal string."""

LimitText = Annotated[str, Form(r"^(0|[1-9][0-9]{0,35})\Z")]
"""A limit: 0 to 10^36 - 1, as a decimal string."""

SignedAmountText = Annotated[str, Form(r"^(0|-?[1-9][0-9]{0,71})\Z")]
"""A balance: any whole number, as a decimal string."""

_MAIN_UNIT = re.compile(r"(-?)([0-9]{1,200})(?:\.([0-9]{1,200}))?")

Scale = Annotated[int, msgspec.Meta(ge=0, le=MAX_SCALE)]
"""The number of decimal places of the asset's main unit: 2 for EUR, 8 for BTC, 18 for ETH."""


def parse_amount(text: str | int | Decimal, scale: int) -> int:
    """The number of smallest units in ``text``, which is in the main unit.

    Raises ValueError with a sentence for people: not a number, not finite, or finer than the asset's smallest unit.
    """
    written = _written(text)
    match = _MAIN_UNIT.fullmatch(written)
    if match is None:
        raise ValueError(f"{written[:60]!r} is not an amount; write it like {_example(scale)}")
    sign, whole, fraction = match.groups(default="")
    fraction = fraction.rstrip("0")
    if len(fraction) > scale:
        raise ValueError(
            f"{written[:60]!r} is finer than the smallest unit: at most {scale} decimal places are allowed"
        )
    digits = (whole + fraction.ljust(scale, "0")).lstrip("0")
    if len(digits) > len(str(MAX_AMOUNT)):
        raise ValueError(f"{written[:60]!r} is too large; the largest amount is 10^36 - 1 smallest units")
    return int(sign + (digits or "0"))


def format_amount(units: int, scale: int) -> str:
    """The amount in the main unit, with exactly ``scale`` decimal places; exact for any size."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(scale + 1, "0")
    if scale == 0:
        return sign + digits
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def _written(amount: str | int | Decimal) -> str:
    """The amount in plain digits, whatever its type; a float is not an amount."""
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise ValueError(f"{amount!r} is not an amount; give it as a string, a whole number or a Decimal")
    if isinstance(amount, Decimal):
        if not amount.is_finite() or abs(amount.adjusted()) > 200:
            raise ValueError(f"{amount} is not an amount that can be held; the largest is 10^36 - 1 smallest units")
        return f"{amount:f}"
    return str(amount)


def _example(scale: int) -> str:
    return format_amount(1250, scale) if scale <= 4 else "0.125"
