"""manifest.yaml: what a data set was made of; `render` writes it, everything else reads it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.fields import check_mapping, read_mapping, whole
from common.patch import check_name

NEEDED = ("programs", "rate", "hop")
TOLD = (
    *("train_minutes", "val_minutes", "etude_share", "seconds", "seed"),
    *("keys", "release_s", "key_s", "rendered_at", "test_pieces", "val_fraction", "test_fraction"),
    *("soundfont", "soundfont_sha256", "fluidsynth", "corpus_sha256", "gains_db"),
)
"""What `render` also tells. Older data sets do without some of it."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set's folder, checked as far as training depends on it.

    Raises ValueError, in one line that names the file and the field.
    """
    path = folder / "manifest.yaml"
    if not path.is_file():
        raise ValueError(f"{path}: no data set here; make one with `render`")
    manifest = read_mapping(path, (*NEEDED, *TOLD), NEEDED)
    whole(f"{path}: rate", manifest["rate"], 8_000, 192_000)
    whole(f"{path}: hop", manifest["hop"], 16, 8_192)
    programs = manifest["programs"]
    if not isinstance(programs, dict) or not programs:
        raise ValueError(f"{path}: programs is {programs!r}, but must map patches to programs")
    for name, program in programs.items():
        check_name(name)
        whole(f"{path}: programs: {name}", program, 0, 127)
    if "gains_db" in manifest:
        check_mapping(f"{path}: gains_db", manifest["gains_db"], programs, programs)
    return manifest
