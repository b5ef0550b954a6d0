"""Arguments are taken as they are meant, or refused in one line that says what fits."""

from __future__ import annotations

import math

import pytest

from daw_bridge.commands.argument import Argument, FromBank, Kind, check_all
from daw_bridge.desk.binding import OTHERS

KEY = Argument("key", Kind.WHOLE, 0, 127)
PAN = Argument("pan", Kind.NUMBER, -1, 1)
NAME = Argument("name", Kind.TEXT)
PRESS = Argument("press", Kind.SWITCH, optional=True, default=True)
REACH = ((-1.2, 3.0), (0.0, 1 / 3))
ID = Argument("id", Kind.NUMBER, optional=True)


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        (KEY, 60, 60),
        (KEY, 60.0, 60),
        (PAN, 1, 1.0),
        (NAME, "", ""),
        (ID, -1e30, -1e30),
        (PRESS, 0, False),
        (PRESS, 0.5, True),
        (PRESS, True, True),
        (PRESS, False, False),
        (PRESS, None, True),
        (PRESS, "on", True),
    ],
)
def test_what_fits_is_taken(argument, value, expected):
    checked = argument.check(value)
    assert checked == expected and type(checked) is type(expected)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        (KEY, 60.5, "key: expected a whole number from 0 to 127, got 60.5"),
        (KEY, 128, "key: expected a whole number from 0 to 127, got 128"),
        (KEY, True, "key: expected a whole number from 0 to 127, got True"),
        (KEY, None, "key: expected a whole number from 0 to 127, got None"),
        (PAN, 1.5, "pan: expected a number from -1 to 1, got 1.5"),
        (PAN, math.nan, "pan: expected a number from -1 to 1, got nan"),
        (PAN, "left", "pan: expected a number from -1 to 1, got 'left'"),
        (ID, math.nan, "id: expected a number, got nan"),
        (NAME, 3, "name: expected text, got 3"),
    ],
)
def test_what_does_not_fit_is_refused(argument, value, message):
    with pytest.raises(ValueError) as refused:
        argument.check(value)
    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "128", "9" * 10_000, "0" * 10_000])
def test_numbers_in_an_address_are_plain_digits(text):
    assert KEY.check_written("007") == 7
    with pytest.raises(ValueError, match="^key: expected a whole number") as refused:
        KEY.check_written(text)
    assert len(str(refused.value)) < 150


def test_the_bank_says_what_knobs_and_coordinates_there_are():
    knobs = ("brightness", "breath")
    (knob,) = Argument("knob", Kind.TEXT, from_bank=FromBank.KNOB).for_bank(knobs, REACH)
    assert knob.check("breath") == "breath"
    with pytest.raises(ValueError, match="no 'bite' in this bank; it has: brightness, breath$"):
        knob.check("bite")
    (turnable,) = Argument("knob", Kind.TEXT, from_bank=FromBank.TURNABLE).for_bank(knobs, REACH)
    assert turnable.names == (*knobs, "timbre/0", "timbre/1", *OTHERS)
    (index,) = Argument("i", Kind.WHOLE, from_bank=FromBank.COORDINATE).for_bank(knobs, REACH)
    assert (index.low, index.high) == (0, 1)
    embedding = Argument("timbre", Kind.NUMBER, clipped=True, from_bank=FromBank.EMBEDDING)
    assert [str(a) for a in embedding.for_bank((), REACH)] == [
        "timbre 0: number, -1.2 to 3; beyond it, the nearest is taken and answered",
        "timbre 1: number, 0 to 0.333333; beyond it, the nearest is taken and answered",
    ]
    assert PAN.for_bank(knobs, REACH) == (PAN,)
    axes = ("darkness", "decay")
    (index,) = Argument("i", Kind.WHOLE, from_bank=FromBank.COORDINATE).for_bank((), REACH, axes)
    assert str(index) == "i: whole number, 0 to 1 (0 is darkness, 1 is decay)"
    assert [a.name for a in embedding.for_bank((), REACH, axes)] == [
        "timbre 0 (darkness)",
        "timbre 1 (decay)",
    ]


@pytest.mark.parametrize("value", [-1e9, 0, math.inf])
def test_what_is_clipped_may_be_any_number(value):
    argument = Argument("timbre", Kind.NUMBER, -1.2, 3.0, clipped=True)
    assert argument.check(value) == value
    with pytest.raises(ValueError, match="^timbre: expected a number, got nan$"):
        argument.check(math.nan)


def test_what_is_left_out_gets_its_default():
    assert check_all((KEY, PRESS, ID), (60,)) == (60, True, None)
    assert check_all((KEY, PRESS, ID), (60, 0, 5)) == (60, False, 5.0)
    assert check_all((), ()) == ()


@pytest.mark.parametrize(
    ("arguments", "count", "message"),
    [
        ((KEY, PAN), 1, "expected 2 arguments (key, pan), got 1"),
        ((KEY,), 2, "expected 1 argument (key), got 2"),
        ((KEY, PRESS), 3, "expected 1 to 2 arguments (key, [press]), got 3"),
        ((KEY,) * 3 + (PAN,) * 61, 2, "expected 64 arguments (key, ..., pan), got 2"),
        ((), 1, "expected no arguments, got 1"),
    ],
)
def test_a_wrong_count_is_told_with_the_names(arguments, count, message):
    with pytest.raises(ValueError) as refused:
        check_all(arguments, [1] * count)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (KEY, "key: whole number, 0 to 127"),
        (Argument("gain_db", Kind.NUMBER, -120.0, 24.5, "dB"), "gain_db: number, -120 to 24.5 dB"),
        (ID, "id: number, may be left out"),
        (
            Argument("n", Kind.WHOLE, 0, 1, optional=True, default=0),
            "n: whole number, 0 to 1, 0 if left out",
        ),
        (Argument("to", Kind.TEXT, from_bank=FromBank.PATCH), "to: text, a patch of the bank"),
        (Argument("knob", Kind.TEXT, names=("a", "b")), "knob: text, one of: a, b"),
        (PRESS, "press: push button, may be left out; 0 does nothing"),
    ],
)
def test_an_argument_in_words(argument, words):
    assert str(argument) == words
