"""Amounts: whole numbers of an asset's smallest unit, never a float.

Inside the daemon an amount is a Python int.  On the wire and in the journal it is a decimal string without sign,
leading zero or exponent, so that every language reads it exactly (wei do not fit into 64 bits).  People see
amounts in the asset's main unit: 1250 of EUR/2 is 12.50.

    >>> parse_amount("12.50", scale=2)
    1250
    >>> format_amount(1250, scale=2)
    '12.50'
"""

from decimal import Decimal, InvalidOperation, localcontext
from typing import Annotated

import msgspec

MAX_AMOUNT = 10**36 - 1
"""The largest amount of one posting.  Sums may grow beyond it: Python ints do not overflow."""

MAX_SCALE = 30

AMOUNT_PATTERN = r"^[1-9][0-9]{0,35}\Z"
AmountText = Annotated[str, msgspec.Meta(pattern=AMOUNT_PATTERN)]
"""A movement of money: 1 to 10^36 - 1, as a decimal string."""

SignedAmountText = Annotated[str, msgspec.Meta(pattern=r"^(0|-?[1-9][0-9]{0,71})\Z")]
"""A balance: any whole number, as a decimal string."""

Scale = Annotated[int, msgspec.Meta(ge=0, le=MAX_SCALE)]
"""How many decimal places the asset's main unit has: 2 for EUR, 8 for BTC, 18 for ETH."""


def parse_amount(text: str | int | Decimal, scale: int) -> int:
    """The number of smallest units that ``text``, given in the main unit, stands for.

    Raises ValueError with a sentence for people: not a number, not finite, or finer than the asset's smallest unit.
    """
    with localcontext() as exact:
        exact.prec = 120
        try:
            amount = Decimal(text)
        except (InvalidOperation, ValueError):
            raise ValueError(f"{text!r} is not an amount; write it like {_example(scale)}") from None
        if not amount.is_finite() or abs(amount) > MAX_AMOUNT:
            raise ValueError(f"{text!r} is not an amount that can be held; the largest is 10^36 - 1 smallest units")
        units = amount.scaleb(scale)
        if units != units.to_integral_value():
            raise ValueError(f"{text!r} is finer than the smallest unit: at most {scale} decimal places are allowed")
        if abs(units) > MAX_AMOUNT:
            raise ValueError(f"{text!r} is too large; the largest amount is 10^36 - 1 smallest units")
        return int(units)


def format_amount(units: int, scale: int) -> str:
    """The amount in the main unit, with exactly ``scale`` decimal places; exact for any size."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(scale + 1, "0")
    if scale == 0:
        return sign + digits
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def _example(scale: int) -> str:
    return format_amount(1250, scale) if scale <= 4 else "0.125"
