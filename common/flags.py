"""A command line read into a dataclass: each field is a flag, its docstring the help.

tyro makes the flags from the fields' types and defaults; ranges stand in the annotations, as in
files (documents.py). A field that is a dataclass gives its own fields as flags, under a heading.
A mistake is told in one line.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Annotated, Any, Literal, TypeVar, cast

import tyro
from annotated_types import Interval
from tyro.conf import (
    DisallowNone,
    FlagCreatePairsOff,
    HelptextFromCommentsOff,
    OmitArgPrefixes,
    arg,
)
from tyro.constructors import PrimitiveConstructorSpec

T = TypeVar("T")

Count = Annotated[int, Interval(ge=1), arg(metavar="N")]
Seed = Annotated[int, Interval(ge=0, le=2**64 - 1), arg(metavar="N")]
Share = Annotated[float, Interval(ge=0, le=1), arg(metavar="SHARE")]
Positive = Annotated[float, Interval(ge=0, le=1e6)]
Minutes = Annotated[Positive, arg(metavar="MINUTES")]
"""Kinds of numbers that many flags take."""

CONFIG = (DisallowNone, FlagCreatePairsOff, HelptextFromCommentsOff, OmitArgPrefixes)
"""No --no-... for each switch, no None to type, no name of a dataclass before its fields'."""
WORDS = {
    r"Error parsing (\S+): .*could not convert string to float: (.*)": (
        r"\1: expected a number, got \2"
    ),
    r"Error parsing (\S+): .*invalid literal for int\(\) with base 10: (.*)": (
        r"\1: expected a whole number, got \2"
    ),
    r"Error parsing (\S+): ": r"\1: ",
    r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((.*)\)\.": (
        r"\2: expected one of \3, got \1"
    ),
    r" - typing\.Literal\[.*": "",
    r"Missing value for argument '(\S+)'\..*": r"\1: expected a value, got none",
    r"Missing from .*?: (\S+).*": r"\1 is missing",
    r"Unrecognized options: (.*)": r"not understood: \1",
}
"""What tyro says, and what we say."""


def read_flags(shape: type[T], arguments: Sequence[str], prog: str) -> T:
    """Arguments as a `shape`, a dataclass whose docstring describes the command.

    `--help` prints the flags and raises SystemExit(0). ValueError names the flag, what was
    expected and what was got.
    """
    # What is no terminal gets no boxes around the help, and no colours.
    shown, said = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(shown), redirect_stderr(said):
            options = tyro.cli(shape, prog=prog, args=arguments, config=CONFIG)
    except SystemExit as ended:
        if not ended.code:
            print(re.sub(r" +$", "", shown.getvalue(), flags=re.MULTILINE).strip())
            raise
        raise ValueError(_one_line(said.getvalue())) from None
    # Only now: pydantic need not be loaded to print the help.
    return _checked(options)


def worded(
    read: Callable[[list[str]], T],
    show: Callable[[Any], list[str]],
    metavar: str,
    count: int | Literal["*"] = "*",
) -> PrimitiveConstructorSpec[T]:
    """For the annotation of a field that is read from the words after its flag.

    read: ValueError says what was expected; show: the words of a default; count: of words.
    """
    return PrimitiveConstructorSpec(
        nargs=count,
        metavar=metavar,
        instance_from_str=read,
        # Fields of any type: the type checker looks after their defaults.
        is_instance=lambda value: True,
        str_from_instance=show,
    )


def _checked(options: T) -> T:
    """The same options, if they are in range, those of dataclasses in them too."""
    from common.documents import Unfit, checked

    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(cast(Any, options))}
    values = {k: _checked(v) if dataclasses.is_dataclass(v) else v for k, v in values.items()}
    try:
        return checked(values, type(options))
    except Unfit as error:
        flag, *inside = error.place or ("flags",)
        told = [f"--{flag.replace('_', '-')}", *inside, error.complaint]
        raise ValueError(": ".join(told)) from None


def _one_line(said: str) -> str:
    """tyro's complaint, which is a title, a line, the fault, a line, and advice."""
    title, fault, *advice = re.split(r"\s-{5,}\s", said)
    fault, meant = " ".join(fault.split()), re.search(r"(?<=meant:)\s+--\S+", " ".join(advice))
    for theirs, ours in WORDS.items():
        fault = re.sub(theirs, ours, fault)
    return f"{fault}; did you mean {meant.group().strip()}?" if meant else fault
