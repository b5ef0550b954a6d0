"""Flags made of a dataclass, and what a mistake reads like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from common.flags import read_flags


@dataclass(frozen=True, slots=True)
class Limits:
    least: Annotated[int, Field(ge=0)] = 0
    """Fewer are refused."""


@dataclass(frozen=True)
class Flags:
    """Play something."""

    song: Annotated[Path, "positional"] = Path("a.mid")
    """File to play."""
    way: Literal["near", "far"] = "near"
    """Which way to go."""
    buffer_ms: Annotated[float, Field(ge=0, le=500)] = 10.0
    """Milliseconds of sound kept ready."""
    count: int = 1
    """How often."""
    name: str | None = None
    """What to call it."""
    limits: Limits = Limits(2)
    """How few will do."""


def read(*arguments: str) -> Flags:
    return read_flags(Flags, arguments, prog="play.py")


def test_flags_fill_the_dataclass():
    assert read() == Flags()
    assert read("--way", "far", "--buffer-ms", "20", "--name", "x") == Flags(
        way="far", buffer_ms=20.0, name="x"
    )
    assert read("--least", "3").limits == Limits(3)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--buffer-ms", "501"], "--buffer-ms: expected at most 500, got 501.0"),
        (["--buffer-ms", "nan"], "--buffer-ms: expected at most 500, got nan"),
        (["--buffer-ms", "soon"], "--buffer-ms: expected a number, got 'soon'"),
        (["--count", "2.5"], "--count: expected a whole number, got '2.5'"),
        (["--way", "up"], "--way: expected one of 'near', 'far', got 'up'"),
        (["--bufer-ms", "3"], "did you mean --buffer-ms?"),
        (["--name"], "--name: expected a value, got none"),
        (["--least", "-1"], "--least: expected at least 0, got -1"),
        (["--least", "x"], "--least: expected a whole number, got 'x'"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, told):
    with pytest.raises(ValueError) as refused:
        read(*arguments)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value) and not set("│╭╰─") & set(str(refused.value))


def test_help_names_flags_defaults_and_what_they_do(capsys):
    with pytest.raises(SystemExit) as ended:
        read("--help")
    told = capsys.readouterr().out
    assert ended.value.code == 0
    for word in (
        "Play something.",
        "--buffer-ms",
        "10.0",
        "Milliseconds of sound",
        "near,far",
        "limits options",
    ):
        assert word in told
    assert not set("│╭╰─") & set(told)
