"""Instruments to render: patch name -> General MIDI program, and what is known of programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from annotated_types import Interval, MinLen
from pydantic import Strict

from common.checks import brief
from common.patch import check_name
from common.window import HIGHEST_KEY, LOWEST_KEY

PROGRAMS = {
    "grand-piano": 0,
    "electric-piano": 4,
    "vibraphone": 11,
    "church-organ": 19,
    "acoustic-guitar": 24,
    "pizzicato-strings": 45,
    "orchestral-harp": 46,
    "string-ensemble": 48,
    "trumpet": 56,
    "synth-lead": 80,
}
"""The method's ten."""

KEYS = (LOWEST_KEY, HIGHEST_KEY)
"""Lowest and highest key that a piano roll has a place for."""
HIGHEST_KEYS = {
    81: (43,),
    84: (33, 34, 35, 36, 37, 70),
    85: (31,),
    87: (65,),
    96: (19, 26, 41, 52, 53, 55, 57, 59, 60, 61, 68, 102),
}
PROGRAM_KEYS = {
    program: (LOWEST_KEY, key) for key, some in HIGHEST_KEYS.items() for program in some
}
"""Program -> lowest and highest key that it sounds, where that is not all, in MuseScore's General
SoundFont. A note that cannot be heard must not stand in the roll either."""

RELEASE_S = 1.5
"""Sound kept after an excerpt's last note is let go; most programs decay within 0.8 s."""
PROGRAM_RELEASE_S = {46: 4.5}
"""Program -> the same, for those that ring longer: a harp has no dampers."""
GAIN_DB = 60.0
"""Loudest and, below 0, softest gain of a program."""

Program = Annotated[int, Strict(), Interval(ge=0, le=127)]
Programs = Annotated[dict[str, Program], MinLen(1)]
Gains = Annotated[dict[str, Annotated[float, Interval(ge=-GAIN_DB, le=GAIN_DB)]], MinLen(1)]
"""What a file of programs and a file of gains in decibels hold, by patch name."""


def check_programs(where: str, programs: dict[str, int]) -> dict[str, int]:
    """The same programs; ValueError that begins with where if a name cannot be a patch's."""
    for name in programs:
        try:
            check_name(name)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return programs


def check_gains(where: str, gains: Mapping[str, float], patches: Iterable[str]) -> None:
    """ValueError that begins with where unless each patch, and no other, has a gain."""
    patches = list(patches)
    for name in gains:
        if name not in patches:
            raise ValueError(f"{where}: expected one of {', '.join(patches)}, got {brief(name)}")
    for name in patches:
        if name not in gains:
            raise ValueError(f"{where}: {name} is missing")
