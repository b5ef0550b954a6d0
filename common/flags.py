"""A command line read into a dataclass: each field is a flag, its docstring the help.

tyro makes the flags from the fields' types and defaults; ranges stand in the annotations, as in
files (documents.py). A mistake is told in one line.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any, TypeVar

import tyro

T = TypeVar("T")

PARSING = {
    r"Error parsing (\S+): could not convert string to float: (.*)": (
        r"\1: expected a number, got \2"
    ),
    r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)": (
        r"\1: expected a whole number, got \2"
    ),
}
"""What Python says of text that is no number, and what we say."""


def read_flags(shape: type[T], arguments: Sequence[str], prog: str) -> T:
    """Arguments as a `shape`, a dataclass whose docstring describes the command.

    `--help` prints the flags and raises SystemExit(0). ValueError names the flag, what was
    expected and what was got.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = tyro.cli(shape, prog=prog, args=arguments)
    except SystemExit as ended:
        if not ended.code:
            raise
        raise ValueError(_one_line(said.getvalue())) from None
    # Only now: pydantic need not be loaded to print the help.
    from common.documents import Unfit, checked

    try:
        return checked(_fields(options), shape)
    except Unfit as error:
        flag = f"--{error.place[0].replace('_', '-')}"
        raise ValueError(f"{flag}: {error.complaint}") from None


def _fields(options: Any) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in dataclasses.fields(options)}


def _one_line(boxed: str) -> str:
    """What tyro complains of: it draws a box, with a title, the fault and then advice."""
    rows = [re.sub(r"[│╭╮╰╯]", "", row).strip() for row in boxed.splitlines()]
    rows = [row for row in rows if row and not row.startswith("─ ")]
    fault, *advice = " ".join(rows).split(" ───")
    for theirs, ours in PARSING.items():
        fault = re.sub(theirs, ours, fault)
    meant = re.search(r"(?<=meant: )--\S+", " ".join(advice))
    return f"{fault.strip()}; did you mean {meant.group()}?" if meant else fault.strip()
