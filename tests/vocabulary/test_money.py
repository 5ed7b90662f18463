"""Amounts: how people write them, and what is refused with a sentence."""

import re
from decimal import Decimal, localcontext

import pytest

from walletd.vocabulary.money import MAX_AMOUNT, format_amount, parse_amount

READ: list[tuple[str | int | Decimal, int, int]] = [
    ("12.50", 2, 1250),
    ("12.5", 2, 1250),
    ("12", 2, 1200),
    (12, 2, 1200),
    (Decimal("0.01"), 2, 1),
    ("12.50000", 2, 1250),
    ("0", 2, 0),
    ("-0.01", 2, -1),
    ("0.000000000000000001", 18, 1),
    ("9" * 36, 0, MAX_AMOUNT),
    ("9" * 34 + ".99", 2, MAX_AMOUNT),
    ("0." + "0" * 29 + "1", 30, 1),
]


@pytest.mark.parametrize(("text", "scale", "units"), READ)
def test_an_amount_in_the_main_unit_is_read_exactly(text: str | int | Decimal, scale: int, units: int) -> None:
    assert parse_amount(text, scale) == units


REFUSED: list[tuple[str | int | Decimal, int, str]] = [
    ("", 2, "is not an amount; write it like 12.50"),
    ("ten", 2, "is not an amount; write it like 12.50"),
    ("1e999999999", 2, "is not an amount"),
    ("1e-9999999", 2, "is not an amount"),
    (Decimal("1e-9999999"), 2, "is not an amount that can be held"),
    ("1." + "0" * 125 + "1", 2, "is finer than the smallest unit"),
    ("\uff11", 2, "is not an amount"),
    ("1_000", 2, "is not an amount"),
    ("1\n", 2, "is not an amount"),
    (True, 2, "is not an amount"),
    (0.5, 2, "is not an amount"),  # type: ignore[list-item]
    ("1,50", 2, "is not an amount; write it like 12.50"),
    ("1.2.3", 8, "is not an amount; write it like 0.125"),
    ("12.505", 2, "is finer than the smallest unit: at most 2 decimal places are allowed"),
    ("0.5", 0, "is finer than the smallest unit: at most 0 decimal places are allowed"),
    (Decimal("NaN"), 2, "is not an amount that can be held"),
    ("NaN", 2, "is not an amount; write it like 12.50"),
    (Decimal("-Infinity"), 2, "is not an amount that can be held"),
    ("1" + "0" * 36, 0, "the largest amount is 10^36 - 1 smallest units"),
    ("1" + "0" * 34, 2, "the largest amount is 10^36 - 1 smallest units"),
    (10**36, 0, "the largest amount is 10^36 - 1 smallest units"),
]


@pytest.mark.parametrize(("text", "scale", "says"), REFUSED)
def test_what_is_no_amount_is_refused_with_a_sentence(text: str | int | Decimal, scale: int, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_amount(text, scale)


def test_reading_does_not_depend_on_the_decimal_context_of_the_caller() -> None:
    with localcontext() as context:
        context.prec = 3
        assert parse_amount("123456.78", 2) == 12345678


WRITTEN: list[tuple[int, int, str]] = [
    (1250, 2, "12.50"),
    (0, 2, "0.00"),
    (-1, 2, "-0.01"),
    (5, 0, "5"),
    (1, 18, "0.000000000000000001"),
    (200 * MAX_AMOUNT, 2, "1" + "9" * 35 + "8.00"),
    (-(10**40), 2, "-1" + "0" * 38 + ".00"),
]


@pytest.mark.parametrize(("units", "scale", "text"), WRITTEN)
def test_an_amount_is_written_with_all_its_places(units: int, scale: int, text: str) -> None:
    assert format_amount(units, scale) == text
