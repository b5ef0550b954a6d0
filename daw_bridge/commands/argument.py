"""Arguments of commands: what each one may be, stated as data and checked in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from common.checks import brief, number, whole
from daw_bridge.desk.binding import knobs_of
from daw_bridge.desk.settings import Range
from daw_bridge.desk.sources import read_source, read_wanted

Value = int | float | str
"""What an argument is once it has been checked."""

LONGEST_NUMBER = 20
"""Characters that a number written in an address may have."""


class Kind(Enum):
    """What kind of value an argument is."""

    WHOLE = "whole number"
    NUMBER = "number"
    TEXT = "text"
    SWITCH = "push button"
    SOURCE = (
        "number 0 to 127, or nrpn/0 to nrpn/16382, on one channel alone with channel/3/ before it"
    )
    WANTED = "as in /midi/forget, or next, channel/3/next or channel/next for the one that moves"


class FromBank(Enum):
    """What only the bank that is played can say about an argument."""

    PATCH = "a patch of the bank"
    KNOB = "a knob of the bank"
    TURNABLE = (
        "a knob of the bank, timbre/0, timbre/1 and so on for a coordinate, gain_db, pan, morph, "
        "mute, solo, patch/next or patch/previous"
    )
    COORDINATE = "a coordinate of the bank's timbre space, counted from 0"
    EMBEDDING = (
        "one for each coordinate of the bank's timbre space, within the range of its instruments "
        "and a quarter of it more at each end"
    )
    REACH = "with the same range as in timbre"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its name, and what it may be.

    low..high: for numbers, in `unit`. clipped: a number beyond them is not refused, the action
    takes the nearest. default: passed on when an optional one is left out. names: the texts
    allowed, None for any. from_bank: what `for_bank` fills in.
    """

    name: str
    kind: Kind
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    clipped: bool = False
    optional: bool = False
    default: Value | None = None
    names: tuple[str, ...] | None = None
    from_bank: FromBank | None = None

    def for_bank(
        self, knobs: Sequence[str], reach: Sequence[Range], axes: Sequence[str] = ()
    ) -> tuple[Argument, ...]:
        """The argument for a bank with these knobs, and coordinates of these ranges and names.

        The embedding as a whole becomes one argument for each coordinate.
        """
        match self.from_bank:
            case FromBank.KNOB:
                return (replace(self, names=tuple(knobs)),)
            case FromBank.TURNABLE:
                return (replace(self, names=knobs_of(knobs, len(reach))),)
            case FromBank.COORDINATE:
                unit = ", ".join(f"{i} is {axis}" for i, axis in enumerate(axes))
                unit = unit and f"({unit})"
                return (replace(self, low=0, high=len(reach) - 1, unit=unit, from_bank=None),)
            case FromBank.EMBEDDING:
                told = [f" ({axis})" for axis in axes] or [""] * len(reach)
                names = [f"{self.name} {i}{axis}" for i, axis in enumerate(told)]
                return tuple(
                    replace(self, name=name, low=low, high=high, from_bank=None)
                    for name, (low, high) in zip(names, reach, strict=True)
                )
            case _:
                return (self,)

    def check(self, value: object) -> Value:
        """value as this argument: int for WHOLE, float for NUMBER, str for TEXT.

        SOURCE and WANTED are an int or a text; SWITCH takes anything: False for 0 and false,
        else True.

        Raises ValueError, in one line that names the argument, what fits, and the value.
        """
        match self.kind:
            case Kind.WHOLE:
                return whole(self.name, value, int(self.low), int(self.high))
            case Kind.NUMBER if self.clipped:
                return number(self.name, value, -math.inf, math.inf)
            case Kind.NUMBER:
                return number(self.name, value, self.low, self.high)
            case Kind.SWITCH:
                return not (isinstance(value, int | float) and value == 0)
            case Kind.SOURCE:
                return read_source(value)
            case Kind.WANTED:
                _, source = read_wanted(value)
                # What names a channel is a text, and passes as it is.
                return value if isinstance(value, str) else source
            case Kind.TEXT:
                return self._check_text(value)

    def check_written(self, text: str) -> Value:
        """Like `check`, for an argument that is written as a part of an address."""
        if self.kind is Kind.WHOLE:
            # Longer ones may be thousands of digits, which Python refuses in words of its own.
            is_number = text.isdecimal() and len(text) <= LONGEST_NUMBER
            return self.check(int(text) if is_number else text)
        return self.check(text)

    def __str__(self) -> str:
        """In words, for help: name, kind, range and unit, default."""
        words = f"{self.name}: {self.kind.value}"
        if self.names is not None:
            words += f", one of: {', '.join(self.names) or 'none'}"
        elif self.from_bank is not None:
            words += f", {self.from_bank.value}"
        if self.kind is Kind.SWITCH:
            return f"{words}, may be left out; 0 does nothing"
        if math.isfinite(self.low):
            words += f", {_plain(self.low)} to {_plain(self.high)} {self.unit}".rstrip()
        if self.clipped:
            words += "; beyond it, the nearest is taken and answered"
        if self.optional and self.default is not None:
            words += f", {self.default} if left out"
        elif self.optional:
            words += ", may be left out"
        return words

    def _check_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name}: expected text, got {brief(value)}")
        if self.names is not None and value not in self.names:
            known = ", ".join(self.names) or "none"
            raise ValueError(f"{self.name}: no {brief(value)} in this bank; it has: {known}")
        return value


def _plain(x: float) -> str:
    """A number without decimals that say nothing."""
    return str(int(x)) if x == int(x) else f"{x:.6g}"


def check_all(arguments: Sequence[Argument], values: Sequence[object]) -> tuple[Value | None, ...]:
    """The values as these arguments, defaults filled in. ValueError if one is wrong."""
    if len(values) == len(arguments):  # nearly always, and a note must be quick
        return tuple([a.check(value) for a, value in zip(arguments, values, strict=True)])
    left_out = arguments[len(values) :]
    if len(values) > len(arguments) or not all(argument.optional for argument in left_out):
        raise ValueError(f"expected {_count(arguments)}, got {len(values)}")
    given = [a.check(value) for a, value in zip(arguments, values, strict=False)]
    return (*given, *(argument.default for argument in left_out))


def _count(arguments: Sequence[Argument]) -> str:
    """How many arguments are expected, and their names."""
    least, most = sum(not argument.optional for argument in arguments), len(arguments)
    if not most:
        return "no arguments"
    count = str(most) if least == most else f"{least} to {most}"
    names = [f"[{a.name}]" if a.optional else a.name for a in arguments]
    if most > 4:
        names = [names[0], "...", names[-1]]
    return f"{count} argument{'s' * (most != 1)} ({', '.join(names)})"
