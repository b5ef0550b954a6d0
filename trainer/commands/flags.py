"""Types of command-line flags that complain in one line of what was given and what fits."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """A flag's type: whole numbers from low to high."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            fitting = f"of at least {low}" if high == math.inf else f"from {low} to {high:g}"
            raise argparse.ArgumentTypeError(f"is {text!r}, but must be a whole number {fitting}")
        return value

    return read


def number(low: float, high: float = math.inf) -> Callable[[str], float]:
    """A flag's type: finite numbers from low to high."""
    fitting = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or math.isinf(value):
            raise argparse.ArgumentTypeError(f"is {text!r}, but must be a number {fitting}")
        return value

    return read


def named(text: str) -> tuple[str, float]:
    """A flag's type: NAME=NUMBER, of a correlation."""
    name, _, value = text.partition("=")
    return name, number(-1, 1)(value)


def key_range(text: str) -> tuple[int, int]:
    """A flag's type: LOW-HIGH, MIDI keys of a piano."""
    low, _, high = text.partition("-")
    keys = whole(21, 108)(low), whole(21, 108)(high)
    if keys[0] > keys[1]:
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be LOW-HIGH")
    return keys


def program_keys(text: str) -> tuple[int, tuple[int, int]]:
    """A flag's type: PROGRAM=LOW-HIGH."""
    program, _, keys = text.partition("=")
    return whole(0, 127)(program), key_range(keys)


def release(text: str) -> tuple[int | None, float]:
    """A flag's type: SECONDS for every program (under None), or PROGRAM=SECONDS for one."""
    program, separator, seconds = text.rpartition("=")
    return whole(0, 127)(program) if separator else None, number(0)(seconds)
