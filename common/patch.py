"""A patch: one point of a bank's embedding space with a name, knobs and a level."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from common.checks import brief
from common.window import HIGHEST_KEY, LOWEST_KEY

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}(?<! )")
"""What is a word in a file and an address, such as a knob."""
LONGEST_NAME, LONGEST_NAME_BYTES = 64, 200
"""Of a patch's name: it becomes a file's on any system, and never a path. Files may have 255 bytes,
and something is put around the name."""
RESERVED = re.compile(r"bank|con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""The bank's own file, and the names that Windows keeps for devices."""
COORDINATE = 100.0
"""Numbers of an embedding in a file lie in -100..100; what is played is narrower (the desk)."""
GAIN_DB = (-120.0, 24.0)
LONGEST_DEEP = 4_096
"""Letters of what a deep patch adds: it has about 1,500."""
PROGRAMS = (0, 127)
"""General MIDI programs."""
ALL_KEYS = (LOWEST_KEY, HIGHEST_KEY)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a patch was fitted to, and how well it fits.

    recording: the sound file's name; sha256: of its bytes; score: the MIDI file's name, or how the
    notes were transcribed; gain_db: brings the patch at 0 dB to the recording's level; distance_db:
    mean difference of mel bands from the recording; nearest, nearest_db: the shipped patch that
    fits best, and its distance; own_db: distance of the bank's own sound from what it predicts,
    which no recording can be expected to beat; made_with: program and version.
    """

    recording: str
    sha256: str
    score: str
    gain_db: float
    distance_db: float
    nearest: str
    nearest_db: float
    own_db: float
    made_with: str


@dataclass(frozen=True, slots=True)
class Patch:
    """embedding: as long as the bank's; knobs: name -> 0..1; gain_db -120..24; pan -1..1;
    program: the General MIDI program that selects it, if one does; author, tags: "" and () where
    they are not known; date: when it was saved, as 2026-11-26, or ""; keys: the lowest and the
    highest that sound, for not every instrument has all; fitted: what it was fitted to, None if it
    was not; deep: what it adds to the bank's key templates, as its file holds it
    (synth/mel2mel/deep.py), "" if nothing."""

    name: str
    embedding: tuple[float, ...]
    knobs: Mapping[str, float]
    gain_db: float = 0.0
    pan: float = 0.0
    program: int | None = None
    author: str = ""
    tags: tuple[str, ...] = ()
    date: str = ""
    keys: tuple[int, int] = ALL_KEYS
    fitted: Fitted | None = None
    deep: str = ""


def check_name(name: object) -> None:
    """Raises ValueError for what may not be a patch's name."""
    if not isinstance(name, str) or not _is_good(name) or RESERVED.fullmatch(name):
        raise ValueError(
            f"patch name {brief(name)}: must be 1 to {LONGEST_NAME} letters, digits, spaces, - or "
            "_, not start or end with a space, start with a letter or digit, and not be bank or a "
            "device of Windows (con, prn, aux, nul, com0 to com9, lpt0 to lpt9)"
        )


def _is_good(name: str) -> bool:
    """Whether a name has only letters and digits of any script, their marks, spaces, - and _.

    One name must not be written in two ways: so it has to be in the composed form (NFC).
    """
    kinds = [unicodedata.category(character)[0] for character in name]
    return (
        0 < len(name) <= LONGEST_NAME
        and len(name.encode("utf-8", "replace")) <= LONGEST_NAME_BYTES
        and unicodedata.normalize("NFC", name) == name
        and kinds[0] in "LN"
        and all(kind in "LMN" or c in " _-" for kind, c in zip(kinds, name, strict=True))
        and not name.endswith(" ")
    )
