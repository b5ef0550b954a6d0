"""General MIDI programs that a bank has no patch for: the nearest one that it has.

A program's own family comes first, then families that sound or are played alike, then any other.
Drums and sound effects are replaced by nothing: a gunshot is no piano.
"""

from __future__ import annotations

from collections.abc import Collection

FAMILIES = {
    "piano": range(0, 8),
    "chromatic percussion": range(8, 16),
    "organ": range(16, 24),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "bowed strings": range(40, 45),
    "plucked strings": range(45, 48),
    "ensemble": range(48, 56),
    "brass": range(56, 64),
    "reed": range(64, 72),
    "pipe": range(72, 80),
    "synth lead": range(80, 88),
    "synth pad": range(88, 96),
    "synth effects": range(96, 104),
    "ethnic": range(104, 112),
}
"""General MIDI's families; its strings in two, because a violin is not plucked."""

NEAR = {
    "piano": ("guitar", "plucked strings", "chromatic percussion"),
    "chromatic percussion": ("piano", "plucked strings", "guitar"),
    "organ": ("reed", "pipe", "ensemble"),
    "guitar": ("plucked strings", "piano"),
    "bass": ("guitar", "plucked strings"),
    "bowed strings": ("ensemble", "reed", "organ"),
    "plucked strings": ("guitar", "bowed strings"),
    "ensemble": ("bowed strings", "synth pad", "organ"),
    "brass": ("reed", "synth lead", "ensemble"),
    "reed": ("brass", "pipe", "synth lead", "organ"),
    "pipe": ("reed", "organ", "synth lead"),
    "synth lead": ("synth pad", "brass", "reed"),
    "synth pad": ("ensemble", "synth lead", "organ"),
    "synth effects": ("synth pad", "ensemble", "synth lead"),
    "ethnic": ("guitar", "plucked strings", "reed"),
}


def family_of(program: int) -> str:
    """The family of a program 0..127, "" for drums and sound effects.

    >>> family_of(40)
    'bowed strings'
    """
    return next((name for name, programs in FAMILIES.items() if program in programs), "")


def nearest(program: int, known: Collection[int]) -> int | None:
    """The program among the known ones that is nearest to this one; None if nothing is.

    >>> nearest(33, [0, 24, 46]), nearest(40, [45, 48]), nearest(1, [0, 4]), nearest(127, [0])
    (24, 48, 0, None)
    """
    family = family_of(program)
    if program in known or not family:
        return program if program in known else None
    for name in (family, *NEAR[family], *FAMILIES):
        kin = [other for other in known if other in FAMILIES[name]]
        if kin:
            return min(kin, key=lambda other: (abs(other - program), other))
    return None
