"""Values from outside: taken as they are meant, or refused in one line.

Every refusal names the field, says what was expected and what was got.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from contextlib import suppress
from itertools import islice
from reprlib import Repr

MOST_LISTED = 50
"""Names in one message."""
_BRIEF = Repr()
# A few lines of YAML aliases can unfold into gigabytes of text.
_BRIEF.maxlevel = 2
_BRIEF.maxstring = _BRIEF.maxother = 60


def number(field: str, value: object, low: float, high: float) -> float:
    """value, an int or a float, as a float within low..high; else ValueError.

    >>> number("pan", 1, -1, 1)
    1.0
    >>> number("pan", "left", -1, 1)
    Traceback (most recent call last):
    ValueError: pan: expected a number from -1 to 1, got 'left'
    """
    # bool is an int to Python, but a sender of True meant no position on a scale. NaN fails
    # every comparison.
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        with suppress(OverflowError):  # an integer beyond all floats, where there is no limit
            return float(value)
    span = f" from {low:g} to {high:g}" if math.isfinite(high - low) else ""
    raise ValueError(f"{field}: expected a number{span}, got {brief(value)}")


def whole(field: str, value: object, low: int, high: int) -> int:
    """value as an int within low..high, else ValueError; 60.0 passes, 60.5 does not.

    >>> whole("key", 60.0, 0, 127)
    60
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise ValueError(f"{field}: expected a whole number from {low} to {high}, got {brief(value)}")


def brief(value: object) -> str:
    """value as text, cut so that a message stays one short line."""
    return _BRIEF.repr(value)


def listed(names: Collection[str]) -> str:
    """Names with commas between them, as many as fit a few lines.

    >>> listed(["harp", "organ"]), listed([])
    ('harp, organ', 'none')
    """
    shown = ", ".join(islice(names, MOST_LISTED)) or "none"
    more = len(names) - MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def printable(text: str) -> str:
    r"""text with what a terminal would obey, such as escape codes, written out.

    >>> printable("a\x1b[31mb é")
    'a\\x1b[31mb é'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def spans(numbers: set[int]) -> str:
    """Whole numbers in words, runs joined.

    >>> spans({1, 2, 3, 5})
    '1-3, 5'
    """
    starts = sorted(n for n in numbers if n - 1 not in numbers)
    ends = sorted(n for n in numbers if n + 1 not in numbers)
    runs = zip(starts, ends, strict=True)
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
