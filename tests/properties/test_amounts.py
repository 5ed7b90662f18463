"""Any amount: reading and writing it is exact, whatever its size and scale, as Decimal reckons it."""

from decimal import Context, Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.properties import times
from walletd.vocabulary.money import MAX_AMOUNT, MAX_SCALE, format_amount, parse_amount

EXACT = Context(prec=500)
_scales = st.integers(0, MAX_SCALE)
_units = st.integers(-MAX_AMOUNT, MAX_AMOUNT) | st.integers(-1000, 1000)


@settings(max_examples=times(2), deadline=None)
@given(units=_units, scale=_scales)
@example(units=MAX_AMOUNT, scale=0)
@example(units=-MAX_AMOUNT, scale=MAX_SCALE)
@example(units=0, scale=2)
def test_what_was_written_is_read_again(units: int, scale: int) -> None:
    assert parse_amount(format_amount(units, scale), scale) == units


@settings(max_examples=times(2), deadline=None)
@given(units=st.integers(-(10**72), 10**72), scale=_scales)
def test_what_is_written_is_the_number_of_units_over_the_scale(units: int, scale: int) -> None:
    assert EXACT.scaleb(Decimal(format_amount(units, scale)), scale) == units


@settings(max_examples=times(1), deadline=None)
@given(units=st.integers(-(10**72), 10**72), scale=_scales)
def test_what_is_written_has_exactly_as_many_places_as_the_scale_says(units: int, scale: int) -> None:
    whole, _, places = format_amount(units, scale).partition(".")
    assert len(places) == scale
    assert whole.lstrip("-").isdecimal()
    assert whole.lstrip("-") == "0" or not whole.lstrip("-").startswith("0")


@settings(max_examples=times(2), deadline=None)
@given(amount=st.decimals(allow_nan=False, allow_infinity=False, places=None), scale=_scales)
def test_a_decimal_is_read_exactly_or_not_at_all(amount: Decimal, scale: int) -> None:
    try:
        units = parse_amount(amount, scale)
    except ValueError:
        return
    assert EXACT.scaleb(amount, scale) == units


@settings(max_examples=times(1), deadline=None)
@given(units=_units, scale=_scales, finer=st.integers(1, 9), places=st.integers(1, 60))
def test_an_amount_finer_than_the_smallest_unit_is_never_rounded(
    units: int, scale: int, finer: int, places: int
) -> None:
    text = format_amount(units, scale) + ("." if scale == 0 else "") + "0" * (places - 1) + str(finer)
    with pytest.raises(ValueError, match=r"finer than the smallest unit|is not an amount that can be held"):
        parse_amount(text, scale)


@settings(max_examples=times(2), deadline=None)
@given(text=st.text(st.sampled_from("0123456789.+-eE_ nNaAiIfF"), max_size=8), scale=_scales)
def test_whatever_is_typed_is_an_amount_or_a_sentence(text: str, scale: int) -> None:
    try:
        said: int | str = parse_amount(text, scale)
    except ValueError as error:
        said = str(error)
    assert repr(text) in said if isinstance(said, str) else abs(said) <= MAX_AMOUNT
