"""Instruments to render: patch name -> General MIDI program, and what is known of programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from common.fields import any_mapping, whole
from common.patch import check_name

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

KEYS = (21, 108)
"""Lowest and highest key that a piano roll has a place for."""
PROGRAM_KEYS = {19: (21, 96)}
"""Program -> lowest and highest key that it sounds; General MIDI's church organ ends at 96.
A note that cannot be heard must not stand in the roll either."""

RELEASE_S = 1.5
"""Sound kept after an excerpt's last note is let go; most programs decay within 0.8 s."""
PROGRAM_RELEASE_S = {46: 4.5}
"""Program -> the same, for those that ring longer: a harp has no dampers."""


def read_programs(words: Sequence[str]) -> dict[str, int]:
    """The programs that --programs asks for: NAME=PROGRAM each, or one YAML file of such.

    Raises ValueError that names the word, or the file and its field.
    """
    if len(words) == 1 and "=" not in words[0]:
        path = Path(words[0])
        return {k: _checked(str(path), k, v) for k, v in read_mapping_file(path).items()}
    programs: dict[str, int] = {}
    for word in words:
        name, separator, program = word.partition("=")
        where = f"--programs: {word}"
        if not separator:
            raise ValueError(f"{where}: must be NAME=PROGRAM, or one YAML file alone")
        if name in programs:
            raise ValueError(f"{where}: {name} is named twice")
        programs[name] = _checked(where, name, int(program) if program.isdecimal() else program)
    return programs


def read_mapping_file(path: Path) -> dict[Any, Any]:
    """A YAML file's mapping of instruments. Raises ValueError when it is none, or is empty."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception as error:  # PyYAML lets many kinds escape where a tag belies its value
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    mapping = any_mapping(str(path), content)
    if not mapping:
        raise ValueError(f"{path}: is empty, but must map instruments")
    return mapping


def _checked(where: str, name: object, program: object) -> int:
    try:
        check_name(name)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return whole(f"{where}: program of {name}", program, 0, 127)
