"""Numbers from outside: taken as int or float, refused by name."""

from __future__ import annotations


def number(field: str, value: object, low: float, high: float) -> float:
    """value as a float within low..high, else ValueError naming field, value and range.

    >>> number("pan", 1, -1, 1)
    1.0
    >>> number("pan", "left", -1, 1)
    Traceback (most recent call last):
    ValueError: pan: 'left' is not a number from -1 to 1
    """
    # bool is an int to Python, but a sender of True meant no position on a scale. NaN fails
    # every comparison.
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    raise ValueError(f"{field}: {_short(value)} is not a number from {low:g} to {high:g}")


def whole(field: str, value: object, low: int, high: int) -> int:
    """value as an int within low..high; 60.0 passes, 60.5 does not.

    >>> whole("key", 60.0, 0, 127)
    60
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise ValueError(f"{field}: {_short(value)} is not a whole number from {low} to {high}")


def _short(value: object) -> str:
    """repr, cut so that an error stays one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
