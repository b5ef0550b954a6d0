"""Numbers from outside are taken or refused by name."""

from __future__ import annotations

import math

import pytest

from common.checks import number, whole


@pytest.mark.parametrize("value", [0, 0.0, 1, 0.5])
def test_ints_and_floats_are_numbers(value):
    assert number("x", value, 0, 1) == value


@pytest.mark.parametrize("value", [True, "0.5", None, b"1", math.nan, math.inf, -1e-9, 1.0001])
def test_what_is_no_number_in_range_is_named(value):
    with pytest.raises(ValueError, match=r"^gain: expected a number from 0 to 1, got ") as refused:
        number("gain", value, 0, 1)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("value", [60.5, -1, 128, math.nan, math.inf, False, "60"])
def test_what_is_not_whole_is_named(value):
    with pytest.raises(ValueError, match=r"^key: expected a whole number from 0 to 127, got "):
        whole("key", value, 0, 127)


def test_a_whole_float_is_an_int():
    assert isinstance(whole("key", 60.0, 0, 127), int)


def test_errors_stay_one_short_line():
    with pytest.raises(ValueError) as refused:
        number("pan", "x\n" * 10_000, -1, 1)
    assert len(str(refused.value)) < 120
    assert "\n" not in str(refused.value)
