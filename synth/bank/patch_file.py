"""A patch as a file of a bank's folder, named after it.

embedding: [0.31, -0.84]
knobs: {brightness: 0.5}
gain_db: -3.0
pan: 0.0
program: 0        # General MIDI program that selects it; may be left out, as may those below
author: A. Name
tags: [warm, pad]
date: 2026-11-26
keys: [21, 96]    # the lowest and the highest that sound
fitted: {recording: cello.wav, ...}  # of a patch that was fitted to a recording, see `FittedFile`
deep: q6urKq...   # what it adds to the bank's key templates (synth/mel2mel/deep.py)
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Interval, Len
from pydantic import ConfigDict, Strict, StringConstraints, with_config

from common.checks import brief
from common.documents import fit, parsed_yaml, read_yaml
from common.files import write_whole
from common.patch import (
    ALL_KEYS,
    COORDINATE,
    GAIN_DB,
    LONGEST_DEEP,
    PROGRAMS,
    Fitted,
    Patch,
    check_name,
)
from synth.mel2mel.deep import curves_of

Coordinate = Annotated[float, Strict(), Interval(ge=-COORDINATE, le=COORDINATE)]
MOST_TAGS = 16
Key = Annotated[int, Strict(), Interval(ge=ALL_KEYS[0], le=ALL_KEYS[1])]
Text = Annotated[str, Strict(), Len(max_length=80)]
Tag = Annotated[str, Strict(), Len(min_length=1, max_length=32)]
Turn = Annotated[float, Strict(), Interval(ge=0, le=1)]


Hash = Annotated[str, Strict(), StringConstraints(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Strict(), Len(max_length=255)]
Decibels = Annotated[float, Strict(), Interval(ge=-200, le=200)]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class FittedFile:
    """The fields of `Fitted`, as a file may hold them."""

    recording: FileName
    sha256: Hash
    score: FileName
    gain_db: Decibels
    distance_db: Decibels
    nearest: FileName
    nearest_db: Decibels
    own_db: Decibels
    made_with: Text


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFile:
    """What a patch's file holds, as far as it can be known without its bank."""

    embedding: tuple[Coordinate, ...]
    knobs: dict[str, Turn] = field(default_factory=dict)
    gain_db: Annotated[float, Strict(), Interval(ge=GAIN_DB[0], le=GAIN_DB[1])] = 0.0
    pan: Annotated[float, Strict(), Interval(ge=-1, le=1)] = 0.0
    program: Annotated[int, Strict(), Interval(ge=PROGRAMS[0], le=PROGRAMS[1])] | None = None
    author: Text = ""
    tags: Annotated[tuple[Tag, ...], Len(max_length=MOST_TAGS)] = ()
    date: datetime.date | None = None
    keys: tuple[Key, Key] = ALL_KEYS
    fitted: FittedFile | None = None
    deep: Annotated[str, Strict(), Len(max_length=LONGEST_DEEP)] = ""


def load_patch(path: Path, embedding_size: int, knobs: Collection[str]) -> Patch:
    """Read a patch file of a bank. Raises ValueError in one line."""
    return patch_of(path, read_yaml(path), embedding_size, knobs)


def patch_of(path: Path, content: Any, embedding_size: int, knobs: Collection[str]) -> Patch:
    """The patch of a file that holds this. Raises ValueError in one line."""
    try:
        check_name(path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    file = fit(str(path), content, PatchFile)
    return _fitted(str(path), path.stem, file, embedding_size, knobs)


def as_saved(patch: Patch, embedding_size: int, knobs: Collection[str]) -> Patch:
    """The patch as its file would give it back, digits rounded; ValueError if it would not."""
    where = f"patch {patch.name!r}"
    file = fit(where, _content(patch), PatchFile)
    return _fitted(where, patch.name, file, embedding_size, knobs)


def save_patch(folder: Path, patch: Patch, overwrite: bool) -> None:
    """Write a patch's file, whole or not at all.

    Raises ValueError for a bad name, a taken one unless overwrite, or a folder that cannot
    be written.
    """
    check_name(patch.name)
    try:
        write_whole(folder / f"{patch.name}.yaml", patch_text(patch), overwrite)
    except FileExistsError:
        raise ValueError(f"patch {patch.name!r} exists; save under another name") from None
    except OSError as error:
        raise ValueError(str(error)) from None


def patch_text(patch: Patch) -> str:
    """What a patch's file holds."""
    return yaml.safe_dump(
        _content(patch), sort_keys=False, default_flow_style=None, allow_unicode=True
    )


def parsed_patch(name: str, text: str, embedding_size: int, knobs: Collection[str]) -> Patch:
    """The patch that a file of that text would be. Raises ValueError in one line."""
    check_name(name)
    where = f"patch {name!r}"
    return _fitted(
        where, name, fit(where, parsed_yaml(where, text), PatchFile), embedding_size, knobs
    )


def _fitted(
    where: str, name: str, file: PatchFile, embedding_size: int, knobs: Collection[str]
) -> Patch:
    """A file's patch, if it fits its bank."""
    if len(file.embedding) != embedding_size:
        got = brief(list(file.embedding))
        raise ValueError(f"{where}: embedding: expected {embedding_size} numbers, got {got}")
    for knob in file.knobs:
        if knob not in knobs:
            allowed = ", ".join(knobs) or "none"
            raise ValueError(f"{where}: knobs: unknown key {brief(knob)}; allowed are {allowed}")
    low, high = file.keys
    if low > high:
        raise ValueError(
            f"{where}: keys: expected the lowest before the highest, got {low}, {high}"
        )
    if file.deep:
        try:
            curves_of(file.deep)
        except ValueError as error:
            raise ValueError(f"{where}: deep: {error}") from None
    date = file.date.isoformat() if file.date else ""
    return Patch(
        name,
        file.embedding,
        file.knobs,
        file.gain_db,
        file.pan,
        file.program,
        file.author,
        file.tags,
        date,
        file.keys,
        Fitted(**asdict(file.fitted)) if file.fitted else None,
        file.deep,
    )


def _content(patch: Patch) -> dict[str, Any]:
    """What stands in a patch's file."""
    content = {
        "embedding": [round(x, 6) for x in patch.embedding],
        "knobs": {k: round(v, 6) for k, v in patch.knobs.items()},
        "gain_db": round(patch.gain_db, 3),
        "pan": round(patch.pan, 4),
        "program": patch.program,
        "author": patch.author or None,
        "tags": list(patch.tags) or None,
        "date": datetime.date.fromisoformat(patch.date) if patch.date else None,
        "keys": list(patch.keys) if patch.keys != ALL_KEYS else None,
        "fitted": _stated(patch.fitted) if patch.fitted else None,
        "deep": patch.deep or None,
    }
    return {k: v for k, v in content.items() if v is not None}


def _stated(fitted: Fitted) -> dict[str, Any]:
    """What stands in a file under fitted."""
    told = asdict(fitted)
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in told.items()}
