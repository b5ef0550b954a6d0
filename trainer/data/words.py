"""Words after a flag, such as `46=4.5`: how they are read, and shown in the help."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.checks import number, whole
from common.documents import fit, read_document
from trainer.data.programs import (
    KEYS,
    PROGRAM_RELEASE_S,
    RELEASE_S,
    Gains,
    Programs,
    check_programs,
)

KeyRange = tuple[int, int]
"""The lowest and the highest key."""
LONGEST_RELEASE_S = 3600.0


def read_programs(words: list[str]) -> dict[str, int]:
    """Programs as NAME=PROGRAM each, or as one YAML file of `NAME: PROGRAM` lines.

    Raises ValueError that names the file, the patch, its program and what is allowed.
    """
    if len(words) == 1 and "=" not in words[0]:
        path = Path(words[0])
        return check_programs(str(path), read_document(path, Programs))
    programs: dict[str, int] = {}
    for word in words:
        name, separator, program = word.partition("=")
        if not separator:
            raise ValueError(f"expected NAME=PROGRAM or one YAML file, got {word!r}")
        if name in programs:
            raise ValueError(f"{word}: {name} is there twice")
        number = int(program) if program.isdecimal() else program
        programs |= check_programs(word, fit(word, {name: number}, Programs))
    if not programs:
        raise ValueError("expected NAME=PROGRAM or one YAML file, got nothing")
    return programs


def read_gains(words: list[str]) -> dict[str, float]:
    """Decibels by patch name, from a YAML file. ValueError in one line."""
    return read_document(Path(words[0]), Gains)


def read_key_range(words: list[str]) -> KeyRange:
    """LOW-HIGH, MIDI keys of a piano. Raises ValueError that says what is allowed."""
    low, _, high = words[0].partition("-")
    fits = low.isdecimal() and high.isdecimal()
    if not fits or not KEYS[0] <= int(low) <= int(high) <= KEYS[1]:
        raise ValueError(f"expected LOW-HIGH within {KEYS[0]}-{KEYS[1]}, got {words[0]!r}")
    return int(low), int(high)


def read_program_keys(words: list[str]) -> dict[int, KeyRange]:
    """PROGRAM=LOW-HIGH each; no words for programs that sound every key."""
    pairs = (word.partition("=") for word in words)
    return {_program(program): read_key_range([keys]) for program, _, keys in pairs}


def read_releases(words: list[str]) -> dict[int | None, float]:
    """Program -> seconds, of PROGRAM=SECONDS each, or SECONDS for all others (under None).

    Programs that are known to ring longer than the others do so unless they are named.
    """
    named: dict[int | None, float] = {}
    for word in words:
        program, separator, seconds = word.rpartition("=")
        try:
            length = number("seconds", float(seconds), 0, LONGEST_RELEASE_S)
        except ValueError:
            raise ValueError(
                f"expected SECONDS or PROGRAM=SECONDS, 0 to {LONGEST_RELEASE_S:g} s, got {word!r}"
            ) from None
        named[_program(program) if separator else None] = length
    usual = named.get(None, RELEASE_S)
    known = {program: max(length, usual) for program, length in PROGRAM_RELEASE_S.items()}
    return {None: usual} | known | named


def show(values: Mapping[Any, object]) -> list[str]:
    """The words that give these values by program or name, None for all others."""
    return [f"{value}" if key is None else f"{key}={value}" for key, value in values.items()]


def show_gains(gains: Mapping[str, float] | None) -> list[str]:
    return ["measured"] if gains is None else show(gains)


def show_key_range(keys: KeyRange) -> list[str]:
    return [f"{keys[0]}-{keys[1]}"]


def show_program_keys(keys: Mapping[int, KeyRange]) -> list[str]:
    return [f"{program}={low}-{high}" for program, (low, high) in keys.items()]


def _program(text: str) -> int:
    return whole("program", int(text) if text.isdecimal() else text, 0, 127)
