"""A patch: one point of a bank's embedding space with a name, knobs and a level, as a file.

embedding: [0.31, -0.84]
knobs: {brightness: 0.5}
gain_db: -3.0
pan: 0.0
program: 0        # General MIDI program that selects it; may be left out
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.fields import check_mapping, number, numbers, read_mapping, whole

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}(?<! )")
"""What a patch may be called: it becomes a file's name on any system, and never a path."""
RESERVED = re.compile(r"bank|con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""The bank's own file, and the names that Windows keeps for devices."""
FIELDS = ("embedding", "knobs", "gain_db", "pan", "program")
COORDINATE = 100.0
GAIN_DB = (-120.0, 24.0)


@dataclass(frozen=True, slots=True)
class Patch:
    """embedding: as long as the bank's; knobs: name -> 0..1; gain_db -120..24; pan -1..1."""

    name: str
    embedding: tuple[float, ...]
    knobs: Mapping[str, float]
    gain_db: float = 0.0
    pan: float = 0.0
    program: int | None = None


def check_name(name: str) -> None:
    """Raises ValueError for what may not be a patch's name."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        raise ValueError(
            f"patch name {name!r}: must be 1 to 64 letters, digits, spaces, - or _, not start "
            "or end with a space, start with a letter or digit, and not be bank or a device of "
            "Windows (con, prn, aux, nul, com0 to com9, lpt0 to lpt9)"
        )


def load_patch(path: Path, embedding_size: int, knobs: Iterable[str]) -> Patch:
    """Read a patch file of a bank. Raises ValueError in one line."""
    try:
        check_name(path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    content = read_mapping(path, FIELDS, ("embedding",))
    return _checked(str(path), path.stem, content, embedding_size, knobs)


def as_saved(patch: Patch, embedding_size: int, knobs: Iterable[str]) -> Patch:
    """The patch as its file would give it back, digits rounded; ValueError if it would not."""
    return _checked(
        f"patch {patch.name!r}", patch.name, _content(patch), embedding_size, list(knobs)
    )


def save_patch(folder: Path, patch: Patch, overwrite: bool) -> None:
    """Write a patch whole beside the old file, then move it there.

    Raises ValueError for a bad name, a taken one unless overwrite, or a folder that cannot
    be written.
    """
    check_name(patch.name)
    path = folder / f"{patch.name}.yaml"
    text = yaml.safe_dump(_content(patch), sort_keys=False, default_flow_style=None)
    partial = folder / f".{patch.name}.yaml.part"
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(partial, path)
        else:
            _claim(partial, path)
    except FileExistsError:
        raise ValueError(f"patch {patch.name!r} exists; save under another name") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            partial.unlink()


def _claim(partial: Path, path: Path) -> None:
    """Give a file its name. FileExistsError where it is taken, even if it was taken just now."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a memory stick, most likely: FAT knows no links
        path.open("x").close()
        try:
            os.replace(partial, path)
        except OSError:
            path.unlink()
            raise


def _checked(
    where: str, name: str, content: Mapping[str, Any], embedding_size: int, knobs: Iterable[str]
) -> Patch:
    turned = check_mapping(f"{where}: knobs", content.get("knobs", {}), knobs, ())
    program = content.get("program")
    return Patch(
        name=name,
        embedding=numbers(f"{where}: embedding", content["embedding"], embedding_size, COORDINATE),
        knobs={k: number(f"{where}: knobs: {k}", v, 0, 1) for k, v in turned.items()},
        gain_db=number(f"{where}: gain_db", content.get("gain_db", 0.0), *GAIN_DB),
        pan=number(f"{where}: pan", content.get("pan", 0.0), -1, 1),
        program=None if program is None else whole(f"{where}: program", program, 0, 127),
    )


def _content(patch: Patch) -> dict[str, Any]:
    """What stands in a patch's file."""
    content = {
        "embedding": [round(x, 6) for x in patch.embedding],
        "knobs": {k: round(v, 6) for k, v in patch.knobs.items()},
        "gain_db": round(patch.gain_db, 3),
        "pan": round(patch.pan, 4),
        "program": patch.program,
    }
    return {k: v for k, v in content.items() if v is not None}
